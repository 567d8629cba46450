"""Records of one problem in several rows or files, as one."""

import os
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from itertools import groupby

from dora_theory.replay.read.record import Record

# Of a problem's folder, one for each part of its run.
_PART = re.compile(r"record[_-]?\d*\.jsonl?(\.gz|\.zst)?")


def by_problem(read: Callable[[], Iterator[Record]], *, again: bool) -> Iterator[Record]:
    """One record for all that have the same problem and right answer, wherever they are.

    Args:
        read: the records, each time it is called.
        again: whether it can be called twice. Then a problem is held in memory only until its last
            row, and that of those before it, has passed: of a log that is in order, one problem.

    Yields:
        The records, in the order of the first row of each problem.
    """
    last: dict[Hashable, int] = {}
    if again:
        for i, record in enumerate(read()):
            last[hash(_name(record))] = i
    held: dict[Hashable, list[Record]] = {}
    done: set[Hashable] = set()
    for i, record in enumerate(read()):
        name = _name(record)
        held.setdefault(name, []).append(record)
        if last.get(hash(name)) == i:
            done.add(name)
        while held and (first := next(iter(held))) in done:
            done.remove(first)
            yield _one(held.pop(first))
    yield from map(_one, held.values())


def by_folder(records: Iterator[Record]) -> Iterator[Record]:
    """One record for those of one problem in the files record_0, record_1, … of one folder."""
    for (folder, *_), parts in groupby(records, _folder):
        record = _one(list(parts))
        if folder and record.problem_id.startswith("row "):
            record = replace(record, problem_id=os.path.basename(folder))
        yield record


def _folder(record: Record) -> tuple[str, Hashable, str]:
    folder, name = os.path.split(record.place.rpartition(":")[0])
    if _PART.fullmatch(name):
        return folder, _name(record), ""
    return "", None, record.place


def _name(record: Record) -> tuple[str, str | None]:
    return record.problem, record.gold_answer


def _one(records: list[Record]) -> Record:
    if len(records) == 1:
        return records[0]
    samples = tuple(sample for record in records for sample in record.samples)
    kept = any(record.kind == "kept" for record in records)
    return replace(records[0], samples=samples, kind="kept" if kept else records[0].kind, votes=())
