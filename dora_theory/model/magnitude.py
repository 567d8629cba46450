r"""Magnitude weighting: uniqueness that counts a cluster once at any temperature (theory 5.6).

For the kernel Z_ij = exp(-(1 - S_ij)/T_s), DORA's γ is 1/(Z 1)_i. Magnitude weighting takes v with
Z v = 1 instead, the weighting behind the magnitude of a metric space. Where Z is ill-conditioned
that v has large values of both signs, which no budget can follow. What is computed here is

    the v ≥ 0 that maximizes 2 Σ v_i - v'Zv,

which equals Z⁻¹1 wherever that is not negative, is unique for positive definite Z, and gives 0 to
a candidate that the others already represent (Z v ≥ 1 there). Candidates that are one to rounding
share one value evenly. Two things make the program one with a stable solution: the diagonal is
raised by rounding error (10 k eps), and, for similarities that no embeddings have, by the least
amount that leaves Z positive semi-definite.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, mask_of
from dora_theory._domains import FINITE, NOT_NEGATIVE, POSITIVE, spoiled
from dora_theory._sizes import rounded
from dora_theory.kernels.varying import varying_with
from dora_theory.model.directions import segment_sum
from dora_theory.model.similarity import checked_similarity, cosine_similarity

# Whole sets are exchanged until this many exchanges have not helped; then single candidates.
_PATIENCE = 3


@rounded
def magnitude_weighting(
    embeddings: Real[ArrayLike, "*batch k d"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    ridge: Real[ArrayLike, "*#batch"] = 0.0,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Magnitude weighting v ≥ 0 of candidates by their embeddings.

    Args:
        embeddings: e, finite and not 0, shape `(..., k, d)`, on any scale.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        ridge: added to the diagonal of Z, ≥ 0, scalar or shape `(...)`: noise in the embeddings, in
            units of Z, that distinguish no candidate.
        mask: boolean `(..., k)`, false for padding, whose v is 0.

    Returns:
        As `magnitude_weighting_from_similarity` of their cosine similarity.

    Raises:
        ValueError: NaN, infinite or zero embeddings, T_s not positive, negative ridge.

    Examples:
        >>> embeddings = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
        >>> np.asarray(dt.magnitude_weighting(embeddings), float).round(3)
        array([1.   , 0.501, 0.501, 1.   ])

    Source: theory 5.6; Leinster and Meckes, Maximizing diversity in biology and beyond (2016).
    """
    similarity = cosine_similarity(embeddings, mask=mask)
    return magnitude_weighting_from_similarity(
        similarity, similarity_temperature=similarity_temperature, ridge=ridge, mask=mask
    )


