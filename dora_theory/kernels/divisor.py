"""Divisor methods of apportionment, vectorized: the N largest of all priorities n_i / (c_i + r).

No loop over rollouts: the *level* is searched at which the budget is handed out (theory 2.6). What
is left then, and whatever rounding did to the counts, is settled by the optimality certificate
itself (theory 2.2): while it fails, the largest unserved priority is served or the smallest served
one is taken back, whole groups of ties at a time. The result does not depend on how exact the level
was.

Every comparison of priorities is between IEEE quotients `n_i / (c_i + r)` in the working dtype:
equal quotients are a tie, and ties go to the lowest index.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.kernels.arithmetic import PLAIN, Arithmetic
from dora_theory.kernels.level_search import (
    Bracket,
    Total,
    any_true,
    count_sum,
    counted,
    counts_at,
    counts_in_doubt,
    first_bracket,
    row_sum,
    search,
    search_for_most,
)
from dora_theory.kernels.quick_counts import QuickCounts, quick_counts
from dora_theory.kernels.varying import varying_with

Divide = Callable[[Array, Array], Array]

# Up to so many numbers all rows are searched to the end together, not only those that need it.
_FEW_NUMBERS = 1 << 15


def largest_priorities(
    numerators: Float[Array, "*batch k"],
    offsets: Float[Array, "*#batch #k"],
    budget: Int[Array, "*#batch"],
    mask: Bool[Array, "*batch k"] | None,
    *,
    most: float = np.inf,
) -> Int[Array, "*batch k"]:
    """How many of the `budget` largest priorities n_i / (c_i + r), r = 0, 1, …, each i owns.

    Args:
        numerators: n ≥ 0, shape `(..., k)`.
        offsets: c > 0, broadcast against `numerators`.
        budget: number of priorities to take, shape `(...)`; below 2^24 in float32, whose whole
            numbers end there. Callers allow 2^22.
        mask: candidates that exist, all if None. Others own nothing.
        most: the largest numerator that is sound.

    Returns:
        Counts, int32, which sum to `budget` in every row. If no candidate of a row has a positive
        numerator, all priorities tie at 0 and the first candidate takes all. -1 throughout a row
        with a numerator that is NaN, infinite, negative or above `most`, an offset that is NaN or
        not positive, a negative budget, or a budget and no candidate. Quotients below the normal
        numbers of the dtype are outside of this: a CPU takes them for 0, a GPU may not.
    """
    k = numerators.shape[-1]
    batch = numerators.shape[:-1]
    if numerators.size == 0:
        return jnp.zeros(numerators.shape, jnp.int32)
    mask = jnp.ones(numerators.shape, bool) if mask is None else mask
    # A numerator of -1 marks padding: its priorities are below all others, its counts are 0. What
    # is not sound is NaN in the sum of its row, and nowhere else: without padding the CPU need not
    # write a copy of the numerators.
    n = jnp.where(mask, numerators, -1).reshape(-1, k)
    weight = count_sum(jnp.where(mask, _sound(numerators, most), 0).reshape(-1, k))
    # One offset for all stays one: it is read from a register in every pass.
    c = jnp.atleast_1d(offsets)
    c = (
        c[None]
        if c.ndim == 1
        else jnp.broadcast_to(c, (*batch, c.shape[-1])).reshape(-1, c.shape[-1])
    )
    target = jnp.broadcast_to(budget, batch).reshape(-1, 1)
    c, target, bad = _made_sound(n, c, target, weight)
    rows = n.shape[0]
    part = max(64, rows // 32)
    if rows <= part or n.size <= _FEW_NUMBERS:
        counts = _solved(n, c, target, weight, jnp.divide, count_sum)
    else:
        counts = _solved_by_parts(n, c, target, weight, part)
    return jnp.where(bad, -1, counts).reshape(numerators.shape)


def _sound(numerators: Array, most: float) -> Array:
    sound = (numerators >= 0) & (numerators <= min(most, float(jnp.finfo(numerators.dtype).max)))
    return jnp.where(sound, numerators, jnp.nan)


def _made_sound(n: Array, c: Array, target: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Offsets and budgets that no search is lost in, and which rows are bad.

    A sum of numerators that is NaN is the sign of a bad one, one of 0 of a row without candidates.
    Of a bad row the level is NaN from the start, so that no loop waits for it.
    """
    sound = (c > 0) & (c < np.inf)
    bad = (target < 0) | jnp.isnan(weight)
    bad |= jnp.logical_not(sound).astype(jnp.int32).max(-1, keepdims=True) > 0
    nobody = jax.lax.cond(
        any_true((weight == 0) & (target > 0)),
        lambda: (n.max(-1, keepdims=True) < 0) & (target > 0),
        lambda: varying_with(jnp.zeros_like(target > 0), n, target),
    )
    bad |= nobody
    return jnp.where(sound, c, 1), jnp.where(bad, 0, target).astype(n.dtype), bad


