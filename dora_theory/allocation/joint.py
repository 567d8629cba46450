"""Failure and greedy for any joint prior of the success probabilities (theory 8.1).

Success J is monotone and DR-submodular in rollouts, and failure F = 1 - J log-convex, whatever the
prior is. So greedy is near the optimum, and each of the two properties bounds what any allocation
can still gain: `joint_bounds`. `joint_certificate` is exact for independent candidates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import as_mask, check_spendable, host_count, host_float, host_mask
from dora_theory._domains import COUNT, NOT_NEGATIVE, cannot_spend, spoiled
from dora_theory.model.joint import RATE, JointPrior


class FailureEstimate(NamedTuple):
    """Failure under draws.

    Attributes:
        log_failure: log F, shape `(...)`.
        standard_error: of F by the scatter of the draws, shape `(...)`.
    """

    log_failure: Float[Array, "*batch"]
    standard_error: Float[Array, "*batch"]


def draws_failure(
    rates: Real[ArrayLike, "*#batch m k"],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    weights: Real[ArrayLike, "*#batch m"] | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> FailureEstimate:
    """Probability that all rollouts fail, from draws of the success probabilities.

    Args:
        rates: x = -log(1 - p) in [0, inf], shape `(..., m, k)`.
        allocation: B ≥ 0, shape `(..., k)`, integers.
        weights: of the draws, ≥ 0 on any scale, shape `(..., m)`; equal if None.
        mask: boolean `(..., k)`, false for padding, which counts for nothing.

    Returns:
        Log failure and the standard error of failure. An allocation that was chosen on the same
        draws looks better than it is, by about 0.5/m: judge it on fresh ones.

    Raises:
        ValueError: NaN or negative rates, B or weights; shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> rates = dt.copula_draws(jax.random.key(0), weights, 1.0, correlation, num_draws=64)
        >>> bool(dt.draws_failure(rates, np.array([4, 4, 4])).log_failure < 0)
        True

    Source: theory 8.1.1, 8.1.11.
    """
    x, w, b, _ = checked_draws(rates, weights, allocation, "allocation", mask)
    return _draws_failure(x, w, b)


def draws_allocation(
    rates: Real[ArrayLike, "*#batch m k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    weights: Real[ArrayLike, "*#batch m"] | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Greedy on draws: each rollout where it lowers failure most.

    Args:
        rates: x = -log(1 - p) in [0, inf], shape `(..., m, k)`.
        budget: N ≥ 0, scalar or shape `(...)`.
        weights: of the draws, ≥ 0 on any scale, shape `(..., m)`; equal if None.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N; ties within 64 ulps go to the lowest index. J is at least
        1 - (1 - 1/N)^N of the best on these draws, in practice all of it but 0.0001. O(N m k).

    Raises:
        ValueError: NaN or negative rates, N or weights; shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> rates = dt.copula_draws(jax.random.key(0), weights, 1.0, correlation, num_draws=64)
        >>> int(dt.draws_allocation(rates, 12).sum())
        12

    Source: theory 8.1.2, 8.2.3.
    """
    x, w, n, there = checked_draws(rates, weights, budget, "budget", mask)
    return _draws_greedy(x, w, n, there)


def joint_log_failure(
    prior: JointPrior, allocation: Real[ArrayLike, "*#batch k"]
) -> Float[Array, "*batch"]:
    """Log probability that all rollouts fail, under any joint prior.

    Args:
        prior: a joint prior.
        allocation: B ≥ 0, at most `prior.max_rollouts` each, shape `(..., k)`.

    Returns:
        log F in [-inf, 0], shape `(...)`.

    Raises:
        ValueError: NaN, negative or too many rollouts, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> bool(dt.joint_log_failure(prior, np.array([4, 4, 4])) < 0)
        True

    Source: theory 8.1.
    """
    b = checked_rollouts(prior, allocation)
    return _log_failure(prior, b)


