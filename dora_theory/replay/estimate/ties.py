"""Strategies break ties by position: results are averaged over several orders of what ties."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from dora_theory.replay.cut.candidates import Candidates

# Orders that a tie is averaged over: at 16 what is left of its noise is a quarter. Fewer of many
# candidates, by which an order costs more and leaves less to chance.
_ORDERS, _CANDIDATES = 16, 320


def orders(problem: Candidates, seed: int = 0) -> list[Candidates]:
    """The problem in each of the orders that its results are averaged over.

    Args:
        problem: its candidates in an order that says nothing of outcomes.
        seed: of the orders, with the problem's `key`.

    Returns:
        The problem itself if no two directions tie, else up to 16 random orders of it, as many as
        have 320 candidates, at least one.
    """
    pairs = np.unique(np.stack([problem.scores, problem.directions]), axis=1)
    if len(np.unique(pairs[0])) == pairs.shape[1]:
        return [problem]
    generator = np.random.default_rng([seed, problem.key])
    k = len(problem.scores)
    count = min(_ORDERS, max(1, _CANDIDATES // k))
    return [_reordered(problem, generator.permutation(k)) for _ in range(count)]


def _reordered(problem: Candidates, order: np.ndarray) -> Candidates:
    names = ("scores", "embeddings", "correct", "finished", "answers", "final", "costs")
    found = {name: getattr(problem, name) for name in names}
    # Directions are numbered by first appearance, and ties between them broken by number.
    labels = problem.directions[order]
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first)).astype(labels.dtype)
    return replace(
        problem,
        directions=rank[place],
        **{name: x[order] for name, x in found.items() if x is not None},
    )


def averaged(
    values: Float[np.ndarray, "*cells entries"] | Bool[np.ndarray, "*cells entries"],
    counts: Sequence[int],
) -> np.ndarray:
    """Means over consecutive entries; of booleans, whether any is true.

    Args:
        values: shape `(..., entries)`.
        counts: how many entries belong together, each ≥ 1, with sum `entries`.

    Returns:
        Shape `(..., len(counts))`.
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    if values.dtype == bool:
        return np.logical_or.reduceat(values, starts, axis=-1)
    # Twelve digits: the rest depends on which problems were computed together.
    return np.round(np.add.reduceat(values, starts, axis=-1) / np.asarray(counts), 12)
