"""Theory 7.4e and 7.5: estimators against a solver of scipy's, exact expectations and their law."""

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import dora_theory as dt


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_the_maximum_of_the_likelihood(seed):
    r = np.random.default_rng(seed)
    n = r.integers(0, 40, size=60)
    s = r.binomial(n, r.beta(0.4, 1.1, size=60))
    found = dt.fit_beta(s, n)

    def loss(x):
        return -scipy.stats.betabinom(n, *np.exp(x)).logpmf(s).sum()

    best = scipy.optimize.minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(found[:2], np.exp(best.x), rtol=1e-5)
    # Standard errors from second differences of the log likelihood in (a, b).
    x, h = np.array(found[:2]), 1e-4

    def at(da, db):
        return loss(np.log(x + np.array([da, db])))

    second = (at(h, 0) - 2 * at(0, 0) + at(-h, 0), at(0, h) - 2 * at(0, 0) + at(0, -h))
    mixed = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / 4
    information = np.array([[second[0], mixed], [mixed, second[1]]]) / h**2
    np.testing.assert_allclose(found[2:], np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-3)


@pytest.mark.parametrize(
    ("right", "attempts", "match"),
    [
        ([0, 0], [3, 4], "none of 7 attempts"),
        ([3, 4], [3, 4], "all of 7 attempts"),
        ([5, 5, 5, 5], 10, "no more than one common chance"),
        ([0, 10, 0, 10], 10, "spread more than any Beta"),
        ([0, 1], 1, "no problem has two"),
        ([3, 1], [2, 4], r"right\[0\] = 3: more than its 2 attempts"),
        ([0.5, 1], 2, r"right\[0\] = 0.5: needs an integer"),
        ([0, -1], 2, r"right\[1\] = -1: needs a finite number in"),
        ([0, np.nan], 2, r"right\[1\] = nan: needs an integer"),
        ([], 2, r"right: needs a count for each problem, got shape \(0,\)"),
        ([0, 1], [2, 2, 2], r"shapes do not fit: right \(2,\), attempts \(3,\)"),
    ],
)
def test_what_cannot_be_fitted_is_said(right, attempts, match):
    with pytest.raises(ValueError, match=match):
        dt.fit_beta(right, attempts)


# a, b, problems, samples, depths, and the table of theory 7.4e: median, spread and own error.
TABLE = [
    ((0.3, 1, 164, 100, 16, 64), (0.295, 0.043), (0.302, 0.040), (0.305, 0.031)),
    ((0.5, 0.7, 500, 19, 4, 16), (0.473, 0.045), (0.505, 0.038), (0.502, 0.035)),
    ((1, 2, 500, 32, 8, 24), (0.874, 0.085), (1.008, 0.078), (1.005, 0.066)),
]


@pytest.mark.parametrize("row", TABLE)
def test_the_estimators_have_the_law_that_the_table_says(row):
    (a, b, m, k, first, last), *expected = row
    r, runs = np.random.default_rng(1), 120
    found = np.empty((3, runs, 2))
    for i in range(runs):
        c = r.binomial(k, r.beta(a, b, size=m))
        fit = dt.fit_beta(c, k)
        found[0, i] = dt.exponent_slope(c, k, first, last)
        found[1, i] = dt.exponent_hazard_line(c, k, 0, first // 2)
        found[2, i] = fit.alpha, fit.alpha_error
    for estimates, (median, spread) in zip(found, expected, strict=True):
        values, errors = estimates.T
        # Four standard errors of a median and of a standard deviation over so many runs, twice.
        slack = 2 * 4 * spread / np.sqrt(runs)
        assert abs(np.median(values) - median) < 1.25 * slack
        assert abs(values.std() - spread) < slack / np.sqrt(2)
        assert abs(np.median(errors) - spread) < 0.2 * spread


def test_the_hazard_line_is_exact_for_a_beta():
    """Failures of Beta(a, b) itself lie on the line, at every depth."""
    a, b = 0.5, 1.5
    f = np.cumprod([1.0, *((b + j) / (a + b + j) for j in range(9))])
    h = 1 - f[1:] / f[:-1]
    for i, j in itertools.combinations(range(9), 2):
        assert (j - i) / (1 / h[j] - 1 / h[i]) == pytest.approx(a)


def test_replay_of_round_robin_is_its_exact_expectation():
    """Against every order of one problem's samples."""
    k, counts = 5, [0, 1, 3, 5]
    found = dt.replay_round_robin(counts, k)
    for depth in range(k + 1):
        unsolved, cost = Fraction(0), Fraction(0)
        for c in counts:
            orders = list(itertools.combinations(range(k), c))
            for hits in orders:
                first = min(hits, default=k)
                unsolved += Fraction(first >= depth, len(orders))
                cost += Fraction(min(first + 1, depth), len(orders))
        assert found.unsolved[depth] == pytest.approx(float(unsolved / len(counts)), abs=1e-15)
        assert found.cost[depth] == pytest.approx(float(cost / len(counts)), rel=1e-14, abs=1e-15)
    # The failure of theory 5.5.
    want = np.mean([comb(k - c, 2) / comb(k, 2) for c in counts])
    assert found.unsolved[2] == pytest.approx(want)


def test_depths_that_a_log_does_not_hold_are_refused():
    with pytest.raises(ValueError, match="within"):
        dt.exponent_slope([1, 2], 8, 2, 9)
    with pytest.raises(ValueError, match="first = 0: needs an integer in"):
        dt.exponent_slope([1, 2], 8, 0, 4)
    with pytest.raises(ValueError, match="every problem has more than"):
        dt.exponent_slope([7, 8], 8, 1, 4)
    with pytest.raises(ValueError, match="the hazard is 0"):
        dt.exponent_hazard_line([0, 0], 8, 0, 4)
