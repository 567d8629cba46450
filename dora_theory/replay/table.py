"""The summary of a replay as a table to read."""

import textwrap
from typing import Any

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
        f"({directions['least']} to {directions['most']})",
        "",
        f"success, % of {'decisions, by problem' if tree else 'problems'} [95% interval]",
        *_rows(
            [("rollouts N", budgets)]
            + [
                (name, [_success(result["budget"][n]) for n in budgets])
                for name, result in strategies.items()
            ]
        ),
    ]
    if "search" in summary:
        lines += [f"{'logged search':18}  {_success({**summary['search'], 'clipped': 0})}"]
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
    lines.append("")
    if not tree:
        lines += textwrap.wrap(
            "≥ is a lower bound: on some problems a direction was given more rollouts than were "
            "logged of it. Differences are over the problems where that is so for neither; - "
            "stands where there is none.",
            _WIDTH,
        )
    lines += textwrap.wrap(summary["caveat"], _WIDTH)
    return "\n".join(lines)


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


def _difference(cell: dict[str, Any]) -> str:
    if cell["difference"] is None:
        return "-"
    mean, low, high = (100 * cell[name] for name in ("difference", "low", "high"))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}] {cell['problems']}"
