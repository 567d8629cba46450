"""Expected outcomes of rollouts as one kernel: words, draws, failure and its mean in one pass.

Success of a sample is 1 - Π (1 - p_u)^B_u over units u (directions, or candidates), p_u a Beta
draw. A program takes some samples of one problem and keeps them in registers from the random words
to the sums; what it reads is a unit's coefficients and counts, what it writes two numbers a
strategy. Words are those of `dora_theory.kernels.random_words`, a function of problem, unit and
sample, and draws those of `dora_theory.kernels.beta_sampler`; so kernel and reference differ by how
operations are rounded, no more.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from dora_theory.kernels.arithmetic import PLAIN, Arithmetic
from dora_theory.kernels.beta_sampler import beta_logits, setup_beta
from dora_theory.kernels.by_problems import by_problems
from dora_theory.kernels.dispatch import Implementation, Mosaic, choose, quiet
from dora_theory.kernels.outcome_parts import (
    Outcomes,
    drawn_by,
    laid_out,
    setup_of_unit,
    success_of,
)
from dora_theory.kernels.random_words import Stream
from dora_theory.kernels.triton_instructions import as_interpreted, single_instructions


class Tiling(NamedTuple):
    """A program's share: samples (a power of two), and its warps of 32.

    The default, eight samples of a thread, is the fastest of those timed on an H200.
    """

    samples: int = 256
    warps: int = 1


def _power(n: int) -> int:
    """The power of two that is not below."""
    return 1 << (n - 1).bit_length()


def expected_outcomes(
    keys: Stream,
    alpha: Float[Array, "units n"],
    beta: Float[Array, "units n"],
    spent: Int[Array, "units strategies n"],
    sample: UInt32[Array, " samples"],
    counts: Bool[Array, " samples"],
    *,
    implementation: Implementation = "auto",
) -> Outcomes:
    """Sums of 1 - Π (1 - p)^B and of Σ B p over samples of p ~ Beta(a, b), float32.

    Args:
        keys: of problems, shape `(n, 1)`.
        alpha: a ≥ 0, a lane for each unit.
        beta: b ≥ 0, a + b > 0.
        spent: rollouts B of each unit.
        sample: numbers of the samples.
        counts: samples that are to be counted.
        implementation: see `dora_theory.kernels.dispatch.choose`.

    Returns:
        The sums.

    Raises:
        ValueError: `"pallas"` where it cannot run.
    """
    obstacle = None if alpha.dtype == jnp.float32 else f"the kernel has no {alpha.dtype}"
    return choose(
        implementation,
        expected_outcomes_kernel,
        expected_outcomes_reference,
        keys,
        alpha,
        beta,
        spent,
        sample,
        counts,
        obstacle=obstacle,
        # Mosaic GPU writes scalars by an instruction that Ampere has not.
        mosaic=Mosaic(_mosaic, 9.0),
    )


def _mosaic(*arguments: Any) -> Outcomes:
    """The other form, which needs a JAX that has what it is made of."""
    from dora_theory.kernels.outcomes_mosaic import expected_outcomes_mosaic

    return expected_outcomes_mosaic(*arguments)


def expected_outcomes_reference(
    keys: Stream,
    alpha: Float[Array, "units n"],
    beta: Float[Array, "units n"],
    spent: Int[Array, "units strategies n"],
    sample: UInt32[Array, " samples"],
    counts: Bool[Array, " samples"],
    by: Arithmetic = PLAIN,
) -> Outcomes:
    """`expected_outcomes` in `jax.numpy`.

    A unit is used while the next is drawn: so XLA writes its logits down, once (fused into what
    uses them they would be drawn again for each strategy), and holds those of two units only.
    """

    def step(
        state: tuple[Array, Array], unit: tuple[Array, Array, Array, Array]
    ) -> tuple[tuple[Array, Array], Array]:
        failure, logits = state
        lane, a, b, spent_before = unit
        failure, p = _added(failure, logits, spent_before, counts, by)
        return (failure, beta_logits(keys, lane, sample, setup_beta(a, b), by)), p

    lanes = jnp.arange(alpha.shape[0])
    # Before the first unit comes one that has no rollouts and p = 0.
    before = jnp.concatenate([jnp.zeros_like(spent[:1]), spent[:-1]])
    start = _certain(spent, sample.size), jnp.full((spent.shape[-1], sample.size), -jnp.inf)
    (failure, logits), p = jax.lax.scan(
        step, start, (lanes, alpha[..., None], beta[..., None], before)
    )
    failure, last = _added(failure, logits, spent[-1], counts, by)
    return _summed(failure, jnp.concatenate([p[1:], last[None]]), spent, counts)


def outcomes_of_logits(
    logits: Float[Array, "units n samples"],
    spent: Int[Array, "units strategies n"],
    counts: Bool[Array, " samples"],
) -> Outcomes:
    """The same of draws that are made: logit p of every unit, problem and sample."""
    failure, p = jax.lax.scan(
        lambda failure, unit: _added(failure, *unit, counts, PLAIN),
        _certain(spent, logits.shape[-1]),
        (logits, spent),
    )
    return _summed(failure, p, spent, counts)


def _certain(spent: Array, samples: int) -> Array:
    """The log failure of who has spent nothing."""
    return jnp.zeros((*spent.shape[1:], samples), jnp.float32)


def _added(
    failure: Array, logits: Array, spent: Array, counts: Array, by: Arithmetic
) -> tuple[Array, Array]:
    """Log failure with one more unit, and the sum over samples of that unit's p."""
    drawn = drawn_by(logits, by)
    failure += spent[..., None].astype(jnp.float32) * drawn.log_q
    return failure, jnp.where(counts, drawn.p, 0).sum(-1)


