"""The format of REBASE's authors: `question`, `ground_truth_answer`, `model_answer`.

An answer has the whole `text`, the prompt included, and `step_scores` of the path to it, or, where
nothing was searched, `num_gen_tokens`. Only leaves are written: the paths that the search gave up
are lost, so that what is there was kept.
"""

from typing import Any

from dora_theory.io.jsonl import FieldError
from dora_theory.replay.grade.final_answers import gold_of
from dora_theory.replay.read.formats import fields
from dora_theory.replay.read.record import Record, Sample


def known(row: dict[str, Any]) -> bool:
    """Whether a row is of this format."""
    return "model_answer" in row


def parse(row: dict[str, Any], place: str) -> Record:
    """The record of a row; `FieldError` if the row cannot be used."""
    question = fields.required(row, "question")
    samples, drawn = [], True
    for i, entry in enumerate(fields.entries(row, "model_answer", "answer")):
        where = f"model_answer[{i}]"
        if not isinstance(entry, dict):
            raise FieldError(where, f"is {fields.described(entry)}: needs an object")
        text = _solution(fields.solution(entry, "text", f"{where}."), question)
        tokens = fields.tokens(f"{where}.num_gen_tokens", "", entry.get("num_gen_tokens"))
        drawn = drawn and "num_gen_tokens" in entry
        samples.append(
            Sample(
                text=text,
                step_scores=fields.step_scores(
                    f"{where}.step_scores", "", entry.get("step_scores")
                ),
                tokens=tokens,
            )
        )
    return Record(
        place=place,
        problem_id=fields.optional(row, "id") or fields.row_name(place),
        problem=question,
        gold_answer=gold_of(fields.optional(row, "ground_truth_answer")),
        samples=tuple(samples),
        kind="independent" if drawn else "kept",
    )


def _solution(text: str, question: str) -> str:
    """What was written after the prompt, if the question can be found in it."""
    before, found, after = text.partition(question)
    return after.lstrip() if found and question.strip() else before
