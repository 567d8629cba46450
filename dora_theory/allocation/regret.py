"""What another allocation than the optimum costs, in rollouts and in success (theory 4.3, 5.3)."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_budget, checked
from dora_theory._domains import COUNT, NOT_NEGATIVE, SHARE, offset_domain, spoiled
from dora_theory.allocation import optimal
from dora_theory.kernels.varying import varying_with
from dora_theory.model.objective import each_log_failure, log_failure

# The largest budget that is tried; in float32 it is the largest of `apportion`.
_MOST = {"float32": 2**22, "float64": 2**30}


def rollouts_to_match(
    direction_weights: Real[ArrayLike, "*#batch g"],
    shares: Real[ArrayLike, "*#batch g"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """Rollouts that allocation by shares needs for the success that the optimum has with N.

    Over N it is the rollout efficiency N_sol/N_dir, which tends to exp KL(Q‖shares).

    Args:
        direction_weights: Q in [0, 1] of each direction, shape `(..., g)`.
        shares: ≥ 0, shape `(..., g)`, on any scale; apportioned by Webster's method.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0 rollouts of the optimum, scalar or shape `(...)`.

    Returns:
        Real, ≥ N, shape `(...)`, between the last budget that is too small and the first that is
        enough, log failure is interpolated linearly. ∞ where 2^30 rollouts are too few (2^22 in
        float32).

    Raises:
        ValueError: as `optimal_allocation` and `apportion`.

    Examples:
        >>> needed = dt.rollouts_to_match(np.array([0.5, 0.5]), np.array([10, 1]), 1.0, 32)
        >>> round(float(needed), 1)
        55.0

    Source: theory 4.3, 4.7.
    """
    q, s, kappa, n, _ = checked(
        direction_weights=Argument(direction_weights, "g", SHARE),
        shares=Argument(shares, "g", NOT_NEGATIVE),
        concentration=Argument(concentration, "", offset_domain),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, None, q.dtype)
    return _rollouts_to_match(q, s, kappa, n, _MOST[q.dtype.name])


def regret_of_concentration(
    weights: Real[ArrayLike, "*#batch k"],
    assumed: Real[ArrayLike, "..."],
    concentration: Real[ArrayLike, "..."],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """Success lost by the optimum of an assumed κ' when κ is true, `J_κ(B*_κ) - J_κ(B*_κ')`.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        assumed: κ' > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        Shape `(...)`, ≥ 0 (a difference below rounding of the log failures counts as 0), without
        cancellation between two successes near 1.

    Raises:
        ValueError: as `optimal_allocation`.

    Examples:
        >>> weights = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
        >>> round(float(dt.regret_of_concentration(weights, 0.5, 10.0, 16)), 4)
        0.0022

    Source: theory 5.3.
    """
    w, other, kappa, n, m = checked(
        mask,
        weights=Argument(weights, domain=SHARE),
        assumed=Argument(assumed, "?k", offset_domain),
        concentration=Argument(concentration, "?k", offset_domain),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, w.dtype)
    plans = [optimal.solved(w, x, n, m) for x in (kappa, other)]
    return _regret(w, kappa, *plans, m)


@jax.jit
def _regret(w: Array, concentration: Array, ours: Array, theirs: Array, mask: Array) -> Array:
    plans = ours, theirs
    bad = (ours < 0).any(-1) | (theirs < 0).any(-1)
    spent = (jnp.maximum(plan, 0).astype(w.dtype) for plan in plans)
    best, used = (each_log_failure(w, concentration, n, mask).sum(-1) for n in spent)
    finite = jnp.isfinite(best)
    less = jnp.where(finite, best, 0) - jnp.where(finite, used, 0)
    loss = jnp.where(finite, 0.0 - jnp.expm1(jnp.minimum(less, 0)), 1)
    return spoiled(jnp.exp(used) * loss, bad, 0)


@partial(jax.jit, static_argnames="most")
def _rollouts_to_match(q: Array, shares: Array, kappa: Array, budget: Array, most: int) -> Array:
    batch = jnp.broadcast_shapes(q.shape[:-1], shares.shape[:-1], kappa.shape, budget.shape)
    q, shares = (jnp.broadcast_to(x, (*batch, x.shape[-1])) for x in (q, shares))
    kappa, budget = (jnp.broadcast_to(x, batch) for x in (kappa, budget))
    bad = NOT_NEGATIVE.fails(shares, 1) | ~(optimal.optimal_allocation(q, kappa, budget) >= 0).all(
        -1
    )
    budget = jnp.where(bad, 0, budget)

    def by_shares(rollouts: Array) -> Array:
        return log_failure(q, kappa, optimal.apportion(shares, rollouts))

    target = log_failure(q, kappa, optimal.optimal_allocation(q, kappa, budget))

    # Webster's method takes nothing back when the budget grows, so failure falls with it; and no
    # allocation of fewer than N is as good as the best of N. A bracket is widened, then halved.
    def widen(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, short = state
        twice = jnp.minimum(high, most // 2) * 2
        low, high = (
            jnp.where(short, high, low),
            jnp.where(short, jnp.where(high < first, first, twice), high),
        )
        return low, high, short & (by_shares(high) > target) & (high < most)

    def halve(state: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = state
        middle = low + (high - low) // 2
        short = by_shares(middle) > target
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    first = jnp.maximum(budget, 1)
    state = budget - 1, budget - 1, jnp.ones(budget.shape, bool)
    start = varying_with(state, target, shares)
    low, high, _ = jax.lax.while_loop(lambda s: jnp.any(s[2]), widen, start)
    low, high = jax.lax.while_loop(lambda s: jnp.any(s[1] - s[0] > 1), halve, (low, high))
    ends = jnp.stack([jnp.maximum(low, 0), high])
    before, at = jax.lax.map(by_shares, ends)
    fine = jnp.isfinite(at) & (before > at)
    # Of a target of -inf there is no fraction, nor a slope of it.
    step = jnp.where(fine, before - target, 1) / jnp.where(fine, before - at, 1)
    # Fewer than N never suffice; a rounding of the interpolation may say so.
    found = jnp.maximum(low + step, budget.astype(q.dtype))
    found = jnp.where(at > target, jnp.inf, jnp.where(target == 0, budget, found))
    return spoiled(found, bad, 0)
