"""Metrics of plain sampling and verifiers of a log, on the page of a replay and as a page."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from dora_theory.replay.report.html import checks, image, page, table
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
    parts = [
        "<h3>What is its verifier worth?</h3>",
        f"<p class='caveat'>{escape(found['caveat'])}</p>",
        image(
            accuracy_against_solutions([found], [title]),
            "Accuracy against solutions, one line per verifier and vote",
        ),
    ]
    for words, head, rows in tables(found):
        parts.append(table(head, [[escape(cell) for cell in row] for row in rows], words))
    return parts


def metrics_report(found: Sequence[Mapping[str, Any]]) -> str:
    """The page of `replay --metrics`, one section per log; the same for the same results."""
    titles = [PurePath(one["log"]).name.split(".jsonl")[0] for one in found]
    sections = []
    for one, title in zip(found, titles, strict=True):
        notes = "".join(f"<li>{escape(note)}</li>" for note in one["notes"])
        parts = [
            f"<h2>{escape(title)}</h2>\n<p>{escape(one['log'])}: {one['problems']:,} problems, "
            f"{one['samples']:,} solutions.</p>",
            *metrics_parts(one, title),
            "<h3>Is this log what it says?</h3>",
            checks(one["checks"]),
            f"<h3>Notes</h3>\n<ul>{notes}</ul>" if notes else "",
        ]
        sections.append("\n".join(parts) + "\n")
    return page(
        f"Verifiers: {', '.join(titles)}",
        "What plain sampling shows, and what a verifier is worth",
        "".join(sections),
    )
