"""Calibration by counting, and of scores that are exact."""

import numpy as np
import pytest

from dora_theory.replay.calibrate.scoring import calibration


def test_by_hand():
    scores = np.array([0.05, 0.1, 0.95, 1.0, 1.0, 0.5])
    correct = np.array([False, True, True, True, False, True])
    found = calibration(scores, correct, np.arange(6), bins=2)
    np.testing.assert_allclose(found.score, [0.075, 0.8625])
    np.testing.assert_allclose(found.accuracy, [0.5, 0.75])
    assert found.count.tolist() == [2, 4]
    assert found.error == pytest.approx((2 * 0.425 + 4 * 0.1125) / 6)
    assert found.brier == pytest.approx(np.mean((scores - correct) ** 2))
    # Pairs of a right and a wrong one, ties half.
    pairs = [(a > b) + (a == b) / 2 for a in scores[correct] for b in scores[~correct]]
    assert found.auc == pytest.approx(np.mean(pairs))
    assert (found.low <= found.accuracy).all()
    assert (found.accuracy <= found.high).all()


def test_empty_bins_and_one_outcome():
    found = calibration(np.full(4, 0.95), np.ones(4, bool), np.array([0, 0, 1, 1]))
    assert np.isnan(found.score[:9]).all()
    assert found.accuracy[9] == 1
    assert np.isnan(found.auc)


def test_exact_scores_have_the_error_of_the_floor():
    generator = np.random.default_rng(0)
    scores = generator.random(4000)
    found = calibration(scores, generator.random(4000) < scores, np.arange(4000) // 8)
    assert found.error == pytest.approx(found.floor, rel=0.5)
    inside = (found.low <= found.score) & (found.score <= found.high)
    assert inside.sum() >= 8
    squashed = calibration(scores**3, generator.random(4000) < scores, np.arange(4000) // 8)
    assert squashed.error_low > 5 * squashed.floor
    assert squashed.error_low < squashed.error < squashed.error_high


def test_solutions_of_a_problem_are_no_independent_ones():
    generator = np.random.default_rng(1)
    problem = np.repeat(np.arange(50), 40)
    correct = np.repeat(generator.random(50) < 0.5, 40)
    found = calibration(np.full(2000, 0.55), correct, problem)
    # As 50 throws of a coin: ±14%, not as 2000: ±2%.
    assert found.high[5] - found.low[5] > 0.2
