"""Accuracy against solutions: stops by each verifier, best of n, and votes; one panel per log."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from dora_theory.replay.report.curves import Curve, curves
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
    return curves(found, titles, _curves, height=2.4, xlabel="solutions k", ylabel="answers right")


def _curves(found: Mapping[str, Any]) -> Iterator[Curve]:
    stops = iter(_STOPS * 9)
    accuracy = {
        name: {k: cell["accuracy"] for k, cell in of["budget"].items()}
        for name, of in verifiers_of(found).items()
    }
    for name, cells in (accuracy | found["answers"]).items():
        color, line, label = _LOOKS.get(name) or (next(stops), "--", f"stop at {name}")
        yield Curve(label, color, line, cells, ("mean", "low", "high"), name in _BANDS)
