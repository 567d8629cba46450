"""Sums over similarities by Pallas's Triton backend: γ without the matrix of all pairs.

As in flash attention (Dao et al. 2022), a program takes a block of rows, goes through the blocks of
columns, and keeps one sum for each row. It needs no running maximum: the largest exponent of a row
is that of its own entry, 0. A problem of one block is read as it is; larger ones are first rounded
and padded to whole blocks, and several programs share the columns.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from dora_theory.kernels.by_problems import by_problems
from dora_theory.kernels.dispatch import all_hopper, quiet
from dora_theory.kernels.similarity_parts import (
    PRODUCTS_OF_PARTS,
    Precision,
    nearness,
    parts_of,
    rounded,
    shares_of,
    steepness,
    unit_vectors,
)

# Up to so many candidates are one block.
ONE_BLOCK = 128


class Tiling(NamedTuple):
    """A program's share: rows, columns and dimensions held at once, warps, stages of the loop."""

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int


def tiling(k: int, d: int, precision: Precision) -> Tiling:
    """The default for k candidates in d dimensions: on Hopper the fastest of those timed there."""
    depth = 1 << (d - 1).bit_length()
    if k <= ONE_BLOCK:
        side = max(16, 1 << (k - 1).bit_length())
        most = 64 if precision == "bfloat16" else 16
        warps, stages = 8 if side == 128 else 4, 4 if precision == "tf32" else 3
        return Tiling(side, side, max(16, min(most, depth)), warps, stages)
    # On Hopper a multiprocessor holds two blocks of four warps each, and one multiplies while the
    # other takes exponentials. Those of tf32 would spill, and elsewhere all.
    side, most, warps, stages = {
        ("full", True): (ONE_BLOCK, 32, 4, 2),
        ("full", False): (64, 16, 4, 3),
        ("bfloat16", True): (ONE_BLOCK, 64, 4, 3),
        ("bfloat16", False): (ONE_BLOCK, 64, 8, 3),
    }.get((precision, all_hopper()), (ONE_BLOCK, 32, 8, 3))
    return Tiling(side, side, max(16, min(most, depth)), warps, stages)


def similarity_kernel(
    embeddings: Float[Array, "*batch k d"],
    values: Float[Array, "*batch k"],
    temperature: Float[Array, "*batch"],
    exists: Bool[Array, "*batch k"] | None = None,
    *,
    precision: Precision = "full",
    tile: Tiling | None = None,
    interpret: bool = False,
) -> Float[Array, "*batch k"]:
    """`similarity_sums` of float32 on a GPU.

    Args:
        embeddings: as `similarity_sums`.
        values: as `similarity_sums`.
        temperature: as `similarity_sums`.
        exists: as `similarity_sums`.
        precision: as `similarity_sums`.
        tile: a program's share, by default `tiling(k, d, precision)`.
        interpret: run without a GPU, operation by operation.

    Returns:
        y, shape `(..., k)`. Memory O(k d): k and d are padded to whole tiles.
    """
    k, d = embeddings.shape[-2:]
    if 0 in values.shape:
        return jnp.zeros(values.shape, embeddings.dtype)
    unit = embeddings if exists is None else unit_vectors(embeddings, exists)
    shape = tile or tiling(k, d, precision)
    own = values.reshape(-1, k), steepness(temperature).reshape(-1, 1)
    made = _one_block if k <= min(shape.rows, shape.columns) else _many_blocks
    quiet()
    y = made(unit.reshape(-1, k, d), *own, precision, shape, interpret)
    return y[:, :k].reshape(values.shape)


