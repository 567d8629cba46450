"""Panels of the paper's figures: bars of an allocation, densities, the optimum against κ."""

from collections.abc import Collection, Mapping
from itertools import cycle

import numpy as np
from jaxtyping import Int, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dora_theory._arrays import ArrayLike
from dora_theory.plots import COLUMN, column, label, style
from dora_theory.strategies.registry import (
    BLACK,
    BLUE,
    DIRECTIONS,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)

# Candidates or curves that stand in an order.
_SERIES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, GRAY)
_FAINT = "#444444"  # what is written beside lines of reference
_IMPOSSIBLE = "#f3d9d9"


def density_curves(
    points: Real[ArrayLike, " points"],
    densities: Mapping[str, Real[ArrayLike, " points"]],
    *,
    mean: float,
    top: float,
) -> Figure:
    """Densities of a success probability, one curve each.

    Args:
        points: probabilities in (0, 1), shape `(points,)`.
        densities: label → density, shape `(points,)`.
        mean: the mean that they share, marked by a line.
        top: where the vertical axis ends; a density may be infinite at 0 and 1.

    Returns:
        The picture.
    """
    with style():
        figure, (axes,) = column()
        axes.axvline(mean, color=GRAY, linewidth=0.8, linestyle=":")
        axes.text(mean, top, f" mean {mean:g}", color=_FAINT, va="top", ha="left")
        for (name, density), color in zip(densities.items(), cycle(_SERIES), strict=False):
            axes.plot(np.asarray(points), np.asarray(density), label=name, color=color)
        axes.set(xlim=(0, 1), ylim=(0, top), ylabel="density")
        axes.set_xlabel("success probability p of a candidate")
        axes.legend(loc="upper left")
    return figure


