"""The certificate of the exact optimum, and the set of all optima (theory 2.2)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import Argument, checked, is_host
from dora_theory._domains import (
    COUNT,
    SHARE,
    offset_domain,
    offset_fails,
    spoiled,
)
from dora_theory._sizes import rounded
from dora_theory.allocation.optimal import checked_problem, solved
from dora_theory.model.objective import numerators


class Certificate(NamedTuple):
    """What decides optimality (theory 2.2): optimal iff `largest_next <= smallest_last`.

    Attributes:
        largest_next: the largest priority not served, max_i w_i/(κ + B_i), shape `(...)`.
        smallest_last: the smallest priority served, min over B_i > 0 of w_i/(κ + B_i - 1), shape
            `(...)`; +inf where nothing is served.
    """

    largest_next: Float[Array, "*batch"]
    smallest_last: Float[Array, "*batch"]


class OptimalSet(NamedTuple):
    """Every optimal allocation of a problem: `base` plus one rollout to any `spare` of the `tied`.

    Attributes:
        base: rollouts that every optimum gives, int32, shape `(..., k)`.
        tied: candidates whose next priority ties for the last places, bool, shape `(..., k)`.
        spare: how many of the tied are served, int32, shape `(...)`. The number of optima is the
            binomial coefficient (number tied choose spare).
    """

    base: Int[Array, "*batch k"]
    tied: Bool[Array, "*batch k"]
    spare: Int[Array, "*batch"]


def certificate(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Certificate:
    """The two priorities whose order decides whether an allocation is optimal for its own sum.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        allocation: rollouts B ≥ 0, integers, shape `(..., k)`.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        `Certificate(largest_next, smallest_last)`, each of shape `(...)`. O(k).

    Raises:
        ValueError: as `optimal_allocation`; a rollout given to padding.

    Examples:
        >>> found = dt.certificate(np.array([0.7, 0.3]), 1.0, np.array([4, 1]))
        >>> round(float(found.largest_next), 3), round(float(found.smallest_last), 3)
        (0.15, 0.175)

    Source: theory 2.2.
    """
    w, kappa, given, m = _checked_allocation(weights, concentration, allocation, mask)
    return _certificate(w, kappa, given, m)


@rounded
def is_optimal(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    budget: Real[ArrayLike, "*#batch"] | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Bool[Array, "*batch"]:
    """Whether an allocation maximizes P(at least one success) among all that spend as much.

    The certificate of theory 2.2, which is necessary and sufficient when all w < 1; where a
    candidate has w = 1 one rollout to any such candidate already succeeds with certainty, and
    exactly the allocations that give one are optimal.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        allocation: rollouts B ≥ 0, integers, shape `(..., k)`.
        budget: N; if given, an allocation with another sum is not optimal.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        Booleans of shape `(...)`. Priorities are compared exactly, as quotients in the working
        dtype: an allocation that is optimal up to one rounding error may be refused.

    Raises:
        ValueError: as `optimal_allocation`; a rollout given to padding.

    Examples:
        >>> bool(dt.is_optimal(np.array([0.7, 0.3]), 1.0, np.array([5, 0])))
        False

    Source: theory 2.2.
    """
    more = {} if budget is None else {"budget": Argument(budget, "", COUNT)}
    w, kappa, given, *n, m = _checked_allocation(weights, concentration, allocation, mask, **more)
    return _is_optimal(w, kappa, given, n[0] if n else None, m)


def optimal_set(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> OptimalSet:
    """All allocations that maximize P(at least one success), when ties leave a choice.

    Args:
        weights: qualities w in [0, 1), shape `(..., k)`, at least one of them positive in each
            problem: with w = 1 or all w = 0 optima abound that no choice among ties describes.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        `OptimalSet(base, tied, spare)`; every optimum is `base` plus one rollout to each of
        `spare` of the `tied` candidates. `tied` is empty and `spare` 0 where the optimum is unique.

    Raises:
        ValueError: as `optimal_allocation`; a weight of 1, a problem without a positive weight.

    Examples:
        >>> found = dt.optimal_set(np.array([0.4, 0.3, 0.3]), 1.0, 4)
        >>> found.tied, int(found.spare)
        (Array([False, False, False], dtype=bool), 0)

    Source: theory 2.2.
    """
    w, kappa, n, m = checked_problem(weights, concentration, budget, mask)
    if is_host(weights) and is_host(mask):
        values = host_array(weights)
        values = values if mask is None else np.where(host_array(mask), values, 0)
        if np.any(values == 1) or not np.all(values.max(-1) > 0):
            raise ValueError("weights: the set of optima needs all w < 1 and a w > 0 in each row")
    return _optimal_set(w, kappa, n, m)


@jax.jit
def _is_optimal(w: Array, kappa: Array, given: Array, n: Array | None, m: Array) -> Array:
    found = _certificate(w, kappa, given, m)
    spent = given.sum(-1)
    sure = m & (w == 1)
    certain = jnp.any(sure & (given > 0), -1)
    decided = jnp.any(sure, -1) & (spent > 0)
    # A comparison with what is NaN in a bad problem is false.
    optimal = found.largest_next <= found.smallest_last
    best = jnp.where(decided & ~jnp.isnan(found.largest_next), certain, optimal)
    return best if n is None else best & (spent == n)


@jax.jit
def _optimal_set(w: Array, kappa: Array, n: Array, m: Array) -> OptimalSet:
    counts = solved(w, kappa, n, m)
    found = _certificate(w, kappa, counts, m)
    bad = (counts < 0).any(-1) | (w == 1).any(-1) | ~(w > 0).any(-1)
    w = numerators(jnp.where(m, w, 0), kappa)
    level = found.smallest_last[..., None]
    last = (counts > 0) & (w / (kappa + (counts - 1)) == level)
    following = m & (w / (kappa + counts) == level)
    choice = (found.largest_next == found.smallest_last)[..., None]
    last &= choice
    return OptimalSet(
        spoiled(counts - last, bad),
        spoiled((last | following) & choice, bad),
        spoiled(last.sum(-1, dtype=jnp.int32), bad, 0),
    )


@jax.jit
def _certificate(w: Array, kappa: Array, given: Array, mask: Array) -> Certificate:
    bad = SHARE.fails(w, 1, mask) | offset_fails(kappa, mask)
    bad |= COUNT.fails(given, 1, mask) | (~mask & (given != 0)).any(-1)
    w = numerators(w, kappa)
    following = jnp.where(mask, w / (kappa + given), -jnp.inf)
    last = jnp.where(mask & (given > 0), w / (kappa + (given - 1)), jnp.inf)
    return Certificate(spoiled(following.max(-1), bad, 0), spoiled(last.min(-1), bad, 0))


def _checked_allocation(
    weights: Any, concentration: Any, allocation: Any, mask: Any, **more: Argument
) -> tuple[Array, ...]:
    found = checked(
        mask,
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "?k", offset_domain),
        allocation=Argument(allocation, domain=COUNT),
        **more,
    )
    known = is_host(allocation) and is_host(mask)
    if mask is not None and known and np.any(np.where(host_array(mask), 0, host_array(allocation))):
        raise ValueError("allocation: padding (mask False) has rollouts")
    return found
