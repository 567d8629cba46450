"""Files of one JSON object a line: opening them, and saying in one line what is wrong and where.

What a line must hold is the business of its reader; here is what all readers share. NumPy only: a
bad file is reported before JAX is loaded.
"""

import codecs
import gzip
import io
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO, Any, TypeVar, cast

import numpy as np
from jaxtyping import Float

from dora_theory._errors import InputError, short
from dora_theory.io.extras import module_of

T = TypeVar("T")
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class FieldError(ValueError):
    """A field of one line that cannot be used: which, and why."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(field, what)
        self.field = field
        self.what = what


class CutShort(InputError):
    """A file that ends inside its compressed data; what came before is good.

    Attributes:
        place: `file:line` where it ends.
        field: what it was packed with.
        what: what is wrong.
    """

    def __init__(self, place: str, field: str, what: str) -> None:
        super().__init__(f"{place}: {field}: {what}")
        self.place, self.field, self.what = place, field, what


@dataclass
class Reading:
    """A file being read.

    Attributes:
        name: of the file, for messages.
        stream: its bytes, unpacked.
        line: the last line that was read whole, kept by whoever reads.
    """

    name: str
    stream: Any
    line: int = 0

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """The lines, each with its place `file:line`."""
        for line in self.stream:
            self.line += 1
            yield f"{self.name}:{self.line}", unmarked(line) if self.line == 1 else line


def unmarked(first: bytes) -> bytes:
    """The first line without the byte order mark that tools of Windows begin a file with."""
    return first.removeprefix(codecs.BOM_UTF8)


@contextmanager
def reading(path: str) -> Iterator[Reading]:
    """Opens a file for reading.

    Args:
        path: a file, compressed by gzip, by zstd or not (recognized by its first bytes), or `-` for
            standard input.

    Yields:
        The file, unpacked as it is read.

    Raises:
        InputError: the file cannot be read or unpacked; `CutShort` if it ends too early.
    """
    file = Reading("<stdin>" if path == "-" else path, None)
    try:
        with _open(path) as file.stream:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = str(error).rstrip(".")
        said = f"{what[:1].lower()}{what[1:]} (is the file cut short?)"
        raise CutShort(f"{file.name}:{file.line + 1}", "gzip", said) from None
    except OSError as error:
        what = error.strerror or str(error)
        if what.startswith("Truncated compressed"):
            said = "truncated (is the file cut short?)"
            raise CutShort(f"{file.name}:{file.line + 1}", "zstd", said) from None
        raise InputError(f"{file.name}: {what}") from None


def numbered_lines(path: str) -> Iterator[tuple[str, bytes]]:
    """Lines of a file, in order, each with its place.

    Args:
        path: as `reading`.

    Yields:
        `("file:line", line)`, lines numbered from 1, blank ones too.

    Raises:
        InputError: as `reading`.
    """
    with reading(path) as file:
        yield from file.lines()


def parsed_lines(path: str, parse: Callable[[bytes], T]) -> Iterator[tuple[str, T]]:
    """What the lines of a file state, in order, each with its place.

    Args:
        path: as `reading`.
        parse: of one line; raises `FieldError` if it states nothing.

    Yields:
        `("file:line", parsed)`. Blank lines at the end state nothing; a blank line before another
        one is an error, because the output would no longer match the input line for line.

    Raises:
        InputError: as `reading`; a line that cannot be used, as `file:line: field: what`.
    """
    blank = ""
    for place, line in numbered_lines(path):
        if not line.strip():
            blank = blank or place
            continue
        if blank:
            raise InputError(f"{blank}: line: is blank, needs a JSON object")
        try:
            found = parse(line)
        except FieldError as error:
            raise InputError(f"{place}: {error.field}: {error.what}") from None
        yield place, found


def not_both(field: str, value: Any, other: str, other_value: Any) -> None:
    """`FieldError` if two fields are given that stand in place of each other."""
    if value is not None and other_value is not None:
        raise FieldError(other, f"given beside {field}: needs one of the two")


def json_object(line: bytes) -> dict[str, Any]:
    """The JSON object in UTF-8 that a line states; `FieldError` if it states none."""
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise FieldError("line", f"not UTF-8 ({error.reason} at byte {error.start + 1})") from None
    if not text.strip():
        raise FieldError("line", "is blank, needs a JSON object")
    try:
        record = json.loads(text, object_pairs_hook=without_repeats)
    except json.JSONDecodeError as error:
        torn = "" if line.endswith(b"\n") else "; the line has no end, is the file cut short?"
        what = f"{error.msg.removesuffix(' at')} at column {error.colno}"
        raise FieldError("line", f"not JSON ({what}{torn})") from None
    except RecursionError:
        raise FieldError("line", "not JSON that can be read (nested too deep)") from None
    except FieldError:
        raise
    except ValueError as error:  # An integer of more digits than Python converts.
        raise FieldError(
            "line", f"not JSON that can be read ({str(error).split(';')[0]})"
        ) from None
    if not isinstance(record, dict):
        raise FieldError("line", f"needs a JSON object, got {kind(record)}")
    return record


@contextmanager
def _open(path: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The bytes of a file or of standard input, unpacked if they are compressed."""
    if path == "-" and sys.stdin is None:
        raise InputError("<stdin>: is closed")
    with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as raw:
        lines: Any = raw if hasattr(raw, "peek") else io.BufferedReader(cast(Any, raw))
        if lines.peek(len(_ZSTD)).startswith(_ZSTD):
            with _from_zstd(path, lines) as unpacked:
                yield unpacked
            return
        if lines.peek(len(_GZIP)).startswith(_GZIP):
            with gzip.GzipFile(fileobj=lines, mode="rb") as unpacked:
                yield unpacked
        elif path.endswith(".gz"):
            raise gzip.BadGzipFile("not a gzip file")
        else:
            yield lines