def largest_in_block(
    numerators: Float[Array, "rows k"],
    exists: Bool[Array, "#rows k"] | None,
    c: Float[Array, "#rows #k"],
    target: Int[Array, "rows 1"],
    divide: Divide,
    most: float = np.inf,
    by: Arithmetic = PLAIN,
) -> Int[Array, "rows k"]:
    """`largest_priorities` of a few rows, by what a GPU kernel can do too.

    Args:
        numerators: of priorities.
        exists: candidates that are no padding; all if None.
        c: offsets.
        target: the budget of each row.
        divide: the IEEE quotient, correctly rounded.
        most: the largest numerator that is sound.
        by: how the level is searched.

    Returns:
        Counts.
    """
    n = by.one_zero(numerators if exists is None else jnp.where(exists, numerators, -1))
    positive = n if exists is None else jnp.where(exists, n, 0)
    found = quick_counts(positive, c, target, by, most)

    def one_step(_: Array) -> Array:
        # Rows without a doubt are as they were: at their budget the step moves none.
        goal = target.astype(n.dtype)
        counts, still_open = _settled(found.level, n, c, goal, divide, row_sum)
        still_open &= jnp.logical_not(found.exact)
        return jax.lax.cond(
            any_true(still_open | jnp.logical_not(found.sound)),
            lambda _: whole(),
            lambda counts: counts.astype(jnp.int32),
            counts,
        )

    def whole() -> Array:
        weight = jnp.where(found.sound_n, row_sum(jnp.maximum(n, 0)), jnp.nan)
        sound_c, goal, bad = _made_sound(n, c, target, weight)
        level = _searched_on(found, n, sound_c, goal, weight)
        return jnp.where(bad, -1, _finished(level, n, sound_c, goal, divide, row_sum))

    in_doubt = any_true(jnp.logical_not(found.exact))
    return jax.lax.cond(in_doubt, one_step, lambda counts: counts, found.counts)


def _searched_on(found: QuickCounts, n: Array, c: Array, goal: Array, weight: Array) -> Array:
    """The level, from where the few passes left it: most rows that are open are near a tie."""
    start = first_bracket(n, c, goal, weight, row_sum)
    known = found.sound & (found.level > start.low) & (found.level < start.high)
    level = jnp.where(known, found.level, start.level)
    return search(start._replace(level=level), n, c, goal, row_sum)


def _solved(
    n: Array, c: Array, target: Array, weight: Array, divide: Divide, total: Total
) -> Array:
    """Counts of all rows, each loop running until the last row is done."""
    level = search(first_bracket(n, c, target, weight, total), n, c, target, total)
    return _finished(level, n, c, target, divide, total)


