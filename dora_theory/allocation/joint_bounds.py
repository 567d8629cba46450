"""Bounds on what any allocation can reach under a joint prior (theory 8.1.5, 8.1.6)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import host_float
from dora_theory._domains import NOT_NEGATIVE, spoiled
from dora_theory.allocation.joint import (
    cannot_serve,
    checked_draws,
    checked_rollouts,
    checked_total,
    greedy_step,
    spent_rates,
)
from dora_theory.model.joint import JointPrior


class JointBound(NamedTuple):
    """Upper bounds on the success J* of the best allocation, shape `(...)` each.

    Attributes:
        naive: J + N times the largest gain of one rollout.
        lattice: J + the N largest of all gains along a candidate; never above `naive`.
    """

    naive: Float[Array, "*batch"]
    lattice: Float[Array, "*batch"]


def lattice_bound(
    prior: JointPrior,
    allocation: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"] | None = None,
) -> JointBound:
    """Upper bounds on the success of the best allocation, from the gains beyond any other.

    Args:
        prior: a joint prior.
        allocation: B ≥ 0 of any total, shape `(..., k)`.
        budget: N of the best allocation, scalar or shape `(...)`; the total of B if None.

    Returns:
        The bounds, valid from any B. One candidate's gains fall, so each counts once in the list of
        the N largest.

    Raises:
        ValueError: negative or too many rollouts, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> found = dt.lattice_bound(prior, np.array([4, 4, 4]))
        >>> bool(found.lattice <= found.naive)
        True

    Source: theory 8.1.5.
    """
    b = checked_rollouts(prior, allocation)
    n = b.sum(-1) if budget is None else checked_total(prior, budget)
    return _lattice(prior, b, n)


def prefix_bound(prior: JointPrior, budget: Real[ArrayLike, "*#batch"]) -> Float[Array, "*batch"]:
    """Upper bound on the success of the best allocation: the least `lattice` of greedy's prefixes.

    Args:
        prior: a joint prior.
        budget: N ≥ 0, at most `prior.max_rollouts`, scalar or shape `(...)`.

    Returns:
        The bound on J*, at most 1, shape `(...)`.

    Raises:
        ValueError: a budget that is not a count or beyond the moments, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> bool(0 < dt.prefix_bound(prior, 12) <= 1)
        True

    Source: theory 8.1.5.
    """
    return _prefix_bound(prior, checked_total(prior, budget))


def frank_wolfe_gap(
    rates: Real[ArrayLike, "*#batch m k"],
    allocation: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    weights: Real[ArrayLike, "*#batch m"] | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """The gap g of log F on real allocations: log F* ≥ log F(B) - g.

    Args:
        rates: x = -log(1 - p) in [0, inf], shape `(..., m, k)`.
        allocation: B ≥ 0, real or integer, shape `(..., k)`.
        budget: N, scalar or shape `(...)`.
        weights: of the draws, ≥ 0 on any scale, shape `(..., m)`; equal if None.
        mask: boolean `(..., k)`, false for padding, which counts for nothing.

    Returns:
        g, shape `(...)`; infinite where a candidate without rollouts may succeed for certain. It
        says little at small κ, where `certify` has a bound that does.

    Raises:
        ValueError: NaN or negative values, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> rates = dt.copula_draws(jax.random.key(0), weights, 1.0, correlation, num_draws=64)
        >>> bool(dt.frank_wolfe_gap(rates, np.array([4, 4, 4]), 12) >= 0)
        True

    Source: theory 8.1.6.
    """
    x, w, n, there = checked_draws(rates, weights, budget, "budget", mask)
    b = host_float("allocation", allocation)
    if np.ndim(b) < 1 or b.shape[-1] != x.shape[-1]:
        raise ValueError(f"allocation: shape {np.shape(b)}, where rates has {x.shape}")
    NOT_NEGATIVE.check("allocation", b, mask)
    return _frank_wolfe(x, w, jnp.where(there, jnp.asarray(b, x.dtype), 0), n)


@jax.jit
def _lattice(prior: JointPrior, b: Array, n: Array) -> JointBound:
    log_f = prior.log_weights + prior.conditional(b)
    f = jnp.exp(log_f)
    batch = np.broadcast_shapes(log_f.shape[:-1], n.shape)
    table = jnp.broadcast_to(prior.log_moments, (*log_f.shape, *prior.log_moments.shape[-2:]))
    place = jnp.broadcast_to(b[..., None, :, None], (*table.shape[:-1], 1))
    now = jnp.take_along_axis(table, place, -1)
    steps = jnp.arange(prior.max_rollouts)
    ratio = jnp.exp(jnp.where(now > -jnp.inf, table - now, 0))
    along = (jnp.where(f > 0, f, 0)[..., None, None] * ratio).sum(-3)
    gains = jnp.where(steps >= b[..., None], along[..., :-1] - along[..., 1:], 0)
    flat = jnp.sort(gains.reshape(*gains.shape[:-2], -1), -1, descending=True)
    counted = jnp.arange(flat.shape[-1]) < n[..., None]
    success = 1 - f.sum(-1)
    naive = success + n * flat[..., 0] if flat.shape[-1] else success
    lattice = success + jnp.where(counted, flat, 0).sum(-1)
    bad = (b < 0).any(-1) | (b > prior.max_rollouts).any(-1) | cannot_serve(prior, n)
    return JointBound(*(spoiled(jnp.broadcast_to(x, batch), bad, 0) for x in (naive, lattice)))


@jax.jit
def _prefix_bound(prior: JointPrior, n: Array) -> Array:
    batch = np.broadcast_shapes(prior.log_moments.shape[:-3], prior.weights.shape[:-1], n.shape)
    spent = jnp.zeros((*batch, prior.num_candidates), jnp.int32)
    log_f = jnp.broadcast_to(prior.log_weights, (*batch, prior.weights.shape[-1]))

    def give(r: Array, state: tuple) -> tuple:
        best, spent, log_f = state
        best = jnp.minimum(best, _lattice(prior, spent, n).lattice)
        return best, *greedy_step(prior, spent, log_f, r < n)

    one = jnp.ones(batch, prior.log_moments.dtype)
    best, spent, _ = jax.lax.fori_loop(0, n.max(initial=0), give, (one, spent, log_f))
    best = jnp.minimum(best, _lattice(prior, spent, n).lattice)
    return spoiled(best, jnp.broadcast_to(cannot_serve(prior, n), batch), 0)


@jax.jit
def _frank_wolfe(x: Array, w: Array, b: Array, n: Array) -> Array:
    log_f = jnp.log(w) + spent_rates(x, b)
    # Where failure is impossible nothing is left to gain.
    sure = ~(log_f.max(-1, keepdims=True) > -jnp.inf)
    q = jnp.where(sure, 0, jax.nn.softmax(jnp.where(sure, 0, log_f), -1))[..., None]
    slope = jnp.where(q > 0, q * x, 0).sum(-2)
    spent = jnp.where(b > 0, b * slope, 0).sum(-1)
    return jnp.where(n > 0, n * slope.max(-1), 0) - spent
