"""The summary of a replay as a table to read."""

import textwrap
from typing import Any

from dora_theory.replay.cut.similarity import PAPER
from dora_theory.replay.report.conclusion import conclusion, unit

_WIDTH = 100


def table(summary: dict[str, Any]) -> str:
    """Success by strategy and budget, differences to REBASE below, and what they mean.

    Args:
        summary: what `replay.summary.summary` returns.

    Returns:
        Lines without an end of line at the last.
    """
    strategies, directions = summary["strategies"], summary["directions"]
    budgets = list(next(iter(strategies.values()))["budget"])
    tree = summary["kind"] == "tree"
    lines = [
        f"{summary['log']}: {summary['problems']} problems, {summary['samples']} "
        f"{'nodes' if tree else 'solutions'}, "
        f"{directions['median']:g} directions a {'decision' if tree else 'problem'} "
        f"({directions['min']} to {directions['max']})",
        "",
        *(
            line
            for sentence in conclusion(summary)
            for line in textwrap.wrap(sentence, _WIDTH, subsequent_indent="  ")
        ),
        "",
        f"success, % of {'decisions, by problem' if tree else 'problems'} [95% interval]",
        *_rows(
            [(unit(summary).removeprefix("further "), budgets)]
            + [
                (name, [_success(result["budget"][n]) for n in budgets])
                for name, result in strategies.items()
            ]
        ),
    ]
    if "search" in summary:
        lines += [f"{'logged search':18}  {_success({**summary['search'], 'clipped': 0})}"]
    for vote in ("majority", "weighted"):
        if vote in next(iter(strategies.values()))["budget"][budgets[0]]:
            lines += [
                "",
                f"accuracy of the answer voted for, {vote}, % [95%] over how many problems",
            ]
            lines += _rows(
                [
                    (name, [_vote(result["budget"][n][vote]) for n in budgets])
                    for name, result in strategies.items()
                ]
            )
    if "epsilon" in next(iter(strategies.values()))["budget"][budgets[0]]:
        lines += [
            "",
            "certified: how far the mean success is below the best allocation's at most, "
            "percentage points, if scores and similarities are right",
        ]
        lines += _rows(
            [
                (name, [f"{100 * result['budget'][n]['epsilon']:.2g}" for n in budgets])
                for name, result in strategies.items()
            ]
        )
    if "lengths" in summary:
        fitted = " and ".join(f"{t:.3g}" for t in summary["lengths"])
        lines += ["", f"T_s fitted on each half of the problems for the other: {fitted}"]
    if summary["paired"]:
        lines += [
            "",
            "difference to REBASE, percentage points [95% interval] over how many problems",
        ]
        lines += _rows(
            [
                (name.removesuffix("-rebase"), [_difference(pair["budget"][n]) for n in budgets])
                for name, pair in summary["paired"].items()
            ]
        )
    if "paired_to_dora" in summary:
        lines += ["", "difference to DORA, likewise"]
        lines += _rows(
            [
                (name.removesuffix("-dora"), [_difference(pair["budget"][n]) for n in budgets])
                for name, pair in summary["paired_to_dora"].items()
            ]
        )
    lines += ["", *textwrap.wrap(similarity_in_words(summary["similarity"]), _WIDTH), ""]
    if not tree:
        lines += textwrap.wrap(
            "≥ is a lower bound: on some problems a direction was given more rollouts than were "
            "logged of it. Differences are over the problems where that is so for neither; - "
            "means that there is none.",
            _WIDTH,
        )
    lines += textwrap.wrap(summary["caveat"], _WIDTH)
    return "\n".join(lines)


def similarity_in_words(found: dict[str, Any]) -> str:
    """How alike candidates are and what T_s that calls for, in sentences.

    Args:
        found: `similarity` of what `replay.summary.summary` returns.

    Returns:
        One line.
    """
    effective = found["effective"]
    sentences = [
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


def _rows(rows: list[tuple[str, list[str]]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*(cells for _, cells in rows), strict=True)]
    return [
        f"{name:18}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for name, cells in rows
    ]


def _success(cell: dict[str, float]) -> str:
    sign = "≥" if cell["clipped"] else ""
    low, high = 100 * cell["low"], 100 * cell["high"]
    return f"{sign}{100 * cell['success']:.1f} [{low:.1f}, {high:.1f}]"


def _vote(cell: dict[str, Any]) -> str:
    if cell["accuracy"] is None:
        return "-"
    mean, low, high = (100 * cell[name] for name in ("accuracy", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}] {cell['problems']}"


def _difference(cell: dict[str, Any]) -> str:
    if cell["difference"] is None:
        return "-"
    mean, low, high = (100 * cell[name] for name in ("difference", "low", "high"))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}] {cell['problems']}"
