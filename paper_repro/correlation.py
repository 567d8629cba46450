"""The correlated optimum between its two limits, as candidates of a direction go their own ways.

Three directions of 12, 3 and 1 candidates and equal quality, 16 rollouts, κ = 10. Each candidate's
chance is drawn around its direction's with concentration ν: large ν is one chance for all of a
direction, small ν is a chance of its own for each, all or nothing (theory 5.1). Above, the totals
of directions under the exact optimum: from one rollout for each candidate, which is also the
optimum if candidates are taken for independent, to equal totals, the optimum if all of a direction
share one chance. Below, what these two models lose in success: each is right at its own end.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import COLORS, DIRECTIONS
from paper_repro.drawing import panels
from paper_repro.script import Row, row, run, success_lost

SIZES = np.array([12, 3, 1])
OWNER = np.repeat(np.arange(3), SIZES)
QUALITY, KAPPA, BUDGET = np.full(3, 0.1), 10.0, 16
WITHIN = np.logspace(-2, 3, 101)
# Without green, which is a strategy's below.
_DIRECTIONS = (DIRECTIONS[0], DIRECTIONS[1], DIRECTIONS[3])


def independent(within: np.ndarray) -> np.ndarray:
    """The optimum for candidates that are independent, each with its true mean and variance."""
    # Var p = Q(1 - Q)(1/(κ+1) + κ/((κ+1)(ν+1))), which is Q(1 - Q)/(c + 1).
    own = 1 / (1 / (KAPPA + 1) + KAPPA / ((KAPPA + 1) * (within + 1))) - 1
    return np.asarray(dt.optimal_allocation(QUALITY[OWNER], own, BUDGET))


def totals(allocation: np.ndarray) -> np.ndarray:
    return np.asarray(dt.direction_totals(allocation, OWNER, SIZES.size))


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        shared = np.asarray(dt.direction_allocation(QUALITY, OWNER, KAPPA, BUDGET))
        given = {
            "optimum": dt.correlated_allocation(QUALITY, OWNER, KAPPA, WITHIN, BUDGET),
            "one chance a direction": np.broadcast_to(shared, (WITHIN.size, OWNER.size)),
            "independent candidates": independent(WITHIN),
        }
        fails = {
            name: np.asarray(
                dt.hierarchical_log_failure(QUALITY, OWNER, KAPPA, WITHIN, b, points=BUDGET)
            )
            for name, b in given.items()
        }
        spent = {name: totals(b) for name, b in given.items()}
    lost = {name: 100 * success_lost(f, fails["optimum"]) for name, f in fails.items()}
    with panels(out / "correlation", 2) as (top, bottom):
        for j, color in zip(range(SIZES.size), _DIRECTIONS, strict=True):
            s = "s" if SIZES[j] > 1 else ""
            top.plot(
                WITHIN, spent["optimum"][:, j], drawstyle="steps-mid", color=color,
                label=f"{SIZES[j]} candidate{s}",
            )  # fmt: skip
        top.set(xscale="log", ylim=(0, BUDGET), ylabel=f"rollouts, out of {BUDGET}")
        top.legend(loc="upper right", title="a direction of", alignment="left")
        for name, color, line in (
            ("one chance a direction", COLORS["direction-optimal"], "-"),
            ("independent candidates", COLORS["optimal"], "--"),
        ):
            bottom.plot(WITHIN, lost[name], color=color, linestyle=line, label=name)
        bottom.set(xscale="log", ylabel="success lost, points")
        bottom.legend(loc="best")
        for axes in (top, bottom):
            axes.set(xlabel="concentration inside a direction ν", xlim=(WITHIN[0], WITHIN[-1]))
    name = "Correlation"
    ends = {"0.01": 0, "1": int(np.argmin(abs(WITHIN - 1))), "1000": -1}
    return [
        *(row(name, f"ν = {nu}: optimum", None, spent["optimum"][i]) for nu, i in ends.items()),
        row(name, "one chance a direction", None, spent["one chance a direction"][0]),
        row(name, "independent candidates", None, spent["independent candidates"][0]),
        *(
            row(name, f"{model}: points lost at ν = 0.01, 1, 1000", None, x[list(ends.values())], 3)
            for model, x in lost.items()
            if model != "optimum"
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
