"""Rollouts that cost: a hard budget of cost, and net value with a stop (theory 9.1.1-9.1.2).

The next rollout of candidate i after r failures succeeds with h_i(r) = κ_i w_i/(κ_i + r), which
falls in r. Per unit of cost it lowers log failure by -log1p(-h_i(r))/c_i: greedy in that order is
exactly optimal at the costs of its own prefixes. Between them the next rollout of the order bounds
what any allocation can reach, and costs that are integers have an exact dynamic program.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import check_whole, is_concrete, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, budget_domain, spoiled
from dora_theory.allocation.one_by_one import Domains, checked_candidates, on_each
from dora_theory.kernels.varying import varying_with
from dora_theory.model.pochhammer import log_failure_of

Method = Literal["auto", "greedy", "exact"]

# Counts and their sums are int32.
MOST_ROLLOUTS = 2**30
# A budget counts as kept up to these parts of it, so that 3 × 0.1 fits into 0.3.
SLACK = {"float32": 1e-6, "float64": 1e-12}
# Prices this far above the level of the budget are served at once, the rest one by one.
_WINDOW = {"float32": 1e-4, "float64": 1e-6}
_HALVINGS = 64
# Steps of the dynamic program, k C²/min c of a problem, that "auto" takes, and that "exact" takes.
_FEW_STEPS, _MOST_STEPS = 2**20, 2**32
_LONGEST = 2**20


class CostAllocation(NamedTuple):
    """Rollouts within a budget of cost, and what is certain about them.

    Attributes:
        allocation: rollouts B, int32, shape `(..., k)`.
        log_failure: log P(all fail), shape `(...)`.
        log_failure_bound: no allocation that the budget pays for has a smaller one, shape `(...)`.
            Equal to `log_failure` where the dynamic program has found the optimum.
        cost: Σ c_i B_i, shape `(...)`.
    """

    allocation: Int[Array, "*batch k"]
    log_failure: Float[Array, "*batch"]
    log_failure_bound: Float[Array, "*batch"]
    cost: Float[Array, "*batch"]


class NetValue(NamedTuple):
    """The search that is worth most when success is worth V and every rollout costs.

    Attributes:
        allocation: rollouts of each candidate if none succeeds, int32, shape `(..., k)`.
        order: candidate of each rollout in turn, int32, shape `(..., m)`, -1 after the last.
        success: P(some rollout succeeds), shape `(...)`.
        cost: expected cost of the search, which ends at the first success, shape `(...)`.
        value: V · success - cost, shape `(...)`.
    """

    allocation: Int[Array, "*batch k"]
    order: Int[Array, "*batch m"]
    success: Float[Array, "*batch"]
    cost: Float[Array, "*batch"]
    value: Float[Array, "*batch"]


def cost_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    costs: Real[ArrayLike, "*#batch k"],
    cost_budget: Real[ArrayLike, "*#batch"],
    *,
    method: Method = "auto",
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> CostAllocation:
    """Rollouts that maximize P(at least one success) at a total cost Σ c_i B_i ≤ C.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        costs: c > 0 of one rollout of each candidate, shape `(..., k)`, in any unit.
        cost_budget: C ≥ 0 in the same unit, scalar or shape `(...)`; a cost that exceeds it by a
            relative 1e-12 (1e-6 in float32) still fits.
        method: `"greedy"` takes the largest -log1p(-h)/c, fills up with what still fits, and
            compares with the best single candidate filled up. `"exact"` is the dynamic program,
            for integer costs, O(k C²/min c). `"auto"` is exact where costs and budget are known
            integers and small, else greedy.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        `CostAllocation`. Nothing is spent on w = 0. Failures that agree to rounding may be ordered
        either way.

    Raises:
        ValueError: costs that are not positive or of another length, values out of range, a budget
            that pays for more than 2^30 rollouts (2^22 in float32), which under `jit` is -1 and NaN
            throughout; `"exact"` for what is unknown, no integer, or above 2^32 steps.

    Examples:
        >>> weights, costs = np.array([0.5, 0.3, 0.2]), np.array([2.0, 1.0, 1.0])
        >>> dt.cost_allocation(weights, 1.0, costs, 10.0).allocation
        Array([2, 4, 2], dtype=int32)

    Source: theory 9.1.1.
    """
    w, kappa, c, budget, m = checked_candidates(
        weights, concentration, mask, _DOMAINS, costs=costs, cost_budget=cost_budget
    )
    if method not in ("auto", "greedy", "exact"):
        raise ValueError(f"method = {method!r}: needs auto, greedy or exact")
    if is_host(costs) and is_host(cost_budget) and is_concrete(m):
        least = np.where(m, host_array(costs, float), np.inf).min(-1, initial=np.inf)
        most = _most_rollouts(w.dtype)
        if np.any(host_array(cost_budget, float) > most * least):
            raise ValueError(f"cost_budget: pays for more than {most} rollouts")
    size = None if method == "greedy" else _integers(c, budget, m, method)
    run = _greedy if size is None else _exact
    return on_each(run, size or (), _DOMAINS, m, w, kappa, costs=c, cost_budget=budget)


def net_value_order(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    costs: Real[ArrayLike, "*#batch k"],
    value: Real[ArrayLike, "*#batch"],
    *,
    max_rollouts: int | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> NetValue:
    """The search of largest net value V · P(success) - E[cost]: when to try which, when to stop.

    Take the largest h_i/c_i, stop at the first success or when V h_i ≤ c_i for all: exactly
    optimal among all policies without a cap on the number of rollouts. Under a cap no index is.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        costs: c > 0 of one rollout of each candidate, shape `(..., k)`, in the unit of V.
        value: V ≥ 0 of a success, scalar or shape `(...)`.
        max_rollouts: m, the length of `order`, at least the longest search, which it is by default;
            it must be known, so state it under `jit`. There a problem with a longer search is -1
            and NaN throughout.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        `NetValue`; ties go to the lowest index.

    Raises:
        ValueError: costs that are not positive or of another length, values out of range, a search
            longer than `max_rollouts` or 2^20.

    Examples:
        >>> weights, costs = np.array([0.5, 0.3, 0.2]), np.array([2.0, 1.0, 1.0])
        >>> dt.net_value_order(weights, 1.0, costs, 20.0).allocation
        Array([4, 5, 3], dtype=int32)

    Source: theory 9.1.2.
    """
    w, kappa, c, v, m = checked_candidates(
        weights, concentration, mask, _DOMAINS, costs=costs, value=value
    )
    if max_rollouts is None or all(map(is_concrete, (w, kappa, c, v, m))):
        if not all(map(is_concrete, (w, kappa, c, v, m))):
            raise ValueError("max_rollouts: is not given, and what decides it is traced")
        counts = on_each(_worthwhile, (), _DOMAINS, m, w, kappa, costs=c, value=v)
        longest = int(np.max(np.asarray(counts).sum(-1, dtype=float), initial=0))
        most = _LONGEST if max_rollouts is None else check_whole("max_rollouts", max_rollouts)
        if longest > most:
            raise ValueError(f"max_rollouts = {most}: the search is up to {longest} rollouts long")
        max_rollouts = longest if max_rollouts is None else most
    return on_each(_net_value, (max_rollouts,), _DOMAINS, m, w, kappa, costs=c, value=v)


_DOMAINS: Domains = {
    "costs": ("k", POSITIVE, 1.0),
    "cost_budget": ("", NOT_NEGATIVE, 0.0),
    "value": ("", NOT_NEGATIVE, 0.0),
}


def _integers(c: Array, budget: Array, mask: Array, method: str) -> tuple[int, int] | None:
    """C + 1 and the most rollouts of a candidate, for the exact program; None for greedy."""
    if not all(map(is_concrete, (c, budget, mask))):
        if method == "exact":
            raise ValueError("method = 'exact': costs and budget are traced, needs their values")
        return None
    costs, n = np.where(mask, np.asarray(c, float), 1), np.asarray(budget, float)
    if method == "exact":
        for name, x in (("costs", costs), ("cost_budget", n)):
            broken = x[x != np.rint(x)]
            if broken.size:
                raise ValueError(f"{name} = {broken[0]}: the exact program needs integers")
        steps = _steps(costs, n)
        if steps > _MOST_STEPS:
            raise ValueError(f"method = 'exact': {steps:.2g} steps, more than {_MOST_STEPS}")
    elif not is_small(costs, n):
        return None
    most = np.floor(n / np.maximum(costs.min(-1, initial=np.inf), 1))
    return int(np.max(n, initial=0)) + 1, int(np.max(most, initial=0))


def is_small(costs: Real[np.ndarray, "*batch k"], cost_budget: Real[np.ndarray, "*#batch"]) -> bool:
    """Whether all are integers, and so small that "auto" takes the exact program."""
    whole = all(np.all(np.isfinite(x) & (x == np.rint(x))) for x in (costs, cost_budget))
    return whole and bool(np.all(costs > 0)) and _steps(costs, cost_budget) <= _FEW_STEPS


def _steps(costs: np.ndarray, n: np.ndarray) -> float:
    least = np.maximum(costs.min(-1, initial=np.inf), 1)
    return float(np.max(costs.shape[-1] * (n + 1) ** 2 / np.minimum(least, n + 1), initial=0))


def _hazard(w: Array, kappa: Array, given: Array) -> Array:
    return kappa * w / (kappa + given)


def _gain(w: Array, kappa: Array, c: Array, given: Array) -> Array:
    """Drop of log failure for the next rollout of each, per cost; 0 where there is none."""
    return jnp.where(w > 0, -jnp.log1p(-_hazard(w, kappa, given)) / c, 0)


def _most_rollouts(dtype: np.dtype) -> int:
    """How many the loops count: one more than 2^24 is no float32, and would be given forever."""
    return min(MOST_ROLLOUTS, int(budget_domain(dtype).high))


def _greedy(mask: Array, w: Array, kappa: Array, c: Array, budget: Array) -> CostAllocation:
    beyond = budget > _most_rollouts(w.dtype) * jnp.where(mask, c, jnp.inf).min()
    budget = jnp.where(beyond, 0, budget) * (1 + SLACK[w.dtype.name])
    # Which rollouts are taken has no derivative; what they achieve has.
    fixed = jax.lax.stop_gradient((w, kappa, c, budget))
    none = jnp.zeros(w.shape, w.dtype)
    filled, prefix = _filled(*fixed, none)
    alone = jnp.floor(fixed[-1] / fixed[2])
    best = jnp.argmin(jnp.where(mask, log_failure_of(*fixed[:2], alone), jnp.inf))
    single, _ = _filled(*fixed, jnp.where(jnp.arange(w.size) == best, alone, none))
    logs = [log_failure_of(w, kappa, given).sum() for given in (filled, single)]
    given = jnp.where(logs[1] < logs[0], single, filled)
    found = jnp.minimum(*logs)
    # The fractional knapsack at the first rollout that does not fit. No cost left times an infinite
    # gain is no gain.
    left = budget - (c * prefix).sum()
    more = jnp.where(left > 0, jnp.where(left > 0, left, 1) * _gain(w, kappa, c, prefix).max(), 0)
    bound = jnp.minimum(log_failure_of(w, kappa, prefix).sum() - more, found)
    whole = CostAllocation(given.astype(jnp.int32), found, bound, (c * given).sum())
    return jax.tree.map(lambda x: spoiled(x, beyond, x.ndim), whole)


def _filled(w: Array, kappa: Array, c: Array, budget: Array, given: Array) -> tuple[Array, Array]:
    """Greedy from a start until nothing fits, and what it gave before the first that did not."""

    def fits(given: Array) -> Array:
        return (c <= budget - (c * given).sum()) & (w > 0)

    def go_on(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        given, prefix, first = state
        given = _to_first_misfit(w, kappa, c, budget, given, fits(given) | first)
        return given, jnp.where(first, given, prefix), jnp.zeros_like(first)

    start = varying_with((given, given, jnp.ones((), bool)), budget)
    found = jax.lax.while_loop(lambda s: s[2] | fits(s[0]).any(), go_on, start)
    return found[0], found[1]


def _to_first_misfit(
    w: Array, kappa: Array, c: Array, budget: Array, given: Array, live: Array
) -> Array:
    """Greedy among the live candidates until the next rollout of the order does not fit."""
    most = jnp.floor(budget / c) + 1

    def at(log_level: Array) -> Array:
        # -log1p(-h)/c ≥ level iff h ≥ x, and h = κw/(κ + r).
        x = -jnp.expm1(-jnp.exp(log_level) * c)
        x = jnp.maximum(x, jnp.finfo(w.dtype).tiny)
        count = jnp.where(w >= x, jnp.floor(kappa * ((w - x) / x)) + 1, 0)
        return jnp.where(live, jnp.maximum(given, jnp.minimum(count, most)), given)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        small = (c * at(middle)).sum() <= budget
        return jnp.where(small, low, middle), jnp.where(small, middle, high)

    edge = jnp.log(jnp.finfo(w.dtype).max) - 1
    zero = varying_with(jnp.zeros_like(budget), budget)
    _, high = jax.lax.fori_loop(0, _HALVINGS, halve, (zero - edge, zero + edge))
    start = at(high + _WINDOW[w.dtype.name])
    start = jnp.where((c * start).sum() <= budget, start, given)

    def next_of(given: Array) -> tuple[Array, Array]:
        gain = jnp.where(live, _gain(w, kappa, c, given), -1)
        j = jnp.argmax(gain)
        return j, (gain[j] > 0) & ((c * given).sum() + c[j] <= budget)

    def take(given: Array) -> Array:
        return given + (jnp.arange(w.size) == next_of(given)[0])

    return jax.lax.while_loop(lambda given: next_of(given)[1], take, start)


def _exact(
    size: int, most: int, mask: Array, w: Array, kappa: Array, c: Array, budget: Array
) -> CostAllocation:
    """The least log failure of each cost t < `size`, one candidate after another."""
    cost = jnp.where(mask, c, 1).astype(jnp.int32)
    spent = jnp.arange(size, dtype=jnp.int32)

    def add(best: Array, one: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        w, kappa, cost = one

        def more(b: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            found, choice = state
            failure = log_failure_of(w, kappa, b.astype(w.dtype))
            before = spent - b.astype(jnp.int32) * cost
            here = jnp.where(before >= 0, best[jnp.maximum(before, 0)] + failure, jnp.inf)
            better = here < found
            return jnp.where(better, here, found), jnp.where(better, b.astype(jnp.int32), choice)

        # No rollout changes nothing, so what is no better than that is left alone.
        return jax.lax.fori_loop(1, most + 1, more, varying_with((best, 0 * spent), best))

    kappa = jnp.broadcast_to(kappa, w.shape)
    _, choices = jax.lax.scan(add, varying_with(jnp.zeros(size, w.dtype), w), (w, kappa, cost))

    def back(left: Array, one: tuple[Array, Array]) -> tuple[Array, Array]:
        choice, cost = one
        return left - choice[left] * cost, choice[left]

    at = budget.astype(jnp.int32)
    _, given = jax.lax.scan(back, at, (choices, cost), reverse=True)
    found = log_failure_of(w, kappa, given.astype(w.dtype)).sum()
    return CostAllocation(given.astype(jnp.int32), found, found, (c * given).sum())


def _worthwhile(mask: Array, w: Array, kappa: Array, c: Array, value: Array) -> Array:
    """Rollouts with V h > c, #{r: κ + r < κ w V/c}; of a w = 1 the first ends the search."""
    count = jnp.ceil(kappa * (w * value / c - 1))
    return jnp.where(mask & (w > 0), jnp.clip(count, 0, 2.0**30), 0).astype(jnp.int32)


def _net_value(
    length: int, mask: Array, w: Array, kappa: Array, c: Array, value: Array
) -> NetValue:
    counts = _worthwhile(mask, w, kappa, c, value)

    def step(state: tuple[Array, ...], _: None) -> tuple[Any, Array]:
        given, left, success, cost = state
        index = jnp.where(given < counts, _hazard(w, kappa, given.astype(w.dtype)) / c, -1)
        j = jnp.argmax(index)
        go = index[j] > 0
        h = jnp.where(go, _hazard(w, kappa, given.astype(w.dtype))[j], 0)
        cost = cost + jnp.where(go, left * c[j], 0)
        taken = given + go * (jnp.arange(w.size) == j)
        return (taken, left * (1 - h), success + left * h, cost), jnp.where(go, j, -1)

    one = jnp.ones((), w.dtype)
    start = varying_with((jnp.zeros(w.shape, counts.dtype), one, one - 1, one - 1), w)
    (given, _, success, cost), order = jax.lax.scan(step, start, None, length)
    short = counts.sum() > length
    found = NetValue(given, order.astype(jnp.int32), success, cost, value * success - cost)
    return jax.tree.map(lambda x: spoiled(x, short, x.ndim), found)
