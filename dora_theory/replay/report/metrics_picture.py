"""Accuracy against solutions: stops by each verifier, best of n, and votes; one panel per log."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from dora_theory import plots
from dora_theory.replay.report.metrics_table import verifiers_of
from dora_theory.strategies.registry import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

_STOPS = (BLUE, SKY, PURPLE)
_LOOKS = {
    "agreement": (GREEN, "-", "stop at agreement"),
    "perfect": (BLACK, ":", "stop, perfect verifier"),
    "best-of-n": (VERMILION, "-", "best of n"),
    "majority@k": (ORANGE, "-", "majority"),
    "weighted-vote": (ORANGE, "--", "weighted vote"),
}
_BANDS = ("best-of-n", "majority@k")


def accuracy_against_solutions(found: Sequence[Mapping[str, Any]], titles: Sequence[str]) -> Figure:
    """How often the answer is right against k, with the 95% bands of best of n and the majority.

    Args:
        found: what `replay.metrics.replay_metrics` returns, one per panel.
        titles: of the panels.

    Returns:
        The picture, a column wide.
    """
    with plots.style():
        figure, panels = plots.column(len(found), height=2.4)
        for axes, one, title in zip(panels, found, titles, strict=True):
            _panel(axes, one, title)
        panels[-1].set_xlabel("solutions k")
        plots.legend_below(figure, panels)
    return figure


def _panel(axes: Axes, found: Mapping[str, Any], title: str) -> None:
    stops = iter(_STOPS * 9)
    curves = {
        name: {k: cell["accuracy"] for k, cell in of["budget"].items()}
        for name, of in verifiers_of(found).items()
    }
    for name, of in (curves | found["answers"]).items():
        color, line, label = _LOOKS.get(name) or (next(stops), "--", f"stop at {name}")
        k = np.array([int(x) for x in of])
        mean, low, high = (np.array([c[f] for c in of.values()]) for f in ("mean", "low", "high"))
        axes.plot(k, mean, line, color=color, marker="o", markersize=2, label=label)
        if name in _BANDS:
            axes.fill_between(k, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(k.tolist()))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y")
    axes.set(title=title, ylabel="answers right")
