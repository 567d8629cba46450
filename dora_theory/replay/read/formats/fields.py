"""Fields that all formats have: what they may hold, and what is said if they hold anything else."""

import math
from typing import Any

from dora_theory._errors import short
from dora_theory.io.jsonl import FieldError, check_length, check_list, kind, numbers, shown


def entries(row: dict[str, Any], field: str, of: str) -> list[Any]:
    """A list with at least one entry."""
    if row.get(field) is None:
        raise FieldError(field, "missing")
    check_list(field, row[field], of)
    return row[field]


def texts(row: dict[str, Any], field: str, of: str) -> list[str]:
    """A list of texts, at least one; null is an empty one."""
    found = ["" if is_missing(text) else text for text in entries(row, field, of)]
    for i, text in enumerate(found):
        if not isinstance(text, str):
            hint = (
                "; name a place inside it, as in resps.0" if isinstance(text, list | dict) else ""
            )
            raise FieldError(field, f"[{i}] is {described(text)}: needs a text{hint}")
    return found


def solution(row: dict[str, Any], field: str, prefix: str = "") -> str:
    """The text of a solution that must be there; null is an empty one."""
    return "" if field in row and is_missing(row[field]) else required(row, field, prefix)


def is_missing(value: Any) -> bool:
    """Whether a value is null, for which tables have NaN too."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def each(row: dict[str, Any], field: str, other: str, size: int) -> list[Any]:
    """A list with an entry for each of another one; entries of None if the field is missing."""
    found = row.get(field)
    if found is None:
        return [None] * size
    check_list(field, found, "entry")
    check_length(field, found, other, size)
    return found


def required(row: dict[str, Any], field: str, prefix: str = "") -> str:
    """A text that must be there."""
    value = row.get(field)
    if value is None:
        raise FieldError(prefix + field, "missing")
    if not isinstance(value, str):
        raise FieldError(prefix + field, f"is {described(value)}: needs a text")
    return value


def optional(row: dict[str, Any], field: str, prefix: str = "") -> str | None:
    """A text or a number (ids, levels and answers come as both), as text."""
    value = row.get(field)
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        raise FieldError(prefix + field, f"is {described(value)}: needs a text or a number")
    return str(value)


def scores(field: str, values: list[Any]) -> tuple[list[tuple[float, ...] | None], bool]:
    """Scores of the steps of all solutions, and whether they are one for each solution instead."""
    there = [value for value in values if not is_missing(value)]
    outcome = bool(there) and all(type(value) in (int, float) for value in there)
    lists = ([x] if outcome and not is_missing(x) else x for x in values)
    found = [
        step_scores(field, f"[{i}]", None if is_missing(x) else x) for i, x in enumerate(lists)
    ]
    return found, outcome


def verdict(field: str, value: Any) -> bool | None:
    """True, false or not said."""
    if value is not None and not isinstance(value, bool):
        raise FieldError(field, f"is {described(value)}: needs true, false or null")
    return value


def step_scores(field: str, where: str, value: Any) -> tuple[float, ...] | None:
    """Scores of the steps of one solution, None if there are none."""
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise FieldError(field + where, f"is {described(value)}: needs a list of numbers")
    return tuple(numbers(field + where, value, -math.inf, math.inf).tolist())


def number(field: str, value: Any) -> float | None:
    """A finite number, None if there is none."""
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) <= 1.7e308:
        raise FieldError(field, f"is {described(value)}: needs a finite number")
    return float(value)


def tokens(field: str, where: str, value: Any) -> int | None:
    """How many tokens; None if that is not known, for which logs have 0 and -1 too."""
    if is_missing(value):
        return None
    if type(value) not in (int, float) or not abs(value) < math.inf or value != int(value):
        raise FieldError(field + where, f"is {described(value)}: needs an integer")
    return int(value) if value > 0 else None


def row_name(place: str) -> str:
    """A name for a row that has none."""
    return f"row {place.rpartition(':')[2]}"


def described(value: Any) -> str:
    """A value as it can be shown in a message."""
    return kind(value) if isinstance(value, list | dict | str) else short(shown(value))
