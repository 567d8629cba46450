"""The summary of a replay as tables, for a terminal and for a page, and in words."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any, NamedTuple

from dora_theory._errors import amount
from dora_theory.io.tables import aligned
from dora_theory.replay.cut.similarity import PAPER
from dora_theory.replay.report.conclusion import conclusion, unit
from dora_theory.replay.report.kinds import WIDTH
from dora_theory.strategies.registry import BASELINE, DORA, STRATEGIES


class Cell(NamedTuple):
    """The text of a cell.

    Attributes:
        value: the number.
        about: its interval and over how many problems, smaller on a page.
        clipped: share of the problems where the log does not suffice, on a page only.
        certified: ε, on a line of its own on a page.
    """

    value: str
    about: str = ""
    clipped: str = ""
    certified: str = ""

    def __str__(self) -> str:
        """The cell of a text."""
        return " ".join(filter(None, (self.value, self.about, self.certified)))


# The cells of each strategy; a caption, budgets and such rows.
Rows = list[tuple[str, list[Cell]]]
Table = tuple[str, list[str], Rows]


def table(summary: dict[str, Any]) -> str:
    """Success by strategy and budget, differences to REBASE below, and what they mean.

    Args:
        summary: what `replay.summary.summary` returns.

    Returns:
        Lines without an end of line at the last.
    """
    directions, tree = summary["directions"], summary["kind"] == "tree"
    lines = [
        f"{summary['log']}: {amount(summary['problems'], 'problem')}, "
        f"{amount(summary['samples'], 'node' if tree else 'solution')}, "
        f"{amount(directions['median'], 'direction', 'g')} a {'decision' if tree else 'problem'} "
        f"({directions['min']} to {directions['max']})",
        "",
    ]
    for sentence in conclusion(summary):
        lines += textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
    head = unit(summary).removeprefix("further ")
    for words, budgets, rows in tables(summary):
        cells = [[name, *map(str, row)] for name, row in rows]
        lines += ["", *textwrap.wrap(words, WIDTH), *aligned([[head, *budgets], *cells])]
    lines += ["", *textwrap.wrap(similarity_in_words(summary), WIDTH), ""]
    return "\n".join([*lines, *textwrap.wrap(summary["caveat"], WIDTH)])


def tables(summary: dict[str, Any]) -> Iterator[Table]:
    """Success and its certificate, then votes, differences to REBASE and to DORA.

    Args:
        summary: what `replay.summary.summary` returns.
    """
    strategies = summary["strategies"]
    budgets = list(next(iter(strategies.values()))["budget"])
    first = next(iter(strategies.values()))["budget"][budgets[0]]

    def each(found: Mapping[str, Any], cell: Callable[..., Cell]) -> Rows:
        return [(name, [cell(x["budget"][n]) for n in budgets]) for name, x in found.items()]

    success = each(strategies, _success)
    if "search" in summary:
        kept = _success({**summary["search"], "clipped": 0})
        success.append(("logged search", [kept, *[Cell("")] * (len(budgets) - 1)]))
    words = "Success, % of decisions, by problem [95% interval]"
    if summary["kind"] != "tree":
        words = (
            "Success, % of problems [95% interval]. ≥ is a lower bound: on some problems a "
            "direction was given more rollouts than were logged of it."
        )
    if "epsilon" in first:
        words += (
            " ε: certified to be at most so many points below the best allocation, if scores and "
            "similarities are right (theory 8.1.7)."
        )
    yield words, budgets, success
    over = "over how many problems, those where the log suffices"
    for vote in ("majority", "weighted"):
        if vote in first:
            rows = each(strategies, lambda cell, vote=vote: _mean(cell[vote], "accuracy"))
            yield f"Accuracy of the answer voted for, {vote}, % [95%] {over}", budgets, rows
    for key, base in (("paired", BASELINE), ("paired_to_dora", DORA)):
        if summary.get(key):
            words = (
                f"Difference to {STRATEGIES[base].label}, percentage points [95%] {over} for both"
            )
            pairs = {name.removesuffix(f"-{base}"): pair for name, pair in summary[key].items()}
            yield words, budgets, each(pairs, lambda cell: _mean(cell, "difference", "+.1f"))


def similarity_in_words(summary: dict[str, Any]) -> str:
    """How alike candidates are and what T_s that calls for, in sentences on one line."""
    found = summary["similarity"]
    effective = found["effective"]
    sentences = []
    if "lengths" in summary:
        fitted = " and ".join(f"{t:.3g}" for t in summary["lengths"])
        sentences = [f"T_s fitted on each half of the problems for the other: {fitted}."]
    sentences += [
        f"Effective number of directions: {effective['mean']:.2f} [{effective['low']:.2f}, "
        f"{effective['high']:.2f}]."
    ]
    for name, where in (("within", "within a direction"), ("across", "between directions")):
        if found[name][0] is not None:
            low, middle, high = found[name]
            sentences.append(f"Cosine {where}: {middle:.2f}, 90% in {low:.2f} to {high:.2f}.")
    if found["similarity_temperature"] is None:
        return " ".join([*sentences, "No problem has two directions."])
    loss = {cell["similarity_temperature"]: cell["mean"] for cell in found["loss"]}
    paper = min(loss, key=lambda t: abs(t - PAPER))
    best = found["similarity_temperature"]
    return " ".join(
        [
            *sentences,
            f"These call for T_s = {best:.3g}, where the mass of γ is {loss[best]:.3f} nats from "
            f"equal shares of directions; at the paper's {PAPER:g} it is {loss[paper]:.3f}, "
            f"counting candidates {found['counting']['mean']:.3f} ({found['telling']} with two "
            "directions or more).",
        ]
    )


def _success(cell: Mapping[str, float]) -> Cell:
    sign, share = ("≥", f" ({100 * cell['clipped']:.0f}%)") if cell["clipped"] else ("", "")
    about = f"[{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]"
    # A bound is rounded up, but for its own rounding error.
    most = f"ε {ceil(1e4 * cell['epsilon'] - 1e-6) / 100:.2f}" if "epsilon" in cell else ""
    return Cell(f"{sign}{100 * cell['success']:.1f}", about, share, most)


def _mean(cell: Mapping[str, Any], name: str, form: str = ".1f") -> Cell:
    """A mean with its interval and over how many problems it is, if it is over any."""
    if cell[name] is None:
        return Cell("-")
    mean, low, high = (format(100 * cell[x], form) for x in (name, "low", "high"))
    return Cell(mean, f"[{low}, {high}] {cell['problems']}")
