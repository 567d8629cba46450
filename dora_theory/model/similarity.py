"""Similarity of candidates, and from it their uniqueness (eq. 10-12).

The uniqueness γ of a candidate is its own share of a softmax over similarities: 1/k for one of k
copies that are alike and unlike all others.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_vectors, check_whole, checked, mask_of
from dora_theory._domains import FINITE, POSITIVE, spoiled
from dora_theory._sizes import rounded
from dora_theory.kernels.dispatch import Implementation
from dora_theory.kernels.similarities import Precision, similarity_sums, unit_vectors
from dora_theory.model import on_host
from dora_theory.model.quality import masked_softmax

# Rows and columns of similarity held at once: 2 MiB in float64.
_BLOCK = 512
# Float32 by float32 products lose ten bits on matrix units that round their input; T_s = 0.01
# would make that an error of 10%.
_PRECISE = jax.lax.Precision.HIGHEST


@rounded
def cosine_similarity(
    embeddings: Real[ArrayLike, "*batch k d"], *, mask: Bool[ArrayLike, "*#batch k"] | None = None
) -> Float[Array, "*batch k k"]:
    """Cosine similarity S of each pair of candidates.

    Args:
        embeddings: e, finite and not 0, shape `(..., k, d)`, on any scale.
        mask: boolean `(..., k)`; rows and columns of padding are 0.

    Returns:
        Shape `(..., k, k)`, diagonal exactly 1. Absolute error below (d + 4) ulps.

    Raises:
        ValueError: NaN, infinite or zero embeddings, an empty problem.

    Examples:
        >>> np.asarray(dt.cosine_similarity(np.array([[1, 0], [1, 1]])), float).round(3)
        array([[1.   , 0.707],
               [0.707, 1.   ]])

    Source: eq. 10.
    """
    return _cosines(*checked_embeddings(embeddings, mask))


@rounded
def affinity(
    similarity: Real[ArrayLike, "*#batch k k"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k k"]:
    """Affinity P: softmax of each row of S/T_s.

    Args:
        similarity: S, finite, shape `(..., k, k)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`; rows and columns of padding are 0.

    Returns:
        Shape `(..., k, k)`; rows sum to 1. Error of an entry as that of `quality_weights`.

    Raises:
        ValueError: NaN or infinite similarity, T_s not positive, a matrix that is not square.

    Examples:
        >>> np.asarray(dt.affinity(np.array([[1, 0.99], [0.99, 1]])), float).round(3)
        array([[0.731, 0.269],
               [0.269, 0.731]])

    Source: eq. 11.
    """
    return _affinity(*checked_similarity(similarity, similarity_temperature, mask))


@rounded
def uniqueness_from_similarity(
    similarity: Real[ArrayLike, "*#batch k k"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Uniqueness γ from similarities: the diagonal of the row softmax of S/T_s.

    Args:
        similarity: S, finite, shape `(..., k, k)`; need not be symmetric.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose γ is 0.

    Returns:
        Shape `(..., k)`, in [0, 1]. Relative error below (8 + k/2 + d_i/T_s) ulps, where d_i
        is how far S_ii is below the largest of its row; 0 where exp(-d_i/T_s) is below the normal
        numbers. For cosines d_i is 0 and γ at least 1/k.

    Raises:
        ValueError: NaN or infinite similarity, T_s not positive, a matrix that is not square.

    Examples:
        >>> np.asarray(dt.uniqueness_from_similarity(np.array([[1, 0.99], [0.99, 1]])),
        ...     float).round(3)
        array([0.731, 0.731])

    Source: eq. 12.
    """
    return _own_affinity(*checked_similarity(similarity, similarity_temperature, mask))


