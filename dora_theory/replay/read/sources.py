"""Where records are: lines, JSON arrays, Parquet, Arrow; packed or not; a file or a folder.

Each source gives rows with their places, one at a time: memory does not grow with the log. What a
row must hold is the business of the formats.
"""

import codecs
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dora_theory._errors import InputError, amount, short
from dora_theory.io.extras import module_of
from dora_theory.io.jsonl import CutShort, FieldError, Reading, kind, reading, without_repeats
from dora_theory.replay.read.folders import log_files, split_files

# A line of JSON, an object, or what is wrong with the row.
Row = bytes | dict[str, Any] | FieldError

_PARQUET, _ARROW_FILE, _ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_CHUNK = 1 << 20
# Rows of a table that are held at once, and about how many bytes.
_ROWS, _BYTES = 64, 1 << 26
_STRICT = json.JSONDecoder(object_pairs_hook=without_repeats)
_LAX = json.JSONDecoder(parse_int=float)
# What may come between values, outside of an array and in one.
_BETWEEN = (re.compile(r"\s*"), re.compile(r"[\s,]*"))


def rows(path: str) -> Iterator[tuple[str, Row]]:
    """Rows of a log, in order, each with its place.

    Args:
        path: a file of JSON lines, of one JSON array or of JSON objects over several lines, by gzip
            or zstd compressed or not; of Parquet; of Arrow; `-` for standard input; or a folder,
            see `folders.log_files`, or a split of one, `FOLDER/train`.

    Yields:
        `("file:line", row)`; for Parquet and Arrow the number of the row stands for the line. Of a
        file that is cut short, what is lost counts as one bad row.

    Raises:
        InputError: the source cannot be read.
    """
    if path != "-" and os.path.isdir(path):
        for part in log_files(Path(path)):
            yield from rows(str(part))
        return
    if path != "-" and not os.path.exists(path):
        parts = split_files(Path(path))
        for part in parts:
            yield from rows(str(part))
        if parts:
            return
    try:
        yield from _of_file(path)
    except CutShort as error:
        yield error.place, FieldError(error.field, error.what)


def _of_file(path: str) -> Iterator[tuple[str, Row]]:
    with reading(path) as file:
        head = file.stream.peek(4096)[:4096]
        if head.startswith(codecs.BOM_UTF8):
            head = head.removeprefix(file.stream.read(len(codecs.BOM_UTF8)))
        if not head.startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM)):
            if re.match(rb"\s*(\[|\{\s*\n)", head):
                yield from json_values(file)
            else:
                yield from file.lines()
            return
    if path == "-":
        raise InputError("<stdin>: Parquet and Arrow are read from files only")
    yield from _tabular(path, head)


def json_values(file: Reading) -> Iterator[tuple[str, Row]]:
    """Entries of JSON arrays, and JSON objects that stand outside of any, however they are spread.

    Args:
        file: opened, nothing of it read.

    Yields:
        `("file:line", object)`, the line where it begins, or what is wrong with it. What cannot be
        distinguished from what follows ends the reading.
    """
    text, at, inside, ended = "", 0, False, False
    utf8 = codecs.getincrementaldecoder("utf-8")()
    while True:
        gap = _BETWEEN[inside].match(text, at)
        assert gap is not None
        file.line += text.count("\n", at, gap.end())
        at, place = gap.end(), f"{file.name}:{file.line + 1}"
        if at < len(text):
            if text[at] == ("]" if inside else "["):
                inside, at = not inside, at + 1
                continue
            row, end = _value(text, at, ended)
            if row is not None:
                yield place, row
                if end is None:
                    return
                file.line += text.count("\n", at, end)
                at = end
                continue
        elif ended:
            if inside:
                yield place, FieldError("line", "the array has no end, is the file cut short?")
            return
        # Twice as much each time, so that reading a long value again costs no more than reading it.
        data = file.stream.read(max(_CHUNK, len(text) - at))
        ended = not data
        try:
            text, at = text[at:] + utf8.decode(data, final=ended), 0
        except UnicodeDecodeError as error:
            yield place, FieldError("line", f"here or after it: not UTF-8 ({error.reason})")
            return


def _value(text: str, at: int, ended: bool) -> tuple[Row | None, int | None]:
    """The value at a place, or what is wrong with it, and where it ends.

    No value if more must be read to know it; no end if it is not known where it ends.
    """
    row: Row | None = None
    for decoder in (_STRICT, _LAX):
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            # An open text, or the very end: that may come of having read too little.
            open_ = error.msg.startswith("Unterminated string") or error.pos >= len(text) - 16
            if open_ and not ended:
                return None, None
            torn = ", is the file cut short?" if ended else ""
            what = f"{error.msg} {amount(error.pos - at, 'character')} into it"
            return FieldError(
                "line", f"not JSON ({what}); nothing after it can be read{torn}"
            ), None
        except RecursionError:
            return FieldError("line", "not JSON that can be read (nested too deep)"), None
        except ValueError as error:
            # Whole, but of no use; the other decoder finds where it ends.
            row = _as_field_error(error)
            continue
        # A number at the end of what has been read may go on.
        if end == len(text) and not ended:
            return None, None
        if row is None:
            good = isinstance(value, dict)
            row = value if good else FieldError("line", f"needs a JSON object, got {kind(value)}")
        return row, end
    raise AssertionError("unreachable: one decoder takes any number and any key")


def _as_field_error(error: ValueError) -> FieldError:
    if isinstance(error, FieldError):
        return error
    return FieldError("line", f"not JSON that can be read ({str(error).split(';')[0]})")


def _tabular(path: str, head: bytes) -> Iterator[tuple[str, Row]]:
    pyarrow = module_of("pyarrow", "replay", f"{path}: a table of Parquet or Arrow")
    number = 0
    try:
        if head.startswith(_PARQUET):
            for row in _parquet_rows(path):
                number += 1
                yield f"{path}:{number}", row
            return
        with pyarrow.memory_map(path) as source:
            if head.startswith(_ARROW_FILE):
                reader = pyarrow.ipc.open_file(source)
                batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                batches = iter(pyarrow.ipc.open_stream(source))
            for batch in batches:
                for start in range(0, batch.num_rows, 64):
                    for row in batch.slice(start, 64).to_pylist():
                        number += 1
                        yield f"{path}:{number}", _as_json(row)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        what = short(next(iter(str(error).splitlines()), type(error).__name__))
        raise InputError(f"{path}:{number + 1}: cannot be read ({what})") from None


def _parquet_rows(path: str) -> Iterator[Any]:
    """The rows of a Parquet file, so many at once as a moderate memory holds."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        # Arrow cannot join lists beyond 2 GiB, which a few rows of long solutions have.
        first = next(file.iter_batches(batch_size=1), None)
    if first is None:
        return
    size = max(1, min(_ROWS, _BYTES // max(1, first.nbytes)))
    done = 0
    while True:
        start = done
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=size):
                    # What was read before a failure is read again and passed over.
                    here, start = start, max(0, start - batch.num_rows)
                    for row in batch.slice(here).to_pylist():
                        done += 1
                        yield _as_json(row)
            return
        except pyarrow.ArrowNotImplementedError:
            if size == 1:
                raise
            size = 1


def _as_json(value: Any) -> Any:
    """A value of Arrow as one of JSON: what JSON has no word for becomes a text."""
    if isinstance(value, dict):
        return {str(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(entry) for entry in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
