r"""What a wrong allocation over directions costs, in closed form (theory 4.2-4.7, 5.3, 5.6, 6.1).

Counting candidates instead of directions spends Q̂_j ∝ k_j Q_j. Similarity weights are between that
and the aim Q: in the block model, where candidates have cosine s_in within a direction and s_out
between directions, the mass of a direction is ∝ Q_j k_j/(k_j + θ). θ = 0 is the aim and θ = ∞ is
Q̂, so one number says how far a similarity model is from its aim. KL(Q‖Q̂) is the loss in log
utility and exp KL, for many rollouts, the factor by which more of them are needed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, checked, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, Domain, spoiled
from dora_theory.model.quality import normalized

_COSINE, _AT_LEAST_ONE = Domain(-1, 1), Domain(1)
_THETA = Domain(0, infinite=True)
# Above it exponents underflow, and would make 0/0 of a quotient.
_TEMPERATURE = Domain(0, 1e30, low_open=True)


def solution_level_shares(
    direction_weights: Real[ArrayLike, "*#batch g"], sizes: Real[ArrayLike, "*#batch g"]
) -> Float[Array, "*batch g"]:
    """Shares Q̂_j = k_j Q_j / Σ k_l Q_l that directions receive when candidates are counted.

    Args:
        direction_weights: Q ≥ 0 of each direction, shape `(..., g)`, on any scale.
        sizes: k ≥ 0, number of candidates of each direction, shape `(..., g)`.

    Returns:
        Shape `(..., g)`, sum 1 unless every product is 0. Relative error of a few ulps.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit.

    Examples:
        >>> np.asarray(dt.solution_level_shares(np.array([0.5, 0.5]), np.array([3, 1])),
        ...     float).round(3)
        array([0.75, 0.25])

    Source: Proposition 2; theory 4.2.
    """
    return direction_mass(direction_weights, sizes, jnp.inf)


def direction_mass(
    direction_weights: Real[ArrayLike, "*#batch g"],
    sizes: Real[ArrayLike, "*#batch g"],
    theta: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch g"]:
    """Share of each direction under similarity weights, ∝ Q_j k_j/(k_j + θ).

    Args:
        direction_weights: Q ≥ 0 of each direction, shape `(..., g)`, on any scale.
        sizes: k ≥ 0, number of candidates of each direction, shape `(..., g)`.
        theta: θ in [0, ∞], scalar or shape `(...)`: 0 gives Q, ∞ the solution-level shares.

    Returns:
        Shape `(..., g)`, sum 1 unless every product is 0; a direction without candidates has none.
        Relative error of a few ulps, also as θ → 0 and θ → ∞.

    Raises:
        ValueError: NaN or negative values, infinite Q or k, shapes that do not fit.

    Examples:
        >>> np.asarray(dt.direction_mass(np.array([0.5, 0.5]), np.array([3, 1]), 1.0),
        ...     float).round(3)
        array([0.6, 0.4])

    Source: theory 4.5, 5.6.
    """
    q, k, t, _ = checked(
        promote=True,
        direction_weights=Argument(direction_weights, "g", NOT_NEGATIVE),
        sizes=Argument(sizes, "g", NOT_NEGATIVE),
        theta=Argument(theta, "", _THETA),
    )
    return _direction_mass(q, k, t)


@jax.jit
def _direction_mass(q: Array, k: Array, t: Array) -> Array:
    bad = NOT_NEGATIVE.fails(q, 1) | NOT_NEGATIVE.fails(k, 1) | _THETA.fails(t)
    # k/(k + θ) up to a factor: with u = 1/(1 + θ) it is k/(k u + 1 - u), right for θ = ∞ too.
    aim = (1 / (1 + t))[..., None]
    low, high = jnp.where(t > 1, 1, t), jnp.where(t > 1, t, 1)
    drift = jnp.where(t > 1, 1 / (1 + 1 / high), low / (1 + low))
    reach = k * aim + drift[..., None]
    share = q * (k / jnp.where(reach > 0, reach, 1))
    return spoiled(normalized(jnp.where(reach > 0, share, 0)), bad)


def kl_divergence(
    p: Real[ArrayLike, "*#batch g"], q: Real[ArrayLike, "*#batch g"]
) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence KL(p‖q) = Σ p log(p/q), in nats.

    Summed as p (d - log(1 + d)) with d = (q - p)/p, whose terms are all ≥ 0: nothing cancels, and
    nearly equal distributions have the right digits.

    Args:
        p: probabilities, shape `(..., g)`.
        q: probabilities, shape `(..., g)`.

    Returns:
        Shape `(...)`, ≥ 0, 0 iff p = q, ∞ where some p > 0 has q = 0. Relative error below 1e-13
        in float64 and 1e-5 in float32, p and q being taken as they are. Where they do not sum to 1
        it is the generalized divergence, Σ p log(p/q) - p + q. Differentiable; derivatives that
        are infinite, in p where p = 0 < q and of what is ∞, are 0 by convention.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit.

    Examples:
        >>> round(float(dt.kl_divergence(np.array([0.5, 0.5]), np.array([0.75, 0.25]))), 4)
        0.1438

    Source: Proposition 2; theory 4.2.
    """
    a, b, _ = checked(
        promote=True, p=Argument(p, "g", NOT_NEGATIVE), q=Argument(q, "g", NOT_NEGATIVE)
    )
    return _kl_divergence(a, b)