def joint_allocation(
    prior: JointPrior, budget: Real[ArrayLike, "*#batch"]
) -> Int[Array, "*batch k"]:
    """Greedy under any joint prior: each rollout where it lowers failure most.

    It is also the best adaptive policy's first N steps wherever greedy is optimal: what comes after
    a failure is known in advance (theory 8.1.3).

    Args:
        prior: a joint prior.
        budget: N ≥ 0, at most `prior.max_rollouts`, scalar or shape `(...)`.

    Returns:
        int32 `(..., k)` with sum N; ties within 64 ulps go to the lowest index. Exact for
        independent candidates, one p shared by all and exchangeable priors; else see `certify`.

    Raises:
        ValueError: a budget that is not a count or beyond the moments, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> int(dt.joint_allocation(prior, 12).sum())
        12

    Source: theory 8.1.2, 8.1.4.
    """
    return _greedy(prior, checked_total(prior, budget))


def checked_rollouts(prior: JointPrior, allocation: ArrayLike) -> Array:
    """B as int32, at most what the moments suffice for; -1 is never an index of them."""
    b = host_count("allocation", allocation)
    if np.ndim(b) < 1 or b.shape[-1] != prior.num_candidates:
        raise ValueError(
            f"allocation: shape {np.shape(b)}, where log_moments has {prior.num_candidates}"
            " candidates"
        )
    most = COUNT._replace(high=prior.max_rollouts, hint=", the depth of the log moments")
    most.check("allocation", b, prior.mask)
    return prior.unpadded(jnp.asarray(b), 0)


def checked_total(prior: JointPrior, budget: ArrayLike) -> Array:
    """N as int32, at most what the moments suffice for."""
    n = host_count("budget", budget)
    check_spendable(n, prior.mask)
    COUNT._replace(high=prior.max_rollouts, hint=", the depth of the log moments").check(
        "budget", n
    )
    return jnp.asarray(n)


def cannot_serve(prior: JointPrior, n: Array) -> Bool[Array, "..."]:
    """Whether a budget is no count, beyond the moments, or has no candidate to go to."""
    bad = (n < 0) | (n > prior.max_rollouts)
    return bad if prior.mask is None else bad | cannot_spend(n, prior.mask)


