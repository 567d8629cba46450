"""What divisor methods for correlated candidates share: checks, the loop over rollouts, copies."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_budget, checked, is_host, mask_of
from dora_theory._domains import COUNT, FINITE, SHARE, budget_domain, cannot_spend, offset_domain
from dora_theory.allocation.spread import spread_totals
from dora_theory.kernels.varying import varying_with
from dora_theory.model.copula import CORRELATION, check_symmetric, copies
from dora_theory.model.directions import segment_sum

# Levels within so many ulps are a tie: sums of the same terms in another order.
TIE = 32


def checked_problem(
    weights: ArrayLike,
    correlation: ArrayLike,
    concentration: ArrayLike,
    budget: ArrayLike,
    mask: ArrayLike | None,
) -> tuple[Any, ...]:
    """Checked w, C, κ and N of the shapes that they have, and the mask of the full one or None."""
    given = arguments_of(weights, correlation, concentration, budget)
    w, c, kappa, n, m = checked(mask, promote=True, whole=False, **given)
    check_problem(correlation, budget, mask, w.dtype)
    return w, c, kappa, n, m


def arguments_of(
    weights: ArrayLike, correlation: ArrayLike, concentration: ArrayLike, budget: ArrayLike
) -> dict[str, Argument]:
    """What `checked` and `checked_host` take of a problem of correlated candidates."""
    return {
        "weights": Argument(weights, domain=SHARE),
        "correlation": Argument(correlation, "k k", CORRELATION),
        "concentration": Argument(concentration, "", offset_domain),
        "budget": Argument(budget, "", COUNT),
    }


def check_problem(
    correlation: ArrayLike, budget: ArrayLike, mask: ArrayLike | None, dtype: np.dtype
) -> None:
    """`ValueError` for a budget that cannot be spent and a host matrix that is no correlation."""
    check_budget(budget, mask, dtype)
    if is_host(correlation) and is_host(mask):
        check_symmetric("correlation", correlation, mask)


def readied(w: Array, c: Array, kappa: Array, n: Array, mask: Array | None) -> tuple[Array, ...]:
    """Sound values of one batch shape, its mask, and which problems are bad."""
    if mask is None:
        batch = np.broadcast_shapes(w.shape[:-1], c.shape[:-2], jnp.shape(kappa), jnp.shape(n))
        mask = jnp.ones((*batch, w.shape[-1]), bool)
    both, batch = mask_of(mask, "k k"), mask.shape[:-1]
    bad = SHARE.fails(w, 1, mask) | FINITE.fails(c, 2, both) | cannot_spend(n, mask)
    bad |= offset_domain(w.dtype).fails(kappa) | budget_domain(w.dtype).fails(n)
    bad = jnp.broadcast_to(bad, batch)
    w = jnp.where(mask & ~bad[..., None], w, 0)
    c = jnp.where(both & ~bad[..., None, None], c, 0)
    c = jnp.where(jnp.eye(w.shape[-1], dtype=bool), 1, 0.5 * (c + jnp.swapaxes(c, -1, -2)))
    return w, c, jnp.where(bad, 1, kappa), jnp.where(bad, 0, n), mask, bad


def spend(
    w: Array, n: Array, mask: Array, divisors: Callable, update: Callable, state: Any
) -> Array:
    """Rollout by rollout to the least divisor/w; all problems at once, which `vmap` would not."""
    k = w.shape[-1]
    # If nothing is worth a rollout the first candidate takes all.
    none = ~(w > 0).any(-1, keepdims=True)
    first = mask & (jnp.cumsum(mask, -1) == 1)
    w = jnp.where(none & first, 1, w)
    there = w > 0
    each = jnp.where(there, 1 / jnp.where(there, w, 1), jnp.inf)
    slack = TIE * jnp.finfo(w.dtype).eps

    def give(r: Array, carried: tuple) -> tuple:
        spent, state = carried
        level = jnp.where(there, divisors(state) * each, jnp.inf)
        least = level.min(-1, keepdims=True)
        # Where every candidate is used up all levels are infinite, and the first of them serves.
        near = there & (level <= least + slack * jnp.abs(least))
        best = near.argmax(-1).astype(jnp.int32)
        going = r < n
        step = (jnp.arange(k) == best[..., None]) & going[..., None]
        return spent + step, update(state, best, step, spent)

    spent = jnp.zeros(w.shape, jnp.int32)
    carried = varying_with((spent, state), (w, n, mask))
    spent, _ = jax.lax.fori_loop(0, n.max(initial=0), give, carried)
    return spent


def row_of(matrix: Array, best: Array) -> Array:
    """Row `best` of each matrix, shape `(..., k)`."""
    return jnp.take_along_axis(matrix, best[..., None, None], -2)[..., 0, :]


def among_copies(spent: Array, w: Array, c: Array, mask: Array) -> Array:
    """Rollouts of copies, which are one candidate, evenly among them."""
    leader = copies(w, c, mask)
    totals = segment_sum(spent, leader, w.shape[-1])
    return spread_totals(totals, leader, mask)
