"""A log on its way to any numbers: read, beside its problems, judged, checked, in no order.

What a log is fit for is decided here and nowhere else, so that all commands say the same of it.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from dora_theory._errors import InputError, amount
from dora_theory.io.terminal import counted
from dora_theory.replay.check.integrity import Finding, Watch, seen
from dora_theory.replay.check.mispaired import Pairing
from dora_theory.replay.check.repair import repaired
from dora_theory.replay.cut.order import in_order
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.grading import grading_notes, judged
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.links import link_of
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.read.record import Record
from dora_theory.replay.read.usable import OneKind
from dora_theory.replay.workers import Workers

Note = Callable[[str], None]
T = TypeVar("T")
_LOCAL = threading.local()


class Notes(list[str]):
    """Notes, each passed on as soon as it is known and kept."""

    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def __call__(self, text: str) -> None:
        """Takes one note."""
        self.append(text)
        self._note(text)


def _as_it_is(record: Record) -> Any:
    return record


class Examined:
    """The records of a log as every command takes them, and what they are fit for.

    Attributes:
        path: its name.
        kind: of its first record.
    """

    def __init__(
        self,
        path: str,
        options: ReplayOptions,
        judge: Judge,
        note: Note,
        workers: Workers | None = None,
    ) -> None:
        """Reads the first record.

        Args:
            path: a log that `read_log` reads.
            options: how to read it.
            judge: compares answers.
            note: called with each note as soon as it is known.
            workers: who judges and looks at records, this process if None; others have judges of
                their own.

        Raises:
            InputError: the log cannot be read, or is mispaired.
        """
        self.path, self._options, self._judge, self._note = path, options, judge, note
        self._pairing = Pairing(path, repaired=options.repair)
        self._watch = Watch(options.step_end)
        records = opened(path, options, note, self._pairing)
        first = next(records)
        self.kind = first.kind
        self._records = counted(chain([first], records), "problems")
        self._count = 0
        self._workers = workers or Workers()

    def solutions(self, use: Callable[[Record], T] = _as_it_is) -> Iterator[T]:
        """What becomes of the records, judged, their samples in an order that says nothing of them.

        After the last one everything that is doubtful about the log has been noted.

        Args:
            use: called with each record, maybe in another process; it keeps nothing of it.

        Raises:
            InputError: a record cannot be used, or is of a tree.
        """
        judge = self._judge
        look = partial(_seen, use, self._options, None if self._workers.elsewhere else judge)
        counts = np.zeros(3, dtype=int)
        for found, watch, judgments in self._workers.map(look, self._solutions()):
            self._watch.add(watch)
            counts += judgments
            yield found
        judge.undecided, judge.graded, judge.unread = counts.tolist()
        for text in grading_notes(self.path, judge):
            self._note(text)
        for finding in self.findings():
            if finding.verdict == "doubtful":
                self._note(f"{self.path}: {finding.what}")
        self._few(self._count)

    def trees(self) -> Iterator[Record]:
        """The records of a log of trees."""
        yield from self._counted()
        self._few(self._count)

    def findings(self) -> list[Finding]:
        """What the records that have passed are like."""
        return [self._pairing.finding(), *self._watch.findings()]

    def _counted(self) -> Iterator[Record]:
        for record in self._records:
            self._count += 1
            yield record

    def _solutions(self) -> Iterator[Record]:
        for record in self._counted():
            if record.kind == "tree":
                raise InputError(
                    f"{record.place}: tree_nodes: a tree has no solutions to cut and to calibrate "
                    "by"
                )
            yield record

    def _few(self, problems: int) -> None:
        if problems < 20:
            few = amount(problems, "problem")
            self._note(f"{self.path}: only {few}: the intervals cover less than 95%")


def _seen(
    use: Callable[[Record], T], options: ReplayOptions, judge: Judge | None, record: Record
) -> tuple[T, Watch, tuple[int, int, int]]:
    """What one record becomes, what the checks see of it, and what grading it counted."""
    judge = judge or _own_judge()
    # A judge has seen other records.
    judge.undecided = judge.graded = judge.unread = 0
    record = judged(record, judge)
    watch = seen(record, options.step_end)
    judgments = judge.undecided, judge.graded, judge.unread
    return use(in_order(record, options.seed)), watch, judgments


def _own_judge() -> Judge:
    """The judge of a thread of a worker, which ends with its process."""
    if not hasattr(_LOCAL, "judge"):
        _LOCAL.judge = Judge()
    return _LOCAL.judge


def opened(
    path: str, options: ReplayOptions, note: Note, pairing: Pairing | None = None
) -> Iterator[Record]:
    """The records of a log, each beside the problem that it answers.

    Args:
        path: a log that `read_log` reads.
        options: how to read and whether to repair it.
        note: called with each note as soon as it is known.
        pairing: looks at the records and keeps what it finds; one that is asked at the end for
            what to note if None.

    Yields:
        The records.

    Raises:
        InputError: the log cannot be read, or is mispaired and cannot be repaired.
    """
    how: dict[str, Any] = {
        name: getattr(options, name) for name in ("log_format", "mapping", "skip_bad")
    }
    if path == "-" and options.score_link == "minmax":
        raise InputError("--score-link: minmax reads a log twice, which standard input is not")
    link = link_of(options.score_link, () if path == "-" else read_log(path, **how))
    checks = OneKind(options.score_scale, link)
    records = read_log(path, **how, check=checks, note=note)
    if options.repair:
        records = repaired(records, path, note)
    if pairing is not None:
        return pairing.over(records)
    return _paired(records, Pairing(path, repaired=options.repair), path, note)


def _paired(records: Iterator[Record], pairing: Pairing, path: str, note: Note) -> Iterator[Record]:
    yield from pairing.over(records)
    finding = pairing.finding()
    if finding.verdict == "doubtful":
        note(f"{path}: {finding.what}")
