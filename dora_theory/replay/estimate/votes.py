"""Accuracy of the voted answer under resampling of logged continuations.

A direction that is given B rollouts draws B of its n logged continuations without replacement,
which are as B fresh ones; the answers drawn elect one, by majority or by the sum of their final
scores. The mean over many draws estimates the accuracy of the vote without bias. More rollouts may
hurt a vote, so that beyond n nothing is known, not even a bound.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory.replay.grade.answers import RIGHT

if TYPE_CHECKING:
    from dora_theory.replay.estimate.policies import Batch


class Votes(NamedTuple):
    """Chance that the elected answer is right; ties are broken at random.

    Attributes:
        majority: by number of votes, shape `(..., problems)`.
        weighted: by the sum of final scores, likewise.
    """

    majority: Float[np.ndarray, "*cells problems"]
    weighted: Float[np.ndarray, "*cells problems"]


def voted(
    allocation: Int[np.ndarray, "*cells problems k"], batch: "Batch", *, draws: int, seed: int = 0
) -> Votes:
    """Accuracy of the vote after an allocation.

    Args:
        allocation: rollouts of each candidate, shape `(..., problems, k)`.
        batch: the problems.
        draws: how often the continuations are drawn; all cells see the same draws.
        seed: of NumPy's default generator, with the key of each problem.

    Returns:
        Both votes; where a direction is given more than was logged of it, all of it is drawn, and
        the result is not an estimate. A vote nobody takes part in is lost.
    """
    problems, k = batch.correct.shape
    mine = batch.directions[:, None] == np.arange(batch.num_directions)[:, None]
    given = np.einsum("...pk,pgk->...pg", np.where(batch.mask, allocation, 0), mine.astype(int))
    # A candidate is drawn if it comes among the first B of its direction in a random order.
    order = np.full((draws, problems, k), 2.0)
    for i, (key, size) in enumerate(zip(batch.keys, batch.mask.sum(-1), strict=True)):
        order[:, i, :size] = np.random.default_rng([seed, key]).random((draws, size))
    allowed = np.take_along_axis(
        given, np.broadcast_to(batch.directions, (*given.shape[:-1], k)), -1
    )
    ballots = _ballots(batch)
    majority, weighted = np.zeros((2, *allocation.shape[:-1]))
    for one in order:
        drawn = (_rank(one, batch) < allowed) & batch.mask
        majority += _elected(drawn.astype(float), ballots)
        weighted += _elected(drawn * batch.final, ballots)
    return Votes(majority / draws, weighted / draws)


def _rank(order: Float[np.ndarray, "problems k"], batch: "Batch") -> Int[np.ndarray, "problems k"]:
    """Place of each candidate among those of its direction, padding last."""
    keyed = np.where(batch.mask, order, 2)
    by = np.lexsort((keyed, batch.directions), axis=-1)
    sorted_labels = np.take_along_axis(batch.directions, by, -1)
    places = np.broadcast_to(np.arange(order.shape[1]), order.shape)
    new = np.diff(sorted_labels, axis=-1, prepend=-1) != 0
    start = np.maximum.accumulate(np.where(new, places, 0), axis=-1)
    rank = np.empty_like(by)
    np.put_along_axis(rank, by, places - start, -1)
    return rank


def _ballots(batch: "Batch") -> Bool[np.ndarray, "problems k answers"]:
    assert batch.answers is not None
    return batch.answers[..., None] == np.arange(batch.answers.max(initial=RIGHT) + 1)


def _elected(
    weights: Float[np.ndarray, "*cells problems k"],
    ballots: Bool[np.ndarray, "problems k answers"],
) -> Float[np.ndarray, "*cells problems"]:
    """Chance that the right answer is elected, a vote of each candidate having such a weight."""
    total = np.einsum("...pk,pka->...pa", weights, ballots.astype(float), optimize=True)
    top = total.max(-1, keepdims=True)
    # Equal sums in another order differ by rounding.
    won = (total >= top * (1 - 1e-12)) & (top > 0)
    return won[..., RIGHT] / np.maximum(won.sum(-1), 1)