@rounded
def magnitude_weighting_from_similarity(
    similarity: Real[ArrayLike, "*#batch k k"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    ridge: Real[ArrayLike, "*#batch"] = 0.0,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Magnitude weighting v ≥ 0 of candidates by their similarity.

    Args:
        similarity: S, finite, shape `(..., k, k)`. Its symmetric part counts (v'Zv sees no other),
            and a candidate is taken as one with itself, whatever the diagonal says.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        ridge: added to the diagonal of Z, ≥ 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose v is 0.

    Returns:
        v ≥ 0, shape `(..., k)`, the maximum of 2 Σv - v'(Z + ridge)v. Equals Z⁻¹1 to cond(Z)
        (10 k + 100) ulps where that is positive. O(k³) a problem and exchange, typically 2 to
        6 exchanges.

    Raises:
        ValueError: NaN or infinite similarity, T_s not positive, negative ridge, a matrix that is
            not square.

    Examples:
        >>> dt.magnitude_weighting_from_similarity(np.eye(3))
        Array([0.9999964, 0.9999964, 0.9999964], dtype=float32)

    Source: theory 5.6.
    """
    extra = Argument(ridge, "", NOT_NEGATIVE)
    return _weighting(*checked_similarity(similarity, similarity_temperature, mask, ridge=extra))


@jax.jit
def _weighting(s: Array, t: Array, ridge: Array, mask: Array) -> Array:
    both = mask_of(mask, "k k")
    bad = FINITE.fails(s, 2, both) | POSITIVE.fails(t) | NOT_NEGATIVE.fails(ridge)
    bad = jnp.broadcast_to(bad, mask.shape[:-1])
    # What is bad is solved as if nothing were alike, so that no exchange goes on and on.
    s = jnp.where(both & ~bad[..., None, None], s, 0)
    t, ridge = (jnp.where(bad, 1, x) for x in (t, ridge))
    v = _weightings(s, t, mask, ridge)
    return spoiled(v, bad)


def _weightings(s: Array, t: Array, mask: Array, ridge: Array) -> Array:
    # Batched by hand: `checkify` has no rule for a loop under `vmap`.
    k = s.shape[-1]
    eps = float(jnp.finfo(s.dtype).eps)
    eye = jnp.eye(k, dtype=bool)
    s = jnp.where(eye, 1, 0.5 * (s + jnp.swapaxes(s, -1, -2)))
    leader = leaders(s, mask, 16 * eps)
    leads = mask & (leader == jnp.arange(k))
    both = leads[..., :, None] & leads[..., None, :]
    z = jnp.where(both, jnp.exp(-(1 - s) / t[..., None, None]), eye)
    lowest = jnp.linalg.eigvalsh(jax.lax.stop_gradient(z))[..., 0]
    # By how many candidates there are: padding changes no result.
    rounding = 10 * eps * mask.sum(-1, dtype=s.dtype)
    raised = jnp.maximum(-lowest, 0) + rounding
    z = z + jnp.where(eye, (raised + ridge)[..., None, None], 0)
    fixed = jax.lax.stop_gradient(z)
    free = free_set(
        lambda free: solve_for_ones(fixed, free),
        lambda v: jnp.einsum("...ij,...j->...i", fixed, v, precision=jax.lax.Precision.HIGHEST),
        leads,
        slack=rounding[..., None],
    )
    v = jnp.maximum(solve_for_ones(z, free), 0)
    members = jnp.maximum(segment_sum(mask.astype(s.dtype), leader, k), 1)
    return jnp.where(mask, jnp.take_along_axis(v / members, leader, -1), 0)


def leaders(s: Array, mask: Array, slack: Array | float) -> Array:
    """The lowest index that each candidate is one with, to rounding."""
    k = s.shape[-1]
    index = jnp.arange(k, dtype=jnp.int32)
    both = mask[..., :, None] & mask[..., None, :]
    same = (s >= 1 - slack) & both | jnp.eye(k, dtype=bool)
    leader = jnp.where(same, index, k).min(-1)
    # A chain of near copies has one leader too: each step halves its length.
    for _ in range(max(k.bit_length(), 1)):
        leader = jnp.take_along_axis(leader, leader, -1)
    return leader


def solve_for_ones(z: Array, free: Array) -> Array:
    """Solves (Z v)_i = 1 for the free candidates, with v_i = 0 for the others."""
    both = free[..., :, None] & free[..., None, :]
    system = jnp.where(both, z, jnp.eye(z.shape[-1], dtype=bool))
    factor = jax.scipy.linalg.cho_factor(system)
    found = jax.scipy.linalg.cho_solve(factor, free.astype(z.dtype)[..., None])[..., 0]
    return jnp.where(free, found, 0)


def free_set(
    solve: Callable[[Array], Array],
    multiply: Callable[[Array], Array],
    candidates: Array,
    *,
    slack: float | Array,
    negative: float | Array = 0.0,
    most: int | None = None,
) -> Array:
    """The candidates with v > 0, by block principal pivoting.

    Júdice and Pires, Computers & Operations Research 21 (1994). All infeasible candidates change
    sides at once while that leaves fewer of them; else the last one does, which must end (Murty).

    Args:
        solve: from a boolean `(..., k)` of free candidates the v with Z v = 1 on them, 0 elsewhere.
        multiply: from v to Z v.
        candidates: that may be free, shape `(..., k)`.
        slack: Z v may fall short of 1 by this, in units of the largest |v| or 1.
        negative: v above minus this, in the same units, counts as not negative.
        most: exchanges after which to stop; by default so many that none is left.

    Returns:
        A boolean `(..., k)`.
    """
    k = candidates.shape[-1]
    most = 10 * k + 100 if most is None else most

    def infeasible(free: Array) -> Array:
        v = solve(free)
        # A tie (v = 0 and Z v = 1) stays where it is.
        scale = jnp.maximum(jnp.abs(v).max(-1, keepdims=True), 1)
        short = 1 - multiply(v)
        return candidates & jnp.where(free, v < -negative * scale, short > slack * scale)

    def open_(state: tuple) -> Array:
        _, bad, _, _, turn = state
        return bad.any(-1) & (turn < most)

    def exchange(state: tuple) -> tuple:
        free, bad, fewest, patience, turn = state
        still = open_(state)
        count = bad.sum(-1, dtype=jnp.int32)
        better = count < fewest
        last = jnp.arange(k) == k - 1 - jnp.argmax(bad[..., ::-1], -1, keepdims=True)
        patient = jnp.where(better, _PATIENCE, patience - 1)
        all_ = (better | (patient >= 0))[..., None]
        # Those that are done stay as they are.
        flipped = free ^ (jnp.where(all_, bad, last) & still[..., None])
        fewest = jnp.where(still, jnp.minimum(count, fewest), fewest)
        patience = jnp.where(still, patient, patience)
        return flipped, infeasible(flipped), fewest, patience, turn + still

    bad = infeasible(candidates)
    zero = jnp.zeros(candidates.shape[:-1], jnp.int32)
    state = candidates, bad, zero + (k + 1), zero + _PATIENCE, zero
    return jax.lax.while_loop(
        lambda state: jnp.any(open_(state)), exchange, varying_with(state, bad)
    )[0]
