"""Beta and gamma draws in log space, by inversion: no rejection, one key for each number drawn.

A draw is a function of (key, problem, lane, sample) alone, by the counter-based generator Philox
(Salmon et al. 2011), so that it does not matter which chunk, device or process computes it, or how
wide the padding is. Rejection would spoil that on a GPU: a warp waits for its unluckiest lane.

How a Beta(a, b) is drawn from three words:

* G ~ Gamma(a + 1) is exp(polynomial in a normal z), the quantile function itself. Only its
  coefficients depend on a, so they are made once for each candidate; each draw is one Horner rule.
* An urn of weights a and b gives up one ball: Beta(a, b) is Beta(a + 1, b) with probability
  a/(a + b) and Beta(a, b + 1) else. And Gamma(a) = Gamma(a + 1) U^{1/a}. So one side needs no power
  of U, and what is left of the word that chose the side is the U of the other:
  logit p = log G_{a+1} - log G_{b+1} + (-log(U)/b or log(U)/a).
"""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float, Key, Real, UInt32

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_key, check_whole, checked, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, spoiled
from dora_theory.kernels.arithmetic import (
    PLAIN,
    Arithmetic,
    Numbers,
    Words,
    log_sigmoid,
    polynomial,
)
from dora_theory.kernels.random_words import (
    LARGEST_Z,
    MOST,
    Stream,
    normals,
    stream,
    unit,
    words,
)

# The polynomial: degrees in 1/sqrt(shape) and in z.
_DEGREES = 10, 14
# 1/sqrt(shape) runs from here (shape 2.5e5; the smooth limit beyond is extrapolated) to 1.
_LEAST_ROOT = 2e-3

# What makes the key of gamma draws from a caller's.
_GAMMA = 0x67616D6D


class BetaDraws(NamedTuple):
    """Draws of p ~ Beta(a, b), as the two logarithms that are exact where p or 1 - p underflows.

    Attributes:
        log_p: log p, shape `(samples, ..., k)`.
        log_q: log(1 - p), of the same shape.
    """

    log_p: Float[Array, "samples *batch k"]
    log_q: Float[Array, "samples *batch k"]


class BetaSetup(NamedTuple):
    """What a Beta(a, b) needs besides random words; arrays of the shape of a and b.

    Attributes:
        rows_a: coefficients of log(G_{a+1}/(b + 1)), ascending, a leading axis of 15.
        rows_b: those of log(G_{b+1}/(b + 1)).
        turned: 1 where a is the smaller of a and b, else 0.
        smaller: the smaller share, min(a, b)/(a + b).
        per_smaller: 1/smaller.
        per_larger: 1/(1 - smaller).
        hit: the power of U if the ball is of the smaller share: -1/b, or 1/a.
        missed: the power of U else.
    """

    rows_a: Numbers
    rows_b: Numbers
    turned: Numbers
    smaller: Numbers
    per_smaller: Numbers
    per_larger: Numbers
    hit: Numbers
    missed: Numbers


def sample_log_beta(
    key: Key[Array, ""] | UInt32[Array, "2"],
    alpha: Real[ArrayLike, "*#batch k"],
    beta: Real[ArrayLike, "*#batch k"],
    num_samples: int,
    *,
    first: int = 0,
) -> BetaDraws:
    """Draws of p ~ Beta(a, b) as log p and log(1 - p).

    Args:
        key: JAX random key. Equal keys give equal draws, whatever the number of problems, of
            candidates (beyond the one in question) or of samples.
        alpha: a ≥ 0, shape `(..., k)`; a = 0 is p = 0.
        beta: b ≥ 0 with a + b > 0, shape `(..., k)`; b = 0 is p = 1.
        num_samples: how many.
        first: number of the first sample, so that samples can be drawn in parts.

    Returns:
        `BetaDraws(log_p, log_q)`, each `(samples, ..., k)`. For a and b from 1e-6 to 1e6 the
        distribution function differs from Beta's by less than 2e-6 in float32 and float64 (words
        have 32 bits); logarithms have the relative accuracy of the dtype.

    Raises:
        ValueError: NaN or negative values, a + b = 0, shapes that do not fit, no candidate.
        TypeError: `key` is not a JAX key.

    Examples:
        >>> draws = dt.sample_log_beta(jax.random.key(0), np.array([0.5]), np.array([2.0]), 100_000)
        >>> round(float(jnp.exp(draws.log_p).mean()), 2)
        0.2

    Source: Salmon et al. (2011) for the generator; the inversion and the urn are explained above.
    """
    check_key("key", key)
    a, b, _ = checked(
        alpha=Argument(alpha, domain=NOT_NEGATIVE), beta=Argument(beta, domain=NOT_NEGATIVE)
    )
    if is_host(alpha) and is_host(beta):
        with np.errstate(over="ignore"):
            total = np.add(alpha, beta, dtype=a.dtype)
        # A device takes subnormal numbers for 0.
        POSITIVE.check("alpha + beta", np.where(total < np.finfo(total.dtype).tiny, 0, total))
    return _log_beta(
        key,
        a,
        b,
        check_whole("num_samples", num_samples, 0, MOST),
        jnp.uint32(check_whole("first", first, 0, MOST)),
    )