def checked_draws(
    rates: ArrayLike,
    weights: ArrayLike | None,
    counts: ArrayLike,
    name: str,
    mask: ArrayLike | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Rates, 0 for padding, weights of the draws, counts called `name`, and the mask, checked."""
    x = host_float("rates", rates)
    if np.ndim(x) < 2:
        raise ValueError(f"rates: needs shape (..., m, k), got {np.shape(x)}")
    there = None if mask is None else host_mask(mask)
    RATE.check("rates", x, None if there is None else there[..., None, :])
    w = np.ones(x.shape[-2], x.dtype) if weights is None else host_float("weights", weights)
    NOT_NEGATIVE.check("weights", w)
    n = host_count(name, counts)
    sizes = {"weights": (w, x.shape[-2])}
    if name == "allocation":
        sizes[name] = (n, x.shape[-1])
    else:
        check_spendable(n, there)
    for of, (value, size) in sizes.items():
        if np.ndim(value) < 1 or value.shape[-1] != size:
            raise ValueError(f"{of}: shape {np.shape(value)}, where rates has {x.shape}")
    x = jnp.asarray(x)
    if there is not None:
        shape = np.broadcast_shapes(there.shape[:-1], x.shape[:-2])
        x = jnp.where(as_mask(there, (*shape, x.shape[-1]))[..., None, :], x, 0)
    there = as_mask(there, (*x.shape[:-2], x.shape[-1]))
    return x, jnp.asarray(w, x.dtype), jnp.asarray(n), there


def spent_rates(x: Array, b: Array) -> Array:
    """Log failure of each draw, shape `(..., m)`; of no rollout it is 0 whatever x is."""
    b = b[..., None, :]
    return -jnp.where(b > 0, x * b, 0).sum(-1)


@jax.jit
def _draws_failure(x: Array, w: Array, b: Array) -> FailureEstimate:
    share = w / w.sum(-1, keepdims=True)
    each = spent_rates(x, b)
    log_f = log_average(jnp.log(w), each)
    scatter = (share * (jnp.exp(each) - jnp.exp(log_f)[..., None])) ** 2
    bad = (b < 0).any(-1)
    return FailureEstimate(spoiled(log_f, bad, 0), spoiled(jnp.sqrt(scatter.sum(-1)), bad, 0))


@jax.jit
def _draws_greedy(x: Array, w: Array, n: Array, mask: Array) -> Array:
    batch = np.broadcast_shapes(x.shape[:-2], w.shape[:-1], n.shape)
    q = -jnp.expm1(-x)
    # Written as a loop over all problems at once, which a loop under `vmap` is not.
    spent = jnp.zeros((*batch, x.shape[-1]), jnp.int32)
    log_f = jnp.broadcast_to(jnp.log(w), (*batch, w.shape[-1]))

    def give(r: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        spent, log_f = state
        top = log_f.max(-1, keepdims=True)
        f = jnp.exp(log_f - jnp.where(jnp.isfinite(top), top, 0))
        gain = (f[..., None, :] @ q)[..., 0, :]
        best = first_largest(jnp.where(mask, gain, -1))
        own = jnp.take_along_axis(x, jnp.broadcast_to(best[..., None, None], (*batch, 1, 1)), -1)
        going = (r < n)[..., None]
        spent = spent + (jax.nn.one_hot(best, x.shape[-1], dtype=jnp.int32) * going)
        return spent, jnp.where(going, log_f - own[..., 0], log_f)

    x = jnp.broadcast_to(x, (*batch, *x.shape[-2:]))
    spent, _ = jax.lax.fori_loop(0, n.max(initial=0), give, (spent, log_f))
    return spoiled(spent, jnp.broadcast_to(cannot_spend(n, mask), batch))


@jax.jit
def _log_failure(prior: JointPrior, b: Array) -> Array:
    found = log_average(prior.log_weights, prior.conditional(b))
    return spoiled(found, (b < 0).any(-1) | (b > prior.max_rollouts).any(-1), 0)


def first_largest(gain: Array) -> Array:
    """The lowest index whose gain is the largest, to 64 ulps, which is what a sum may lose."""
    top = gain.max(-1, keepdims=True)
    slack = 64 * jnp.finfo(gain.dtype).eps * jnp.abs(top)
    return (gain >= top - slack).argmax(-1)


def log_average(log_weights: Array, log_values: Array) -> Array:
    """Log of a weighted mean of numbers in [0, 1]: exactly 0 where all are 1."""
    total = jax.scipy.special.logsumexp(log_weights + log_values, axis=-1)
    return jnp.minimum(total - jax.scipy.special.logsumexp(log_weights, axis=-1), 0)


def _next(prior: JointPrior, b: Array) -> Array:
    """Log failure given y of one rollout more, less that of B: `(..., m, k)`; 0 after -inf."""
    batch = b.shape[:-1]
    table = jnp.broadcast_to(prior.log_moments, (*batch, *prior.log_moments.shape[-3:]))
    place = jnp.broadcast_to(b[..., None, :, None], (*table.shape[:-1], 1))
    now = jnp.take_along_axis(table, place, -1)[..., 0]
    then = jnp.take_along_axis(table, jnp.minimum(place + 1, prior.max_rollouts), -1)[..., 0]
    return jnp.where(now > -jnp.inf, then - now, 0)


@jax.jit
def _greedy(prior: JointPrior, n: Array) -> Array:
    batch = np.broadcast_shapes(prior.log_moments.shape[:-3], prior.weights.shape[:-1], n.shape)
    spent = jnp.zeros((*batch, prior.num_candidates), jnp.int32)
    log_f = jnp.broadcast_to(prior.log_weights, (*batch, prior.weights.shape[-1]))

    def give(r: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        return greedy_step(prior, *state, r < n)

    spent, _ = jax.lax.fori_loop(0, n.max(initial=0), give, (spent, log_f))
    return spoiled(spent, jnp.broadcast_to(cannot_serve(prior, n), batch))


def greedy_step(prior: JointPrior, spent: Array, log_f: Array, going: Array) -> tuple[Array, Array]:
    """One rollout more, where it is still going."""
    more = _next(prior, spent)
    top = log_f.max(-1, keepdims=True)
    f = jnp.exp(log_f - jnp.where(jnp.isfinite(top), top, 0))
    gain = (f[..., None] * -jnp.expm1(more)).sum(-2)
    best = first_largest(prior.unpadded(gain, -1))[..., None]
    step = jax.nn.one_hot(best[..., 0], prior.num_candidates, dtype=jnp.int32)
    own = jnp.take_along_axis(more, jnp.broadcast_to(best[..., None, :], (*log_f.shape, 1)), -1)
    going = going[..., None]
    return spent + step * going, jnp.where(going, log_f + own[..., 0], log_f)
