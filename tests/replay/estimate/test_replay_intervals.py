"""Intervals cover what they say, at the edge too, and do not depend on the order of problems."""

import numpy as np
import pytest
import scipy.stats

from dora_theory.replay.estimate.intervals import (
    bootstrap,
    difference_interval,
    share_interval,
)


def test_bootstrap_against_resampling_one_by_one():
    generator = np.random.default_rng(5)
    values = generator.random((2, 12))
    where = generator.random((2, 12)) < 0.7
    result = bootstrap(values, where, seed=3, resamples=300)
    order = np.lexsort([*values, *where])
    values, where = values[:, order], where[:, order]
    counts = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), size=300)
    for i in range(2):
        means = [np.mean(np.repeat(values[i], n * where[i])) for n in counts]
        assert result.mean[i] == pytest.approx(values[i][where[i]].mean())
        assert result.low[i] == pytest.approx(np.quantile(means, 0.025))
        assert result.high[i] == pytest.approx(np.quantile(means, 0.975))


def test_bootstrap_covers():
    generator = np.random.default_rng(1)
    inside = 0
    for trial in range(300):
        result = bootstrap(generator.random((1, 40)) ** 2, seed=trial, resamples=400)
        inside += bool(result.low[0] <= 1 / 3 <= result.high[0])
    # 95% of 300 with four standard deviations, and the percent that 40 problems cost.
    assert 0.88 < inside / 300 < 0.99


def test_bootstrap_of_nothing():
    result = bootstrap(
        np.ones((2, 3)), np.array([[False] * 3, [False, False, True]]), resamples=100
    )
    assert np.isnan([result.mean[0], result.low[0], result.high[0]]).all()
    assert (result.mean[1], result.low[1], result.high[1]) == (1, 1, 1)
    with pytest.raises(ValueError, match="values"):
        bootstrap(np.ones((2, 0)))


@pytest.mark.parametrize("n", [1, 2, 5, 20, 300])
@pytest.mark.parametrize("value", [0, 1])
def test_all_alike_is_clopper_pearson(n, value):
    found = share_interval(np.full((1, n), float(value)))
    exact = scipy.stats.binomtest(value * n, n).proportion_ci(0.95, "exact")
    assert found.mean == value
    assert found.low == pytest.approx(exact.low, abs=1e-12)
    assert found.high == pytest.approx(exact.high, abs=1e-12)


def test_twenty_of_twenty():
    found = share_interval(np.ones(20))
    assert found.low == pytest.approx(0.8316, abs=1e-4)
    assert found.high == 1


def test_one_value_inside_the_range_is_no_point():
    # A share of problems that was not seen may have any value.
    found = share_interval(np.full(20, 0.25))
    share = 1 - 0.025 ** (1 / 20)
    assert (found.low, found.high) == (
        pytest.approx(0.25 * (1 - share)),
        pytest.approx(0.25 + 0.75 * share),
    )


def test_away_from_the_edge_it_is_the_bootstrap():
    values = np.random.default_rng(0).random((3, 50))
    for interval in (share_interval, difference_interval):
        for one, two in zip(interval(values), bootstrap(values), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("chance", [0.5, 0.8, 0.85, 0.9, 0.95, 0.98, 0.995])
def test_shares_are_covered_at_the_edge(chance):
    n = 20
    # The interval of each number of right ones, by its probability: coverage is exact.
    cover = 0.0
    for right in range(n + 1):
        found = share_interval((np.arange(n) < right).astype(float), seed=right)
        inside = found.low <= chance <= found.high
        cover += inside * scipy.stats.binom.pmf(right, n, chance)
    # A bootstrap of 20 of a chance of 0.9 covers 88%, of 0.98 33%.
    assert cover > 0.92


@pytest.mark.parametrize("rare", [1e-4, 1e-3, 0.01, 0.05])
@pytest.mark.parametrize("n", [20, 256])
def test_rare_differences_are_covered(rare, n):
    cover = 0.0
    for differ in range(n + 1):
        weight = scipy.stats.binom.pmf(differ, n, rare)
        if weight > 1e-6:
            found = difference_interval((np.arange(n) < differ).astype(float))
            cover += weight * (found.low <= rare <= found.high)
    # From some ten that differ on it is the bootstrap.
    assert cover > 0.92


def test_problems_may_be_in_any_order():
    generator = np.random.default_rng(2)
    values = generator.integers(-4, 5, (3, 40)) / 4
    where = generator.random((3, 40)) < 0.8
    for _ in range(5):
        order = generator.permutation(40)
        for interval in (bootstrap, difference_interval):
            one = interval(values, where, seed=1)
            two = interval(values[:, order], where[:, order], seed=1)
            np.testing.assert_array_equal(one, two)


def test_cells_without_problems():
    for interval in (share_interval, difference_interval):
        found = interval(np.ones((2, 3)), np.array([[False] * 3, [True] * 3]))
        assert np.isnan([found.mean[0], found.low[0], found.high[0]]).all()
        assert np.isfinite([found.mean[1], found.low[1], found.high[1]]).all()
