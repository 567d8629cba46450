"""What every script here shares: rows of "the paper says, we get", and `--out`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dora_theory.errors import InputError

# Two printed decimals.
_TOLERANCE = 0.005

Row = dict[str, Any]


def row(item: str, quantity: str, paper: Any, ours: Any) -> Row:
    """One line of the table.

    `paper` is a number, an array, a sentence, or None where the paper says nothing; `ours` is a
    number or an array. `agrees` is None unless both are numbers: then whether they are the same
    to the two decimals that the paper prints.
    """
    ours, agrees = np.asarray(ours).tolist(), None
    if not (paper is None or isinstance(paper, str)):
        paper = np.asarray(paper).tolist()
        agrees = bool(np.all(np.abs(np.subtract(paper, ours)) <= _TOLERANCE))
    return {"item": item, "quantity": quantity, "paper": paper, "ours": ours, "agrees": agrees}


def written(value: Any) -> str:
    """A cell of the table: whole numbers as they are, others to two decimals."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(written, value))
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| item | quantity | the paper | here | same |", "|---|---|---|---|---|"]
    for r in rows:
        same = {True: "yes", False: "**no**", None: ""}[r["agrees"]]
        cells = (r["item"], r["quantity"], written(r["paper"]), written(r["ours"]), same)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def run(main: Callable[[Path], list[Row]], description: str | None) -> None:
    """Runs one script from the command line and prints its numbers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the picture")
    out = parser.parse_args().out
    try:
        print(table(main(out)), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
