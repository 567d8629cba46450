"""What every script here shares: rows of "the paper says, we get", `--out` and `--set`."""

import argparse
import ast
import inspect
from collections.abc import Callable, Sequence
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


def parameters(main: Callable[..., Any]) -> dict[str, Any]:
    """What can be set: the keyword arguments of a script's `main`, with their defaults."""
    every = inspect.signature(main).parameters.values()
    return {p.name: p.default for p in every if p.kind is p.KEYWORD_ONLY}


def settings(main: Callable[..., Any], pairs: Sequence[str]) -> dict[str, Any]:
    """The keyword arguments that `NAME=VALUE` pairs give.

    Args:
        main: of a script.
        pairs: such as `budget=64` or `quality=0.5,0.5`; a value is a number, or numbers between
            commas where the default is a sequence.

    Raises:
        InputError: a pair is malformed, its name is not a parameter, or its value is not of
            the kind of the default.
    """
    known, found = parameters(main), {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in known:
            names = ", ".join(known) or "nothing"
            raise InputError(f"--set: {pair}: not NAME=VALUE, where NAME is one of: {names}")
        many = isinstance(known[name], tuple)
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        values = value if isinstance(value, tuple) else (value,)
        default = known[name] if many else (known[name],)
        kinds = int if all(isinstance(x, int) for x in default) else (int, float)
        if (len(values) > 1 and not many) or not all(
            isinstance(x, kinds) and not isinstance(x, bool) and 0 < x < float("inf")
            for x in values
        ):
            what = "integers" if kinds is int else "numbers"
            what = f"{what} above 0, with commas between them" if many else f"one {what[:-1]} > 0"
            raise InputError(f"--set: {pair}: expected {what}, as in {name}={_literal(default)}")
        found[name] = values if many else value
    return found


def _literal(values: tuple[Any, ...]) -> str:
    return ",".join(f"{x:g}" for x in values)


def run(main: Callable[..., list[Row]], description: str | None) -> None:
    """Runs one script from the command line and prints its numbers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the picture")
    if known := parameters(main):
        defaults = "; ".join(
            f"{name}={_literal(x if isinstance(x, tuple) else (x,))}" for name, x in known.items()
        )
        parser.add_argument(
            "--set", metavar="NAME=VALUE", action="append", default=[],
            help=f"another value of a parameter; repeatable (defaults: {defaults})",
        )  # fmt: skip
    arguments = parser.parse_args()
    try:
        found = main(arguments.out, **settings(main, getattr(arguments, "set", [])))
        print(table(found), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
