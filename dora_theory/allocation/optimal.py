"""The exact integer optimum (theory 2.1); `certificate` decides what is optimal.

The r-th further rollout of a candidate multiplies its failure by 1 - κ w/(κ + r). That factor
rises with r, so log failure is separable and discretely convex, and the N largest of all priorities
w_i/(κ + r) maximize P(at least one success): a divisor method with divisors κ + r.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_budget, check_number, checked, is_host
from dora_theory._domains import (
    COUNT,
    NOT_NEGATIVE,
    SHARE,
    budget_domain,
    offset_domain,
    spoiled,
)
from dora_theory._sizes import rounded
from dora_theory.allocation import on_host
from dora_theory.kernels.dispatch import Implementation
from dora_theory.kernels.divisor_pallas import allocate
from dora_theory.model.objective import check_alone
from dora_theory.model.priors import BetaPrior


@on_host.small_by(on_host.optimal_allocation)
@rounded
def optimal_allocation(
    weights: Real[ArrayLike, "*#batch k"] | BetaPrior,
    concentration: Real[ArrayLike, "..."] | None,
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
    implementation: Implementation = "auto",
) -> Int[Array, "*batch k"]:
    """Integer allocation that maximizes P(at least one success) under p_i ~ Beta(κw_i, κ(1-w_i)).

    Exact for the priorities w_i/(κ + r) as quotients in the working dtype: equal quotients are a
    tie, ties go to the lowest index, and subnormal ones count as 0. In float64 that settles every
    tie between representable weights as exact arithmetic would, but for quotients that agree to 16
    digits.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`, which need not sum to 1; or a `BetaPrior`,
            whose priorities are a_i/(a_i + b_i + r).
        concentration: κ > 0, scalar or shape `(...)`; at most 2^23 in float32, 2^52 in float64. Or
            of each candidate, `(..., k)`, if it has the last axis of the weights and at least as
            many axes: then priorities are κ_i w_i/(κ_i + r). For k values of κ on one problem of k
            candidates, give the weights as `(1, k)`. None with a `BetaPrior`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        mask: boolean `(..., k)`, false for padding, which receives nothing.
        implementation: `"pallas"` for the GPU kernel, `"reference"` for `jax.numpy`, `"auto"` for
            the kernel where there is a GPU that runs it. The result is the same.

    Returns:
        Rollouts of each candidate, int32 `(..., k)`, with sum N. If all weights of a problem are
        0, every allocation is optimal and its first candidate receives all.

    Raises:
        ValueError: NaN, negative or too large a value, an empty problem, shapes that do not fit, a
            kernel asked for that cannot run.

    Examples:
        >>> weights = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
        >>> dt.optimal_allocation(weights, 5.0, 32)
        Array([19,  9,  4,  0,  0], dtype=int32)
        >>> prior = dt.BetaPrior(np.array([2.0, 1.0]), np.array([2.0, 3.0]))
        >>> dt.optimal_allocation(prior, None, 10)
        Array([8, 2], dtype=int32)

    Source: theory 2.1; no loop over N, and O(k) a pass of the search for the level.
    """
    if isinstance(weights, BetaPrior):
        check_alone(concentration)
        a, b, n, m = checked(
            mask,
            alpha=Argument(weights.alpha, domain=NOT_NEGATIVE),
            beta=Argument(weights.beta, domain=NOT_NEGATIVE),
            budget=Argument(budget, "", COUNT),
        )
        check_budget(budget, mask, a.dtype)
        return _optimal_beta(a, b, n, m)
    problem = checked_problem(weights, concentration, budget, mask, whole=False)
    return solved(*problem, implementation)


@on_host.small_by(on_host.apportion)
@rounded
def apportion(
    weights: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    divisor: float = 0.5,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """N seats in proportion to weights by the divisor method with divisors `divisor + r`.

    `divisor` 1/2 is Webster's (Sainte-Laguë's) method, which equals rounding N w_i whenever that
    keeps the budget (theory 3.3); 1 is Jefferson's (D'Hondt's), and 0 Adams'. Multiplying a row's
    weights by a constant changes nothing but rounding.

    Args:
        weights: ≥ 0, shape `(..., k)`, on any scale; subnormal ones count as 0, and after the first
            seats of Adams' method those that are subnormal as a share of the largest.
        budget: N ≥ 0, scalar or shape `(...)`; at most 2^22 in float32.
        divisor: first divisor, ≥ 0; at most 2^23 in float32, 2^52 in float64.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        Seats, int32 `(..., k)`, with sum N; ties go to the lowest index. If all weights are 0, the
        first candidate receives all.

    Raises:
        ValueError: NaN or negative values, an empty problem, shapes that do not fit.

    Examples:
        >>> dt.apportion(np.array([0.57, 0.21, 0.21, 0.01]), 16)
        Array([10,  3,  3,  0], dtype=int32)

    Source: theory 2.3; Balinski and Young, Fair Representation (1982).
    """
    check_number("divisor", divisor, 0)
    w, n, m = checked(
        mask, weights=Argument(weights, domain=NOT_NEGATIVE), budget=Argument(budget, "", COUNT)
    )
    check_budget(budget, mask, w.dtype)
    if is_host(divisor) and divisor != 0:
        offset_domain(w.dtype).check("divisor", divisor)
    return _apportion(w, jnp.asarray(divisor, w.dtype), n, m)


@partial(jax.jit, static_argnames="implementation")
def solved(
    w: Array, kappa: Array, n: Array, mask: Array | None, implementation: Implementation = "auto"
) -> Array:
    """The optimum, unchecked, for κ of shape `(..., 1)` or `(..., k)`."""
    if mask is None:
        batch = jnp.broadcast_shapes(w.shape[:-1], kappa.shape[:-1], n.shape)
        w = jnp.broadcast_to(w, (*batch, w.shape[-1]))
    if kappa.shape[-1] == 1:
        return _largest(w, kappa, n, mask, implementation, most=1)
    kappa = kappa if mask is None else jnp.where(mask, kappa, 1)
    shares = jnp.where(SHARE.holds(w), w, jnp.nan)
    return _largest(kappa * shares, kappa, n, mask, implementation)


@jax.jit
def _optimal_beta(a: Array, b: Array, budget: Array, mask: Array) -> Array:
    # A bad b must be one of the sum: a itself is looked at.
    offsets = jnp.where(mask, jnp.where(NOT_NEGATIVE.holds(b), a + b, jnp.nan), 1)
    return _largest(a, offsets, budget, mask)


@jax.jit
def _apportion(w: Array, divisor: Array, budget: Array, mask: Array) -> Array:
    return jax.lax.cond(
        divisor == 0,
        lambda: _adams(w, budget, mask),
        lambda: _largest(_near_one(w, mask), divisor, budget, mask),
    )


@jax.jit
def _adams(w: Array, budget: Array, mask: Array) -> Array:
    """The limit of a first divisor → 0⁺: a seat each, by weight, then Jefferson's method."""
    positive = mask & (w >= jnp.finfo(w.dtype).tiny)
    best_first = jnp.argsort(-jnp.where(positive, w, 0), axis=-1, stable=True)
    first = positive & (jnp.argsort(best_first, axis=-1) < budget[..., None])
    rest = budget - first.sum(-1, dtype=budget.dtype)
    more = _largest(_near_one(w, mask), jnp.ones((), w.dtype), rest, mask)
    return spoiled(first + more, (more < 0).any(-1))


@jax.jit
def _near_one(w: Array, mask: Array) -> Array:
    """Weights times a power of two, which leaves ties as they are, with the largest in [1/2, 1)."""
    # What is infinite stays so, and is then looked at: an exponent of it is none.
    top = jnp.where(mask & (w < jnp.inf), w, 0).max(-1, keepdims=True)
    return jnp.ldexp(w, -jnp.frexp(top)[1])


@partial(jax.jit, static_argnames=("implementation", "most"))
def _largest(
    w: Array,
    offsets: Array,
    budget: Array,
    mask: Array | None,
    implementation: Implementation = "auto",
    most: float = np.inf,
) -> Array:
    allowed = offset_domain(w.dtype)
    offsets = jnp.where(allowed.holds(offsets), offsets, jnp.nan)
    budget = jnp.where(budget_domain(w.dtype).holds(budget), budget, -1)
    w = w if mask is None else jnp.broadcast_to(w, mask.shape)
    return allocate(w, offsets, budget, mask, most=most, implementation=implementation)


def checked_problem(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."] | None,
    budget: Real[ArrayLike, "*#batch"],
    mask: Bool[ArrayLike, "*#batch k"] | None,
    *,
    name: str = "weights",
    whole: bool = True,
) -> tuple[Any, Any, Any, Any]:
    """Checked weights, κ of shape `(..., 1)` or `(..., k)`, N, and the mask, see `checked`."""
    w, kappa, n, m = checked(
        mask,
        whole=whole,
        **{name: Argument(weights, domain=SHARE)},
        concentration=Argument(concentration, "?k", offset_domain),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, w.dtype)
    return w, kappa, n, m
