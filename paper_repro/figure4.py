"""Figure 4 in synthetic form: MATH500 by difficulty, from the populations fitted to Figure 3.

Problems of a fitted population (data/calibration.json) in the order of their ability, the 43 ablest
in level 1, the 134 least able in level 5; one search of each of the 500. Points are the paper's,
lines are ours; nothing here was fitted to levels. Ours lie much further apart: a problem's printed
difficulty says only roughly how able a model is at it. The table names the strategy of the highest
accuracy at each level and budget, and how far the four fitted strategies are from the paper's
levels. By its own measure the fit to Figure 3 fails on MATH500.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from audit import DATA, LEVELS, rows
from matplotlib.figure import Figure
from script import Row, row, run

from dora_theory.plots import COLOURS, label, save, style
from dora_theory.search.calibration import RULES
from dora_theory.search.measures import run_searches
from dora_theory.search.published import BASELINES
from dora_theory.search.tree import Tree

BUDGETS = (16, 32, 64, 128, 256)
NAMES = {**BASELINES, "dora": "dora"}


def populations() -> dict[str, Tree]:
    """Policy model → the tree fitted to it on MATH500."""
    with (DATA / "calibration.json").open(encoding="utf-8") as file:
        document = json.load(file)
    middle = {name: sum(ends) / 2 for name, ends in document["assumed"].items()}
    return {
        p["policy_model"]: Tree().with_changes(
            **{name: x["value"] for name, x in p["parameters"].items()}, **middle
        )
        for p in document["panels"]
        if p["benchmark"] == "MATH500"
    }


def accuracy(model: str, world: Tree, which: int, slots: int) -> np.ndarray:
    """Accuracy of each problem, from the hardest to the easiest."""
    key = jax.random.key(0)
    found = run_searches(
        key, world, world.problems(key, int(LEVELS.sum())), rule=tuple(RULES.values()),
        which=jnp.int32(which), slots=slots, width="full", padding=True,
    )  # fmt: skip
    return np.asarray(found.weighted)[:, 0]


def by_level(problems: np.ndarray) -> np.ndarray:
    """Percent at levels 1 to 5."""
    parts = np.split(problems[::-1], np.cumsum(LEVELS)[:-1])
    return np.array([100 * part.mean() for part in parts])


def reported() -> dict[tuple[str, str, int], dict[int, float]]:
    """Policy model, strategy and level → budget → percent."""
    found: dict[tuple[str, str, int], dict[int, float]] = {}
    for r in rows("figure4"):
        key = r["policy_model"], NAMES[r["strategy"]], int(r["level"])
        found.setdefault(key, {})[int(r["budget"])] = float(r["percent"])
    return found


def main(out: Path) -> list[Row]:
    paper, worlds = reported(), populations()
    ours = {
        (model, name): np.stack([by_level(accuracy(model, world, i, n)) for n in BUDGETS], 1)
        for model, world in worlds.items()
        for i, name in enumerate(RULES)
    }
    with style():
        figure = Figure(figsize=(9.2, 11.5), layout="constrained")
        grid = figure.subplots(len(LEVELS), len(worlds))
        for j, model in enumerate(worlds):
            for i, axes in enumerate(grid[:, j]):
                for name in RULES:
                    points = paper.get((model, name, i + 1), {})
                    colour = COLOURS[name]
                    fill = "white" if name == "dora" else colour
                    axes.plot(BUDGETS, ours[model, name][i], color=colour, label=label(name))
                    axes.plot(
                        list(points), list(points.values()), "o", color=colour, markersize=4,
                        markerfacecolor=fill,
                    )  # fmt: skip
                axes.set_xscale("log", base=2)
                axes.set_xticks(BUDGETS, list(map(str, BUDGETS)))
                axes.tick_params(labelsize=8)
                axes.minorticks_off()
                axes.grid(axis="y")
                axes.set_title(f"level {i + 1}, {model.removesuffix('-Instruct')}", fontsize=8.5)
            grid[-1, j].set_xlabel("rollouts N")
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy, %", fontsize=8.5)
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=5, fontsize=9)
        save(figure, out / "figure4")
    return [r for model in worlds for r in compare(model, ours, paper)]


def compare(model: str, ours: dict, paper: dict) -> list[Row]:
    """Error by level, and who is ahead."""
    found = []
    for i in range(len(LEVELS)):
        item = f"{model}, level {i + 1}"
        off = [
            ours[model, name][i, BUDGETS.index(n)] - percent
            for name in BASELINES.values()
            for n, percent in paper.get((model, name, i + 1), {}).items()
        ]
        rms = float(np.sqrt(np.mean(np.square(off))))
        found.append(row(item, "rms of the four fitted strategies, points", None, rms, 1))
        ahead = [_first({s: ours[model, s][i, b] for s in RULES}) for b in range(len(BUDGETS))]
        what = "highest accuracy at N = 16, 32, 64, 128, 256"
        found.append(row(item, what, None, ", ".join(ahead)))
    return found


def _first(values: dict[str, float]) -> str:
    best = max(values.values())
    return " and ".join(label(name) for name, x in values.items() if x >= best)


if __name__ == "__main__":
    run(main, __doc__)
