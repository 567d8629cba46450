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

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Divide = Callable[[Array, Array], Array]
Total = Callable[[Array], Array]

# A pass of the search halves the rows that are off their budget, roughly, and `_finish` pays for
# every rollout: up to `_FEW` passes for any row that is off, and more only for rows far off.
_CLOSE = 16
_FEW = 12
# After `_FEW` passes every other one halves the bracket in logarithms: a bracket of 60 decades is
# down to neighbouring floats in 2 · (8 + 53) passes at most.
_MOST = 200
# Up to so many numbers all rows are searched to the end together, not only those that need it.
_FEW_NUMBERS = 1 << 15
# Terms that the CPU's row sums add in one go; more of them are slower.
_FOLD = 4


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
    # A numerator of -1 marks padding: its priorities are below all others, its counts are 0.
    n = jnp.where(mask, numerators, -1).reshape(-1, k)
    # One offset for all stays one: it is read from a register in every pass.
    c = jnp.atleast_1d(offsets)
    c = (
        c[None]
        if c.ndim == 1
        else jnp.broadcast_to(c, (*batch, c.shape[-1])).reshape(-1, c.shape[-1])
    )
    target = jnp.broadcast_to(budget, batch).reshape(-1, 1).astype(n.dtype)
    rows = n.shape[0]
    part = max(64, rows // 16)
    if rows <= part or n.size <= _FEW_NUMBERS:
        counts = _solved(n, c, target, jnp.divide, _total)
    else:
        counts = _solved_by_parts(n, c, target, part)
    return counts.reshape(numerators.shape)


def largest_in_block(
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    target: Int[Array, "rows 1"],
    divide: Divide,
) -> Int[Array, "rows k"]:
    """`largest_priorities` of a few rows, by what a GPU kernel can do too.

    Args:
        n: numerators, -1 for padding.
        c: offsets.
        target: the budget of each row.
        divide: the IEEE quotient, correctly rounded.

    Returns:
        Counts.
    """
    return _solved(n, c, target.astype(n.dtype), divide, _sum)


class _Bracket(NamedTuple):
    """Levels with a count below and not below the goal, the level tried last, and its count."""

    low: Float[Array, "rows 1"]
    high: Float[Array, "rows 1"]
    level: Float[Array, "rows 1"]
    total: Float[Array, "rows 1"]
    slope: Float[Array, "rows 1"]


def _solved(n: Array, c: Array, target: Array, divide: Divide, total: Total) -> Array:
    """Counts of all rows, each loop running until the last row is done."""
    bracket = _narrowed(_bracket(n, c, target, total), n, c, target, total, 0)
    return _finished(bracket.level, n, c, target, divide, total)


def _finished(
    level: Array, n: Array, c: Array, target: Array, divide: Divide, total: Total
) -> Array:
    return jax.lax.cond(
        _any(_doubt(level, n, c, target, total)),
        lambda counts: _finish(n, c, counts, target, divide, total),
        lambda counts: counts,
        _counts_at(level, n, c),
    ).astype(jnp.int32)


def _solved_by_parts(n: Array, c: Array, target: Array, part: int) -> Array:
    """Counts, most of them by a few passes over all rows, the rest `part` rows at a time.

    A loop over all rows runs until its last row is done. Most rows are done soon, so the others are
    gathered: then a loop costs what they cost.
    """
    rows = n.shape[0]
    bracket = _narrowed(_bracket(n, c, target, _total), n, c, target, _total, part)
    counts = _counts_at(bracket.level, n, c).astype(jnp.int32)
    open_rows = _doubt(bracket.level, n, c, target, _total)[:, 0]

    def do_part(state: tuple[Array, Array]) -> tuple[Array, Array]:
        counts, open_rows = state
        (here,) = jnp.nonzero(open_rows, size=part, fill_value=rows)

        def gather(x: Array, fill: float) -> Array:
            return x if x.shape[0] == 1 else x.at[here].get(mode="fill", fill_value=fill)

        own_n, own_c, own_target = gather(n, 0), gather(c, 1), gather(target, 0)
        found = _Bracket(*(gather(x, 0) for x in bracket))
        found = _narrowed(found, own_n, own_c, own_target, _total, 0)
        done = _finished(found.level, own_n, own_c, own_target, jnp.divide, _total)
        return (
            counts.at[here].set(done, mode="drop"),
            open_rows.at[here].set(False, mode="drop"),
        )

    counts, _ = jax.lax.while_loop(lambda state: jnp.any(state[1]), do_part, (counts, open_rows))
    return counts


def _counts_at(
    level: Float[Array, "rows 1"], n: Float[Array, "rows k"], c: Float[Array, "#rows #k"]
) -> Float[Array, "rows k"]:
    return jnp.maximum(jnp.floor(level * n - c) + 1, 0)


def _reached(
    level: Float[Array, "rows 1"],
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    total: Total,
) -> Float[Array, "rows 1"]:
    """The sum of `_counts_at`, an addition a number cheaper."""
    return total(jnp.maximum(jnp.floor(level * n - c), -1)) + n.shape[-1]


def _sum(x: Float[Array, "rows k"]) -> Float[Array, "rows 1"]:
    return x.sum(-1, keepdims=True)


def _total(x: Float[Array, "rows k"]) -> Float[Array, "rows 1"]:
    """Row sums of counts, in any order: they are whole, and exact below 2^24 (2^53).

    On a CPU a row is folded before it is written, and what is left is multiplied with ones, which
    the CPU's library vectorises and XLA's sums along the last axis are not.
    """

    def folded(x: Array) -> Array:
        width = x.shape[-1] // _FOLD
        if width < _FOLD:
            return _times_ones(x)
        whole = sum(x[:, i * width : (i + 1) * width] for i in range(1, _FOLD)) + x[:, :width]
        rest = x[:, _FOLD * width :]
        return _times_ones(whole) + _sum(rest) if rest.size else _times_ones(whole)

    return jax.lax.platform_dependent(x, cpu=folded, default=_sum)


def _product(x: Float[Array, "rows k"]) -> Float[Array, "rows 1"]:
    """Row sums, on a CPU as a product with ones."""
    return jax.lax.platform_dependent(x, cpu=_times_ones, default=_sum)


def _times_ones(x: Array) -> Array:
    return jnp.dot(x, jnp.ones((x.shape[-1], 1), x.dtype), precision=jax.lax.Precision.HIGHEST)


def _any(x: Array) -> Bool[Array, ""]:
    # A maximum, because kernels have no other reduction of booleans.
    return x.astype(jnp.int32).max() > 0


def _bracket(
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Float[Array, "rows 1"],
    total: Total,
) -> _Bracket:
    """Where the search begins: the half-shifted water-filling solution (theory 2.5b), nearly."""
    dtype = n.dtype
    tiny, most = jnp.finfo(dtype).tiny, jnp.finfo(dtype).max
    # Folding pays where something is computed of each n, which here is not so.
    plain = _product if total is _total else total
    weight = jnp.maximum(plain(jnp.maximum(n, 0)), tiny)
    room = c * n.shape[-1] if c.shape[-1] == 1 else total(jnp.broadcast_to(c, n.shape))
    # Σ (s n - c) ≤ Σ count, so at `high` the count has reached the goal. At `low` it is 0: there
    # even s Σ n < min c.
    high = jnp.minimum((goal + room) / weight, most)
    low = jnp.minimum(c.min(-1, keepdims=True) / weight / 2, high)
    # The solution if every candidate were active; then the one for those that are active there.
    level = jnp.clip((goal + room - n.shape[-1] / 2) / weight, low, high)
    active = (n > 0) & (level * n > c - 0.5)
    slope = jnp.maximum(total(jnp.where(active, n, 0)), tiny)
    owed = total(jnp.where(active, c - 0.5, 0))
    level = jnp.clip((goal + owed) / slope, low, high)
    return _Bracket(low, high, level, _reached(level, n, c, total), slope)


def _narrowed(
    bracket: _Bracket,
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Float[Array, "rows 1"],
    total: Total,
    leave: int,
) -> _Bracket:
    """The bracket when all rows but `leave` are within `_CLOSE` of their goal, ties permitting."""
    eps = jnp.finfo(n.dtype).eps

    def unfinished(state: tuple[_Bracket, Array]) -> Bool[Array, ""]:
        b, passes = state
        # A bracket of neighbouring floats has found a group of ties: nothing is left to narrow.
        wide = b.high - b.low > 4 * eps * b.high
        away = wide & (jnp.abs(b.total - goal) > jnp.where(passes < _FEW, 0, _CLOSE))
        some = away.astype(n.dtype).sum() > leave if leave else _any(away)
        return some & (passes < _MOST)

    def narrow(state: tuple[_Bracket, Array]) -> tuple[_Bracket, Array]:
        b, passes = state
        below = b.total < goal
        low, high = jnp.where(below, b.level, b.low), jnp.where(below, b.high, b.level)
        newton = b.level + (goal - b.total) / b.slope
        halve = (passes >= _FEW) & (passes % 2 == 1)
        middle = jnp.where(passes < _FEW, low + (high - low) / 2, jnp.sqrt(low) * jnp.sqrt(high))
        level = jnp.where((newton > low) & (newton < high) & ~halve, newton, middle)
        level = jnp.where(b.total == goal, b.level, level)
        found = _Bracket(low, high, level, _reached(level, n, c, total), b.slope)
        return found, passes + 1

    return jax.lax.while_loop(unfinished, narrow, (bracket, jnp.zeros((), jnp.int32)))[0]


def _doubt(
    level: Float[Array, "rows 1"],
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    target: Int[Array, "rows 1"],
    total: Total,
) -> Bool[Array, "rows 1"]:
    """Rows whose counts at the level may not be the answer: off the target, or near a tie.

    Where no level times n_i is within rounding of a whole priority, quotients are in the order in
    which the floors have them, without equals, and the certificate need not be computed.
    """
    reach = level * n
    at = reach - c
    # Priorities begin at r = 0: below it no whole number decides anything.
    off = jnp.abs(at - jnp.maximum(jnp.floor(at + 0.5), 0))
    # So written that a NaN is in doubt.
    clear = off > 4 * jnp.finfo(n.dtype).eps * (jnp.abs(reach) + c)
    # One sum for both questions: a doubt counts more than any budget.
    most = 2.0**23 if n.dtype == jnp.float32 else 2.0**40
    counted = total(jnp.where(clear, jnp.maximum(jnp.floor(at) + 1, 0), most))
    return counted != target


class _Gap(NamedTuple):
    """How far rows are from optimal: rollouts missing, and the certificate (theory 2.2)."""

    missing: Float[Array, "rows 1"]
    largest_next: Float[Array, "rows 1"]
    smallest_last: Float[Array, "rows 1"]


def _next(n: Array, c: Array, counts: Array, divide: Divide) -> Float[Array, "rows k"]:
    return divide(n, c + counts)


def _last(n: Array, c: Array, counts: Array, divide: Divide) -> Float[Array, "rows k"]:
    return jnp.where(counts > 0, divide(n, c + (counts - 1)), jnp.inf)


def _finish(
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    counts: Float[Array, "rows k"],
    target: Float[Array, "rows 1"],
    divide: Divide,
    total: Total,
) -> Float[Array, "rows k"]:
    """Serve, take back or exchange until the certificate holds; then ties to the lowest index."""

    def gap_of(counts: Array) -> _Gap:
        largest = _next(n, c, counts, divide).max(-1, keepdims=True)
        smallest = _last(n, c, counts, divide).min(-1, keepdims=True)
        return _Gap(target - total(counts), largest, smallest)

    def moves(gap: _Gap) -> tuple[Array, Array]:
        exchange = (gap.missing == 0) & (gap.largest_next > gap.smallest_last)
        # Priorities of 0 (or NaN) are never served here: see below.
        give = jnp.where(gap.largest_next > 0, jnp.maximum(gap.missing, exchange), 0)
        return give, jnp.maximum(-gap.missing, exchange)

    def unfinished(state: tuple[Array, _Gap]) -> Bool[Array, ""]:
        give, take = moves(state[1])
        return _any((give > 0) | (take > 0))

    def move(state: tuple[Array, _Gap]) -> tuple[Array, _Gap]:
        counts, gap = state
        give, take = moves(gap)
        more = _first(_next(n, c, counts, divide) == gap.largest_next, give, total)
        less = _first(_last(n, c, counts, divide) == gap.smallest_last, take, total)
        counts = counts + more - less
        return counts, gap_of(counts)

    counts, gap = jax.lax.while_loop(unfinished, move, (counts, gap_of(counts)))
    # What is still missing has priority 0 everywhere: a tie that the first candidate always wins.
    counts = counts + _first(n >= 0, jnp.ones_like(target), total) * jnp.maximum(gap.missing, 0)

    def order_ties(counts: Array) -> Array:
        level = gap.smallest_last
        choice = (gap.largest_next == level) & (level > 0)
        holding = choice & (_last(n, c, counts, divide) == level)
        tied = choice & (holding | (_next(n, c, counts, divide) == level))
        holding = holding.astype(n.dtype)
        return counts - holding + _first(tied, total(holding), total)

    return jax.lax.cond(
        _any(gap.largest_next == gap.smallest_last), order_ties, lambda counts: counts, counts
    )


def _first(
    members: Bool[Array, "rows k"], how_many: Float[Array, "rows 1"], total: Total
) -> Float[Array, "rows k"]:
    """1 at the first `how_many` members of each row, else 0."""

    def some(members: Array) -> Array:
        return members & (jnp.cumsum(members, -1) <= how_many)

    members &= how_many > 0
    short = total(members.astype(how_many.dtype)) > how_many
    chosen = jax.lax.cond(_any(short), some, lambda members: members, members)
    return chosen.astype(how_many.dtype)