@jax.jit
def _kl_divergence(a: Array, b: Array) -> Array:
    bad = NOT_NEGATIVE.fails(a, 1) | NOT_NEGATIVE.fails(b, 1)
    a, b = jnp.broadcast_arrays(a, b)
    there, both = a > 0, (a > 0) & (b > 0)
    p, q = jnp.where(both, a, 1), jnp.where(both, b, 1)
    each = p * _excess((q - p) / p, q / p)
    infinite = jnp.where(there, jnp.inf, b)
    return spoiled(jnp.where(both, each, infinite).sum(-1), bad, 0)


def similarity_theta(
    num_candidates: Real[ArrayLike, "*#batch"],
    similarity_within: Real[ArrayLike, "*#batch"],
    similarity_between: Real[ArrayLike, "*#batch"],
    similarity_temperature: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """θ of DORA's uniqueness in the block model, (1 - a + K b)/(a - b).

    a = exp(-(1 - s_in)/T_s) and b = exp(-(1 - s_out)/T_s). It grows without bound as T_s → ∞, and
    also as T_s → 0 unless s_in = 1.

    Args:
        num_candidates: K ≥ 1, number of candidates of all directions together.
        similarity_within: s_in in (-1, 1], cosine of two candidates of one direction.
        similarity_between: s_out in [-1, s_in), cosine of candidates of different directions.
        similarity_temperature: T_s in (0, 1e30].

    Returns:
        θ in [0, ∞], for `direction_mass`; ∞ where it exceeds the working dtype. Relative error
        below (4 + (1 - s_out)/T_s) ulps of the differences of the cosines.

    Raises:
        ValueError: NaN, infinite or out of range; shapes that do not fit.

    Examples:
        >>> round(float(dt.similarity_theta(16, 0.95, 0.7, 0.1)), 4)
        2.1375

    Source: theory 4.5.
    """
    return _similarity_theta(
        *_block_model(
            similarity_within,
            similarity_between,
            similarity_temperature,
            Argument(num_candidates, "", _AT_LEAST_ONE),
        )
    )


def magnitude_theta(
    similarity_within: Real[ArrayLike, "*#batch"],
    similarity_between: Real[ArrayLike, "*#batch"],
    similarity_temperature: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """θ of magnitude weighting in the block model, (1 - a)/(a - b), which is below DORA's.

    It falls with T_s, to its limit (1 - s_in)/(s_in - s_out).

    Args: as `similarity_theta`.

    Returns:
        θ in [0, ∞], for `direction_mass`; ∞ where it exceeds the working dtype. Relative error as
        `similarity_theta`.

    Raises:
        ValueError: NaN, infinite or out of range; shapes that do not fit.

    Examples:
        >>> round(float(dt.magnitude_theta(0.95, 0.7, 0.1)), 4)
        0.7067

    Source: theory 5.6.
    """
    return _magnitude_theta(
        *_block_model(similarity_within, similarity_between, similarity_temperature)
    )


def specht_ratio(imbalance: Real[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """Largest price exp KL(Q‖Q̂) that directions of imbalance h can have, over all Q.

    S(h) = (h - 1) h^{1/(h - 1)}/(e ln h): the largest ratio of an arithmetic to a geometric mean of
    numbers in [1, h].

    Args:
        imbalance: h = k_max/k_min ≥ 1, any shape.

    Returns:
        Same shape, ≥ 1, exactly 1 at h = 1. Relative error of a few ulps.

    Raises:
        ValueError: NaN, infinite or below 1.

    Examples:
        >>> round(float(dt.specht_ratio(10.0)), 4)
        1.8571

    Source: theory 4.7; Specht, Mathematische Zeitschrift 74 (1960).
    """
    h, _ = checked(imbalance=Argument(imbalance, "", _AT_LEAST_ONE))
    return _specht_ratio(h)


@jax.jit
def _specht_ratio(h: Array) -> Array:
    # With x = (h - 1)/ln h, the logarithmic mean of 1 and h, it is x exp(1/x - 1).
    more = jnp.where(h > 1, h - 1, 1)
    mean = jnp.where(h > 1, more / jnp.log1p(more), 1)
    return spoiled(mean * jnp.exp(1 / mean - 1), _AT_LEAST_ONE.fails(h), 0)


def sharpened_quality(
    direction_weights: Real[ArrayLike, "*#batch g"], rounds: Real[ArrayLike, "*#batch"]
) -> Float[Array, "*batch g"]:
    """Shares ∝ Q_j^t of directions after t rounds in which copies keep the score of their origin.

    Args:
        direction_weights: Q ≥ 0, shape `(..., g)`, on any scale.
        rounds: t ≥ 0, integer or real, scalar or shape `(...)`.

    Returns:
        Shape `(..., g)`, sum 1 unless all Q are 0; a direction of Q = 0 has none. Relative error
        below (4 + t |log(Q/max Q)|) ulps.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit.

    Examples:
        >>> np.asarray(dt.sharpened_quality(np.array([0.6, 0.4]), 3), float).round(3)
        array([0.771, 0.229])

    Source: theory 6.1.
    """
    q, t, _ = checked(
        promote=True,
        direction_weights=Argument(direction_weights, "g", NOT_NEGATIVE),
        rounds=Argument(rounds, "", NOT_NEGATIVE),
    )
    return _sharpened(q, t)


@jax.jit
def _sharpened(q: Array, t: Array) -> Array:
    bad = NOT_NEGATIVE.fails(q, 1) | NOT_NEGATIVE.fails(t)
    t = t[..., None]
    # Of the ratio to the largest, which changes no share: a power near 1 keeps its digits.
    top = jax.lax.stop_gradient(q.max(-1, keepdims=True))
    ratio = q / jnp.maximum(top, jnp.finfo(q.dtype).tiny)
    # 0^0 is no share, but at other powers 0 has the slope that it has.
    any_ = (q > 0) | (t > 0)
    return spoiled(normalized(jnp.where(any_, jnp.where(any_, ratio, 1) ** t, 0)), bad)


def noise_inflation(
    noise: Real[ArrayLike, "*#batch"],
    quality_temperature: Real[ArrayLike, "*#batch"],
    sizes: Real[ArrayLike, "*#batch"],
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """What score noise does to the mean of e^{R/T_b} over a direction: its factor, its spread.

    Args:
        noise: standard deviation σ ≥ 0 of normal noise, independent for each candidate.
        quality_temperature: T_b > 0.
        sizes: k ≥ 1, number of candidates of the direction.

    Returns:
        `(factor, spread)`, the expected mean over that without noise, exp(σ²/(2 T_b²)), and the
        standard deviation of the mean over its expectation, √(expm1(σ²/T_b²)/k).

    Raises:
        ValueError: NaN, infinite or out of range; shapes that do not fit.

    Examples:
        >>> factor, spread = dt.noise_inflation(0.1, 0.1, 4)
        >>> round(float(factor), 3), round(float(spread), 3)
        (1.649, 0.655)

    Source: theory 4.6.
    """
    s, t, k, _ = checked(
        promote=True,
        noise=Argument(noise, "", NOT_NEGATIVE),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        sizes=Argument(sizes, "", _AT_LEAST_ONE),
    )
    return _noise_inflation(s, t, k)


@jax.jit
def _noise_inflation(s: Array, t: Array, k: Array) -> tuple[Array, Array]:
    bad = NOT_NEGATIVE.fails(s) | POSITIVE.fails(t) | _AT_LEAST_ONE.fails(k)
    s, t, k = jnp.broadcast_arrays(s, t, k)
    ratio = s / t
    square = ratio**2
    # Not the root of expm1: at 0 it has an infinite slope.
    positive = square > 0
    growth = jnp.where(positive, jnp.expm1(square) / jnp.where(positive, square, 1), 1)
    factor, spread = jnp.exp(square / 2), ratio * jnp.sqrt(growth / k)
    return spoiled(factor, bad, 0), spoiled(spread, bad, 0)


def _block_model(
    similarity_within: ArrayLike,
    similarity_between: ArrayLike,
    similarity_temperature: ArrayLike,
    *more: Argument,
) -> tuple[Array, ...]:
    """The cosines, T_s and more numbers, checked."""
    s, o, t, *rest, _ = checked(
        promote=True,
        similarity_within=Argument(similarity_within, "", _COSINE),
        similarity_between=Argument(similarity_between, "", _COSINE),
        similarity_temperature=Argument(similarity_temperature, "", _TEMPERATURE),
        **({"num_candidates": more[0]} if more else {}),
    )
    if is_host(similarity_within) and is_host(similarity_between):
        gap = np.subtract(similarity_within, similarity_between, dtype=s.dtype)
        POSITIVE.check("similarity_within - similarity_between", gap)
    return s, o, t, *rest


def _gaps(s: Array, o: Array, t: Array) -> tuple[Array, Array, Array]:
    """(1 - s_in)/T_s and (s_in - s_out)/T_s, and where they are not sound."""
    bad = _COSINE.fails(s) | _COSINE.fails(o) | POSITIVE.fails(s - o) | _TEMPERATURE.fails(t)
    return (1 - s) / t, (s - o) / t, bad


@jax.jit
def _similarity_theta(s: Array, o: Array, t: Array, k: Array) -> Array:
    spread, gap, bad = _gaps(s, o, t)
    theta = (jnp.expm1(spread) + k * jnp.exp(-gap)) / -jnp.expm1(-gap)
    return spoiled(theta, bad | _AT_LEAST_ONE.fails(k), 0)


@jax.jit
def _magnitude_theta(s: Array, o: Array, t: Array) -> Array:
    spread, gap, bad = _gaps(s, o, t)
    return spoiled(jnp.expm1(spread) / -jnp.expm1(-gap), bad, 0)


def _excess(d: Array, more: Array) -> Array:
    """The excess d - log(1 + d) for d ≥ -1, given 1 + d, without cancellation.

    With s = d/(2 + d), log(1 + d) = 2 artanh s: near 0 the excess is s d - 2 (s³/3 + s⁵/5 + …).
    """
    near = jnp.abs(d) < 0.25
    s = jnp.where(near, d / (2 + d), 0)
    tail = jnp.zeros_like(s)
    # |s| ≤ 1/7: the first term left out is below 1e-18 of the sum.
    for power in range(23, 1, -2):
        tail = tail * s * s + 2 / power
    return jnp.where(near, s * (d - s * s * tail), d - jnp.log(jnp.where(near, 1, more)))
