"""Adaptivity is free: the policy that learns from failures walks through the offline optima.

Five candidates, κ = 2. After every failure the posterior of a candidate is updated by Bayes' rule,
and the next rollout goes to the largest posterior mean (crosses). Above, the rollouts that each
candidate has had after N failures: at every N they are the offline optimum for that N (steps;
theory 5.2). Below, that largest mean, the chance that the next rollout is the first success: it is
κ times the N-th largest priority of theory 2.1, and falls.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import BLACK, ORDER, panels
from paper_repro.script import Row, row, run

# No two priorities tie: how rounding would break a tie is not the point here.
WEIGHTS = np.array([0.41, 0.24, 0.17, 0.13, 0.05])
KAPPA, LONGEST = 2.0, 40


def sequential() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rollouts of each candidate after 0 … 40 failures, whom each went to, its chance."""
    prior = dt.BetaPrior.from_quality(WEIGHTS, KAPPA)
    spent, served, chances = [np.zeros(WEIGHTS.size, int)], [], []
    for _ in range(LONGEST):
        mean = np.asarray(prior.after_failures(spent[-1]).mean)
        best = int(np.argmax(mean))
        served.append(best)
        chances.append(mean[best])
        spent.append(spent[-1] + (np.arange(WEIGHTS.size) == best))
    return np.stack(spent), np.array(served), np.array(chances)


def main(out: Path) -> list[Row]:
    budgets = np.arange(LONGEST + 1)
    with jax.enable_x64(True):
        spent, served, chances = sequential()
        best = np.asarray(dt.optimal_allocation(WEIGHTS, KAPPA, budgets))
        depth = np.arange(LONGEST)[:, None]
        every = KAPPA * np.asarray(dt.priorities(WEIGHTS, KAPPA, np.tile(depth, WEIGHTS.size)))
        success = np.asarray(dt.success_probability(WEIGHTS, KAPPA, best))
    largest = np.sort(every, axis=None)[::-1][:LONGEST]
    with panels(out / "adaptivity", 2) as (top, bottom):
        for i, color in zip(range(WEIGHTS.size), ORDER, strict=False):
            top.plot(
                budgets, best[:, i], color=color, drawstyle="steps-post", linewidth=0.9,
                label=f"w = {WEIGHTS[i]:g}",
            )  # fmt: skip
            top.plot(budgets, spent[:, i], "x", color=color, markersize=3)
            mine = served == i
            bottom.plot(budgets[1:][mine], chances[mine], "o", markersize=2.5, color=color)
        top.set(xlabel="failures N", ylabel="rollouts of a candidate", yticks=range(0, 20, 5))
        bottom.plot(budgets[1:], largest, color=BLACK, linewidth=0.8, zorder=1)
        bottom.set(xlabel="rollout number", ylabel="chance that it succeeds", ylim=(0, None))
        top.legend(loc="upper left")
    name = "Adaptivity"
    chain = 1 - np.cumprod(1 - chances)
    apart = (spent != best).any(-1).sum()
    off = abs(chances - largest).max()
    return [
        row(name, f"budgets from 0 to {LONGEST} where the two differ", None, int(apart)),
        row(name, f"allocation after {LONGEST} failures", None, spent[-1]),
        row(name, "its chances less the largest priorities, at most", None, off, 12),
        row(name, "success by N = 16, chained; offline", None, [chain[15], success[16]], 4),
    ]


if __name__ == "__main__":
    run(main, __doc__)
