"""`dora-theory simulate --benchmark`: one budget for a made-up benchmark, rule by rule."""

import argparse
import json
from typing import Any

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import utf8, whole_output


def add_benchmark(parser: argparse.ArgumentParser) -> None:
    """Adds the options of one budget for many problems."""
    group = parser.add_argument_group(
        "one budget for many problems",
        "Instead of a sweep: the share of problems that each rule solves with one budget for all,\n"
        "as a table, with --json as a document, written to --out if given.",
    )
    add = group.add_argument
    add(
        "--benchmark",
        action="append",
        metavar="A,B[,SHARE]",
        help="difficulties Beta(A, B); repeated, a mixture of equal shares, or of those given",
    )
    add(
        "--unsolvable", default="0", metavar="Q", help="share of problems that cannot be solved (0)"
    )
    add("--budgets", default="8,32", metavar="N,N", help="rollouts per problem (8,32)")
    add("--rules", metavar="R,R", help="default: all")
    add("--num-problems", metavar="M", help="of the benchmark (400), or of each family (100)")
    add("--num-draws", default="40", metavar="D", help="of problems and outcomes (40)")
    add("--seed", default="0", metavar="I", help="of all random numbers (0)")


def run_benchmark(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` for an option that cannot be used."""
    if arguments.sweep is not None:
        raise InputError("--benchmark: takes the place of SWEEP.toml")
    parts = [_numbers("--benchmark", text, (2, 3)) for text in arguments.benchmark]
    if len({len(part) for part in parts}) > 1:
        raise InputError("--benchmark: needs a share for all parts or for none")
    budgets = [whole("--budgets", x, 1) for x in arguments.budgets.split(",")]
    problems = whole("--num-problems", arguments.num_problems or "400", 1)
    draws = whole("--num-draws", arguments.num_draws, 2)
    seed = whole("--seed", arguments.seed, 0)
    (unsolvable,) = _numbers("--unsolvable", arguments.unsolvable, (1,))
    # Not for `--help`: these load JAX.
    import jax

    from dora_theory.simulation.benchmark import Difficulty, simulate_benchmark

    alpha, beta, *rest = zip(*parts, strict=True)
    shares = rest[0] if rest else None
    try:
        found = simulate_benchmark(
            jax.random.key(seed),
            Difficulty(alpha, beta, shares, unsolvable=unsolvable),
            rules=None if arguments.rules is None else arguments.rules.split(","),
            budgets=budgets,
            num_problems=problems,
            num_draws=draws,
        )
    except ValueError as error:
        raise InputError(f"--{error!s}") from None
    with whole_output(arguments.out) as file:
        text = json.dumps(found.data, indent=1) if arguments.json else _table(found.data)
        file.write(utf8(text) + b"\n")
    return 0


def _table(data: Any) -> str:
    """% solved ± its standard error, a rule per line, and how much more than the first solves."""
    budgets = list(next(iter(data["rules"].values())))

    def lines(title: str, of: Any, name: str, form: str) -> list[str]:
        head = f"{title:34}" + "".join(f"{n:>14}" for n in budgets)
        rows = (
            f"{rule:34}" + "".join(f"{_cell(cells[n], name, form):>14}" for n in budgets)
            for rule, cells in of.items()
        )
        return [head, *rows]

    found = lines("% solved by rollouts per problem", data["rules"], "solved", ".1f")
    if data["paired"]:
        found += ["", *lines("the same outcomes, paired", data["paired"], "difference", "+.1f")]
    return "\n".join(found)


def _cell(cell: Any, name: str, form: str) -> str:
    return f"{100 * cell[name]:{form}} ± {100 * cell['error']:.1f}"


def _numbers(flag: str, text: str, counts: tuple[int, ...]) -> list[float]:
    try:
        found = [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(f"{flag}: {text!r}: needs numbers") from None
    if len(found) not in counts:
        raise InputError(f"{flag}: {text!r}: needs {' or '.join(map(str, counts))} numbers")
    return found


def whole(flag: str, text: str, least: int) -> int:
    """An option as an integer from `least` on; `InputError` if it is none."""
    try:
        value = int(text)
    except ValueError:
        raise InputError(f"{flag}: {text!r}: needs an integer") from None
    if not least <= value < 2**31:
        raise InputError(f"{flag}: {text}: needs an integer in [{least}, {2**31 - 1}]")
    return value
