"""`dora-theory replay --metrics`: exact metrics of plain sampling, and what a verifier is worth."""

import argparse
from collections.abc import Sequence
from typing import Any

from dora_theory._errors import InputError
from dora_theory.cli.logs import run_kind
from dora_theory.io.terminal import say
from dora_theory.replay.options import ReplayOptions


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Adds the options of exact metrics."""
    group = parser.add_argument_group(
        "metrics of plain sampling",
        "With --metrics --budgets are k (default: powers of two up to what is logged of every\n"
        "problem), --accept are scores from which a verifier accepts, and strategies and steps\n"
        "mean nothing.",
    )
    group.add_argument(
        "--metrics",
        metavar="M,M",
        type=lambda text: tuple(text.split(",")),
        help="pass@k, pass^k, g-pass@k, majority@k, best-of-n, all exact, weighted-vote, which is "
        "resampled; with rates, ceiling and accuracy of the log's verifier",
    )
    group.add_argument(
        "--share",
        type=float,
        default=0.5,
        metavar="T",
        help="of right solutions that g-pass@k asks for (default %(default)s)",
    )


def run_metrics(arguments: argparse.Namespace, reading: Sequence[ReplayOptions]) -> int:
    """Runs the command; `InputError` if an option, or every log, cannot be used."""
    if arguments.across:
        raise InputError("--across: has no form for --metrics")
    from dora_theory.replay.metrics import replay_metrics
    from dora_theory.replay.results import MetricsResult

    names = tuple(dict.fromkeys(arguments.metrics))
    budgets = arguments.budgets if arguments.all_budgets else ()
    more = {"accept": arguments.accept, "share": arguments.share}

    def use(log: str, how: ReplayOptions, **who: Any) -> dict[str, Any]:
        return replay_metrics(log, names, budgets, how, **more, **who)

    return run_kind(arguments, reading, "metrics", use, MetricsResult)


def worth_of(summary: dict[str, Any], options: ReplayOptions, judge: Any) -> dict[str, Any]:
    """What the verifier of the same log is worth, where it has solutions and can be read again."""
    from dora_theory.replay.metrics import replay_metrics

    if summary["kind"] == "tree" or summary["log"] == "-":
        return {}
    names = ("pass@k", "pass^k")
    try:
        return {"metrics": replay_metrics(summary["log"], names, (), options, judge=judge)}
    except InputError as error:
        say(str(error))
        return {}