def _one_block(
    e: Array, v: Array, steep: Array, precision: Precision, tile: Tiling, interpret: bool
) -> Array:
    """Sums of problems that are one block: a program reads one, and nothing is laid out for it."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    _, k, d = e.shape
    side = max(16, 1 << (k - 1).bit_length())
    depth = tile.depth
    wide = -(-d // depth) * depth
    whole = d % depth == 0

    def kernel(rows: int, e: Any, v: Any, steep: Any, out: Any) -> None:
        i = jnp.arange(side)
        row = (i < rows)[:, None]

        def of_dimensions(step: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
            product, square = sums
            deep = pl.ds(step * depth, depth)
            there = row if whole else row & (step * depth + jnp.arange(depth) < d)[None, :]
            full = whole and rows == side
            given: dict[str, Any] = {} if full else {"mask": there, "other": 0}
            read = triton.load(e.at[:, deep], **given)
            x = read if precision == "full" else _rounded_in_kernel(read, precision)
            parts = parts_of(read) if precision == "full" else (x,)
            single = x.astype(jnp.float32)
            product = _added(product, parts, parts, precision, interpret)
            return product, square + (single * single).sum(-1)

        start = jnp.zeros((side, side), jnp.float32), jnp.zeros((side,), jnp.float32)
        product, square = jax.lax.fori_loop(0, wide // depth, of_dimensions, start)
        half = 0.5 * square
        gap = product - half[:, None] - half[None, :]
        scale = triton.load(steep, mask=i < rows, other=0)
        near = nearness(gap, i[:, None] == i[None, :], scale[:, None])
        terms = near * triton.load(v, mask=i < rows, other=0)[None, :]
        if rows > k:
            # Not of `near`: a NaN among the values of another problem times 0 is NaN.
            terms = jnp.where((i // k)[:, None] == (i // k)[None, :], terms, 0)
        triton.store(out, terms.sum(-1), mask=i < rows)

    def of_one(*shape: int) -> Any:
        return pl.BlockSpec((None, *shape), lambda p: (p, *[0] * len(shape)))

    def call(e: Array, v: Array, steep: Array) -> Array:
        n = v.shape[0]
        # Problems of so few that a block holds several, if they fill it.
        rows = side if side % k == 0 and n % (side // k) == 0 else k
        steep = jnp.broadcast_to(steep, v.shape)
        y = pl.pallas_call(
            partial(kernel, rows),
            out_shape=jax.ShapeDtypeStruct((n * k // rows, rows), jnp.float32),
            grid=(n * k // rows,),
            in_specs=[of_one(side, wide), of_one(side), of_one(side)],
            out_specs=of_one(side),
            compiler_params=triton.CompilerParams(
                num_warps=max(1, min(tile.warps, side // 16)), num_stages=tile.stages
            ),
            interpret=interpret,
            name="similarity_sums",
        )(e.reshape(-1, rows, d), v.reshape(-1, rows), steep.reshape(-1, rows))
        return y.reshape(n, k)

    return by_problems(call, (e, v, steep))


def _many_blocks(
    e: Array, v: Array, steep: Array, precision: Precision, tile: Tiling, interpret: bool
) -> Array:
    """Sums of larger problems: a program takes some rows and several blocks of columns."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    _, k, d = e.shape
    rows, columns, depth, warps, stages = tile
    side = max(rows, columns)
    tall, wide = -(-k // side) * side, -(-d // depth) * depth
    e = rounded(e, precision)
    half = 0.5 * jnp.sum(e * e, -1)
    more = (0, tall - k)
    e = jnp.pad(e, ((0, 0), more, (0, wide - d)))
    if precision == "full":
        parts: tuple[Array, ...] = parts_of(e)
    else:
        parts = (e.astype(jnp.bfloat16 if precision == "bfloat16" else e.dtype),)
    half, v = (jnp.pad(x, ((0, 0), more)) for x in (half, v))
    stripes, blocks = tall // rows, tall // columns
    shares, most = shares_of(blocks)

    def kernel(*refs: Any) -> None:
        lefts, rights = refs[: len(parts)], refs[len(parts) : -5]
        left_half, right_half, v, steep, out = refs[-5:]
        i = (pl.program_id(0) % stripes) * rows + jnp.arange(rows)
        first = pl.program_id(0) // stripes % shares * most
        own_half, scale = left_half[...], steep[0]

        def of_columns(block: Array, total: Array) -> Array:
            here = pl.ds(block * columns, columns)

            def of_dimensions(step: Array, product: Array) -> Array:
                deep = pl.ds(step * depth, depth)
                x = [triton.load(left.at[:, deep]) for left in lefts]
                y = [triton.load(right.at[here, deep]) for right in rights]
                return _added(product, x, y, precision, interpret)

            product = jnp.zeros((rows, columns), jnp.float32)
            product = jax.lax.fori_loop(0, wide // depth, of_dimensions, product)
            gap = product - own_half[:, None] - triton.load(right_half.at[here])[None, :]
            j = block * columns + jnp.arange(columns)
            near = nearness(gap, i[:, None] == j[None, :], scale)
            return total + (near * triton.load(v.at[here])[None, :]).sum(-1)

        start = jnp.zeros((rows,), jnp.float32)
        # The last of several programs may have fewer blocks.
        last = most if shares == 1 else jnp.minimum(first + most, blocks)
        out[...] = jax.lax.fori_loop(0 if shares == 1 else first, last, of_columns, start)

    each = stripes * shares

    def stripe(*tail: int) -> Any:
        rest = (0,) * len(tail)
        return pl.BlockSpec((None, rows, *tail), lambda p: (p // each, p % stripes, *rest))

    def whole(*shape: int) -> Any:
        rest = (0,) * len(shape)
        return pl.BlockSpec((None, *shape), lambda p: (p // each, *rest))

    sums = pl.BlockSpec(
        (None, None, rows), lambda p: (p // each, p // stripes % shares, p % stripes)
    )

    def call(*problems: Array) -> Array:
        *parts, half, v, steep = problems
        return pl.pallas_call(
            kernel,
            out_shape=jax.ShapeDtypeStruct((v.shape[0], shares, tall), jnp.float32),
            # In one axis: programs that run at once share a problem's columns.
            grid=(v.shape[0] * each,),
            in_specs=[
                *(stripe(wide) for _ in parts),
                *(whole(tall, wide) for _ in parts),
                *(stripe(), whole(tall), whole(tall), whole(1)),
            ],
            out_specs=sums,
            compiler_params=triton.CompilerParams(num_warps=warps, num_stages=stages),
            interpret=interpret,
            name="similarity_sums",
        )(*parts, *parts, half, half, v, steep)

    return by_problems(call, (*parts, half, v, steep)).sum(1)


def _rounded_in_kernel(x: Array, precision: Precision) -> Array:
    """`rounded` by what a kernel has, and in the type that its product takes."""
    if precision == "bfloat16":
        return x.astype(jnp.bfloat16)
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    # Drops 13 bits: to nearest, ties to even.
    bits += np.uint32(0xFFF) + (bits >> 13 & 1)
    return jax.lax.bitcast_convert_type(bits & np.uint32(0xFFFFE000), jnp.float32)


def _added(
    total: Array, x: Sequence[Array], y: Sequence[Array], precision: Precision, interpret: bool
) -> Array:
    """A sum and rows times rows, in parts that are rounded already, added in float32."""
    presets = jax.lax.DotAlgorithmPreset
    how = presets.TF32_TF32_F32 if precision == "tf32" else presets.BF16_BF16_F32
    for i, j in PRODUCTS_OF_PARTS if precision == "full" else ((0, 0),):
        total += jax.lax.dot_general(
            x[i],
            y[j],
            (((1,), (1,)), ((), ())),
            # A CPU knows no TF32, but what it multiplies is.
            precision=jax.lax.Precision.HIGHEST if interpret else how,
            preferred_element_type=jnp.float32,
        )
    return total
