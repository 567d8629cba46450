"""Solution-level allocation: what counting candidates costs as directions grow unequal.

Four directions of equal quality, one with h candidates and three with one each; κ = 1. Above,
success lost against the exact optimum over directions. Below, the rollout efficiency: how many
times the rollouts it needs for the same success, which tends to exp KL(Q‖Q̂) as N grows (theory
4.2, 4.3, 4.7). The loss in success fades with N; the factor in rollouts does not.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import BLACK, curves, panels
from paper_repro.script import Row, row, run, success_lost

IMBALANCE = np.arange(1, 65)
QUALITY, KAPPA = np.full(4, 0.25), 1.0
BUDGETS = (16, 64, 256, 4096)


def main(out: Path) -> list[Row]:
    sizes = np.stack([IMBALANCE, *[np.ones_like(IMBALANCE)] * 3], -1)
    losses, ratios = {}, {}
    with jax.enable_x64(True):
        counted = dt.solution_level_shares(QUALITY, sizes)
        price = np.exp(dt.kl_divergence(QUALITY, counted))
        for n in BUDGETS:
            used = dt.log_failure(QUALITY, KAPPA, dt.apportion(counted, n))
            best = dt.log_failure(QUALITY, KAPPA, dt.optimal_allocation(QUALITY, KAPPA, n))
            losses[f"N = {n}"] = 100 * success_lost(used, best)
            ratios[f"N = {n}"] = np.asarray(dt.rollouts_to_match(QUALITY, counted, KAPPA, n)) / n
    with panels(out / "solution_level", 2) as (top, bottom):
        curves(top, IMBALANCE, losses)
        top.set(ylabel="success lost, points")
        top.legend()
        curves(bottom, IMBALANCE, ratios)
        bottom.plot(IMBALANCE, price, color=BLACK, linestyle=":", label="exp KL(Q‖Q̂)")
        bottom.set(ylabel="rollout efficiency $N_{sol}/N_{dir}$")
        bottom.legend(loc="upper left")
        for axes in (top, bottom):
            axes.set(xscale="log", xlabel="imbalance $h = k_{max}/k_{min}$", xlim=(1, 64))
            axes.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
            axes.minorticks_off()
    sixteen = int(np.argmax(IMBALANCE == 16))
    name = "Solution level"
    return [
        row(name, "h = 16: exp KL(Q‖Q̂)", None, price[sixteen], 3),
        *(row(name, f"h = 16, {n}: N_sol/N_dir", None, x[sixteen], 3) for n, x in ratios.items()),
        *(
            row(name, f"h = 16, {n}: success lost, points", None, x[sixteen])
            for n, x in losses.items()
        ),
        *(row(name, f"h = 1, {n}: success lost, points", None, x[0]) for n, x in losses.items()),
    ]


if __name__ == "__main__":
    run(main, __doc__)
