"""Eq. 5-7: exact rationals, scipy, edges, masks and batches."""

from fractions import Fraction
from math import prod

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given

from dora_theory.model.objective import (
    any_hit_beta,
    candidate_log_failure,
    log_failure,
    priorities,
    success_probability,
)
from dora_theory.model.priors import BetaPrior


def failure(w: Fraction, kappa: Fraction, n: int) -> Fraction:
    return prod(((kappa * (1 - w) + r) / (kappa + r) for r in range(n)), start=Fraction(1))


@pytest.mark.usefixtures("float64")
@given(
    rows=st.lists(st.tuples(st.integers(0, 64), st.integers(0, 30)), min_size=5, max_size=5),
    kappa=st.integers(1, 4000).map(lambda x: x / 64),
)
def test_equals_exact_rationals(rows, kappa):
    w, n = np.array([x / 64 for x, _ in rows]), np.array([b for _, b in rows])
    exact = prod(failure(Fraction(x, 64), Fraction(kappa), b) for x, b in rows)
    success = float(success_probability(w, kappa, n))
    assert success == pytest.approx(float(1 - exact), rel=1e-14, abs=0)
    if exact:
        assert float(jnp.exp(log_failure(w, kappa, n))) == pytest.approx(float(exact), rel=1e-12)
    else:
        assert float(log_failure(w, kappa, n)) == -np.inf


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("w", "kappa", "n"), [(0.3, 2.0, 4), (0.7, 0.9, 11), (0.05, 30.0, 200)])
def test_is_the_integral_it_stands_for(w, kappa, n):
    """E[(1 - p)^B] by quadrature over the Beta density: no formula is shared."""
    prior = scipy.stats.beta(kappa * w, kappa * (1 - w))
    by_scipy = prior.expect(lambda p: (1 - p) ** n, epsabs=1e-13, epsrel=1e-11, limit=400)
    got = float(jnp.exp(log_failure(np.array([w]), kappa, np.array([n]))))
    assert got == pytest.approx(by_scipy, rel=1e-7)


def test_edges_have_exact_answers(x64):
    zero, one = np.array([0.0, 0.0]), np.array([0.25, 1.0])
    for kappa in (1e-6, 1.0, 1e6):
        assert float(log_failure(zero, kappa, np.array([5, 10**6]))) == 0
        assert float(log_failure(one, kappa, np.array([0, 0]))) == 0
        for run in (success_probability, jax.jit(success_probability)):
            assert not np.signbit(run(one, kappa, np.array([0, 0])))
        assert float(log_failure(one, kappa, np.array([3, 1]))) == -np.inf
        assert float(success_probability(one, kappa, np.array([3, 1]))) == 1
        assert float(success_probability(np.array([0.5]), kappa, np.array([1]))) == pytest.approx(
            0.5
        )


def test_tiny_success_keeps_its_digits(x64):
    w = np.array([1e-9])
    got = float(success_probability(w, 1.0, np.array([1])))
    assert got == pytest.approx(float(w.astype(np.float64 if x64 else np.float32)[0]), rel=2e-7)


def test_mask_hides_values_and_derivatives(x64):
    mask = np.array([True, False, True])
    w, n = np.array([0.3, np.nan, 0.2]), np.array([2.0, np.inf, 3.0])
    kept = np.array([0, 2])
    assert float(log_failure(w, 0.7, n, mask=mask)) == float(log_failure(w[kept], 0.7, n[kept]))
    slope = jax.grad(lambda w, n: log_failure(w, 0.7, n, mask=mask), (0, 1))(
        jnp.asarray(w), jnp.asarray(n)
    )
    inner = jax.grad(lambda w, n: log_failure(w, 0.7, n), (0, 1))(
        jnp.asarray(w[kept]), jnp.asarray(n[kept])
    )
    for x, y in zip(slope, inner, strict=True):
        assert float(x[1]) == 0
        np.testing.assert_array_equal(x[kept], y)


def test_batches_broadcast_and_transform(x64):
    rng = np.random.default_rng(0)
    w, n = rng.uniform(size=(2, 3, 4)), rng.integers(0, 9, size=(2, 3, 4))
    kappa = rng.uniform(0.1, 9, size=(2, 3))
    whole = log_failure(w, kappa, n)
    assert whole.shape == (2, 3)
    np.testing.assert_allclose(whole, jax.jit(log_failure)(w, kappa, n), rtol=1e-6)
    np.testing.assert_allclose(whole, jax.vmap(jax.vmap(log_failure))(w, kappa, n), rtol=1e-6)
    np.testing.assert_allclose(whole, candidate_log_failure(w, kappa, n).sum(-1), rtol=1e-6)
    np.testing.assert_allclose(whole[1, 2], log_failure(w[1, 2], kappa[1, 2], n[1, 2]), rtol=1e-6)
    np.testing.assert_allclose(
        whole,
        log_failure(BetaPrior(kappa[..., None] * w, kappa[..., None] * (1 - w)), None, n),
        rtol=1e-5,
    )
    assert log_failure(w[0, 0], kappa, n[0]).shape == (2, 3)


def test_priorities_are_the_quotients_and_the_posterior_mean():
    w, n = np.array([0.5, 0.25]), np.array([3, 0])
    assert priorities(w, 1.0, n).tolist() == [0.125, 0.25]
    # The next rollout multiplies failure by 1 - κ w/(κ + B), theory 2.1.
    now, after = candidate_log_failure(w, 2.0, n), candidate_log_failure(w, 2.0, n + 1)
    np.testing.assert_allclose(jnp.exp(after - now), 1 - 2.0 * priorities(w, 2.0, n), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.array([0.5, np.nan]), 1.0, np.array([1, 1])), r"weights\[1\] = nan"),
        ((np.array([0.5, 1.5]), 1.0, np.array([1, 1])), r"weights\[1\] = 1.5"),
        ((np.array([0.5, 0.1]), -1.0, np.array([1, 1])), r"concentration = -1.0"),
        ((np.array([0.5, 0.1]), 1.0, np.array([1, -2])), r"allocation\[1\] = -2"),
        ((np.zeros((3, 0)), 1.0, np.zeros((3, 0))), "at least one candidate"),
    ],
)
def test_errors_name_argument_place_and_value(arguments, message):
    for function in (log_failure, success_probability, priorities):
        with pytest.raises(ValueError, match=message):
            function(*arguments)


@pytest.mark.slow
def test_the_slope_of_a_sure_success_in_b(float64):
    """1 - Π (b + r)/(a + b + r) at b = 0, where the logarithm has none."""
    for n in (1, 2, 7):
        a = 1.7

        def failure(b, n=n, a=a):
            return mpmath.fprod((b + r) / (a + b + r) for r in range(n))

        def hit(b, n=n, a=a):
            return any_hit_beta(jnp.array([a]), jnp.array([b]), jnp.array([float(n)]))

        want = -float(mpmath.diff(failure, 0))
        assert float(jax.grad(hit)(0.0)) == pytest.approx(want, rel=1e-12)
