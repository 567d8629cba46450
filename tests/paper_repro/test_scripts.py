"""The paper's numbers, as its scripts print them, against fractions and closed forms."""

import heapq
import math
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dora_theory._errors import InputError
from paper_repro import (
    figure1,
    figure2,
    figure5,
    proposition1,
    replay_synthetic,
    report,
    script,
    solution_level,
)

FOLDER = Path(__file__).parents[2] / "paper_repro"

pytestmark = pytest.mark.slow

SCRIPTS = (figure1, figure2, figure5, proposition1)


def named(module: ModuleType) -> str:
    """The name of a script, without that of its package."""
    return module.__name__.rpartition(".")[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of pictures, and script → quantity → row."""
    out = tmp_path_factory.mktemp("figures")
    rows = {named(s): {r["quantity"]: r for r in s.main(out)} for s in SCRIPTS}
    rows["replay_synthetic"] = {
        f"{r['strategy']}, N = {r['budget']}": r for r in replay_synthetic.main(out)
    }
    return out, rows


def divisor_method(weights: list[Fraction], budget: int, first: Fraction) -> list[int]:
    """Seats one by one to the largest w/(first + seats), as fractions; ties to the lowest index."""
    seats = [0] * len(weights)
    heap = [(-w / first, i) for i, w in enumerate(weights)]
    heapq.heapify(heap)
    for _ in range(budget):
        i = heap[0][1]
        seats[i] += 1
        heapq.heapreplace(heap, (-weights[i] / (first + seats[i]), i))
    return seats


@pytest.mark.parametrize("module", SCRIPTS, ids=named)
def test_pictures_are_there_and_come_out_the_same(
    made: tuple[Path, dict[str, Any]], module: ModuleType, tmp_path: Path
) -> None:
    out, rows = made
    again = {r["quantity"]: r for r in module.main(tmp_path)}
    assert again == rows[named(module)]
    names = {f"{named(module)}.png", f"{named(module)}.svg"}
    assert {p.name for p in tmp_path.iterdir()} == names
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes()
    assert (out / f"{named(module)}.png").read_bytes().startswith(b"\x89PNG")


def test_figure2_by_hand(made: tuple[Path, dict[str, Any]]) -> None:
    rows = made[1]["figure2"]
    assert all(r["agrees"] for r in rows.values())
    copies = 1 / (3 + math.exp(-0.9 / 0.01))
    other = 1 / (1 + 3 * math.exp(-0.9 / 0.01))
    gamma = [copies] * 3 + [other]
    expected = {
        "similarity of the first to each": [1, 1, 1, 0.1],
        "solution level, w": [1 / 4] * 4,
        "uniqueness, γ": gamma,
        "DORA, w'": [1 / 6, 1 / 6, 1 / 6, 1 / 2],
    }
    for quantity, values in expected.items():
        # Cosines are rounded to 2e-16, which T_s = 0.01 makes a hundred times larger.
        np.testing.assert_allclose(rows[quantity]["ours"], values, rtol=1e-13)


def test_proposition1_by_fractions(made: tuple[Path, dict[str, Any]]) -> None:
    rows = {quantity: r["ours"] for quantity, r in made[1]["proposition1"].items()}
    w = [Fraction(x) for x in ("0.46", "0.27", "0.17", "0.08", "0.02")]
    assert [*proposition1.WEIGHTS] == [float(x) for x in w]

    def best(kappa: Fraction) -> list[int]:
        return divisor_method(w, 32, kappa)

    tiny = best(Fraction(1, 10**6))
    assert rows["κ → 0 (10⁻⁶), optimum"] == rows["κ → 0, Adams' method"] == tiny
    half = best(Fraction(1, 2))
    assert rows["κ = 1/2, optimum"] == rows["κ = 1/2, Webster's method"] == half
    assert rows["κ = 1, optimum"] == rows["κ = 1, Jefferson's method"] == best(Fraction(1))
    # The example tells the three apart.
    assert len({tuple(tiny), tuple(half), tuple(best(Fraction(1)))}) == 3
    assert rows["κ → ∞ (10⁶), optimum"] == best(Fraction(10**6)) == [32, 0, 0, 0, 0]

    threshold = w[1] * 31 / (w[0] - w[1])
    assert rows["κ from which the winner takes all"] == pytest.approx(float(threshold), rel=1e-14)
    assert best(threshold) == [32, 0, 0, 0, 0]
    assert best(threshold * Fraction(999, 1000)) == [31, 1, 0, 0, 0]
    assert rows["winner takes all is optimal just below, above it"] == [0, 1]

    finite = made[1]["proposition1"]["κ = 10, (N + kκ)w - κ; the optimum"]
    rule = [(32 + 5 * 10) * x - 10 for x in w]
    np.testing.assert_allclose(finite["paper"], [float(x) for x in rule], rtol=1e-12)
    assert finite["ours"] == best(Fraction(10))
    assert finite["agrees"] is False
    assert min(rule) < 0
    zero = Fraction(rows["κ above which the rule is negative"]).limit_denominator(1000)
    assert (32 + 5 * zero) * w[-1] - zero == 0


def test_figure1_by_another_route(made: tuple[Path, dict[str, Any]]) -> None:
    rows = {quantity: r["ours"] for quantity, r in made[1]["figure1"].items()}
    owner, scores = figure1.DIRECTIONS, figure1.SCORES
    quality = np.exp(scores / 0.1) / np.exp(scores / 0.1).sum()
    e = figure1.EMBEDDINGS / np.linalg.norm(figure1.EMBEDDINGS, axis=1, keepdims=True)
    dora = quality / np.exp((e @ e.T - 1) / 0.01).sum(1)
    dora /= dora.sum()

    def totals(given: Any) -> list[Any]:
        return np.bincount(owner, given).tolist()

    def webster(weights: np.ndarray) -> list[int]:
        return divisor_method([Fraction(x) for x in weights], 16, Fraction(1, 2))

    best = np.sort(np.argsort(-scores, kind="stable")[:4])
    group_best = [4 * g + int(np.argmax(scores[4 * g : 4 * g + 4])) for g in range(4)]
    assert rows["temperature: rollouts of A, B, C"] == [9, 5, 2]
    assert rows["beam: rollouts of A, B, C"] == totals(4 * np.isin(range(16), best))
    assert rows["DVTS: rollouts of A, B, C"] == totals(4 * np.isin(range(16), group_best))
    assert rows["REBASE: rollouts of A, B, C"] == totals(webster(quality))
    assert rows["DORA: rollouts of A, B, C"] == totals(webster(dora))
    for name, weights in {"REBASE": quality, "DORA": dora}.items():
        spent = rows[f"{name}, each share rounded: rollouts in all"]
        assert spent == sum(round(16 * x) for x in weights.tolist())
    mean = np.bincount(owner, quality) / np.bincount(owner)
    expected = 16 * mean / mean.sum()
    np.testing.assert_allclose(rows["direction quality Q times N: A, B, C"], expected, rtol=1e-12)


def test_figure5_moments(made: tuple[Path, dict[str, Any]]) -> None:
    rows = made[1]["figure5"]
    for kappa in (1, 3, 10, 50):
        # Quadrature with an infinite density at an end promises no more than 1e-8.
        assert rows[f"κ = {kappa}: area under the curve"]["ours"] == pytest.approx(1, abs=1e-7)
        assert rows[f"κ = {kappa}: mean of p, integrated"]["ours"] == pytest.approx(0.7, abs=1e-7)
        spread = rows[f"κ = {kappa}: standard deviation of p"]["ours"]
        assert spread == pytest.approx(math.sqrt(0.7 * 0.3 / (kappa + 1)), rel=1e-12)


def test_a_number_that_differs_in_the_second_decimal_does_not_agree() -> None:
    assert script.row("x", "y", [0.17, 0.5], [1 / 6, 0.5])["agrees"] is True
    assert script.row("x", "y", [0.17, 0.5], [0.18, 0.5])["agrees"] is False
    assert script.row("x", "y", 0.25, float("nan"))["agrees"] is False
    assert script.row("x", "y", "a sentence", 1)["agrees"] is None
    assert "**no**" in script.table([script.row("x", "y", 1, 2)])


def test_report_is_one_page_with_every_picture_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: tuple[Path, dict[str, Any]]
) -> None:
    out, rows = made
    monkeypatch.setattr(report, "SCRIPTS", SCRIPTS)
    for module in (*SCRIPTS, replay_synthetic):
        kept = list(rows[named(module)].values())
        monkeypatch.setattr(module, "main", lambda _, kept=kept: kept)
    for picture in out.glob("*.png"):
        (tmp_path / picture.name).write_bytes(picture.read_bytes())
    extra = tmp_path / "more.txt"
    extra.write_text("## More\n\nA sentence of κ.\n", encoding="utf-8")

    page = report.main(tmp_path, [extra]).read_text(encoding="utf-8")
    assert page.endswith("\n\n## More\n\nA sentence of κ.\n")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert len(pictures) == len(SCRIPTS) + 1
    assert all((tmp_path / name).exists() for name in pictures)
    assert page.count("\n| ") == sum(map(len, rows.values())) + len(SCRIPTS) + 1


def test_the_replay_finds_the_truth_of_its_log(made: tuple[Path, dict[str, Any]]) -> None:
    _, rows = made
    replayed = rows["replay_synthetic"].values()
    assert len(replayed) == 8
    for r in replayed:
        assert r["truth"] < r["high"], r
        assert 0 < r["low"] < r["success"] < r["high"] < 1
        # A lower bound may lie below the truth.
        assert r["truth"] > r["low"] or r["clipped"], r
    assert not any(r["clipped"] for r in replayed if r["strategy"] == "temperature")


def test_scripts_run_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "figure2.py"), "--out", str(tmp_path / "new" / "place")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr == ""
    assert "| Figure 2 | DORA, w' | 0.17, 0.17, 0.17, 0.50 | 0.17, 0.17, 0.17, 0.50 | yes |" in (
        done.stdout
    )
    assert (tmp_path / "new" / "place" / "figure2.svg").exists()


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["figure2.py", "--out", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as stopped:
        script.run(figure2.main, "")
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_parameters_are_the_keyword_arguments_of_a_script(tmp_path: Path) -> None:
    def main(out: Path, *, budget: int = 32, sizes: tuple[int, ...] = (3, 1), share: float = 0.5):
        return [script.row("x", f"{budget} {sizes} {share}", None, 1)]

    pairs = ["budget=64", "sizes=4,2,1", "share=1"]
    found = script.settings(main, pairs)
    assert found == {"budget": 64, "sizes": (4, 2, 1), "share": 1}
    assert main(tmp_path, **found)[0]["quantity"] == "64 (4, 2, 1) 1"
    assert script.settings(main, ["sizes=4"]) == {"sizes": (4,)}
    bad = "budge=1 budget budget=x budget=1.5 budget=0 budget=1,2 budget=True sizes=1.5,2"
    for pair in (*bad.split(), "sizes=('a',)", "share=1e999", "share=-1"):
        with pytest.raises(InputError, match=f"--set: {re.escape(pair)}: "):
            script.settings(main, [pair])


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        (figure5, {"quality": 0.6, "concentrations": (2.0,)}),
        (proposition1, {"weights": (0.5, 0.3, 0.2), "budget": 7}),
        (solution_level, {"budgets": (8, 32), "directions": 3, "concentration": 0.5}),
    ],
    ids=["figure5", "proposition1", "solution_level"],
)
def test_a_plot_of_other_parameters(module: ModuleType, changed: dict[str, Any], tmp_path: Path):
    rows = {r["quantity"]: r["ours"] for r in module.main(tmp_path, **changed)}
    assert len({*tmp_path.iterdir()}) == 2
    if module is figure5:
        assert rows["κ = 2: standard deviation of p"] == pytest.approx(math.sqrt(0.24 / 3))
    elif module is proposition1:
        best = divisor_method([Fraction(5, 10), Fraction(3, 10), Fraction(2, 10)], 7, Fraction(1))
        assert rows["κ = 1, optimum"] == best
    else:
        # Q = 1/3 and 16 : 1 : 1 candidates: Q̂ = 16/18, 1/18, 1/18.
        assert rows["h = 16: exp KL(Q‖Q̂)"] == pytest.approx(6 / 16 ** (1 / 3))


def test_every_theorem_plot_has_parameters_of_a_kind_that_can_be_set() -> None:
    without = {"figure1", "figure2", "bias_maps", "unsolved_by_rule", "unsolved_exponents"}
    for module in report.SCRIPTS:
        found = script.parameters(module.main)
        assert bool(found) is (named(module) not in without), named(module)
        pairs = [
            f"{name}={','.join(map(str, x)) if isinstance(x, tuple) else x}"
            for name, x in found.items()
        ]
        assert script.settings(module.main, pairs) == found
