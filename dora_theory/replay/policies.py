"""The strategies that can be replayed, each over a padded batch of problems at every budget."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.allocation.correlated import direction_allocation
from dora_theory.allocation.exact import optimal_allocation
from dora_theory.allocation.heuristics import (
    beam_allocation,
    dora_allocation,
    dvts_allocation,
    magnitude_allocation,
    rebase_allocation,
    rebase_sequential_allocation,
    temperature_allocation,
)
from dora_theory.directions import quality_weights
from dora_theory.pooling import direction_weights
from dora_theory.replay.candidates import Candidates
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
    """

    scores: Float[np.ndarray, "problems k"]
    embeddings: Float[np.ndarray, "problems k e"]
    directions: Int[np.ndarray, "problems k"]
    correct: Bool[np.ndarray, "problems k"]
    mask: Bool[np.ndarray, "problems k"]
    num_directions: int


def pad(problems: Sequence[Candidates]) -> Batch:
    """One batch of at least one problem; padding has score 0 and some embedding that is not 0."""
    count = len(problems)
    k = max(len(p.scores) for p in problems)
    e = max(p.embeddings.shape[1] for p in problems)
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
    return Batch(scores, embeddings, directions, correct, mask, int(directions.max()) + 1)


def allocate(
    strategy: str, batch: Batch, budget: int, options: ReplayOptions
) -> Int[Array, "problems k"]:
    """What a strategy gives to every candidate; it sees no outcome.

    Args:
        strategy: a key of `POLICIES`.
        batch: the problems.
        budget: N rollouts for each.
        options: temperatures, beam width, κ.

    Returns:
        int32 `(problems, k)`, each row with sum N, nothing for padding.
    """
    return POLICIES[strategy](batch, budget, options)


_Policy = Callable[[Batch, int, ReplayOptions], Array]


def _beam(batch: Batch, budget: int, options: ReplayOptions) -> Array:
    return beam_allocation(batch.scores, budget, beam_width=options.beam_width, mask=batch.mask)


def _dvts(batch: Batch, budget: int, options: ReplayOptions) -> Array:
    return dvts_allocation(batch.scores, budget, beam_width=options.beam_width, mask=batch.mask)


def _rebase(batch: Batch, budget: int, options: ReplayOptions) -> Array:
    t = options.quality_temperature
    return rebase_allocation(batch.scores, budget, temperature=t, mask=batch.mask)


def _rebase_sequential(batch: Batch, budget: int, options: ReplayOptions) -> Array:
    t = options.quality_temperature
    return rebase_sequential_allocation(batch.scores, budget, temperature=t, mask=batch.mask)


def _geometric(rule: Callable[..., Array]) -> _Policy:
    def allocation(batch: Batch, budget: int, options: ReplayOptions) -> Array:
        return rule(
            batch.scores,
            batch.embeddings,
            budget,
            temperature=options.quality_temperature,
            similarity_temperature=options.similarity_temperature,
            mask=batch.mask,
        )

    return allocation


def _optimal(batch: Batch, budget: int, options: ReplayOptions) -> Array:
    w = quality_weights(batch.scores, options.quality_temperature, mask=batch.mask)
    return optimal_allocation(w, options.kappa, budget, mask=batch.mask)


def _direction_optimal(batch: Batch, budget: int, options: ReplayOptions) -> Array:
    q = direction_weights(
        batch.scores,
        batch.directions,
        batch.num_directions,
        temperature=options.quality_temperature,
        mask=batch.mask,
    )
    return direction_allocation(q, batch.directions, options.kappa, budget, mask=batch.mask)


POLICIES: dict[str, _Policy] = {
    "temperature": lambda batch, budget, _: temperature_allocation(
        jnp.asarray(batch.scores), budget, mask=batch.mask
    ),
    "beam": _beam,
    "dvts": _dvts,
    "rebase": _rebase,
    "rebase-sequential": _rebase_sequential,
    "dora": _geometric(dora_allocation),
    "magnitude": _geometric(magnitude_allocation),
    "optimal": _optimal,
    "direction-optimal": _direction_optimal,
}
