"""Regret of a wrong κ: what it costs to plan with κ' where κ is true.

Mean over problems of the success lost: 2 to 39 candidates with uniform scores, T_b = 0.1, N = 64.
Above, against the true κ, for several κ'. Below, the largest mean regret over all true κ of an
interval, against κ': its least point (dot) is the minimax choice; where curves coincide, the narrow
one lies on the wide. REBASE with the budget kept is κ' = 1/2 (theory 3.3, 5.3): it costs less than
half a point for every κ drawn.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from paper_repro.drawing import ORDER, mark, panels
from paper_repro.script import Row, row, run, success_lost

PROBLEMS, MOST, BUDGET = 1000, 39, 64
SHOWN = (0.01, 0.1, 0.5, 1.0, 10.0, 100.0)
# True κ of the picture above, where curves fall to zero at each κ' shown; below, κ' against few.
FINE = np.union1d(np.logspace(-2, 2, 97), SHOWN)
TRUE = np.union1d(np.logspace(-2, 2, 25), [0.5])
ASSUMED = np.union1d(np.logspace(-2, 2, 65), [0.5])
INTERVALS = ((0.01, 100.0), (0.1, 10.0), (1.0, 100.0))
LOWEST = 1e-6


def problems_of(count: int, most: int) -> np.ndarray:
    """Weights of 2 to `most` candidates, padded by 0, shape `(count, most)`."""
    keys = jax.random.split(jax.random.key(0))
    mask = jnp.arange(most) < jax.random.randint(keys[0], (count, 1), 2, most + 1)
    scores = jax.random.uniform(keys[1], (count, most))
    return np.asarray(dt.quality_weights(scores, mask=mask))


def regrets(
    weights: np.ndarray, assumed: np.ndarray, true: np.ndarray, budget: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean regret, shape (assumed, true), and mean success of the optimum, shape (true,)."""
    kappa = true[:, None]
    best = np.asarray(dt.log_failure(weights, kappa, dt.optimal_allocation(weights, kappa, budget)))
    lost = [
        success_lost(
            dt.log_failure(weights, kappa, dt.optimal_allocation(weights, float(k), budget)), best
        ).mean(-1)
        for k in assumed
    ]
    return np.stack(lost), -np.expm1(best).mean(-1)


def at(grid: np.ndarray, value: float) -> int:
    return int(np.argmin(np.abs(np.log(grid / value))))


def main(
    out: Path, *, budget: int = BUDGET, candidates: int = MOST, problems: int = PROBLEMS
) -> list[Row]:
    """Draws `out/wrong_concentration`, for 2 to so many candidates."""
    with jax.enable_x64(True):
        weights = problems_of(problems, candidates)
        lost, success = regrets(weights, ASSUMED, TRUE, budget)
        above, _ = regrets(weights, np.array(SHOWN), FINE, budget)
    half = lost[at(ASSUMED, 0.5)]
    worst = {}
    for low, high in INTERVALS:
        inside = (low * (1 - 1e-9) <= TRUE) & (high * (1 + 1e-9) >= TRUE)
        worst[low, high] = lost[:, inside].max(-1)
    minimax = {ends: float(ASSUMED[np.argmin(x)]) for ends, x in worst.items()}
    with panels(out / "wrong_concentration", 2, height=2.4) as (top, bottom):
        for assumed, curve, color in zip(SHOWN, above, ORDER, strict=True):
            # Zero has no place on a logarithmic axis: the curve leaves the picture.
            shown = np.maximum(curve, LOWEST / 10)
            top.plot(FINE, shown, color=color, label=f"κ' = {assumed:g}")
        top.set(xscale="log", yscale="log", xlim=(0.01, 100), ylim=(LOWEST, 0.2))
        top.set(xlabel="true κ", ylabel="success lost")
        top.legend(
            ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), handlelength=1.6, columnspacing=1
        )
        # The curves share their left branches: there the narrow ones lie on the wide.
        for (ends, regret), color, width in zip(worst.items(), ORDER, (3.4, 2, 0.8), strict=False):
            name = f"{ends[0]:g} to {ends[1]:g}"
            bottom.plot(ASSUMED, regret, color=color, label=name, linewidth=width)
            least = int(np.argmin(regret))
            bottom.plot(ASSUMED[least], regret[least], "o", color=color)
        mark(bottom, 0.5, "REBASE", y=0.99)
        bottom.set(xscale="log", yscale="log", xlim=(0.01, 100))
        bottom.set(xlabel="assumed κ'", ylabel="largest success lost")
        bottom.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=3,
            handlelength=1.6,
            title="true κ from; dot: minimax κ'",
        )
    name = "Wrong κ"
    few = [at(TRUE, kappa) for kappa in (0.01, 0.1, 1, 10, 100)]
    return [
        row(name, "success of the optimum: true κ = 0.01, 0.1, 1, 10, 100", None, success[few], 3),
        row(name, "success lost by κ' = 1/2: the same κ", None, half[few], 5),
        *(
            row(
                name,
                f"κ from {low:g} to {high:g}: minimax κ', its largest loss; that of κ' = 1/2",
                None,
                [minimax[low, high], x.min(), x[at(ASSUMED, 0.5)]],
                4,
            )
            for (low, high), x in worst.items()
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
