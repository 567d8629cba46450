"""`dora-theory replay`: what logged rollouts say about every strategy."""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from dora_theory._errors import InputError
from dora_theory.cli.options import add_tables, rows_of_logs, write_tables
from dora_theory.cli.replay_across import (
    across_options,
    add_across,
    check_alone,
    run_across,
    shared,
)
from dora_theory.cli.replay_metrics import add_metrics, run_metrics
from dora_theory.io.atomic_write import utf8, whole_output
from dora_theory.io.terminal import say
from dora_theory.replay.options import BUDGETS, LINKS, LOG_FORMATS, REPLAYED, ReplayOptions

if TYPE_CHECKING:
    from dora_theory.replay.grade.correctness import Judge

_DEFAULT = ReplayOptions()
_T = TypeVar("_T")

_DESCRIPTION = """\
Replays logged rollouts: cuts every logged solution after its first steps, lets each strategy
spread N further rollouts over these prefixes, and estimates from the logged continuations how often
at least one is right.

A log is a file of JSON lines, of a JSON array, of Parquet or of Arrow, by gzip or zstd compressed
or not, or a folder of such files, such as a data set that `datasets` has saved or downloaded (of
several splits FOLDER/train is one), or folders question_0, … with files record_0, …, each a
problem. The first record tells the format, unless --format does:
  search-and-learn  problem, answer, completions, scores (a list a completion, a number a step), and
                    if there completion_tokens, agg_scores, pred_maj@n, unique_id, level, subject
  dora              the same, with the columns that DORA's authors add
  rebase            question, ground_truth_answer, model_answer: objects with text, step_scores
  openr             question, groundtruth, output: objects with text, value (a number a step)
  plain             problem_id, problem, gold_answer, samples: objects with text, and if there
                    final_answer, correct, step_scores, completion_tokens, method
Other tables are read by --map problem=COLUMN,gold_answer=COLUMN,completions=COLUMN,… with fields
problem, problem_id, gold_answer, level, subject; completions, a list in each row, or text, one
solution in each row, wherever the rows of a problem stand; and of solutions step_scores,
final_answer, correct, tokens. meta.answer is the field answer of the column meta, resps.0 the first
entry of a list, responses.message.content that field of every entry. correct=score>0 and
correct=result=passed say which values are right (also >=, <, <=, !=; a|b for several values).
Where the log does not say what is correct, the last \\boxed{}, or what follows the last ####, "The
answer is", "Answer:" or "A:", is compared with the right answer, by math-verify where the texts do
not tell. That and Parquet, Arrow and zstd need pip install 'dora-theory[replay]'.
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
    parser = commands.add_parser(
        "replay",
        help="replay logged rollouts under every strategy",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
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
        "--strategies",
        type=lambda text: tuple(text.split(",")),
        default=REPLAYED,
        metavar="S,S",
        help=f"default {','.join(REPLAYED)}",
    )
    add(
        "--kappa",
        "--concentration",
        dest="concentration",
        type=float,
        default=_DEFAULT.concentration,
        metavar="K",
        help="concentration, of optimal and direction-optimal (default %(default)s)",
    )
    same = "as in allocate (default %(default)s)"
    for name in ("quality", "similarity"):
        value = getattr(_DEFAULT, f"{name}_temperature")
        add(f"--{name}-temperature", type=float, default=value, metavar="T", help=same)
    add("--smooth", action="store_true", help="shared-divisors: scores of like candidates err")
    add("--certify", action="store_true", help="bound how far each allocation is from the best")
    add("--fit-similarity-temperature", action="store_true", help="T_s of each half by the other")
    add("--beam-width", type=int, default=4, metavar="M", help="beam, dvts (default %(default)s)")
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
        help="accuracy of the voted answer too, drawing the continuations of a problem R times",
    )
    add("--json", action="store_true", help="one JSON document: an object, an array for many logs")
    add("--out", metavar="PATH", help="write there, in one step, instead of to standard output")
    add("--figure", metavar="PATH.png", help="draw success against budget there, as PNG and SVG")
    add(
        "--report",
        metavar="FOLDER",
        help="write report.html there, one page with everything in it, and its numbers as "
        "replay.json; with what calibrate finds in the logs",
    )
    add_tables(parser)
    add_across(parser)
    add_metrics(parser)
    parser.set_defaults(run=run)


def add_reading(parser: argparse._ActionsContainer) -> None:
    """Adds the options that say how logs are read and cut, to a parser or a group of one."""
    add = parser.add_argument
    add(
        "--format",
        dest="log_format",
        choices=("auto", *LOG_FORMATS),
        default="auto",
        help="of the logs (default: decided by the first record)",
    )
    add(
        "--map",
        dest="mapping",
        metavar="F=C,F=C",
        help="read any table: field=column, with commas between",
    )
    add(
        "--skip-bad",
        type=int,
        default=0,
        metavar="N",
        help="skip up to so many bad records of a log, each reported (default %(default)s)",
    )
    add(
        "--repair",
        action="store_true",
        help="give completions back to the problems that they answer, where a batch was dealt to "
        "wrong rows or rows were shifted; those that move lose their scores",
    )
    add(
        "--score-scale",
        action="append",
        default=[],
        type=_scale,
        metavar="[GLOB=]S",
        help="divide the log's scores by it, if they are not in [0, 1]; with GLOB only those of "
        "logs whose name or path it fits. May be repeated, the last that fits counts",
    )
    add(
        "--score-link",
        action="append",
        default=[],
        type=_link,
        metavar="[GLOB=]LINK",
        help="make probabilities of scores: sigmoid of log odds, minmax by the range of the log's "
        "scores, or none (default); GLOB as for --score-scale",
    )
    add(
        "--steps",
        type=int,
        default=_DEFAULT.steps,
        metavar="M",
        help="solutions are cut after so many steps (default %(default)s: scores say something of "
        "the outcome by then, and nearly no solution is at its end)",
    )
    add(
        "--step-end",
        choices=("blank-line", "line"),
        default=_DEFAULT.step_end,
        help="what ends a step (default %(default)s)",
    )
    add(
        "--encoder",
        default=_DEFAULT.encoder,
        metavar="E",
        help="tfidf (default), tfidf-char or sentence-transformers:MODEL, of which the model must "
        "be on this machine",
    )
    add(
        "--encoder-cache",
        default="",
        metavar="FILE",
        help="keep a sentence model's embeddings there, by model and text, and embed none twice",
    )
    add(
        "--threshold",
        type=float,
        default=_DEFAULT.threshold,
        metavar="D",
        help="largest mean cosine distance inside a direction (default %(default)s)",
    )


def options_of(arguments: argparse.Namespace, log: str) -> ReplayOptions:
    """The options for a log; those that a command does not have keep their defaults."""
    given = {
        f.name: getattr(arguments, f.name) for f in fields(ReplayOptions) if f.name in arguments
    }
    for name, default in (("score_scale", 1.0), ("score_link", "none")):
        values = [value for glob, value in getattr(arguments, name) if _fits(log, glob)]
        given[name] = values[-1] if values else default
    if given["mapping"] is not None:
        # Not for `--help`: reading logs needs NumPy.
        from dora_theory.replay.read.formats.columns import parse_map

        given["mapping"] = parse_map(given["mapping"])
    return ReplayOptions(**{**given, "mapping": given["mapping"] or {}})


def all_options_of(arguments: argparse.Namespace) -> list[ReplayOptions]:
    """The options for every log; `InputError` for a scale or link that is for none of them."""
    scales = [("--score-scale", glob, f"{scale:g}") for glob, scale in arguments.score_scale]
    links = [("--score-link", glob, link) for glob, link in arguments.score_link]
    for flag, glob, value in scales + links:
        if not any(_fits(log, glob) for log in arguments.logs):
            raise InputError(f"{flag}: {glob}={value}: fits the name of no log")
    return [options_of(arguments, log) for log in arguments.logs]


def _fits(log: str, glob: str) -> bool:
    return fnmatch(log, glob) or fnmatch(os.path.basename(log), glob)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option, or every log, cannot be used."""
    arguments.all_budgets, arguments.budgets = bool(arguments.budgets), arguments.budgets or BUDGETS
    options = all_options_of(arguments)
    if (figure := arguments.figure) is not None and not figure.endswith((".png", ".svg")):
        raise InputError(f"--figure: {figure}: needs a name that ends in .png or .svg")
    if arguments.metrics is not None:
        return run_metrics(arguments, options, each_log)
    across = across_options(arguments, BUDGETS)
    if arguments.across:
        return run_across(arguments, across, options, each_log, _pages)
    check_alone(arguments)
    from dora_theory.replay.grade.correctness import Judge
    from dora_theory.replay.run import replay

    with ExitStack() as files:
        file = files.enter_context(whole_output(arguments.out))
        pages = _pages(files, arguments.report)
        # One judge for all: what it has compared once it knows when a report calibrates.
        judge = files.enter_context(Judge())
        found, status = each_log(
            arguments.logs, options, lambda log, how: replay(log, how, note=say, judge=judge)
        )
        # Not before the logs have proved good: it loads JAX.
        from dora_theory.replay.report.summary import summary
        from dora_theory.replay.report.table import table
        from dora_theory.replay.results import ReplayResult

        summaries = list(map(summary, found))
        if arguments.json:
            text = _json(summaries, many=len(options) > 1)
        else:
            text = "\n\n".join(map(table, summaries))
        if figure is not None:
            _draw(summaries, figure)
        if pages:
            calibrated = [
                _calibrated(s, f.options, judge) for s, f in zip(summaries, found, strict=True)
            ]
            budgets = [shared(s, f.options, judge) for s, f in zip(summaries, found, strict=True)]
            whole = [s | c | a for s, c, a in zip(summaries, calibrated, budgets, strict=True)]
            _report(whole, pages, many=len(options) > 1)
            say(f"report: {' and '.join(pages)} in {arguments.report}")
        file.write(utf8(text) + b"\n")
        write_tables(arguments, rows_of_logs(map(ReplayResult, summaries)))
    return status


