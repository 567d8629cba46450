"""What all adapters share: scores and texts of beams to rollouts of each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from dora_theory._arrays import array_of
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.rules import dora_allocation, rebase_allocation
from dora_theory.model.quality import quality_weights
from dora_theory.strategies.registry import DORA, OPTIMAL, REBASE

RULES = DORA, REBASE, OPTIMAL
# Scores (k,), what is to be embedded of each of k beams, and N, to rollouts (k,) of sum N.
Allocate = Callable[[Sequence[float], Sequence[Any], int], Int[np.ndarray, " k"]]
Embed = Callable[[Sequence[Any]], Any]


def allocator(
    rule: str | Allocate = REBASE,
    *,
    embed: Embed | None = None,
    quality_temperature: float = 0.1,
    similarity_temperature: float = 0.01,
    concentration: float = 0.5,
) -> Allocate:
    """A rule as adapters call it.

    Args:
        rule: `"dora"`, `"rebase"`, `"optimal"` for the exact optimum of the softmax's qualities, or
            a function of scores, texts and N.
        embed: texts to vectors, shape `(k, d)`; `"dora"` needs it.
        quality_temperature: T_b.
        similarity_temperature: T_s of `"dora"`.
        concentration: κ of `"optimal"`.

    Returns:
        A function of scores, texts and N that returns rollouts, int, shape `(k,)`.

    Raises:
        ValueError: an unknown rule, DORA without `embed`.
    """
    if callable(rule):
        return rule
    if rule not in RULES:
        names = ", ".join(map(repr, RULES))
        raise ValueError(f"rule = {rule!r}: needs one of {names}, or a function")
    if rule == DORA and embed is None:
        raise ValueError(f"embed: missing, {rule!r} needs vectors of the texts")

    def allocate(scores: Sequence[float], texts: Sequence[Any], budget: int) -> np.ndarray:
        r = np.asarray(array_of(scores), float)
        if rule == DORA:
            assert embed is not None
            found = dora_allocation(
                r,
                array_of(embed(texts)),
                budget,
                quality_temperature=quality_temperature,
                similarity_temperature=similarity_temperature,
            )
        elif rule == REBASE:
            found = rebase_allocation(r, budget, quality_temperature=quality_temperature)
        else:
            w = quality_weights(r, quality_temperature=quality_temperature)
            found = optimal_allocation(w, concentration, budget)
        return np.asarray(found)

    return allocate


def checked_rollouts(given: Any, count: int, budget: int) -> list[int]:
    """Rollouts as a list; `ValueError` unless they are `count` integers ≥ 0 of sum `budget`."""
    rollouts = np.asarray(given)
    whole = np.issubdtype(rollouts.dtype, np.integer) and rollouts.shape == (count,)
    if not whole or (rollouts < 0).any() or rollouts.sum() != budget:
        raise ValueError(f"rule: returned {given!r}, needs {count} integers ≥ 0 with sum {budget}")
    return rollouts.tolist()
