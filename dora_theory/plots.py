"""Pictures of results: one style, one colour a strategy, files that come out the same every time.

Functions take arrays and return a matplotlib `Figure` that belongs to no window and no global
state, so they work anywhere; `save` writes it as PNG and SVG.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dora_theory.output import whole_output

# Okabe and Ito's palette, told apart under every common colour blindness.
_BLACK, _GREY, _ORANGE, _SKY = "#000000", "#808080", "#E69F00", "#56B4E9"
_GREEN, _BLUE, _VERMILLION, _PURPLE = "#009E73", "#0072B2", "#D55E00", "#CC79A7"

# Kindred strategies share a colour and differ in line and marker.
_STRATEGIES = {
    "temperature": (_GREY, "-", "o"),
    "beam": (_ORANGE, "-", "s"),
    "dvts": (_PURPLE, "-", "^"),
    "rebase": (_BLUE, "-", "D"),
    "rebase-sequential": (_SKY, "--", "v"),
    "dora": (_VERMILLION, "-", "o"),
    "magnitude": (_VERMILLION, "--", "X"),
    "optimal": (_BLACK, "-", "o"),
    "waterfill": (_BLACK, ":", "o"),
    "direction-optimal": (_GREEN, "-", "s"),
    "correlated": (_GREEN, "--", "P"),
}
COLOURS: Mapping[str, str] = {name: look[0] for name, look in _STRATEGIES.items()}
_NAMES = {"dvts": "DVTS", "rebase": "REBASE", "dora": "DORA"}
# Candidates or curves that stand in an order, and directions.
_SERIES = (_BLUE, _VERMILLION, _GREEN, _ORANGE, _PURPLE, _SKY, _BLACK, _GREY)
DIRECTIONS = (_SKY, _ORANGE, _GREEN, _PURPLE, _GREY, _BLUE, _VERMILLION, _BLACK)

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handlelength": 3.2,
    "savefig.dpi": 170,
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


def label(strategy: str) -> str:
    """How a strategy is called in a picture."""
    return _NAMES.get(strategy, strategy)


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


def density_curves(
    points: Real[ArrayLike, "points"],
    densities: Mapping[str, Real[ArrayLike, "points"]],
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
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.axvline(mean, color=_GREY, linewidth=1, linestyle=":")
        axes.text(mean, top, f" mean {mean:g}", color="#666666", va="top", ha="left", fontsize=9)
        for (name, density), colour in zip(densities.items(), cycle(_SERIES), strict=False):
            axes.plot(np.asarray(points), np.asarray(density), label=name, color=colour)
        axes.set(xlim=(0, 1), ylim=(0, top), ylabel="density")
        axes.set_xlabel("success probability p of a candidate")
        axes.legend(loc="upper left")
    return figure


def bar_panels(
    panels: Mapping[str, Real[ArrayLike, "k"]],
    directions: Int[ArrayLike, "k"],
    *,
    columns: int = 1,
    own_scale: Collection[str] = (),
    totals: Collection[str] = (),
    groups: Mapping[str, Int[ArrayLike, "cuts"]] | None = None,
    height: float = 1.15,
) -> Figure:
    """A row of bars for each quantity, a bar for each candidate, coloured by direction.

    Values stand over their bars, whole numbers as such and others to two decimals; a bar of 0 has
    no number.

    Args:
        panels: title → value ≥ 0 of each candidate, shape `(k,)`. A strategy's name as title is
            written in its colour.
        directions: number of each candidate's direction, shape `(k,)`.
        columns: panels beside one another.
        own_scale: titles of the panels with a scale of their own; the others share one.
        totals: titles of the panels that show the sum of each direction.
        groups: title → first candidate of each group after the first, marked by a line.
        height: of a panel, in inches.

    Returns:
        The picture.
    """
    owner = np.asarray(directions)
    values = {title: np.asarray(value) for title, value in panels.items()}
    shared = max((v.max() for title, v in values.items() if title not in own_scale), default=1)
    rows = -(-len(values) // columns)
    with style():
        size = (max(2.3, min(9.0, 0.42 * owner.size + 1)) * columns, height * rows + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes in grid.flat[len(values) :]:
            axes.remove()
        for axes, (title, value) in zip(grid.flat, values.items(), strict=False):
            _bars(axes, value, owner, value.max() if title in own_scale else shared)
            axes.set_title(label(title), color=COLOURS.get(title, _BLACK), fontweight="bold")
            if title in totals:
                sums = (
                    f"{_letter(j)}: {_number(value[owner == j].sum())}" for j in np.unique(owner)
                )
                axes.set_title("by direction   " + "   ".join(sums), loc="right", fontsize=9.5)
            for cut in np.asarray((groups or {}).get(title, ())):
                axes.axvline(cut - 0.5, color=_BLACK, linewidth=0.8, linestyle=":")
        for axes in grid.flat[max(0, len(values) - columns) : len(values)]:
            _name_candidates(axes, owner)
    return figure


def _bars(axes: Axes, values: np.ndarray, owner: np.ndarray, top: float) -> None:
    colours = [DIRECTIONS[j % len(DIRECTIONS)] for j in owner]
    axes.bar(range(values.size), values, color=colours, width=0.72)
    for i in np.flatnonzero(values):
        axes.annotate(
            _number(values[i]), (i, values[i]), (0, 1.5), textcoords="offset points",
            ha="center", va="bottom", fontsize=8.5,
        )  # fmt: skip
    axes.set(xlim=(-0.7, values.size - 0.3), ylim=(0, 1.25 * (top or 1)), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _name_candidates(axes: Axes, owner: np.ndarray) -> None:
    """Numbers under the bars, and the direction's letter under each run of its candidates."""
    axes.set_xticks(range(owner.size), [str(i + 1) for i in range(owner.size)])
    axes.tick_params(axis="x", labelbottom=True)
    axes.set_xlabel("candidate, and its direction", labelpad=17)
    for run in np.split(np.arange(owner.size), np.flatnonzero(np.diff(owner)) + 1):
        axes.annotate(
            _letter(owner[run[0]]), (run.mean(), 0), (0, -19), textcoords="offset points",
            ha="center", va="top", fontweight="bold", annotation_clip=False,
            color=DIRECTIONS[owner[run[0]] % len(DIRECTIONS)],
        )  # fmt: skip


