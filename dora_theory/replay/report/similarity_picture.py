"""How alike candidates are, which T_s that calls for, and how large directions are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dora_theory import plots
from dora_theory.replay.cut.similarity import PAPER
from dora_theory.strategies.registry import DORA, REBASE

_WITHIN, _ACROSS, _GRAY = plots.COLORS[DORA], plots.COLORS[REBASE], "#666666"


def similarity_panels(found: dict[str, Any]) -> Figure:
    """Cosines by quantile; the loss of DORA's uniqueness against T_s; directions by size.

    Args:
        found: `similarity` of what `replay.summary.summary` returns.

    Returns:
        The picture.
    """
    with plots.style():
        figure = Figure(figsize=(8.6, 2.3), layout="constrained")
        cosines, losses, sizes = figure.subplots(1, 3)
        _cosines(cosines, found)
        _losses(losses, found)
        _sizes(sizes, found)
    return figure


def _cosines(axes: Axes, found: dict[str, Any]) -> None:
    within, across = (np.array(found[name]) for name in ("density_within", "density_across"))
    edges = np.array(found["edges"])
    for density, color, name in (
        (within, _WITHIN, "within a direction"),
        (across, _ACROSS, "between directions"),
    ):
        axes.stairs(density, edges, fill=True, alpha=0.35, color=color, label=name)
    seen = edges[:-1][(within > 0) | (across > 0)]
    axes.set(xlim=(min(0.0, *seen) if seen.size else 0, 1), yticks=[])
    axes.set(xlabel="cosine of two candidates of a problem", ylabel="density")
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper left")


def _losses(axes: Axes, found: dict[str, Any]) -> None:
    if found["similarity_temperature"] is None:
        axes.text(0.5, 0.5, "no problem has two directions", ha="center", color=_GRAY)
        axes.set_axis_off()
        return
    t, mean, low, high = (
        np.array([cell[name] for cell in found["loss"]])
        for name in ("similarity_temperature", "mean", "low", "high")
    )
    axes.fill_between(t, low, high, color=_WITHIN, alpha=0.15, linewidth=0)
    axes.plot(t, mean, color=_WITHIN, label="uniqueness γ")
    axes.axhline(found["counting"]["mean"], color=_ACROSS, label="counting candidates (REBASE)")
    axes.axvline(PAPER, color=_GRAY, linestyle=":", linewidth=1)
    axes.annotate("paper", (PAPER, 0), (3, 3), textcoords="offset points", color=_GRAY, fontsize=7)
    axes.plot(found["similarity_temperature"], mean.min(), "o", color=_WITHIN)
    axes.set(xscale="log", xlabel="$T_s$", ylabel="nats from equal shares")
    axes.set_ylim(0, 1.45 * max(high.max(), found["counting"]["mean"]) or 1)
    axes.legend(loc="upper right")


def _sizes(axes: Axes, found: dict[str, Any]) -> None:
    k = np.array([int(size) for size in found["sizes"]])
    axes.bar(k, list(found["sizes"].values()), color=_GRAY, width=0.8)
    axes.set(xlabel="candidates of a direction", ylabel="directions", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0.7)
