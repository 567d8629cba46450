"""Pictures of one budget for many problems: their numbers, and a page from a small log."""

import json

import numpy as np
import pytest

import dora_theory as dt
from dora_theory._errors import InputError
from paper_repro import mixed_rounds, rounds_kept, solved_against_rollouts, unsolved_exponents


def test_what_rounds_keep():
    """The table of theory 7.2h; for Beta(1, 1) the share unsolved at depth s is 1/(1 + s)."""
    want = [0.632, 0.736, 0.788, 0.821, 0.885, 0.930, 0.959]
    np.testing.assert_allclose(rounds_kept.worst(), want, atol=6e-4)
    depth = np.arange(1, 4001)
    spent = np.cumsum(1 / depth)
    place = int(np.searchsorted(spent, rounds_kept.BUDGET))
    # Between two depths.
    assert (
        1 - 1 / depth[place]
        < rounds_kept.looking(1.0, 1.0, rounds_kept.BUDGET)
        <= 1 - 1 / (depth[place] + 2)
    )


def test_where_looking_and_knowing_are_worth_the_same():
    at = unsolved_exponents.crossing()
    assert at == pytest.approx(0.21385, abs=5e-6)
    assert dt.price_of_not_looking(at) == pytest.approx(float(dt.price_of_not_knowing(at)))


def test_the_numbers_of_the_scaling_laws():
    """Theory 7.2i and 7.4d, as printed there."""
    for a, want in ((0.3, [0.300, 0.390, 0.417, 0.425]), (0.5, [0.5, 0.75, 0.875, 0.9375])):
        np.testing.assert_allclose(unsolved_exponents.local_exponents(a), want, atol=6e-4)
    for n, want in ((10.0, 1.008), (100.0, 1.05), (1e4, 1.16)):
        assert unsolved_exponents.equal_split(0.3, 4, n) == pytest.approx(want, abs=0.006)
    few, many, reversed_ = unsolved_exponents.power_law()
    assert few == pytest.approx(0.9990, abs=5e-5)
    assert many == pytest.approx(0.99999, abs=5e-6)
    # exp KL(w || q), w = (.5, .3, .2), q = (.2, .3, .5).
    assert reversed_ == pytest.approx(2.5**0.3, rel=1e-4)


@pytest.mark.slow
def test_planned_rounds_reach_their_bound_on_mixed_problems(tmp_path):
    rows = {r["quantity"]: r["ours"] for r in mixed_rounds.main(tmp_path, runs=20)}
    committed, (looking, error, top) = (
        rows[name] for name in ("one committed batch, exact", "every outcome seen (± s.e.), bound")
    )
    before = committed
    for r in (2, 4):
        mean, spread, bound = rows[f"R = {r}: planned (± s.e.), bound"]
        equal, _, gain, paired = rows[f"R = {r}: equal budgets, planned less equal"]
        assert abs(mean - bound) < 4 * spread
        assert mean - equal == pytest.approx(gain)
        assert gain > -3 * paired
        assert before < bound < top
        before = bound
    assert top - 2 < looking < top + 4 * error


def test_the_slope_finds_the_concentration_less_surely_than_the_likelihood():
    """Theory 7.4e: .91 ± .15, .97 ± .18 and 1.006 ± .053."""
    found = np.array(list(unsolved_exponents.concentrations().values()))
    want = np.array([[0.91, 0.15], [0.97, 0.18], [1.006, 0.053]])
    # For weights and a log that are not stated there; the means differ by half a spread at most.
    assert np.all(np.abs(found - want)[:, 0] < want[:, 1] / 2)
    assert np.all(np.abs(found - want)[:, 1] < 0.015)


@pytest.mark.slow
def test_a_page_and_pictures_of_a_log(tmp_path):
    r = np.random.default_rng(0)
    rows = []
    for i in range(40):
        right = r.random(6) < (0.8 if i % 2 else 0.2)
        samples = [
            {
                "text": f"solution {i} {j}",
                "final_answer": "1" if x else str(j + 2),
                "correct": bool(x),
                "step_scores": [float(np.clip(0.6 + 0.4 * x + 0.2 * r.normal(), 0, 1))],
            }
            for j, x in enumerate(right)
        ]
        rows.append(
            {
                "problem_id": f"p{i}",
                "problem": f"Question {i}?",
                "gold_answer": "1",
                "level": i % 2,
                "samples": samples,
            }
        )
    log = tmp_path / "math500.jsonl"
    log.write_text("".join(json.dumps(x) + "\n" for x in rows), encoding="utf-8")
    solved_against_rollouts.write([str(log)], tmp_path)
    page = (tmp_path / "solved_against_rollouts.md").read_text(encoding="utf-8")
    assert "## MATH-500: 40 problems, 240 solutions" in page
    assert "| by-level-score |" in page
    for name in ("solved_against_rollouts", "stop_at_a_score"):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    with pytest.raises(InputError, match="has none of humaneval, game24, math500"):
        solved_against_rollouts.replayed([str(tmp_path / "other.jsonl")])
