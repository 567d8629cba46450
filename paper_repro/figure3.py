"""Figure 3 in synthetic form: populations fitted to four strategies, DORA foretold.

Points are the paper's, lines are searches of the fitted populations (`dora-theory calibrate
--paper`): solid for the four strategies that were fitted, the band and its line for DORA, of which
no point was seen. Six free parameters a benchmark and model. DORA's points of the Llama models are
drawn beside what was foretold of them; those of Qwen2.5 are not in the data. The table says how far
off it is, and how many of DORA's points lie in the 90% intervals. The band also covers the cosine
inside a direction, which no other strategy tells: from 0.90 to 0.99.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from audit import DATA, curves
from drawing import GREY
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from script import Row, row, run

from dora_theory.plots import COLOURS, draw_strategy, label, save, style
from dora_theory.search.emulator import METRICS
from dora_theory.search.published import BASELINES

Foretold = dict[tuple[str, str, str], np.ndarray]


def read_foretold() -> Foretold:
    """Metric, benchmark and model → percent, low, high of each budget."""
    found: dict[tuple[str, str, str], list[list[float]]] = {}
    with (DATA / "predictions.csv").open(encoding="utf-8", newline="") as file:
        for r in csv.DictReader(file):
            key = r["metric"], r["benchmark"], r["policy_model"]
            found.setdefault(key, []).append([float(r[x]) for x in ("percent", "low", "high")])
    return {key: np.array(values) for key, values in found.items()}


def draw(axes: Axes, panel: dict[str, Any], m: int, foretold: np.ndarray, paper: dict) -> None:
    n, fitted = np.array(panel["budgets"]), np.array(panel["fitted_percent"])
    key = METRICS[m], panel["benchmark"], panel["policy_model"]
    for i, (theirs, ours) in enumerate(BASELINES.items()):
        colour = COLOURS[ours]
        axes.plot(n, fitted[:, i, m], color=colour, label=label(ours))
        points = paper[(*key, theirs)]
        axes.plot(list(points), list(points.values()), "o", color=colour, markersize=3.5)
    draw_strategy(axes, n, foretold[:, 0], "dora", band=foretold[:, 1:])
    axes.lines[-1].set_marker("")
    seen = paper.get((*key, "dora"), {})
    axes.plot(list(seen), list(seen.values()), "o", color=COLOURS["dora"], markerfacecolor="white")
    axes.set_xscale("log", base=2)
    axes.set_xticks(n, [str(x) for x in n])
    axes.tick_params(labelsize=8)
    axes.minorticks_off()
    axes.grid(axis="y")
    if panel["verdict"] == "fails":
        axes.set_title("fit fails", loc="right", fontsize=8.5, color=GREY)


def main(out: Path) -> list[Row]:
    with (DATA / "calibration.json").open(encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    foretold, paper = read_foretold(), curves()
    rows = []
    with style():
        figure = Figure(figsize=(9.2, 13.5), layout="constrained")
        grid = figure.subplots(6, 3)
        for i, panel in enumerate(panels):
            for m, metric in enumerate(METRICS):
                key = metric, panel["benchmark"], panel["policy_model"]
                axes = grid[2 * (i // 3) + m, i % 3]
                draw(axes, panel, m, foretold[key], paper)
                name = panel["policy_model"].removesuffix("-Instruct")
                axes.set_title(f"{panel['benchmark']}, {name}", fontsize=8.5)
                axes.set_ylabel(f"{metric.replace('_', ' ')}, %", fontsize=8.5)
                rows += compare(panel, metric, foretold[key], paper.get((*key, "dora"), {}))
        for axes in grid[-1]:
            axes.set_xlabel("rollouts N")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=5, fontsize=9)
        save(figure, out / "figure3")
    return rows


def compare(
    panel: dict[str, Any], metric: str, foretold: np.ndarray, seen: dict[int, float]
) -> list[Row]:
    """How good the fit is, and how far DORA's points are from what was foretold."""
    item = f"{panel['benchmark']}, {panel['policy_model']}, {metric.replace('_', ' ')}"
    fit = [panel["rms_points"][metric], panel["scatter_points"][metric]]
    what = "rms of the four fitted strategies; scatter of their curves, points"
    rows = [row(item, what, None, fit, 1)]
    if seen:
        actual = np.array([seen[n] for n in panel["budgets"]])
        off = foretold[:, 0] - actual
        inside = np.sum((foretold[:, 1] <= actual) & (actual <= foretold[:, 2]))
        what = "DORA foretold less DORA reported at N = 16 to 256, points"
        rows.append(row(item, what, None, off, 1))
        rows.append(row(item, "of the five, inside the 90% interval", None, inside, 0))
    return rows


if __name__ == "__main__":
    run(main, __doc__)
