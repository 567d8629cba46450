"""When does solution-level allocation hurt, and how much? Three maps, and DORA's share of it.

Each row of pictures is a sweep of `sweeps/`, simulated here: synthetic problems of 32 candidates
in 4 directions of unequal size, success in closed form. Left, the regret of REBASE: how much less
often than the exact optimum it succeeds, in percentage points. Right, the share of that regret
which DORA recovers, 1 - (regret of DORA)/(regret of REBASE): 1 is the optimum, 0 no gain, below 0 a
loss; hatched where REBASE loses less than a hundredth of a point and nothing is left to recover.
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dora_theory.plots import COLUMN, save, style
from dora_theory.simulation.sweep_files import read_sweep
from dora_theory.simulation.sweeps import Sweep, simulate_cells
from paper_repro.script import Row, row, run

SWEEPS = Path(__file__).parent / "sweeps"
# Points of success: a share of less is noise.
SMALL = 0.01
# Sweep → what its axes are called.
MAPS = {
    "imbalance_similarity": ("skew of Zipf's sizes", "similarity within, $s_{in}$"),
    "concentration_budget": ("rollouts $N$", "concentration $\\kappa$"),
    "noise_temperature": ("temperature $T_b$", "noise of scores, $\\sigma$"),
}


def main(out: Path) -> list[Row]:
    rows = []
    with style():
        figure = Figure(figsize=(COLUMN, 6.9), layout="constrained")
        for axes, (name, names) in zip(
            figure.subplots(3, 2, sharey="row"), MAPS.items(), strict=True
        ):
            with jax.enable_x64(True):
                sweep = read_sweep(SWEEPS / f"{name}.toml")
                cells = list(simulate_cells(sweep))
            regret, other = (
                np.reshape([cell[f"{s}.regret"] for cell in cells], shape(sweep))
                for s in ("rebase", "dora")
            )
            points = 100 * regret
            share = 1 - other / np.where(points > SMALL, regret, np.nan)
            ends, title = (0, points.max()), "regret of REBASE,\npoints"
            draw(axes[0], sweep, names[1], points, "viridis", ends, title)
            draw(axes[1], sweep, names[1], share, "RdBu", (-1, 1), "share that\nDORA recovers")
            axes[0].set_ylabel(names[0])
            hatched = axes[1].patch
            hatched.set(hatch="/////", edgecolor="#999999", facecolor="white", linewidth=0)
            label = name.replace("_", " × ")
            rows += [
                row(label, "regret of REBASE in points, least and most", None, extremes(points)),
                row(label, "share that DORA recovers, least and most", None, extremes(share)),
            ]
        name = f"nothing to recover: REBASE loses less than {SMALL:g} points"
        key = Patch(facecolor="white", edgecolor="#999999", hatch="/////", lw=0, label=name)
        figure.legend(handles=[key], loc="outside lower center", handlelength=1.6)
    save(figure, out / "bias_maps")
    return rows


def shape(sweep: Sweep) -> list[int]:
    return [len(axis) for axis in sweep.axes.values()]


def extremes(values: np.ndarray) -> np.ndarray:
    return np.array([np.nanmin(values), np.nanmax(values)])


def draw(
    axes: Axes, sweep: Sweep, name: str, values: np.ndarray, colors: str,
    ends: tuple[float, float], title: str,
) -> None:  # fmt: skip
    """A map: the first axis of the sweep upwards, the second to the right."""
    low, high = ends
    picture = axes.imshow(values, origin="lower", aspect="auto", cmap=colors, vmin=low, vmax=high)
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
        (bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)), "both"
    )
    bar = axes.figure.colorbar(picture, ax=axes, location="top", extend=extend, aspect=12)
    bar.set_label(title)
    if low < 0:
        bar.set_ticks([low, 0, high])
    for set_ticks, points in zip(
        (axes.set_yticks, axes.set_xticks), sweep.axes.values(), strict=True
    ):
        every = range(0, len(points), _step(len(points)))
        set_ticks([*every], [f"{points[i]:.2g}" if points[i] < 100 else points[i] for i in every])
    axes.set_xlabel(name)


def _step(points: int) -> int:
    """Cells from tick to tick, so that both ends have one and at most six stand on an axis."""
    return min(s for s in range(1, points) if (points - 1) % s == 0 and (points - 1) // s <= 5)


if __name__ == "__main__":
    run(main, __doc__)
