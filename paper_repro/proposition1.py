"""Proposition 1: the optimal allocation against the concentration κ, over twelve decades.

Above, the exact integer optimum for five candidates and 32 rollouts. It is a divisor method of
apportionment with divisors κ + r, so that classical methods lie on the way: Adams' as κ → 0,
Webster's at κ = 1/2, Jefferson's at κ = 1; from κ = w₂(N - 1)/(w₁ - w₂) on the winner takes all.
Below, what Proposition 1 says: one rollout each for κ → 0 (the others "arbitrarily"),
(N + kκ)w - κ for finite κ, which is negative in the shaded part, and all to the best for κ → ∞.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import save
from paper_repro.panels import allocation_against_concentration
from paper_repro.script import Row, row, run

WEIGHTS = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
BUDGET = 32
CONCENTRATIONS = np.logspace(-6, 6, 2401)


def main(out: Path) -> list[Row]:
    k, (first, second), last = WEIGHTS.size, WEIGHTS[:2], WEIGHTS[-1]
    winner_from = second * (BUDGET - 1) / (first - second)
    negative_from = BUDGET * last / (1 - k * last)
    few = np.array([1e-6, 0.5, 1, 10, 1e6])
    winner = np.array([BUDGET, 0, 0, 0, 0])
    with jax.enable_x64(True):
        exact = np.asarray(dt.optimal_allocation(WEIGHTS, CONCENTRATIONS, BUDGET))
        linear = np.asarray(dt.shifted_linear_allocation(WEIGHTS, CONCENTRATIONS, BUDGET))
        # As many κ as candidates: the batch axis says that they are not one for each candidate.
        few_best = np.asarray(dt.optimal_allocation(WEIGHTS[None], few, BUDGET))
        best = dict(zip(few, few_best, strict=True))
        rule = np.asarray(dt.shifted_linear_allocation(WEIGHTS, 10.0, BUDGET))
        adams, webster, jefferson = (
            np.asarray(dt.apportion(WEIGHTS, BUDGET, divisor=d)) for d in (0, 0.5, 1)
        )
        near = winner_from * np.array([1 - 1e-9, 1 + 1e-9])
        wins = np.asarray(dt.is_optimal(WEIGHTS, near, winner))
    figure = allocation_against_concentration(
        CONCENTRATIONS, exact, linear, WEIGHTS,
        marks={
            "Webster, κ = 1/2": 0.5,
            "Jefferson, κ = 1": 1.0,
            f"winner takes all, κ ≥ {winner_from:.1f}": winner_from,
        },
        start=adams, end=winner, rule_start=np.ones(k, int),
    )  # fmt: skip
    save(figure, out / "proposition1")
    name = "Proposition 1"
    return [
        row(name, "κ → 0 (10⁻⁶), optimum", "one each, the rest arbitrary", best[1e-6]),
        row(name, "κ → 0, Adams' method", None, adams),
        row(name, "κ = 1/2, optimum", None, best[0.5]),
        row(name, "κ = 1/2, Webster's method", None, webster),
        row(name, "κ = 1, optimum", None, best[1]),
        row(name, "κ = 1, Jefferson's method", None, jefferson),
        row(name, "κ = 10, (N + kκ)w - κ; the optimum", rule, best[10]),
        row(name, "κ → ∞ (10⁶), optimum", winner, best[1e6]),
        row(name, "κ above which the rule is negative", None, negative_from),
        row(name, "κ from which the winner takes all", None, winner_from),
        row(name, "winner takes all is optimal just below, above it", None, wins.astype(int)),
    ]


if __name__ == "__main__":
    run(main, __doc__)
