"""Shared divisors of one small problem, in NumPy; see `model.on_host`.

The sums of `shared_divisors` in the same order and dtype, so that ties are decided alike.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dora_theory._checks import checked_host
from dora_theory.allocation.divisors import TIE, arguments_of, check_problem
from dora_theory.model.copula import COPY
from dora_theory.model.on_host import is_small

# Beyond so many rollouts a compiled loop is worth its compilation.
_ROLLOUTS = 4096


def shared_divisor_allocation(
    weights: Any,
    correlation: Any,
    concentration: Any,
    budget: Any,
    *,
    smooth: bool = False,
    mask: Any = None,
) -> Int[np.ndarray, " k"] | None:
    """`shared_divisors.shared_divisor_allocation` of one small problem; None of anything else."""
    if not is_small(weights, concentration, budget, mask=mask, embeddings=correlation):
        return None
    given = arguments_of(weights, correlation, concentration, budget)
    w, c, kappa, n, m, _ = checked_host(mask, promote=True, **given)
    check_problem(correlation, budget, mask, w.dtype)
    if n > _ROLLOUTS:
        return None
    there = np.flatnonzero(w > 0 if m is None else m & (w > 0))
    found = np.zeros(w.size, np.int32)
    if there.size < w.size:
        w, c = w[there], c[np.ix_(there, there)]
    c = _symmetric(c)
    if smooth:
        total = c.sum(-1)
        w = c @ w / np.where(total > 0, total, 1)
    # What is left: nothing to go by, and what XLA flushes to zero.
    if not (w.size and w.min() >= np.finfo(w.dtype).tiny):
        return None
    found[there] = _among_copies(_spent(w, c, kappa, int(n)), w, c)
    return found


def _symmetric(c: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "k k"]:
    """The symmetric part, with 1 on the diagonal."""
    c = c + c.T
    c *= 0.5
    np.fill_diagonal(c, 1)
    return c


def _spent(
    w: Float[np.ndarray, " k"], c: Float[np.ndarray, "k k"], kappa: Any, budget: int
) -> Int[np.ndarray, " k"]:
    """Rollout by rollout to the least divisor/w; five calls each, into arrays that are there."""
    root = np.sqrt(w)
    # Row j: what a rollout of j takes of each i.
    takes = list(c * (root / root[:, None]))
    each = 1 / w
    slack = TIE * float(np.finfo(w.dtype).eps)
    divisor = np.full(w.size, kappa, w.dtype)
    level, near = np.empty_like(divisor), np.empty(w.size, bool)
    spent = [0] * w.size
    with np.errstate(over="ignore"):
        for _ in range(budget):
            np.multiply(divisor, each, level)
            least = level.item(level.argmin())
            np.less_equal(level, least + slack * abs(least), near)
            best = near.argmax()
            spent[best] += 1
            np.add(divisor, takes[best], divisor)
    return np.array(spent, np.int32)


def _among_copies(
    spent: Int[np.ndarray, " k"], w: Float[np.ndarray, " k"], c: Float[np.ndarray, "k k"]
) -> Int[np.ndarray, " k"]:
    """Rollouts of copies, which are one candidate, evenly among them, more to lower indices."""
    k = w.size
    same = c >= 1 - COPY * np.finfo(c.dtype).eps
    if np.count_nonzero(same) == k:
        return spent
    larger = np.maximum(w[:, None], w)
    same &= np.abs(w[:, None] - w) <= COPY * np.finfo(w.dtype).eps * larger
    leader = np.where(same, np.arange(k), k).min(-1)
    while not (leader[leader] == leader).all():
        leader = leader[leader]
    members = np.bincount(leader, minlength=k)
    totals = np.bincount(leader, spent, k).astype(np.int32)
    # Places of each group's members, in their order.
    order = np.argsort(leader, kind="stable")
    rank = np.empty(k, int)
    rank[order] = np.arange(k) - (np.cumsum(members) - members)[leader[order]]
    return totals[leader] // members[leader] + (rank < totals[leader] % members[leader])
