"""Which finished solutions count, and what they elect."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dora_theory.model.directions import segment_max, segment_sum


class Election(NamedTuple):
    """Probability that an elected answer is right; a tie is broken at random.

    Attributes:
        weighted: by the sum of scores of each answer.
        majority: by the number of votes.
        best: by the highest score.
    """

    weighted: Float[Array, ""]
    majority: Float[Array, ""]
    best: Float[Array, ""]


def counted(finished: Bool[Array, "steps slots"], *, padding: bool = False) -> Int[Array, " votes"]:
    """How often each solution counts: the first N that finished once each.

    Args:
        finished: at which step each slot finished, shape `(steps, slots)`, N slots.
        padding: if fewer than N finished, they are repeated in order until there are N, as the
            authors' code does.

    Returns:
        Counts in the order of steps, then of slots, shape `(steps * slots,)`.
    """
    slots = finished.shape[-1]
    flat = finished.reshape(-1)
    rank = jnp.cumsum(flat, dtype=jnp.int32) - 1
    once = flat & (rank < slots)
    if not padding:
        return once.astype(jnp.int32)
    many = jnp.maximum(once.sum(dtype=jnp.int32), 1)
    return jnp.where(once, slots // many + (rank < slots % many), 0).astype(jnp.int32)


def elect(
    answers: Int[Array, " votes"],
    scores: Float[Array, " votes"],
    correct: Bool[Array, " votes"],
    counts: Int[Array, " votes"],
    choices: int,
) -> Election:
    """The three ways to elect an answer.

    Args:
        answers: of each solution, from 0 to `choices` - 1, shape `(votes,)`.
        scores: final PRM scores ≥ 0, the weights, shape `(votes,)`.
        correct: whether the answer is right, the same for equal answers.
        counts: how often each solution counts.
        choices: how many answers there can be.

    Returns:
        For each way, the probability that the elected answer is right; 0 if nothing counts.

    Source: theory 6; Uesato et al., arXiv 2211.14275 (2022), for the weights.
    """
    there = counts > 0
    answers = jnp.where(there, answers, 0)
    number = counts.astype(scores.dtype)
    right = segment_max((there & correct).astype(jnp.int32), answers, choices) > 0
    voted = segment_sum(number, answers, choices)

    def wins(totals: Array) -> Array:
        totals = jnp.where(voted > 0, totals, -jnp.inf)
        first = (totals == totals.max()) & (voted > 0)
        return (first & right).sum() / jnp.maximum(first.sum(), 1).astype(scores.dtype)

    weighted = segment_sum(jnp.where(there, number * scores, 0), answers, choices)
    highest = segment_max(jnp.where(there, scores, -jnp.inf), answers, choices)
    return Election(wins(weighted), wins(voted), wins(highest))
