"""Options that say how logs are read and cut, and what is done with each log."""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, TypeVar

from dora_theory._errors import InputError
from dora_theory.cli.options import draw, write_tables
from dora_theory.io.atomic_write import utf8, whole_output
from dora_theory.io.terminal import say
from dora_theory.replay.options import LINKS, LOG_FORMATS, ReplayOptions

if TYPE_CHECKING:
    from dora_theory.replay.workers import Workers

_DEFAULT = ReplayOptions()
_T = TypeVar("_T")


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
        help="skip up to N bad records of a log and report each (default %(default)s)",
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
        help="divide the log's scores by it if they are not in [0, 1]; with GLOB only those of "
        "logs whose name or path matches. Repeatable; the last match counts",
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
        help="cut solutions after M steps (default %(default)s: by then scores predict the "
        "outcome, and few solutions have ended)",
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
        help="tfidf (default), tfidf-char or sentence-transformers:MODEL, a model that is on "
        "this machine",
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
        help="largest mean cosine distance within a direction (default %(default)s)",
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


def report_pages(files: ExitStack, folder: str | None) -> dict[str, IO[bytes]]:
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


def as_json(found: Sequence[dict[str, Any]], *, many: bool) -> str:
    """What was found in each log: an array if many were given, else an object."""
    return json.dumps(found if many else found[0], indent=1, allow_nan=False, ensure_ascii=False)


@dataclass(frozen=True)
class Shown:
    """How the documents of several logs are shown.

    Attributes:
        text: of one of them.
        picture: of all, with their titles.
        result: what has the rows of one.
        page: of a report, of all.
    """

    text: Callable[[Any], str]
    picture: Callable[[Sequence[Any], Sequence[str]], Any]
    result: Callable[[Any], Any]
    page: Callable[[Sequence[Any]], str] | None = None


def write_found(
    arguments: argparse.Namespace,
    found: Sequence[dict[str, Any]],
    shown: Shown,
    file: IO[bytes],
    pages: Mapping[str, IO[bytes]] = MappingProxyType({}),
    whole: Sequence[dict[str, Any]] | None = None,
) -> None:
    """Writes all that was asked for: text or JSON, the picture, the report, the tables.

    Args:
        arguments: of the command line.
        found: the document of each good log.
        shown: how they are shown.
        file: for the text.
        pages: of `report_pages`.
        whole: what the report has of each log, if that is more.
    """
    many = len(arguments.logs) > 1
    text = as_json(found, many=many) if arguments.json else "\n\n".join(map(shown.text, found))
    if arguments.figure is not None:
        from dora_theory.replay.report.kinds import titles_of

        draw(shown.picture(found, titles_of(found)), arguments.figure)
    if pages and shown.page is not None:
        pages["report.html"].write(utf8(shown.page(whole or found)))
        pages["replay.json"].write(utf8(as_json(whole or found, many=many) + "\n"))
        say(f"report: {' and '.join(pages)} in {arguments.report}")
    file.write(utf8(text) + b"\n")
    rows = [{"log": one["log"]} | row for one in found for row in shown.result(one).rows()]
    write_tables(arguments, rows)


def run_kind(
    arguments: argparse.Namespace,
    reading: Sequence[ReplayOptions],
    kind: str,
    use: Callable[..., dict[str, Any]],
    result: Callable[[Any], Any],
) -> int:
    """Replays each log and writes all that was asked for; `InputError` if every log is bad.

    Args:
        arguments: of the command line.
        reading: how each log is read.
        kind: name of the option that asks for it, and of the `Kind` that shows it.
        use: the replay of a log, given its options, `note` and `judge`.
        result: what has the rows of a document.

    Returns:
        The exit status.
    """
    for name in ("workers", "scheduler"):
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name}: has no form for --{kind}")
    from dora_theory.replay.grade.correctness import Judge

    with ExitStack() as files:
        file = files.enter_context(whole_output(arguments.out))
        pages = report_pages(files, arguments.report)
        judge = files.enter_context(Judge())
        found, status = each_log(
            arguments.logs, reading, lambda log, how: use(log, how, note=say, judge=judge)
        )
        # Not before the logs have proved good: it loads Matplotlib.
        from dora_theory.replay.report import kinds

        of = getattr(kinds, kind.upper())
        write_found(arguments, found, Shown(of.text, of.picture, result, of.page), file, pages)
    return status


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between; argparse's error if they are none."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: needs numbers with commas between") from None


def add_workers(parser: argparse._ActionsContainer) -> None:
    """Adds the options that say who works on a log."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="work on the log with N processes on this machine; the output is the same",
    )
    parser.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="the same with the workers of a Dask scheduler",
    )


def workers_of(arguments: argparse.Namespace) -> AbstractContextManager["Workers"]:
    """The workers that the options ask for, while a command lasts."""
    from dora_theory.replay.workers import workers_at

    processes, scheduler = arguments.workers, arguments.scheduler
    if processes is not None and scheduler is not None:
        raise InputError("--workers: has no use beside --scheduler")
    if processes is not None and processes < 1:
        raise InputError(f"--workers: {processes}: needs an integer from 1 on")
    return workers_at(processes if scheduler is None else scheduler)