def _finished(
    level: Array, n: Array, c: Array, target: Array, divide: Divide, total: Total
) -> Array:
    """Counts at the level; in doubt those of a step from there, or of as many as it takes."""

    def one_step(counts: Array) -> Array:
        # Rows without a doubt are as they were: at their budget the step moves none.
        settled, still_open = _settled(level, n, c, target, divide, total)
        return jax.lax.cond(
            any_true(still_open & doubt),
            lambda counts, _: _finish(n, c, counts, target, divide, total),
            lambda _, settled: settled,
            counts,
            settled,
        )

    counts, doubt = counts_in_doubt(level, n, c, target, total)
    done = jax.lax.cond(any_true(doubt), one_step, lambda counts: counts, counts)
    return done.astype(jnp.int32)


def _solved_by_parts(n: Array, c: Array, target: Array, weight: Array, part: int) -> Array:
    """Counts, most of them by a few passes over all rows, the rest `part` rows at a time.

    A loop over all rows runs until its last row is done. Most rows are done soon, so the others are
    gathered: then a loop costs what they cost.
    """
    rows = n.shape[0]
    start = first_bracket(n, c, target, weight, count_sum)
    bracket, off = search_for_most(start, n, c, target, 2 * part)
    # Where many rows are off their budget there is no doubt that they are.
    open_rows = jax.lax.cond(
        off > 8 * part,
        lambda: varying_with(jnp.ones(target.shape, bool), n, c, target),
        lambda: counts_in_doubt(bracket.level, n, c, target, count_sum)[1],
    )
    counts, open_rows = jax.lax.cond(
        open_rows.astype(n.dtype).sum() > 4 * part,
        lambda: _settled(bracket.level, n, c, target, jnp.divide, count_sum),
        lambda: (counts_at(bracket.level, n, c), open_rows),
    )
    counts, open_rows = counts.astype(jnp.int32), open_rows[:, 0]

    def do_part(state: tuple[Array, Array]) -> tuple[Array, Array]:
        counts, open_rows = state
        # `jnp.nonzero` would do the same with twice the work.
        place = jnp.where(open_rows, jnp.cumsum(open_rows) - 1, part)
        here = jnp.full(part, rows).at[place].set(jnp.arange(rows), mode="drop")

        def gather(x: Array, fill: float) -> Array:
            return x if x.shape[0] == 1 else x.at[here].get(mode="fill", fill_value=fill)

        own_n, own_c, own_target = gather(n, 0), gather(c, 1), gather(target, 0)
        found = Bracket(*(gather(x, 0) for x in bracket))
        level = search(found, own_n, own_c, own_target, count_sum)
        done = _finished(level, own_n, own_c, own_target, jnp.divide, count_sum)
        return (
            counts.at[here].set(done, mode="drop"),
            open_rows.at[here].set(False, mode="drop"),
        )

    counts, _ = jax.lax.while_loop(
        lambda state: jnp.any(state[1]), do_part, varying_with((counts, open_rows), n, c, target)
    )
    return counts


def _settled(
    level: Array, n: Array, c: Array, target: Array, divide: Divide, total: Total
) -> tuple[Array, Array]:
    """Counts of rows that are within one group of ties of their budget, and which rows are not.

    The group is the next to be served, or the last that was. It is all that the counts leave open
    unless it is so near the level that rounding may have put others on the wrong side.
    """
    counts = counts_at(level, n, c)
    reached = total(counts)
    short = reached < target
    # One rollout fewer where one is to be taken back.
    sign = jnp.where(short, 1, -1).astype(n.dtype)
    fewer = 0.5 - 0.5 * sign
    # The largest priority that is not served, or minus the smallest that is.
    priority = divide(sign * n, c + (counts - fewer))
    priority = jnp.where(counts >= fewer, priority, -jnp.inf)
    group = priority.max(-1, keepdims=True)
    tied = counted(priority == group, n.dtype, total)
    places = jnp.where(short, 0, tied.size) + (target - reached)
    first = tied.here & (tied.up_to <= places)
    near = 16 * jnp.finfo(n.dtype).eps
    settled = (sign * group > 0) & (sign * (1 - sign * group * level) > near)
    settled &= (places >= 0) & (places <= tied.size)
    counts += first.astype(n.dtype) - jnp.where(short, 0, tied.here.astype(n.dtype))
    return counts, jnp.logical_not(settled)


