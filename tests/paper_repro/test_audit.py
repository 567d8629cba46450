"""The audit of the paper's numbers, recomputed another way."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dora_theory._errors import InputError
from paper_repro import audit

FOLDER = Path(__file__).parents[2] / "paper_repro"

BUDGETS = np.array([16, 32, 64, 128, 256])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, audit.Row]:
    out = tmp_path_factory.mktemp("audit") / "new"
    made = {row["claim"]: row for row in audit.main(out)}
    page = (out / "audit.md").read_text(encoding="utf-8")
    assert page.startswith("# Audit: ")
    assert page.endswith(audit.table(list(made.values())))
    return made


def percents(name: str, **fields: str) -> np.ndarray:
    """A column of numbers of the rows that match, in the file's order."""
    lines = (audit.DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    head = lines[0].split(",")
    records = (dict(zip(head, line.split(","), strict=True)) for line in lines[1:])
    return np.array(
        [float(r["percent"]) for r in records if all(r[k] == v for k, v in fields.items())]
    )


def curve(model: str, strategy: str) -> np.ndarray:
    return percents(
        "figure3", metric="accuracy", benchmark="MATH500", policy_model=model, strategy=strategy
    )


@pytest.mark.parametrize(
    ("model", "claim", "rounded"),
    [
        (audit.SMALL, "fewer rollouts for REBASE's accuracy at 256, 1B model", "71.8 3.56"),
        (audit.LARGE, "the same crossing, 3B model", "55.1 4.64"),
    ],
)
def test_crossing_by_interpolation(
    found: dict[str, audit.Row], model: str, claim: str, rounded: str
) -> None:
    target = curve(model, "rebase")[-1]
    needed = 2 ** np.interp(target, curve(model, "dora"), np.log2(BUDGETS))
    assert f"{needed:.1f} {256 / needed:.2f}" == rounded
    text = str(found[claim]["recomputed"])
    assert f"{needed:.1f}" in text
    assert text.startswith(f"{256 / needed:.2f} times")


def test_headline_numbers_do_not_agree(found: dict[str, audit.Row]) -> None:
    agrees = {claim: row["agrees"] for claim, row in found.items()}
    assert agrees["Table 1: accuracy of dora at N = 64, MATH500, 1B model"] is False
    assert agrees["Table 1: accuracy of dvts at N = 256, MATH500, 1B model"] is True
    assert agrees["DORA with 64 rollouts is more accurate than REBASE with 256, 1B model"] is False
    flops = found["fewer FLOPs for REBASE's accuracy at 256, 1B model"]
    assert str(flops["stated"]).startswith("3.49")
    assert str(flops["recomputed"]).startswith("3.11")
    assert flops["agrees"] is False
    assert all(x for claim, x in agrees.items() if "are 2 × parameters × tokens" in claim)


def test_wins_are_counted(found: dict[str, audit.Row]) -> None:
    for metric in ("accuracy", "pass_rate"):
        models = audit.SMALL, audit.LARGE
        by_strategy = {
            s: np.concatenate(
                [percents("figure3", metric=metric, policy_model=m, strategy=s) for m in models]
            )
            for s in (*audit.BASELINES, "dora")
        }
        others = np.max([by_strategy[s] for s in audit.BASELINES], 0)
        best = int(np.sum(by_strategy["dora"] >= others))
        assert best == {"accuracy": 26, "pass_rate": 25}[metric]
        name = metric.replace("_", " ")
        row = found[f"outperforms strong baselines, whatever benchmark, model and N: {name}"]
        assert f"in {best} of {others.size}" in str(row["recomputed"])


def test_levels_miss_figure_3(found: dict[str, audit.Row]) -> None:
    level = [
        percents("figure4", policy_model=audit.SMALL, strategy="dora", level=str(i), budget="64")[0]
        for i in range(1, 6)
    ]
    counts = [43, 90, 105, 128, 134]
    by_level = float(
        sum(Fraction(str(x)) * n for x, n in zip(level, counts, strict=True)) / Fraction(500)
    )
    assert by_level - curve(audit.SMALL, "dora")[2] == pytest.approx(0.93, abs=0.005)
    row = found["Figure 4's levels, weighted by their problems, are Figure 3's accuracy"]
    assert f"{by_level:.2f}% by level" in str(row["recomputed"])
    assert re.match(r"60 of 70 within 0\.1", str(row["recomputed"]))


def test_no_row_of_the_blind_test_is_in_the_data() -> None:
    for name in ("figure3", "figure4"):
        assert percents(name, policy_model="Qwen2.5-1.5B-Instruct", strategy="dora").size == 0


def test_reading_a_curve() -> None:
    assert audit.budget_to_reach({16: 1.0, 64: 3.0}, 2.0) == pytest.approx(32, rel=1e-14)
    assert audit.budget_to_reach({16: 1.0, 64: 3.0}, 3.0) == 64
    with pytest.raises(InputError, match="no budget reaches 4"):
        audit.budget_to_reach({16: 1.0, 64: 3.0}, 4)
    assert audit.same(62.0, 61.96) is True
    assert audit.same(62.0, 61.94) == audit.WITHIN
    assert audit.same(63.6, 63.52) == "no, by 0.08"
    assert audit.same(68.7, 67.24) is False
    assert not audit.behind(73.16, 73.2)
    assert audit.behind(72.99, 73.2)
