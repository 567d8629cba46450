"""Allocation over directions: shared success (theory 4.1) and correlated candidates (theory 5.1).

Whatever the prior of a direction, its failure is log-convex in its total when that is spread evenly
over its copies, so taking rollouts one by one by the largest drop in log failure is exact.
"""

from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import (
    Argument,
    check_budget,
    check_spendable,
    check_whole,
    checked,
    is_host,
    labeled,
)
from dora_theory._domains import COUNT, SHARE, Labels, cannot_spend, offset_domain, spoiled
from dora_theory._sizes import rounded
from dora_theory.allocation import by_level
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.spread import spread_totals
from dora_theory.kernels.varying import varying_with
from dora_theory.model import hierarchy, mixture
from dora_theory.model.directions import segment_sum, sound_labels
from dora_theory.model.hierarchy import Belief

Method = Literal["tables", "quadrature"]
# Nodes of the quadrature, which have the stated error.
_NODES = 128


@rounded
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
        concentration: κ > 0, scalar or shape `(...)`; from 1e-30 to 2^23 in float32,
            from 1e-290 to 2^52 in float64.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N. Totals are optimal, spread evenly; ties to the lowest label. A
        label that no candidate has receives nothing.

    Raises:
        ValueError: as `optimal_allocation`; a label out of range.

    Examples:
        >>> quality, directions = np.array([0.6, 0.4]), np.array([0, 0, 0, 1])
        >>> dt.direction_allocation(quality, directions, 0.5, 12)
        Array([3, 2, 2, 5], dtype=int32)

    Source: theory 4.1.
    """
    q, labels, kappa, n, m = _problem(
        direction_weights,
        directions,
        mask,
        concentration=Argument(concentration, "", offset_domain),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, q.dtype)
    return _by_direction(q, labels, kappa, n, m)


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
        concentration: κ > 0, scalar or shape `(...)`; from 1e-30 to 2^23 in float32,
            from 1e-290 to 2^52 in float64.
        within_concentration: ν > 0, scalar or shape `(...)`; from 1e-30 to 2^23 in float32,
            from 1e-290 to 2^52 in float64.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        method: `"tables"`, exact for every N at O(N²) a problem; `"quadrature"`, O(log² N) and for
            any N: priorities to a relative error of 1e-12 in float64 and 3e-5 in float32, κ and ν
            from 1e-6 to 1e6, N to 1e6. Those that are closer may be served the other way round.
        points: size of the account of tables, at least the largest N, which it is by default; it
            must be known, so state it under `jit`. An N on a device is waited for if this is not
            given; if it is, a problem with more has -1 throughout. For quadrature the number of
            nodes, 128 or more.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N. Totals are optimal, spread evenly; ties to the lowest label.

    Raises:
        ValueError: values out of range, shapes that do not fit, more rollouts than `points` or an
            unknown number of them.

    Examples:
        >>> quality, directions = np.array([0.6, 0.4]), np.array([0, 0, 0, 1])
        >>> dt.correlated_allocation(quality, directions, 1.0, 2.0, 12)
        Array([3, 3, 2, 4], dtype=int32)

    Source: theory 5.1.
    """
    q, labels, kappa, nu, n, m = _problem(
        direction_weights,
        directions,
        mask,
        concentration=Argument(concentration, "", offset_domain),
        within_concentration=Argument(within_concentration, "", offset_domain),
        budget=Argument(budget, "", COUNT),
    )
    check_spendable(budget, mask)
    size = _points(method, points, n, is_host(budget))
    return _correlated(q, labels, kappa, nu, n, m, method, size)


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
        concentration: κ > 0, scalar or shape `(...)`; from 1e-30 to 2^23 in float32,
            from 1e-290 to 2^52 in float64.
        within_concentration: ν > 0, scalar or shape `(...)`; from 1e-30 to 2^23 in float32,
            from 1e-290 to 2^52 in float64.
        allocation: integer rollouts B ≥ 0, spread in any way, shape `(..., k)`.
        method: as `correlated_allocation`.
        points: as `correlated_allocation`, for the largest total of a direction.
        mask: boolean `(..., k)`; candidates that are false count for nothing.

    Returns:
        Shape `(...)`, in [-inf, 0], differentiable in Q, κ and ν. Relative error of tables below 4
        ulps a rollout: 1e-12 in float64 and 1e-3 in float32 for 1,000 rollouts of a direction.
        Of quadrature below 1e-10 and 1e-4, for κ and ν from 1e-6 to 1e6 and 1e6 rollouts.

    Raises:
        ValueError: as `correlated_allocation`.

    Examples:
        >>> quality, directions = np.array([0.6, 0.4]), np.array([0, 0, 0, 1])
        >>> failure = dt.hierarchical_log_failure(quality, directions, 1.0, 2.0, [2, 2, 2, 6])
        >>> round(float(failure), 4)
        -2.6422

    Source: theory 5.1.
    """
    q, labels, kappa, nu, b, m = _problem(
        direction_weights,
        directions,
        mask,
        concentration=Argument(concentration, "", offset_domain),
        within_concentration=Argument(within_concentration, "", offset_domain),
        allocation=Argument(allocation, domain=COUNT),
    )
    look = all(map(is_host, (allocation, directions, mask)))
    totals = _member_totals(b, labels, m, q.shape[-1])
    size = _points(method, points, totals, look)
    return _log_failure(q, labels, kappa, nu, b, m, method, size)


def _sound(q: Array, labels: Array, mask: Array) -> tuple[Array, Array, Array, Array]:
    """Q `(..., g)`, 0 where no candidate is; labels; candidates of each direction; bad problems."""
    g = q.shape[-1]
    labels, bad = sound_labels(labels, mask, g)
    members = segment_sum(mask.astype(jnp.int32), labels, g)
    bad |= SHARE.fails(q, 1, members > 0)
    return jnp.where(members > 0, q, 0), labels, members, bad


@jax.jit
def _by_direction(q: Array, labels: Array, kappa: Array, budget: Array, mask: Array) -> Array:
    q, labels, members, bad = _sound(q, labels, mask)
    n = jnp.where(bad, -1, budget)
    totals = optimal_allocation(q, kappa, n, mask=members > 0)
    # Totals of -1 are no totals, and give -1 to every candidate.
    return spread_totals(jnp.where(bad[..., None], -1, totals), labels, mask)


@partial(jax.jit, static_argnames=("method", "points"))
def _correlated(
    q: Array,
    labels: Array,
    kappa: Array,
    nu: Array,
    budget: Array,
    mask: Array,
    method: str,
    points: int,
) -> Array:
    q, labels, members, bad = _sound(q, labels, mask)
    allowed = offset_domain(kappa.dtype)
    bad |= allowed.fails(kappa) | allowed.fails(nu) | cannot_spend(budget, mask)
    if method == "tables":
        bad |= budget > points
    batch, g = mask.shape[:-1], q.shape[-1]
    # A budget that the account does not hold must not be spent in a loop either.
    n = jnp.where(bad, 0, budget).reshape(-1)
    kappa, nu = (jnp.where(bad, 1, x).reshape(-1) for x in (kappa, nu))
    rows = varying_with((q.reshape(-1, g), members.reshape(-1, g), kappa, nu, n))
    find = _greedy if method == "tables" else _by_level
    totals = find(*rows, points=points).reshape(*batch, g)
    return spread_totals(jnp.where(bad[..., None], -1, totals), labels, mask)


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
    return jax.lax.fori_loop(
        0, budget.max(initial=0), give, varying_with(state, members, kappa, nu, budget)
    )[0]


def _by_quadrature(
    q: Array, kappa: Array, nu: Array, allocation: Array, labels: Array, points: int
) -> Array:
    rollouts = mixture.unevenly(allocation.astype(q.dtype), labels, q.shape[-1])
    kappa, nu = (jnp.broadcast_to(x, q.shape) for x in (kappa, nu))
    return mixture.log_failure(q, kappa, nu, rollouts, points).sum(-1)


@partial(jax.jit, static_argnames=("method", "points"))
def _log_failure(
    q: Array,
    labels: Array,
    kappa: Array,
    nu: Array,
    allocation: Array,
    mask: Array,
    method: str,
    points: int,
) -> Array:
    q, labels, _, bad = _sound(q, labels, mask)
    allowed = offset_domain(kappa.dtype)
    bad |= allowed.fails(kappa) | allowed.fails(nu) | COUNT.fails(allocation, 1, mask)
    batch, (k, g) = mask.shape[:-1], (mask.shape[-1], q.shape[-1])
    b = jnp.where(mask, allocation, 0)
    if method == "tables":
        bad |= (segment_sum(b, labels, g) > points).any(-1)
    b, labels = jnp.where(bad[..., None], 0, b).reshape(-1, k), labels.reshape(-1, k)
    kappa, nu = (jnp.where(bad, 1, x).reshape(-1, 1) for x in (kappa, nu))
    problem = varying_with((q.reshape(-1, g), kappa, nu, b, labels))
    found = (_by_quadrature if method == "quadrature" else _all_fail)(*problem, points=points)
    return spoiled(found.reshape(batch), bad, 0)


def _all_fail(
    q: Array, kappa: Array, nu: Array, allocation: Array, labels: Array, points: int
) -> Array:
    """Rollouts of a direction in order of depth; each step takes one of every direction."""
    # What never fails has no slope: -inf is put in at the end.
    sure, q = q == 1, jnp.where(q == 1, 0.5, q)
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
    found = jax.lax.fori_loop(0, points, fail, varying_with(state))[3]
    return jnp.where(sure, jnp.where(at(depth) > 0, -jnp.inf, 0), found).sum(-1)


def _problem(
    direction_weights: ArrayLike,
    directions: ArrayLike,
    mask: ArrayLike | None,
    **more: Argument,
) -> tuple[Array, ...]:
    """Q, labels, more arguments and the mask, checked; not the Q of a label that none has."""
    g = (np.shape(direction_weights) or (1,))[-1]
    found = checked(
        mask,
        direction_weights=Argument(direction_weights, "g", None),
        directions=Argument(directions, "k", Labels(0, g - 1)),
        **more,
    )
    if is_host(direction_weights):
        q = host_array(direction_weights)
        if is_host(directions) and is_host(mask) and not SHARE.holds(q).all():
            there = None if mask is None else host_array(mask)
            SHARE.check("direction_weights", q, labeled(host_array(directions), there, g))
    return found


@partial(jax.jit, static_argnames="g")
def _member_totals(b: Array, labels: Array, mask: Array, g: int) -> Array:
    labels, _ = sound_labels(labels, mask, g)
    return segment_sum(jnp.where(mask, b, 0), labels, g)


def _points(method: str, points: int | None, rollouts: Any, look: bool) -> int:
    """The size of the account, rounded up where it is ours to choose: few programs to compile.

    Of rollouts on a device that are not to be looked at what is too much gives a bad problem.
    """
    if method not in get_args(Method):
        raise ValueError(f"method = {method!r}: needs one of {', '.join(get_args(Method))}")
    points = None if points is None else check_whole("points", points, 1)
    if method == "quadrature":
        if points is not None and points < _NODES:
            raise ValueError(f"points = {points}: quadrature needs at least {_NODES}")
        return points or _NODES
    if isinstance(rollouts, jax.core.Tracer):
        if points is None:
            raise ValueError(
                "points: state the largest number of rollouts, which is not known here"
            )
        return points
    if points is not None and not look:
        return points
    most = int(np.max(np.asarray(rollouts), initial=0))
    if points is not None and most > points:
        raise ValueError(f"points = {points}: too few for {most} rollouts")
    return points or 1 << max(most - 1, 0).bit_length()
