"""The strategies that can be replayed, each over a padded batch of problems at every budget."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.allocation.hierarchical import direction_allocation
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.rules import (
    beam_allocation,
    dora_allocation,
    dvts_allocation,
    magnitude_allocation,
    rebase_allocation,
    rebase_sequential_allocation,
    temperature_allocation,
)
from dora_theory.model.directions import direction_weights
from dora_theory.model.similarity import quality_weights
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.grade.answers import NONE
from dora_theory.replay.options import ReplayOptions


class Batch(NamedTuple):
    """Candidates of several problems, padded to the same k.

    Attributes:
        scores: shape `(problems, k)`.
        embeddings: shape `(problems, k, e)`.
        directions: shape `(problems, k)`.
        correct: shape `(problems, k)`.
        mask: false for padding, shape `(problems, k)`.
        num_directions: g, as large as the largest problem needs.
        answers: as of `Candidates`, `answers.NONE` for padding; None if no vote is asked for.
        final: likewise, 0 for padding.
    """

    scores: Float[np.ndarray, "problems k"]
    embeddings: Float[np.ndarray, "problems k e"]
    directions: Int[np.ndarray, "problems k"]
    correct: Bool[np.ndarray, "problems k"]
    mask: Bool[np.ndarray, "problems k"]
    num_directions: int
    answers: Int[np.ndarray, "problems k"] | None = None
    final: Float[np.ndarray, "problems k"] | None = None


def pad(problems: Sequence[Candidates], at_least: tuple[int, int, int] = (0, 0, 0)) -> Batch:
    """One batch of at least one problem.

    Args:
        problems: in order.
        at_least: how large k, e and g are at least, for batches of one shape.

    Returns:
        The batch; padding has score 0 and some embedding that is not 0.
    """
    count = len(problems)
    k = max(at_least[0], *(len(p.scores) for p in problems))
    e = max(at_least[1], *(p.embeddings.shape[1] for p in problems))
    g = max(at_least[2], *(int(p.directions.max()) + 1 for p in problems))
    scores = np.zeros((count, k))
    embeddings = np.zeros((count, k, e))
    embeddings[..., 0] = 1
    directions = np.zeros((count, k), dtype=np.int32)
    correct, mask = np.zeros((2, count, k), dtype=bool)
    for i, p in enumerate(problems):
        size, width = p.embeddings.shape
        scores[i, :size] = p.scores
        embeddings[i, :size, 0] = 0
        embeddings[i, :size, :width] = p.embeddings
        directions[i, :size] = p.directions
        correct[i, :size] = p.correct
        mask[i, :size] = True
    if problems[0].answers is None:
        return Batch(scores, embeddings, directions, correct, mask, g)
    answers, final = np.full((count, k), NONE), np.zeros((count, k))
    for i, p in enumerate(problems):
        answers[i, : len(p.scores)] = p.answers
        final[i, : len(p.scores)] = p.final
    return Batch(scores, embeddings, directions, correct, mask, g, answers, final)


def allocate(
    strategy: str, batch: Batch, options: ReplayOptions
) -> Int[Array, "budgets problems k"]:
    """What a strategy gives to every candidate at every budget; it sees no outcome.

    Args:
        strategy: a key of `POLICIES`.
        batch: the problems.
        options: budgets, temperatures, beam width, κ.

    Returns:
        int32, each row with sum N, nothing for padding.
    """
    # A leading axis for the budgets, so that weights are computed once for all of them.
    scores, budgets = batch.scores[None], np.array(options.budgets)[:, None]
    return POLICIES[strategy](batch, scores, budgets, options)


_Numbers = np.ndarray
_Policy = Callable[[Batch, _Numbers, _Numbers, ReplayOptions], Array]


def _temperature(b: Batch, scores: _Numbers, budgets: _Numbers, _: ReplayOptions) -> Array:
    return temperature_allocation(scores, budgets, mask=b.mask)


def _beam(b: Batch, scores: _Numbers, budgets: _Numbers, o: ReplayOptions) -> Array:
    return beam_allocation(scores, budgets, beam_width=o.beam_width, mask=b.mask)


def _dvts(b: Batch, scores: _Numbers, budgets: _Numbers, o: ReplayOptions) -> Array:
    return dvts_allocation(scores, budgets, beam_width=o.beam_width, mask=b.mask)


def _by_quality(rule: Callable[..., Array]) -> _Policy:
    def policy(b: Batch, scores: _Numbers, budgets: _Numbers, o: ReplayOptions) -> Array:
        return rule(scores, budgets, temperature=o.quality_temperature, mask=b.mask)

    return policy


def _by_geometry(rule: Callable[..., Array]) -> _Policy:
    def policy(b: Batch, scores: _Numbers, budgets: _Numbers, o: ReplayOptions) -> Array:
        return rule(
            scores,
            b.embeddings[None],
            budgets,
            temperature=o.quality_temperature,
            similarity_temperature=o.similarity_temperature,
            mask=b.mask,
        )

    return policy


def _optimal(b: Batch, scores: _Numbers, budgets: _Numbers, o: ReplayOptions) -> Array:
    w = quality_weights(scores, o.quality_temperature, mask=b.mask)
    return optimal_allocation(w, o.kappa, budgets, mask=b.mask)


def _direction_optimal(b: Batch, scores: _Numbers, budgets: _Numbers, o: ReplayOptions) -> Array:
    t = o.quality_temperature
    q = direction_weights(scores, b.directions, b.num_directions, temperature=t, mask=b.mask)
    return direction_allocation(q, b.directions, o.kappa, budgets, mask=b.mask)


POLICIES: dict[str, _Policy] = {
    "temperature": _temperature,
    "beam": _beam,
    "dvts": _dvts,
    "rebase": _by_quality(rebase_allocation),
    "rebase-sequential": _by_quality(rebase_sequential_allocation),
    "dora": _by_geometry(dora_allocation),
    "magnitude": _by_geometry(magnitude_allocation),
    "optimal": _optimal,
    "direction-optimal": _direction_optimal,
}
