"""Solved against rollouts, one budget for all problems of a log, one panel per log."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from dora_theory import plots
from dora_theory.strategies.registry import BLACK, BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, VERMILION

# Color, line and label of each policy; others follow in the colors that are left.
LOOKS = {
    "uniform": (GRAY, "-", "uniform"),
    "rounds-2": (SKY, "--", "2 rounds"),
    "rounds-4": (SKY, "-.", "4 rounds"),
    "rounds-8": (SKY, "-", "8 rounds"),
    "round-robin": (BLUE, "-", "round robin"),
    "known-committed": (ORANGE, "-", "p known, committed"),
    "oracle": (BLACK, ":", "oracle"),
}
_REST = (VERMILION, GREEN, PURPLE)
_BANDS = ("uniform", "round-robin")


def solved_against_rollouts(found: Sequence[dict[str, Any]], titles: Sequence[str]) -> Figure:
    """Share solved against rollouts per problem, with the 95% bands of uniform and round robin.

    Args:
        found: what `replay.across.run.replay_across` returns, one per panel.
        titles: of the panels.

    Returns:
        The picture, a column wide.
    """
    with plots.style():
        figure, panels = plots.column(len(found), height=2.2)
        for axes, one, title in zip(panels, found, titles, strict=True):
            _panel(axes, one, title)
        panels[-1].set_xlabel("rollouts per problem")
        plots.legend_below(figure, panels)
    return figure


def _panel(axes: Axes, found: dict[str, Any], title: str) -> None:
    rest = iter(_REST * 3)
    for name, of in found["policies"].items():
        color, line, label = LOOKS.get(name) or (next(rest), "-", name)
        n = np.array([int(x) for x in of])
        solved, low, high = (np.array([c[f] for c in of.values()]) for f in _FIELDS)
        axes.plot(n, solved, line, color=color, marker="o", markersize=2, label=label)
        if name in _BANDS:
            axes.fill_between(n, low, high, color=color, alpha=0.15, linewidth=0)
    axes.axhline(
        found["solved"], color=BLACK, linewidth=0.6, zorder=0, label="all that the log solves"
    )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(n.tolist()))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y")
    axes.set(title=title, ylabel="problems solved")


_FIELDS = ("solved", "low", "high")
