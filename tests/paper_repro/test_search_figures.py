"""The scripts of searches: spreads and errors against their formulas, pages from made-up runs."""

from pathlib import Path

import numpy as np
import pytest

from dora_theory.search.measures import Measures
from paper_repro import benchmark_runs, figure3, figure4, game24, open_questions, padding
from paper_repro.calibration import RULES

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def made_up(count, runs, level):
    values = np.random.default_rng(0).random((count, runs)) < level
    return Measures(*[values.astype(float)] * len(Measures._fields))


def fake(world, problems, slots, which, runs, **_):
    """Later strategies are better."""
    return made_up(problems.survival.shape[0], runs, 0.2 + 0.1 * which)


def test_spread_is_that_of_one_run_of_one_benchmark():
    # 40 problems of two draws; each run is right with probability p_i, independently.
    p = np.linspace(0.1, 0.9, 40)
    values = (np.random.default_rng(1).random((40, 4000)) < p[:, None]).astype(float)
    mean, spread = benchmark_runs.mean_and_spread(values, draws=2)
    assert mean == pytest.approx(0.5, abs=0.01)
    runs = values.reshape(2, 20, 4000).mean(1)
    assert spread == pytest.approx(np.sqrt(runs.var(1, ddof=1).mean()), rel=0.03)
    assert spread == pytest.approx(np.sqrt((p * (1 - p)).mean() / 20), rel=0.02)


def test_difference_is_paired():
    base = np.random.default_rng(2).random((50, 3))
    assert benchmark_runs.difference(base + 0.25, base) == pytest.approx((0.25, 0), abs=1e-12)
    off, error = benchmark_runs.difference(base, base.mean() * np.ones_like(base))
    assert abs(off) < 1e-12
    assert error == pytest.approx(2 * base.mean(1).std(ddof=1) / np.sqrt(50))


def test_who_is_ahead():
    low, high = np.zeros((20, 2)), np.ones((20, 2))
    some = high.copy()
    some[0] = 0
    assert figure4.ahead({"dora": high, "rebase": some, "beam": low}) == "DORA (REBASE)"
    assert figure4.ahead({"dora": high, "rebase": low}) == "DORA"
    assert figure4.ahead({"dora": high, "rebase": high}) == "–"


def test_levels_take_every_problem_once_from_the_easiest():
    number = np.arange(500)[:, None]
    parts = [figure4.at_level(i, number)[:, 0] for i in range(5)]
    assert [len(part) for part in parts] == [43, 90, 105, 128, 134]
    assert np.concatenate(parts).tolist() == list(range(499, -1, -1))


def test_figure3_has_every_panel(monkeypatch, tmp_path):
    monkeypatch.setattr(figure3, "run_benchmark", fake)
    # Figure 4 is saved in earnest; eighteen panels take long.
    saved = []
    monkeypatch.setattr(figure3, "save", lambda figure, stem: saved.append((figure, stem)))
    rows = figure3.main(tmp_path)
    names = {r["item"] for r in rows}
    assert len(names) == 9 * 2 + 1
    # Two models with points of DORA, three benchmarks, two metrics.
    assert rows[-1]["ours"][0] == 2 * 3 * 2 * 5
    # No point of DORA for Qwen2.5: its rows say only how good the fit is.
    assert all("DORA" not in r["quantity"] for r in rows if "Qwen" in r["item"])
    page = (tmp_path / "figure3.md").read_text(encoding="utf-8")
    assert "s of processor time" in page
    assert all(f"| {n} | 2500 | 15 |" in page for n in benchmark_runs.BUDGETS)
    ((figure, stem),) = saved
    assert stem == tmp_path / "figure3"
    assert len(figure.axes) == 18


def test_figure4_names_the_better_strategy(monkeypatch, tmp_path):
    monkeypatch.setattr(figure4, "run_benchmark", fake)
    rows = figure4.main(tmp_path)
    winners = {r["ours"] for r in rows if r["quantity"].startswith("highest")}
    assert winners <= {"DORA", "DORA (REBASE)", "DORA (REBASE, DVTS)", "DORA (DVTS, REBASE)"}
    assert len(rows) == 3 * 5 * (1 + 5)
    assert {p.suffix for p in tmp_path.glob("figure4.*")} == {".md", ".png", ".svg"}


def test_padding_compares_every_way_with_the_authors(monkeypatch, tmp_path):
    monkeypatch.setattr(padding, "run_benchmark", fake)
    rows = padding.main(tmp_path)
    assert len(rows) == 3 * len(RULES) * 3
    # The same made-up runs: no difference, and as many steps.
    assert all(r["ours"][:4] == [0, 0, 0, 0] and r["ours"][5] == 100 for r in rows)


def test_open_questions_answers_from_made_up_searches(monkeypatch, tmp_path):
    order = list(open_questions.RULES)

    def searches(world, benchmark, slots, name):
        level = 0.9 if name == open_questions.dora(0.03) else 0.3 + 0.001 * order.index(name)
        return made_up(100, 2, level)

    monkeypatch.setattr(open_questions, "measured", searches)
    rows = open_questions.main(tmp_path)
    assert len(rows) == 3 * len(order)
    page = (tmp_path / "open_questions.md").read_text(encoding="utf-8")
    best = [line for line in page.splitlines() if "| DORA, T_s = 0.03 | +" in line]
    assert len(best) == 3 * len(open_questions.SETTINGS)
    assert {line.split(" | ")[0] for line in best} == {"| MATH500", "| AIME2024", "| AIME2025"}
    assert all(line.endswith(f"| 0 of {len(open_questions.DORAS) - 1} |") for line in best)


def test_what_is_out_of_reach_has_no_number():
    curve = {8: np.array([[0.2]]), 16: np.array([[0.4]]), 32: np.array([[0.6]])}
    assert game24.saving(curve, 0.4) == pytest.approx(2)
    assert game24.saving(curve, 0.6) == pytest.approx(1)
    assert game24.saving(curve, 0.61) == "below 1"
    assert game24.saving(curve, 0.1) == "above 4"


def test_game24_asks_every_rule_at_its_budgets(monkeypatch, tmp_path):
    monkeypatch.setattr(game24, "PUZZLES", 2)
    monkeypatch.setattr(game24, "one_round", list)

    def success(world, starts, rules, which, slots, noise):
        solved = np.zeros((4, 8))
        solved[:, : min(8, slots // 8)] = 1 - 0.25 * (rules[which].strategy.name == "rebase")
        return solved

    monkeypatch.setattr(game24, "success", success)
    rows = {(r["item"], r["quantity"]): r["ours"] for r in game24.main(tmp_path)}
    title = next(iter(game24.NOISE))
    budgets = ", ".join(map(str, game24.BUDGETS))
    assert len(rows[title, f"REBASE: % solved at N = {budgets}"]) == 6
    assert len(rows[title, "magnitude: % solved at N = 8, 16, 32, 64, 128"]) == 5
    gain = rows[title, "N = 16, DORA less REBASE; two standard errors"]
    assert gain == pytest.approx([100 * 0.25 * 2 / 8, 0])
    # REBASE's 75% at the end is where others are, straight in log N, between 32 and 64.
    ratio = rows[title, "REBASE's 256 rollouts over those DORA needs for as much"]
    assert ratio == pytest.approx(256 / 2**5.5)
    assert {p.name for p in tmp_path.iterdir()} == {"game24.md", "game24.png", "game24.svg"}
