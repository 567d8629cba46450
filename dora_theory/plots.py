"""Pictures of results: one style, one color a strategy, files that come out the same every time.

Functions take arrays and return a matplotlib `Figure` that belongs to no window and no global
state, so they work anywhere; `save` writes it as PNG and SVG. A picture is drawn at the size at
which it is printed, the width of a column, with no letter below 7 points; panels are below one
another.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dora_theory._arrays import ArrayLike
from dora_theory.io.atomic_write import whole_output
from dora_theory.strategies.registry import STRATEGIES, Strategy

COLORS: Mapping[str, str] = {name: strategy.color for name, strategy in STRATEGIES.items()}

# Inches: a column of 8 cm.
COLUMN = 8 / 2.54

_STYLE: dict[str, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.labelsize": 7.5,
    "axes.labelpad": 2,
    **{f"{axis}tick.labelsize": 7 for axis in "xy"},
    **{f"{axis}tick.major.size": 2.5 for axis in "xy"},
    **{f"{axis}tick.major.width": 0.6 for axis in "xy"},
    **{f"{axis}tick.major.pad": 2 for axis in "xy"},
    **{f"{axis}tick.minor.size": 1.5 for axis in "xy"},
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.handlelength": 2.2,
    "legend.labelspacing": 0.3,
    "legend.columnspacing": 1.2,
    "savefig.dpi": 300,
    # Without it SVG takes its ids from a random number.
    "svg.hashsalt": "dora-theory",
}
# Neither a date nor a program's version belongs to a result.
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


@contextmanager
def style() -> Iterator[None]:
    """The look of every picture; a user's own matplotlib settings are put aside and come back."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def column(panels: int = 1, *, height: float = 2.0) -> tuple[Figure, list[Axes]]:
    """An empty picture as wide as a column, with panels below one another; call it in `style`.

    Args:
        panels: how many.
        height: of one panel with what is written around it, in inches.

    Returns:
        The picture and its panels, from top to bottom.
    """
    figure = Figure(figsize=(COLUMN, height * panels), layout="constrained")
    return figure, list(figure.subplots(panels, 1, squeeze=False)[:, 0])


def legend_below(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend below a picture, of every line that has a name in any of its panels."""
    handles = {
        name: line
        for axes in panels
        for line, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles=list(handles.values()),
        labels=list(handles),
        loc="outside lower center",
        ncols=2,
    )


def label(strategy: str) -> str:
    """How a strategy is called in a picture."""
    return STRATEGIES[strategy].label if strategy in STRATEGIES else strategy


def look(strategy: str) -> Strategy:
    """What has a strategy's color, line and marker: for a rule of your own the defaults."""
    return STRATEGIES.get(strategy) or Strategy(strategy, lambda *_: None)


def save(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Writes a picture as `stem.png` and `stem.svg`, each whole or not at all.

    The same figure gives the same bytes, whenever it is written.

    Args:
        figure: the picture.
        stem: where, without an ending; folders are made as needed.

    Returns:
        The two files.

    Raises:
        InputError: a file cannot be written there.
        OSError: a folder cannot be made.
    """
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for kind, metadata in _METADATA.items():
        path = stem.with_name(f"{stem.name}.{kind}")
        with style(), whole_output(str(path)) as file:
            figure.savefig(file, format=kind, metadata=metadata)
        files.append(path)
    return files[0], files[1]


def draw_strategy(
    axes: Axes,
    x: Real[ArrayLike, " points"],
    y: Real[ArrayLike, " points"],
    name: str,
    *,
    band: Real[ArrayLike, "points 2"] | None = None,
) -> None:
    """One strategy's line in its own color, line and marker, with its name for the legend.

    Args:
        axes: where.
        x: shape `(points,)`.
        y: shape `(points,)`.
        name: of the strategy.
        band: lower and upper end at each point, shape `(points, 2)`, drawn as a band.
    """
    own = look(name)
    x, y = np.asarray(x), np.asarray(y)
    axes.plot(x, y, color=own.color, linestyle=own.line, marker=own.marker, label=label(name))
    if band is not None:
        ends = np.asarray(band)
        axes.fill_between(x, ends[:, 0], ends[:, 1], color=own.color, alpha=0.12, lw=0)
