"""Regret of each rule against the concentration κ.

Mean over problems of the success lost against the exact optimum: 16 candidates with uniform scores,
T_b = 0.1, N = 32. Adams', Webster's and Jefferson's methods are optimal for κ → 0, κ = 1/2 and
κ = 1, where their curves fall to zero. REBASE with the budget kept is Webster's method: it loses
little anywhere, and nothing at κ = 1/2. Temperature, which ignores the scores, loses little for
small κ only; beam search and DVTS lose less at either end than between.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import COLORS
from paper_repro.drawing import BLACK, panels
from paper_repro.script import Row, row, run, success_lost

PROBLEMS, CANDIDATES, BUDGET = 500, 16, 32
# Fine, for the curves fall to zero at κ = 1/2 and 1, which are among them.
CONCENTRATIONS = np.union1d(np.logspace(-3, 3, 481), [0.5, 1.0])
LOWEST = 1e-7
LOOKS = {
    "temperature": (COLORS["temperature"], "-"),
    "beam": (COLORS["beam"], "-"),
    "DVTS": (COLORS["dvts"], "-"),
    "REBASE (Webster)": (COLORS["rebase"], "-"),
    "REBASE, its authors' code": (COLORS["rebase-sequential"], "--"),
    "Adams": (BLACK, ":"),
    "Jefferson": (BLACK, "--"),
}


def regrets(budget: int, candidates: int, problems: int) -> dict[str, np.ndarray]:
    """Mean regret of each rule, shape (concentrations,)."""
    scores = jax.random.uniform(jax.random.key(0), (problems, candidates))
    weights = dt.quality_weights(scores)
    allocations = (
        dt.temperature_allocation(scores, budget),
        dt.beam_allocation(scores, budget),
        dt.dvts_allocation(scores, budget),
        dt.rebase_allocation(scores, budget),
        dt.rebase_sequential_allocation(scores, budget, quality_temperature=0.2),
        dt.apportion(weights, budget, divisor=0),
        dt.apportion(weights, budget, divisor=1),
    )
    kappa = CONCENTRATIONS[:, None]
    best = dt.log_failure(weights, kappa, dt.optimal_allocation(weights, kappa, budget))
    found = {}
    for name, given in zip(LOOKS, allocations, strict=True):
        found[name] = np.mean(success_lost(dt.log_failure(weights, kappa, given), best), -1)
    return found


def main(
    out: Path, *, budget: int = BUDGET, candidates: int = CANDIDATES, problems: int = PROBLEMS
) -> list[Row]:
    """Draws `out/rules_regret`."""
    with jax.enable_x64(True):
        found = regrets(budget, candidates, problems)
    with panels(out / "rules_regret", 1, height=3.6) as (axes,):
        for name, regret in found.items():
            color, line = LOOKS[name]
            # Zero has no place on a logarithmic axis: the curve leaves the picture.
            shown = np.maximum(regret, LOWEST / 10)
            axes.plot(CONCENTRATIONS, shown, color=color, linestyle=line, label=name)
        axes.set(xscale="log", yscale="log", xlim=(1e-3, 1e3), ylim=(LOWEST, 0.3))
        axes.set(xlabel="concentration κ", ylabel="success lost to the optimum")
        axes.figure.legend(loc="outside lower center", ncols=2, handlelength=2.4)
    at = {kappa: int(np.argmin(np.abs(CONCENTRATIONS - kappa))) for kappa in (1e-3, 0.5, 1, 1e3)}
    return [
        row("Regret", f"{name}: κ = 0.001, 1/2, 1, 1000", None, regret[list(at.values())], 6)
        for name, regret in found.items()
    ]


if __name__ == "__main__":
    run(main, __doc__)