def _from_zstd(path: str, packed: Any) -> io.BufferedReader:
    unpack = ", or unpack it first (zstd -d)"
    pyarrow = module_of("pyarrow", "replay", f"{path}: zstd", hint=unpack)
    return io.BufferedReader(pyarrow.CompressedInputStream(packed, "zstd"))


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields; `FieldError` if one appears twice."""
    record = dict(pairs)
    if len(record) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise FieldError(key_name(key), "appears twice in one object")
            seen.add(key)
    return record


def check_list(field: str, value: Any, of: str) -> None:
    """`FieldError` unless `value` is a list with at least one entry."""
    if not isinstance(value, list):
        raise FieldError(field, f"needs a list, got {kind(value)}")
    if not value:
        raise FieldError(field, f"empty, needs at least one {of}")


def check_length(field: str, value: list, other: str, size: int) -> None:
    """`FieldError` unless `value` is as long as the field `other`."""
    if len(value) != size:
        raise FieldError(field, f"has length {len(value)}, but {other} has length {size}")


def numbers(
    field: str,
    values: list,
    low: float,
    high: float,
    *,
    row: int | None = None,
    keys: Sequence[str] | None = None,
) -> Float[np.ndarray, " k"]:
    """A list of JSON numbers in [low, high] as float64; booleans are no numbers.

    `row` is where the list itself is; `keys` name its places, if they are not 0, 1, …
    """
    if set(map(type, values)) <= {int, float}:
        try:
            array = np.array(values, dtype=np.float64)
        except OverflowError:
            pass  # An integer beyond 1e308, which is found below.
        else:
            # False if there is a NaN.
            if low <= array.min() and array.max() <= high and np.abs(array).max() < math.inf:
                return array
    wants = "a finite number" if high == math.inf else f"a number in [{low:g}, {high:g}]"
    for i, value in enumerate(values):
        if type(value) not in (int, float) or not (low <= value <= high and _is_finite(value)):
            where = f"[{i}]" if keys is None else f"[{keys[i]}]"
            if row is not None:
                where = f"[{row}]{where}"
            raise FieldError(field, f"{where} is {short(shown(value))}: needs {wants}")
    raise AssertionError("unreachable: no bad number found")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def key_name(key: str) -> str:
    """A key of the file as it can be shown in a message of one line."""
    return short(key if key.isidentifier() else json.dumps(key))


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


def shown(value: Any) -> str:
    """A JSON value as it can be shown in a message."""
    return kind(value) if isinstance(value, dict | list) else json.dumps(value)
