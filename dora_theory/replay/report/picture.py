"""Success against budget, one panel per log, and below it the differences from REBASE."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from dora_theory import plots
from dora_theory._errors import amount
from dora_theory.replay.report.conclusion import unit
from dora_theory.strategies.registry import BASELINE

_COLUMNS = 3
_NEUTRAL = "#666666"
# Up to this share of problems a lower bound is as good as the estimate.
_FEW = 0.05
# Over fewer problems an interval of differences says little.
_ENOUGH = 30


def success_against_budget(summaries: Sequence[dict[str, Any]], titles: Sequence[str]) -> Figure:
    """Success of every strategy against the budget, and its difference from REBASE, with 95% bands.

    Above: estimates. A budget at which the log does not suffice on more than 5% of the problems has
    only a lower bound, and no point: bounds of two strategies say nothing about which is better.
    Strategies whose numbers are all the same share a line. Below: differences, problem by problem,
    over those where the log suffices for both; hollow over fewer than thirty of them, and where
    their bars leave the picture, they do.

    Args:
        summaries: what `replay.summary.summary` returns, one a panel.
        titles: of the panels.

    Returns:
        The picture.
    """
    columns = min(_COLUMNS, len(summaries))
    rows = -(-len(summaries) // columns)
    with plots.style():
        figure = Figure(figsize=(plots.COLUMN * columns, 4.6 * rows), layout="constrained")
        panels = figure.subplots(
            2 * rows, columns, squeeze=False, height_ratios=[3, 2] * rows, sharex=False
        )
        handles: dict[str, Line2D] = {}
        for i, (summary, title) in enumerate(zip(summaries, titles, strict=True)):
            row, column = 2 * (i // columns), i % columns
            handles |= _success(panels[row, column], summary, title)
            _differences(panels[row + 1, column], summary)
        for i in range(len(summaries), rows * columns):
            panels[2 * (i // columns), i % columns].set_axis_off()
            panels[2 * (i // columns) + 1, i % columns].set_axis_off()
        for name, face in (
            (f"{_ENOUGH} problems or more", _NEUTRAL),
            (f"fewer than {_ENOUGH} problems", "white"),
        ):
            handles[name] = Line2D(
                [], [], color=_NEUTRAL, marker="o", linestyle="", markerfacecolor=face, label=name
            )
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=2)
    return figure


def _success(axes: Axes, summary: dict[str, Any], title: str) -> dict[str, Line2D]:
    """Draws one log; label → handle for the legend."""
    handles: dict[str, Line2D] = {}
    unseen = 0
    for names, points in _curves(summary["strategies"], ("success", "low", "high", "clipped")):
        own = plots.look(names[0])
        color, line, marker = own.color, own.line, own.marker
        budgets, success, low, high = points[points[:, 4] <= _FEW, :4].T
        axes.plot(budgets, success, linestyle=line, color=color, marker=marker)
        axes.fill_between(budgets, low, high, color=color, alpha=0.1, linewidth=0)
        unseen += len(names) * (budgets.size == 0)
        # A legend of two columns has room for so much.
        label = textwrap.fill(" = ".join(map(plots.label, names)), 22, break_on_hyphens=False)
        handles[label] = Line2D([], [], color=color, linestyle=line, marker=marker, label=label)
    if unseen:
        said = f"not drawn: {unseen} strateg{'y' if unseen == 1 else 'ies'}\nwith lower bounds only"
        axes.annotate(
            said, (0.98, 0.03), ha="right",
            xycoords="axes fraction", color=_NEUTRAL, fontsize=7,
        )  # fmt: skip
    _budget_axis(axes, summary)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    tree = summary["kind"] == "tree"
    said = amount(summary["problems"], "problem", ",")
    logged = amount(summary["samples"], "node" if tree else "solution", ",")
    axes.set(title=f"{title}\n{said}, {logged}", ylabel="problems solved")
    return handles


def _differences(axes: Axes, summary: dict[str, Any]) -> None:
    axes.axhline(0, color=plots.COLORS[BASELINE], linewidth=1)
    # What shares its line above is the line here.
    strategies = summary["strategies"]
    same = {
        f"{name}-{BASELINE}"
        for name, found in strategies.items()
        if found == strategies.get(BASELINE)
    }
    curves = [
        (names, points)
        for names, points in _curves(summary["paired"], ("difference", "low", "high", "problems"))
        if np.nan_to_num(points[:, 1:4]).any() and not (set(names) <= same)
    ]
    widest = 0.0
    for place, (names, points) in enumerate(curves):
        own = plots.look(names[0].removesuffix(f"-{BASELINE}"))
        color, marker = own.color, own.marker
        enough = points[:, 4] >= _ENOUGH
        for some, face in ((points[enough], color), (points[~enough], "white")):
            budgets, mean, low, high, _ = some[np.isfinite(some).all(1)].T
            # Beside each other around the budget.
            at = budgets * 2 ** (min(0.09, 0.7 / len(curves)) * (place - (len(curves) - 1) / 2))
            axes.errorbar(
                at, mean, [mean - low, high - mean], color=color, marker=marker,
                markerfacecolor=face, linestyle="", lw=1,
            )  # fmt: skip
            # Intervals of few problems may leave the panel, no point does.
            inside = [*low, *high] if face == color else mean
            widest = max(widest, *np.abs([*inside, 0.0]))
    room = 1.08 * widest or 0.055
    axes.set_ylim(-room, room)
    _budget_axis(axes, summary)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{100 * x:+.3g}".replace("-", "−") if x else "0")
    )
    axes.set(xlabel=unit(summary), ylabel="points more\nthan REBASE")


def _budget_axis(axes: Axes, summary: dict[str, Any]) -> None:
    budgets = [int(n) for n in next(iter(summary["strategies"].values()))["budget"]]
    axes.set_xscale("log", base=2)
    axes.set_xlim(budgets[0] / 1.35, budgets[-1] * 1.35)
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")


def _curves(
    results: dict[str, Any], fields: tuple[str, ...]
) -> list[tuple[list[str], Float[np.ndarray, "budgets fields"]]]:
    """Names with their numbers, the budget first; names whose numbers are all the same together."""
    curves: list[tuple[list[str], Float[np.ndarray, "budgets fields"]]] = []
    for name, result in results.items():
        points = np.array(
            [
                [int(n), *(np.nan if cell[field] is None else cell[field] for field in fields)]
                for n, cell in result["budget"].items()
            ]
        )
        for names, other in curves:
            if np.array_equal(points, other, equal_nan=True):
                names.append(name)
                break
        else:
            curves.append(([name], points))
    return curves
