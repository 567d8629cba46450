"""The divisor method for one small problem, in NumPy (theory 2.1, 2.6); see `model.on_host`.

The result is that of `dora_theory.kernels.divisor`, ties included: both compare the quotients
n_i / (c + r) of the same dtype. What is not decided by them without more ado is left to it.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory._checks import Argument, check_budget, checked_single
from dora_theory._domains import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, offset_domain
from dora_theory.model.on_host import checked_both, is_small, small_by, softmax, weights_of

__all__ = ["apportion", "dora_allocation", "optimal_allocation", "rebase_allocation", "small_by"]

# How many more priorities of each candidate are looked at, below those that it owns for certain.
_AHEAD = 4
_PLACES = np.arange(-1.0, _AHEAD)[:, None]


def optimal_allocation(
    weights: Any, concentration: Any, budget: Any, *, mask: Any = None, implementation: str = "auto"
) -> Int[np.ndarray, " k"] | None:
    """`optimal.optimal_allocation` of one small problem; None of anything else."""
    if implementation != "auto" or not is_small(weights, concentration, budget, mask=mask):
        return None
    w, kappa, n, m = checked_single(
        mask,
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "", offset_domain),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, w.dtype)
    return _largest(w, kappa, int(n), m)


def apportion(
    weights: Any, budget: Any, *, divisor: Any = 0.5, mask: Any = None
) -> Int[np.ndarray, " k"] | None:
    """`optimal.apportion` of one small problem; None of anything else, Adams' method among it."""
    number = isinstance(divisor, float | int) and not isinstance(divisor, bool)
    if not number or not divisor > 0 or not is_small(weights, budget, mask=mask):
        return None
    w, n, m = checked_single(
        mask,
        weights=Argument(weights, domain=NOT_NEGATIVE),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, w.dtype)
    offset_domain(w.dtype).check("divisor", divisor)
    # Quotients of the smallest weights and of the largest would leave the range.
    top = (w if m is None else np.where(m, w, 0)).max()
    return _largest(np.ldexp(w, -math.frexp(top)[1]), divisor, int(n), m)


def rebase_allocation(
    scores: Any,
    budget: Any,
    *,
    quality_temperature: Any = 0.1,
    literal: bool = False,
    mask: Any = None,
) -> Int[np.ndarray, " k"] | None:
    """`rules.rebase_allocation` of one small problem; None of anything else."""
    if literal or not is_small(scores, budget, quality_temperature, mask=mask):
        return None
    r, t, n, m = checked_single(
        mask,
        scores=Argument(scores),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(n, mask, r.dtype)
    return _largest(softmax(r, t, m), 0.5, int(n), m)


def dora_allocation(
    scores: Any,
    embeddings: Any,
    budget: Any,
    *,
    quality_temperature: Any = 0.1,
    similarity_temperature: Any = 0.01,
    literal: bool = False,
    mask: Any = None,
) -> Int[np.ndarray, " k"] | None:
    """`rules.dora_allocation` of one small problem; None of anything else."""
    temperatures = quality_temperature, similarity_temperature
    if literal or not is_small(scores, budget, *temperatures, mask=mask, embeddings=embeddings):
        return None
    r, e, t_b, t_s, n, m = checked_both(
        scores, embeddings, *temperatures, mask, budget=Argument(budget, "", COUNT)
    )
    check_budget(n, mask, r.dtype)
    return _largest(weights_of(r, e, t_b, t_s, m), 0.5, int(n), m)


def _largest(
    numerators: Float[np.ndarray, " k"],
    offset: Any,
    budget: int,
    mask: Bool[np.ndarray, " k"] | None,
) -> Int[np.ndarray, " k"] | None:
    """How many of the `budget` largest priorities n_i / (c + r) each i owns.

    A power of two times all numerators changes nothing while priorities are normal numbers.

    Args:
        numerators: n ≥ 0, sound.
        offset: c > 0.
        budget: N ≥ 0.
        mask: candidates that exist, None for all.

    Returns:
        Counts, int32; None if they are not found here: rows without a positive numerator,
        priorities below the normal numbers, candidates far ahead of what a level tells.
    """
    dtype = numerators.dtype
    n = numerators if mask is None else np.where(mask, numerators, 0)
    if budget == 0:
        return np.zeros(n.shape, np.int32)
    total = float(n.sum(dtype=float))
    if not total > 0:
        return None
    c = float(offset)
    base = _at_most(n, total, c, budget)
    missing = budget - int(base.sum())
    if not 0 < missing <= _AHEAD * n.size:
        return None
    # The last place that each owns for certain, and the next ones.
    places = np.maximum(base + _PLACES, 0)
    priorities = n / np.add(places, c, dtype=dtype)
    owned = np.where(base > 0, priorities[0], np.inf).min()
    ahead = priorities[1:]
    ordered = ahead.flatten()
    ordered.partition(-missing)
    level = ordered[-missing]
    more = (ahead >= level).sum(0, dtype=np.int32)
    surplus = more.sum() - missing
    if surplus:
        # Of those at the level the last go without.
        tied = (ahead == level).sum(0, dtype=np.int32)
        later = tied[::-1].cumsum()[::-1] - tied
        more -= np.clip(surplus - later, 0, tied).astype(np.int32)
    # All that is owned for certain comes before, and no candidate is served to the last place.
    clear = owned > level > np.finfo(dtype).tiny and more.max() < _AHEAD
    return base.astype(np.int32) + more if clear else None


def _at_most(n: np.ndarray, total: float, c: float, budget: int) -> Float[np.ndarray, " k"]:
    """Counts a little below those of the level that water-filling gives (theory 2.5b)."""
    level: float = (budget + np.count_nonzero(n) * (c - 0.5)) / total
    if c > 0.5:
        level = _filled(n[n > 0], level, c, budget)
    return np.maximum(np.floor(np.multiply(n, level, dtype=float) - (c + 1)), 0)


def _filled(active: np.ndarray, level: float, c: float, budget: int) -> float:
    """The level at which those that reach above the ground share the budget."""
    while True:
        staying = active[np.multiply(active, level, dtype=float) > c - 0.5]
        if staying.size in (0, active.size):
            return level
        active = staying
        level = (budget + active.size * (c - 0.5)) / float(active.sum(dtype=float))
