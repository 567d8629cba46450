"""Options of strategies as flags, the same in every command that takes them."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dora_theory._errors import InputError, flag
from dora_theory.io.terminal import say
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


def new_command(commands: Any, name: str, run: Callable[..., int], **words: Any) -> Any:
    """A parser among the subparsers of `dora-theory`; `words` are its help and description."""
    parser = commands.add_parser(
        name,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **words,
    )
    parser.set_defaults(run=run)
    return parser


def add_output(parser: argparse._ActionsContainer, what: str) -> None:
    """Adds the options of a result: as JSON, and where it goes."""
    add = parser.add_argument
    add("--json", action="store_true", help=f"one JSON document: {what}")
    add("--out", metavar="PATH", help="write there, in one step, instead of to standard output")


def add_kappa(parser: argparse._ActionsContainer, kind: Callable[[str], Any], help: str) -> None:
    """Adds κ under its two names."""
    parser.add_argument(
        "--kappa", "--concentration", dest="concentration", type=kind, metavar="K", help=help
    )


def add_rules(parser: argparse._ActionsContainer) -> None:
    """Adds the options of strategies that rank or weigh scores."""
    add = parser.add_argument
    add(
        "--quality-temperature",
        type=number,
        default=0.1,
        metavar="T",
        help="of the softmax of scores (default %(default)s, as in the paper; the authors of "
        "rebase-sequential use 0.2)",
    )
    add(
        "--similarity-temperature",
        type=number,
        default=0.01,
        metavar="T",
        help="of the softmax of similarities, or the length of their kernel (default %(default)s)",
    )
    add(
        "--smooth",
        action="store_true",
        help="shared-divisors: score differences between similar candidates are noise",
    )
    add("--beam-width", type=integer, default=4, metavar="M", help="beam, dvts (default 4)")


def check_picture(path: str | None) -> None:
    """`InputError` unless a picture, if one is asked for, has the name of a picture."""
    if path is not None and not path.endswith((".png", ".svg")):
        raise InputError(f"--figure: {path}: needs a name that ends in .png or .svg")


def draw(figure: Any, path: str) -> None:
    """Writes a picture as PNG and SVG, and says so."""
    # Not for `--help`: it loads Matplotlib.
    from dora_theory.plots import save

    say("wrote " + " and ".join(map(str, save(figure, path[:-4]))))


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
