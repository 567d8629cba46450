"""What the theorem plots share: panels below one another in a column, plain curves, references."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dora_theory.plots import COLORS, COLUMN, column, label, save, style

# Curves that stand in an order take the colors of strategies, distinguished under color blindness.
ORDER = tuple(
    COLORS[name]
    for name in ("rebase", "dora", "direction-optimal", "beam", "dvts", "rebase-sequential")
)
BLACK, GRAY = COLORS["optimal"], COLORS["temperature"]
# Inches: two columns and what is between them.
PAGE = 2 * COLUMN + 0.4
_FAILED = "#f1ece4"


@contextmanager
def panels(stem: Path, count: int, *, height: float = 2.0) -> Iterator[Sequence[Axes]]:
    """Panels below one another, a column wide, saved as `stem.png` and `stem.svg`.

    `height` is that of one panel, in inches.
    """
    with style():
        figure, axes = column(count, height=height)
        yield axes
        save(figure, stem)


def curves(axes: Axes, x: np.ndarray, series: Mapping[str, np.ndarray], **options: Any) -> None:
    """One line for each series, in the colors of `ORDER`."""
    for (name, y), color in zip(series.items(), cycle(ORDER), strict=False):
        axes.plot(x, y, label=name, **{"color": color, **options})


def level(axes: Axes, y: float, text: str, *, x: float = 0.02, below: bool = False) -> None:
    """A horizontal line of reference, with its name at the fraction `x` of the width."""
    axes.axhline(y, color=GRAY, linewidth=0.8, linestyle=":", zorder=1)
    axes.annotate(
        text, (x, y), (0, -2 if below else 2), xycoords=("axes fraction", "data"),
        textcoords="offset points", va="top" if below else "bottom", color="#444444", fontsize=7,
        ha="left" if x < 0.5 else "right",
    )  # fmt: skip


def mark(axes: Axes, x: float, text: str, *, y: float = 0.98, left: bool = False) -> None:
    """A vertical line of reference, with its name at the fraction `y` of the height."""
    axes.axvline(x, color=GRAY, linewidth=0.8, linestyle=":", zorder=1)
    axes.annotate(
        text, (x, y), (-3 if left else 3, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", ha="right" if left else "left",
        color="#444444", fontsize=7,
    )  # fmt: skip


def against_paper(
    axes: Axes,
    name: str,
    budgets: Sequence[int],
    ours: Sequence[tuple[float, float]],
    paper: Mapping[int, float],
) -> None:
    """A strategy of a fitted population beside the paper: dots are the paper's, lines are ours.

    Args:
        axes: where.
        name: of the strategy; the dots of DORA, to which nothing was fitted, are hollow.
        budgets: N.
        ours: mean and spread at each N.
        paper: N → what the paper reports.
    """
    color, (mean, spread) = COLORS[name], np.array(ours).T
    axes.plot(budgets, mean, color=color, linewidth=1)
    axes.fill_between(budgets, mean - spread, mean + spread, color=color, alpha=0.15, lw=0)
    axes.plot(
        list(paper), list(paper.values()), "o", color=color, markersize=2.4, markeredgewidth=0.7,
        markerfacecolor="white" if name == "dora" else color,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(budgets[::2], list(map(str, budgets[::2])))
    axes.minorticks_off()
    axes.grid(axis="y")


def fit_failed(axes: Axes) -> None:
    """Shades a panel whose population does not describe what it was fitted to."""
    axes.set_facecolor(_FAILED)


def legend_of_fits(figure: Figure, names: Sequence[str], *, interval: bool) -> None:
    """What every mark of `against_paper` stands for, below the picture."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=COLORS[name], linewidth=2, label=label(name)) for name in names
    ]
    marks: dict[str, dict[str, Any]] = {
        "dot: the paper": {"marker": "o", "linestyle": ""},
        "hollow: its DORA, not fitted": {
            "marker": "o", "linestyle": "", "markerfacecolor": "white",
        },
        "line: ours; band: a run's spread": {"linestyle": "-"},
    }  # fmt: skip
    if interval:
        marks["dotted: 90% interval for DORA"] = {"linestyle": ":"}
    handles += [Line2D([], [], color="#444444", label=name, **mark) for name, mark in marks.items()]
    handles.append(Patch(facecolor=_FAILED, edgecolor="#999999", lw=0.5, label="shaded: fit fails"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=1.6)
