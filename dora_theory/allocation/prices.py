"""The price at which a budget for many problems is spent, nearly: real-valued, no loop over N.

A problem whose candidates are filled to the hazard t = h_1 e^-u has spent n(u) rollouts, and its
next one is worth v F(n) t. Both the price (outer) and every problem's u (inner) are found by
Newton's method inside brackets. What comes out is a rollout or two off the integers, which
`dora_theory.allocation.across` settles by their certificate.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation.marginals import BetaHazards, Hazards, KnownHazards
from dora_theory.kernels.varying import varying_with

# Passes of the search for each problem's level, and of that for the price, at the most.
_INNER, _OUTER = 60, 80
# A level is good enough when it is this part of a rollout off.
_NEAR = 0.1
# More than any allocation, in rollouts.
_MOST = 2.0**32
# Rollouts by log price up to which single precision is less than half a rollout off.
_SINGLE = 2.0**15
# Up to so many candidates the search is short enough without a first one in single precision.
_FEW = 1 << 14


class Response(NamedTuple):
    """What problems ask for at a price.

    Attributes:
        rollouts: n, real.
        slope: dn/d(log price) ≤ 0.
        level: u, to begin the next search with.
        drift: du/d(log price).
    """

    rollouts: Float[Array, " m"]
    slope: Float[Array, " m"]
    level: Float[Array, " m"]
    drift: Float[Array, " m"]


class Found(NamedTuple):
    """Where a search of the price ends.

    Attributes:
        log_price: y.
        level: u of each problem.
        rollouts: n between floor and cap.
        spread: what an error of y by 1 is in rollouts of some problem.
    """

    log_price: Float[Array, ""]
    level: Float[Array, " m"]
    rollouts: Float[Array, " m"]
    spread: Float[Array, ""]


class Market(NamedTuple):
    """Problems beside what limits them, in the dtype of the search.

    Attributes:
        hazards: of the problems.
        log_value: log of value per cost.
        cost: of one rollout.
        low: floors.
        high: caps.
    """

    hazards: Hazards
    log_value: Float[Array, " m"]
    cost: Float[Array, " m"]
    low: Float[Array, " m"]
    high: Float[Array, " m"]

    def astype(self, dtype: jnp.dtype) -> "Market":
        """The same in another precision; problems of candidates only."""
        assert isinstance(self.hazards, BetaHazards)
        rest = (x.astype(dtype) for x in self[1:])
        return Market(self.hazards.astype(dtype), *rest)


def search_price(market: Market, budget: Float[Array, ""]) -> Float[Array, " m"]:
    """Rollouts of each problem at the price where they cost the budget, real-valued, nearly.

    Args:
        market: the problems.
        budget: what all rollouts may cost together.

    Returns:
        n between floor and cap.
    """
    large = market.hazards.shape[0] * market.hazards.shape[1] > _FEW
    if not (large and isinstance(market.hazards, BetaHazards) and budget.dtype == jnp.float64):
        return _search(market, budget).rollouts
    # Single precision costs an eighth, and is mostly enough: the certificate puts a rollout right.
    rough = _search(market.astype(jnp.dtype("float32")), budget.astype(jnp.float32))
    rough = Found(*(x.astype(budget.dtype) for x in rough))
    left = (market.cost * rough.rollouts).sum() - budget
    near = (rough.spread < _SINGLE) & (jnp.abs(left) <= 0.5 * market.cost.sum())
    return jax.lax.cond(
        near,
        lambda market, rough: rough.rollouts,
        lambda market, rough: _search(market, budget, rough).rollouts,
        market,
        rough,
    )


def respond(market: Market, log_price: Float[Array, ""], level: Float[Array, " m"]) -> Response:
    """What each problem asks for at a price, given a level to begin with."""
    if isinstance(market.hazards, KnownHazards):
        return _known(market, log_price)
    return _levels(market, market.hazards, log_price, level)


def _known(market: Market, log_price: Array) -> Response:
    p = market.hazards.p[:, 0]  # type: ignore[union-attr]
    gain = market.log_value + jnp.log(p) - log_price
    rate = jnp.maximum(-jnp.log1p(-p), jnp.finfo(p.dtype).tiny)
    n = jnp.where(gain > 0, gain / rate + 0.5, 0)
    return Response(
        jnp.minimum(n, _MOST), jnp.where(gain > 0, -1 / rate, 0), jnp.zeros_like(p), 0 * p
    )


class Levels(NamedTuple):
    """Where candidates begin: levels are logarithms, counted from the first hazard of a problem.

    So they keep their digits where a + b is so large that hazards hardly fall.

    Attributes:
        first: log of the largest hazard.
        size: a + b.
        begin: level at which each candidate begins, +inf for those that never do.
        end: level at which some candidate has more than can be given.
    """

    first: Float[Array, " m"]
    size: Float[Array, "m k"]
    begin: Float[Array, "m k"]
    end: Float[Array, " m"]


def levels_of(h: BetaHazards) -> Levels:
    """The levels of the candidates of each problem."""
    live = h.mask & (h.a > 0)
    size = h.a + h.b
    hazard = jnp.where(live, h.a / size, 0)
    top = jnp.where(live.any(-1), hazard.max(-1), 1)
    begin = jnp.where(live, jnp.log(top[:, None] / jnp.where(live, hazard, 1)), jnp.inf)
    end = jnp.where(live, begin + jnp.log1p(_MOST / size), jnp.inf).min(-1)
    return Levels(jnp.log(top), size, begin, jnp.where(live.any(-1), end, 0))


def _filled(levels: Levels, u: Array) -> tuple[Array, Array]:
    """Rollouts of the candidates that are filled to a level, and d/du.

    The integer count ⌊x⌋ + 1 is x + 1/2 on average (theory 2.5b), here with a smooth beginning.
    """
    x = levels.size * jnp.expm1(u[:, None] - levels.begin)
    active = x > 0
    x = jnp.where(active, x, 0)
    n = x + 0.5 * x / (x + 0.5)
    return n, jnp.where(active, (x + levels.size) * (1 + 0.25 / (x + 0.5) ** 2), 0)


def _levels(market: Market, h: BetaHazards, y: Array, level: Array) -> Response:
    levels = levels_of(h)
    lowest, highest = jnp.zeros_like(level), levels.end
    start = market.log_value + levels.first - y

    def evaluate(u: Array) -> tuple[Array, Array, Array, Array]:
        n, by_u = _filled(levels, u)
        gap = start + h.log_failure(n) - u
        loss = jnp.where(n > 0, jnp.log1p(h.a / (h.b + n)) * by_u, 0).sum(-1)
        return n.sum(-1), by_u.sum(-1), gap, 1 + loss

    def step(state: tuple) -> tuple:
        u, low, high, passes, *_ = state
        n, by_u, gap, steep = evaluate(u)
        worth = gap > 0
        # The gap falls by more than u rises, so its zero is no farther off than its size.
        low = jnp.maximum(low, jnp.where(worth, u, u + gap))
        high = jnp.minimum(high, jnp.where(worth, u + gap, u))
        move = gap / steep
        newton = u + move
        inside = (newton >= low) & (newton <= high) & (passes % 8 != 7)
        bound = (worth & (n >= market.high)) | (~worth & (n <= market.low))
        # Beyond its ends the level does not move, nor do the rollouts.
        settled = bound | (jnp.abs(move) * by_u < _NEAR) | ((high - low) * by_u < _NEAR)
        following = jnp.where(inside | settled, jnp.clip(newton, low, high), (low + high) / 2)
        ahead = jnp.where(settled, n + by_u * (following - u), n)
        return following, low, high, passes + 1, settled, ahead, by_u / steep, 1 / steep

    def unsettled(state: tuple) -> Array:
        return ~jnp.all(state[4]) & (state[3] < _INNER)

    # Whose first rollout is not worth the price buys none.
    u = jnp.where(start > 0, jnp.clip(level, lowest, highest), lowest)
    zero = jnp.zeros_like(u)
    first = u, lowest, highest, jnp.zeros((), jnp.int32), zero > 0, zero, zero, zero
    u, *_, n, slope, drift = jax.lax.while_loop(unsettled, step, varying_with(first, market))
    return Response(n, -slope, u, -drift)


def _equal_levels(market: Market, budget: Array) -> tuple[Array, Array]:
    """Price and levels at which all would have the same, roughly, to begin with."""
    h = market.hazards
    if isinstance(h, KnownHazards):
        y = (market.log_value + jnp.log(jnp.maximum(h.p[:, 0], 1e-30))).mean() - 1
        return y, jnp.zeros_like(market.log_value)
    levels = levels_of(h)
    n = budget / market.cost.sum()
    # As if the first hazard of a problem were that of all of its candidates.
    size = jnp.where(h.mask, levels.size, 0).sum(-1)
    u = jnp.minimum(jnp.log1p(n / size), levels.end)
    filled, _ = _filled(levels, u)
    worth = market.log_value + jnp.maximum(h.log_failure(filled), -50) + levels.first - u
    return worth.mean(), u


def _search(market: Market, budget: Array, rough: Found | None = None) -> Found:
    """The price, from what single precision found if there is any."""
    begin = _equal_levels(market, budget) if rough is None else rough[:2]
    # What single precision did not bear is searched from a level of 0.
    y, u = (jnp.where(jnp.isfinite(x), x, 0) for x in begin)
    of = y.dtype
    fixed = (market.cost * market.low).sum()
    goal = jnp.maximum(budget - fixed, 0.25 * market.cost.min())
    near = 0.25 * market.cost.sum()
    full = (market.cost * jnp.minimum(market.high, _MOST)).sum() - fixed

    def step(state: tuple) -> tuple:
        found, low, high, passes, _ = state
        y = found.log_price
        asked = respond(market, y, found.level)
        n = jnp.clip(asked.rollouts, market.low, market.high)
        free = (asked.rollouts > market.low) & (asked.rollouts < market.high)
        spent = (market.cost * n).sum() - fixed
        slope = jnp.where(free, asked.slope, 0)
        by_price = (market.cost * slope).sum()
        more = spent < goal
        high = jnp.where(more, jnp.minimum(high, y), high)
        low = jnp.where(more, low, jnp.maximum(low, y))
        done = (jnp.abs(spent - goal) <= near) | (spent >= full) & more
        # Spending is nearly a power of the price.
        newton = y + jnp.log(goal / spent) * spent / by_price
        closed = jnp.isfinite(low) & jnp.isfinite(high)
        width = jnp.where(closed, high - low, jnp.inf)
        inside = jnp.isfinite(newton) & (newton > low) & (newton < high) & (passes % 3 != 2)
        middle = jnp.where(
            closed, (low + high) / 2, y + jnp.where(more, -1, 1) * jnp.exp2(passes.astype(of))
        )
        done |= width <= 4 * jnp.finfo(of).eps * (1 + jnp.abs(y))
        following = jnp.where(done, y, jnp.where(inside, newton, middle))
        moved = jnp.where(jnp.isfinite(asked.drift), asked.drift * (following - y), 0)
        there = Found(following, asked.level + moved, n, jnp.abs(slope).max())
        return there, low, high, passes + 1, done

    def undone(state: tuple) -> Array:
        return ~state[4] & (state[3] < _OUTER)

    ends = jnp.full_like(y, -jnp.inf), jnp.full_like(y, jnp.inf)
    zero = jnp.zeros_like(u)
    state = Found(y, u, zero, y), *ends, jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    return jax.lax.while_loop(undone, step, varying_with(state, (market, budget)))[0]
