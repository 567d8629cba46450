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
from paper_repro.script import Row, row, run

PROBLEMS, MOST, BUDGET = 1000, 39, 64
TRUE = np.union1d(np.logspace(-2, 2, 25), [0.5])
ASSUMED = np.union1d(np.logspace(-2, 2, 33), [0.5])
SHOWN = (0.01, 0.1, 0.5, 1.0, 10.0, 100.0)
INTERVALS = ((0.01, 100.0), (0.1, 10.0), (1.0, 100.0))
LOWEST = 1e-6


def regrets() -> tuple[np.ndarray, np.ndarray]:
    """Mean regret, shape (assumed, true), and mean success of the optimum, shape (true,)."""
    keys = jax.random.split(jax.random.key(0))
    size = jax.random.randint(keys[0], (PROBLEMS, 1), 2, MOST + 1)
    mask = jnp.arange(MOST) < size
    weights = dt.quality_weights(jax.random.uniform(keys[1], (PROBLEMS, MOST)), mask=mask)
    true = TRUE[:, None]

    def lost(assumed: float) -> np.ndarray:
        return np.mean(dt.regret_of_concentration(weights, assumed, true, BUDGET), -1)

    best = dt.optimal_allocation(weights, true, BUDGET)
    success = np.mean(dt.success_probability(weights, true, best), -1)
    return np.stack([lost(assumed) for assumed in ASSUMED]), np.asarray(success)


def at(grid: np.ndarray, value: float) -> int:
    return int(np.argmin(np.abs(np.log(grid / value))))


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        lost, success = regrets()
    half = lost[at(ASSUMED, 0.5)]
    worst = {}
    for low, high in INTERVALS:
        inside = (low * (1 - 1e-9) <= TRUE) & (high * (1 + 1e-9) >= TRUE)
        worst[low, high] = lost[:, inside].max(-1)
    minimax = {ends: float(ASSUMED[np.argmin(x)]) for ends, x in worst.items()}
    with panels(out / "wrong_concentration", 2, height=2.4) as (top, bottom):
        for assumed, color in zip(SHOWN, ORDER, strict=True):
            # Zero has no place on a logarithmic axis: the curve leaves the picture.
            shown = np.maximum(lost[at(ASSUMED, assumed)], LOWEST / 10)
            top.plot(TRUE, shown, color=color, label=f"κ' = {assumed:g}")
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
            title="true κ from",
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
