"""`dora-theory replay --across`: one budget for all problems of a log."""

import argparse
from collections.abc import Sequence
from typing import Any

from dora_theory._errors import InputError
from dora_theory.cli.logs import numbers, run_kind, wholes
from dora_theory.replay.across.options import BUDGETS, AcrossOptions
from dora_theory.replay.options import ReplayOptions

_DEFAULT = AcrossOptions()


def add_across(parser: argparse.ArgumentParser) -> None:
    """Adds the options of one budget for all problems."""
    group = parser.add_argument_group(
        "one budget for all problems",
        "With --across problems share one budget, --budgets counts rollouts per problem on\n"
        f"average (default {','.join(map(str, BUDGETS))}), and strategies and steps mean nothing.",
    )
    add = group.add_argument
    add("--across", action="store_true", help="solved problems against the budget of all")
    add(
        "--coverages",
        type=numbers,
        default=(),
        metavar="Q,Q",
        help="shares of problems at which the saving is given (default: the tenths in reach)",
    )
    add(
        "--rounds",
        type=wholes,
        default=_DEFAULT.rounds,
        metavar="R,R",
        help="batches of equal budgets (default 2,4,8)",
    )
    add(
        "--by",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="C,C",
        help="what priors differ by, fitted to other problems: level, subject, score",
    )
    add(
        "--accept",
        type=numbers,
        default=(),
        metavar="T,T",
        help="mean step scores at which a solution is believed (default: the median and the upper "
        "quartile and decile)",
    )
    add(
        "--num-draws",
        type=int,
        default=_DEFAULT.num_draws,
        metavar="N",
        help="orders of the log, and resamples (default %(default)s)",
    )


def across_options(arguments: argparse.Namespace, unset: tuple[int, ...]) -> AcrossOptions:
    """The options, with budgets of their own where `arguments` has the default of a replay."""
    return AcrossOptions(
        budgets=BUDGETS if arguments.budgets == unset else arguments.budgets,
        **{x: getattr(arguments, x) for x in ("coverages", "rounds", "by", "accept")},
        num_draws=arguments.num_draws,
        seed=arguments.seed,
    )


def check_alone(arguments: argparse.Namespace) -> None:
    """`InputError` for an option that only --across knows, without it."""
    for name in ("coverages", "by", "accept"):
        if getattr(arguments, name):
            raise InputError(f"--{name}: needs --across")


def run_across(
    arguments: argparse.Namespace,
    options: AcrossOptions,
    reading: Sequence[ReplayOptions],
) -> int:
    """Runs the command; `InputError` if every log is bad."""
    from dora_theory.replay.across.run import replay_across
    from dora_theory.replay.results import AcrossResult

    def use(log: str, how: ReplayOptions, **who: Any) -> dict[str, Any]:
        return replay_across(log, options, how, **who)

    return run_kind(arguments, reading, "across", use, AcrossResult)


def shared(summary: dict[str, Any], options: ReplayOptions, judge: Any) -> dict[str, Any]:
    """One budget for all problems of the same log, where it has rollouts and can be read again."""
    from dora_theory.replay.across.run import replay_across

    if summary["kind"] == "tree" or summary["log"] == "-":
        return {}
    found = replay_across(summary["log"], AcrossOptions(seed=options.seed), options, judge=judge)
    return {"across": found}
