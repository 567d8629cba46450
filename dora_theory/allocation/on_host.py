"""The divisor method for one small problem, in NumPy (theory 2.1, 2.6); see `model.on_host`.

The result is that of `dora_theory.kernels.divisor`, ties included: both compare the quotients
n_i / (c + r) of the same dtype. What is not decided by them without more ado is left to it.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory._checks import Argument, check_budget, checked_host
from dora_theory._domains import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, offset_domain
from dora_theory.model.on_host import checked_both, is_small, small_by, softmax, weights_of

__all__ = ["apportion", "dora_allocation", "optimal_allocation", "rebase_allocation", "small_by"]

# How many more priorities of each candidate are looked at, below those that it owns for certain.
_AHEAD = 4


def optimal_allocation(
    weights: Any, concentration: Any, budget: Any, *, mask: Any = None, implementation: str = "auto"
) -> Int[np.ndarray, " k"] | None:
    """`optimal.optimal_allocation` of one small problem; None of anything else."""
    if implementation != "auto" or not is_small(weights, concentration, budget, mask=mask):
        return None
    w, kappa, n, m, _ = checked_host(
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
    w, n, m, _ = checked_host(
        mask,
        weights=Argument(weights, domain=NOT_NEGATIVE),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, w.dtype)
    offset_domain(w.dtype).check("divisor", divisor)
    return _apportioned(w, divisor, int(n), m)


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
    r, t, n, m, _ = checked_host(
        mask,
        scores=Argument(scores),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(n, mask, r.dtype)
    return _apportioned(softmax(r, t, m), 0.5, int(n), m)


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
    return _apportioned(weights_of(r, e, t_b, t_s, m), 0.5, int(n), m)


def _apportioned(
    weights: Float[np.ndarray, " k"],
    divisor: float,
    budget: int,
    mask: Bool[np.ndarray, " k"] | None,
) -> Int[np.ndarray, " k"] | None:
    """`largest` of weights times a power of two, as `optimal.apportion` takes them."""
    top = (weights if mask is None else np.where(mask, weights, 0)).max()
    return _largest(np.ldexp(weights, -np.frexp(top)[1]), divisor, budget, mask)


def _largest(
    numerators: Float[np.ndarray, " k"],
    offset: Any,
    budget: int,
    mask: Bool[np.ndarray, " k"] | None,
) -> Int[np.ndarray, " k"] | None:
    """How many of the `budget` largest priorities n_i / (c + r) each i owns.

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
    if not n.max() >= np.finfo(dtype).tiny:
        return None
    c = dtype.type(offset)
    base = _at_most(n.astype(float), float(c), budget).astype(dtype)
    with np.errstate(under="ignore"):
        ahead = n / (c + (base + np.arange(_AHEAD, dtype=dtype)[:, None]))
    missing = budget - int(base.sum())
    if not 0 <= missing <= ahead.size:
        return None
    counts = base.astype(np.int32)
    owned = np.where(base > 0, n / (c + np.maximum(base - 1, 0)), np.inf).min()
    if missing:
        # By priority, then by index, then by rank: priorities of one candidate fall.
        order = np.argsort(-ahead.T, axis=None, kind="stable")[:missing]
        level = ahead.T.flat[order[-1]]
        more = np.bincount(order // _AHEAD, minlength=n.size)
        counts += more.astype(np.int32)
        # All that is owned for certain comes before, and no candidate is served to the last place.
        clear = owned > level and more.max() < _AHEAD and level >= np.finfo(dtype).tiny
    else:
        clear = owned > ahead[0].max()
    return counts if clear else None


def _at_most(n: np.ndarray, c: float, budget: int) -> np.ndarray:
    """Counts a little below those of the level that water-filling gives (theory 2.5b)."""
    active = n > 0
    for _ in range(n.size):
        level = (budget + active.sum() * (c - 0.5)) / n[active].sum()
        staying = active & (level * n > c - 0.5)
        if staying.all() or staying.sum() == active.sum() or not staying.any():
            break
        active = staying
    return np.maximum(np.floor(level * n - c) - 1, 0)
