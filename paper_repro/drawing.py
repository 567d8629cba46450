"""What the theorem plots share: panels below one another in a column, plain curves, references."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dora_theory.plots import COLORS, column, save, style

# Curves that stand in an order take the colors of strategies, distinguished under color blindness.
ORDER = tuple(
    COLORS[name]
    for name in ("rebase", "dora", "direction-optimal", "beam", "dvts", "rebase-sequential")
)
BLACK, GRAY = COLORS["optimal"], COLORS["temperature"]


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
