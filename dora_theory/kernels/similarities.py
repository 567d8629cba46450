"""Sums over similarities: y_i = Σ_j exp((S_ij - 1)/T_s) v_j, streamed in blocks (eq. 10-12).

For v = 1 that is 1/γ_i, and for any v the product Z v that magnitude weighting solves with. S is
never stored: one block of rows at a time meets one block of columns, and only a sum for each row is
kept, as in flash attention (the reference also keeps one for each column, so that half of S is
enough).

Copies stay copies, however coarsely the embeddings are rounded: with r the rounded ones, S_ij - 1
is computed as r_i·r_j - |r_i|²/2 - |r_j|²/2, the same for unit vectors, and 0 for r_i = r_j.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from dora_theory.kernels.dispatch import Implementation, Mosaic, choose, with_slope
from dora_theory.kernels.similarities_triton import ONE_BLOCK, similarity_kernel
from dora_theory.kernels.similarity_parts import (
    Precision,
    nearness,
    rounded,
    steepness,
    unit_vectors,
)
from dora_theory.kernels.varying import varying_with

# Numbers that a core's cache holds.
_CACHED = 1 << 19
# Up to so many candidates the CPU's library makes one loop of lengths, product, exponentials and
# sums of float32 (XLA's YNN fusions, JAX 0.10).
_NARROW = 64


def similarity_sums(
    embeddings: Float[Array, "*batch k d"],
    values: Float[Array, "*batch k"],
    temperature: Float[Array, "*batch"],
    exists: Bool[Array, "*batch k"] | None = None,
    *,
    precision: Precision = "full",
    block: int = 512,
    implementation: Implementation = "auto",
) -> Float[Array, "*batch k"]:
    """Sums y_i = Σ_j exp((S_ij - 1)/T_s) v_j, by the kernel or by the reference.

    Args:
        embeddings: e, shape `(..., k, d)`; of length 1 and 0 for padding, unless `exists` is given.
        values: v, shape `(..., k)`; padding 0, and what is returned for it means nothing.
        temperature: T_s > 0, shape `(...)`.
        exists: candidates that are no padding, if embeddings are still to be brought to length 1:
            one use of them is cheaper so.
        precision: `"full"` computes in the dtype; `"tf32"` and `"bfloat16"` round embeddings to 11
            and 8 significant bits, as matrix units take them, and add products in float32.
        block: rows and columns of S that the reference holds at once.
        implementation: see `dora_theory.kernels.dispatch.choose`.

    Returns:
        y, shape `(..., k)`. Exponents are off by at most 2u |e_i - e_j|/T_s for embeddings that are
        rounded, u = 2^-11 or 2^-8, and by (d + 4)/T_s ulps of the dtype for the sums.

    Raises:
        ValueError: an unknown precision; a coarse one in float64; `"pallas"` where it cannot run.
    """
    if precision not in get_args(Precision):
        names = ", ".join(map(repr, get_args(Precision)))
        raise ValueError(f"precision = {precision!r}: needs one of {names}")
    dtype = embeddings.dtype
    if precision != "full" and dtype != jnp.float32:
        raise ValueError(f"precision = {precision!r}: needs float32, and this is {dtype}")
    return choose(
        implementation,
        partial(similarity_kernel, precision=precision),
        partial(similarity_reference, precision=precision, block=block),
        embeddings,
        values,
        temperature,
        *(() if exists is None else (exists,)),
        obstacle=None if dtype == jnp.float32 else f"the kernel has no {dtype}",
        # Products of matrix units as Hopper has them. For tf32 and more than a block this form took
        # half the time on an H200.
        mosaic=Mosaic(
            partial(_mosaic, precision=precision),
            9.0,
            10.0,
            faster=precision == "tf32" and embeddings.shape[-2] > ONE_BLOCK,
        ),
    )


def _mosaic(*arguments: Any, precision: Precision) -> Array:
    """The other form, which needs a JAX that has what it is made of."""
    from dora_theory.kernels.similarities_mosaic import similarity_mosaic

    return similarity_mosaic(*arguments, precision=precision)


@partial(jax.jit, static_argnames=("precision", "block"))
def similarity_reference(
    embeddings: Float[Array, "*batch k d"],
    values: Float[Array, "*batch k"],
    temperature: Float[Array, "*batch"],
    exists: Bool[Array, "*batch k"] | None = None,
    *,
    precision: Precision = "full",
    block: int = 512,
) -> Float[Array, "*batch k"]:
    """`similarity_sums` in `jax.numpy`."""
    k, d = embeddings.shape[-2:]

    def prepared(e: Array, exists: Array | None) -> Array:
        return rounded(e if exists is None else unit_vectors(e, exists), precision)

    def of_one(e: Array, v: Array, inverse: Array, exists: Array | None) -> Array:
        return _sums_of_one(prepared(e, exists), v, inverse)

    inverse = steepness(temperature)
    if k > block:
        return _sums_by_pairs(prepared(embeddings, exists), values, inverse, block)
    e, v, flat = embeddings.reshape(-1, k, d), values.reshape(-1, k), inverse.reshape(-1)
    there = None if exists is None else exists.reshape(-1, k)
    problems, count, most = (e, v, flat, there), e.shape[0], max(1, _CACHED // (k * (d + k)))
    if count <= most:
        return jax.vmap(of_one)(*problems).reshape(values.shape)
    # As many problems at a time as a cache holds, or somewhat fewer where then none are left over.
    some = next((s for s in range(most, most // 2, -1) if count % s == 0), most)

    def by_unit_vectors(*problems: Array | None) -> Array:
        return jax.lax.map(lambda problem: of_one(*problem), problems, batch_size=some)

    single = precision == "full" and e.dtype == jnp.float32
    if single and there is not None and 1 < k <= min(d, _NARROW):
        fast = with_slope(partial(_sums_unscaled, by_unit_vectors), by_unit_vectors)
        return fast(e, v, flat, there).reshape(values.shape)
    return by_unit_vectors(*problems).reshape(values.shape)


def _sums_of_one(
    unit: Float[Array, "k d"], values: Float[Array, " k"], inverse: Float[Array, ""]
) -> Float[Array, " k"]:
    """Sums of a problem whose S is small."""
    half = 0.5 * jnp.sum(unit * unit, -1)
    gap = _dot("id,jd->ij", unit, unit) - half[:, None] - half
    # As a product: a sum over the exponentials is far slower on some shapes of a CPU.
    return _dot("ij,j->i", nearness(gap, jnp.eye(half.size, dtype=bool), inverse), values)


def _sums_unscaled(
    by_unit_vectors: Callable[..., Array],
    embeddings: Float[Array, "n k d"],
    values: Float[Array, "n k"],
    inverse: Float[Array, " n"],
    exists: Bool[Array, "n k"],
) -> Float[Array, "n k"]:
    """Sums of many narrow problems by products of embeddings as they are.

    Unit vectors are never written down. Problems of vectors whose squares may leave the range, or
    that have no direction, are done again by them; padding that is not finite is such a vector.
    """
    limits = jnp.finfo(embeddings.dtype)
    steep = inverse[:, None, None]
    # Padding is not blanked, which would be a copy of all: it is scaled by 0, and counts for 0.
    e, square = embeddings, jnp.sum(embeddings * embeddings, -1)
    scale = jnp.where(exists, jax.lax.rsqrt(square), 0)
    gap = _dot("nid,njd->nij", e, e) * scale[:, :, None] * scale[:, None, :] - 1
    # A choice between numbers in place of the minimum would not be fused with the product.
    found = (jnp.exp(jnp.minimum(gap, 0) * steep) * values[:, None, :]).sum(-1)
    inside = ((square > jnp.sqrt(limits.tiny)) | ~exists) & (square < jnp.sqrt(limits.max))
    lost = ~inside.all(-1, keepdims=True)

    def again() -> Array:
        return jnp.where(lost, by_unit_vectors(embeddings, values, inverse, exists), found)

    return jax.lax.cond(lost.any(), again, lambda: found)


def _sums_by_pairs(
    unit: Float[Array, "*batch k d"],
    values: Float[Array, "*batch k"],
    inverse: Float[Array, "*batch"],
    block: int,
) -> Float[Array, "*batch k"]:
    """Sums, a block of S at a time. S is symmetric: a block serves its rows and its columns."""
    half = 0.5 * jnp.sum(unit * unit, -1)
    parts = _blocks(unit, -2, block), _blocks(half, -1, block), _blocks(values, -1, block)
    scale, diagonal = inverse[..., None, None], jnp.eye(block, dtype=bool)

    def add(total: Array, pair: tuple[Array, ...]) -> tuple[Array, None]:
        i, j = pair
        (left, left_half, v), (right, right_half, w) = ([x[p] for x in parts] for p in pair)
        product = _dot("...id,...jd->...ij", left, right)
        gap = product - left_half[..., :, None] - right_half[..., None, :]
        near = nearness(gap, (i == j) & diagonal, scale)
        # As products, for which S is written down once; sums would each take the exponentials.
        total = total.at[i].add(_dot("...ij,...j->...i", near, w))
        other = _dot("...ij,...i->...j", near, v)
        return total.at[j].add(jnp.where(i == j, 0, other)), None

    pairs = tuple(map(jnp.asarray, np.triu_indices(parts[0].shape[0])))
    # Differentiated backward, it makes blocks anew: all of them kept would be the whole S.
    again = jax.checkpoint(add, prevent_cse=False)
    start = varying_with(jnp.zeros(parts[1].shape, unit.dtype), unit, values, inverse)
    total, _ = jax.lax.scan(again, start, pairs)
    return jnp.moveaxis(total, 0, -2).reshape(*values.shape[:-1], -1)[..., : values.shape[-1]]


def _dot(axes: str, x: Array, y: Array) -> Array:
    # Matrix units round float32 to ten bits unless asked not to.
    return jnp.einsum(axes, x, y, precision="highest")


def _blocks(x: Array, axis: int, block: int) -> Array:
    """Cuts an axis into blocks, the last filled up with zeros, and puts their number first."""
    axis %= x.ndim
    count = -(-x.shape[axis] // block)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, count * block - x.shape[axis])
    x = jnp.pad(x, widths)
    return jnp.moveaxis(x.reshape(*x.shape[:axis], count, block, *x.shape[axis + 1 :]), axis, 0)
