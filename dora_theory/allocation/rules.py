"""The field's rules, each budget-exact and in the paper's literal form (eq. 1-4, 13; theory 3).

A literal form may miss the budget: eq. 1-3 by the remainder of N/M, rounding by several rollouts
(theory 3.2). Budget-exact forms spend N, and equal the literal form where that keeps the budget.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_whole, fit
from dora_theory._domains import spoiled
from dora_theory._sizes import rounded
from dora_theory.allocation import on_host
from dora_theory.allocation.optimal import apportion
from dora_theory.allocation.rounding import (
    checked_scores,
    descending,
    readied,
    round_allocation,
    sequential,
)
from dora_theory.model.directions import segment_max, segment_min
from dora_theory.model.magnitude import magnitude_weighting
from dora_theory.model.quality import quality_weights
from dora_theory.model.weights import checked_both, dora_weights, weighted


@rounded
def temperature_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    literal: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Temperature sampling: the same for every candidate, whatever its score.

    Args:
        scores: finite, shape `(..., k)`; only their shape counts.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        literal: one rollout each, whatever N is.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`; ⌊N/k⌋ each, and one more for the lowest indices until N is spent.

    Raises:
        ValueError: NaN or infinite scores, negative N, shapes that do not fit.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> dt.temperature_allocation(scores, 18)
        Array([5, 5, 4, 4], dtype=int32)

    Source: eq. 1.
    """
    return _everyone(*checked_scores(scores, budget, mask), literal)


