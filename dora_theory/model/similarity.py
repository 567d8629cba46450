"""Quality and directions: from scores and embeddings to weights (eq. 8-12, theory 4).

Quality is a softmax of PRM scores. The uniqueness γ of a candidate is its own share of a softmax
over similarities: 1/k for one of k copies that are alike and unlike all others. DORA weighs by w γ.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import (
    as_float,
    as_mask,
    check_candidates,
    check_range,
    check_whole,
    common_shape,
    is_concrete,
)
from dora_theory.kernels.dispatch import Implementation
from dora_theory.kernels.similarities import Precision, similarity_sums, unit_vectors

# Rows and columns of similarity held at once: 2 MiB in float64.
_BLOCK = 512
# Float32 by float32 products lose ten bits on matrix units that round their input; T_s = 0.01
# would make that an error of 10%.
_PRECISE = jax.lax.Precision.HIGHEST


def quality_weights(
    scores: Real[ArrayLike, "*#batch k"],
    temperature: Real[ArrayLike, "*#batch"] = 0.1,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Qualities w = softmax(R/T_b) of PRM scores.

    Args:
        scores: R, finite, shape `(..., k)`.
        temperature: T_b > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose quality is 0.

    Returns:
        Shape `(..., k)`, sum 1 in each problem that has a candidate. Relative error of a weight
        below (8 + k/2 + |R - max R|/T_b) roundings; a weight below the normal numbers is 0.

    Raises:
        ValueError: NaN or infinite scores, T_b not positive, an empty problem.

    Source: eq. 4; theory 0.
    """
    return _softmax(*checked_scores(scores, temperature, mask))


def cosine_similarity(
    embeddings: Real[ArrayLike, "*batch k d"], *, mask: Bool[ArrayLike, "*#batch k"] | None = None
) -> Float[Array, "*batch k k"]:
    """Cosine similarity S of each pair of candidates.

    Args:
        embeddings: e, finite and not 0, shape `(..., k, d)`, on any scale.
        mask: boolean `(..., k)`; rows and columns of padding are 0.

    Returns:
        Shape `(..., k, k)`, diagonal exactly 1. Absolute error below (d + 4) roundings.

    Raises:
        ValueError: NaN, infinite or zero embeddings, an empty problem.

    Source: eq. 10.
    """
    return _cosines(*unit_embeddings(embeddings, mask))


