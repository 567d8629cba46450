"""Rounding: how often and how far round(N w) misses the budget N.

REBASE and DORA give each candidate its rounded share of N, and the sum of rounded shares is not N
(theory 3.2). Scores are uniform, 2 to 39 candidates, T_b = 0.1. Above, the distribution of the
miss: more below than above, because the many small shares of a softmax are rounded to nothing.
Below, the share of problems that miss: more candidates make it worse, and more rollouts do not
help.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from paper_repro.drawing import ORDER, curves, panels
from paper_repro.script import Row, row, run

PROBLEMS, MOST = 4000, 39  # problems for each number of candidates from 2 on
BUDGETS = (16, 32, 64)


def misses(
    budgets: tuple[int, ...] = BUDGETS, candidates: int = MOST, problems: int = PROBLEMS
) -> np.ndarray:
    """Σ round(N w) - N, shape (budgets, numbers of candidates, problems)."""
    sizes = jnp.arange(2, candidates + 1)
    scores = jax.random.uniform(jax.random.key(0), (sizes.size, problems, candidates))
    mask = jnp.arange(candidates) < sizes[:, None, None]
    spent = [dt.rebase_allocation(scores, n, literal=True, mask=mask).sum(-1) for n in budgets]
    return np.stack([np.asarray(s) - n for s, n in zip(spent, budgets, strict=True)])


def main(
    out: Path,
    *,
    budgets: tuple[int, ...] = BUDGETS,
    candidates: int = MOST,
    problems: int = PROBLEMS,
) -> list[Row]:
    """Draws `out/rounding`, for 2 to so many candidates."""
    with jax.enable_x64(True):
        miss = misses(budgets, candidates, problems)
    sizes = np.arange(2, candidates + 1)
    steps = np.arange(miss.min(), miss.max() + 1)
    share = {
        n: np.array([np.mean(m == s) for s in steps]) for n, m in zip(budgets, miss, strict=True)
    }
    with panels(out / "rounding", 2) as (top, bottom):
        for i, (n, heights) in enumerate(share.items()):
            top.bar(
                steps + 0.81 * (i - (len(share) - 1) / 2) / len(share),
                100 * heights,
                width=0.75 / len(share),
                color=ORDER[i % len(ORDER)],
                label=f"N = {n}",
            )
        top.set(xlabel="rollouts spent − N", ylabel="share of problems (%)")
        # Further off there is too little to be seen.
        top.set(xlim=(-4.6, 2.6), xticks=range(-4, 3))
        top.legend(loc="upper left", handlelength=1.2)
        curves(
            bottom,
            sizes,
            {f"N = {n}": 100 * np.mean(m != 0, -1) for n, m in zip(budgets, miss, strict=True)},
        )
        bottom.set(xlabel="candidates k", ylabel="problems that miss N (%)", ylim=(0, 100))
        bottom.legend(loc="lower right")
    name = "Rounding"
    return [
        row(name, "share of problems that miss N", None, np.mean(miss != 0)),
        row(name, "largest deficit, largest excess", None, [miss.min(), miss.max()]),
        *(
            row(name, f"N = {n}: share that misses, mean miss", None, [np.mean(m != 0), m.mean()])
            for n, m in zip(budgets, miss, strict=True)
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
