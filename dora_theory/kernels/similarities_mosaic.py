"""Sums over similarities for Hopper, by Mosaic GPU: a form that needs no Triton backend.

As flash attention does there: one warpgroup copies tiles of rows and of columns into a ring of
shared memory (TMA), two multiply their own rows with the same columns (wgmma) and take exponentials
and row sums in registers. A full and an empty barrier for each place of the ring keep them apart.

`"full"` precision takes the same way: the six products of parts that count are laid side by side as
six times the dimensions.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dora_theory.kernels.by_problems import by_problems
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

# Warpgroups that multiply; one more copies.
_CONSUMERS = 2
_SWIZZLE = 128  # bytes of a row of a tile


class Ring(NamedTuple):
    """A program's share: rows of each of two warpgroups, columns, and places of the ring.

    The default is the fastest of those timed on an H200.
    """

    rows: int = 64
    columns: int = 256
    stages: int = 4


def similarity_mosaic(
    embeddings: Float[Array, "*batch k d"],
    values: Float[Array, "*batch k"],
    temperature: Float[Array, "*batch"],
    exists: Bool[Array, "*batch k"] | None = None,
    *,
    precision: Precision = "full",
    ring: Ring | None = None,
    interpret: Any = False,
) -> Float[Array, "*batch k"]:
    """`similarity_sums` of float32 on a Hopper GPU, without Triton.

    Args:
        embeddings: as `similarity_sums`.
        values: as `similarity_sums`.
        temperature: as `similarity_sums`.
        exists: as `similarity_sums`.
        precision: as `similarity_sums`.
        ring: a program's share.
        interpret: false, or how Mosaic GPU is to simulate memory, threads and barriers on a CPU.

    Returns:
        y, shape `(..., k)`. Memory O(k d).
    """
    k, d = embeddings.shape[-2:]
    if 0 in values.shape:
        return jnp.zeros(values.shape, embeddings.dtype)
    unit = embeddings if exists is None else unit_vectors(embeddings, exists)
    shape = ring or Ring()
    e = rounded(unit, precision).reshape(-1, k, d)
    left, right = (e, e) if precision == "tf32" else _in_bfloat16(e, precision)
    depth = _SWIZZLE // left.dtype.itemsize
    side = max(shape.rows * _CONSUMERS, shape.columns)
    tall, wide = -(-k // side) * side, -(-left.shape[-1] // depth) * depth

    def padded(x: Array) -> Array:
        more = (0, tall - k), *[(0, wide - n) for n in x.shape[2:]]
        return jnp.pad(x, ((0, 0), *more))

    half = 0.5 * jnp.sum(e * e, -1)
    inverse = jnp.broadcast_to(steepness(temperature).reshape(-1, 1), half.shape)
    problems = tuple(map(padded, (left, right, half, values.reshape(-1, k), inverse)))
    y = by_problems(_kernel(tall, wide, depth, shape, interpret), problems).sum(1)
    return y[:, :k].reshape(values.shape)


def _in_bfloat16(e: Array, precision: Precision) -> tuple[Array, Array]:
    """Embeddings, or six times as many numbers whose product is that of float32."""
    if precision == "bfloat16":
        return e.astype(jnp.bfloat16), e.astype(jnp.bfloat16)
    parts = parts_of(e)
    left, right = (
        jnp.concatenate([parts[i] for i in side], -1)
        for side in zip(*PRODUCTS_OF_PARTS, strict=True)
    )
    return left, right


def _kernel(tall: int, wide: int, depth: int, ring: Ring, interpret: Any) -> Any:
    """The kernel for problems that are `tall` and `wide`."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    load: Any = plgpu.load  # its type accepts fewer arguments since JAX 0.12
    rows, columns, stages = ring
    stripe = rows * _CONSUMERS
    blocks, steps = tall // columns, wide // depth
    shares, most = shares_of(blocks)

    def call(left: Array, right: Array, half: Array, v: Array, inverse: Array) -> Array:
        tiled = (
            plgpu.TilingTransform((8, depth)),
            plgpu.SwizzleTransform(_SWIZZLE),
        )
        by_rows, by_columns = plgpu.Layout.WGMMA.reduce(1), plgpu.Layout.WGMMA.reduce(0)

        def body(
            left: Any, right: Any, half: Any, v: Any, inverse: Any, out: Any,
            lefts: Any, rights: Any, sums: Any, full: Any, empty: Any,
        ) -> None:  # fmt: skip
            problem, part = jax.lax.axis_index("problem"), jax.lax.axis_index("stripe")
            share, me = jax.lax.axis_index("share"), jax.lax.axis_index("warpgroup")
            # Blocks of columns before those of this program, and its own.
            before = share * most
            own_blocks = jnp.minimum(most, blocks - before)

            @pl.when(me == _CONSUMERS)
            def _copy() -> None:
                plgpu.set_max_registers(40, action="decrease")

                def fill(turn: Array, _: None) -> None:
                    place, deep = turn % stages, pl.ds(turn % steps * depth, depth)

                    @pl.when(turn >= stages)
                    def _wait() -> None:
                        plgpu.barrier_wait(empty.at[place])

                    here = pl.ds((before + turn // steps) * columns, columns)
                    own = left.at[problem, pl.ds(part * stripe, stripe), deep]
                    plgpu.copy_gmem_to_smem(own, lefts.at[place], full.at[place])
                    other = right.at[problem, here, deep]
                    plgpu.copy_gmem_to_smem(other, rights.at[place], full.at[place])

                jax.lax.fori_loop(0, own_blocks * steps, fill, None)

            @pl.when(me < _CONSUMERS)
            def _multiply() -> None:
                plgpu.set_max_registers(232, action="increase")
                first = part * stripe + me * rows
                mine = pl.ds(first, rows)
                own_half = load(half.at[problem, mine], layout=by_rows, optimized=False)
                scale = inverse[problem, 0]
                i = plgpu.broadcasted_iota(
                    jnp.int32, (rows, columns), 0, layout=plgpu.Layout.WGMMA
                )  # fmt: skip
                j = plgpu.broadcasted_iota(
                    jnp.int32, (rows, columns), 1, layout=plgpu.Layout.WGMMA
                )  # fmt: skip

                def of_columns(block: Array, total: Array) -> Array:
                    def product(sum_: Any) -> Array:
                        def add(step: Array, _: None) -> None:
                            place = (block * steps + step) % stages
                            plgpu.barrier_wait(full.at[place])
                            plgpu.wgmma(
                                sum_,
                                lefts.at[place, pl.ds(me * rows, rows)],
                                rights.at[place].transpose((1, 0)),
                            )
                            plgpu.wgmma_wait(0)
                            plgpu.barrier_arrive(empty.at[place])

                        jax.lax.fori_loop(0, steps, add, None)
                        return sum_[...]

                    found = pl.run_scoped(product, plgpu.ACC((rows, columns), jnp.float32))
                    first_column = (before + block) * columns
                    here = pl.ds(first_column, columns)

                    def along(ref: Any) -> Array:
                        x = load(ref.at[problem, here], layout=by_columns, optimized=False)
                        return jax.lax.broadcast_in_dim(x, (rows, columns), (1,))

                    gap = found - jax.lax.broadcast_in_dim(own_half, (rows, columns), (0,))
                    own = i + first == j + first_column
                    return total + (nearness(gap - along(half), own, scale) * along(v)).sum(-1)

                start = plgpu.layout_cast(jnp.zeros((rows,), jnp.float32), by_rows)
                sums[me] = jax.lax.fori_loop(0, own_blocks, of_columns, start)
                plgpu.commit_smem()
                plgpu.copy_smem_to_gmem(sums.at[me], out.at[problem, share, mine])
                plgpu.wait_smem_to_gmem(0)

        return plgpu.kernel(
            body,
            out_type=jax.ShapeDtypeStruct((v.shape[0], shares, tall), jnp.float32),
            scratch_types={
                "lefts": plgpu.SMEM((stages, stripe, depth), left.dtype, transforms=tiled),
                "rights": plgpu.SMEM((stages, columns, depth), left.dtype, transforms=tiled),
                "sums": plgpu.SMEM((_CONSUMERS, rows), jnp.float32),
                "full": plgpu.Barrier(num_arrivals=2, num_barriers=stages),
                "empty": plgpu.Barrier(num_arrivals=_CONSUMERS, num_barriers=stages),
            },
            grid=(v.shape[0], shares, tall // stripe),
            grid_names=("problem", "share", "stripe"),
            num_threads=_CONSUMERS + 1,
            thread_name="warpgroup",
            interpret=interpret,
            kernel_name="similarity_sums",
        )(left, right, half, v, inverse)

    return call
