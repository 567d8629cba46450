"""One budget for all problems of a log on the page of a replay, and as a page of its own."""

from collections.abc import Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from dora_theory.replay.report.across_picture import solved_against_rollouts
from dora_theory.replay.report.across_table import tables
from dora_theory.replay.report.html import checks, image, page, table


def across_parts(found: dict[str, Any], title: str) -> list[str]:
    """The part of one log: picture, tables and what they mean, as HTML.

    Args:
        found: what `replay.across.run.replay_across` returns.
        title: of the log.

    Returns:
        Pieces of HTML.
    """
    parts = [
        "<h3>One budget for all problems</h3>",
        f"<p class='caveat'>{escape(found['caveat'])}</p>",
        image(
            solved_against_rollouts([found], [title]),
            "Problems solved against rollouts per problem, one line per policy",
        ),
    ]
    for words, head, rows in tables(found):
        parts.append(table(head, [[escape(cell) for cell in row] for row in rows], words))
    return parts


def across_report(found: Sequence[dict[str, Any]]) -> str:
    """The page of `replay --across`, one section per log; the same for the same results."""
    titles = [PurePath(one["log"]).name.split(".jsonl")[0] for one in found]
    sections = []
    for one, title in zip(found, titles, strict=True):
        notes = "".join(f"<li>{escape(note)}</li>" for note in one["notes"])
        parts = [
            f"<h2>{escape(title)}</h2>\n<p>{escape(one['log'])}: {one['problems']:,} problems, "
            f"{one['samples']:,} solutions.</p>",
            *across_parts(one, title),
            "<h3>Is this log what it says?</h3>",
            checks(one["checks"]),
            f"<h3>Notes</h3>\n<ul>{notes}</ul>" if notes else "",
        ]
        sections.append("\n".join(parts) + "\n")
    return page(
        f"One budget: {', '.join(titles)}",
        "One budget for all problems of a log",
        "".join(sections),
    )