def affinity(
    similarity: Real[ArrayLike, "*#batch k k"],
    temperature: Real[ArrayLike, "*#batch"] = 0.01,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k k"]:
    """Affinity P: softmax of each row of S/T_s.

    Args:
        similarity: S, finite, shape `(..., k, k)`.
        temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`; rows and columns of padding are 0.

    Returns:
        Shape `(..., k, k)`; rows sum to 1. Error of an entry as that of `quality_weights`.

    Raises:
        ValueError: NaN or infinite similarity, T_s not positive, a matrix that is not square.

    Source: eq. 11.
    """
    return _affinity(*checked_similarity(similarity, temperature, mask))


def uniqueness_from_similarity(
    similarity: Real[ArrayLike, "*#batch k k"],
    temperature: Real[ArrayLike, "*#batch"] = 0.01,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Uniqueness γ from similarities: the diagonal of the row softmax of S/T_s.

    Args:
        similarity: S, finite, shape `(..., k, k)`; need not be symmetric.
        temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose γ is 0.

    Returns:
        Shape `(..., k)`, in [0, 1]. Relative error below (8 + k/2 + d_i/T_s) roundings, where d_i
        is how far S_ii is below the largest of its row; 0 where exp(-d_i/T_s) is below the normal
        numbers. For cosines d_i is 0 and γ at least 1/k.

    Raises:
        ValueError: NaN or infinite similarity, T_s not positive, a matrix that is not square.

    Source: eq. 12.
    """
    return _own_affinity(*checked_similarity(similarity, temperature, mask))


def uniqueness(
    embeddings: Real[ArrayLike, "*batch k d"],
    temperature: Real[ArrayLike, "*#batch"] = 0.01,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
    block_size: int = _BLOCK,
    precision: Precision = "full",
    implementation: Implementation = "auto",
) -> Float[Array, "*batch k"]:
    """Uniqueness γ_i = 1/Σ_j exp((S_ij - 1)/T_s), with no more than a block of S at a time.

    Args:
        embeddings: e, finite and not 0, shape `(..., k, d)`, on any scale.
        temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose γ is 0.
        block_size: rows and columns of S held at once; memory is O(k d + block_size²) a problem.
        precision: `"full"` is that of the dtype; `"tf32"` and `"bfloat16"` round embeddings as
            matrix units take them, and are for float32.
        implementation: `"pallas"` for the GPU kernel, `"reference"` for `jax.numpy`, `"auto"` for
            the kernel where there is a GPU that runs it. Sums are in another order.

    Returns:
        Shape `(..., k)`, in [1/k, 1]. Relative error below (d + 4)/T_s + k + 4 roundings: 1e-11 in
        float64 at the paper's T_s = 0.01 for d and k up to 384, 5e-3 in float32. The coarser
        modes also move the exponent of a pair by at most 2u sqrt(2 (1 - S))/T_s, where u = 2^-11
        for `"tf32"` and 2^-8 for `"bfloat16"`: copies count as copies in any of them, and what
        halves γ at T_s = 0.01 (S = 0.993) moves by a hundredth or a tenth.

    Raises:
        ValueError: NaN, infinite or zero embeddings, T_s not positive, an empty problem, an unknown
            precision or a coarse one in float64, a kernel asked for that cannot run.

    Source: eq. 10-12.
    """
    e, m = checked_embeddings(embeddings, mask)
    t = _temperature("temperature", temperature, e.dtype)
    common_shape(embeddings=e.shape[:-2], temperature=t.shape, mask=m.shape[:-1])
    block = check_whole("block_size", block_size, 1)
    return _uniqueness(e, t, m, precision, block, implementation)


def dora_weights(
    scores: Real[ArrayLike, "*#batch k"],
    embeddings: Real[ArrayLike, "*#batch k d"],
    *,
    temperature: Real[ArrayLike, "*#batch"] = 0.1,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """DORA's weights w' ∝ w γ.

    Args:
        scores: PRM scores R, shape `(..., k)`.
        embeddings: e, finite and not 0, shape `(..., k, d)`.
        temperature: T_b > 0 of the quality softmax, scalar or shape `(...)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose weight is 0.

    Returns:
        Shape `(..., k)`, sum 1 in each problem that has a candidate.

    Raises:
        ValueError: as `quality_weights` and `uniqueness`.

    Source: eq. 13.
    """
    w = quality_weights(scores, temperature, mask=mask)
    gamma = uniqueness(embeddings, similarity_temperature, mask=mask)
    return _product(w, gamma)


@jax.jit
def _softmax(r: Array, t: Array, m: Array) -> Array:
    return masked_softmax(r, m, t)


@jax.jit
def _cosines(unit: Array, m: Array) -> Array:
    similarity = jnp.einsum("...id,...jd->...ij", unit, unit, precision=_PRECISE)
    eye = jnp.eye(unit.shape[-2], dtype=bool)
    both = m[..., :, None] & m[..., None, :]
    return jnp.where(both, jnp.where(eye, 1, similarity), 0)


@jax.jit
def _affinity(s: Array, t: Array, m: Array) -> Array:
    rows = masked_softmax(s, m[..., None, :], t[..., None])
    return jnp.where(m[..., :, None], rows, 0)


@jax.jit
def _own_affinity(s: Array, t: Array, m: Array) -> Array:
    return jnp.diagonal(_affinity(s, t, m), axis1=-2, axis2=-1)


@partial(jax.jit, static_argnames=("precision", "block", "implementation"))
def _uniqueness(
    e: Array,
    t: Array,
    m: Array,
    precision: Precision,
    block: int,
    implementation: Implementation,
) -> Array:
    batch = jnp.broadcast_shapes(e.shape[:-2], t.shape, m.shape[:-1])
    m = jnp.broadcast_to(m, (*batch, m.shape[-1]))
    total = similarity_sums(
        jnp.broadcast_to(e, (*batch, *e.shape[-2:])),
        m.astype(e.dtype),
        jnp.broadcast_to(t, batch),
        m,
        precision=precision,
        block=block,
        implementation=implementation,
    )
    return jnp.where(m, 1 / jnp.where(m, total, 1), 0)


@jax.jit
def _product(w: Array, share: Array) -> Array:
    return normalised(w * share)


def normalised(weights: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    """Weights that sum to 1, where they have a sum."""
    total = weights.sum(-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)


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
    return normalised(each)


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
    scores: ArrayLike, temperature: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Scores of the full shape, 0 for padding; temperature `(..., 1)`; mask."""
    r = as_float("scores", scores)
    check_candidates("scores", r)
    t = _temperature("temperature", temperature, r.dtype)
    shape = jnp.broadcast_shapes(r.shape, (*t.shape, 1), () if mask is None else np.shape(mask))
    m = as_mask(mask, shape)
    check_range("scores", r, mask=m)
    return (*_scored(r, t, m), m)


@jax.jit
def _scored(r: Array, t: Array, m: Array) -> tuple[Array, Array]:
    return jnp.where(m, r, 0), t[..., None]


def _temperature(name: str, temperature: ArrayLike, dtype: np.dtype) -> Array:
    t = as_float(name, temperature).astype(dtype)
    check_range(name, t, 0, low_open=True)
    return t


def checked_similarity(
    similarity: ArrayLike, temperature: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Similarity of the full shape, 0 for padding; temperature `(..., 1)`; mask `(..., k)`."""
    s = as_float("similarity", similarity)
    if s.ndim < 2 or s.shape[-1] != s.shape[-2] or s.shape[-1] == 0:
        raise ValueError(f"similarity: needs a square matrix, got shape {s.shape}")
    t = _temperature("temperature", temperature, s.dtype)
    rows = jnp.broadcast_shapes(s.shape[:-1], (*t.shape, 1), () if mask is None else np.shape(mask))
    m = as_mask(mask, rows)
    s, t, both = _compared(s, t, m)
    check_range("similarity", similarity, mask=both)
    return s, t, m


@jax.jit
def _compared(s: Array, t: Array, m: Array) -> tuple[Array, Array, Array]:
    both = m[..., :, None] & m[..., None, :]
    return jnp.where(both, s, 0), t[..., None], both


def checked_embeddings(embeddings: ArrayLike, mask: ArrayLike | None) -> tuple[Array, Array]:
    """Embeddings as they are, and the mask."""
    e = as_float("embeddings", embeddings)
    if e.ndim < 2 or 0 in e.shape[-2:]:
        raise ValueError(f"embeddings: needs a vector for each candidate, got shape {e.shape}")
    m = as_mask(mask, e.shape[:-1])
    check_range("embeddings", e, mask=np.asarray(m)[..., None] if is_concrete(m) else m)
    if is_concrete(e) and is_concrete(m):
        # XLA takes subnormal numbers for 0.
        zero = np.asarray(m) & ~np.any(np.abs(np.asarray(e)) >= jnp.finfo(e.dtype).tiny, -1)
        if zero.any():
            place = ", ".join(map(str, np.argwhere(zero)[0]))
            raise ValueError(f"embeddings[{place}] is zero or subnormal, which has no direction")
    return e, m


def unit_embeddings(embeddings: ArrayLike, mask: ArrayLike | None) -> tuple[Array, Array]:
    """Embeddings of length 1, 0 for padding, and the mask."""
    e, m = checked_embeddings(embeddings, mask)
    return _unit(e, m), m


_unit = jax.jit(unit_vectors)
