"""What KL(Q‖Q̂) has to do with success: the gap in log failure over κ tends to it.

Three directions of equal quality with 10, 3 and 1 candidates. Above, log failure of N Q̂ (counting
candidates) less that of N Q (directions), over κ: Proposition 2 has it as the loss of a log
utility, and it is the limit of the true loss for every κ (theory 4.3). Below, the loss itself, in
success, of integer rollouts against the exact optimum for N: large while the smallest direction
has no rollout (up to N = 7), and then gone sooner for a larger κ, or for a tiny one.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import curves, level, panels
from paper_repro.script import Row, row, run, success_lost

SIZES = (10, 3, 1)
CONCENTRATIONS = (0.001, 0.1, 1.0, 10.0)
BUDGETS = 42 * 2 ** np.arange(0, 15)
FEW = np.unique(np.round(np.logspace(0, 4, 120)).astype(int))
TABLE = 4200


def shares(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Equal qualities Q of the directions, and Q̂."""
    quality = np.full(len(sizes), 1 / len(sizes))
    return quality, np.asarray(dt.solution_level_shares(quality, np.array(sizes)))


def gap(budget: np.ndarray | int, kappa: float, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """(log failure of N Q̂ - log failure of N Q)/κ, shares being real."""
    n = np.asarray(budget, float)[..., None]
    quality, counted = shares(sizes)
    by_count, by_direction = (dt.log_failure(quality, kappa, n * q) for q in (counted, quality))
    return np.asarray(by_count - by_direction) / kappa


def loss(budget: np.ndarray, kappa: float, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """Success of the exact optimum less that of Q̂ apportioned, both of N integer rollouts."""
    quality, counted = shares(sizes)
    used = dt.log_failure(quality, kappa, dt.apportion(np.tile(counted, (budget.size, 1)), budget))
    best = dt.log_failure(quality, kappa, dt.optimal_allocation(quality, kappa, budget))
    return success_lost(used, best)


def main(
    out: Path,
    *,
    sizes: tuple[int, ...] = SIZES,
    concentrations: tuple[float, ...] = CONCENTRATIONS,
) -> list[Row]:
    """Draws `out/gap_over_kappa`, for directions of equal quality and these sizes."""
    with jax.enable_x64(True):
        limit = float(dt.kl_divergence(*shares(sizes)))
        gaps = {f"κ = {k:g}": gap(BUDGETS, k, sizes) for k in concentrations}
        losses = {f"κ = {k:g}": 100 * loss(FEW, k, sizes) for k in concentrations}
        measured = {k: gap(TABLE, k, sizes) for k in concentrations}
    with panels(out / "gap_over_kappa", 2) as (top, bottom):
        curves(top, BUDGETS, gaps, marker="o")
        level(top, limit, f"KL(Q‖Q̂) = {limit:.5f}", x=0.98)
        top.set(
            xscale="log",
            ylim=(0, 1.25 * limit or None),
            xlabel="rollouts N",
            ylabel="gap in log failure / κ",
        )
        top.legend(loc="lower right")
        curves(bottom, FEW, losses, marker="o", markersize=1.5, linewidth=0.9)
        bottom.set(xscale="log", xlabel="rollouts N", ylabel="success lost, points")
        bottom.legend(loc="upper right")
    name = "Gap over κ"
    return [
        row(name, f"KL(Q‖Q̂) for k = {', '.join(map(str, sizes))} and equal Q", None, limit, 5),
        *(row(name, f"N = {TABLE}, κ = {k:g}", None, x, 5) for k, x in measured.items()),
        *(
            row(
                name,
                f"{k}: largest loss in percentage points, its N",
                None,
                [x.max(), int(FEW[np.argmax(x)])],
            )
            for k, x in losses.items()
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
