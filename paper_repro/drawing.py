"""What the theorem plots share: panels that read well at the width of a column, and plain curves.

Drawn at a quarter more than the printed size, so that letters of 10 points come out at 8 in a
column (85 mm, one panel) or across two (170 mm, two panels).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dora_theory.plots import COLOURS, save, style

_COLUMN = 4.2  # inches: 85 mm and a quarter

# Curves that stand in an order take the colours of strategies, told apart under colour blindness.
ORDER = tuple(
    COLOURS[name]
    for name in ("rebase", "dora", "direction-optimal", "beam", "dvts", "rebase-sequential")
)
BLACK, GREY = COLOURS["optimal"], COLOURS["temperature"]


@contextmanager
def panels(stem: Path, count: int, *, height: float = 3.1) -> Iterator[Sequence[Axes]]:
    """Panels beside one another, each a column wide, saved as `stem.png` and `stem.svg`."""
    with style():
        figure = Figure(figsize=(_COLUMN * count, height), layout="constrained")
        yield figure.subplots(1, count, squeeze=False)[0]
        save(figure, stem)


def curves(axes: Axes, x: np.ndarray, series: Mapping[str, np.ndarray], **options: Any) -> None:
    """One line for each series, in the colours of `ORDER`."""
    for (name, y), colour in zip(series.items(), cycle(ORDER), strict=False):
        axes.plot(x, y, label=name, **{"color": colour, **options})


def level(axes: Axes, y: float, text: str, *, x: float = 0.02, below: bool = False) -> None:
    """A horizontal line of reference, with its name at the fraction `x` of the width."""
    axes.axhline(y, color=GREY, linewidth=1, linestyle=":", zorder=1)
    axes.annotate(
        text, (x, y), (0, -2 if below else 2), xycoords=("axes fraction", "data"),
        textcoords="offset points", va="top" if below else "bottom", color="#444444", fontsize=9,
        ha="left" if x < 0.5 else "right",
    )  # fmt: skip


def mark(axes: Axes, x: float, text: str, *, y: float = 0.98, left: bool = False) -> None:
    """A vertical line of reference, with its name at the fraction `y` of the height."""
    axes.axvline(x, color=GREY, linewidth=1, linestyle=":", zorder=1)
    axes.annotate(
        text, (x, y), (-3 if left else 3, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", ha="right" if left else "left",
        color="#444444", fontsize=9,
    )  # fmt: skip
