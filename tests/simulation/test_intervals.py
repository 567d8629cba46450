"""Intervals against their definitions, against scipy, and by counting how often they cover."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from dora_theory.simulation.intervals import (
    difference_interval,
    mean_interval,
    proportion_interval,
    student,
    wilson,
)

REPETITIONS = 1000
# Four and a half standard errors of a share of 0.95 among 1,000: a right interval fails once in
# 150,000 times.
SLACK = 4.5 * np.sqrt(0.95 * 0.05 / REPETITIONS)


def coverage(estimate, truth):
    return np.mean((estimate.low <= truth) & (truth <= estimate.high))


def test_the_interval_of_a_mean_is_scipys():
    values = np.random.default_rng(0).normal(3, 2, (4, 17))
    ours = mean_interval(values, level=0.9)
    theirs = scipy.stats.ttest_1samp(values, 0, axis=1).confidence_interval(0.9)
    np.testing.assert_allclose([ours.low, ours.high], theirs, rtol=1e-12)
    np.testing.assert_allclose(ours.error, scipy.stats.sem(values, axis=1), rtol=1e-12)


def test_the_interval_of_a_share_inverts_its_test():
    """Wilson: the ends are the p for which m lies at the edge of what p allows."""
    values = (np.arange(40) < 7).astype(float)
    found = proportion_interval(values)
    t = scipy.stats.t.ppf(0.975, 39)

    def edge(p):
        return abs(values.mean() - p) - t * np.sqrt(p * (1 - p) / 40)

    low = scipy.optimize.brentq(edge, 1e-9, values.mean())
    high = scipy.optimize.brentq(edge, values.mean(), 1 - 1e-9)
    np.testing.assert_allclose([found.low, found.high], [low, high], rtol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_nothing_but_failures_is_no_proof_of_failure(constant):
    found = proportion_interval(np.full(30, constant))
    assert 0 <= found.low <= constant <= found.high <= 1
    assert found.high - found.low > 0.05


def test_equal_values_inside_leave_no_doubt():
    found = proportion_interval(np.full(30, 0.3))
    np.testing.assert_allclose([found.low, found.high], 0.3, rtol=1e-12)


@pytest.mark.parametrize("law", [(0.5, 0.5), (0.3, 2.7), (8.0, 1.0), (40.0, 40.0)])
def test_intervals_of_means_of_shares_cover_as_often_as_they_say(law):
    values = np.random.default_rng(1).beta(*law, (REPETITIONS, 100))
    truth = law[0] / sum(law)
    for interval in (mean_interval, proportion_interval):
        # The skewed law costs either about a point at n = 100.
        assert coverage(interval(values), truth) > 0.95 - SLACK - 0.01, interval
    assert coverage(mean_interval(values), truth) < 0.95 + SLACK


def test_intervals_of_coins_cover_as_often_as_they_say():
    """Averaged over p: at a single p the coverage of any interval of counts swings with n p."""
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.02, 0.98, REPETITIONS)
    values = rng.uniform(size=(REPETITIONS, 60)) < truth[:, None]
    assert abs(coverage(proportion_interval(values), truth) - 0.95) < SLACK


SIZES = {
    "coins": lambda rng, shape: np.ones(shape),
    "small": lambda rng, shape: np.full(shape, 1 / 64),
    "uneven": lambda rng, shape: np.where(rng.random(shape) < 0.1, 1, 1 / 64),
    "many": lambda rng, shape: rng.integers(1, 65, shape) / 64,
}
MEANS = {"coins": 1, "small": 1 / 64, "uneven": 0.1 + 0.9 / 64, "many": 65 / 128}


@pytest.mark.parametrize("share", [1e-4, 0.003, 0.03, 0.2, 0.7])
@pytest.mark.parametrize("n", [16, 20, 64, 256])
@pytest.mark.parametrize("gains", [1.0, 0.6])
def test_intervals_of_rare_differences_cover(n, share, gains):
    """As many gains as losses or not; Student's covers some of these in 1 case of 100."""
    rng = np.random.default_rng([n, int(1e4 * share)])
    for name, sizes in SIZES.items():
        shape = REPETITIONS, n
        sign = np.where(rng.random(shape) < gains, 1, -1)
        values = (rng.random(shape) < share) * sign * sizes(rng, shape)
        truth = share * MEANS[name] * (2 * gains - 1)
        found = difference_interval(values)
        assert coverage(found, truth) > 0.95 - SLACK, name
        assert np.all(found.low < found.high)


def test_no_difference_is_no_proof_of_none():
    found = difference_interval(np.zeros((2, 20)))
    # Clopper and Pearson's upper end of 0 in 20, with a tail of 0.025.
    end = scipy.stats.beta.ppf(0.975, 1, 20)
    np.testing.assert_allclose([found.low, found.high], [[-end] * 2, [end] * 2], rtol=1e-12)


def test_a_gain_or_two_are_clopper_and_pearsons():
    values = np.zeros(50)
    values[:2] = 1
    found, exact = difference_interval(values), scipy.stats.binomtest(2, 50).proportion_ci()
    assert found.high == pytest.approx(exact.high, rel=1e-12)
    # Below it is what two gains are at least, less what losses are at most that were not seen.
    unseen = scipy.stats.beta.ppf(0.975, 1, 50)
    assert found.low == pytest.approx(0.04 - np.hypot(0.04 - exact.low, unseen), rel=1e-12)
    mirrored = difference_interval(-values)
    assert (mirrored.low, mirrored.high) == (-found.high, -found.low)


def test_differences_that_are_common_have_students_interval():
    values = np.random.default_rng(4).uniform(-0.4, 0.6, (3, 200))
    for ours, theirs in zip(difference_interval(values), mean_interval(values), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert difference_interval(np.full(5, 1.0)).high == 1


def test_a_wrong_error_is_seen():
    """The count is of use: an interval from twice as many values as there are covers too seldom."""
    values = np.random.default_rng(3).normal(size=(REPETITIONS, 100))
    estimate = mean_interval(values)
    assert coverage(student(estimate.value, estimate.error / np.sqrt(2), 200), 0) < 0.95 - SLACK


def test_a_mean_beyond_its_range_by_a_rounding_is_taken():
    found = wilson(np.float32(1.0000001), 0.0, 50)
    assert found.high == 1
    assert found.low < 1


@pytest.mark.parametrize("interval", [mean_interval, proportion_interval])
def test_a_value_that_is_no_number_is_named(interval):
    with pytest.raises(ValueError, match=r"values\[1, 0\] = nan: needs"):
        interval([[0.0, 1.0], [np.nan, 0.5]])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least two"):
        mean_interval([1.0])
    with pytest.raises(ValueError, match=r"level = 1\.0"):
        mean_interval([1.0, 2.0], level=1.0)
    with pytest.raises(ValueError, match=r"values\[0\] = -1.5: needs numbers in \[-1, 1\]"):
        difference_interval([-1.5, 0.5])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        proportion_interval([0.5, 1.5])
