"""Candidates with their own κ: what rules of bandits and one κ for all lose.

Mean success lost against the exact optimum, for weights from a flat Dirichlet distribution, 4, 8 or
16 candidates, and κ of each log-uniform from 0.1 to 10. A lower confidence bound is worst: it
withholds first tries. An upper one loses little; UCB1, which is close to equal shares, much; one κ
for all 2 to 3 points at N ≤ 32: where candidates differ in confidence, it pays to know it.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import COLORS
from paper_repro.drawing import BLACK, GRAY, panels
from paper_repro.script import Row, row, run

PROBLEMS, SIZES, BUDGETS, RUNS = 84, (4, 8, 16), (8, 32, 128), 16
BOUNDS = {"UCB, mean + 1 sd": 1.0, "UCB, mean + 2 sd": 2.0, "LCB, mean − 1/2 sd": -0.5}
BOUNDS |= {"LCB, mean − 1 sd": -1.0}
LOOKS = {
    "UCB, mean + 1 sd": (COLORS["rebase"], "-"),
    "UCB, mean + 2 sd": (COLORS["rebase"], "--"),
    "UCB1": (COLORS["rebase"], ":"),
    "LCB, mean − 1/2 sd": (COLORS["dora"], "-"),
    "LCB, mean − 1 sd": (COLORS["dora"], "--"),
    "Thompson": (COLORS["direction-optimal"], "-"),
    "one κ = 1/2": (GRAY, "-"),
    "one κ, geometric mean": (BLACK, ":"),
}


def losses(budgets: tuple[int, ...], problems: int) -> dict[str, np.ndarray]:
    """Mean success lost of each rule at each budget."""
    generator = np.random.default_rng(0)
    found: dict[str, list[list[np.ndarray]]] = {name: [[] for _ in budgets] for name in LOOKS}
    for k in SIZES:
        w = generator.dirichlet(np.ones(k), problems)
        kappa = np.exp(generator.uniform(np.log(0.1), np.log(10), (problems, k)))
        for i, n in enumerate(budgets):
            best = np.exp(dt.log_failure(w, kappa, dt.optimal_allocation(w, kappa, n)))
            plans = {
                name: dt.confidence_bound_allocation(w, kappa, n, c) for name, c in BOUNDS.items()
            }
            plans["UCB1"] = dt.ucb1_allocation(w, kappa, n)
            plans["one κ = 1/2"] = dt.optimal_allocation(w, 0.5, n)
            middle = np.exp(np.log(kappa).mean(-1))
            plans["one κ, geometric mean"] = dt.optimal_allocation(w, middle, n)
            for name, given in plans.items():
                found[name][i].append(np.exp(dt.log_failure(w, kappa, given)) - best)
            thompson = dt.thompson_failure(jax.random.key(i), w, kappa, n, num_runs=RUNS)
            found["Thompson"][i].append(np.asarray(thompson) - best)
    return {
        name: np.array([np.concatenate(part).mean() for part in parts])
        for name, parts in found.items()
    }


def main(out: Path, *, budgets: tuple[int, ...] = BUDGETS, problems: int = PROBLEMS) -> list[Row]:
    """Draws `out/confidence`, from so many problems of each number of candidates."""
    with jax.enable_x64(True):
        found = losses(budgets, problems)
    with panels(out / "confidence", 1, height=3.6) as (axes,):
        for name, lost in found.items():
            color, line = LOOKS[name]
            axes.plot(budgets, lost, color=color, linestyle=line, marker=".", label=name)
        axes.set(xscale="log", yscale="log", xlabel="rollouts N")
        axes.set(ylabel="success lost", xticks=budgets)
        axes.set_xticklabels(map(str, budgets))
        axes.minorticks_off()
        axes.figure.legend(loc="outside lower center", ncols=2, handlelength=2.4)
    listed = ", ".join(map(str, budgets))
    return [row("Own κ", f"{name}: N = {listed}", None, x, 4) for name, x in found.items()]


if __name__ == "__main__":
    run(main, __doc__)
