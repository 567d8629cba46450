"""From candidates to directions and back: labels, sums over a direction, pooled quality (eq. 9)."""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, array_of
from dora_theory._checks import Argument, as_mask, check_whole, fit, host_labels, host_mask, is_host
from dora_theory._domains import FINITE, POSITIVE, Labels, spoiled
from dora_theory.model.quality import boltzmann, checked_scores, masked_softmax, normalized

Pool = Literal["mean-exp", "max", "mean"]


def direction_weights(
    scores: Real[ArrayLike, "*#batch k"],
    directions: Int[ArrayLike, "*#batch k"],
    num_directions: int,
    *,
    pool: Pool = "mean-exp",
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch g"]:
    """Qualities Q of directions: softmax of their pooled scores.

    How one pools matters when scores differ within a direction (theory 4.6): the mean of
    exponentials, DORA's, is inflated by noise, the mean of scores is not, and the maximum grows
    with the number of candidates.

    Args:
        scores: PRM scores R, shape `(..., k)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        num_directions: g.
        pool: `"mean-exp"` (log mean exp(R/T_b)), `"max"` or `"mean"`.
        quality_temperature: T_b > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        Shape `(..., g)`, sum 1; 0 for a label that no candidate has.

    Raises:
        ValueError: as `quality_weights`; a label out of range, an unknown pool.

    Examples:
        >>> np.asarray(dt.direction_weights(np.array([0.9, 0.8, 0.8]), np.array([0, 1, 1]),
        ...     2), float).round(3)
        array([0.731, 0.269])

    Source: eq. 9; theory 4.6.
    """
    if pool not in get_args(Pool):
        raise ValueError(f"pool = {pool!r}: needs one of {', '.join(get_args(Pool))}")
    g = check_whole("num_directions", num_directions, 1)
    given = Argument(directions, domain=Labels(0, g - 1))
    r, t, labels, m = checked_scores(scores, quality_temperature, mask, directions=given)
    return _direction_weights(r, t, labels, m, g, pool)


def pooled_weights(
    weights: Float[Array, "*#batch k"],
    directions: Int[Array, "*#batch k"],
    num_directions: int,
    *,
    pool: Pool,
    mask: Bool[Array, "*#batch k"],
) -> Float[Array, "*batch g"]:
    """As `direction_weights`, from qualities w instead of scores R = T_b log w.

    The mean of exponentials is then the mean of w and the mean the geometric mean. Not by way of
    the scores: a logarithm and its exponential would break ties.

    Args:
        weights: w ≥ 0, shape `(..., k)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        num_directions: g.
        pool: as `direction_weights`.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        Shape `(..., g)`, sum 1, unless all weights are 0; 0 for a label that no candidate has.
    """
    g = num_directions
    count = segment_sum(mask.astype(weights.dtype), directions, g)
    members = jnp.maximum(count, 1)
    top = jnp.where(count > 0, segment_max(jnp.where(mask, weights, 0), directions, g), 0)
    if pool == "max":
        return normalized(top)
    # Over the largest, which makes the mean of equal weights exact.
    base = jnp.where(top > 0, top, 1)
    each = jnp.where(mask, weights / jnp.take_along_axis(base, directions, -1), 1)
    if pool == "mean":
        logs = segment_sum(jnp.where(mask, jnp.log(each), 0), directions, g)
        return normalized(top * jnp.exp(logs / members))
    return normalized(top * (segment_sum(jnp.where(mask, each, 0), directions, g) / members))


def direction_totals(
    values: Real[ArrayLike, "*#batch k"],
    directions: Int[ArrayLike, "*#batch k"],
    num_directions: int,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Real[Array, "*batch g"]:
    """Sum over the candidates of each direction, of rollouts or of weights.

    Args:
        values: shape `(..., k)`, integer or real.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        num_directions: g.
        mask: boolean `(..., k)`; candidates that are false count for nothing.

    Returns:
        Shape `(..., g)`, of the dtype of `values`; 0 for a label that no candidate has.

    Raises:
        ValueError: a label out of range, shapes that do not fit.

    Examples:
        >>> dt.direction_totals(np.array([3, 2, 1, 4]), np.array([0, 0, 0, 1]), 2)
        Array([6, 4], dtype=int32)

    Source: theory 4.1.
    """
    g = check_whole("num_directions", num_directions, 1)
    x = array_of(values)
    labels = host_labels("directions", directions)
    there = None if mask is None else host_mask(mask)
    shapes = {"values": (x.shape, "k"), "directions": (labels.shape, "k")}
    batch, sizes = fit(**shapes, **({} if there is None else {"mask": (there.shape, "k")}))
    if is_host(x):
        FINITE.check("values", x, there)
    Labels(0, g - 1).check("directions", labels, there)
    m = as_mask(there, (*batch, sizes["k"]))
    return _totals(jnp.asarray(x), jnp.asarray(labels), m, g)


@partial(jax.jit, static_argnames="segments")
def _totals(x: Array, labels: Array, mask: Array, segments: int) -> Array:
    labels, bad = sound_labels(labels, mask, segments)
    bad |= FINITE.fails(x, 1, mask)
    return spoiled(segment_sum(jnp.where(mask, x, 0), labels, segments), bad)


def sound_labels(labels: Array, mask: Array, num_directions: int) -> tuple[Array, Array]:
    """Labels of the shape of the mask, 0 for padding and what is none; problems that have such."""
    sound = Labels(0, num_directions - 1).holds(labels)
    bad = (mask & ~sound).any(-1)
    return jnp.where(mask & sound, labels, 0).astype(jnp.int32), bad


def segment_sum(values: Array, labels: Array, segments: int) -> Array:
    """Sums of `values` `(..., k)` by label, `(..., segments)`: one scatter for the whole batch."""
    shape = jnp.broadcast_shapes(values.shape, labels.shape)
    values, flat = jnp.broadcast_to(values, shape), _flat(labels, shape, segments)
    rows = int(np.prod(shape[:-1]))
    out = jax.ops.segment_sum(values.reshape(-1), flat, rows * segments)
    return out.reshape(*shape[:-1], segments)


def _flat(labels: Array, shape: tuple[int, ...], segments: int) -> Array:
    rows = int(np.prod(shape[:-1]))
    labels = jnp.broadcast_to(labels, shape).reshape(rows, shape[-1])
    return (labels + segments * jnp.arange(rows, dtype=jnp.int32)[:, None]).reshape(-1)


def segment_max(values: Array, labels: Array, segments: int) -> Array:
    """Maxima of `values` `(..., k)` by label, `(..., segments)`; the least value where none is."""
    flat = _flat(labels, values.shape, segments)
    rows = int(np.prod(values.shape[:-1]))
    out = jax.ops.segment_max(values.reshape(-1), flat, rows * segments)
    return out.reshape(*values.shape[:-1], segments)


def segment_min(values: Array, labels: Array, segments: int) -> Array:
    """Minima of `values` `(..., k)` by label, `(..., segments)`; the largest where none is."""
    return -segment_max(-values, labels, segments)


@partial(jax.jit, static_argnames=("segments", "pool"))
def _direction_weights(
    r: Array, t: Array, labels: Array, mask: Array, segments: int, pool: Pool
) -> Array:
    labels, bad = sound_labels(labels, mask, segments)
    bad |= FINITE.fails(r, 1, mask) | POSITIVE.fails(t)
    r, t = jnp.broadcast_to(r, mask.shape), t[..., None]
    count = segment_sum(mask.astype(r.dtype), labels, segments)
    exists = count > 0
    members = jnp.maximum(count, 1)
    top = segment_max(jnp.where(mask, r, -jnp.inf), labels, segments)
    base = jnp.where(exists, top, 0)
    # Below the best of the direction: equal scores leave no rounding for a small T_b to magnify.
    gap = jnp.where(mask, r - jnp.take_along_axis(base, labels, -1), 0)
    if pool == "mean":
        base += segment_sum(gap, labels, segments) / members
    shares = masked_softmax(base, exists, t)
    if pool == "mean-exp":
        each = jnp.where(mask, boltzmann(gap, t), 0)
        shares = normalized(shares * (segment_sum(each, labels, segments) / members))
    return spoiled(shares, bad)
