"""Divisor methods of apportionment, vectorised: the N largest of all priorities n_i / (c_i + r).

One loop over *levels*, none over rollouts. At a level s (a reciprocal priority) candidate i owns
`max(0, floor(s n_i - c_i) + 1)` priorities of at least 1/s (theory 2.6), so the level is the root
of a step function, which is bracketed and interpolated; it starts from the half-shifted
water-filling solution (theory 2.5b), which is rarely more than a few rollouts away. What is left,
and whatever rounding did to the floors, is settled by the optimality certificate itself (theory
2.2): while it fails, the largest unserved priority is served or the smallest served one is taken
back, whole groups of ties at a time. The result does not depend on how exact the level was.
Every comparison of priorities is between IEEE quotients `n_i / (c_i + r)` in the working dtype:
equal quotients are a tie, and ties go to the lowest index.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Search passes stop when every row is this close to its budget: serving or taking back the last
# few by groups is then cheaper than locating the level more exactly.
_CLOSE = 2
# Interpolation needs 4 to 6 passes; bisection, every third pass, bounds the worst case.
_MOST_PASSES = 400


def largest_priorities(
    numerators: Float[Array, "*batch k"],
    offsets: Float[Array, "*#batch #k"],
    budget: Int[Array, "*#batch"],
    mask: Bool[Array, "*batch k"],
) -> Int[Array, "*batch k"]:
    """How many of the `budget` largest priorities n_i / (c_i + r), r = 0, 1, …, each i owns.

    Args:
        numerators: n ≥ 0, shape `(..., k)`.
        offsets: c > 0, broadcast against `numerators`.
        budget: number of priorities to take, shape `(...)`.
        mask: candidates that exist. Others own nothing.

    Returns:
        Counts, int32, which sum to `budget` in every row that has a candidate. If no candidate of
        a row has a positive numerator, all priorities tie at 0 and the first candidate takes all.
    """
    k = numerators.shape[-1]
    batch = numerators.shape[:-1]
    # Padding keeps its numerator away from every maximum, sum and count.
    n = jnp.where(mask, numerators, 0).reshape(-1, k)
    c = jnp.broadcast_to(offsets, numerators.shape).reshape(-1, k)
    target = jnp.broadcast_to(budget, batch).reshape(-1, 1)
    exists = mask.reshape(-1, k)

    counts = _search(n, c, target)
    counts = _settle(_Served(n, c, exists), counts, target)
    return jnp.where(exists, counts, 0).reshape(*batch, k)


class _Bracket(NamedTuple):
    """Levels `low < high` with their counts, and the level that is tried next, each (rows, 1)."""

    low: Float[Array, "rows 1"]
    low_count: Float[Array, "rows 1"]
    high: Float[Array, "rows 1"]
    high_count: Float[Array, "rows 1"]
    level: Float[Array, "rows 1"]
    count: Float[Array, "rows 1"]
    passes: Int[Array, ""]


def _counts_at(
    level: Float[Array, "rows 1"], n: Float[Array, "rows k"], c: Float[Array, "rows k"]
) -> Float[Array, "rows k"]:
    return jnp.maximum(jnp.floor(level * n - c) + 1, 0)


def _search(
    n: Float[Array, "rows k"], c: Float[Array, "rows k"], target: Int[Array, "rows 1"]
) -> Int[Array, "rows k"]:
    """Counts at a level at which each row is within `_CLOSE` of its target, ties permitting."""
    dtype = n.dtype
    goal = target.astype(dtype)
    # Only the search sees scaled numerators; it keeps levels far from overflow.
    n = n / jnp.maximum(n.max(-1, keepdims=True), jnp.finfo(dtype).tiny)
    total = n.sum(-1, keepdims=True)
    positive = n > 0
    tiny = jnp.finfo(dtype).tiny
    # Σ (s n - c) ≤ Σ count, so the count at `high` has reached the goal; at `low` it is still 0.
    room = jnp.where(positive, c, 0).sum(-1, keepdims=True)
    high = (goal + room) / jnp.maximum(total, tiny)
    low = jnp.where(positive, c / n, jnp.inf).min(-1, keepdims=True) / 2
    low = jnp.minimum(low, high)

    # Half-shifted water-filling, one Newton step on the active set (theory 2.5b).
    start = (goal + room - positive.sum(-1, keepdims=True) / 2) / jnp.maximum(total, tiny)
    start = jnp.clip(start, low, high)
    counts = _counts_at(start, n, c)
    count = counts.sum(-1, keepdims=True)
    slope = jnp.where(counts > 0, n, 0).sum(-1, keepdims=True)
    # Clamping says that the guess is outside what can be: then bisect instead.
    guess = start + (goal - count) / jnp.maximum(slope, tiny)

    def narrow(b: _Bracket, level: Array, count: Array) -> _Bracket:
        below = count < goal
        return b._replace(
            low=jnp.where(below, level, b.low),
            low_count=jnp.where(below, count, b.low_count),
            high=jnp.where(below, b.high, level),
            high_count=jnp.where(below, b.high_count, count),
            level=level,
            count=count,
        )

    bracket = narrow(
        _Bracket(low, jnp.zeros_like(goal), high, jnp.full_like(goal, jnp.inf), low, goal, 0),
        start,
        count,
    )

    def unfinished(b: _Bracket) -> Bool[Array, "rows 1"]:
        # A bracket of neighbouring floats has found a group of ties: nothing is left to narrow.
        wide = b.high - b.low > 4 * jnp.finfo(dtype).eps * b.high
        return (jnp.abs(b.count - goal) > _CLOSE) & wide

    def step(state: tuple[_Bracket, Float[Array, "rows 1"]]) -> tuple[_Bracket, Array]:
        b, guess = state
        inside = (guess > b.low) & (guess < b.high)
        middle = jnp.sqrt(b.low) * jnp.sqrt(b.high)
        # Every third pass halves the bracket (in logarithms, for it may span many decades).
        level = jnp.where(inside & (b.passes % 3 != 2), guess, middle)
        level = jnp.where(unfinished(b), level, b.level)
        count = _counts_at(level, n, c).sum(-1, keepdims=True)
        b = narrow(b, level, count)._replace(passes=b.passes + 1)
        newton = level + (goal - count) / jnp.maximum(slope, tiny)
        share = (goal - b.low_count) / (b.high_count - b.low_count)
        secant = b.low + share * (b.high - b.low)
        return b, jnp.where(jnp.isfinite(b.high_count), secant, newton)

    bracket, _ = jax.lax.while_loop(
        lambda s: jnp.any(unfinished(s[0])) & (s[0].passes < _MOST_PASSES), step, (bracket, guess)
    )
    return _counts_at(bracket.level, n, c).astype(jnp.int32)


class _Served(NamedTuple):
    """The priorities next to and last in an allocation; padding is never next."""

    n: Float[Array, "rows k"]
    c: Float[Array, "rows k"]
    exists: Bool[Array, "rows k"]

    def next(self, counts: Int[Array, "rows k"]) -> Float[Array, "rows k"]:
        return jnp.where(self.exists, self.n / (self.c + counts), -jnp.inf)

    def last(self, counts: Int[Array, "rows k"]) -> Float[Array, "rows k"]:
        return jnp.where(counts > 0, self.n / (self.c + (counts - 1)), jnp.inf)


def _settle(
    served: _Served, counts: Int[Array, "rows k"], target: Int[Array, "rows 1"]
) -> Int[Array, "rows k"]:
    """Serve or take back until the sums fit and the certificate holds, then order the ties."""

    def gap(counts: Array) -> tuple[Array, Array, Array]:
        missing = target - counts.sum(-1, keepdims=True)
        largest = served.next(counts).max(-1, keepdims=True)
        smallest = served.last(counts).min(-1, keepdims=True)
        return missing, largest, smallest

    State = tuple[Array, tuple[Array, Array, Array]]

    def unfinished(state: State) -> Array:
        _, (missing, largest, smallest) = state
        # `largest > 0`: zero priorities are dealt with below; NaN compares false and ends the loop.
        serve = (missing > 0) & (largest > 0)
        return jnp.any(serve | (missing < 0) | ((missing == 0) & (largest > smallest)))

    def step(state: State) -> State:
        counts, (missing, largest, smallest) = state
        exchange = (missing == 0) & (largest > smallest)
        give = (served.next(counts) == largest) & (largest > 0) & ((missing > 0) | exchange)
        take = (served.last(counts) == smallest) & ((missing < 0) | exchange)
        give = _first(give, jnp.where(exchange, 1, missing))
        take = _first(take, jnp.where(exchange, 1, -missing))
        counts = counts + give - take
        return counts, gap(counts)

    counts, (missing, largest, smallest) = jax.lax.while_loop(
        unfinished, step, (counts, gap(counts))
    )
    # All remaining priorities are 0: a tie of everything, which the lowest index wins for good.
    first = jnp.cumsum(served.exists, -1) == 1
    counts = counts + jnp.where(first & served.exists, jnp.maximum(missing, 0), 0)

    def order_ties(counts: Array) -> Array:
        holds = served.last(counts) == smallest
        tied = (holds | (served.next(counts) == smallest)) & (largest == smallest) & (smallest > 0)
        holds = holds & tied
        return counts - holds + _first(tied, holds.sum(-1, keepdims=True))

    return jax.lax.cond(jnp.any(largest == smallest), order_ties, lambda counts: counts, counts)


def _first(members: Bool[Array, "rows k"], how_many: Int[Array, "rows 1"]) -> Int[Array, "rows k"]:
    """1 at the first `how_many` members of each row, else 0."""

    def some(members: Array) -> Array:
        return members & (jnp.cumsum(members, -1) <= how_many)

    short = members.sum(-1, keepdims=True) > how_many
    return jax.lax.cond(jnp.any(short), some, lambda members: members, members).astype(jnp.int32)
