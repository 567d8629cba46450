"""The correlated optimum between its two limits, as candidates of a direction go their own ways.

Three directions of 12, 3 and 1 candidates and equal quality, 16 rollouts, κ = 10. Each candidate's
chance is drawn around its direction's with concentration ν: large ν is one chance for all of a
direction, small ν is a chance of its own for each, all or nothing (theory 5.1). Above, the totals
of directions under the exact optimum: from one rollout for each candidate, which is also the
optimum if candidates are taken for independent, to equal totals, the optimum if all of a direction
share one chance. Below, what these two models lose in success: each is right at its own end.
"""

from itertools import cycle
from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import COLORS
from dora_theory.strategies.registry import DIRECTIONS
from paper_repro.drawing import panels
from paper_repro.script import Row, row, run, success_lost

SIZES, QUALITY, KAPPA, BUDGET = (12, 3, 1), 0.1, 10.0, 16
WITHIN = np.logspace(-2, 3, 101)
# Without green, which is a strategy's below.
_DIRECTIONS = (DIRECTIONS[0], DIRECTIONS[1], DIRECTIONS[3])


def independent(kappa: float, within: np.ndarray) -> np.ndarray:
    """The κ of candidates that are independent, each with its true mean and variance."""
    # Var p = Q(1 - Q)(1/(κ+1) + κ/((κ+1)(ν+1))), which is Q(1 - Q)/(c + 1).
    return 1 / (1 / (kappa + 1) + kappa / ((kappa + 1) * (within + 1))) - 1


def main(
    out: Path,
    *,
    sizes: tuple[int, ...] = SIZES,
    quality: float = QUALITY,
    concentration: float = KAPPA,
    budget: int = BUDGET,
) -> list[Row]:
    """Draws `out/correlation`: directions of these sizes, all of one quality."""
    count = len(sizes)
    owner, q = np.repeat(np.arange(count), sizes), np.full(count, quality)
    with jax.enable_x64(True):
        shared = np.asarray(dt.direction_allocation(q, owner, concentration, budget))
        own = independent(concentration, WITHIN)
        given = {
            "optimum": dt.correlated_allocation(q, owner, concentration, WITHIN, budget),
            "one chance per direction": np.broadcast_to(shared, (WITHIN.size, owner.size)),
            "independent candidates": np.asarray(dt.optimal_allocation(q[owner], own, budget)),
        }
        fails = {
            name: np.asarray(
                dt.hierarchical_log_failure(q, owner, concentration, WITHIN, b, points=budget)
            )
            for name, b in given.items()
        }
        spent = {
            name: np.asarray(dt.direction_totals(b, owner, count)) for name, b in given.items()
        }
    lost = {name: 100 * success_lost(f, fails["optimum"]) for name, f in fails.items()}
    with panels(out / "correlation", 2) as (top, bottom):
        for j, color in zip(range(count), cycle(_DIRECTIONS), strict=False):
            s = "s" if sizes[j] > 1 else ""
            top.plot(
                WITHIN, spent["optimum"][:, j], drawstyle="steps-mid", color=color,
                label=f"{sizes[j]} candidate{s}",
            )  # fmt: skip
        top.set(xscale="log", ylim=(0, budget), ylabel=f"rollouts, out of {budget}")
        top.legend(loc="upper right", title="a direction of", alignment="left")
        for name, color, line in (
            ("one chance per direction", COLORS["direction-optimal"], "-"),
            ("independent candidates", COLORS["optimal"], "--"),
        ):
            bottom.plot(WITHIN, lost[name], color=color, linestyle=line, label=name)
        bottom.set(xscale="log", ylabel="success lost, points")
        bottom.legend(loc="best")
        for axes in (top, bottom):
            axes.set(xlabel="concentration ν within a direction", xlim=(WITHIN[0], WITHIN[-1]))
    name = "Correlation"
    ends = {"0.01": 0, "1": int(np.argmin(abs(WITHIN - 1))), "1000": -1}
    return [
        *(row(name, f"ν = {nu}: optimum", None, spent["optimum"][i]) for nu, i in ends.items()),
        row(name, "one chance per direction", None, spent["one chance per direction"][0]),
        row(name, "independent candidates", None, spent["independent candidates"][0]),
        *(
            row(name, f"{model}: points lost at ν = 0.01, 1, 1000", None, x[list(ends.values())], 3)
            for model, x in lost.items()
            if model != "optimum"
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
