"""Solution-level allocation: what counting candidates costs as directions grow unequal.

Four directions of equal quality Q, one with h candidates and three with one each; κ = 1. Counting
candidates gives direction j the share Q̂_j, in proportion to Q_j times its candidates. Above, the
success lost against the exact optimum over directions. Below, the price: the rollouts that counting
needs over those that the optimum needs for the same success, N_sol/N_dir. As N grows it tends to
exp KL(Q‖Q̂) (dotted; theory 4.2, 4.3, 4.7). The loss in success fades with N; the price does not.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import BLACK, curves, panels
from paper_repro.script import Row, row, run, success_lost

IMBALANCE = np.arange(1, 65)
DIRECTIONS, KAPPA = 4, 1.0
BUDGETS = (16, 64, 256, 4096)


def main(
    out: Path,
    *,
    budgets: tuple[int, ...] = BUDGETS,
    directions: int = DIRECTIONS,
    concentration: float = KAPPA,
) -> list[Row]:
    """Draws `out/solution_level`: one direction with h candidates, the others with one each."""
    quality = np.full(directions, 1 / directions)
    sizes = np.stack([IMBALANCE, *[np.ones_like(IMBALANCE)] * (directions - 1)], -1)
    losses, ratios = {}, {}
    with jax.enable_x64(True):
        counted = dt.solution_level_shares(quality, sizes)
        price = np.exp(dt.kl_divergence(quality, counted))
        for n in budgets:
            used = dt.log_failure(quality, concentration, dt.apportion(counted, n))
            best = dt.log_failure(
                quality, concentration, dt.optimal_allocation(quality, concentration, n)
            )
            losses[f"N = {n}"] = 100 * success_lost(used, best)
            ratios[f"N = {n}"] = (
                np.asarray(dt.rollouts_to_match(quality, counted, concentration, n)) / n
            )
    with panels(out / "solution_level", 2) as (top, bottom):
        curves(top, IMBALANCE, losses)
        top.set(ylabel="success lost, points", title="Loss of success")
        top.legend()
        curves(bottom, IMBALANCE, ratios)
        bottom.plot(IMBALANCE, price, color=BLACK, linestyle=":", label="limit exp KL(Q‖Q̂)")
        bottom.set(ylabel="price $N_{sol}/N_{dir}$", title="Price: rollouts for the same success")
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