def bar_panels(
    panels: Mapping[str, Real[ArrayLike, " k"]],
    directions: Int[ArrayLike, " k"],
    *,
    own_scale: Collection[str] = (),
    totals: Collection[str] = (),
    groups: Mapping[str, Int[ArrayLike, " cuts"]] | None = None,
    ylabels: Mapping[str, str] | None = None,
    height: float = 0.78,
) -> Figure:
    """A row of bars for each quantity, a bar for each candidate, colored by direction.

    Values stand over their bars, integers as such and others to two decimals, without the zero
    before the point where bars are narrow; a bar of 0 has no number. Titles are black, for a color
    means a direction here. The picture is a column wide, or as wide as the candidates need.

    Args:
        panels: title, or a strategy's name → value ≥ 0 of each candidate, shape `(k,)`.
        directions: number of each candidate's direction, shape `(k,)`.
        own_scale: titles of the panels with a scale of their own; the others share one.
        totals: titles of the panels that show the sum of each direction.
        groups: title → first candidate of each group after the first, marked by a line.
        ylabels: title → name of the vertical axis (default: rollouts).
        height: of a panel, in inches.

    Returns:
        The picture.
    """
    owner = np.asarray(directions)
    values = {title: np.asarray(value) for title, value in panels.items()}
    shared = max((v.max() for title, v in values.items() if title not in own_scale), default=1)
    width = max(COLUMN, 0.17 * owner.size + 0.3)
    with style():
        figure = Figure(figsize=(width, height * len(values) + 0.4), layout="constrained")
        grid = figure.subplots(len(values), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (title, value) in zip(grid, values.items(), strict=True):
            _bars(axes, value, owner, value.max() if title in own_scale else shared)
            axes.set_ylabel((ylabels or {}).get(title, "rollouts"))
            axes.set_title(label(title), fontweight="bold")
            if title in totals:
                sums = (
                    f"{_letter(j)}: {_number(value[owner == j].sum())}" for j in np.unique(owner)
                )
                axes.set_title("by direction   " + "   ".join(sums), loc="right", fontsize=7)
            for cut in np.asarray((groups or {}).get(title, ())):
                axes.axvline(cut - 0.5, color=BLACK, linewidth=0.8, linestyle=":")
        _name_candidates(grid[-1], owner)
    return figure


def _bars(axes: Axes, values: np.ndarray, owner: np.ndarray, top: float) -> None:
    colors = [DIRECTIONS[j % len(DIRECTIONS)] for j in owner]
    axes.bar(range(values.size), values, color=colors, width=0.72)
    narrow = values.size > 12
    for i in np.flatnonzero(values):
        text = _number(values[i])
        axes.annotate(
            text.removeprefix("0") if narrow else text, (i, values[i]), (0, 1),
            textcoords="offset points", ha="center", va="bottom", fontsize=7,
        )  # fmt: skip
    axes.set(xlim=(-0.55, values.size - 0.45), ylim=(0, 1.35 * (top or 1)), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _name_candidates(axes: Axes, owner: np.ndarray) -> None:
    """Numbers under the bars, and the direction's letter under each run of its candidates."""
    axes.set_xticks(range(owner.size), [str(i + 1) for i in range(owner.size)])
    axes.tick_params(axis="x", labelbottom=True)
    axes.set_xlabel("candidate, and its direction", labelpad=11)
    for run in np.split(np.arange(owner.size), np.flatnonzero(np.diff(owner)) + 1):
        axes.annotate(
            _letter(owner[run[0]]), (run.mean(), 0), (0, -12), textcoords="offset points",
            ha="center", va="top", fontweight="bold", annotation_clip=False,
            color=DIRECTIONS[owner[run[0]] % len(DIRECTIONS)],
        )  # fmt: skip


def _letter(direction: int) -> str:
    return chr(ord("A") + int(direction))


def _number(value: np.number) -> str:
    return str(value) if isinstance(value, np.integer) else f"{value:.2f}"


def allocation_against_concentration(
    concentration: Real[ArrayLike, " points"],
    exact: Int[ArrayLike, "points k"],
    rule: Real[ArrayLike, "points k"],
    weights: Real[ArrayLike, " k"],
    *,
    marks: Mapping[str, float],
    start: Int[ArrayLike, " k"],
    end: Int[ArrayLike, " k"],
    rule_start: Int[ArrayLike, " k"],
) -> Figure:
    """The exact optimum as steps over κ, beside a rule for κ → 0, κ finite and κ → ∞.

    Args:
        concentration: κ, ascending, shape `(points,)`.
        exact: optimal rollouts, shape `(points, k)`.
        rule: what the finite-κ rule gives, possibly negative, shape `(points, k)`.
        weights: qualities, for the labels, shape `(k,)`.
        marks: label → κ, marked on the optimum.
        start: optimum for κ → 0, shape `(k,)`.
        end: allocation for κ → ∞, shape `(k,)`.
        rule_start: the rule for κ → 0, shape `(k,)`.

    Returns:
        The picture.
    """
    kappa, exact, rule = np.asarray(concentration), np.asarray(exact), np.asarray(rule)
    start, end, rule_start = np.asarray(start), np.asarray(end), np.asarray(rule_start)
    budget = int(exact[0].sum())
    with style():
        figure, (top, bottom) = column(2, height=2.3)
        for i, (w, color) in enumerate(zip(np.asarray(weights), cycle(_SERIES), strict=False)):
            name = f"w = {w:g}"
            top.plot(kappa, exact[:, i], drawstyle="steps-post", color=color, label=name)
            bottom.plot(kappa, rule[:, i], color=color, linestyle="--", linewidth=1)
            for axes, at, value in (
                (top, kappa[0], start[i]),
                (top, kappa[-1], end[i]),
                (bottom, kappa[0], rule_start[i]),
                (bottom, kappa[-1], end[i]),
            ):
                axes.plot(at, value, "o", color=color, clip_on=False, zorder=3)
        for axes, low in ((top, -0.04), (bottom, -0.45)):
            axes.axhline(0, color=BLACK, linewidth=0.6)
            axes.set(xscale="log", xlim=(kappa[0], kappa[-1]), ylim=(low * budget, 1.2 * budget))
            axes.set_ylabel(f"rollouts, out of {budget}")
        bottom.axhspan(-0.45 * budget, 0, color=_IMPOSSIBLE, zorder=0)
        bottom.set_xlabel("concentration κ")
        top.set_title("Exact optimum", fontweight="bold")
        bottom.set_title("The paper's rule, by regime", fontweight="bold")
        _marks(top, {"Adams, κ → 0": kappa[0], **marks}, exact.max(1), kappa)
        top.legend(loc="center right", title="quality", alignment="left", handlelength=1.4)
        for x, y, words, side in (
            (2, 1.0, "dot, κ → 0: one each,\nthe rest arbitrary", "left"),
            (2, 0.58, "κ finite: (N + kκ)w − κ", "left"),
            (-2, 0.96, "dot, κ → ∞:\nall to the best", "right"),
        ):
            at = kappa[0] * x if x > 0 else kappa[-1] / -x
            bottom.text(at, y * budget, words, ha=side, va="top", fontsize=7, color=_FAINT)
        below = Patch(color=_IMPOSSIBLE, label="less than\nno rollout")
        bottom.legend(handles=[below], loc="center right", handlelength=1.2)
    return figure


def _marks(axes: Axes, marks: Mapping[str, float], highest: np.ndarray, kappa: np.ndarray) -> None:
    """Lines at ascending κ, with upright labels: left of a line that has the next one close by.

    Labels hang from the top; where the highest curve is as high as it ever gets, from the curve.
    """
    places = [*marks.values(), np.inf]
    for (name, at), following in zip(marks.items(), places[1:], strict=True):
        axes.axvline(at, color=GRAY, linewidth=0.8, linestyle=":")
        crowded = following < 10 * at
        level = highest[min(int(np.searchsorted(kappa, at)), kappa.size - 1)]
        height = 0.97 * level if level == highest.max() else axes.get_ylim()[1]
        axes.annotate(
            name, (at, height), (-1 if crowded else 1, 0), textcoords="offset points",
            rotation=90, ha="right" if crowded else "left", va="top", fontsize=7, color=_FAINT,
        )  # fmt: skip