def sample_log_gamma(
    key: Key[Array, ""] | UInt32[Array, "2"],
    shape: Real[ArrayLike, "*batch k"],
    num_samples: int,
    *,
    first: int = 0,
) -> Float[Array, "samples *batch k"]:
    """Draws of log G, G ~ Gamma(a) of scale 1.

    Args:
        key: JAX random key. Equal keys give equal draws as for `sample_log_beta`, from whose draws
            for the same key they are independent.
        shape: a ≥ 0, shape `(..., k)`; a = 0 is G = 0.
        num_samples: how many.
        first: number of the first sample.

    Returns:
        Shape `(samples, ..., k)`, as accurate as `sample_log_beta`.

    Raises:
        ValueError: NaN or negative values, no candidate.
        TypeError: `key` is not a JAX key.

    Examples:
        >>> draws = dt.sample_log_gamma(jax.random.key(0), np.array([2.0]), 100_000)
        >>> round(float(jnp.exp(draws).mean()), 1)
        2.0

    Source: Gamma(a) = Gamma(a + 1) U^{1/a}, and inversion.
    """
    check_key("key", key)
    a, _ = checked(shape=Argument(shape, domain=NOT_NEGATIVE))
    return _log_gamma(
        key,
        a,
        check_whole("num_samples", num_samples, 0, MOST),
        jnp.uint32(check_whole("first", first, 0, MOST)),
    )


@partial(jax.jit, static_argnames="samples")
def _log_beta(key: Array, a: Array, b: Array, samples: int, first: Array) -> BetaDraws:
    bad = NOT_NEGATIVE.fails(a, 1) | NOT_NEGATIVE.fails(b, 1) | POSITIVE.fails(a + b, 1)
    a, b = jnp.broadcast_arrays(a, b)
    keys, sample = _places(key, a.shape, samples, first)
    logits = lane_logits(keys, sample, _lanes(a), _lanes(b))
    draws = (_samples_first(log_sigmoid(x)) for x in (logits, -logits))
    return BetaDraws(*(spoiled(x, bad) for x in draws))


@partial(jax.jit, static_argnames="samples")
def _log_gamma(key: Array, a: Array, samples: int, first: Array) -> Array:
    # Beta draws have the words of the key itself.
    keys, sample = _places(jax.random.fold_in(key, _GAMMA), a.shape, samples, first)

    def draw(these: tuple[Array, Array]) -> Array:
        lane, a = these
        first, second, third, _ = words(keys, lane, sample)
        z, _ = normals(first, second, a.dtype)
        uniform = unit(third, a.dtype)
        return jnp.log(a + 1) + polynomial([*_rows(a)], z) + jnp.log(uniform) / a

    draws = _samples_first(jax.lax.map(draw, (jnp.arange(a.shape[-1]), _lanes(a))))
    return spoiled(draws, NOT_NEGATIVE.fails(a, 1))


def lane_logits(keys: Stream, sample: Words, alpha: Numbers, beta: Numbers) -> Numbers:
    """Logits of Beta(a, b) draws for every lane (candidate or direction).

    One lane at a time, which makes XLA write the logits down: fused into what uses them they would
    be drawn again for each use. Samples run fastest, so that a machine vector shares coefficients.

    Args:
        keys: of problems, shape `(..., 1)`.
        sample: numbers of the samples, shape `(S,)`.
        alpha: a of shape `(lanes, ..., 1)`, or `(lanes, ..., S)` if each sample has its own.
        beta: b of the same shape.

    Returns:
        Shape `(lanes, ..., S)`.
    """

    def draw(these: tuple[Array, Array, Array]) -> Array:
        lane, a, b = these
        return beta_logits(keys, lane, sample, setup_beta(a, b))

    return jax.lax.map(draw, (jnp.arange(alpha.shape[0]), alpha, beta))


def _places(
    key: Array, shape: tuple[int, ...], samples: int, first: Array
) -> tuple[Stream, UInt32[Array, " samples"]]:
    batch = shape[:-1]
    problem = jnp.arange(int(np.prod(batch)), dtype=jnp.uint32).reshape(*batch, 1)
    return stream(key, problem), jnp.arange(samples, dtype=jnp.uint32) + first


