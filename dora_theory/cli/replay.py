"""`dora-theory replay`: what logged rollouts say about every strategy."""

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from dora_theory._errors import InputError
from dora_theory.cli.logs import (
    Shown,
    add_reading,
    add_workers,
    all_options_of,
    each_log,
    report_pages,
    wholes,
    workers_of,
    write_found,
)
from dora_theory.cli.options import (
    add_kappa,
    add_output,
    add_rules,
    add_tables,
    check_picture,
    new_command,
    number,
)
from dora_theory.cli.replay_across import (
    across_options,
    add_across,
    check_alone,
    run_across,
    shared,
)
from dora_theory.cli.replay_metrics import add_metrics, run_metrics, worth_of
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.terminal import say
from dora_theory.replay.options import BUDGETS, BY_DEFAULT, COSTLY, REPLAYED, ReplayOptions

if TYPE_CHECKING:
    from dora_theory.replay.grade.correctness import Judge
    from dora_theory.replay.workers import Workers

_DEFAULT = ReplayOptions()

_DESCRIPTION = """\
Replays logged rollouts: cuts every logged solution after its first steps, lets each strategy
spread N further rollouts over these prefixes, and estimates from the logged continuations how often
at least one is right.

A log is a file of JSON lines, a JSON array, Parquet or Arrow, possibly compressed by gzip or zstd;
or a folder of such files, such as a data set that `datasets` has saved or downloaded (FOLDER/train
for one of several splits); or folders question_0, … with files record_0, …, one per problem. The
format is that of the first record, unless --format names one:
  search-and-learn  problem, answer, completions, scores (a list per completion, a number per step),
                    optionally completion_tokens, agg_scores, pred_maj@n, unique_id, level, subject
  dora              the same, with the columns that DORA's authors add
  rebase            question, ground_truth_answer, model_answer: objects with text, step_scores
  openr             question, groundtruth, output: objects with text, value (a number per step)
  plain             problem_id, problem, gold_answer, samples: objects with text, optionally
                    final_answer, correct, step_scores, completion_tokens, method
Other tables are read by --map problem=COLUMN,gold_answer=COLUMN,completions=COLUMN,… with the
fields problem, problem_id, gold_answer, level, subject; completions (a list in each row) or text
(one solution in each row, in any order of rows); and for solutions step_scores, final_answer,
correct, tokens. meta.answer is the field answer of the column meta, resps.0 the first entry of a
list, responses.message.content that field of every entry. correct=score>0 and correct=result=passed
say which values are right (also >=, <, <=, !=; a|b for several values). If the log does not say
what is correct, the content of the last \\boxed{}, or what follows the last ####, "The answer is",
"Answer:" or "A:", is compared with the right answer, by math-verify if the texts differ. That, and
Parquet, Arrow and zstd, need pip install 'dora-theory[replay]'.
An empty or missing solution is a failed attempt.

A plain log may have tree_nodes instead: steps that a tree search proposed, with step, parent, line,
value, and whether a solution can be reached from them, solvable. Then strategies choose among the
steps of each depth, and success is that a solvable one is given a rollout.

The estimate has no bias as long as no direction is given more rollouts than were logged of it.
Where one is, success is a lower bound: `clipped` is the share of such problems, `upper_bound` the
other bound. Differences to REBASE are over the problems where the log suffices for both.

No result depends on the order of problems or of their solutions: ties are broken in random orders
by --seed, over which results are averaged. A log of several that cannot be used is named and left
out, and the exit status is 2.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "replay",
        run,
        help="replay logged rollouts under every strategy",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("logs", metavar="LOG", nargs="+", help="a log; - is standard input")
    add_reading(parser)
    add(
        "--budgets",
        type=wholes,
        metavar="N,N",
        help="further rollouts of a problem (default 4,8,16,32,64, as far as the log goes)",
    )
    add(
        "--budget-cost",
        type=wholes,
        metavar="C,C",
        help="instead of --budgets: tokens that a problem's further rollouts may cost, by the "
        "lengths of its logged solutions",
    )
    add(
        "--strategies",
        type=lambda text: tuple(text.split(",")),
        default=BY_DEFAULT,
        metavar="S,S",
        help=f"of {', '.join(REPLAYED)}, or package.module:function of your own (default all of "
        f"these but {' and '.join(COSTLY)}, which take long)",
    )
    add_kappa(parser, number, "concentration, of optimal and direction-optimal (default 0.5)")
    parser.set_defaults(concentration=_DEFAULT.concentration)
    add_rules(parser)
    add("--certify", action="store_true", help="bound how far each allocation is from the best")
    add(
        "--fit-similarity-temperature",
        action="store_true",
        help="fit T_s for each half of the problems on the other half",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="I",
        help="of the bootstrap, and of the orders in which ties are broken (default %(default)s)",
    )
    add(
        "--votes",
        type=int,
        default=0,
        metavar="R",
        help="also the accuracy of the voted answer, from R draws of the continuations",
    )
    add_output(parser, "an object, an array for many logs")
    add("--figure", metavar="PATH.png", help="draw success against budget there, as PNG and SVG")
    add(
        "--report",
        metavar="FOLDER",
        help="write report.html there, one page with everything in it, and its numbers as "
        "replay.json; with what calibrate finds in the logs",
    )
    add_tables(parser)
    add_workers(parser)
    add_across(parser)
    add_metrics(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option, or every log, cannot be used."""
    arguments.all_budgets, arguments.budgets = bool(arguments.budgets), arguments.budgets or BUDGETS
    cost = arguments.budget_cost
    if (by_cost := cost is not None) and arguments.all_budgets:
        raise InputError("--budget-cost: has no use beside --budgets")
    arguments.by_cost, arguments.budgets = by_cost, cost if by_cost else arguments.budgets
    if by_cost and (arguments.across or arguments.metrics is not None):
        raise InputError("--budget-cost: has no form for --across and --metrics")
    options = all_options_of(arguments)
    check_picture(arguments.figure)
    if arguments.metrics is not None:
        return run_metrics(arguments, options)
    across = across_options(arguments, BUDGETS)
    if arguments.across:
        return run_across(arguments, across, options)
    check_alone(arguments)
    from dora_theory.replay.grade.correctness import Judge
    from dora_theory.replay.run import replay

    with ExitStack() as files:
        file = files.enter_context(whole_output(arguments.out))
        pages = report_pages(files, arguments.report)
        # One judge for all: what it has compared once it knows when a report calibrates.
        judge = files.enter_context(Judge())
        workers = files.enter_context(workers_of(arguments))
        who: dict[str, Any] = {"judge": judge, "workers": workers}
        found, status = each_log(
            arguments.logs, options, lambda log, how: replay(log, how, note=say, **who)
        )
        # Not before the logs have proved good: it loads JAX.
        from dora_theory.replay.report.page import report
        from dora_theory.replay.report.picture import success_against_budget
        from dora_theory.replay.report.summary import summary
        from dora_theory.replay.report.table import table
        from dora_theory.replay.results import ReplayResult

        summaries = list(map(summary, found))
        whole = None
        if pages:
            pairs = [(s, f.options.in_rollouts()) for s, f in zip(summaries, found, strict=True)]
            calibrated = [_calibrated(s, how, **who) for s, how in pairs]
            budgets = [shared(s, how, judge) for s, how in pairs]
            worth = [worth_of(s, how, judge) for s, how in pairs]
            every = zip(summaries, calibrated, budgets, worth, strict=True)
            whole = [s | c | a | m for s, c, a, m in every]
        shown = Shown(table, success_against_budget, ReplayResult, report)
        write_found(arguments, summaries, shown, file, pages, whole)
    return status


def _calibrated(
    summary: dict[str, Any], options: ReplayOptions, judge: "Judge", workers: "Workers"
) -> dict[str, Any]:
    """What `calibrate` finds in the same log, or why there is nothing to find."""
    from dora_theory.replay.calibrate.fit import calibrate

    if summary["kind"] == "tree":
        return {"uncalibrated": "a tree of states has no solutions to hold scores against"}
    if summary["log"] == "-":
        return {"uncalibrated": "standard input cannot be read once more"}
    say(f"{summary['log']}: calibrating")
    try:
        return {"calibration": calibrate(summary["log"], options, judge=judge, workers=workers)}
    except InputError as error:
        return {"uncalibrated": str(error)}
