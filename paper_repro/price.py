"""The price of counting candidates, exp KL(Q‖Q̂), against imbalance, under Specht's bound.

The price is the factor by which an allocation that counts candidates needs more rollouts than one
by directions for the same success, N_sol/N_dir; for many rollouts it is exp KL(Q‖Q̂). Over all
qualities its maximum for an imbalance h = k_max/k_min is Specht's ratio (theory 4.7), which no
point exceeds: gray dots have random qualities and sizes of six directions; × and + are measured at
N = 4,096 and κ = 1, + and the dashed line for four equal Q, one with h candidates. The worst
case has two sizes only, and h/(h - 1) - 1/ln h of the quality in the small ones. A price of 2 needs
h ≥ 11.55, one of 4 needs h ≥ 36.27, rounded up.
"""

from pathlib import Path

import jax
import numpy as np
from scipy import optimize

import dora_theory as dt
from paper_repro.drawing import BLACK, GRAY, ORDER, level, mark, panels
from paper_repro.script import Row, row, run

RANDOM, DIRECTIONS, BUDGET = 3000, 6, 4096
TABLE = np.array([4.0, 16.0, 64.0])
FEW = np.array([2, 4, 8, 16, 32, 64])


def price(quality: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    counted = dt.solution_level_shares(quality, sizes)
    return np.exp(dt.kl_divergence(quality, counted))


def worst_quality(imbalance: np.ndarray) -> np.ndarray:
    """Qualities of a direction with h candidates and of one with 1, where the bound is attained."""
    small = imbalance / (imbalance - 1) - 1 / np.log(imbalance)
    return np.stack([1 - small, small], -1)


def needed(saving: float) -> float:
    """The imbalance from which a saving is possible."""
    return float(optimize.brentq(lambda h: float(dt.specht_ratio(h)) - saving, 1.0, 1e4))


def main(
    out: Path, *, budget: int = BUDGET, directions: int = DIRECTIONS, problems: int = RANDOM
) -> list[Row]:
    """Draws `out/price`; measured at `budget`, and that many random problems of `directions`."""
    h = np.logspace(0, np.log10(64), 200)
    generator = np.random.default_rng(0)
    quality = generator.dirichlet(np.full(directions, 0.7), problems)
    top = generator.integers(1, 65, (problems, 1))
    sizes = generator.integers(1, top + 1, (problems, directions))
    equal = np.stack([FEW, *[np.ones_like(FEW)] * 3], -1)
    with jax.enable_x64(True):
        bound, table = np.asarray(dt.specht_ratio(h)), np.asarray(dt.specht_ratio(TABLE))
        found = price(quality, sizes)
        imbalance = sizes.max(-1) / sizes.min(-1)
        limit = np.asarray(dt.specht_ratio(imbalance))
        pairs = np.stack([TABLE, np.ones(3)], -1)
        attained = price(worst_quality(TABLE), pairs)
        by_equal = price(np.full(4, 0.25), equal)
        worst = worst_quality(FEW), np.stack([FEW, np.ones_like(FEW)], -1)
        measured = (
            np.asarray(dt.rollouts_to_match(q, dt.solution_level_shares(q, k), 1.0, budget))
            / budget
            for q, k in (worst, (np.full(4, 0.25), equal))
        )
        measured_worst, measured_equal = measured
        savings = {s: needed(s) for s in (2.0, 4.0)}
    with panels(out / "price", 1, height=3.1) as (axes,):
        axes.plot(imbalance, found, ".", color=GRAY, alpha=0.35, markersize=2, markeredgewidth=0)
        axes.plot([], [], "o", color=GRAY, markersize=2, label="random Q, sizes: exp KL")
        axes.plot(h, bound, color=BLACK, label="Specht's ratio, the bound")
        axes.plot(
            FEW, measured_worst, "x", color=ORDER[1], ms=4.5, label="worst Q, 2 sizes: measured"
        )
        axes.plot(FEW, by_equal, color=ORDER[0], linestyle="--", label="equal Q: exp KL")
        axes.plot(FEW, measured_equal, "+", color=ORDER[0], ms=5, label="equal Q: measured")
        for saving, at in savings.items():
            level(axes, saving, f"price {saving:g}", x=0.02)
            # Rounded up, or it would be said of an h that is too small.
            mark(axes, at, f"h ≥ {np.ceil(100 * at) / 100:.2f}", left=True)
        axes.set(xscale="log", yscale="log", xlim=(1, 70), ylim=(0.97, 7))
        axes.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
        axes.set_yticks([1, 2, 4, 6], ["1", "2", "4", "6"])
        axes.minorticks_off()
        axes.set(
            xlabel="imbalance $h = k_{max}/k_{min}$",
            ylabel="price $N_{sol}/N_{dir}$, or its limit exp KL(Q‖Q̂)",
        )
        axes.figure.legend(loc="outside lower center", ncols=2, handlelength=2)
    name = "Price"
    return [
        row(name, "Specht's ratio at h = 4, 16, 64", None, table),
        row(name, "attained by the worst Q", None, attained),
        row(name, "imbalance from which 2, 4 times can be saved", None, list(savings.values()), 4),
        row(
            name,
            "k = 16, 1, 1, 1, equal Q: exp KL; N_sol/N_dir",
            None,
            [by_equal[3], measured_equal[3]],
            3,
        ),
        row(
            name,
            "largest price over the bound, random problems",
            None,
            np.max(found / limit),
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
