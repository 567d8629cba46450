"""Greedy allocation of any budget by bisecting the level, not a step a rollout (theory 2.6, 5.1).

For priorities that can be computed for any number of rollouts, not only for one more. The level is
searched at which nearly all of the budget is handed out; each direction's number of priorities
above it is found by bisection too, between what it is for the levels around. The last few rollouts
go one by one to the largest priority.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dora_theory.kernels.varying import varying_with

# Bisections of a level in logarithms: 80 decades down to neighboring floats.
_MOST = 70


class _Search(NamedTuple):
    """Levels around the one sought, what they hand out, and a bisection for the level between.

    Attributes:
        high: a level that hands out `fewer`, less than the budget, shape `(rows, 1)`.
        low: a level that hands out `more`, the budget or beyond, shape `(rows, 1)`.
        fewer: priorities of at least `high`, shape `(rows, g)`.
        more: priorities of at least `low`, shape `(rows, g)`.
        least: least number of priorities of at least the level between, shape `(rows, g)`.
        most: largest number of them, shape `(rows, g)`.
        levels: how many levels have been tried, shape `(rows, 1)`.
    """

    high: Float[Array, "rows 1"]
    low: Float[Array, "rows 1"]
    fewer: Int[Array, "rows g"]
    more: Int[Array, "rows g"]
    least: Int[Array, "rows g"]
    most: Int[Array, "rows g"]
    levels: Int[Array, "rows 1"]


def largest(
    priority: Callable[[Array], Array],
    high: Float[Array, "rows g"],
    low: Float[Array, "rows g"],
    budget: Int[Array, " rows"],
    exists: Bool[Array, "rows g"],
) -> Int[Array, "rows g"]:
    """How many of the `budget` largest priorities each direction owns; ties to the lowest index.

    Args:
        priority: from rollouts so far, integers `(rows, g)`, to the priorities of the next, which
            fall with them.
        high: the first priority of each direction.
        low: at most the priority after `budget` rollouts of a direction.
        budget: N of each row; those without directions have 0.
        exists: directions that may receive anything.

    Returns:
        int32, with the sum of the budget.
    """
    n = jnp.where(exists.any(-1), budget, 0)[:, None]
    few = 2 * exists.sum(-1, keepdims=True)
    top, bottom = (jnp.where(exists, x, 0).max(-1, keepdims=True) for x in (high, low))
    # Zeros only are a tie: all goes to the first.
    live = (bottom > 0) & (n > 0)
    first = jnp.arange(exists.shape[-1]) == jnp.argmax(exists, -1, keepdims=True)
    none = jnp.zeros(exists.shape, jnp.int32)
    fewer, more = jnp.where(~live & first, n, none), jnp.where(exists & live, n, none)

    def left(at: _Search) -> Array:
        return n - at.fewer.sum(-1, keepdims=True)

    def searching(at: _Search) -> Array:
        wide = jnp.any(at.fewer < at.more, -1, keepdims=True) & (at.levels < _MOST)
        return (left(at) > few) & wide

    def step(at: _Search) -> _Search:
        # One evaluation serves both kinds of rows: those that search, and those that hand out.
        search = searching(at)
        middle = jnp.where(search, at.least + (at.most - at.least) // 2, at.fewer)
        ahead = jnp.where(exists, priority(middle), -jnp.inf)
        level = jnp.sqrt(at.high) * jnp.sqrt(at.low)
        open_ = at.least < at.most
        least = jnp.where(open_ & (ahead >= level), middle + 1, at.least)
        most = jnp.where(open_ & (ahead < level), middle, at.most)
        counted = search & ~jnp.any(least < most, -1, keepdims=True)
        enough = least.sum(-1, keepdims=True) >= n
        fewer = jnp.where(counted & ~enough, least, at.fewer)
        more = jnp.where(counted & enough, least, at.more)
        best = jnp.arange(exists.shape[-1]) == jnp.argmax(ahead, -1, keepdims=True)
        return _Search(
            jnp.where(counted & ~enough, level, at.high),
            jnp.where(counted & enough, level, at.low),
            jnp.where(search, fewer, at.fewer + (best & (left(at) > 0))),
            more,
            jnp.where(counted, fewer, least),
            jnp.where(counted, more, most),
            at.levels + counted,
        )

    start = _Search(top, bottom, fewer, more, fewer, more, jnp.zeros(n.shape, jnp.int32))
    return jax.lax.while_loop(lambda at: jnp.any(left(at) > 0), step, varying_with(start)).fewer
