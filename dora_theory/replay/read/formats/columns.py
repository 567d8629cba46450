"""Any table whose columns are named on the command line: `problem=question,text=response,…`.

A row holds all solutions of a problem (`completions`, a list, and lists beside it), or one of them
(`text`): then all rows of the same problem are one record. A column may be a place inside of one:
`meta.answer`, `resps.0`, and `responses.message.content` for that field of every entry of a list.
`correct` may say which values are right: `correct=score>=1`, `correct=result=passed`.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from dora_theory._errors import InputError
from dora_theory.io.jsonl import FieldError, key_name
from dora_theory.replay.grade.final_answers import gold_of
from dora_theory.replay.read.formats import fields
from dora_theory.replay.read.record import Record, Sample

_OF_A_ROW = ("problem", "problem_id", "gold_answer", "level", "subject")
_OF_A_SAMPLE = ("step_scores", "final_answer", "correct", "tokens")
FIELDS = (*_OF_A_ROW, "completions", "text", *_OF_A_SAMPLE)

_TEST = re.compile(r"(.+?)\s*(>=|<=|==|!=|>|<|=)\s*(.+)")
# What evaluations of programs and tables of text write for true and false.
_SAID = {"true": True, "passed": True, "false": False, "failed": False, "timed out": False}


class Test(NamedTuple):
    """Which values of a column are right.

    Attributes:
        column: the column.
        sign: how a value compares to the limit; empty if it says itself whether it is right.
        limit: a number for `<`, `<=`, `>`, `>=`, else values with `|` between.
    """

    column: str
    sign: str = ""
    limit: str = ""

    def __call__(self, field: str, value: Any) -> bool | None:
        """The verdict, None if there is none; `FieldError` if the value cannot be compared."""
        if fields.is_missing(value):
            return None
        if not self.sign:
            return _verdict(field, value, self.column)
        if self.sign in ("=", "==", "!="):
            return any(_equal(value, x.strip()) for x in self.limit.split("|")) != (
                self.sign == "!="
            )
        number = fields.number(field, float(value) if isinstance(value, bool) else value)
        assert number is not None
        limit = float(self.limit)
        above, least = number > limit, self.sign.endswith("=") and number == limit
        return least or (above if self.sign[0] == ">" else number < limit)


@lru_cache
def test_of(text: str) -> Test:
    """A column, and after a sign the values that are right; `InputError` if it is not a test."""
    found = _TEST.fullmatch(text)
    if not found:
        return Test(text)
    test = Test(*found.groups())
    if test.sign[0] in "<>":
        try:
            finite = math.isfinite(float(test.limit))
        except ValueError:
            finite = False
        if not finite:
            raise InputError(f"--map: {text!r}: needs a number after {test.sign}")
    return test


def parse_map(text: str) -> dict[str, str]:
    """Field → column, of `field=column,field=column`.

    Args:
        text: what the user wrote.

    Returns:
        The columns. `problem` is its own column if not named.

    Raises:
        InputError: not in that form, a field that there is not, or not one of `completions` and
            `text`.
    """
    columns: dict[str, str] = {"problem": "problem"}
    seen = set()
    for part in text.split(","):
        field, equals, column = (x.strip() for x in part.partition("="))
        if not equals or not column:
            raise InputError(f"--map: {part!r}: needs field=column")
        if field not in FIELDS:
            raise InputError(f"--map: {field!r} is none of {', '.join(FIELDS)}")
        if field in seen:
            raise InputError(f"--map: {field} appears twice")
        seen.add(field)
        columns[field] = column
    test_of(columns.get("correct", ""))
    if ("completions" in columns) == ("text" in columns):
        raise InputError(
            "--map: needs completions=COLUMN (a list in each row) or text=COLUMN (a solution in "
            "each row)"
        )
    return columns


def parse(row: dict[str, Any], place: str, columns: Mapping[str, str]) -> Record:
    """The record of a row; `FieldError`, naming the column, if the row cannot be used."""
    test = test_of(columns.get("correct", ""))
    names = dict(columns) | ({"correct": test.column} if "correct" in columns else {})
    try:
        return _record({name: _at(row, column) for name, column in names.items()}, place, test)
    except FieldError as error:
        name, bracket, rest = error.field.partition("[")
        column = names.get(name, name)
        what = error.what
        if what == "missing" and column.split(".")[0] not in row:
            what += f": the row has {', '.join(map(key_name, row)) or 'nothing'}"
        raise FieldError(column + bracket + rest, what) from None


def _record(row: dict[str, Any], place: str, test: Test) -> Record:
    if "text" in row:
        # A row without its solution is a failed attempt.
        texts, at = [fields.solution(row, "text")], ""
        lists = {name: [row.get(name)] for name in _OF_A_SAMPLE}
        scores, outcome = fields.scores("step_scores", lists["step_scores"])
    else:
        texts, at = fields.texts(row, "completions", "completion"), "[{}]"
        lists = {name: fields.each(row, name, "completions", len(texts)) for name in _OF_A_SAMPLE}
        scores, outcome = fields.scores("step_scores", lists["step_scores"])
    samples = []
    for i, text in enumerate(texts):
        one = {name: values[i] for name, values in lists.items()}
        where = at.format(i)
        answer = f"final_answer{where}"
        samples.append(
            Sample(
                text=text,
                final_answer=fields.optional({answer: one["final_answer"]}, answer),
                correct=test(f"correct{where}", one["correct"]),
                step_scores=scores[i],
                tokens=fields.tokens("tokens", where, one["tokens"]),
            )
        )
    problem = fields.optional(row, "problem")
    if problem is None:
        raise FieldError("problem", "missing")
    return Record(
        place=place,
        problem_id=fields.optional(row, "problem_id") or fields.row_name(place),
        problem=problem,
        gold_answer=gold_of(fields.optional(row, "gold_answer")),
        samples=tuple(samples),
        level=fields.optional(row, "level"),
        subject=fields.optional(row, "subject"),
        outcome=outcome,
    )


def _verdict(field: str, value: Any, column: str) -> bool:
    if isinstance(value, bool) or (type(value) in (int, float) and value in (0, 1)):
        return bool(value)
    if isinstance(value, str):
        said = _SAID.get(value.partition(":")[0].strip().lower())
        if said is not None:
            return said
    # What is above 0 need not be right: rewards of form are.
    limit = ">=LIMIT" if type(value) in (int, float) else "=VALUE"
    hint = f"correct={column}{limit}"
    what = f"{value!r:.40}" if isinstance(value, str) else fields.described(value)
    raise FieldError(field, f"is {what}: needs true or false; --map {hint} says which are right")


def _equal(value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return isinstance(value, str) and value.strip() == text


def _at(row: dict[str, Any], column: str) -> Any:
    """A column, or what is inside of one (`meta.answer`, `responses.message.content`)."""
    if column in row:
        return row[column]
    return _inside(row, re.sub(r"\[(-?\d+|\*?)\]", r".\1", column).replace("..", ".").strip("."))


def _inside(value: Any, path: str) -> Any:
    if not path:
        return value
    head, _, rest = path.partition(".")
    if isinstance(value, list):
        if re.fullmatch(r"-?\d{1,9}", head):
            inside = -len(value) <= int(head) < len(value)
            return _inside(value[int(head)], rest) if inside else None
        return [_inside(entry, rest if head == "*" else path) for entry in value]
    if not isinstance(value, dict):
        return None
    # A key may have dots of its own.
    parts = path.split(".")
    for size in range(len(parts), 0, -1):
        key = ".".join(parts[:size])
        if key in value:
            return _inside(value[key], ".".join(parts[size:]))
    return None
