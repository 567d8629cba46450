"""The problems of a log as arrays: what is right, with which score and which answer."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory.replay.cut.order import digest
from dora_theory.replay.grade.answers import NONE, answer_labels
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.read.record import Record


@dataclass(frozen=True, slots=True)
class LoggedProblems:
    """m problems with up to k logged solutions each, in an order that the log's does not change.

    Attributes:
        logged: solutions of each, shape `(m,)`.
        correct: which of them are right, false for padding, shape `(m, k)`.
        scores: mean step score of each, 0 for padding, shape `(m, k)`; None if any has none.
        answers: which give the same answer, as `answer_labels`, -1 for padding.
        columns: `level` and `subject` of each as text, None where the log says nothing.
        tokens: of each, 0 for padding, shape `(m, k)`; None if any is not logged.
        votable: whether most right solutions state an answer, without which there are no votes.
    """

    logged: Int[np.ndarray, " m"]
    correct: Bool[np.ndarray, "m k"]
    scores: Float[np.ndarray, "m k"] | None
    answers: Int[np.ndarray, "m k"]
    columns: dict[str, list[str | None]]
    tokens: Float[np.ndarray, "m k"] | None = None
    votable: bool = True

    @property
    def right(self) -> Int[np.ndarray, " m"]:
        """How many solutions of each problem are right."""
        return self.correct.sum(-1)


def collect(records: Iterable[Record], score_scale: float = 1.0) -> LoggedProblems:
    """The problems of a log.

    Args:
        records: judged, not of trees, each with its samples in an order that says nothing.
        score_scale: scores are divided by it.

    Returns:
        All of them; memory is a few numbers per solution.
    """
    rows = sorted((_row(r, score_scale) for r in records), key=lambda row: row[0])
    logged = np.array([len(row[1]) for row in rows])
    shape = len(rows), int(logged.max())
    scored = all(row[2] is not None for row in rows)
    correct = np.zeros(shape, bool)
    scores, answers = np.zeros(shape), np.full(shape, NONE)
    counted = all(row[6] is not None for row in rows)
    tokens = np.zeros(shape) if counted else None
    for i, (_, right, score, labels, _, _, length, _) in enumerate(rows):
        correct[i, : len(right)], answers[i, : len(right)] = right, labels
        if scored:
            scores[i, : len(right)] = score
        if tokens is not None:
            tokens[i, : len(right)] = length
    columns = {"level": [row[4] for row in rows], "subject": [row[5] for row in rows]}
    votable = 2 * sum(row[7] for row in rows) >= correct.sum()
    given = scores if scored else None
    return LoggedProblems(logged, correct, given, answers, columns, tokens, bool(votable))


def _row(record: Record, scale: float) -> tuple:
    right = np.array([bool(s.correct) for s in record.samples])
    has = all(s.step_scores for s in record.samples)
    scores = np.array([np.mean(s.step_scores or ()) for s in record.samples]) if has else None
    key = digest(record.problem, record.problem_id)
    given = None if scores is None else scores / scale
    lengths = [s.tokens for s in record.samples]
    tokens = None if None in lengths else np.array(lengths, float)
    labels = answer_labels(record.samples)
    stated = sum(bool(s.final_answer or final_answer(s.text)) for s in record.samples if s.correct)
    return key, right, given, labels, record.level, record.subject, tokens, stated
