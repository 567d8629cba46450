"""OpenR's format, which compute-optimal-tts writes too: `question`, `groundtruth`, `output`.

A path of the output has `text`, `value` (a score a step; [0] where nothing was scored), and
`completion_tokens`; `tree_completion_tokens` is there only if a search ran.
"""

from typing import Any

from dora_theory.io.jsonl import FieldError
from dora_theory.replay.grade.final_answers import gold_of
from dora_theory.replay.read.formats import fields
from dora_theory.replay.read.record import Record, Sample


def known(row: dict[str, Any]) -> bool:
    """Whether a row is of this format."""
    return "output" in row and "question" in row


def parse(row: dict[str, Any], place: str) -> Record:
    """The record of a row; `FieldError` if the row cannot be used."""
    question = fields.required(row, "question")
    samples, searched = [], False
    for i, entry in enumerate(fields.entries(row, "output", "path")):
        where = f"output[{i}]"
        if not isinstance(entry, dict):
            raise FieldError(where, f"is {fields.described(entry)}: needs an object")
        value = entry.get("value")
        tokens = entry.get("completion_tokens")
        searched = searched or entry.get("tree_completion_tokens") is not None
        samples.append(
            Sample(
                text=fields.solution(entry, "text", f"{where}."),
                final_answer=fields.optional(entry, "extracted_answer", f"{where}.") or None,
                step_scores=fields.step_scores(
                    f"{where}.value", "", None if value == [0] else value
                ),
                tokens=fields.tokens(f"{where}.completion_tokens", "", tokens),
            )
        )
    return Record(
        place=place,
        problem_id=fields.optional(row, "id") or fields.row_name(place),
        problem=question,
        gold_answer=gold_of(fields.optional(row, "groundtruth")),
        samples=tuple(samples),
        kind="kept" if searched else "independent",
    )
