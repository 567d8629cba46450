"""One budget for all problems of a log on the page of a replay, and as a page of its own."""

from collections.abc import Sequence
from typing import Any

from dora_theory.replay.report.across_picture import solved_against_rollouts
from dora_theory.replay.report.across_table import tables
from dora_theory.replay.report.html import image, page_of_logs, section


def across_parts(found: dict[str, Any], title: str) -> list[str]:
    """The part of one log: picture, tables and what they mean, as HTML.

    Args:
        found: what `replay.across.run.replay_across` returns.
        title: of the log.

    Returns:
        Pieces of HTML.
    """
    picture = image(
        solved_against_rollouts([found], [title]),
        "Problems solved against rollouts per problem, one line per policy",
    )
    return section("One budget for all problems", found["caveat"], picture, tables(found))


def across_report(found: Sequence[dict[str, Any]]) -> str:
    """The page of `replay --across`, one section per log; the same for the same results."""
    return page_of_logs(found, across_parts, "One budget", "One budget for all problems of a log")
