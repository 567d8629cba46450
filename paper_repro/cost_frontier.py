"""Success against cost, for rules that count rollouts and for the optimum that counts cost.

A rollout costs what is left to write of it: candidates have written 10% to 90% of a solution of
length 1. Each rule spends its N rollouts as it does, and is charged for them. The optimum under a
hard budget of cost prefers what is nearly done; between its dots nothing reaches above the bound.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import COLORS
from paper_repro.drawing import BLACK, panels
from paper_repro.script import Row, row, run

PROBLEMS, CANDIDATES, CONCENTRATION = 60, 8, 0.5
BUDGETS, COSTS = (2, 4, 8, 16, 32, 64), (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RULES = {"temperature": "temperature", "beam": "beam", "REBASE": "rebase", "optimal N": "optimal"}


def main(out: Path) -> list[Row]:
    generator = np.random.default_rng(0)
    scores = generator.random((PROBLEMS, CANDIDATES))
    costs = generator.uniform(0.1, 0.9, (PROBLEMS, CANDIDATES))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in RULES}
    rows = []
    with jax.enable_x64(True):
        w = np.asarray(dt.quality_weights(scores))
        for n in BUDGETS:
            plans = {
                "temperature": dt.temperature_allocation(scores, n),
                "beam": dt.beam_allocation(scores, n),
                "REBASE": dt.rebase_allocation(scores, n),
                "optimal N": dt.optimal_allocation(w, CONCENTRATION, n),
            }
            for name, given in plans.items():
                spent = float((costs * given).sum(-1).mean())
                success = float(dt.success_probability(w, CONCENTRATION, given).mean())
                found[name].append((spent, success))
        best = [dt.cost_allocation(w, CONCENTRATION, costs, c) for c in COSTS]
        reached = [float(1 - np.exp(x.log_failure).mean()) for x in best]
        bound = [float(1 - np.exp(x.log_failure_bound).mean()) for x in best]
    with panels(out / "cost_frontier", 1, height=3.2) as (axes,):
        for name, points in found.items():
            axes.plot(*zip(*points, strict=True), color=COLORS[RULES[name]], marker=".", label=name,
                      linestyle="--" if name == "optimal N" else "-")  # fmt: skip
        axes.plot(COSTS, reached, color=BLACK, marker="o", markersize=3, label="optimal for cost")
        axes.plot(COSTS, bound, color=BLACK, linestyle=":", label="bound")
        axes.set(xscale="log", xlabel="cost of the rollouts", ylabel="success")
        axes.legend(loc="lower right")
    for name, points in found.items():
        at = [float(np.interp(c, *zip(*points, strict=True))) for c in (4.0, 16.0)]
        rows.append(row("Frontier", f"{name}: success at cost 4, 16", None, at, 3))
    chosen = [reached[COSTS.index(c)] for c in (4.0, 16.0)]
    return [*rows, row("Frontier", "optimal for cost: success at cost 4, 16", None, chosen, 3)]


if __name__ == "__main__":
    run(main, __doc__)
