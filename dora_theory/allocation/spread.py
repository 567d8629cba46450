"""From the rollouts of directions to those of their candidates, as even as it goes (theory 5.1)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import as_mask, fit, host_count, host_labels, host_mask, is_host, labeled
from dora_theory._domains import COUNT, Labels, at, spoiled
from dora_theory.model.directions import segment_sum, sound_labels

# Up to so many candidates, comparing all pairs is faster than sorting twice.
_FEW = 64


def spread_evenly(
    totals: Real[ArrayLike, "*#batch g"],
    directions: Int[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Rollouts of candidates from those of directions: as even as it goes, more to lower indices.

    Args:
        totals: integer rollouts of each direction, shape `(..., g)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`, with the sum of the totals.

    Raises:
        ValueError: negative totals, a label out of range, rollouts for a label that none has.

    Examples:
        >>> dt.spread_evenly(np.array([7, 2]), np.array([0, 0, 0, 1]))
        Array([3, 2, 2, 2], dtype=int32)

    Source: theory 5.1 (a).
    """
    t, labels = host_count("totals", totals), host_labels("directions", directions)
    there = None if mask is None else host_mask(mask)
    shapes = {"totals": (t.shape, "g"), "directions": (labels.shape, "k")}
    batch, sizes = fit(**shapes, **({} if there is None else {"mask": (there.shape, "k")}))
    Labels(0, sizes["g"] - 1).check("directions", labels, there)
    if is_host(t) and is_host(labels) and is_host(there):
        lost = (t > 0) & ~labeled(labels, there, sizes["g"])
        if lost.any():
            place = tuple(int(i) for i in np.argwhere(lost)[0])
            value = np.broadcast_to(t, lost.shape)[place]
            raise ValueError(f"{at('totals', place)} = {value}: no candidate has this direction")
    m = as_mask(there, (*batch, sizes["k"]))
    return spread_totals(jnp.asarray(t), jnp.asarray(labels), m)


@jax.jit
def spread_totals(totals: Array, labels: Array, mask: Array) -> Array:
    """`spread_evenly` of arrays that are checked, or bad and then -1."""
    g = totals.shape[-1]
    totals = jnp.broadcast_to(totals, (*mask.shape[:-1], g))
    labels, bad = sound_labels(labels, mask, g)
    members = segment_sum(mask.astype(jnp.int32), labels, g)
    bad |= COUNT.fails(totals, 1) | ((totals > 0) & (members == 0)).any(-1)
    return spoiled(_spread(totals, labels, mask, jnp.maximum(members, 1)), bad)


@jax.jit
def _spread(totals: Array, labels: Array, mask: Array, members: Array) -> Array:
    g = totals.shape[-1]
    rank = (_rank_by_counting if labels.shape[-1] <= _FEW else _rank_by_sorting)(labels, mask, g)
    each = jnp.take_along_axis(totals // members, labels, -1)
    more = rank < jnp.take_along_axis(totals % members, labels, -1)
    return jnp.where(mask, each + more, 0).astype(jnp.int32)


def _rank_by_counting(labels: Array, mask: Array, g: int) -> Array:
    """How many candidates of the same direction come before each: k² comparisons."""
    k = labels.shape[-1]
    same = (labels[..., :, None] == labels[..., None, :]) & mask[..., None, :]
    return (same & jnp.tri(k, k=-1, dtype=bool)).sum(-1, dtype=jnp.int32)


def _rank_by_sorting(labels: Array, mask: Array, g: int) -> Array:
    """The same: the place in the stable order of labels, less the place where the label starts."""
    order = jnp.argsort(jnp.where(mask, labels, g), axis=-1, stable=True)
    place = jnp.argsort(order, axis=-1).astype(jnp.int32)
    count = segment_sum(mask.astype(jnp.int32), labels, g)
    start = jnp.cumsum(count, -1, dtype=jnp.int32) - count
    return place - jnp.take_along_axis(start, labels, -1)
