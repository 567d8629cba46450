"""Adaptivity is free: the policy that learns from failures walks through the offline optima.

Five candidates, κ = 2. After every failure the posterior of a candidate is updated by Bayes' rule,
and the next rollout goes to the largest posterior mean (crosses). Above, the rollouts that each
candidate has had after N failures: at every N they are the offline optimum for that N (steps;
theory 5.2). Below, that largest mean, the chance that the next rollout is the first success: it is
κ times the N-th largest priority of theory 2.1, and falls.
"""

from itertools import cycle
from pathlib import Path

import jax
import numpy as np
from matplotlib.ticker import MaxNLocator

import dora_theory as dt
from paper_repro.drawing import BLACK, ORDER, panels
from paper_repro.script import Row, row, run

# No two priorities tie: how rounding would break a tie is not the point here.
WEIGHTS = (0.41, 0.24, 0.17, 0.13, 0.05)
KAPPA, LONGEST = 2.0, 40


def sequential(
    weights: np.ndarray, kappa: float, longest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rollouts of each candidate after 0, 1, … failures, whom each went to, its chance."""
    prior = dt.BetaPrior.from_quality(weights, kappa)
    spent, served, chances = [np.zeros(weights.size, int)], [], []
    for _ in range(longest):
        mean = np.asarray(prior.after_failures(spent[-1]).mean)
        best = int(np.argmax(mean))
        served.append(best)
        chances.append(mean[best])
        spent.append(spent[-1] + (np.arange(weights.size) == best))
    return np.stack(spent), np.array(served), np.array(chances)


def main(
    out: Path,
    *,
    weights: tuple[float, ...] = WEIGHTS,
    concentration: float = KAPPA,
    failures: int = LONGEST,
) -> list[Row]:
    """Draws `out/adaptivity`; where priorities tie, the two may break ties apart."""
    budgets, w = np.arange(failures + 1), np.array(weights)
    with jax.enable_x64(True):
        spent, served, chances = sequential(w, concentration, failures)
        best = np.asarray(dt.optimal_allocation(w[None], concentration, budgets))
        depth = np.arange(failures)[:, None]
        every = np.asarray(dt.priorities(w, concentration, np.tile(depth, w.size)))
        success = np.asarray(dt.success_probability(w, concentration, best))
    largest = np.sort(concentration * every, axis=None)[::-1][:failures]
    with panels(out / "adaptivity", 2) as (top, bottom):
        for i, color in zip(range(w.size), cycle(ORDER), strict=False):
            top.plot(
                budgets, best[:, i], color=color, drawstyle="steps-post", linewidth=0.9,
                label=f"w = {w[i]:g}",
            )  # fmt: skip
            top.plot(budgets, spent[:, i], "x", color=color, markersize=3)
            mine = served == i
            bottom.plot(budgets[1:][mine], chances[mine], "o", markersize=2.5, color=color)
        top.plot([], [], color="#444444", linewidth=0.9, label="offline optimum")
        top.plot([], [], "x", color="#444444", markersize=3, label="learning policy")
        top.set(xlabel="failures N", ylabel="rollouts of a candidate", ylim=(0, None))
        bottom.plot(budgets[1:], largest, color=BLACK, linewidth=0.8, zorder=1)
        bottom.set(xlabel="rollout number", ylabel="chance that it succeeds", ylim=(0, None))
        top.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        top.figure.legend(loc="outside lower center", ncols=3)
    name = "Adaptivity"
    chain = 1 - np.cumprod(1 - chances)
    apart = (spent != best).any(-1).sum()
    off, few = abs(chances - largest).max(), min(16, failures)
    return [
        row(name, f"budgets from 0 to {failures} where the two differ", None, int(apart)),
        row(name, f"allocation after {failures} failures", None, spent[-1]),
        row(name, "its chances less the largest priorities, at most", None, off, 12),
        row(
            name, f"success by N = {few}, chained; offline", None, [chain[few - 1], success[few]], 4
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
