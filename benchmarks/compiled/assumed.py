"""What predictions assume of the data; `python benchmarks/compiled/assumed.py` counts it again."""

import sys
from pathlib import Path
from typing import Any

# Passes of the search for a level, by k: means of programs as counted on a CPU with the weights of
# `make gpu`, all different and tied.
PASSES = {8: (5.4, 10.5), 64: (4.6, 7.0), 1000: (3.5, 5.2), 4096: (4.0, 5.1)}
# Share of programs of tied rows that one step does not settle: at most.
OPEN = 0.1
# Weights that are looked at.
_COUNTED = 1 << 20


def passes(k: int, *, tied: bool = False) -> float:
    """Those of the next smaller k that was counted."""
    return PASSES[max((known for known in PASSES if known <= k), default=min(PASSES))][tied]


def counted(k: int, *, ties: bool) -> float:
    """The mean over programs of the passes until the last of their rows is done."""
    import jax
    import jax.numpy as jnp
    from workloads import Weights, of_allocation

    from dora_theory.kernels import level_search
    from dora_theory.kernels.divisor_pallas import tiling

    (w, c, budget, _), _ = of_allocation(Weights(k, ties=ties), _COUNTED)
    rows = tiling(k, w.dtype.itemsize).rows
    loop = jax.lax.while_loop

    def of_program(w: Any, budget: Any) -> Any:
        goal, ended = budget[:, None].astype(w.dtype), []

        def seen(*arguments: Any) -> Any:
            ended.append(loop(*arguments))
            return ended[-1]

        start = level_search.first_bracket(
            w, c, goal, level_search.row_sum(w), level_search.row_sum
        )
        jax.lax.while_loop = seen
        try:
            level_search.search(start, w, c, goal, level_search.row_sum)
        finally:
            jax.lax.while_loop = loop
        return ended[0].passes

    whole = len(w) // rows * rows
    parts = w[:whole].reshape(-1, rows, k), budget[:whole].reshape(-1, rows)
    return float(jnp.mean(jax.jit(jax.vmap(of_program))(*parts)))


def main() -> None:
    """Prints what `PASSES` should say."""
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root), str(root / "benchmarks")]
    found = {k: tuple(round(counted(k, ties=ties), 1) for ties in (False, True)) for k in PASSES}
    print(f"PASSES = {found}")


if __name__ == "__main__":
    main()
