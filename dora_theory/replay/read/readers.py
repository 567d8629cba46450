"""Reading a log: its rows from wherever they stand, each in its format, in constant memory."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from dora_theory._errors import InputError
from dora_theory.io.jsonl import FieldError, json_object
from dora_theory.replay.read.formats import FORMATS, Parse, columns, format_of
from dora_theory.replay.read.record import Record
from dora_theory.replay.read.sources import Row, rows

Note = Callable[[str], None]
Check = Callable[[Record], None]

# What to do about the first bad record.
_HINT = " (--skip-bad N leaves out up to N such records)"


def read_log(
    path: str,
    *,
    log_format: str = "auto",
    mapping: Mapping[str, str] | None = None,
    skip_bad: int = 0,
    check: Check = lambda _: None,
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
        check: raises `FieldError` for a record that is of no use, which then is a bad one.
        note: called with each thing that the user should know, one line each.

    Yields:
        The records. Blank lines hold none.

    Raises:
        InputError: the file cannot be read, more than `skip_bad` records cannot be used, or there
            is none; `file:line: field: what`.
    """
    records = _records(path, log_format, mapping, skip_bad, check, note)
    return columns.together(records) if mapping and "text" in mapping else records


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
    skipped = good = 0
    for place, row in rows(path):
        if isinstance(row, bytes) and not row.strip():
            continue
        try:
            value = _object(row)
            if parse is None:
                name = format_of(value)
                parse = FORMATS[name].parse
                note(f"{path}: read as a log of the {name} format")
            record = parse(value, place)
            check(record)
        except FieldError as error:
            message = f"{place}: {error.field}: {error.what}"
            if skipped >= skip_bad:
                hint = f" ({skipped} before it skipped)" if skipped else _HINT
                raise InputError(message + hint) from None
            skipped += 1
            note(f"skipped {message}")
            continue
        good += 1
        yield record
    if skipped:
        note(f"{path}: {skipped} bad records skipped, {good} records read")
    if not good:
        raise InputError(f"{path}: holds no record")


def _object(row: Row) -> dict:
    if isinstance(row, FieldError):
        raise row
    return json_object(row) if isinstance(row, bytes) else row