def each_log(
    logs: Sequence[str],
    options: Sequence[ReplayOptions],
    use: Callable[[str, ReplayOptions], _T],
) -> tuple[list[_T], int]:
    """What comes of each log that can be used, and the exit status.

    Args:
        logs: their names.
        options: for each of them.
        use: raises `InputError` for a log that cannot be used.

    Returns:
        What `use` returned for the good logs, in order, and 0; 2 if one of several logs is bad,
        about which a line has been written to standard error.

    Raises:
        InputError: no log can be used.
    """
    found, bad = [], []
    for log, how in zip(logs, options, strict=True):
        try:
            found.append(use(log, how))
        except InputError as error:
            bad.append(str(error))
            if len(logs) > 1:
                where = "" if str(error).startswith(log) else f"{log}: "
                say(f"{where}{error}; left out")
    if not found:
        raise InputError(bad[0] if len(bad) == 1 else f"none of the {len(bad)} logs can be used")
    return found, 2 if bad else 0


def _draw(summaries: list[dict[str, Any]], path: str) -> None:
    from dora_theory.plots import save
    from dora_theory.replay.report.picture import success_against_budget

    titles = [os.path.basename(s["log"]).split(".jsonl")[0] for s in summaries]
    files = save(success_against_budget(summaries, titles), path[:-4])
    say("wrote " + " and ".join(map(str, files)))


