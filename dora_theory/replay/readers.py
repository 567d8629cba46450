"""Readers of logs, one record a line, in constant memory.

Two formats are told apart by the first record:

`search-and-learn`: `problem`, `answer`, `completions` (a list of texts), `scores` (for each text
    the PRM's score after every step), and if there `completion_tokens`, `unique_id`, `level`,
    `subject`. What huggingface/search-and-learn and the tools made from it write. Other columns
    (`pred`, `agg_scores`, `pred_maj@k`, …) are not read.
`plain`: `problem_id`, `problem`, `gold_answer` and `samples`, objects with `text`, and if there
    `final_answer`, `correct`, `step_scores`, `completion_tokens`, `method`.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from dora_theory.errors import InputError
from dora_theory.lines import (
    FieldError,
    check_length,
    check_list,
    json_object,
    key_name,
    kind,
    numbered_lines,
    numbers,
    short,
    shown,
)
from dora_theory.replay.record import Kind, Record, Sample

Note = Callable[[str], None]


def read_log(path: str, *, skip_bad: int = 0, note: Note = lambda _: None) -> Iterator[Record]:
    """Records of a log, in order.

    Args:
        path: JSON lines, gzip-compressed or not, or `-` for standard input.
        skip_bad: how many records that cannot be used are left out, each with a note, before one
            ends the reading. A file that is cut short has one.
        note: called with each thing that the user should know, one line each.

    Yields:
        The records. Blank lines hold none.

    Raises:
        InputError: the file cannot be read, more than `skip_bad` records cannot be used, or there
            is none; `file:line: field: what`.
    """
    parse: Callable[[dict[str, Any], str], Record] | None = None
    skipped = good = 0
    lines = numbered_lines(path)
    while True:
        try:
            place, line = next(lines)
        except StopIteration:
            break
        except InputError as error:
            # The rest of a file that is cut short is one record; any other fault is no record.
            if good + skipped == 0 or skipped >= skip_bad or "cut short" not in str(error):
                raise
            skipped += 1
            note(f"skipped {error}")
            break
        if not line.strip():
            continue
        try:
            row = json_object(line)
            if parse is None:
                name, parse = _format(row)
                note(f"{path}: read as a log of the {name} format")
            record = parse(row, place)
        except FieldError as error:
            message = f"{place}: {error.field}: {error.what}"
            if skipped >= skip_bad:
                hint = f" ({skipped} before it skipped)" if skipped else ""
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


def _format(row: dict[str, Any]) -> tuple[str, Callable[[dict[str, Any], str], Record]]:
    if "samples" in row or "tree_nodes" in row:
        return "plain", _plain
    if "completions" in row:
        return "search-and-learn", _search_and_learn
    found = short(", ".join(map(key_name, row)) or "nothing")
    raise FieldError(
        "samples", f"missing: needs samples (plain) or completions (search-and-learn), got {found}"
    )


def _search_and_learn(row: dict[str, Any], place: str) -> Record:
    texts = _list(row, "completions", "completion")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise FieldError("completions", f"[{i}] is {_told(text)}: needs a text")
    scores = row.get("scores")
    if scores is None:
        scores = [None] * len(texts)
    check_list("scores", scores, "completion")
    check_length("scores", scores, "completions", len(texts))
    tokens = row.get("completion_tokens")
    # DVTS writes -1 for all.
    if not isinstance(tokens, list):
        tokens = [None] * len(texts)
    check_length("completion_tokens", tokens, "completions", len(texts))
    samples = (
        Sample(
            text=text,
            step_scores=_step_scores("scores", f"[{i}]", scores[i]),
            tokens=_tokens("completion_tokens", f"[{i}]", tokens[i]),
        )
        for i, text in enumerate(texts)
    )
    return Record(
        place=place,
        problem_id=_optional(row, "unique_id") or f"row {place.rpartition(':')[2]}",
        problem=_text(row, "problem"),
        gold_answer=_optional(row, "answer"),
        samples=tuple(samples),
        level=_optional(row, "level"),
        subject=_optional(row, "subject"),
    )


def _plain(row: dict[str, Any], place: str) -> Record:
    problem = _text(row, "problem")
    tree = row.get("tree_nodes") is not None
    # A tree may come without the paths that a reader of samples wants.
    entries = [] if tree and row.get("samples") is None else _list(row, "samples", "sample")
    samples, methods = [], set()
    for i, entry in enumerate(entries):
        where = f"samples[{i}]"
        if not isinstance(entry, dict):
            raise FieldError(where, f"is {_told(entry)}: needs an object")
        correct = entry.get("correct")
        if correct is not None and not isinstance(correct, bool):
            raise FieldError(f"{where}.correct", f"is {_told(correct)}: needs true, false or null")
        samples.append(
            Sample(
                text=_text(entry, "text", f"{where}."),
                final_answer=_optional(entry, "final_answer", f"{where}."),
                correct=correct,
                step_scores=_step_scores(f"{where}.step_scores", "", entry.get("step_scores")),
                tokens=_tokens(f"{where}.completion_tokens", "", entry.get("completion_tokens")),
            )
        )
        methods.add(_optional(entry, "method", f"{where}.") or "")
    return Record(
        place=place,
        problem_id=_optional(row, "problem_id") or f"row {place.rpartition(':')[2]}",
        problem=problem,
        gold_answer=_optional(row, "gold_answer"),
        samples=tuple(samples),
        kind=_kind_of(tree, methods),
        level=_optional(row, "level"),
        subject=_optional(row, "subject"),
    )


def _kind_of(tree: bool, methods: set[str]) -> Kind:
    if tree:
        return "tree"
    # What a search has pruned are no draws: the good ones are left.
    return "kept" if any(m.endswith("_pruned") for m in methods) else "independent"


def _list(row: dict[str, Any], field: str, of: str) -> list[Any]:
    if row.get(field) is None:
        raise FieldError(field, "missing")
    check_list(field, row[field], of)
    return row[field]


def _text(row: dict[str, Any], field: str, prefix: str = "") -> str:
    value = row.get(field)
    if value is None:
        raise FieldError(prefix + field, "missing")
    if not isinstance(value, str):
        raise FieldError(prefix + field, f"is {_told(value)}: needs a text")
    return value


def _optional(row: dict[str, Any], field: str, prefix: str = "") -> str | None:
    """A text or a number (ids, levels and answers come as both), as text."""
    value = row.get(field)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        raise FieldError(prefix + field, f"is {_told(value)}: needs a text or a number")
    return str(value)


def _step_scores(field: str, where: str, value: Any) -> tuple[float, ...] | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise FieldError(field + where, f"is {_told(value)}: needs a list of numbers")
    return tuple(numbers(field + where, value, -math.inf, math.inf).tolist())


def _tokens(field: str, where: str, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int:
        raise FieldError(field + where, f"is {_told(value)}: needs a whole number")
    # 0 and -1 stand for unknown in the logs of beam search and DVTS.
    return value if value > 0 else None


def _told(value: Any) -> str:
    return kind(value) if isinstance(value, list | dict | str) else short(shown(value))
