"""Theory 7.2g to 7.2i and 7.4 against sums, mpmath and the tables."""

import mpmath
import numpy as np
import pytest

import dora_theory as dt

PRIORS = [(0.25, 0.9), (0.5, 0.5), (1.0, 2.0), (2.0, 5.0), (0.999, 1.0)]


@pytest.mark.parametrize(("a", "b"), PRIORS)
def test_the_cost_of_coverage_is_the_sum_that_telescopes(float64, a, b):
    j = np.arange(2000)
    f = np.cumprod(np.concatenate([[1.0], (b + j) / (a + b + j)]))
    for s in (1, 2, 17, 2000):
        want = f[:s].sum()
        np.testing.assert_allclose(float(dt.coverage_cost(a, b, s)), want, rtol=1e-10)
        np.testing.assert_allclose(float(dt.saving_factor(a, b, s)), s / want, rtol=1e-10)
    depth = dt.depth_at_coverage(a, b, 1 - f[17])
    assert depth == pytest.approx(17, rel=1e-9)


def test_what_the_fitted_priors_predict_of_the_logs(float64):
    """Theory 7.5, last column, from the fits of 7.4e as they are printed there."""
    rows = [
        (0.254, 0.90, 0.6, 1.89),
        (0.254, 0.90, 0.7, 2.50),
        (0.215, 5.1, 0.2, 1.12),
        (0.215, 5.1, 0.4, 1.40),
        (0.417, 0.55, 0.7, 1.92),
        (0.417, 0.55, 0.8, 2.89),
    ]
    for a, b, coverage, want in rows:
        found = float(dt.saving_factor(a, b, dt.depth_at_coverage(a, b, coverage)))
        assert found == pytest.approx(want, rel=0.02)


def test_the_prices_of_not_looking_and_not_knowing(float64):
    with mpmath.workdps(50):
        for a in (0.05, 0.2, 0.5, 0.9):
            x = mpmath.mpf(a)
            looking = (1 - x) ** (-1 / x)
            knowing = mpmath.gamma(1 + x) ** ((1 - x) / x) * mpmath.gamma(x)
            assert float(dt.price_of_not_looking(a)) == pytest.approx(float(looking), rel=1e-13)
            assert float(dt.price_of_not_knowing(a)) == pytest.approx(float(knowing), rel=1e-13)
    assert float(dt.price_of_not_looking(0.5)) == pytest.approx(4)
    assert float(dt.price_of_not_knowing(0.5)) == pytest.approx(np.pi / 2)
    below, above = 0.21384, 0.21386
    assert dt.price_of_not_looking(below) < dt.price_of_not_knowing(below)
    assert dt.price_of_not_looking(above) > dt.price_of_not_knowing(above)


def test_the_constant_of_a_dora_problem(float64):
    """F N^κ/C of theory 7.4d at N = 10³ and 10⁵."""
    w = np.array([0.5, 0.3, 0.2])
    c = float(dt.dora_constant(w, 1.0))
    padded = dt.dora_constant([*w, np.nan], 1.0, mask=[*np.ones(len(w), bool), False])
    assert float(padded) == pytest.approx(c, rel=1e-13)
    for n, want in ((10**3, 0.9990), (10**5, 0.99999)):
        best = dt.optimal_allocation(w, 1.0, n)
        found = np.exp(float(dt.log_failure(w, 1.0, best)) + np.log(n) - c)
        assert found == pytest.approx(want, abs=1e-4)


def test_the_worst_case_of_rounds():
    """The table of theory 7.2h: kept of the value, and of the gain, which starts at R = 1."""
    kept = {r: 1 - dt.identical_rounds(r, 1.0).unsolved for r in (1, 2, 3, 4, 8, 16, 32)}
    want = [0.632, 0.736, 0.788, 0.821, 0.885, 0.930, 0.959]
    assert [*kept.values()] == pytest.approx(want, abs=6e-4)
    gain = [(x - kept[1]) / (1 - kept[1]) for x in kept.values()]
    assert gain == pytest.approx([0, 0.281, 0.424, 0.514, 0.689, 0.811, 0.890], abs=2e-3)
    x = dt.identical_rounds(4, 0.7).depths
    np.testing.assert_allclose(x[1:], np.expm1(x[:-1]), rtol=1e-12)


def test_rounds_of_a_power_law():
    # a = 1 in closed form.
    for r in (1, 2, 5):
        found = dt.lomax_rounds(1.0, r, 3.0)
        assert np.exp(found.log_unsolved) == pytest.approx((1 + 3 / r) ** -r, rel=1e-11)
        np.testing.assert_allclose(found.shares, 1 / r, rtol=1e-9)
    # Local exponents far out, and the split there (theory 7.2i).
    for a, want in ((0.3, [0.300, 0.390, 0.417, 0.425]), (0.5, [0.5, 0.75, 0.875, 0.9375])):
        for r, exponent in enumerate(want, 1):
            low, high = (dt.lomax_rounds(a, r, n).log_unsolved for n in (1e24, 2e24))
            assert (low - high) / np.log(2) == pytest.approx(exponent, abs=2e-3)
            assert dt.rounds_exponent(a, r) == pytest.approx(exponent, abs=6e-4)
    far = dt.lomax_rounds(0.5, 3, 1e24).shares
    assert far == pytest.approx(dt.split_shares(0.5, 3), abs=2e-3)


def test_the_split_is_the_best_of_all():
    """Against a search over the depth of the first of two rounds."""
    a, n = 0.6, 8.0
    s1 = np.linspace(1e-3, n, 200_001)[:-1]
    s2 = s1 + (n - s1) * (1 + s1) ** a
    best = (-a * np.log1p(s2)).min()
    assert dt.lomax_rounds(a, 2, n).log_unsolved == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: dt.identical_rounds(0, 1.0), "rounds = 0"),
        (lambda: dt.identical_rounds(2, 0.0), "cost = 0"),
        (lambda: dt.split_shares(1.5, 2), "alpha = 1.5"),
        (lambda: dt.coverage_cost(0.0, 1.0, 2), "alpha = 0"),
        (lambda: dt.price_of_not_looking(1.0), "alpha = 1"),
        (lambda: dt.dora_constant([0.5, 0.6], 1.0), "sum of weights"),
        (lambda: dt.depth_at_coverage(0.5, 1, 1.0), "coverage = 1"),
    ],
)
def test_bad_arguments_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def cost_of(a, b, s):
    a, b, s = (mpmath.mpf(float(x)) for x in (a, b, s))
    if a == 1:
        return b * (mpmath.psi(0, b + s) - mpmath.psi(0, b))
    f = mpmath.beta(a, b + s) / mpmath.beta(a, b)
    return ((a + b - 1) - (a + b + s - 1) * f) / (a - 1)


def test_the_cost_of_coverage_keeps_its_digits_everywhere(x64):
    dtype = np.float64 if x64 else np.float32
    sizes = [1e-6, 0.3, 0.9999, 1 - 1e-6, 1.0, 1 + 1e-6, 1.00005, 2.5, 40.0, 1e6]
    a, b, s = (
        np.array(x, dtype).reshape(-1)
        for x in np.meshgrid(sizes, [1e-6, 0.7, 33.0, 1e6], [1.0, 2.5, 400.0, 1e6], indexing="ij")
    )
    found = np.asarray(dt.coverage_cost(a, b, s))
    with mpmath.workdps(50):
        off = [
            abs(f / cost_of(*at) - 1)
            for f, at in zip(found, zip(a, b, s, strict=True), strict=True)
        ]
    assert max(off) < (1e-14 if x64 else 1e-5)
