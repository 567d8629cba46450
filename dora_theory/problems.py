"""Reads allocation problems, one JSON object a line, and says what is wrong with a line and where.

Every field that the format defines is checked wherever it stands, needed or not, so that a file is
well formed or not whatever is done with it. Fields that the format does not define are ignored.
NumPy only: a bad file is reported before JAX is loaded.
"""

import gzip
import io
import json
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from jaxtyping import Float, Int

from dora_theory.errors import InputError

# Cosines computed in bfloat16 leave [-1, 1] by up to 2^-8 a factor.
_COSINE_SLACK = 0.01
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem as its line states it, k candidates in g directions.

    Attributes:
        id: whatever JSON value the line gave, None if none.
        size: k ≥ 1.
        scores: PRM scores in [0, 1], shape `(k,)`; None if `weights` are given.
        weights: qualities in [0, 1], shape `(k,)`; None if `scores` are given.
        embeddings: shape `(k, d)`, each row finite and not zero, or None.
        similarity: cosines, shape `(k, k)`, or None.
        directions: direction of each candidate, shape `(k,)`, numbered from 0 in the order in
            which the labels first appear, or None.
        direction_weights: qualities in [0, 1] of the directions, shape `(g,)`, or None.
    """

    id: Any
    size: int
    scores: Float[np.ndarray, " k"] | None
    weights: Float[np.ndarray, " k"] | None
    embeddings: Float[np.ndarray, "k d"] | None
    similarity: Float[np.ndarray, "k k"] | None
    directions: Int[np.ndarray, " k"] | None
    direction_weights: Float[np.ndarray, " g"] | None


class FieldError(ValueError):
    """A field of one line that cannot be used: which, and why."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(field, what)
        self.field = field
        self.what = what


def read_problems(path: str) -> Iterator[tuple[str, Problem]]:
    """Problems of a JSON-lines file, in order, each with its place.

    Args:
        path: a file, gzip-compressed or not (told by its first bytes), or `-` for standard input.

    Yields:
        `("file:line", Problem)`. Blank lines at the end are no problems; a blank line before
        another one is an error, because the output would no longer match the input line for line.

    Raises:
        InputError: the file cannot be read or a line cannot be used; the message is one line,
            `file:line: field: what`.
    """
    name = "<stdin>" if path == "-" else path
    number = 0
    blank = 0
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    blank = blank or number
                    continue
                if blank:
                    raise InputError(f"{name}:{blank}: line: is blank, needs a JSON object")
                place = f"{name}:{number}"
                try:
                    problem = parse_problem(line)
                except FieldError as error:
                    raise InputError(f"{place}: {error.field}: {error.what}") from None
                yield place, problem
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = str(error).rstrip(".")
        raise InputError(
            f"{name}:{number + 1}: gzip: {what[:1].lower()}{what[1:]} (is the file cut short?)"
        ) from None
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from None


def parse_problem(line: bytes) -> Problem:
    """The problem that a line states; `FieldError` if it states none.

    Args:
        line: a JSON object in UTF-8, see design of the command line for its fields.

    Returns:
        The problem, with every value checked.

    Raises:
        FieldError: the first thing that is wrong.
    """
    record = _object(line)
    if "id" in record:
        try:
            json.dumps(record["id"], allow_nan=False)
        except ValueError:
            raise FieldError("id", "holds a number that JSON cannot write") from None
    # null is what many writers put for a field that they do not have.
    scores, weights, embeddings, similarity, labels, qualities = (
        record.get(field)
        for field in (
            "scores",
            "weights",
            "embeddings",
            "similarity",
            "directions",
            "direction_weights",
        )
    )
    _not_both("scores", scores, "weights", weights)
    _not_both("embeddings", embeddings, "similarity", similarity)
    sized = [
        (field, value)
        for field, value in (("scores", scores), ("weights", weights), ("directions", labels))
        if value is not None
    ]
    if not sized or (scores is None and weights is None and qualities is None):
        found = _short(", ".join(map(_name, record)) or "nothing")
        raise FieldError("scores", f"missing: needs scores or weights, found {found}")
    for field, value in sized:
        _check_list(field, value, "candidate")
    first, size = sized[0][0], len(sized[0][1])
    for field, value in sized[1:]:
        _check_length(field, value, first, size)
    directions = direction_weights = None
    if labels is not None:
        directions, names = _number_labels(labels)
        if qualities is not None:
            direction_weights = _direction_weights(qualities, names)
    elif qualities is not None:
        raise FieldError("directions", "missing: direction_weights need the candidates' labels")
    return Problem(
        id=record.get("id"),
        size=size,
        scores=None if scores is None else _numbers("scores", scores, 0, 1),
        weights=None if weights is None else _numbers("weights", weights, 0, 1),
        embeddings=None if embeddings is None else _embeddings(embeddings, first, size),
        similarity=None if similarity is None else _similarity(similarity, first, size),
        directions=directions,
        direction_weights=direction_weights,
    )