class _State(NamedTuple):
    """Counts, the priorities beside them, and how far rows are from optimal (theory 2.2)."""

    counts: Float[Array, "rows k"]
    following: Float[Array, "rows k"]
    last: Float[Array, "rows k"]
    missing: Float[Array, "rows 1"]
    largest_next: Float[Array, "rows 1"]
    smallest_last: Float[Array, "rows 1"]


def _finish(
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    counts: Float[Array, "rows k"],
    target: Float[Array, "rows 1"],
    divide: Divide,
    total: Total,
) -> Float[Array, "rows k"]:
    """Serve, take back or exchange until the certificate holds; then ties to the lowest index."""

    def state_of(counts: Array) -> _State:
        following = divide(n, c + counts)
        last = jnp.where(counts > 0, divide(n, c + (counts - 1)), jnp.inf)
        largest, smallest = following.max(-1, keepdims=True), last.min(-1, keepdims=True)
        return _State(counts, following, last, target - total(counts), largest, smallest)

    def moves(at: _State) -> tuple[Array, Array]:
        exchange = (at.missing == 0) & (at.largest_next > at.smallest_last)
        # Priorities of 0 (or NaN) are never served here: see below.
        give = jnp.where(at.largest_next > 0, jnp.maximum(at.missing, exchange), 0)
        return give, jnp.maximum(-at.missing, exchange)

    def unfinished(state: tuple[_State, Array]) -> Bool[Array, ""]:
        at, moved = state
        give, take = moves(at)
        return moved & any_true((give > 0) | (take > 0))

    def move(state: tuple[_State, Array]) -> tuple[_State, Array]:
        at, _ = state
        give, take = moves(at)
        more = _first(at.following == at.largest_next, give, total)
        less = _first(at.last == at.smallest_last, take, total)
        counts = at.counts + more - less
        # Counts beyond the mantissa, of which there are none in what is checked, cannot move.
        return state_of(counts), any_true(counts != at.counts)

    start = varying_with((state_of(counts), jnp.array(True)))
    at, _ = jax.lax.while_loop(unfinished, move, start)
    # What is still missing has priority 0 everywhere: a tie that the first candidate always wins.
    rest = _first(n >= 0, jnp.ones_like(target), total) * jnp.maximum(at.missing, 0)

    def order_ties(counts: Array) -> Array:
        choice = (at.largest_next == at.smallest_last) & (at.smallest_last > 0)
        holding = choice & (at.last == at.smallest_last)
        tied = choice & (holding | (at.following == at.smallest_last))
        holding = holding.astype(n.dtype)
        return counts - holding + _first(tied, total(holding), total)

    return jax.lax.cond(
        any_true(at.largest_next == at.smallest_last),
        order_ties,
        lambda counts: counts,
        at.counts + rest,
    )


def _first(
    members: Bool[Array, "rows k"], how_many: Float[Array, "rows 1"], total: Total
) -> Float[Array, "rows k"]:
    """1 at the first `how_many` members of each row, else 0."""
    members &= how_many > 0
    short = total(members.astype(how_many.dtype)) > how_many

    def lowest(members: Array) -> Array:
        place = jax.lax.broadcasted_iota(jnp.int32, members.shape, 1)
        first = jnp.where(members, place, members.shape[-1]).min(-1, keepdims=True)
        return jnp.where(short, place == first, members)

    def some(members: Array) -> Array:
        return jax.lax.cond(
            any_true(short & (how_many > 1)),
            lambda members: members & (counted(members, how_many.dtype, total).up_to <= how_many),
            # Nearly always one is asked for, which needs no running count.
            lowest,
            members,
        )

    chosen = jax.lax.cond(any_true(short), some, lambda members: members, members)
    return chosen.astype(how_many.dtype)