def _json(summaries: list[dict[str, Any]], *, many: bool) -> str:
    document = summaries if many else summaries[0]
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)


def _calibrated(summary: dict[str, Any], options: ReplayOptions, judge: "Judge") -> dict[str, Any]:
    """What `calibrate` finds in the same log, or why there is nothing to find."""
    from dora_theory.replay.calibrate.fit import calibrate

    if summary["kind"] == "tree":
        return {"uncalibrated": "a tree of states has no solutions to hold scores against"}
    if summary["log"] == "-":
        return {"uncalibrated": "standard input cannot be read once more"}
    say(f"{summary['log']}: calibrating")
    try:
        return {"calibration": calibrate(summary["log"], options, judge=judge)}
    except InputError as error:
        return {"uncalibrated": str(error)}


def _pages(files: ExitStack, folder: str | None) -> dict[str, IO[bytes]]:
    """The files of a report, which appear when all is done, none if none is asked for."""
    if folder is None:
        return {}
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder)
            files.callback(_remove_if_empty, folder)
    except OSError as error:
        raise InputError(f"--report: {folder}: {error.strerror or error}") from None
    return {
        name: files.enter_context(whole_output(str(Path(folder) / name), "--report"))
        for name in ("report.html", "replay.json")
    }


def _remove_if_empty(folder: str) -> None:
    with suppress(OSError):
        os.rmdir(folder)


def _report(summaries: list[dict[str, Any]], pages: dict[str, IO[bytes]], *, many: bool) -> None:
    from dora_theory.replay.report.page import report

    pages["report.html"].write(utf8(report(summaries)))
    pages["replay.json"].write(utf8(_json(summaries, many=many) + "\n"))


def _scale(text: str) -> tuple[str, float]:
    glob, equals, number = text.rpartition("=")
    try:
        return glob if equals else "*", float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: needs a number, or GLOB=number") from None


def _link(text: str) -> tuple[str, str]:
    glob, equals, link = text.rpartition("=")
    if link not in LINKS:
        raise argparse.ArgumentTypeError(f"{text!r}: needs one of {', '.join(LINKS)}")
    return glob if equals else "*", link


def wholes(text: str) -> tuple[int, ...]:
    """Integers with commas between; argparse's error if they are none."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: needs integers with commas between") from None