@rounded
def beam_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    beam_width: int = 4,
    literal: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Beam search of width M: M rollouts to each of the best N/M candidates.

    Args:
        scores: finite, shape `(..., k)`; ties go to the lowest index.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        beam_width: M ≥ 1.
        literal: M to each of the best min(k, ⌊N/M⌋), and no more.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`; M each from the best down and what is left of N to the next; after the
        last candidate the best is next again, so that N is always spent.

    Raises:
        ValueError: NaN or infinite scores, negative N, M < 1, shapes that do not fit.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> dt.beam_allocation(scores, 16)
        Array([4, 4, 4, 4], dtype=int32)

    Source: eq. 2.
    """
    r, n, m = checked_scores(scores, budget, mask)
    return _beam(r, n, m, check_whole("beam_width", beam_width, 1), literal)


@rounded
def dvts_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    beam_width: int = 4,
    literal: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Diverse verifier tree search: the best of each of N/M groups of candidates.

    Groups are contiguous and as equal as possible, the larger ones first.

    Args:
        scores: finite, shape `(..., k)`; ties go to the lowest index.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        beam_width: M ≥ 1.
        literal: M to the best of each of min(k, ⌊N/M⌋) groups, and no more.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`; N shared over the best of min(k, ⌈N/M⌉) groups as evenly as it goes, what
        is left over to the first groups.

    Raises:
        ValueError: NaN or infinite scores, negative N, M < 1, shapes that do not fit.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> dt.dvts_allocation(scores, 16)
        Array([4, 4, 4, 4], dtype=int32)

    Source: eq. 3; Beeching, Tunstall and Rush, Scaling test-time compute with open models (2024).
    """
    r, n, m = checked_scores(scores, budget, mask)
    return _dvts(r, n, m, check_whole("beam_width", beam_width, 1), literal)


@on_host.small_by(on_host.rebase_allocation)
@rounded
def rebase_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    literal: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """REBASE as the paper states it: in proportion to the softmax of the scores.

    Args:
        scores: finite, shape `(..., k)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        quality_temperature: T_b > 0, scalar or shape `(...)`.
        literal: round(N w_i), whose sum may miss N.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`, Webster's apportionment of N, which equals the literal form wherever that
        keeps the budget (theory 3.3).

    Raises:
        ValueError: as `quality_weights` and `apportion`.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> dt.rebase_allocation(scores, 16)
        Array([10,  3,  3,  0], dtype=int32)

    Source: eq. 4; theory 3.3.
    """
    return _share(
        quality_weights(scores, quality_temperature=quality_temperature, mask=mask),
        budget,
        literal,
        mask,
    )


@rounded
def rebase_sequential_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """REBASE as its own authors run it: rounding up in descending order of score.

    Args:
        scores: finite, shape `(..., k)`; ties go to the lowest index.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        quality_temperature: T_b > 0, scalar or shape `(...)`; REBASE's authors use 0.2.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N, as `sequential_ceiling_allocation`.

    Raises:
        ValueError: as `quality_weights`; negative N.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> dt.rebase_sequential_allocation(scores, 16)
        Array([10,  3,  3,  0], dtype=int32)

    Source: theory 3.1b; Wu et al., Inference scaling laws (arXiv 2408.00724).
    """
    w = quality_weights(scores, quality_temperature=quality_temperature, mask=mask)
    # Ranked by score: the softmax may round unequal scores to equal qualities.
    r, n, m = checked_scores(scores, budget, mask)
    batch, _ = fit(scores=(w.shape, "k"), budget=(n.shape, ""), mask=(m.shape, "k"))
    return sequential(w, r, n, jnp.broadcast_to(m, (*batch, w.shape[-1])))


@on_host.small_by(on_host.dora_allocation)
@rounded
def dora_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    embeddings: Real[ArrayLike, "*#batch k d"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    literal: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """DORA: in proportion to quality times uniqueness.

    Args:
        scores: finite, shape `(..., k)`.
        embeddings: finite and not 0, shape `(..., k, d)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        quality_temperature: T_b > 0, scalar or shape `(...)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        literal: round(N w'_i), whose sum may miss N, and which may give a direction of many copies
            nothing at all (theory 4.4b).
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`, Webster's apportionment of N.

    Raises:
        ValueError: as `dora_weights` and `apportion`.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> embeddings = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
        >>> dt.dora_allocation(scores, embeddings, 16)
        Array([12,  2,  2,  0], dtype=int32)

    Source: eq. 10-13.
    """
    weights = dora_weights(
        scores,
        embeddings,
        quality_temperature=quality_temperature,
        similarity_temperature=similarity_temperature,
        mask=mask,
    )
    return _share(weights, budget, literal, mask)


@rounded
def magnitude_allocation(
    scores: Real[ArrayLike, "*#batch k"],
    embeddings: Real[ArrayLike, "*#batch k d"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    literal: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """In proportion to quality times magnitude weighting: `dora_allocation` with v in place of γ.

    Args:
        scores: finite, shape `(..., k)`.
        embeddings: finite and not 0, shape `(..., k, d)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        quality_temperature: T_b > 0, scalar or shape `(...)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        literal: round(N w'_i), whose sum may miss N.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`, Webster's apportionment of N.

    Raises:
        ValueError: as `quality_weights`, `magnitude_weighting` and `apportion`.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> embeddings = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
        >>> dt.magnitude_allocation(scores, embeddings, 16)
        Array([12,  2,  2,  0], dtype=int32)

    Source: theory 5.6.
    """
    r, e, t, t_s, m = checked_both(
        scores, embeddings, quality_temperature, similarity_temperature, mask
    )
    w = quality_weights(r, quality_temperature=t, mask=m)
    v = magnitude_weighting(e, similarity_temperature=t_s, mask=m)
    return _share(weighted(w, v), budget, literal, mask)


def _share(weights: Array, budget: ArrayLike, literal: bool, mask: ArrayLike | None) -> Array:
    if literal:
        return round_allocation(weights, budget, mask=mask)
    return apportion(weights, budget, mask=mask)


def _place(mask: Array) -> Array:
    """Number of each candidate among those that are no padding."""
    return jnp.cumsum(mask, -1, dtype=jnp.int32) - 1


def _count(mask: Array) -> Array:
    return jnp.maximum(mask.sum(-1, keepdims=True, dtype=jnp.int32), 1)


def _evenly(total: Array, parts: Array, part: Array) -> Array:
    return total // parts + (part < total % parts)


@partial(jax.jit, static_argnames=("literal",))
def _everyone(scores: Array, budget: Array, mask: Array, literal: bool) -> Array:
    _, n, bad = readied(scores, budget, mask)
    each = 1 if literal else _evenly(n[..., None], _count(mask), _place(mask))
    return spoiled(jnp.where(mask, each, 0), bad)


@partial(jax.jit, static_argnames=("literal",))
def _beam(scores: Array, budget: Array, mask: Array, width: Array, literal: bool) -> Array:
    r, n, bad = readied(scores, budget, mask)
    rank = jnp.argsort(descending(r, mask), axis=-1)
    n, k = n[..., None], _count(mask)
    if literal:
        return spoiled(jnp.where(mask & (rank < n // width), width, 0), bad)
    beams, left = n // width, n % width
    given = width * (beams // k + (rank < beams % k)) + jnp.where(rank == beams % k, left, 0)
    return spoiled(jnp.where(mask, given, 0), bad)


@partial(jax.jit, static_argnames=("literal",))
def _dvts(scores: Array, budget: Array, mask: Array, width: Array, literal: bool) -> Array:
    scores, n, bad = readied(scores, budget, mask)
    n, k, place = n[..., None], _count(mask), _place(mask)
    groups = jnp.minimum(k, n // width if literal else -(-n // width))
    g = jnp.maximum(groups, 1)
    size, larger = k // g, k % g
    ahead = larger * (size + 1)
    group = jnp.where(place < ahead, place // (size + 1), larger + (place - ahead) // size)
    group = jnp.where(mask, group, 0)
    segments = scores.shape[-1]
    top = segment_max(jnp.where(mask, scores, -jnp.inf), group, segments)
    best = mask & (scores == jnp.take_along_axis(top, group, -1))
    index = jnp.broadcast_to(jnp.arange(segments, dtype=jnp.int32), scores.shape)
    first = segment_min(jnp.where(best, index, segments), group, segments)
    chosen = (index == jnp.take_along_axis(first, group, -1)) & (groups > 0)
    given = jnp.broadcast_to(width, n.shape) if literal else _evenly(n, g, group)
    return spoiled(jnp.where(chosen, given, 0).astype(jnp.int32), bad)
