"""Expected outcomes of rollouts by Mosaic GPU: a form that needs no Triton backend.

A warpgroup takes some samples of one problem, as the Triton form does, and keeps them in registers
from the random words to the sums. It calls the same functions, so its draws are the same.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from dora_theory.kernels.beta_sampler import beta_logits
from dora_theory.kernels.by_problems import by_problems
from dora_theory.kernels.outcome_parts import (
    Outcomes,
    drawn_by,
    laid_out,
    setup_of_unit,
    success_of,
)
from dora_theory.kernels.random_words import Stream

# Samples of a program; its 128 threads hold as many each.
_SAMPLES = 256


def expected_outcomes_mosaic(
    keys: Stream,
    alpha: Float[Array, "units n"],
    beta: Float[Array, "units n"],
    spent: Int[Array, "units strategies n"],
    sample: UInt32[Array, " samples"],
    counts: Bool[Array, " samples"],
    *,
    each: int = _SAMPLES,
    interpret: Any = False,
) -> Outcomes:
    """`expected_outcomes` on a GPU, without Triton.

    Args:
        keys: as `expected_outcomes`.
        alpha: as `expected_outcomes`.
        beta: as `expected_outcomes`.
        spent: as `expected_outcomes`.
        sample: as `expected_outcomes`.
        counts: as `expected_outcomes`.
        each: samples of a program, a multiple of 128.
        interpret: false, or how Mosaic GPU is to simulate memory and threads on a CPU.

    Returns:
        The sums.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    units, strategies, n = spent.shape
    if 0 in spent.shape or sample.size == 0:
        return Outcomes(*jnp.zeros((2, strategies, n), jnp.float32))
    parts = pl.cdiv(sample.size, each)
    more = parts * each - sample.size
    sample = jnp.pad(sample, (0, more))
    # A factor, since there is no way to hold truth values in memory.
    counted = jnp.pad(counts.astype(jnp.float32), (0, more))
    seeds, table = laid_out(keys, alpha, beta)
    budget = spent.transpose(2, 0, 1).astype(jnp.float32)

    def call(seeds: Array, table: Array, budget: Array, sample: Array, counted: Array) -> Any:
        def body(
            seeds: Any, table: Any, budget: Any, sample: Any, counted: Any,
            success: Any, correct: Any,
        ) -> None:  # fmt: skip
            problem, part = jax.lax.axis_index("problem"), jax.lax.axis_index("part")
            here = pl.ds(part * each, each)
            number, count = sample[here], counted[here]
            stream = Stream(seeds[problem, 0], seeds[problem, 1])

            def for_all(x: Array) -> Array:
                # A choice between vectors is not made by one truth value.
                return jnp.broadcast_to(x, (each,))

            def add(unit: Array, sums: tuple[Any, Any]) -> tuple[Any, Any]:
                failure, expected = sums
                setup = setup_of_unit(lambda i: for_all(table[problem, unit, i]), table.shape[-1])
                drawn = drawn_by(beta_logits(stream, unit, number, setup))
                p = (drawn.p * count).sum()
                b = [budget[problem, unit, s] for s in range(strategies)]
                failure = [f + for_all(x) * drawn.log_q for f, x in zip(failure, b, strict=True)]
                return failure, [e + x * p for e, x in zip(expected, b, strict=True)]

            start = (
                [jnp.zeros((each,), jnp.float32)] * strategies,
                [jnp.float32(0)] * strategies,
            )
            failure, expected = jax.lax.fori_loop(0, units, add, start)
            for s in range(strategies):
                success[problem, part, s] = (success_of(failure[s]) * count).sum()
                correct[problem, part, s] = expected[s]

        out = [jax.ShapeDtypeStruct((seeds.shape[0], parts, strategies), jnp.float32)] * 2
        return plgpu.kernel(
            body,
            out_type=out,
            grid=(seeds.shape[0], parts),
            grid_names=("problem", "part"),
            interpret=interpret,
            kernel_name="expected_outcomes",
        )(seeds, table, budget, sample, counted)

    sums = by_problems(call, (seeds, table, budget), (sample, counted))
    return Outcomes(*(x.sum(1).T for x in sums))
