"""Scores against outcomes, and κ by depth, of one log."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dora_theory import plots
from dora_theory.strategies.registry import BASELINE

_COLOR, _GRAY = plots.COLORS[BASELINE], "#666666"
# Classical rules are points on the line of κ (theory 2.3).
_RULES = {"Webster": 0.5, "Jefferson": 1.0}


def calibration_panels(document: dict[str, Any], title: str) -> Figure:
    """How often solutions of a score are right, after step m and at the end; κ by depth.

    Intervals are 95%. The area of a point grows with the number of solutions.

    Args:
        document: what `calibrating.calibrate` returns.
        title: above the picture.

    Returns:
        The picture.
    """
    with plots.style():
        figure = Figure(figsize=(8.6, 2.9), layout="constrained")
        step, final, depth = figure.subplots(1, 3)
        figure.suptitle(title)
        _curve(step, document["scores"]["step"], f"after step {document['steps']}")
        _curve(final, document["scores"]["final"], "after the last step")
        _depths(depth, document["depth"])
    return figure


def _curve(axes: Axes, found: dict[str, Any], title: str) -> None:
    rows = zip(
        *(found[name] for name in ("score", "accuracy", "low", "high", "count")), strict=True
    )
    score, accuracy, low, high, count = np.array([row for row in rows if row[4]]).T
    axes.plot([0, 1], [0, 1], color=_GRAY, linestyle=":", linewidth=1)
    axes.errorbar(score, accuracy, [accuracy - low, high - accuracy], color=_COLOR, lw=1, fmt="-")
    axes.scatter(score, accuracy, s=4 + 70 * count / count.max(), color=_COLOR, zorder=3)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.set(title=f"{title}, error {found['error']:.3f}", xlabel="score", ylabel="share right")


def _depths(axes: Axes, fits: dict[str, Any]) -> None:
    depth = np.array([int(m) for m in fits])
    kappa, low = (
        np.array([fit[name] for fit in fits.values()]) for name in ("concentration", "low")
    )
    high = np.array([fit["high"] or np.inf for fit in fits.values()])
    # What the likelihood does not bound runs out of the picture.
    floor, top = kappa.min() / 5, kappa.max() * 5
    low, high = np.maximum(low, floor / 2), np.minimum(high, top * 2)
    axes.errorbar(depth, kappa, [kappa - low, high - kappa], color=_COLOR, fmt="o-", lw=1)
    for name, at in _RULES.items():
        if floor < at < top:
            axes.axhline(at, color=_GRAY, linestyle=":", linewidth=1)
            axes.annotate(
                name, (depth[-1], at), (0, 2), textcoords="offset points", ha="right",
                color=_GRAY, fontsize=7,
            )  # fmt: skip
    axes.set(yscale="log", ylim=(floor, top), xticks=depth)
    axes.set(title="concentration", xlabel="cut after step", ylabel="κ")
