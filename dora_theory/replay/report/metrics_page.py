"""Metrics of plain sampling and verifiers of a log, on the page of a replay and as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from dora_theory.replay.report.html import image, page_of_logs, section
from dora_theory.replay.report.metrics_picture import accuracy_against_solutions
from dora_theory.replay.report.metrics_table import tables


def metrics_parts(found: Mapping[str, Any], title: str) -> list[str]:
    """The part of one log: picture, tables and what they mean, as HTML.

    Args:
        found: what `replay.metrics.replay_metrics` returns.
        title: of the log.

    Returns:
        Pieces of HTML.
    """
    picture = image(
        accuracy_against_solutions([found], [title]),
        "Accuracy against solutions, one line per verifier and vote",
    )
    return section("What is its verifier worth?", found["caveat"], picture, tables(found))


def metrics_report(found: Sequence[Mapping[str, Any]]) -> str:
    """The page of `replay --metrics`, one section per log; the same for the same results."""
    return page_of_logs(
        found,
        metrics_parts,
        "Verifiers",
        "What plain sampling shows, and what a verifier is worth",
    )
