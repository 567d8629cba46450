"""What predictions assume of the data; `python benchmarks/compiled/assumed.py` counts it again."""

import sys
from pathlib import Path
from typing import Any, NamedTuple


class Course(NamedTuple):
    """How programs of an allocation go, in the mean.

    Attributes:
        passes: turns of the loop of few instructions.
        step: share of programs with a row that needs the step which settles ties.
        search: share of those with a row that this leaves open, which search on.
        turns: of that search, in the mean of all programs.
    """

    passes: float
    step: float
    search: float
    turns: float


# By k, as counted on a CPU with the weights of `make gpu`, all different and tied.
COURSES = {
    k: (Course(*apart), Course(*tied))
    for k, (apart, tied) in {
        1: ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
        8: ((5.9, 0.31, 0.0, 0.0), (7.0, 1.0, 0.03, 0.32)),
        64: ((4.4, 0.12, 0.01, 0.03), (7.0, 1.0, 0.04, 0.2)),
        1000: ((3.4, 0.1, 0.02, 0.08), (6.9, 0.99, 0.01, 0.05)),
        4096: ((4.0, 0.23, 0.07, 0.18), (7.0, 0.99, 0.01, 0.03)),
    }.items()
}
# Turns of the loops that then move rollouts.
MOVES = 1
# Weights that are looked at.
_COUNTED = 1 << 20


def course(k: int, *, tied: bool = False) -> Course:
    """That of the next smaller k that was counted; between 1 and 8 that of 8."""
    smaller = [known for known in COURSES if known <= k]
    return COURSES[8 if 1 < k < 8 else max(smaller)][tied]


def counted(k: int, *, ties: bool) -> Course:
    """The means over programs: a row that is not done keeps all rows of its program."""
    import jax
    import jax.numpy as jnp
    from workloads import Weights, of_allocation

    from dora_theory.kernels import divisor
    from dora_theory.kernels.arithmetic import PLAIN
    from dora_theory.kernels.divisor_pallas import tiling
    from dora_theory.kernels.level_search import row_sum

    (w, c, budget, _), _ = of_allocation(Weights(k, ties=ties), _COUNTED)
    rows = tiling(k, w.dtype.itemsize).rows
    loop = jax.lax.while_loop

    def of_program(w: Any, budget: Any) -> Any:
        goal, ended = budget[:, None].astype(w.dtype), []

        def seen(*arguments: Any) -> Any:
            ended.append(loop(*arguments))
            return ended[-1]

        jax.lax.while_loop = seen
        try:
            found = divisor.quick_counts(w, c, budget[:, None], PLAIN)
            divisor._searched_on(found, w, c, goal, row_sum(w))
        finally:
            jax.lax.while_loop = loop
        _, left = divisor._settled(found.level, w, c, goal, jnp.divide, row_sum)
        step = jnp.logical_not(found.exact)
        left = (left & step).any()
        return jnp.stack([ended[0].passes, step.any(), left, left * ended[1].passes])

    whole = len(w) // rows * rows
    parts = w[:whole].reshape(-1, rows, k), budget[:whole].reshape(-1, rows)
    means = jax.jit(jax.vmap(of_program))(*parts).astype(jnp.float32).mean(0)
    passes, step, search, turns = map(float, means)
    return Course(round(passes, 1), *(round(x, 2) for x in (step, search, turns)))


def main() -> None:
    """Prints what `COURSES` should say."""
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root), str(root / "benchmarks")]
    for k in (1, 8, 64, 1000, 4096):
        print(f"    {k}: {tuple(tuple(counted(k, ties=ties)) for ties in (False, True))},")


if __name__ == "__main__":
    main()