def _letter(direction: int) -> str:
    return chr(ord("A") + int(direction))


def _number(value: np.number) -> str:
    return str(value) if isinstance(value, np.integer) else f"{value:.2f}"


def allocation_against_concentration(
    concentration: Real[ArrayLike, "points"],
    exact: Int[ArrayLike, "points k"],
    rule: Real[ArrayLike, "points k"],
    weights: Real[ArrayLike, "k"],
    *,
    marks: Mapping[str, float],
    start: Int[ArrayLike, "k"],
    end: Int[ArrayLike, "k"],
    rule_start: Int[ArrayLike, "k"],
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
    low, high = -0.45 * budget, 1.2 * budget
    with style():
        figure = Figure(figsize=(10.5, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for i, (w, colour) in enumerate(zip(np.asarray(weights), cycle(_SERIES), strict=False)):
            name = f"w = {w:g}"
            left.plot(kappa, exact[:, i], drawstyle="steps-post", color=colour, label=name)
            right.plot(kappa, rule[:, i], color=colour, linestyle="--", linewidth=1.1)
            for axes, at, value in (
                (left, kappa[0], start[i]),
                (left, kappa[-1], end[i]),
                (right, kappa[0], rule_start[i]),
                (right, kappa[-1], end[i]),
            ):
                axes.plot(at, value, "o", color=colour, clip_on=False, zorder=3)
        for axes in (left, right):
            axes.axhline(0, color=_BLACK, linewidth=0.8)
            axes.axhspan(low, 0, color="#f3d9d9", zorder=0)
            axes.set(xscale="log", xlim=(kappa[0], kappa[-1]), ylim=(low, high))
            axes.set_xlabel("concentration κ")
        left.set_ylabel(f"rollouts, out of {budget}")
        left.set_title("Exact optimum", fontweight="bold")
        right.set_title("The paper's rule, by regime", fontweight="bold")
        _marks(left, {"Adams, κ → 0": kappa[0], **marks}, 0.98 * budget)
        left.legend(loc="center right", title="quality", alignment="left")
        middle = np.sqrt(kappa[0] * kappa[-1])
        for x, y, words, side in (
            (3 * kappa[0], -0.06 * budget, "κ → 0: one each,\nthe rest arbitrary", "left"),
            (3 * kappa[0], 0.53 * budget, "κ finite: (N + kκ)w − κ", "left"),
            (kappa[-1] / 3, 1.08 * budget, "κ → ∞: all to the best", "right"),
            (3e2 * middle, -0.18 * budget, "less than\nno rollout", "left"),
        ):
            right.text(x, y, words, ha=side, va="top", fontsize=9.5, color="#444444")
    return figure


def _marks(axes: Axes, marks: Mapping[str, float], height: float) -> None:
    """Lines at ascending κ, with upright labels: left of a line that has the next one close by."""
    places = [*marks.values(), np.inf]
    for (name, at), following in zip(marks.items(), places[1:], strict=True):
        axes.axvline(at, color=_GREY, linewidth=1, linestyle=":")
        crowded = following < 10 * at
        axes.annotate(
            name, (at, height), (-3 if crowded else 3, 0), textcoords="offset points",
            rotation=90, ha="right" if crowded else "left", va="top", fontsize=8.5,
            color="#444444",
        )  # fmt: skip


def draw_strategy(
    axes: Axes,
    x: Real[ArrayLike, "points"],
    y: Real[ArrayLike, "points"],
    name: str,
    *,
    band: Real[ArrayLike, "points 2"] | None = None,
) -> None:
    """One strategy's line in its own colour, line and marker, with its name for the legend.

    Args:
        axes: where.
        x: shape `(points,)`.
        y: shape `(points,)`.
        name: of the strategy.
        band: lower and upper end at each point, shape `(points, 2)`, drawn as a band.
    """
    colour, line, marker = _STRATEGIES.get(name, (_BLACK, "-.", "."))
    x, y = np.asarray(x), np.asarray(y)
    axes.plot(x, y, color=colour, linestyle=line, marker=marker, label=label(name))
    if band is not None:
        ends = np.asarray(band)
        axes.fill_between(x, ends[:, 0], ends[:, 1], color=colour, alpha=0.12, lw=0)


def success_curves(
    budgets: Real[ArrayLike, "budgets"],
    success: Mapping[str, Real[ArrayLike, "budgets"]],
    intervals: Mapping[str, Real[ArrayLike, "budgets 2"]] | None = None,
    *,
    title: str = "",
    ylabel: str = "success probability",
) -> Figure:
    """Success against budget, a line for each strategy in its own colour.

    Args:
        budgets: rollouts N > 0, shape `(budgets,)`.
        success: strategy → success, shape `(budgets,)`.
        intervals: strategy → lower and upper end, shape `(budgets, 2)`, drawn as a band.
        title: above the picture.
        ylabel: of the vertical axis.

    Returns:
        The picture.
    """
    n = np.asarray(budgets)
    with style():
        figure = Figure(figsize=(6.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for name, values in success.items():
            draw_strategy(axes, n, values, name, band=(intervals or {}).get(name))
        axes.set_xscale("log", base=2)
        axes.set_xticks(n, [f"{x:g}" for x in n])
        axes.minorticks_off()
        axes.set(xlabel="rollouts N", ylabel=ylabel, title=title)
        axes.grid(axis="y")
        figure.legend(loc="outside right upper")
    return figure
