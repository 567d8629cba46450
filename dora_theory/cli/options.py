"""Options of strategies as flags, the same in every command that takes them."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dora_theory._errors import InputError, flag
from dora_theory.strategies.choosing import as_strategy
from dora_theory.strategies.options import MAX_BUDGET, Options
from dora_theory.strategies.registry import Strategy

# The account of a direction is as long as the budget, and takes the square of it in time.
MAX_CORRELATED = 2**20


def given_options(**values: Any) -> Options:
    """The options; `InputError`, which names the flag, if one is out of its range."""
    try:
        return Options(**values).checked()
    except ValueError as error:
        name, _, rest = str(error).partition(" = ")
        raise InputError(f"{flag(name)}: {rest}") from None


def given_strategy(
    name: str, options: Options, *, budget: int, among: tuple[str, ...], own: bool = False
) -> Strategy:
    """The strategy; `InputError` if it is unknown or needs an option that is not given.

    If `own`, the problems themselves may state a κ that the strategy takes.
    """
    try:
        strategy = as_strategy(name, among=among)
    except ValueError as error:
        raise InputError(f"--strategy: {error}") from None
    if not 0 <= budget <= MAX_BUDGET:
        raise InputError(f"--budget: {budget}: needs an integer in [0, {MAX_BUDGET}]")
    if "within_concentration" in strategy.options and budget > MAX_CORRELATED:
        raise InputError(
            f"--budget: {budget}: strategy {strategy} keeps an account as long as the budget, "
            f"needs an integer in [0, {MAX_CORRELATED}]"
        )
    for needed in strategy.options:
        stated = own and strategy.own and needed == "concentration"
        if getattr(options, needed) is None and not stated:
            raise InputError(f"{flag(needed)}: missing, strategy {strategy} needs it")
    if options.literal and strategy.name in among and not strategy.literal:
        raise InputError(f"--literal: strategy {strategy} has no other rounding")
    if options.smooth and strategy.name in among and not strategy.smooths:
        raise InputError(f"--smooth: strategy {strategy} takes scores as they are")
    return strategy


def integer(text: str) -> int:
    """An integer argument, for argparse."""
    if not text.strip().lstrip("+-").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer")
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError("too long for an integer") from None


def number(text: str) -> float:
    """A real argument, for argparse."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def add_tables(parser: argparse._ActionsContainer) -> None:
    """Adds the options that write a result's tidy table as a file."""
    parser.add_argument("--csv", metavar="PATH", help="write the numbers as a tidy table, as CSV")
    parser.add_argument("--parquet", metavar="PATH", help="the same table as Parquet")


def write_tables(arguments: argparse.Namespace, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the tables that the options ask for."""
    # Not for `--help`.
    from dora_theory.io.tables import write_csv, write_parquet

    for path, write in ((arguments.csv, write_csv), (arguments.parquet, write_parquet)):
        if path is not None:
            write(path, rows)


def rows_of_logs(results: Iterable[Any]) -> list[dict[str, Any]]:
    """The rows of all results, each with its log."""
    return [{"log": result.data["log"]} | row for result in results for row in result.rows()]
