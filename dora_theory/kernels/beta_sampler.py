"""Beta and gamma draws in log space, by inversion: no rejection, one key for each number drawn.

A draw is a function of (key, problem, lane, sample) alone, by the counter-based generator Threefry
(Salmon et al. 2011), so that it does not matter which chunk, device or process computes it, or how
wide the padding is. Rejection would spoil that on a GPU: a warp waits for its unluckiest lane.

How a Beta(a, b) is drawn from three words:

* G ~ Gamma(a + 1) is exp(polynomial in a normal z), the quantile function itself. Only its
  coefficients depend on a, so they are made once for each candidate; each draw is one Horner rule.
* An urn of weights a and b gives up one ball: Beta(a, b) is Beta(a + 1, b) with probability
  a/(a + b) and Beta(a, b + 1) else. And Gamma(a) = Gamma(a + 1) U^{1/a}. So one side needs no power
  of U, and what is left of the word that chose the side is the U of the other:
  logit p = log G_{a+1} - log G_{b+1} + (E/b or -E/a), with E exponential.
"""

import operator
from collections.abc import Callable
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

# The polynomial: degrees in 1/sqrt(shape) and in z, and its domain. P(|z| > 5.5) is 4e-8, which is
# about what the 32 bits of a word resolve; z beyond counts as 5.5.
_DEGREES = 10, 14
_LARGEST_Z = 5.5
# 1/sqrt(shape) runs from here (shape 2.5e5; the smooth limit beyond is extrapolated) to 1.
_LEAST_ROOT = 2e-3

# Rotations of Threefry-2x32, and the constant that makes the third word of its key.
_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
_PARITY = 0x1BD11BDA
# 13 rounds are the fewest that pass BigCrush (Salmon et al., table 2), 20 their recommendation.
_ROUNDS = 20
# Terms of the series of atanh at 1/3 before they fall below rounding.
_ATANH_TERMS = {np.dtype("float32"): 7, np.dtype("float64"): 16}

# What makes the key of gamma draws from a caller's.
_GAMMA = 0x67616D6D
# The largest word.
_MOST = 2**32 - 1

Words = UInt32[Array, "..."]
_Real = Float[Array, "..."]
Plus = Callable[[Words, Words], Words]


class BetaDraws(NamedTuple):
    """Draws of p ~ Beta(a, b), as the two logarithms that are exact where p or 1 - p underflows.

    Attributes:
        log_p: log p, shape `(samples, ..., k)`.
        log_q: log(1 - p), of the same shape.
    """

    log_p: Float[Array, "samples *batch k"]
    log_q: Float[Array, "samples *batch k"]


class Stream(NamedTuple):
    """The key of each problem: two words, of shape `(...)` or `()`."""

    first: Words
    second: Words


