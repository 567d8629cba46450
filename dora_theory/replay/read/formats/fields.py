"""Fields that all formats have: what they may hold, and what is said if they hold anything else."""

import math
import re
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
    """A list of texts, at least one."""
    found = entries(row, field, of)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise FieldError(field, f"[{i}] is {told(text)}: needs a text")
    return found


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
        raise FieldError(prefix + field, f"is {told(value)}: needs a text")
    return value


def optional(row: dict[str, Any], field: str, prefix: str = "") -> str | None:
    """A text or a number (ids, levels and answers come as both), as text."""
    value = row.get(field)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        raise FieldError(prefix + field, f"is {told(value)}: needs a text or a number")
    return str(value)


def verdict(field: str, value: Any) -> bool | None:
    """True, false or not said."""
    if value is not None and not isinstance(value, bool):
        raise FieldError(field, f"is {told(value)}: needs true, false or null")
    return value


def step_scores(field: str, where: str, value: Any) -> tuple[float, ...] | None:
    """Scores of the steps of one solution, None if there are none."""
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise FieldError(field + where, f"is {told(value)}: needs a list of numbers")
    return tuple(numbers(field + where, value, -math.inf, math.inf).tolist())


def number(field: str, value: Any) -> float | None:
    """A finite number, None if there is none."""
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) <= 1.7e308:
        raise FieldError(field, f"is {told(value)}: needs a finite number")
    return float(value)


def tokens(field: str, where: str, value: Any) -> int | None:
    """How many tokens; None if that is not known, for which logs have 0 and -1 too."""
    if value is None:
        return None
    if type(value) is not int:
        raise FieldError(field + where, f"is {told(value)}: needs a whole number")
    return value if value > 0 else None


def gold_of(solution: str | None) -> str | None:
    r"""The answer of a reference solution: in its last `\boxed{}`, after `####`, or all of it."""
    from dora_theory.replay.grade.correctness import final_answer

    if solution is None:
        return None
    boxed = final_answer(solution)
    return boxed if boxed is not None else solution.rpartition("####")[2].strip()


def stated_answer(text: str) -> str | None:
    r"""The final answer of a solution that ends in `The answer is …` instead of `\boxed{…}`."""
    found = re.findall(r"[Tt]he answer is:?[ \t]*([^\n]+)", text)
    return found[-1].strip().rstrip(".").strip() or None if found else None


def row_name(place: str) -> str:
    """A name for a row that has none."""
    return f"row {place.rpartition(':')[2]}"


def told(value: Any) -> str:
    """A value as it can stand in a message."""
    return kind(value) if isinstance(value, list | dict | str) else short(shown(value))