@on_host.small_by(on_host.uniqueness)
@rounded
def uniqueness(
    embeddings: Real[ArrayLike, "*batch k d"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
    block_size: int = _BLOCK,
    precision: Precision = "full",
    implementation: Implementation = "auto",
) -> Float[Array, "*batch k"]:
    """Uniqueness γ_i = 1/Σ_j exp((S_ij - 1)/T_s), with no more than a block of S at a time.

    Args:
        embeddings: e, finite and not 0, shape `(..., k, d)`, on any scale.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose γ is 0.
        block_size: rows and columns of S held at once; memory is O(k d + block_size²) a problem.
        precision: `"full"` is that of the dtype; `"tf32"` and `"bfloat16"` round embeddings as
            matrix units take them, and are for float32.
        implementation: `"pallas"` for the GPU kernel, `"reference"` for `jax.numpy`, `"auto"` for
            the kernel where there is a GPU that runs it. Sums are in another order.

    Returns:
        Shape `(..., k)`, in [1/k, 1]. Relative error below (d + 4)/T_s + k + 4 ulps, 1e-11 in
        float64 at the paper's T_s = 0.01 for d and k up to 384, 5e-3 in float32. The coarser
        modes also move the exponent of a pair by at most 2u sqrt(2 (1 - S))/T_s, where u = 2^-11
        for `"tf32"` and 2^-8 for `"bfloat16"`: copies count as copies in any of them, and what
        halves γ at T_s = 0.01 (S = 0.993) moves by a hundredth or a tenth.

    Raises:
        ValueError: NaN, infinite or zero embeddings, T_s not positive, an empty problem, an unknown
            precision or a coarse one in float64, a kernel asked for that cannot run.

    Examples:
        >>> embeddings = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
        >>> np.asarray(dt.uniqueness(embeddings), float).round(3)
        array([1.   , 0.501, 0.501, 1.   ])

    Source: eq. 10-12.
    """
    e, t, m = checked_embeddings(embeddings, mask, similarity_temperature=similarity_temperature)
    block = check_whole("block_size", block_size, 1)
    return _uniqueness(e, t, m, precision, block, implementation)


@jax.jit
def _cosines(e: Array, m: Array) -> Array:
    unit = unit_vectors(jnp.broadcast_to(e, (*m.shape, e.shape[-1])), m)
    similarity = jnp.einsum("...id,...jd->...ij", unit, unit, precision=_PRECISE)
    eye = jnp.eye(unit.shape[-2], dtype=bool)
    found = jnp.where(mask_of(m, "k k"), jnp.where(eye, 1, similarity), 0)
    return spoiled(found, jnp.isnan(unit).any((-2, -1)), 2)


@jax.jit
def _affinity(s: Array, t: Array, m: Array) -> Array:
    both = mask_of(m, "k k")
    bad = FINITE.fails(s, 2, both) | POSITIVE.fails(t)
    rows = masked_softmax(s, m[..., None, :], t[..., None, None])
    return spoiled(jnp.where(m[..., :, None], rows, 0), bad, 2)


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
    e = jnp.broadcast_to(e, (*m.shape, e.shape[-1]))
    total = similarity_sums(
        e,
        m.astype(e.dtype),
        jnp.broadcast_to(t, m.shape[:-1]),
        m,
        precision=precision,
        block=block,
        implementation=implementation,
    )
    # A vector without a direction is NaN in all sums but its own, which is known.
    own = unit_vectors(e, m)[..., 0] if m.shape[-1] == 1 else total
    bad = (m & jnp.isnan(own)).any(-1) | POSITIVE.fails(t)
    # Each counts itself, which rounding may have made a little less of.
    return spoiled(jnp.where(m, 1 / jnp.where(m, jnp.maximum(total, 1), 1), 0), bad)


def checked_similarity(
    similarity: ArrayLike,
    similarity_temperature: ArrayLike,
    mask: ArrayLike | None,
    **more: Argument,
) -> tuple[Array, ...]:
    """Similarity and temperature, more arguments of theirs, and the mask `(..., k)`."""
    return checked(
        mask,
        similarity=Argument(similarity, "k k"),
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
        **more,
    )


def checked_embeddings(
    embeddings: ArrayLike,
    mask: ArrayLike | None,
    *,
    similarity_temperature: ArrayLike | None = None,
    **more: Argument,
) -> tuple[Array, ...]:
    """Embeddings, temperature if it is given, more arguments of theirs, and the mask."""
    if similarity_temperature is not None:
        more = {"similarity_temperature": Argument(similarity_temperature, "", POSITIVE), **more}
    found = checked(mask, embeddings=Argument(embeddings, "k d"), **more)
    check_vectors("embeddings", embeddings, found[0].dtype, mask)
    return found


@jax.jit
def unit_embeddings(e: Array, mask: Array) -> Array:
    """Embeddings of length 1, of the shape of the mask; 0 for padding, NaN where there is none."""
    return unit_vectors(jnp.broadcast_to(e, (*mask.shape, e.shape[-1])), mask)
