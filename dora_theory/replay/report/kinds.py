"""What is made of a log apart from strategies: its tables as text, on a page and as a picture."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from matplotlib.figure import Figure

from dora_theory._errors import amount
from dora_theory.io.tables import aligned
from dora_theory.replay.report import across_table, metrics_table
from dora_theory.replay.report.across_picture import solved_against_rollouts
from dora_theory.replay.report.html import image, page_of_logs, section
from dora_theory.replay.report.metrics_picture import accuracy_against_solutions

WIDTH = 100
# The document of one log.
Found = Mapping[str, Any]


def titles_of(found: Iterable[Found]) -> list[str]:
    """What logs are called above pictures and sections."""
    return [PurePath(one["log"]).name.split(".jsonl")[0] for one in found]


@dataclass(frozen=True)
class Kind:
    """How the documents of a kind of replay are shown.

    Attributes:
        heading: of the part of a page.
        title: of a page of its own.
        headline: at the top of that page.
        tables: caption, head and rows of cells of each table of a document.
        picture: of documents and their titles.
        shows: what the picture shows, in words.
    """

    heading: str
    title: str
    headline: str
    tables: Callable[[Any], Iterable[tuple[str, list[str], list[list[str]]]]]
    picture: Callable[[Sequence[Any], Sequence[str]], Figure]
    shows: str

    def text(self, found: Found) -> str:
        """The tables of one log to read, without an end of line at the last."""
        parts = [
            f"{found['log']}: {amount(found['problems'], 'problem')}, "
            f"{amount(found['samples'], 'solution')}"
        ]
        for words, head, rows in self.tables(found):
            parts += ["", *textwrap.wrap(words, WIDTH), *aligned([head, *rows])]
        return "\n".join([*parts, "", *textwrap.wrap(found["caveat"], WIDTH)])

    def parts(self, found: Found, title: str) -> list[str]:
        """The part of one log on a page, as pieces of HTML: picture, tables, what they mean."""
        picture = image(self.picture([found], [title]), self.shows)
        return section(self.heading, found["caveat"], picture, self.tables(found))

    def page(self, found: Sequence[Found]) -> str:
        """A page with one section per log; the same for the same documents."""
        return page_of_logs(found, titles_of(found), self.parts, self.title, self.headline)


ACROSS = Kind(
    "One budget for all problems",
    "One budget",
    "One budget for all problems of a log",
    across_table.tables,
    solved_against_rollouts,
    "Problems solved against rollouts per problem, one line per policy",
)
METRICS = Kind(
    "What is its verifier worth?",
    "Verifiers",
    "What plain sampling shows, and what a verifier is worth",
    metrics_table.tables,
    accuracy_against_solutions,
    "Accuracy against solutions, one line per verifier and vote",
)
