"""Rules of bandits where every rollout so far has failed: UCB, LCB, Thompson (theory 9.2.2).

After r failures the posterior of a candidate is Beta(κw, κ(1 - w) + r). The optimum takes the
largest mean. These rules take another number of it, and are here to be compared.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_key, check_number, check_whole
from dora_theory._domains import SHARE, offset_fails, spoiled
from dora_theory.allocation.one_by_one import Domains, checked_candidates, on_each
from dora_theory.kernels.varying import varying_with
from dora_theory.model.pochhammer import log_failure_of

_DOMAINS: Domains = {}


def confidence_bound_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    budget: int,
    deviations: float,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Rollouts one by one to the largest posterior mean plus so many standard deviations.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        budget: N ≥ 0, the same for the batch.
        deviations: positive for an upper confidence bound, negative for a lower one; 0 is the
            optimum.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        Rollouts, int32 `(..., k)`, with sum N; ties go to the lowest index.

    Raises:
        ValueError: values out of range, shapes that do not fit.

    Source: theory 9.2.2.
    """
    check_number("deviations", deviations)
    n = check_whole("budget", budget)
    w, kappa, m = checked_candidates(weights, concentration, mask, _DOMAINS)
    return on_each(_by_bound, (n, float(deviations)), _DOMAINS, m, w, kappa)


def ucb1_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    budget: int,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Rollouts one by one by UCB1: the posterior mean plus sqrt(2 log(1 + t)/(1 + r)).

    After t failures in all, r of them the candidate's own. One rollout more is counted than was
    made, so that first tries go by the means.

    Args: as `confidence_bound_allocation`.

    Returns:
        Rollouts, int32 `(..., k)`, with sum N; ties go to the lowest index.

    Raises:
        ValueError: values out of range, shapes that do not fit.

    Examples:
        >>> dt.ucb1_allocation(np.array([0.5, 0.3, 0.2]), 1.0, 12)
        Array([4, 4, 4], dtype=int32)

    Source: Auer, Cesa-Bianchi and Fischer (2002); theory 9.2.2.
    """
    n = check_whole("budget", budget)
    w, kappa, m = checked_candidates(weights, concentration, mask, _DOMAINS)
    return on_each(_by_bound, (n, None), _DOMAINS, m, w, kappa)


def thompson_failure(
    key: Array,
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    budget: int,
    *,
    num_runs: int = 64,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """P(all fail) of Thompson sampling, which tries the largest of one draw from each posterior.

    Args:
        key: a JAX random key; the same for all problems.
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        budget: N ≥ 0, the same for the batch.
        num_runs: how many paths are averaged; the failure of each is exact, so that the standard
            error is that of its choices alone.
        mask: boolean `(..., k)`, false for padding, which is not tried.

    Returns:
        The mean over runs, shape `(...)`; unbiased, above that of the optimum.

    Raises:
        ValueError: values out of range, shapes that do not fit.
        TypeError: `key` is not a JAX key.

    Source: theory 9.2.2.
    """
    check_key("key", key)
    n, count = check_whole("budget", budget), check_whole("num_runs", num_runs, 1)
    w, kappa, m = checked_candidates(weights, concentration, mask, _DOMAINS)
    return _thompson(key, n, count, m, w, kappa)


def confidence_bound(w: Array, kappa: Array, given: Array, deviations: float) -> Array:
    """Posterior mean after failures plus so many standard deviations, elementwise, unchecked."""
    mean = kappa * w / (kappa + given)
    return mean + deviations * jnp.sqrt(mean * (1 - mean) / (kappa + given + 1))


def _by_bound(n: int, deviations: float | None, mask: Array, w: Array, kappa: Array) -> Array:
    """By standard deviations, or by UCB1 for None."""

    def take(t: Array, given: Array) -> Array:
        r = given.astype(w.dtype)
        if deviations is None:
            bonus = jnp.sqrt(2 * jnp.log1p(jnp.asarray(t, w.dtype)) / (1 + r))
            index = kappa * w / (kappa + r) + bonus
        else:
            index = confidence_bound(w, kappa, r, deviations)
        best = jnp.argmax(jnp.where(mask, index, -jnp.inf))
        return given + (jnp.arange(w.size) == best)

    return jax.lax.fori_loop(0, n, take, varying_with(jnp.zeros(w.shape, jnp.int32), w))


@partial(jax.jit, static_argnames=("n", "runs"))
def _thompson(key: Array, n: int, runs: int, mask: Array, w: Array, kappa: Array) -> Array:
    shape = (runs, *mask.shape)
    a, b = (jnp.broadcast_to(x, shape) for x in (kappa * w, kappa * (1 - w)))
    # Padding may hold anything; a chance of 0 or 1 is no Beta.
    inside = mask & (a > 0) & (b > 0)
    fixed = jnp.where(mask & (b == 0), 1.0, jnp.where(mask, 0.0, -1.0))

    def take(given: Array, step: Array) -> tuple[Array, None]:
        one = jax.random.fold_in(key, step)
        drawn = jax.random.beta(one, jnp.where(inside, a, 1), jnp.where(inside, b, 1) + given)
        best = jnp.argmax(jnp.where(inside, drawn, fixed), -1)
        return given + jax.nn.one_hot(best, w.shape[-1], dtype=given.dtype), None

    given, _ = jax.lax.scan(take, jnp.zeros(shape, w.dtype), jnp.arange(n))
    failure = log_failure_of(jnp.where(mask, w, 0), jnp.where(mask, kappa, 1), given).sum(-1)
    bad = SHARE.fails(jnp.broadcast_to(w, mask.shape), 1, mask) | offset_fails(kappa, mask)
    return spoiled(jnp.exp(failure).mean(0), bad, 0)
