"""The log ratio of rising factorials and its derivatives against 80-digit mpmath, on a grid."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dora_theory.model.pochhammer import log_failure_of, log_rising_ratio

KAPPA = [1e-6, 1e-4, 1e-2, 0.1, 0.5, 1, 3, 10, 100, 1e3, 1e4, 1e5, 1e6]
W = [0, 1e-9, 1e-6, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1 - 1e-6, 1 - 1e-9, 1]
N = [0, 1, 2, 3, 5, 10, 16, 17, 33, 100, 1000, 1e4, 1e5, 1e6, 0.5, 2.7]


@functools.cache
def grid(dtype: type) -> tuple[np.ndarray, ...]:
    return tuple(x.ravel().astype(dtype) for x in np.meshgrid(W, KAPPA, N, indexing="ij"))


@functools.cache
def truth(dtype: type) -> dict[str, np.ndarray]:
    """Value and derivatives at the rounded floats, from lgamma and digamma at 80 digits."""
    names = ("value", "w", "kappa", "n", "a", "b")
    out: dict[str, list] = {name: [] for name in names}
    with mpmath.workdps(80):
        lg, psi = mpmath.loggamma, functools.partial(mpmath.psi, 0)
        for row in zip(*grid(dtype), strict=True):
            w, kappa, n = (mpmath.mpf(float(x)) for x in row)
            b = kappa * (1 - w)
            if b == 0:
                found = [mpmath.mpf("-inf") if n else mpmath.mpf(0)] + [mpmath.mpf(0)] * 5
            else:
                value = lg(b + n) - lg(b) - lg(kappa + n) + lg(kappa) if w else mpmath.mpf(0)
                by_a = psi(kappa) - psi(kappa + n)
                by_b = psi(b + n) - psi(b) + by_a if w else mpmath.mpf(0)
                by_n = psi(b + n) - psi(kappa + n) if w else mpmath.mpf(0)
                by_kappa = w * by_a + (1 - w) * by_b
                found = [value, kappa * (by_a - by_b), by_kappa, by_n, by_a, by_b]
            for name, x in zip(names, found, strict=True):
                out[name].append(x)
    return {name: np.array(x, dtype=object) for name, x in out.items()}


def worst(got: np.ndarray, expected: np.ndarray, where: np.ndarray) -> float:
    """Largest relative error; where the truth is 0 or infinite, it must be met exactly."""
    error = 0.0
    for x, y in zip(got[where], expected[where], strict=True):
        if y == 0 or mpmath.isinf(y):
            assert float(x) == float(y)
        else:
            error = max(error, float(abs((mpmath.mpf(float(x)) - y) / y)))
    return error


@pytest.fixture
def dtype(x64: bool) -> type:
    return np.float64 if x64 else np.float32


def test_value_on_the_whole_grid(dtype):
    w, kappa, n = map(jnp.asarray, grid(dtype))
    assert w.dtype == dtype
    got = np.asarray(jax.jit(log_failure_of)(w, kappa, n))
    everywhere = np.ones(got.shape, bool)
    bound = 1e-14 if dtype is np.float64 else 1e-6
    assert worst(got, truth(dtype)["value"], everywhere) < bound


def test_derivatives_on_the_whole_grid(dtype):
    w, kappa, n = map(jnp.asarray, grid(dtype))

    @jax.jit
    def slopes(w, kappa, n):
        quality = jax.vmap(jax.grad(log_failure_of, (0, 1, 2)))(w, kappa, n)
        shapes = jax.vmap(jax.grad(log_rising_ratio, (0, 1, 2)))(kappa * w, kappa * (1 - w), n)
        return dict(zip(("w", "kappa", "n", "a", "b"), (*quality, *shapes[:2]), strict=True))

    got = {name: np.asarray(x) for name, x in slopes(w, kappa, n).items()}
    close = 1e-14 if dtype is np.float64 else 1e-6
    bounds = {"w": close, "n": close, "a": close, "b": close}
    bounds["kappa"] = 1e-11 if dtype is np.float64 else 1e-4
    for name, bound in bounds.items():
        assert np.isfinite(got[name]).all(), name
        where = np.asarray(w) < 1
        if name == "kappa":
            # Exactly 0 in truth at n = 1, where only its terms' size can be met (see below).
            where &= np.asarray(n) != 1
        assert worst(got[name], truth(dtype)[name], where) < bound, name
    one = (np.asarray(n) == 1) & (np.asarray(w) < 1)
    eps = np.finfo(dtype).eps
    assert np.all(np.abs(got["kappa"][one] * np.asarray(kappa)[one]) < 4 * eps)


def test_certain_candidate_has_derivative_zero_by_convention(dtype):
    one, n = jnp.ones((), dtype), jnp.asarray(3, dtype)
    slopes = jax.grad(log_failure_of, (0, 1, 2))(one, one, n)
    assert [float(x) for x in slopes] == [0, 0, 0]


@pytest.mark.slow
def test_second_derivatives_match_differences(float64):
    def f(x):
        return log_failure_of(x[0], x[1], x[2])

    slope, curvature = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
    for point in ([0.3, 0.7, 5.0], [0.01, 40.0, 2.5], [0.9, 3e4, 100.0]):
        x = jnp.array(point)
        hessian = curvature(x)
        for i in range(3):
            h = 1e-5 * x[i]
            step = jnp.zeros(3).at[i].set(h)
            difference = (slope(x + step) - slope(x - step)) / (2 * h)
            np.testing.assert_allclose(hessian[i], difference, rtol=1e-5)
        assert np.isfinite(hessian).all()


def test_small_weights_keep_their_digits_down_to_the_normal_numbers(x64, dtype):
    """Products of a small w or a leave the range long before the result does."""
    rng = np.random.default_rng(26)
    tiny = np.log10(np.finfo(dtype).tiny)
    w, kappa = 10 ** rng.uniform(tiny + 1, 0, 300), 10 ** rng.uniform(-6, 6, 300)
    n = np.round(10 ** rng.uniform(0, 6, 300))
    # Pairs whose sum, not each of which, is in the stated range.
    other = np.where(np.arange(300) % 3, kappa * (1 - w), 10 ** rng.uniform(-25, 0, 300))
    w, kappa, n, b = (x.astype(dtype) for x in (w, kappa, n, other))
    a = np.maximum(w * kappa, 2 * np.finfo(dtype).tiny)
    a = np.where(a + b < 1e-6, dtype(1e-6), a)
    value = np.asarray(jax.jit(log_failure_of)(w, kappa, n))
    slopes = [
        np.asarray(jax.jit(jax.vmap(jax.grad(log_rising_ratio, i)))(a, b, n)) for i in range(3)
    ]
    bound, least = (1e-14, 1e-300) if x64 else (1e-6, 1e-36)
    with mpmath.workdps(700 if x64 else 80):
        lg, psi = mpmath.loggamma, functools.partial(mpmath.psi, 0)
        for i in range(0, 300, 10 if x64 else 1):
            x, y, c, m, k = (mpmath.mpf(float(v[i])) for v in (a, b, w, n, kappa))
            d = k * (1 - c)
            expected = lg(d + m) - lg(d) - lg(k + m) + lg(k)
            by_a, by_n = psi(x + y) - psi(x + y + m), psi(y + m) - psi(x + y + m)
            pairs = [(value[i], expected), (slopes[0][i], by_a), (slopes[2][i], by_n)]
            pairs.append((slopes[1][i], psi(y + m) - psi(y) + by_a))
            for got, of in pairs:
                if abs(of) > least:
                    assert abs(float(got) / of - 1) < bound, (a[i], b[i], w[i], n[i], kappa[i])
