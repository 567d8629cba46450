"""κ by maximum likelihood, against scipy, and against the κ that made the outcomes."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaln, expit, logit

from dora_theory.replay.calibrate.reliability import (
    divisor_method,
    fit_concentration,
    log_likelihood,
)

pytestmark = pytest.mark.slow


def drawn(kappa, groups=250, most=12, seed=0, mean=None):
    generator = np.random.default_rng(seed)
    mean = generator.uniform(0.05, 0.95, groups) if mean is None else mean
    p = generator.beta(kappa * mean, kappa * (1 - mean))
    logged = generator.integers(1, most + 1, groups)
    return mean, logged, generator.binomial(logged, p)


def reference(kappa, mean, n, c):
    a, b = kappa * mean, kappa * (1 - mean)
    return (betaln(a + c, b + n - c) - betaln(a, b)).sum()


@pytest.mark.parametrize("kappa", [1e-3, 0.3, 1.0, 40.0, 1e4])
def test_the_likelihood_is_that_of_the_beta_binomial(float64, kappa):
    data = drawn(2.0, groups=50)
    found = float(log_likelihood(kappa, *(np.asarray(x, float) for x in data)))
    # betaln itself loses what it cancels: digits in proportion to κ.
    assert found == pytest.approx(reference(kappa, *data), rel=1e-10)


@pytest.mark.parametrize("kappa", [0.2, 1.0, 8.0])
def test_as_scipy_finds_it(kappa):
    data = drawn(kappa)
    found = fit_concentration(*data)
    best = minimize_scalar(
        lambda x: -reference(np.exp(x), *data), bounds=(-7, 9), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    assert np.log(found.concentration) == pytest.approx(best.x, abs=1e-5)
    assert found.log_likelihood == pytest.approx(-best.fun, rel=1e-10)
    assert (found.intercept, found.slope, found.warnings) == (0, 1, ())
    for end in (found.low, found.high):
        assert reference(end, *data) == pytest.approx(-best.fun - 3.841458820694124 / 2, abs=1e-4)
    assert found.low < found.concentration < found.high
    assert found.telling == (data[1] >= 2).sum()


def test_recalibration_as_scipy_finds_it():
    truth, logged, correct = drawn(3.0, groups=500, seed=5)
    # Scores that are too sure and too high.
    stated = expit(1.8 * logit(truth) + 0.7)
    found = fit_concentration(stated, logged, correct, recalibrate=True)

    def loss(x):
        mean = expit(x[1] + x[2] * logit(stated))
        return -reference(np.exp(x[0]), mean, logged, correct)

    best = minimize(loss, [0, 0, 1], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
    assert [np.log(found.concentration), found.intercept, found.slope] == pytest.approx(
        best.x, abs=1e-4
    )
    assert found.slope == pytest.approx(1 / 1.8, rel=0.2)
    assert found.concentration == pytest.approx(3, rel=0.4)
    raw = fit_concentration(stated, logged, correct)
    assert raw.log_likelihood < found.log_likelihood - 50
    # The interval allows for α and β being unknown.
    edge = minimize(
        lambda x: loss([np.log(found.high), *x]), best.x[1:], method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-8},
    )  # fmt: skip
    assert edge.fun == pytest.approx(best.fun + 1.9207294, abs=1e-3)


def test_intervals_cover():
    inside = 0
    for seed in range(40):
        found = fit_concentration(*drawn(1.5, seed=seed))
        inside += found.low <= 1.5 <= found.high
    # 38 of 40 in the mean; fewer than 34 happen once in 290 times.
    assert inside >= 34


def test_single_continuations_say_nothing():
    mean, _, _ = drawn(1.0)
    correct = (np.random.default_rng(1).random(mean.size) < mean).astype(int)
    found = fit_concentration(mean, np.ones_like(correct), correct)
    assert (found.low, found.high, found.telling) == (0, np.inf, 0)
    assert found.warnings == (
        "no direction has two logged continuations: the log says nothing of κ",
    )


def test_what_the_likelihood_does_not_bound():
    mean = np.full(100, 0.5)
    ten = np.full(100, 10)
    surely = fit_concentration(mean, ten, ten // 2)
    assert surely.high == np.inf
    assert surely.low > 10
    assert "does not fall toward κ → ∞" in surely.warnings[0]
    split = fit_concentration(mean, ten, np.where(np.arange(100) < 50, 10, 0))
    assert split.low == 0
    assert split.high < 0.2
    assert "does not fall toward κ → 0" in split.warnings[0]
    few = fit_concentration(mean[:5], ten[:5], np.array([2, 5, 5, 8, 5]))
    assert few.warnings[0] == "only 5 directions have two logged continuations or more"


@pytest.mark.parametrize(
    ("mean", "logged", "correct"),
    [([], [], []), ([0.0], [1], [1]), ([np.nan], [1], [1]), ([0.5], [0], [0]), ([0.5], [1], [2])],
)
def test_bad_input(mean, logged, correct):
    with pytest.raises(ValueError, match="needs"):
        fit_concentration(np.array(mean, float), np.array(logged, int), np.array(correct, int))


def test_divisor_methods():
    inf = np.inf
    assert divisor_method(0.4, 0.6) == "compatible with Webster's"
    assert divisor_method(0.4, 1.6) == "compatible with Webster's and Jefferson's"
    assert divisor_method(0.1, 0.4) == "between Adams' and Webster's"
    assert divisor_method(3, 9) == "between Jefferson's and winner takes all"
    assert divisor_method(0, 0.2) == "compatible with Adams'"
    assert divisor_method(2, inf) == "compatible with winner takes all"
    assert divisor_method(0, inf) == "any divisor method"
