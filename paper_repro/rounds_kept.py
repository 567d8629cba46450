"""What R rounds keep of the gain of looking at every outcome.

Above, the share kept of the value (what looking always solves), in the worst case over all
difficulties (proved for real rollouts, checked for integers). Below, the share of the *gain* over
a fixed allocation that is kept, in the worst case and for Beta(a, b) difficulties at n = 8 rollouts
per problem, where rounds are planned by the dynamic program of theory 7.2f.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from paper_repro.drawing import BLACK, curves, panels
from paper_repro.script import Row, row, run

ROUNDS = (1, 2, 3, 4, 8, 16, 32)
FEW = (1, 2, 4, 8)
PRIORS = ((0.25, 0.75), (0.5, 0.5), (1.0, 1.0), (2.0, 5.0))
BUDGET, DEPTH, DEEP = 8, 320, 1 << 14


def worst() -> np.ndarray:
    """Share solved of what looking always solves, by R."""
    return np.array([1 - dt.identical_rounds(r, 1.0).unsolved for r in ROUNDS])


def looking(alpha: float, beta: float, budget: float) -> float:
    """Share solved by round robin at the budget, between integer depths on the line."""
    # Deeper than any round goes: the last unsolved ones cost little.
    depth = np.arange(DEEP + 1)
    spent = np.asarray(dt.coverage_cost(alpha, beta, depth))
    f = np.asarray(dt.problem_hazards(dt.BetaPrior([[alpha]], [[beta]]), DEEP).failure)[0]
    return float(np.interp(budget, spent, 1 - f))


def kept(alpha: float, beta: float, budget: float) -> np.ndarray:
    """Share of the gain of looking that R rounds keep, many problems of one prior."""
    prior = dt.BetaPrior(jnp.array([[alpha]]), jnp.array([[beta]]))
    solved = np.array(
        [float(dt.rounds_plan(1.0, prior, budget, r, depth=DEPTH).bound) for r in FEW]
    )
    return (solved - solved[0]) / (looking(alpha, beta, budget) - solved[0])


def main(out: Path, *, budget: int = BUDGET) -> list[Row]:
    """Draws `out/rounds_kept`, for so many rollouts per problem."""
    with jax.enable_x64(True):
        least = worst()
        gains = {pair: kept(*pair, budget) for pair in PRIORS}
    gain = (least - least[0]) / (1 - least[0])
    with panels(out / "rounds_kept", 2, height=2.0) as (above, below):
        above.plot(ROUNDS, 100 * least, "o-", color=BLACK)
        above.set(ylabel="% of the value kept", ylim=(60, 101))
        below.plot(ROUNDS, 100 * gain, "o-", color=BLACK, label="worst case")
        series = {f"Beta({a:g}, {b:g})": 100 * gains[a, b] for a, b in PRIORS}
        curves(below, np.array(FEW), series, marker="o")
        below.set(ylabel="% of the gain kept", ylim=(-3, 103), xlabel="rounds R")
        for axes in (above, below):
            axes.set_xscale("log", base=2)
            axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
            axes.grid(axis="y")
        below.legend(loc="lower right")
    name = "Rounds"
    return [
        row(
            name,
            f"worst case: kept of the value, R = {', '.join(map(str, ROUNDS))}",
            None,
            least,
            3,
        ),
        row(name, "the same: kept of the gain", None, gain, 3),
        *(
            row(name, f"Beta({a:g}, {b:g}): kept of the gain, R = 2, 4, 8", None, gains[a, b][1:])
            for a, b in PRIORS
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
