"""`dora-theory replay --metrics`: exact metrics of plain sampling, and what a verifier is worth."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

from dora_theory._errors import InputError
from dora_theory.cli.logs import as_json, each_log
from dora_theory.io.atomic_write import utf8, whole_output
from dora_theory.io.terminal import say
from dora_theory.replay.options import ReplayOptions


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Adds the options of exact metrics."""
    group = parser.add_argument_group(
        "metrics of plain sampling",
        "With --metrics --budgets are k (default: powers of two up to what is logged of every "
        "problem), --accept are scores from which a verifier accepts, and strategies and steps "
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
    """Runs the command; `InputError` if an option, or every log, cannot be used.

    Args:
        arguments: of the command line.
        reading: how each log is read.

    Returns:
        The exit status.
    """
    for name in ("across", "figure", "report", "csv", "parquet"):
        if getattr(arguments, name):
            raise InputError(f"--{name}: has no form for --metrics")
    if not 0 < arguments.share <= 1:
        raise InputError(f"--share: {arguments.share:g}: needs a number in (0, 1]")
    from dora_theory.replay.grade.correctness import Judge
    from dora_theory.replay.metrics import METRICS, replay_metrics
    from dora_theory.replay.report.metrics_table import metrics_table

    names = tuple(dict.fromkeys(arguments.metrics))
    for name in names:
        if name not in METRICS:
            raise InputError(f"--metrics: {name!r} is none of {', '.join(METRICS)}")
    budgets = arguments.budgets if arguments.all_budgets else ()
    how = {"accept": arguments.accept, "share": arguments.share}
    with ExitStack() as files:
        file = files.enter_context(whole_output(arguments.out))
        judge = files.enter_context(Judge())
        found, status = each_log(
            arguments.logs,
            reading,
            lambda log, options: replay_metrics(
                log, names, budgets, options, **how, note=say, judge=judge
            ),
        )
        if arguments.json:
            text = as_json(found, many=len(reading) > 1)
        else:
            text = "\n\n".join(map(metrics_table, found))
        file.write(utf8(text) + b"\n")
    return status
