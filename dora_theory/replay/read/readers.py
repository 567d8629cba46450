"""Reading a log: its rows from wherever they are, each in its format, one problem at a time."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from dora_theory._errors import InputError, agree, amount
from dora_theory.io.jsonl import FieldError, json_object
from dora_theory.replay.read.folders import unread
from dora_theory.replay.read.formats import FORMATS, Parse, columns, format_of
from dora_theory.replay.read.merging import by_folder, by_problem
from dora_theory.replay.read.record import Record
from dora_theory.replay.read.sources import Row, rows

Note = Callable[[str], None]
Check = Callable[[Record], Record]

# What to do about the first bad record.
_HINT = " (--skip-bad N leaves out up to N such records)"


def read_log(
    path: str,
    *,
    log_format: str = "auto",
    mapping: Mapping[str, str] | None = None,
    skip_bad: int = 0,
    check: Check = lambda record: record,
    note: Note = lambda _: None,
) -> Iterator[Record]:
    """Records of a log, in order.

    Args:
        path: whatever `sources.rows` reads: JSON lines or arrays, packed or not, Parquet, Arrow, a
            folder, or `-` for standard input.
        log_format: a name of `FORMATS`, or `auto`: the first record tells.
        mapping: field → column of any other table, as `columns.parse_map` gives it; then no format
            counts.
        skip_bad: how many records that cannot be used are left out, each with a note, before one
            ends the reading. A file that is cut short has one.
        check: gives a record as it is to be used, and raises `FieldError` for one that is of no
            use, which then is a bad one.
        note: called with each thing that the user should know, one line each.

    Yields:
        The records. Blank lines hold none; rows of one solution each are one record for each
            problem, wherever they are, and so are the files `record_0`, … of one folder.

    Raises:
        InputError: the file cannot be read, more than `skip_bad` records cannot be used, or there
            is none; `file:line: field: what`.
    """

    def read(say: Note) -> Iterator[Record]:
        return _records(path, log_format, mapping, skip_bad, check, say)

    if mapping and "text" in mapping:
        # A second reading repeats no note of the first.
        says = iter([note] if path == "-" else [lambda _: None, note])
        return by_problem(lambda: read(next(says)), again=path != "-")
    if os.path.isdir(path):
        return by_folder(read(note))
    return read(note)


def _records(
    path: str,
    log_format: str,
    mapping: Mapping[str, str] | None,
    skip_bad: int,
    check: Check,
    note: Note,
) -> Iterator[Record]:
    parse: Parse | None = None
    if mapping:
        parse = partial(columns.parse, columns=mapping)
    elif log_format != "auto":
        parse = FORMATS[log_format].parse
    seen = _Seen(path)
    if path != "-" and os.path.isdir(path):
        beside = unread(Path(path))
        if beside:
            note(f"{path}: logs in its folders are not read: {', '.join(beside)}")
    for place, row in rows(path):
        if isinstance(row, bytes) and not row.strip():
            continue
        try:
            value = _object(row)
            if parse is None:
                name = format_of(value)
                parse = FORMATS[name].parse
                note(f"{path}: read as a log of the {name} format")
            record = check(_attempted(parse(value, place)))
        except FieldError as error:
            message = f"{place}: {error.field}: {error.what}"
            if sum(seen.skipped.values()) >= skip_bad:
                before = sum(seen.skipped.values())
                hint = f" ({before} before it skipped)" if before else _HINT
                raise InputError(message + hint) from None
            seen.skipped[re.sub(r"\[\d+\]", "", error.field)] += 1
            note(f"skipped {message}")
            continue
        seen.add(record)
        yield record
    for text in seen.notes():
        note(text)


def _attempted(record: Record) -> Record:
    """The record with solutions that are missing as failed attempts, unless the log judges them."""
    if all(sample.text.strip() or sample.correct is not None for sample in record.samples):
        return record
    samples = (
        replace(sample, correct=False)
        if sample.correct is None and not sample.text.strip()
        else sample
        for sample in record.samples
    )
    return replace(record, samples=tuple(samples))


class _Seen:
    """What is to be said of a log when all of it has been read."""

    def __init__(self, path: str) -> None:
        self.skipped: Counter[str] = Counter()
        self._path = path
        self._records = self._samples = self._empty = self._outcome = 0

    def add(self, record: Record) -> None:
        self._records += 1
        self._outcome += record.outcome
        self._samples += len(record.samples)
        self._empty += sum(not sample.text.strip() for sample in record.samples)

    def notes(self) -> Iterator[str]:
        """One line each; `InputError` if nothing has been read."""
        path, skipped = self._path, sum(self.skipped.values())
        if self._empty:
            share = (
                f"{self._empty} of {amount(self._samples, 'solution')} "
                f"{agree(self._empty, 'are')} empty or missing"
            )
            if self._empty == self._samples:
                raise InputError(f"{path}: {share}: is their column named right?")
            yield (
                f"{path}: {share} and {agree(self._empty, 'count')} as "
                f"{'a failed attempt' if self._empty == 1 else 'failed attempts'}, unless the log "
                f"judges {agree(self._empty, 'them')}"
            )
        if self._outcome:
            yield (
                f"{path}: one score for a solution instead of one for a step: strategies choose "
                "by what is only known at the end, and reach more than they could"
            )
        field, most = (self.skipped.most_common(1) or [("", 0)])[0]
        if most > 1 and field != "line":
            yield (
                f"{path}: {most} of {skipped} bad records were skipped for the same field, "
                f"{field}: what is left is not a random part of the log, and success is for that "
                "part only"
            )
        if skipped:
            yield (
                f"{path}: {amount(skipped, 'bad record')} skipped, "
                f"{amount(self._records, 'record')} read"
            )
        if not self._records:
            raise InputError(f"{path}: holds no record")


def _object(row: Row) -> dict:
    if isinstance(row, FieldError):
        raise row
    return json_object(row) if isinstance(row, bytes) else row
