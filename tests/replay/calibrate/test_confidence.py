"""The map from score, spread and depth to a prior, and what a single κ loses, on made-up counts."""

import numpy as np
import pytest
from scipy.special import expit, logit

import dora_theory as dt
from dora_theory.replay.calibrate.confidence import Seen, _columns, _likelihood
from dora_theory.replay.calibrate.own_confidence import _allocation, own_confidence

MEAN, CONCENTRATION = (0.2, 0.9, -1.0, 0.05), (1.5, 0.2, -9.0, 0.1)


def drawn(problems=300, seed=0, concentration=CONCENTRATION):
    rng = np.random.default_rng(seed)
    shape = problems, 4
    score, spread = rng.uniform(0.05, 0.95, shape), rng.choice([0.02, 0.5], shape)
    depth = np.full(shape, 2.0)
    a, b = dt.ConfidenceMap(MEAN, concentration, 0.0)(score, spread, depth)
    n = rng.integers(2, 12, shape)
    c = rng.binomial(n, rng.beta(a, b))
    problem = np.repeat(np.arange(problems), 4)
    return Seen(*(x.ravel() for x in (score, spread, depth, n, c)), problem)


def test_the_map_that_made_the_outcomes_is_found():
    seen = drawn(1500)
    found = dt.fit_confidence_map(*seen[:5])
    # The depth is the same for all: it has no slope, and is part of the intercept.
    assert found.mean[3] == found.log_concentration[3] == 0
    known = dt.ConfidenceMap(MEAN, CONCENTRATION, 0.0)
    for mine, true in zip(found(*seen[:3]), known(*seen[:3]), strict=True):
        assert np.median(np.abs(np.log(mine / true))) < 0.15
    assert found.log_concentration[2] == pytest.approx(-9, abs=1.5)
    single = dt.fit_confidence_map(*seen[:5], one_concentration=True)
    assert single.log_concentration[1:] == (0, 0, 0)
    assert single.log_likelihood < found.log_likelihood - 50


def test_the_gradient_is_that_of_differences():
    seen = drawn(8)
    x, at = _columns(*seen[:3]), np.array([*MEAN, *CONCENTRATION])
    _, slope = _likelihood(at, x, seen.logged, seen.correct)
    for i in range(8):
        step = 1e-6 * np.eye(8)[i]
        ends = [_likelihood(at + s * step, x, seen.logged, seen.correct)[0] for s in (1, -1)]
        assert slope[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-5)


def test_a_single_concentration_loses_what_the_map_predicts():
    found = own_confidence(drawn(), 2, (4,), seed=0, resamples=500)
    assert found["held_out"]["low"] > 0
    lost = found["lost"]["4"]
    assert lost["problems"] == 300
    assert 0.005 < lost["predicted"]["mean"] < 0.1
    assert lost["replayed"]["low"] < lost["predicted"]["mean"] < lost["replayed"]["high"]
    # One rollout goes to the best mean whatever κ is.
    assert found["lost"]["1"]["predicted"]["mean"] == pytest.approx(0, abs=0.01)
    flat = own_confidence(drawn(concentration=(1.0, 0, 0, 0)), 2, (4,), seed=0, resamples=200)
    assert abs(flat["lost"]["4"]["predicted"]["mean"]) < 0.003
    assert own_confidence(drawn(4), 2, (4,), seed=0, resamples=100) is None


def test_the_allocation_is_the_optimum_within_what_is_logged():
    a, b = np.array([0.5, 4.5]), np.array([0.5, 4.5])
    assert _allocation(a, b, np.array([9, 9]), 3).tolist() == [1, 2]
    assert _allocation(a, b, np.array([9, 1]), 3).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [1.5]}, "scores"),
        ({"spread": [-1.0]}, "spread"),
        ({"depth": [np.nan]}, "depth"),
        ({"correct": [4]}, "correct"),
        ({"logged": [3, 3]}, "logged"),
    ],
)
def test_what_cannot_be_is_named(change, message):
    sound = {"scores": [0.5], "spread": [0.1], "depth": [2], "logged": [3], "correct": [1]}
    with pytest.raises(ValueError, match=message):
        dt.fit_confidence_map(**(sound | change))


def test_scores_at_an_end_have_a_prior():
    a, b = dt.ConfidenceMap((0.0, 1.0, 0.0, 0.0), (0.0,) * 4, 0.0)([0.0, 1.0], [0.0, 0.0], [1, 1])
    assert a[0] == pytest.approx(expit(logit(2.0**-9)))
    assert b[1] == pytest.approx(2.0**-9)
