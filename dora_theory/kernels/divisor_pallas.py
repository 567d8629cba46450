"""Exact allocation as one kernel: weights are read once, integers written once (theory 2.6).

A program takes a few rows, keeps them in registers, and does there what
`dora_theory.kernels.divisor` does, by the same functions: the level is searched, ties are
settled. So the result equals the reference's, ties included. One thing must be the kernel's own:
for float32 both XLA and Triton divide by `div.full.f32`, which may be 2 units off, and equal
quotients would no longer be ties; the kernel asks for `div.rn.f32`, the IEEE quotient.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.kernels.by_problems import by_problems
from dora_theory.kernels.dispatch import Implementation, choose, quiet
from dora_theory.kernels.divisor import largest_in_block, largest_priorities
from dora_theory.kernels.triton_instructions import (
    as_interpreted,
    rounded_quotient,
    single_instructions,
)

# A row must fit the registers of a program.
MOST_CANDIDATES = 8192
# Bytes of numbers in a program and in a warp: 8 registers a thread. With more, more rows wait for
# one another and fewer warps fit on a multiprocessor.
_IN_PROGRAM, _IN_WARP = 1024, 1024
# With up to this many warps for a row, a thread holds 8 numbers.
_WARPS = 8
# Four rows a thread: it keeps the bookkeeping of each beside its candidates.
_MOST_ROWS = 128


class Tiling(NamedTuple):
    """How rows are shared out: rows of a program, both powers of two, and its warps of 32."""

    rows: int
    warps: int


def tiling(k: int, size: int) -> Tiling:
    """The default for rows of k candidates, of so many bytes each: the best timed on an H200."""
    row = size * _width(k)
    rows = min(_MOST_ROWS, max(1, _IN_PROGRAM // row))
    warps = max(1, rows * row // _IN_WARP)
    # As timed for k = 4096: eight warps, and twice the numbers in a thread.
    return Tiling(rows, warps if warps <= _WARPS else max(_WARPS, warps // 2))


def allocate(
    numerators: Float[Array, "*batch k"],
    offsets: Float[Array, "*#batch #k"],
    budget: Int[Array, "*#batch"],
    mask: Bool[Array, "*batch k"] | None,
    *,
    most: float = np.inf,
    implementation: Implementation = "auto",
) -> Int[Array, "*batch k"]:
    """`largest_priorities`, by the kernel or by the reference.

    Args:
        numerators: n ≥ 0, shape `(..., k)`.
        offsets: c > 0, broadcast against `numerators`.
        budget: number of priorities to take, shape `(...)`.
        mask: candidates that exist; None if all do, which need not be read then.
        most: the largest numerator that is sound.
        implementation: see `dora_theory.kernels.dispatch.choose`.

    Returns:
        Counts, int32.

    Raises:
        ValueError: `"pallas"` where it cannot run, or for k > 8192.
    """
    k = numerators.shape[-1]
    obstacle = None
    if k > MOST_CANDIDATES:
        obstacle = f"the kernel keeps a row in registers, and {k} > {MOST_CANDIDATES} do not fit"
    # Counts have no slope, and a kernel need not be asked for one.
    given = jax.lax.stop_gradient((numerators, offsets))
    return choose(
        implementation,
        partial(allocation_kernel, most=most),
        partial(largest_priorities, most=most),
        *given,
        budget,
        mask,
        obstacle=obstacle,
    )


def allocation_kernel(
    numerators: Float[Array, "*batch k"],
    offsets: Float[Array, "*#batch #k"],
    budget: Int[Array, "*#batch"],
    mask: Bool[Array, "*batch k"] | None,
    *,
    most: float = np.inf,
    tile: Tiling | None = None,
    interpret: bool = False,
) -> Int[Array, "*batch k"]:
    """`largest_priorities` on a GPU.

    Args:
        numerators: n ≥ 0, shape `(..., k)`.
        offsets: c > 0, broadcast against `numerators`.
        budget: number of priorities to take, shape `(...)`.
        mask: candidates that exist; None if all do, which need not be read then.
        most: the largest numerator that is sound.
        tile: how rows are shared out, by default `tiling(k, size)`.
        interpret: run without a GPU, operation by operation.

    Returns:
        Counts, int32. Reads 4 bytes per candidate in float32, 5 with a mask, and writes 4; and a
        few per row.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    *batch, k = numerators.shape
    rows_each, warps = tile or tiling(k, numerators.dtype.itemsize)
    n = numerators.reshape(-1, k)
    if n.shape[0] == 0:
        return jnp.zeros(numerators.shape, jnp.int32)
    own = jnp.shape(offsets)[-1:] == (k,) and k > 1
    # One for all rows is laid out once.
    same = jnp.size(offsets) == 1
    c = jnp.asarray(offsets, n.dtype)
    if not same:
        c = jnp.broadcast_to(c, (*batch, k if own else 1))
    c = c.reshape(1 if same else n.shape[0], -1)
    target = jnp.broadcast_to(budget, tuple(batch)).reshape(-1, 1).astype(jnp.int32)
    width = _width(k)
    quiet()

    def block(columns: int) -> Any:
        return pl.BlockSpec((rows_each, columns), lambda i: (i, 0))

    plain = interpret or n.dtype != jnp.float32
    divide = jnp.divide if plain else rounded_quotient
    by = as_interpreted() if plain else single_instructions()

    def call(n: Array, target: Array, *others: Array) -> Array:
        *exists, c = others
        rows, own_mask = n.shape[0], bool(exists)
        if not own_mask and rows_each > 1:
            # All programs share one small mask, which stays in a cache. It is there for the layout:
            # with bytes to load, a thread holds eight numbers of one row; with floats alone it
            # would hold four of each of two rows, and repeat the bookkeeping of both.
            exists = [jnp.broadcast_to(jnp.arange(width) < k, (rows_each, width))]

        def kernel(n_ref: Any, c_ref: Any, target_ref: Any, *refs: Any) -> None:
            *exists_ref, out_ref = refs
            row = pl.program_id(0) * rows_each + jnp.arange(rows_each)[:, None]
            # Nothing is asked of a block that is full.
            here = None if rows % rows_each == 0 else row < rows
            inside = None if k == width else (jnp.arange(width) < k)[None, :]
            there = here if inside is None else (here is None or here) & inside

            def load(ref: Any, mask: Array | None, other: float) -> Array:
                return triton.load(ref, mask=mask, other=None if mask is None else other)

            # Rows past the end spend nothing; columns past it are padding.
            exists = inside
            if exists_ref:
                exists = load(exists_ref[0], there if own_mask else None, False)
            n = load(n_ref, there, 0)
            c = load(c_ref, None if same else there if own else here, 1)
            target = load(target_ref, here, 0)
            counts = largest_in_block(n, exists, c, target, divide, most, by)
            triton.store(out_ref, counts, mask=there)

        def shared(*shape: int) -> Any:
            return pl.BlockSpec(shape, lambda i: (0, 0))

        offset = shared(1, 1) if same else block(width if own else 1)
        masks = [block(width) if own_mask else shared(rows_each, width)] * len(exists)
        return pl.pallas_call(
            kernel,
            out_shape=jax.ShapeDtypeStruct(n.shape, jnp.int32),
            grid=(pl.cdiv(rows, rows_each),),
            in_specs=[block(width), offset, block(1), *masks],
            out_specs=block(width),
            compiler_params=triton.CompilerParams(num_warps=warps, num_stages=1),
            interpret=interpret,
            name="largest_priorities",
        )(n, c, target, *exists)

    given = (n, target) if mask is None else (n, target, mask.reshape(-1, k))
    counts = by_problems(call, given, (c,)) if same else by_problems(call, (*given, c))
    return counts.reshape(numerators.shape)


def _width(k: int) -> int:
    """The power of two that a row of k is padded to."""
    return 1 << (k - 1).bit_length()
