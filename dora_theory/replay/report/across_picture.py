"""Solved against rollouts, one budget for all problems of a log, one panel per log."""

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.figure import Figure

from dora_theory.replay.report.curves import Curve, curves
from dora_theory.strategies.registry import (
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)

# Color, line and label of each policy; others follow in the colors that are left.
LOOKS = {
    "uniform": (GRAY, "-", "uniform"),
    "rounds-2": (SKY, "--", "2 rounds"),
    "rounds-4": (SKY, "-.", "4 rounds"),
    "rounds-8": (SKY, "-", "8 rounds"),
    "round-robin": (BLUE, "-", "round robin"),
    "known-committed": (ORANGE, "-", "p known, committed"),
    "oracle": (BLACK, ":", "oracle"),
}
_REST = (VERMILION, GREEN, PURPLE)
_BANDS = ("uniform", "round-robin")


def solved_against_rollouts(found: Sequence[dict[str, Any]], titles: Sequence[str]) -> Figure:
    """Share solved against rollouts per problem, with the 95% bands of uniform and round robin.

    Args:
        found: what `replay.across.run.replay_across` returns, one per panel.
        titles: of the panels.

    Returns:
        The picture, a column wide.
    """
    return curves(
        found,
        titles,
        _curves,
        height=2.2,
        xlabel="rollouts per problem",
        ylabel="problems solved",
        level=("solved", "all that the log solves"),
    )


def _curves(found: dict[str, Any]) -> Iterator[Curve]:
    rest = iter(_REST * 3)
    for name, cells in found["policies"].items():
        color, line, label = LOOKS.get(name) or (next(rest), "-", name)
        yield Curve(label, color, line, cells, ("solved", "low", "high"), name in _BANDS)
