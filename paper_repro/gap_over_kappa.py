"""What KL(Q‖Q̂) has to do with success: the gap in log failure over κ tends to it.

Three directions of equal quality with 10, 3 and 1 candidates. Above, log failure of N Q̂ (counting
candidates) less that of N Q (directions), over κ: Proposition 2 has it as the loss of a log
utility, and it is the limit of the true loss for every κ (theory 4.3). Below, the loss itself, in
success, of whole rollouts against the exact optimum for N: large while the smallest direction goes
without a rollout, to N = 7, and then gone the sooner the larger κ is, or if κ is next to nothing.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import curves, level, panels
from paper_repro.script import Row, row, run, success_lost

SIZES = np.array([10, 3, 1])
QUALITY = np.full(3, 1 / 3)
CONCENTRATIONS = (0.001, 0.1, 1.0, 10.0)
BUDGETS = 42 * 2 ** np.arange(0, 15)
FEW = np.unique(np.round(np.logspace(0, 4, 120)).astype(int))
TABLE = 4200


def gap(budget: np.ndarray | int, kappa: float) -> np.ndarray:
    """(log failure of N Q̂ - log failure of N Q)/κ, shares being real."""
    n = np.asarray(budget, float)[..., None]
    counted = dt.solution_level_shares(QUALITY, SIZES)
    by_count, by_direction = (dt.log_failure(QUALITY, kappa, n * q) for q in (counted, QUALITY))
    return np.asarray(by_count - by_direction) / kappa


def loss(budget: np.ndarray, kappa: float) -> np.ndarray:
    """Success of the exact optimum less that of Q̂ apportioned, both of N whole rollouts."""
    counted = dt.solution_level_shares(QUALITY, SIZES)
    used = dt.log_failure(QUALITY, kappa, dt.apportion(np.tile(counted, (budget.size, 1)), budget))
    best = dt.log_failure(QUALITY, kappa, dt.optimal_allocation(QUALITY, kappa, budget))
    return success_lost(used, best)


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        limit = float(dt.kl_divergence(QUALITY, dt.solution_level_shares(QUALITY, SIZES)))
        gaps = {f"κ = {k:g}": gap(BUDGETS, k) for k in CONCENTRATIONS}
        losses = {f"κ = {k:g}": 100 * loss(FEW, k) for k in CONCENTRATIONS}
        measured = {k: gap(TABLE, k) for k in (0.001, 1.0, 10.0)}
    with panels(out / "gap_over_kappa", 2) as (top, bottom):
        curves(top, BUDGETS, gaps, marker="o")
        level(top, limit, f"KL(Q‖Q̂) = {limit:.5f}", x=0.98)
        top.set(xscale="log", ylim=(0, 0.5), xlabel="rollouts N", ylabel="gap in log failure / κ")
        top.legend(loc="lower right")
        curves(bottom, FEW, losses, marker="o", markersize=1.5, linewidth=0.9)
        bottom.set(xscale="log", xlabel="rollouts N", ylabel="success lost, points")
        bottom.legend(loc="upper right")
    name = "Gap over κ"
    return [
        row(name, "KL(Q‖Q̂) for k = 10, 3, 1 and equal Q", None, limit, 5),
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