@contextmanager
def _open(path: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The lines of a file or of standard input, unpacked if they are gzip-compressed."""
    with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as raw:
        lines: Any = raw if hasattr(raw, "peek") else io.BufferedReader(cast(Any, raw))
        if lines.peek(len(_GZIP)).startswith(_GZIP):
            with gzip.GzipFile(fileobj=lines, mode="rb") as unpacked:
                yield unpacked
        elif path.endswith(".gz"):
            raise gzip.BadGzipFile("not a gzip file")
        else:
            yield lines


def _object(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FieldError("line", f"not UTF-8 ({error.reason} at byte {error.start + 1})") from None
    try:
        record = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        torn = "" if line.endswith(b"\n") else "; the line has no end, is the file cut short?"
        raise FieldError("line", f"not JSON ({error.msg} at column {error.colno}{torn})") from None
    except RecursionError:
        raise FieldError("line", "not JSON that can be read (nested too deep)") from None
    except FieldError:
        raise
    except ValueError as error:  # An integer of more digits than Python converts.
        raise FieldError(
            "line", f"not JSON that can be read ({str(error).split(';')[0]})"
        ) from None
    if not isinstance(record, dict):
        raise FieldError("line", f"needs a JSON object, got {_kind(record)}")
    return record


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise FieldError(_name(key), "stands twice in one object")
            seen.add(key)
    return record


def _not_both(field: str, value: Any, other: str, other_value: Any) -> None:
    if value is not None and other_value is not None:
        raise FieldError(other, f"given beside {field}: needs one of the two")


def _check_list(field: str, value: Any, of: str) -> None:
    if not isinstance(value, list):
        raise FieldError(field, f"needs a list, got {_kind(value)}")
    if not value:
        raise FieldError(field, f"empty, needs at least one {of}")


def _check_length(field: str, value: list, other: str, size: int) -> None:
    if len(value) != size:
        raise FieldError(field, f"has length {len(value)}, but {other} has length {size}")


def _numbers(
    field: str,
    values: list,
    low: float,
    high: float,
    *,
    row: int | None = None,
    keys: Sequence[str] | None = None,
) -> Float[np.ndarray, " k"]:
    """A list of JSON numbers in [low, high] as float64; booleans are no numbers.

    `row` is where the list itself stands; `keys` name its places, if they are not 0, 1, …
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
            raise FieldError(field, f"{where} is {_short(_text(value))}: needs {wants}")
    raise AssertionError("unreachable: no bad number found")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _rows(field: str, value: Any, first: str, size: int, high: float) -> Float[np.ndarray, "k d"]:
    _check_list(field, value, "row")
    _check_length(field, value, first, size)
    for i, row in enumerate(value):
        if not isinstance(row, list):
            raise FieldError(field, f"[{i}] is {_kind(row)}: needs a list of numbers")
        if not row:
            raise FieldError(field, f"[{i}] is empty")
        if len(row) != len(value[0]):
            raise FieldError(
                field, f"[{i}] has length {len(row)}, but [0] has length {len(value[0])}"
            )
    return np.stack([_numbers(field, row, -high, high, row=i) for i, row in enumerate(value)])


def _embeddings(value: Any, first: str, size: int) -> Float[np.ndarray, "k d"]:
    rows = _rows("embeddings", value, first, size, math.inf)
    largest = np.abs(rows).max(-1)
    if not largest.all():
        raise FieldError(
            "embeddings", f"[{np.flatnonzero(largest == 0)[0]}] is zero, which has no direction"
        )
    # A power of two changes no cosine, and keeps squares from overflow and underflow.
    return np.ldexp(rows, -np.frexp(largest)[1][:, None])


def _similarity(value: Any, first: str, size: int) -> Float[np.ndarray, "k k"]:
    rows = _rows("similarity", value, first, size, 1 + _COSINE_SLACK)
    if rows.shape[1] != size:
        raise FieldError("similarity", f"is {size} × {rows.shape[1]}, needs {size} × {size}")
    return rows


def _number_labels(labels: list) -> tuple[Int[np.ndarray, " k"], dict[str, int]]:
    numbers: dict[str, int] = {}
    for i, label in enumerate(labels):
        if label is None or isinstance(label, list | dict) or label != label:
            raise FieldError("directions", f"[{i}] is {_short(_text(label))}: needs a label")
        numbers.setdefault(_label(label), len(numbers))
    return np.array([numbers[_label(label)] for label in labels], dtype=np.int32), numbers


def _label(label: Any) -> str:
    """Labels are compared as text, because the keys of `direction_weights` are text."""
    if isinstance(label, str):
        return label
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return json.dumps(label)


def _direction_weights(value: Any, names: dict[str, int]) -> Float[np.ndarray, " g"]:
    """Qualities in the order of `names`. A label that no candidate carries only has to be valid."""
    field = "direction_weights"
    if not isinstance(value, dict):
        raise FieldError(field, f"needs an object label → quality, got {_kind(value)}")
    if value:
        _numbers(field, list(value.values()), 0, 1, keys=list(map(_name, value)))
    for name in names:
        if name not in value:
            raise FieldError(field, f"has no quality for direction {_name(name)}")
    return np.array([value[name] for name in names], dtype=np.float64)


def _name(key: str) -> str:
    """A key of the file as it can stand in a message of one line."""
    return _short(key if key.isidentifier() else json.dumps(key))


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _text(value: Any) -> str:
    return _kind(value) if isinstance(value, dict | list) else json.dumps(value)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
