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
from dora_theory._errors import InputError
from dora_theory.plots import save
from paper_repro.panels import allocation_against_concentration
from paper_repro.script import Row, row, run

WEIGHTS = (0.46, 0.27, 0.17, 0.08, 0.02)
BUDGET = 32
CONCENTRATIONS = np.logspace(-6, 6, 2401)


def main(out: Path, *, weights: tuple[float, ...] = WEIGHTS, budget: int = BUDGET) -> list[Row]:
    """Draws `out/proposition1`; `weights` fall from the first to the second, and further."""
    if not (
        len(weights) > 1 and 1 > weights[0] > weights[1] and sorted(weights)[::-1] == [*weights]
    ):
        raise InputError(f"weights: {weights}: not below 1 and falling, the first above the others")
    w, k, (first, second), last = np.array(weights), len(weights), weights[:2], weights[-1]
    winner_from = second * (budget - 1) / (first - second)
    # With equal shares it never is.
    negative_from = budget * last / (1 - k * last) if k * last < 1 else np.inf
    few = np.array([1e-6, 0.5, 1, 10, 1e6])
    winner = budget * np.eye(k, dtype=int)[0]
    with jax.enable_x64(True):
        exact = np.asarray(dt.optimal_allocation(w, CONCENTRATIONS, budget))
        linear = np.asarray(dt.shifted_linear_allocation(w, CONCENTRATIONS, budget))
        # As many κ as candidates: the batch axis says that they are not one for each candidate.
        few_best = np.asarray(dt.optimal_allocation(w[None], few, budget))
        best = dict(zip(few, few_best, strict=True))
        rule = np.asarray(dt.shifted_linear_allocation(w, 10.0, budget))
        adams, webster, jefferson = (
            np.asarray(dt.apportion(w, budget, divisor=d)) for d in (0, 0.5, 1)
        )
        near = winner_from * np.array([1 - 1e-9, 1 + 1e-9])
        wins = np.asarray(dt.is_optimal(w, near, winner))
    figure = allocation_against_concentration(
        CONCENTRATIONS, exact, linear, w,
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
