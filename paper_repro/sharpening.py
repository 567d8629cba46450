"""Sharpening by repetition: rounds of REBASE whose copies keep their score.

Three directions of quality 0.5, 0.3 and 0.2, one candidate each at the start. Above, their shares:
counting copies multiplies them by Q in every round, so that after t rounds they are ∝ Q^t, a
softmax at T_b/t (lines; theory 6.1). A rule that sees copies as one direction stays at Q (dotted).
Below, the price for this and other qualities: the factor by which these shares need more rollouts
than the shares Q for the same success, which for many rollouts is exp KL(Q‖shares). That holds for
real numbers. Crosses: 64 integer rollouts, REBASE run round by round on 64 copies. There rounding
decides: a copy that is due between 1/2 and 3/2 rollouts gets one, and nothing sharpens; one that is
due less than 1/2 gets none, and its direction dies out in a single round (Q = 0.8, 0.2).
"""

from itertools import cycle
from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import ORDER, curves, level, panels
from paper_repro.script import Row, row, run

QUALITY = (0.5, 0.3, 0.2)
UNEQUAL = np.array([0.8, 0.2])
OTHERS = {"0.6, 0.4": np.array([0.6, 0.4]), "0.8, 0.2": UNEQUAL}
ROUNDS, TEMPERATURE, BUDGET = np.arange(1, 9), 0.1, 64
TABLE = np.array([2, 4, 6])


def price(quality: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """Factor in rollouts after t rounds, exp KL(Q‖Q^t)."""
    return np.exp(dt.kl_divergence(quality, dt.sharpened_quality(quality, rounds)))


def repeated(quality: np.ndarray, budget: int = BUDGET) -> np.ndarray:
    """Shares of integer rollouts after each round, shape (rounds, directions)."""
    scores = TEMPERATURE * np.log(quality)
    owner, shares = np.arange(quality.size), []
    for _ in ROUNDS:
        given = dt.rebase_allocation(scores[owner], budget, quality_temperature=TEMPERATURE)
        owner = np.repeat(owner, np.asarray(given))
        shares.append(np.bincount(owner, minlength=quality.size) / budget)
    return np.stack(shares)


def main(out: Path, *, quality: tuple[float, ...] = QUALITY, budget: int = BUDGET) -> list[Row]:
    """Draws `out/sharpening`: a direction of each quality, integer rollouts at `budget`."""
    q = np.array(quality) / sum(quality)
    every = {", ".join(f"{x:g}" for x in quality): q, **OTHERS}
    with jax.enable_x64(True):
        shares = np.asarray(dt.sharpened_quality(q, ROUNDS))
        colder = np.stack(
            [
                dt.quality_weights(TEMPERATURE * np.log(q), quality_temperature=TEMPERATURE / t)
                for t in ROUNDS
            ]
        )
        prices = {name: price(x, ROUNDS) for name, x in every.items()}
        table = price(q, TABLE)
        whole, dying = repeated(q, budget), repeated(UNEQUAL, budget)
    with panels(out / "sharpening", 2, height=2.35) as (top, bottom):
        for one, share, crosses, color in zip(q, shares.T, whole.T, cycle(ORDER), strict=False):
            top.plot(ROUNDS, share, color=color, label=f"Q = {one:.3g}")
            top.axhline(one, color=color, linewidth=0.8, linestyle=":")
            top.plot(ROUNDS, crosses, "x", color=color, markersize=4)
        top.set(xlabel="rounds t", ylabel="share of rollouts", ylim=(-0.02, 1), xticks=ROUNDS)
        for text, look in (
            ("real shares", "-"), (f"{budget} integer rollouts", "x"), ("copies seen as one", ":"),
        ):  # fmt: skip
            top.plot([], [], look, color="#444444", markersize=4, label=text)
        top.figure.legend(
            *top.get_legend_handles_labels(), loc="outside lower center", ncols=2, handlelength=1.6,
            title="above",
        )  # fmt: skip
        curves(bottom, ROUNDS, prices, marker="o")
        level(bottom, 1, "copies seen as one", x=0.98, below=True)
        bottom.set(xlabel="rounds t", ylabel="price exp KL(Q‖shares)", ylim=(0.5, None))
        bottom.set_title("Price: times the rollouts for the same success")
        bottom.set_xticks(ROUNDS)
        bottom.legend(title="Q", loc="upper left", alignment="left")
    name = "Sharpening"
    return [
        row(name, "price at t = 2, 4, 6", None, table),
        row(name, "shares at t = 4", None, shares[3], 4),
        row(name, "largest distance to a softmax at T_b/t", None, abs(shares - colder).max(), 10),
        row(name, f"N = {budget}, integers: shares at t = 4", None, whole[3], 4),
        row(name, f"Q = 0.8, 0.2, N = {budget}, integers: shares at t = 1", None, dying[0], 4),
        row(name, f"Q = 0.8, 0.2, N = {budget}, integers: shares at t = 2", None, dying[1], 4),
    ]


if __name__ == "__main__":
    run(main, __doc__)
