"""Allocation over directions: shared success (theory 4.1) and correlated candidates (theory 5.1).

Whatever the prior of a direction, its failure is log-convex in its total when that is spread evenly
over its copies, so taking rollouts one by one by the largest drop in log failure is exact.
"""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import (
    as_count,
    as_float,
    as_mask,
    check_candidates,
    check_range,
    check_spendable,
    is_concrete,
)
from dora_theory.allocation import by_level
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.model import hierarchy, mixture
from dora_theory.model.directions import as_directions, direction_totals, segment_sum
from dora_theory.model.hierarchy import Belief

Method = Literal["tables", "quadrature"]
# Nodes of the quadrature, which have the stated error.
_NODES = 128

# Up to so many candidates, comparing all pairs is faster than sorting twice.
_FEW = 64


def direction_allocation(
    direction_weights: Real[ArrayLike, "*#batch g"],
    directions: Int[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Exact optimum when all candidates of a direction share one p_j ~ Beta(κQ_j, κ(1-Q_j)).

    Only the totals of directions matter then; they are the exact optimum with Q in place of w.

    Args:
        direction_weights: qualities Q in [0, 1], shape `(..., g)`; they need not sum to 1.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N: optimal totals, ties to the lowest label, spread evenly. A
        label that no candidate has receives nothing.

    Raises:
        ValueError: as `optimal_allocation`; a label out of range.

    Source: theory 4.1.
    """
    q, labels, m, members = _directions(direction_weights, directions, mask)
    totals = optimal_allocation(q, concentration, budget, mask=members > 0)
    return spread_evenly(totals, labels, mask=m)


def correlated_allocation(
    direction_weights: Real[ArrayLike, "*#batch g"],
    directions: Int[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    within_concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    method: Method = "tables",
    points: int | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Exact optimum under m_j ~ Beta(κQ_j, κ(1-Q_j)), p_i | m_j ~ Beta(νm_j, ν(1-m_j)).

    ν → ∞ is `direction_allocation`; κ → ∞ is `optimal_allocation` with concentration ν.

    Args:
        direction_weights: qualities Q in [0, 1], shape `(..., g)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        within_concentration: ν > 0, scalar or shape `(...)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        method: `"tables"`, exact for every N at O(N²) a problem; `"quadrature"`, O(log² N) and for
            any N: priorities to a relative error of 1e-12 in float64 and 3e-5 in float32, κ and ν
            from 1e-6 to 1e6, N to 1e6. Those that are closer may be served the other way round.
        points: size of the account of tables, at least the largest N, which it is by default; it
            must be known, so state it under `jit`. For quadrature the number of nodes, 128 or more.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N: optimal totals, ties to the lowest label, spread evenly.

    Raises:
        ValueError: values out of range, shapes that do not fit, more rollouts than `points` or an
            unknown number of them.

    Source: theory 5.1.
    """
    q, labels, m, members = _directions(direction_weights, directions, mask)
    kappa, nu = _concentrations(concentration, within_concentration, q.dtype)
    n = as_count("budget", budget)
    size = _points(method, points, n)
    check_spendable(n, m)
    batch = jnp.broadcast_shapes(q.shape[:-1], kappa.shape, nu.shape, n.shape)
    q, members = (jnp.broadcast_to(x, (*batch, x.shape[-1])) for x in (q, members))
    kappa, nu, n = (jnp.broadcast_to(x, batch).reshape(-1) for x in (kappa, nu, n))
    g = q.shape[-1]
    rows = q.reshape(-1, g), members.reshape(-1, g)
    find = _greedy if method == "tables" else _by_level
    totals = find(*rows, kappa, nu, n, points=size).reshape(*batch, g)
    return spread_evenly(totals, labels, mask=m)


def hierarchical_log_failure(
    direction_weights: Real[ArrayLike, "*#batch g"],
    directions: Int[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    within_concentration: Real[ArrayLike, "*#batch"],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    method: Method = "tables",
    points: int | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """Log probability that every rollout of an allocation fails, when candidates are correlated.

    Args:
        direction_weights: qualities Q in [0, 1], shape `(..., g)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        within_concentration: ν > 0, scalar or shape `(...)`.
        allocation: whole rollouts B ≥ 0, spread in any way, shape `(..., k)`.
        method: as `correlated_allocation`.
        points: as `correlated_allocation`, for the largest total of a direction.
        mask: boolean `(..., k)`; candidates that are false count for nothing.

    Returns:
        Shape `(...)`, in [-inf, 0], differentiable in Q, κ and ν. Relative error of tables below 4
        roundings a rollout: 1e-12 in float64 and 1e-3 in float32 for 1,000 rollouts of a direction.
        Of quadrature below 1e-10 and 1e-4, for κ and ν from 1e-6 to 1e6 and 1e6 rollouts.

    Raises:
        ValueError: as `correlated_allocation`.

    Source: theory 5.1.
    """
    q, labels, m, _ = _directions(direction_weights, directions, mask)
    kappa, nu = _concentrations(concentration, within_concentration, q.dtype)
    b = as_count("allocation", allocation)
    check_candidates("allocation", b)
    batch = jnp.broadcast_shapes(q.shape[:-1], kappa.shape, nu.shape, b.shape[:-1])
    k, g = m.shape[-1], q.shape[-1]
    if b.shape[-1] != k:
        raise ValueError(f"allocation: {b.shape[-1]} candidates, where {k} are labelled")
    b, labels, m = (jnp.broadcast_to(x, (*batch, k)) for x in (b, labels, m))
    b = jnp.where(m, b, 0)
    totals = direction_totals(b, labels, g, mask=m)
    size = _points(method, points, totals)
    kappa, nu = (jnp.broadcast_to(x, batch).reshape(-1, 1) for x in (kappa, nu))
    q = jnp.broadcast_to(q, (*batch, g)).reshape(-1, g)
    problem = q, kappa, nu, b.reshape(-1, k), labels.reshape(-1, k)
    if method == "quadrature":
        return _by_quadrature(*problem, points=size).reshape(batch)
    # A number of steps that is known can be differentiated through.
    return _log_failure(*problem, points=size, steps=size).reshape(batch)


def spread_evenly(
    totals: Real[ArrayLike, "*#batch g"],
    directions: Int[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Rollouts of candidates from those of directions: as even as it goes, more to lower indices.

    Args:
        totals: whole rollouts of each direction, shape `(..., g)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`, with the sum of the totals.

    Raises:
        ValueError: negative totals, a label out of range, rollouts for a label that none has.

    Source: theory 5.1 (a).
    """
    t = as_count("totals", totals)
    check_candidates("totals", t)
    g = t.shape[-1]
    shape = jnp.broadcast_shapes((*t.shape[:-1], 1), np.shape(directions), _shape(mask))
    m = as_mask(mask, shape)
    labels = as_directions(directions, g, m)
    t = jnp.broadcast_to(t, (*shape[:-1], g))
    members = segment_sum(m.astype(jnp.int32), labels, g)
    if is_concrete(t) and is_concrete(members):
        lost = (np.asarray(t) > 0) & (np.asarray(members) == 0)
        if lost.any():
            place = tuple(int(i) for i in np.argwhere(lost)[0])
            raise ValueError(f"totals{list(place)} = {t[place]}: no candidate has this direction")
    return _spread(t, labels, m, jnp.maximum(members, 1))


@jax.jit
def _spread(totals: Array, labels: Array, mask: Array, members: Array) -> Array:
    g = totals.shape[-1]
    rank = (_rank_by_counting if labels.shape[-1] <= _FEW else _rank_by_sorting)(labels, mask, g)
    each = jnp.take_along_axis(totals // members, labels, -1)
    more = rank < jnp.take_along_axis(totals % members, labels, -1)
    return jnp.where(mask, each + more, 0).astype(jnp.int32)


def _rank_by_counting(labels: Array, mask: Array, g: int) -> Array:
    """How many candidates of the same direction come before each: k² comparisons."""
    k = labels.shape[-1]
    same = (labels[..., :, None] == labels[..., None, :]) & mask[..., None, :]
    return (same & jnp.tri(k, k=-1, dtype=bool)).sum(-1, dtype=jnp.int32)


def _rank_by_sorting(labels: Array, mask: Array, g: int) -> Array:
    """The same: the place in the stable order of labels, less the place where the label starts."""
    order = jnp.argsort(jnp.where(mask, labels, g), axis=-1, stable=True)
    place = jnp.argsort(order, axis=-1).astype(jnp.int32)
    count = segment_sum(mask.astype(jnp.int32), labels, g)
    start = jnp.cumsum(count, -1, dtype=jnp.int32) - count
    return place - jnp.take_along_axis(start, labels, -1)


@partial(jax.jit, static_argnames="points")
def _by_level(
    q: Array, members: Array, kappa: Array, nu: Array, budget: Array, points: int
) -> Array:
    """Totals `(rows, g)` by quadrature, which knows the priority after any number of rollouts."""
    copies = jnp.maximum(members, 1)
    kappa, nu = (jnp.broadcast_to(x[:, None], q.shape) for x in (kappa, nu))

    def priority(totals: Array) -> Array:
        some = jnp.maximum(totals, 1)
        rollouts = mixture.evenly(some.astype(q.dtype), copies.astype(q.dtype))
        failures = mixture.fresh_failures(q, kappa, nu, rollouts, points)
        later = hierarchy.fresh(nu, totals // copies) * (q / (kappa + failures))
        return jnp.where(totals > 0, later, q / kappa)

    # No more failures can be fresh than there are.
    n = budget[:, None].astype(q.dtype)
    last = hierarchy.fresh(nu, n) * (q / (kappa + n))
    return by_level.largest(priority, q / kappa, last, budget, members > 0)


@partial(jax.jit, static_argnames="points")
def _greedy(q: Array, members: Array, kappa: Array, nu: Array, budget: Array, points: int) -> Array:
    """Totals `(rows, g)` by tables: one rollout at a time to the largest drop in log failure."""
    rows = jnp.arange(q.shape[0])
    start = hierarchy.tables(q, jnp.broadcast_to(kappa[:, None], q.shape), points)

    def give(step: Array, state: tuple[Array, Array, Belief]) -> tuple[Array, Array, Belief]:
        totals, ahead, belief = state
        which = jnp.argmax(ahead, -1)
        spent = totals[rows, which]
        copies = members[rows, which]
        over = step >= budget
        depth, following = (x // copies for x in (spent, spent + 1))
        mine = hierarchy.select(belief, rows, which)
        after, _ = hierarchy.after_failure(mine, hierarchy.fresh(nu, depth), kappa)
        after = hierarchy.started(mine, spent, after)
        next_ahead = hierarchy.priority(after, hierarchy.fresh(nu, following))
        ahead = ahead.at[rows, which].set(jnp.where(over, ahead[rows, which], next_ahead))
        totals = totals.at[rows, which].add((~over).astype(jnp.int32))
        return totals, ahead, hierarchy.replace(belief, rows, which, after, over)

    exists = members > 0
    ahead = jnp.where(exists, q / kappa[:, None], -jnp.inf)
    state = jnp.zeros(q.shape, jnp.int32), ahead, start
    members = jnp.maximum(members, 1)
    return jax.lax.fori_loop(0, budget.max(initial=0), give, state)[0]


@partial(jax.jit, static_argnames="points")
def _by_quadrature(
    q: Array, kappa: Array, nu: Array, allocation: Array, labels: Array, points: int
) -> Array:
    rollouts = mixture.unevenly(allocation.astype(q.dtype), labels, q.shape[-1])
    kappa, nu = (jnp.broadcast_to(x, q.shape) for x in (kappa, nu))
    return mixture.log_failure(q, kappa, nu, rollouts, points).sum(-1)


@partial(jax.jit, static_argnames=("points", "steps"))
def _log_failure(
    q: Array,
    kappa: Array,
    nu: Array,
    allocation: Array,
    labels: Array,
    points: int,
    steps: int,
) -> Array:
    """Rollouts of a direction in order of depth; each step takes one of every direction."""
    kappa = jnp.broadcast_to(kappa, q.shape)
    start = hierarchy.tables(q, kappa, points)

    def at(depth: Array) -> Array:
        deeper = allocation > jnp.take_along_axis(depth, labels, -1)
        return segment_sum(deeper.astype(jnp.int32), labels, q.shape[-1])

    def fail(step: Array, state: tuple) -> tuple:
        belief, depth, left, total = state
        after, chance = hierarchy.after_failure(belief, hierarchy.fresh(nu, depth), kappa)
        first = step == 0
        chance = jnp.where(first, jnp.log1p(-q), chance)
        live = left > 0
        keep = ~live | first
        mass = jnp.where(keep[..., None], belief.mass, after.mass)
        total = total + jnp.where(live, chance, 0)
        left = left - live
        done = left == 0
        depth = depth + done
        left = jnp.where(done, at(depth), left)
        return belief._replace(mass=mass), depth, left, total

    depth = jnp.zeros(q.shape, jnp.int32)
    state = start, depth, at(depth), jnp.zeros_like(q)
    return jax.lax.fori_loop(0, steps, fail, state)[3].sum(-1)


def _directions(
    direction_weights: ArrayLike, directions: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    """Q `(..., g)`, labels and mask `(..., k)`, number of candidates of each direction."""
    q = as_float("direction_weights", direction_weights)
    check_candidates("direction_weights", q)
    check_candidates("directions", directions)
    k = np.shape(directions)[-1]
    shape = jnp.broadcast_shapes((*q.shape[:-1], k), np.shape(directions), _shape(mask))
    m = as_mask(mask, shape)
    labels = as_directions(directions, q.shape[-1], m)
    q = jnp.broadcast_to(q, (*shape[:-1], q.shape[-1]))
    members = segment_sum(m.astype(jnp.int32), labels, q.shape[-1])
    check_range("direction_weights", q, 0, 1, mask=members > 0)
    return jnp.where(members > 0, q, 0), labels, m, members


def _concentrations(
    concentration: ArrayLike, within_concentration: ArrayLike, dtype: np.dtype
) -> tuple[Array, Array]:
    kappa = as_float("concentration", concentration).astype(dtype)
    nu = as_float("within_concentration", within_concentration).astype(dtype)
    check_range("concentration", kappa, 0, low_open=True)
    check_range("within_concentration", nu, 0, low_open=True)
    return kappa, nu


def _points(method: str, points: int | None, rollouts: Array) -> int:
    """The size of the account, rounded up where it is ours to choose: few programs to compile."""
    if method not in get_args(Method):
        raise ValueError(f"method = {method!r}: needs one of {', '.join(get_args(Method))}")
    if points is not None and points < 1:
        raise ValueError(f"points = {points}: needs a positive number")
    if method == "quadrature":
        if points is not None and points < _NODES:
            raise ValueError(f"points = {points}: quadrature needs at least {_NODES}")
        return points or _NODES
    if is_concrete(rollouts):
        most = int(np.max(rollouts, initial=0))
        if points is not None and most > points:
            raise ValueError(f"points = {points}: too few for {most} rollouts")
        return points or 1 << max(most - 1, 0).bit_length()
    if points is None:
        raise ValueError("points: state the largest number of rollouts, which is not known here")
    return points


def _shape(mask: ArrayLike | None) -> tuple[int, ...]:
    return () if mask is None else np.shape(mask)
