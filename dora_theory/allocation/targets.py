"""The smallest budget for a success probability, exactly and in closed form (theory 9.1.3)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, xlogy
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._domains import Domain
from dora_theory.allocation.one_by_one import Domains, checked_candidates, on_each
from dora_theory.allocation.optimal import solved
from dora_theory.kernels.varying import varying_with
from dora_theory.model.objective import each_log_failure

# The largest N, that of `optimal_allocation`.
_MOST = {"float32": 2**22, "float64": 2**30}
_DOMAINS: Domains = {"target": ("", Domain(0, 1, low_open=True, high_open=True), 0.5)}


class SmallestBudget(NamedTuple):
    """The fewest rollouts for a success probability.

    Attributes:
        budget: the smallest N, int32, shape `(...)`; -1 if 2^30 (2^22 in float32) are too few.
        closed_form: the same from Stirling's formula, shape `(...)`; ∞ if all weights are 0.
    """

    budget: Int[Array, "*batch"]
    closed_form: Float[Array, "*batch"]


def smallest_budget(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    target: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> SmallestBudget:
    """The smallest N whose optimum succeeds with probability q, exactly and in closed form.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        target: q in (0, 1), scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        `SmallestBudget`. The exact one is the first N whose success is q or more, or below it by no
        more than q is rounded and log failure is off (64 ulps): 0.9 means nine tenths. The
        closed form is ⌈(A/(1-q))^(1/E) - Σ_i (κ_i(2-w_i) - 1)/2⌉ with E = Σ κ_i w_i and log A =
        Σ_i [lnΓ(κ_i) - lnΓ(κ_i(1-w_i))] - Σ_i κ_i w_i log(κ_i w_i/E), at least 1: within 1 of it
        once every candidate is reached, an estimate before.

    Raises:
        ValueError: a target of 0 or 1, values out of range.

    Examples:
        >>> weights = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
        >>> int(dt.smallest_budget(weights, 5.0, 0.99).budget)
        17

    Source: theory 9.1.3, with W = Σ w and κ_i in place of 1 and κ.
    """
    w, kappa, q, m = checked_candidates(weights, concentration, mask, _DOMAINS, target=target)
    return on_each(_smallest, (), _DOMAINS, m, w, kappa, target=q)


def _smallest(mask: Array, w: Array, kappa: Array, target: Array) -> SmallestBudget:
    goal = jnp.log1p(-target)
    # What a decimal q may be above its float, and what a log failure may be off.
    eps = float(jnp.finfo(w.dtype).eps)
    reached_from = goal + jnp.log1p(eps / 4 / (1 - target)) - 64 * eps * goal
    most = _MOST[w.dtype.name]

    def enough(n: Array) -> Array:
        given = solved(w, kappa, n, mask)
        return each_log_failure(w, kappa, given.astype(w.dtype), mask).sum() <= reached_from

    def double(state: tuple[Array, Array]) -> tuple[Array, Array]:
        return state[1], state[1] * 2

    def halve(state: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = state
        middle = low + (high - low) // 2
        fine = enough(middle)
        return jnp.where(fine, low, middle), jnp.where(fine, middle, high)

    one = jnp.ones((), jnp.int32)
    start = varying_with((one - 1, one), w)
    low, high = jax.lax.while_loop(lambda s: (s[1] < most) & ~enough(s[1]), double, start)
    reached = enough(high)
    low, high = jax.lax.while_loop(lambda s: s[1] - s[0] > 1, halve, (low, high))
    return SmallestBudget(jnp.where(reached, high, -1), _closed_form(w, kappa, goal))


def _closed_form(w: Array, kappa: Array, goal: Array) -> Array:
    live, sure = w > 0, (w == 1).any()
    w = jnp.where(live & (w < 1), w, 0)
    share = kappa * w
    total = jnp.where(live.any(), share.sum(), 1)
    total = jnp.where(total > 0, total, 1)
    log_a = jnp.where(live, gammaln(kappa) - gammaln(kappa * (1 - w)), 0).sum()
    log_a = log_a - xlogy(share, share / total).sum()
    shift = jnp.where(live, (kappa * (2 - w) - 1) / 2, 0).sum()
    n = jnp.maximum(jnp.ceil(jnp.exp((log_a - goal) / total) - shift), 1)
    return jnp.where(sure, 1, jnp.where(live.any(), n, jnp.inf))