def _summed(failure: Array, p: Array, spent: Array, counts: Array) -> Outcomes:
    correct = (spent * p[:, None]).sum(0)
    return Outcomes(jnp.where(counts, -jnp.expm1(failure), 0).sum(-1), correct)


def expected_outcomes_kernel(
    keys: Stream,
    alpha: Float[Array, "units n"],
    beta: Float[Array, "units n"],
    spent: Int[Array, "units strategies n"],
    sample: UInt32[Array, " samples"],
    counts: Bool[Array, " samples"],
    *,
    tile: Tiling = Tiling(),  # noqa: B008 -- it is frozen
    interpret: bool = False,
) -> Outcomes:
    """`expected_outcomes` on a GPU.

    Args:
        keys: as `expected_outcomes`.
        alpha: as `expected_outcomes`.
        beta: as `expected_outcomes`.
        spent: as `expected_outcomes`.
        sample: as `expected_outcomes`.
        counts: as `expected_outcomes`.
        tile: a program's share.
        interpret: run without a GPU, operation by operation.

    Returns:
        The sums. Of memory, what the arguments take 40 times over, whatever the samples are.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    units, strategies, n = spent.shape
    each, warps = tile
    if 0 in spent.shape or sample.size == 0:
        return Outcomes(*jnp.zeros((2, strategies, n), jnp.float32))
    parts = pl.cdiv(sample.size, each)
    more = parts * each - sample.size
    sample, counts = jnp.pad(sample, (0, more)), jnp.pad(counts, (0, more))
    seeds, table = laid_out(keys, alpha, beta)
    by = as_interpreted() if interpret else single_instructions()
    # Tensors of a kernel have powers of two for sizes; strategies beyond spend nothing.
    width = _power(strategies)
    budget = jnp.pad(spent.transpose(2, 0, 1), ((0, 0), (0, 0), (0, width - strategies)))

    def kernel(
        seeds: Any, table: Any, budget: Any, sample: Any, counts: Any, success: Any, correct: Any
    ) -> None:
        stream = Stream(seeds[0], seeds[1])
        number, counted = sample[...], counts[...]

        def add(unit: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
            failure, expected = sums

            here = setup_of_unit(lambda i: table[unit, i], table.shape[-1])
            drawn = drawn_by(beta_logits(stream, unit, number, here, by), by)
            spent = budget[unit, :].astype(jnp.float32)
            p = jnp.where(counted, drawn.p, 0).sum()
            failure = by.fused(spent[:, None], drawn.log_q[None, :], failure)
            return failure, expected + spent * p

        start = jnp.zeros((width, each), jnp.float32), jnp.zeros((width,), jnp.float32)
        failure, expected = jax.lax.fori_loop(0, units, add, start)
        success[...] = jnp.where(counted[None, :], success_of(failure, by), 0).sum(-1)
        correct[...] = expected

    def of_whole(x: Array) -> Any:
        """All that an array holds of the program's problem."""
        rest = (0,) * (x.ndim - 1)
        return pl.BlockSpec((None, *x.shape[1:]), lambda p: (p // parts, *rest))

    some = pl.BlockSpec((each,), lambda p: (p % parts,))
    out = pl.BlockSpec((None, None, width), lambda p: (p // parts, p % parts, 0))

    def call(seeds: Array, table: Array, budget: Array, sample: Array, counts: Array) -> Any:
        n = seeds.shape[0]
        return pl.pallas_call(
            kernel,
            out_shape=[jax.ShapeDtypeStruct((n, parts, width), jnp.float32)] * 2,
            grid=(n * parts,),
            in_specs=[*map(of_whole, (seeds, table, budget)), some, some],
            out_specs=[out, out],
            compiler_params=triton.CompilerParams(num_warps=warps, num_stages=1),
            interpret=interpret,
            name="expected_outcomes",
        )(seeds, table, budget, sample, counts)

    quiet()
    sums = by_problems(call, (seeds, table, budget), (sample, counts))
    return Outcomes(*(x.sum(1)[:, :strategies].T for x in sums))
