"""Pictures of a share against a count in powers of two: curves, one panel per log."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from dora_theory import plots
from dora_theory.strategies.registry import BLACK


class Curve(NamedTuple):
    """One curve of a panel.

    Attributes:
        label: in the legend.
        color: of the line and its band.
        line: style of the line.
        cells: what is drawn, by count.
        fields: of a cell: the share, and the ends of its interval.
        band: whether the interval is drawn.
    """

    label: str
    color: str
    line: str
    cells: Mapping[str, Mapping[str, float]]
    fields: tuple[str, str, str]
    band: bool


def curves(
    found: Sequence[Any],
    titles: Sequence[str],
    of: Callable[[Any], Iterable[Curve]],
    *,
    height: float,
    xlabel: str,
    ylabel: str,
    level: tuple[str, str] | None = None,
) -> Figure:
    """The curves of each document in a panel of its own, a column wide, with one legend below.

    Args:
        found: documents, one per panel.
        titles: of the panels.
        of: the curves of a document, all of the same counts.
        height: of a panel, in inches.
        xlabel: what is counted.
        ylabel: what the share is of.
        level: a share of each document, drawn across its panel, and its label; None for none.

    Returns:
        The picture.
    """
    with plots.style():
        figure, panels = plots.column(len(found), height=height)
        for axes, one, title in zip(panels, found, titles, strict=True):
            for curve in of(one):
                n = np.array([int(x) for x in curve.cells])
                cells = curve.cells.values()
                mean, low, high = (np.array([c[f] for c in cells]) for f in curve.fields)
                color, label = curve.color, curve.label
                axes.plot(n, mean, curve.line, color=color, marker="o", markersize=2, label=label)
                if curve.band:
                    axes.fill_between(n, low, high, color=color, alpha=0.15, linewidth=0)
            if level is not None:
                field, label = level
                axes.axhline(one[field], color=BLACK, linewidth=0.6, zorder=0, label=label)
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_locator(FixedLocator(n.tolist()))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.grid(axis="y")
            axes.set(title=title, ylabel=ylabel)
        panels[-1].set_xlabel(xlabel)
        plots.legend_below(figure, panels)
    return figure
