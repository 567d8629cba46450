"""From a record to candidates: logged solutions cut after their first steps.

A search after m steps has such prefixes and the PRM's score of each, and must decide how many
rollouts each receives. The log holds one continuation of each, and candidates of one direction
share a success probability (theory 4.1), so that a direction with n members has n continuations.
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory._errors import InputError
from dora_theory.io.jsonl import FieldError
from dora_theory.replay.cut.encoders import Encoder, compact
from dora_theory.replay.cut.order import digest
from dora_theory.replay.grade.answers import answer_labels
from dora_theory.replay.read.record import Record, StepEnd
from dora_theory.replay.read.usable import check_usable

_ENDS = {"blank-line": re.compile(r"\n[^\S\n]*\n\s*"), "line": re.compile(r"\n\s*")}


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one problem, k of them in g directions.

    Attributes:
        problem_id: the log's name for the problem.
        scores: in [0, 1], shape `(k,)`; all 0.5 if the log has none.
        embeddings: unit vectors, shape `(k, e)`, e ≤ k.
        directions: int32, shape `(k,)`, numbered from 0 by first appearance.
        correct: whether the logged continuation was right, shape `(k,)`.
        scored: whether the scores are the log's.
        finished: whether the solution had no more than m steps, shape `(k,)`.
        answers: which of them vote for the same answer, as `answers.answer_labels`, shape `(k,)`;
            None if no vote is asked for.
        final: weight of a vote, the score after the last step, 1 if the log has none; likewise.
        key: a number that the problem's statement determines, for what is drawn at random.
        costs: tokens that a rollout is expected to write from here on, by the lengths of the
            problem's solutions that are longer than the prefix, at least 1; None if not wanted.
            Nothing in them is of the candidate's own ending, which strategies must not see.
    """

    problem_id: str
    scores: Float[np.ndarray, " k"]
    embeddings: Float[np.ndarray, "k e"]
    directions: Int[np.ndarray, " k"]
    correct: Bool[np.ndarray, " k"]
    scored: bool
    finished: Bool[np.ndarray, " k"]
    answers: Int[np.ndarray, " k"] | None = None
    final: Float[np.ndarray, " k"] | None = None
    key: int = 0
    costs: Float[np.ndarray, " k"] | None = None


def steps_of(text: str, end: StepEnd = "blank-line") -> list[str]:
    """The steps of a solution: the parts between blank lines, or its lines; never empty ones."""
    return [part for part in _ENDS[end].split(text.strip()) if part]


def candidates(
    record: Record,
    encoder: Encoder,
    *,
    steps: int = 2,
    step_end: StepEnd = "blank-line",
    threshold: float = 0.3,
    score_scale: float = 1.0,
    votes: bool = False,
    costs: bool = False,
) -> Candidates:
    """Cuts the solutions of a record after their first m steps and groups them by direction.

    Args:
        record: every sample judged, none of a tree.
        encoder: embeds the prefixes.
        steps: m ≥ 1. The more steps, the more the score knows of the outcome, and the fewer
            solutions still have something to decide.
        step_end: what ends a step.
        threshold: of `hard_directions`, the largest mean cosine distance within a direction.
        score_scale: scores are divided by it, 1 for probabilities.
        votes: whether answers and final scores are wanted.
        costs: whether costs are wanted, for which every sample needs its tokens.

    Returns:
        The candidates, one for each sample, in order.

    Raises:
        InputError: a score outside [0, 1] after scaling, or samples with and without scores; tokens
            that are wanted and missing.
    """
    # Not for reading a log: it loads JAX, for the type of an argument.
    from dora_theory.model.clustering import hard_directions

    parts = [steps_of(sample.text, step_end) for sample in record.samples]
    prefixes = ["\n\n".join(p[:steps]) for p in parts]
    embeddings = compact(encoder(prefixes))
    scores = _scores(record, steps, score_scale)
    last = _scores(record, None, score_scale) if votes else None
    return Candidates(
        problem_id=record.problem_id,
        scores=np.full(len(parts), 0.5) if scores is None else scores,
        embeddings=embeddings,
        directions=hard_directions(embeddings, threshold=threshold),
        correct=np.array([bool(sample.correct) for sample in record.samples]),
        scored=scores is not None,
        finished=np.array([len(p) <= steps for p in parts]),
        answers=answer_labels(record.samples) if votes else None,
        final=np.ones(len(parts)) if votes and last is None else last,
        key=digest(record.problem),
        costs=_costs(record, prefixes) if costs else None,
    )


def _costs(record: Record, prefixes: list[str]) -> Float[np.ndarray, " k"]:
    """Expected tokens after each prefix, whose own are in proportion to its characters."""
    lengths = [sample.tokens for sample in record.samples]
    if None in lengths:
        place = f"{record.place}: samples[{lengths.index(None)}].completion_tokens"
        raise InputError(f"{place}: missing: a budget of cost needs the tokens of every solution")
    total = np.array(lengths, float)
    rate = total.sum() / max(sum(len(sample.text) for sample in record.samples), 1)
    written = rate * np.array([len(prefix) for prefix in prefixes], float)
    rest = total[None, :] - written[:, None]
    return np.maximum(np.maximum(rest, 0).sum(-1) / np.maximum((rest > 0).sum(-1), 1), 1)


def _scores(record: Record, steps: int | None, scale: float) -> Float[np.ndarray, " k"] | None:
    """The score after step m, or after the last step if there is no m-th; None if unscored."""
    has = [sample.step_scores is not None for sample in record.samples]
    # A repaired log has scores where they belong only: too few to choose by.
    if not any(has) or (record.repaired and not all(has)):
        return None
    try:
        check_usable(record, scale)
    except FieldError as error:
        raise InputError(f"{record.place}: {error.field}: {error.what}") from None
    return np.array([(s.step_scores or ())[:steps][-1] for s in record.samples]) / scale
