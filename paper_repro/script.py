"""What every script here shares: rows of "the paper says, we get", and `--out`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from dora_theory._errors import InputError

Row = dict[str, Any]


def row(item: str, quantity: str, paper: Any, ours: Any, digits: int = 2) -> Row:
    """One line of the table.

    `paper` is a number, an array, a sentence, or None where the paper says nothing; `ours` is a
    number or an array. `agrees` is None unless both are numbers: then whether they are the same
    to `digits` decimals, which are two where the paper prints them.
    """
    ours, agrees = np.asarray(ours).tolist(), None
    if not (paper is None or isinstance(paper, str)):
        paper = np.asarray(paper).tolist()
        agrees = bool(np.all(np.abs(np.subtract(paper, ours)) <= 0.5 * 10**-digits))
    said = {"item": item, "quantity": quantity, "paper": paper}
    return {**said, "ours": ours, "agrees": agrees, "digits": digits}


def written(value: Any, digits: int = 2) -> str:
    """A cell of the table: integers as they are, others to so many decimals."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(written(x, digits) for x in value)
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table, without the paper's column where it says nothing at all."""
    rows_of_cells = [["item", "quantity", "the paper", "here", "same"]]
    for r in rows:
        same = {True: "yes", False: "**no**", None: ""}[r["agrees"]]
        numbers = written(r["paper"], r["digits"]), written(r["ours"], r["digits"])
        rows_of_cells.append([r["item"], r["quantity"], *numbers, same])
    if all(r["paper"] is None for r in rows):
        rows_of_cells = [[*cells[:2], cells[3]] for cells in rows_of_cells]
    head, *body = (f"| {' | '.join(cells)} |\n" for cells in rows_of_cells)
    return head + "|" + "---|" * len(rows_of_cells[0]) + "\n" + "".join(body)


def page(text: str | None, rows: list[Row], *more: str) -> str:
    """A Markdown page: a script's own words, its table, and whatever else there is."""
    title, _, rest = (text or "").strip().partition("\n\n")
    head = [f"# {title.rstrip('.')}", " ".join(rest.split()), table(rows).rstrip()]
    return "\n\n".join([*head, *(part.strip() for part in more)]) + "\n"


def success_lost(used: ArrayLike, best: ArrayLike) -> np.ndarray:
    """Success lost by log failure `used` where `best` was available, without cancellation."""
    used, best = np.asarray(used), np.asarray(best)
    return np.exp(used) * abs(np.expm1(np.minimum(best - used, 0)))


def run(main: Callable[[Path], list[Row]], description: str | None) -> None:
    """Runs one script from the command line and prints its numbers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the picture")
    out = parser.parse_args().out
    try:
        print(table(main(out)), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