def _lanes(x: Array) -> Array:
    """From `(..., k)` to `(k, ..., 1)`."""
    return jnp.moveaxis(x, -1, 0)[..., None]


def _samples_first(x: Array) -> Array:
    """From `(k, ..., S)` to `(S, ..., k)`."""
    return jnp.moveaxis(jnp.moveaxis(x, -1, 0), 1, -1)


def _rows(shape: Numbers, more: Numbers | float = 0) -> Numbers:
    """Coefficients in z of log(G/A) + more, G ~ Gamma(A), A = shape + 1, on a leading axis."""
    root = jax.lax.rsqrt(shape + 1)
    t = 2 * (root - _LEAST_ROOT) / (1 - _LEAST_ROOT) - 1
    basis = [jnp.ones_like(t), t]
    for _ in range(_DEGREES[0] - 1):
        basis.append(2 * t * basis[-1] - basis[-2])
    table = _table()
    first, *rest = [
        root * sum(b * np.asarray(c, shape.dtype) for b, c in zip(basis, column, strict=True))
        for column in table.T
    ]
    return jnp.stack([first + more, *rest])


@lru_cache
def _table() -> np.ndarray:
    """Coefficients (Chebyshev in 1/sqrt(A)) × (powers of z) of log(G_A(z)/A) sqrt(A).

    G_A(z) is the quantile of Gamma(A) at the normal probability of z, from scipy. In units of
    1/sqrt(A) the function is smooth from A = 1, an exponential, to A = ∞, a normal, and an error of
    it is one in standard deviations.
    """

    def nodes(n: int) -> np.ndarray:
        return np.cos(np.pi * (np.arange(n) + 0.5) / n)

    t, x = nodes(2 * _DEGREES[0] + 8), nodes(4 * _DEGREES[1])
    root = (_LEAST_ROOT + (1 - _LEAST_ROOT) * (t + 1) / 2)[:, None]
    z = LARGEST_Z * x
    tail = scipy.special.ndtr(-np.abs(z))
    a = np.broadcast_to(root**-2, (t.size, x.size))
    quantile = np.where(
        z < 0, scipy.special.gammaincinv(a, tail), scipy.special.gammainccinv(a, tail)
    )
    values = np.log(quantile / a) / root
    # An error counts as often as it is met; the floor keeps the tails right to 0.002 in z.
    weight = np.exp(-z * z / 2) + 1e-3
    cheb = np.polynomial.chebyshev
    fit = cheb.chebfit(x, cheb.chebfit(t, values, _DEGREES[0]).T, _DEGREES[1], w=weight)
    powers = np.stack([cheb.cheb2poly(column) for column in fit.T])
    return powers / LARGEST_Z ** np.arange(_DEGREES[1] + 1)


def setup_beta(a: Numbers, b: Numbers) -> BetaSetup:
    """What each Beta(a, b) needs; about the work of five draws."""
    rows_a, rows_b = _rows(a, jnp.log((a + 1) / (b + 1))), _rows(b)
    share = a / (a + b)
    turned = share < 0.5
    smaller = jnp.where(turned, share, b / (a + b))
    # A ball of a makes G_b smaller, which is U^{1/b} G_{b+1}, and odds greater.
    of_a, of_b = -1 / b, 1 / a
    return BetaSetup(
        rows_a,
        rows_b,
        turned.astype(a.dtype),
        smaller,
        1 / smaller,
        1 / (1 - smaller),
        jnp.where(turned, of_a, of_b),
        jnp.where(turned, of_b, of_a),
    )


def beta_logits(
    keys: Stream, lane: Words, sample: Words, setup: BetaSetup, by: Arithmetic = PLAIN
) -> Numbers:
    """The logit of p ~ Beta(a, b); keys, lanes, samples and setup broadcast against each other."""
    dtype = setup.smaller.dtype
    first, second, word, _ = words(keys, lane, sample, by)
    z_a, z_b = normals(first, second, dtype, by)
    # The rarer ball is drawn where the number is small, and so compared exactly.
    word = word ^ jnp.where(setup.turned > 0, jnp.uint32(MOST), jnp.uint32(0))
    rarer = word < (setup.smaller * 2.0**32 + 0.5).astype(jnp.uint32)
    drawn = unit(jnp.where(rarer, word, ~word), dtype, by)
    rest = drawn * jnp.where(rarer, setup.per_smaller, setup.per_larger)
    # Below 0 however it is rounded: 0 times infinity, for a = 0, would be NaN.
    log_u = jnp.minimum(by.log_of_unit(rest, 1), -jnp.finfo(dtype).epsneg)
    gammas = polynomial([*setup.rows_a], z_a, by) - polynomial([*setup.rows_b], z_b, by)
    return by.fused(log_u, jnp.where(rarer, setup.hit, setup.missed), gammas)