class BetaSetup(NamedTuple):
    """What a Beta(a, b) needs besides random words; arrays of the shape of a and b.

    Attributes:
        rows_a: coefficients of log G_{a+1}, ascending, a leading axis of 15.
        rows_b: those of log G_{b+1}.
        ratio: log((a + 1)/(b + 1)).
        share: a/(a + b).
        inverse_a: 1/a, infinite for a = 0.
        inverse_b: 1/b.
    """

    rows_a: _Real
    rows_b: _Real
    ratio: _Real
    share: _Real
    inverse_a: _Real
    inverse_b: _Real


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
        POSITIVE.check("alpha + beta", np.add(alpha, beta, dtype=a.dtype))
    return _log_beta(
        key,
        a,
        b,
        check_whole("num_samples", num_samples, 0, _MOST),
        jnp.uint32(check_whole("first", first, 0, _MOST)),
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
        check_whole("num_samples", num_samples, 0, _MOST),
        jnp.uint32(check_whole("first", first, 0, _MOST)),
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
        z, _ = normals(*words(keys, 2 * lane, sample), a.dtype)
        uniform = unit(words(keys, 2 * lane + 1, sample)[0], a.dtype)
        return jnp.log(a + 1) + _horner(_rows(a), z) + jnp.log(uniform) / a

    draws = _samples_first(jax.lax.map(draw, (jnp.arange(a.shape[-1]), _lanes(a))))
    return spoiled(draws, NOT_NEGATIVE.fails(a, 1))


def lane_logits(keys: Stream, sample: Words, alpha: _Real, beta: _Real) -> _Real:
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


def stream(key: Array, problem: Words, purpose: int = 0) -> Stream:
    """The keys of problems, from a JAX key of any kind, the problem's number and what for."""
    seed = jax.random.bits(key, (2,), jnp.uint32)
    return Stream(*threefry(seed[0], seed[1], problem, jnp.full_like(problem, purpose)))


def words(
    keys: Stream, lane: Words | Array, sample: Words | Array, plus: Plus = operator.add
) -> tuple[Words, Words]:
    """Two random words for each (problem, lane, sample), which broadcast."""
    lane, sample = jnp.broadcast_arrays(jnp.asarray(lane, jnp.uint32), sample)
    return threefry(keys.first, keys.second, lane, sample, plus)


def threefry(
    k0: Words, k1: Words, x0: Words, x1: Words, plus: Plus = operator.add
) -> tuple[Words, Words]:
    """Threefry-2x32 of counters x under keys k, elementwise and broadcasting; `plus` adds words."""
    schedule = k0, k1, k0 ^ k1 ^ np.uint32(_PARITY)
    x0, x1 = x0 + k0, x1 + k1
    for i in range(_ROUNDS):
        turn = _ROTATIONS[i // 4 % 2][i % 4]
        x0 = plus(x0, x1)
        x1 = x0 ^ ((x1 << turn) | (x1 >> (32 - turn)))
        if i % 4 == 3:
            n = i // 4 + 1
            x0, x1 = x0 + schedule[n % 3], x1 + schedule[(n + 1) % 3] + np.uint32(n)
    return x0, x1


def unit(word: Words, dtype: np.dtype) -> _Real:
    """Uniform in (0, 1], with full relative precision near 0; `~word` is its complement."""
    return (word.astype(dtype) + 0.5) * np.asarray(2.0**-32, dtype)


def normals(first: Words, second: Words, dtype: np.dtype) -> tuple[_Real, _Real]:
    """Two independent normals from two words (Box and Muller 1958)."""
    radius = jnp.sqrt(-2 * jnp.log(unit(first, dtype)))
    # The top two bits are the quadrant, the rest an angle of at most π/4 either way, where short
    # polynomials do: the library's sine and cosine, reduced for any argument, cost ten times more.
    angle = (second << 2).astype(jnp.int32).astype(dtype) * np.asarray(np.pi / 2 * 2.0**-32, dtype)
    square = angle * angle
    sine = angle * _series(square, 1)
    cosine = _series(square, 0)
    # A quarter turn swaps the two up to a sign, which the angle already has; a half turn is a sign.
    swap, flip = (second >> 30) & 1 == 1, (second >> 31) == 1
    radius = jnp.where(flip, -radius, radius)
    return radius * jnp.where(swap, sine, cosine), radius * jnp.where(swap, cosine, sine)


def _series(square: _Real, odd: int) -> _Real:
    """Cosine of x, or sin(x)/x for |x| ≤ π/4 by Taylor's series, from x²; to 1e-13 or 3e-8."""
    total = jnp.zeros_like(square)
    for n in range(7 if square.dtype == jnp.float64 else 4, -1, -1):
        total = total * square + (-1) ** n / float(scipy.special.factorial(2 * n + odd))
    return total


def _rows(shape: _Real) -> _Real:
    """Coefficients in z of log(G/A), G ~ Gamma(A), A = shape + 1, ascending on a leading axis."""
    root = jax.lax.rsqrt(shape + 1)
    t = 2 * (root - _LEAST_ROOT) / (1 - _LEAST_ROOT) - 1
    basis = [jnp.ones_like(t), t]
    for _ in range(_DEGREES[0] - 1):
        basis.append(2 * t * basis[-1] - basis[-2])
    table = _table()
    rows = [
        root * sum(b * np.asarray(c, shape.dtype) for b, c in zip(basis, column, strict=True))
        for column in table.T
    ]
    return jnp.stack(rows)


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
    z = _LARGEST_Z * x
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
    return powers / _LARGEST_Z ** np.arange(_DEGREES[1] + 1)


def _horner(rows: _Real, z: _Real) -> _Real:
    z = jnp.clip(z, -_LARGEST_Z, _LARGEST_Z)
    total = rows[-1] * jnp.ones_like(z)
    for row in rows[-2::-1]:
        total = total * z + row
    return total


def setup_beta(a: _Real, b: _Real) -> BetaSetup:
    """What each Beta(a, b) needs; about the work of five draws."""
    return BetaSetup(_rows(a), _rows(b), jnp.log((a + 1) / (b + 1)), a / (a + b), 1 / a, 1 / b)


def beta_logits(
    keys: Stream, lane: Words, sample: Words, setup: BetaSetup, plus: Plus = operator.add
) -> _Real:
    """The logit of p ~ Beta(a, b); keys, lanes, samples and setup broadcast against each other."""
    dtype = setup.ratio.dtype
    z_a, z_b = normals(*words(keys, 2 * lane, sample, plus), dtype)
    word, _ = words(keys, 2 * lane + 1, sample, plus)
    low, high = unit(word, dtype), unit(~word, dtype)
    share = setup.share
    # Each side is compared where it is small, and so exactly.
    ours = jnp.where(share < 0.5, high < share, low > 1 - share)
    rest = jnp.where(ours, high, low) * jnp.where(ours, 1 / share, 1 / (1 - share))
    # Not 1, which would be 0 times infinity for a = 0.
    boost = -jnp.log(jnp.minimum(rest, 1 - jnp.finfo(dtype).epsneg))
    side = boost * jnp.where(ours, setup.inverse_b, -setup.inverse_a)
    return setup.ratio + _horner(setup.rows_a, z_a) - _horner(setup.rows_b, z_b) + side


def log_sigmoid(logits: _Real) -> _Real:
    """log(1/(1 + e^-x)), relatively exact at both ends."""
    small = jnp.exp(-jnp.abs(logits))
    return jnp.minimum(logits, 0) - _log1p(small / (2 + small))


def _log1p(s: _Real) -> _Real:
    """log((1 + s)/(1 - s)) for 0 ≤ s ≤ 1/3: log(1 + x) at s = x/(2 + x), -log(1 - x) at x/(2 - x).

    Relatively exact, and half the price of the library's, which is made for any x.
    """
    square = s * s
    total = jnp.zeros_like(s)
    for n in range(_ATANH_TERMS[s.dtype], -1, -1):
        total = total * square + 2 / (2 * n + 1)
    return s * total
