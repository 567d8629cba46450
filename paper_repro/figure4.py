"""Why levels of ability are not Figure 4: MATH500 by difficulty, from the populations of Figure 3.

This is not a reproduction: the fit to Figure 3 fails on MATH500 for all three models, and nothing
was fitted to levels. Problems of a fitted population are sorted by the model's ability, the 43
easiest for it are level 1, the 134 hardest level 5, in five runs of the 500. Dots are the paper's
numbers, lines the mean of our runs, a band one run's standard deviation to either side. Our levels
lie much further apart: a problem's printed difficulty says only roughly how hard it is for a model.
The table names for each level and budget the strategy of the highest accuracy and, in parentheses,
those behind it by less than two standard errors over the same problems; – where that is all of
them.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from dora_theory.io.atomic_write import whole_output
from dora_theory.plots import COLUMN, label, save, style
from paper_repro.audit import LEVELS, rows
from paper_repro.benchmark_runs import (
    BUDGETS,
    SIZES,
    difference,
    draw_benchmark,
    mean_and_spread,
    populations,
    run_benchmark,
)
from paper_repro.calibration import RULES
from paper_repro.drawing import against_paper, fit_failed, legend_of_fits
from paper_repro.published import BASELINES
from paper_repro.script import Row, page, row, run

NAMES = {**BASELINES, "dora": "dora"}
BENCHMARK = "MATH500"

# Accuracy of each problem in each run, from the hardest problem to the easiest.
Runs = Float[np.ndarray, "problems runs"]


def accuracies() -> dict[str, dict[str, list[Runs]]]:
    """Policy model → strategy → accuracies at each budget."""
    found: dict[str, dict[str, list[Runs]]] = {}
    runs = SIZES[BENCHMARK].runs
    for (benchmark, model), world in populations().items():
        if benchmark == BENCHMARK:
            problems = draw_benchmark(world, SIZES[BENCHMARK])
            found[model] = {
                name: [run_benchmark(world, problems, n, which, runs).weighted for n in BUDGETS]
                for which, name in enumerate(RULES)
            }
    return found


def at_level(level: int, problems: Runs) -> Runs:
    """Those of a level, counted from 0."""
    return np.split(problems[::-1], np.cumsum(LEVELS)[:-1])[level]


def reported() -> dict[tuple[str, str, int], dict[int, float]]:
    """Policy model, strategy and level → budget → percent."""
    found: dict[tuple[str, str, int], dict[int, float]] = {}
    for r in rows("figure4"):
        key = r["policy_model"], NAMES[r["strategy"]], int(r["level"])
        found.setdefault(key, {})[int(r["budget"])] = float(r["percent"])
    return found


def draw(
    ours: dict[str, dict[str, list[Runs]]], paper: dict[tuple[str, str, int], dict[int, float]]
) -> Figure:
    """Levels below one another, a column for each model."""
    figure = Figure(figsize=(COLUMN, 1.15 * len(LEVELS) + 1.4), layout="constrained")
    grid = figure.subplots(len(LEVELS), len(ours), sharex=True, sharey="row")
    for j, (model, curves) in enumerate(ours.items()):
        for i, axes in enumerate(grid[:, j]):
            for name in RULES:
                runs = [100 * at_level(i, problems) for problems in curves[name]]
                mean_spread = [mean_and_spread(x) for x in runs]
                theirs = paper.get((model, name, i + 1), {})
                against_paper(axes, name, BUDGETS, mean_spread, theirs)
            fit_failed(axes)
        grid[0, j].set_title(model.removesuffix("-Instruct"), fontsize=7)
        grid[-1, j].set_xlabel("rollouts N")
    for i, axes in enumerate(grid[:, 0]):
        axes.set_ylabel(f"level {i + 1}, accuracy, %")
    legend_of_fits(figure, RULES, interval=False)
    return figure


def main(out: Path) -> list[Row]:
    """Draws `out/figure4`, writes `out/figure4.md`; returns its rows."""
    paper, ours = reported(), accuracies()
    with style():
        save(draw(ours, paper), out / "figure4")
    found = [r for model, curves in ours.items() for r in compare(model, curves, paper)]
    with whole_output(str(out / "figure4.md")) as file:
        file.write(page(__doc__, found).encode())
    return found


def compare(model: str, curves: dict[str, list[Runs]], paper: dict) -> list[Row]:
    """Error by level, and who is ahead."""
    found = []
    for i in range(len(LEVELS)):
        item = f"{model}, level {i + 1}"
        off = [
            100 * at_level(i, curves[name][BUDGETS.index(n)]).mean() - percent
            for name in BASELINES.values()
            for n, percent in paper.get((model, name, i + 1), {}).items()
        ]
        rms = float(np.sqrt(np.mean(np.square(off))))
        found.append(row(item, "rms of the four fitted strategies, points", None, rms, 1))
        for b, n in enumerate(BUDGETS):
            who = ahead({name: at_level(i, runs[b]) for name, runs in curves.items()})
            found.append(row(item, f"highest accuracy at N = {n}", None, who))
    return found


def ahead(runs: dict[str, Runs]) -> str:
    """Who has the highest mean, and in brackets whom the errors do not tell from it; – if all."""
    first = max(runs, key=lambda name: float(runs[name].mean()))
    close = []
    for name, values in runs.items():
        off, error = difference(runs[first], values)
        if name != first and off <= error:
            close.append(label(name))
    if len(close) == len(runs) - 1:
        return "–"
    return label(first) + (f" ({', '.join(close)})" if close else "")


if __name__ == "__main__":
    run(main, __doc__)
