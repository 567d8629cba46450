"""Any table whose columns are named on the command line: `problem=question,text=response,…`.

A row holds all solutions of a problem (`completions`, a list, and lists beside it), or one of them
(`text`): then rows that follow each other and have the same problem are one record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dora_theory._errors import InputError
from dora_theory.io.jsonl import FieldError
from dora_theory.replay.read.formats import fields
from dora_theory.replay.read.record import Record, Sample

_OF_A_ROW = ("problem", "problem_id", "gold_answer", "level", "subject")
_OF_A_SAMPLE = ("step_scores", "final_answer", "correct", "tokens")
FIELDS = (*_OF_A_ROW, "completions", "text", *_OF_A_SAMPLE)


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
            raise InputError(f"--map: {field} stands twice")
        seen.add(field)
        columns[field] = column
    if ("completions" in columns) == ("text" in columns):
        raise InputError(
            "--map: needs completions=COLUMN (a list in each row) or text=COLUMN (a solution in "
            "each row)"
        )
    return columns


def parse(row: dict[str, Any], place: str, columns: Mapping[str, str]) -> Record:
    """The record of a row; `FieldError`, naming the column, if the row cannot be used."""
    try:
        return _record({name: _at(row, column) for name, column in columns.items()}, place)
    except FieldError as error:
        name, bracket, rest = error.field.partition("[")
        column = columns.get(name, name)
        raise FieldError(column + bracket + rest, error.what) from None


def together(records: Iterator[Record]) -> Iterator[Record]:
    """One record for those that follow each other and have the same problem."""
    held: Record | None = None
    samples: list[Sample] = []
    for record in records:
        if held is not None and (record.problem, record.gold_answer) == (
            held.problem,
            held.gold_answer,
        ):
            samples += record.samples
            continue
        if held is not None:
            yield replace(held, samples=tuple(samples))
        held, samples = record, list(record.samples)
    if held is not None:
        yield replace(held, samples=tuple(samples))


def _record(row: dict[str, Any], place: str) -> Record:
    if "text" in row:
        texts, at = [fields.required(row, "text")], ""
        lists = {name: [row.get(name)] for name in _OF_A_SAMPLE}
    else:
        texts, at = fields.texts(row, "completions", "completion"), "[{}]"
        lists = {name: fields.each(row, name, "completions", len(texts)) for name in _OF_A_SAMPLE}
    samples = []
    for i, text in enumerate(texts):
        one = {name: values[i] for name, values in lists.items()}
        where = at.format(i)
        samples.append(
            Sample(
                text=text,
                final_answer=fields.optional(
                    {f"final_answer{where}": one["final_answer"]}, f"final_answer{where}"
                ),
                correct=fields.verdict(f"correct{where}", _flag(one["correct"])),
                step_scores=fields.step_scores("step_scores", where, one["step_scores"]),
                tokens=fields.tokens("tokens", where, one["tokens"]),
            )
        )
    return Record(
        place=place,
        problem_id=fields.optional(row, "problem_id") or fields.row_name(place),
        problem=fields.required(row, "problem"),
        gold_answer=fields.optional(row, "gold_answer"),
        samples=tuple(samples),
        level=fields.optional(row, "level"),
        subject=fields.optional(row, "subject"),
    )


def _flag(value: Any) -> Any:
    """Verdicts that are kept as 0 and 1."""
    return bool(value) if type(value) in (int, float) and value in (0, 1) else value


def _at(row: dict[str, Any], column: str) -> Any:
    """A column, or a field inside one (`meta.answer`)."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
