"""search-and-learn's format, and that of the tools made from it.

`problem`, `answer`, `completions` (a list of texts), `scores` (for each text the PRM's score after
every step), and if there `completion_tokens`, `unique_id`, `level`, `subject`, `agg_scores`, and
the tool's own votes `pred_weighted@k`, `pred_maj@k`, `pred_naive@k`.

best-of-n, beam search and DVTS write the same columns. DVTS has −1 for all tokens; what beam search
kept is decided by the beams themselves, which begin alike (`replay.integrity`).

DORA's authors' fork adds `quality_results`, `diversity_results` and the like, which only a search
writes, one entry an iteration, and keeps `preds@n`, the answers of the completions.
"""

import re
from collections.abc import Iterator
from typing import Any

from dora_theory.replay.grade.final_answers import boxed_answer, gold_of
from dora_theory.replay.read.formats import fields
from dora_theory.replay.read.record import Kind, Record, Sample

_VOTE = re.compile(r"pred_(weighted|maj|naive)@(\d{1,7})")
_SEARCHED = ("quality_results", "diversity_results", "all_quality_results", "all_diversity_results")


def known(row: dict[str, Any]) -> bool:
    """Whether a row is of this format."""
    return "completions" in row


def known_dora(row: dict[str, Any]) -> bool:
    """Whether a row is of the fork's format."""
    kept = any(re.fullmatch(r"(completions|preds|agg_scores)@\d+", key) for key in row)
    return known(row) and (kept or any(key in row for key in _SEARCHED))


def parse(row: dict[str, Any], place: str) -> Record:
    """The record of a row; `FieldError` if the row cannot be used."""
    return _record(row, place, "kept" if row.get("completion_tokens") == -1 else "independent", {})


def parse_dora(row: dict[str, Any], place: str) -> Record:
    """The record of a row of the fork's; `FieldError` if the row cannot be used."""
    for name in _SEARCHED:
        fields.step_scores(name, "", row.get(name))
    size = len(fields.entries(row, "completions", "completion"))
    answers = {}
    if row.get(f"preds@{size}") is not None:
        found = fields.texts(row, f"preds@{size}", "answer")
        fields.each(row, f"preds@{size}", "completions", size)
        answers = {i: boxed_answer(text) for i, text in enumerate(found)}
    searched = any(name in row for name in _SEARCHED)
    return _record(row, place, "kept" if searched else "independent", answers)


def _record(row: dict[str, Any], place: str, kind: Kind, answers: dict[int, str | None]) -> Record:
    texts = fields.texts(row, "completions", "completion")
    scores, aggregates = (
        fields.each(row, name, "completions", len(texts)) for name in ("scores", "agg_scores")
    )
    steps, outcome = fields.scores("scores", scores)
    tokens = row.get("completion_tokens")
    # DVTS writes -1 for all.
    per_text = row if isinstance(tokens, list) else {}
    tokens = fields.each(per_text, "completion_tokens", "completions", len(texts))
    samples = (
        Sample(
            text=text,
            final_answer=answers.get(i),
            step_scores=steps[i],
            tokens=fields.tokens("completion_tokens", f"[{i}]", tokens[i]),
            aggregate=fields.number(f"agg_scores[{i}]", aggregates[i]),
        )
        for i, text in enumerate(texts)
    )
    return Record(
        place=place,
        problem_id=fields.optional(row, "unique_id") or fields.row_name(place),
        problem=fields.required(row, "problem"),
        gold_answer=gold_of(fields.optional(row, "answer")),
        samples=tuple(samples),
        kind=kind,
        level=fields.optional(row, "level"),
        subject=fields.optional(row, "subject"),
        votes=tuple(_votes(row)),
        outcome=outcome,
    )


def _votes(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key in row:
        found = _VOTE.fullmatch(key)
        if found:
            answer = fields.optional(row, key)
            if answer is not None:
                yield f"{found[1]}@{found[2]}", answer
