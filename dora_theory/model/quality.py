"""Qualities of candidates: the softmax of their scores (eq. 4), exact at any temperature."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, checked
from dora_theory._domains import FINITE, POSITIVE, spoiled
from dora_theory._sizes import rounded
from dora_theory.model import on_host


@on_host.small_by(on_host.quality_weights)
@rounded
def quality_weights(
    scores: Real[ArrayLike, "*#batch k"],
    *,
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Qualities w = softmax(R/T_b) of PRM scores.

    Args:
        scores: R, finite, shape `(..., k)`.
        quality_temperature: T_b > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose quality is 0.

    Returns:
        Shape `(..., k)`, sum 1 in each problem that has a candidate. Relative error of a weight
        below (8 + k/2 + |R - max R|/T_b) ulps; a weight below the normal numbers is 0.

    Raises:
        ValueError: NaN or infinite scores, T_b not positive, an empty problem.

    Examples:
        >>> np.asarray(dt.quality_weights(np.array([0.9, 0.8, 0.8, 0.5])), float).round(3)
        array([0.57, 0.21, 0.21, 0.01])

    Source: eq. 4; theory 0.
    """
    return _softmax(*checked_scores(scores, quality_temperature, mask))


@jax.jit
def _softmax(r: Array, t: Array, m: Array) -> Array:
    bad = FINITE.fails(r, 1, m) | POSITIVE.fails(t)
    return spoiled(masked_softmax(r, m, t[..., None]), bad)


def normalized(weights: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    """Weights that sum to 1, where they have a sum."""
    total = weights.sum(-1, keepdims=True)
    shares = weights / jnp.where(total > 0, total, 1)
    # Compiled apart, the sum of a single weight may be an ulp below it, and 1 - Q negative.
    return jnp.where(shares > 1, 1, shares)


def masked_softmax(
    x: Float[Array, "*#batch k"],
    mask: Bool[Array, "*#batch k"],
    temperature: Float[Array, "*#batch 1"] | float = 1.0,
) -> Float[Array, "*batch k"]:
    """Softmax of x/T over the last axis among `mask`; 0 elsewhere, and where all are -inf.

    Args:
        x: below +inf, shape `(..., k)`.
        mask: boolean `(..., k)`.
        temperature: T > 0, scalar or shape `(..., 1)`.

    Returns:
        Shape `(..., k)`, exact to rounding of x - max x, for any T: the largest keep their ties.
    """
    top = jnp.where(mask, x, -jnp.inf).max(-1, keepdims=True)
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0))
    each = jnp.where(mask, boltzmann(jnp.where(mask, x - top, 0), temperature), 0)
    return normalized(each)


@jax.custom_jvp
def boltzmann(gap: Array, temperature: Array | float) -> Array:
    """exp(gap/T) for gap ≤ 0 and T > 0, elementwise; 0 below the normal numbers.

    The difference comes before the quotient. Two quotients r/T and max(r/T) may each be rounded in
    a way of its own where they are compiled apart, by a division here and a reciprocal there, and
    at small T their difference is then anything.
    """
    # A reciprocal of T must not be infinite, for 0/T is 0.
    t = jnp.maximum(temperature, jnp.finfo(gap.dtype).tiny)
    return jnp.exp(gap / t)


@boltzmann.defjvp
def _boltzmann_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    gap, temperature = primals
    by_gap, by_temperature = tangents
    t = jnp.maximum(temperature, jnp.finfo(gap.dtype).tiny)
    each = boltzmann(gap, temperature)
    # No square of T, which may leave the range; and where the value is 0 the slope is.
    near = jnp.where(each > 0, gap / t, 0)
    return each, each * ((by_gap - near * by_temperature) / t)


def checked_scores(
    scores: ArrayLike, quality_temperature: ArrayLike, mask: ArrayLike | None, **more: Argument
) -> tuple[Array, ...]:
    """Scores and temperature, more arguments of theirs, and the mask."""
    return checked(
        mask,
        scores=Argument(scores),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        **more,
    )
