"""The level at which a divisor method has handed out its budget, for many rows at once.

At a level s (a reciprocal priority) candidate i owns `max(0, floor(s n_i - c_i) + 1)` priorities
of at least 1/s (theory 2.6). Their number is a step function of s, and the level is its root:
it is bracketed and interpolated, from the half-shifted water-filling solution (theory 2.5b), which
is rarely more than a few rollouts away. A level need not be exact: `counts_in_doubt` says for
which rows it is no answer.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dora_theory.kernels.varying import varying_with

Total = Callable[[Array], Array]

# A pass of the search halves the rows that are off their budget, roughly, and whoever settles them
# pays for every rollout: up to `_FEW` passes for any row, and more only for rows that are far off.
_CLOSE = 16
_FEW = 12
# What is left after `_SOME` passes are ties, unless many rows are more than `_GROUP` off or a pass
# still leaves less than this share.
_SOME, _GROUP, _FASTER = 4, 8, 0.7
# Moves by more rollouts tell how much of a level one takes.
_LONG = 8
# So many passes that leave both ends of a bracket as they were tell that a crowd in it ties; a pair
# may lie as near by chance, and needs more. Ends farther apart than this factor do not tell: the
# middle is not where priorities are.
_STILL, _STILL_OF_PAIR, _NEAR = 2, 8, 2
# After `_FEW` passes every other one halves the bracket in logarithms: a bracket of 60 decades is
# down to neighboring floats in 2 · (8 + 53) passes at most.
_MOST = 200
# Up to so many candidates words of so many bits are faster on the CPU than a running sum.
_SHORT, _WORD = 1024, 16
_EXACT = jax.lax.Precision.HIGHEST
# Terms that the CPU's row sums add in one go; more of them are slower.
_FOLD = 4


class Bracket(NamedTuple):
    """Levels with a count below and not below the goal, the one to try, how much a count takes."""

    low: Float[Array, "rows 1"]
    high: Float[Array, "rows 1"]
    level: Float[Array, "rows 1"]
    step: Float[Array, "rows 1"]


class _Search(NamedTuple):
    """Where a search is: what is reached at its level and at both ends, and passes without news."""

    bracket: Bracket
    reached: Float[Array, "rows 1"]
    at_low: Float[Array, "rows 1"]
    at_high: Float[Array, "rows 1"]
    still: Float[Array, "rows 1"]
    passes: Int[Array, ""]


def counts_at(
    level: Float[Array, "rows 1"], n: Float[Array, "rows k"], c: Float[Array, "#rows #k"]
) -> Float[Array, "rows k"]:
    """How many priorities of at least 1/level each candidate owns."""
    return jnp.maximum(jnp.floor(level * n - c) + 1, 0)


def _reached(
    level: Float[Array, "rows 1"],
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    total: Total,
) -> Float[Array, "rows 1"]:
    """The sum of `counts_at`, with one addition per candidate fewer."""
    return total(jnp.maximum(jnp.floor(level * n - c), -1)) + n.shape[-1]


def row_sum(x: Float[Array, "rows k"]) -> Float[Array, "rows 1"]:
    """Row sums as a kernel can take them."""
    return x.sum(-1, keepdims=True)


def count_sum(x: Float[Array, "rows k"]) -> Float[Array, "rows 1"]:
    """Row sums of counts, in any order: they are whole, and exact below 2^24 (2^53).

    On a CPU a row is folded before it is written, and what is left is multiplied with ones, which
    the CPU's library vectorizes and XLA's sums along the last axis are not.
    """

    def folded(x: Array) -> Array:
        width = x.shape[-1] // _FOLD
        if width < _FOLD:
            return _times_ones(x)
        whole = sum(x[:, i * width : (i + 1) * width] for i in range(1, _FOLD)) + x[:, :width]
        rest = x[:, _FOLD * width :]
        return _times_ones(whole) + row_sum(rest) if rest.size else _times_ones(whole)

    return jax.lax.platform_dependent(x, cpu=folded, default=row_sum)


def _times_ones(x: Array) -> Array:
    return jnp.dot(x, jnp.ones((x.shape[-1], 1), x.dtype), precision=_EXACT)


class Members(NamedTuple):
    """Members of rows: how many there are in all and up to each place, and which they are."""

    size: Float[Array, "rows 1"]
    up_to: Float[Array, "rows k"]
    here: Bool[Array, "rows k"]


def counted(members: Bool[Array, "rows k"], dtype: jnp.dtype, total: Total) -> Members:
    """Counts of members in a dtype, and the members, read off what counts them."""
    k = members.shape[-1]

    def scan(members: Array) -> Members:
        # Not the last of the running counts: read twice, XLA computes them twice.
        size = total(members.astype(dtype))
        return Members(size, jnp.cumsum(members, -1).astype(dtype), members)

    def packed(members: Array) -> Members:
        # A word of 16 bits is a sum of powers of two, and exact. Ranks in it are counts of bits.
        # No constants: under `vmap` and `shard_map` at once JAX refuses those of branches.
        place, word = (jax.lax.broadcasted_iota(jnp.int32, (k, -(-k // _WORD)), i) for i in (0, 1))
        bits = jnp.where(place // _WORD == word, 1 << place % _WORD, 0)
        words = jnp.dot(members.astype(dtype), bits.astype(dtype), precision=_EXACT)
        words = words.astype(jnp.int32)
        sizes = jax.lax.population_count(words)
        before = jnp.cumsum(sizes, -1) - sizes
        own, before = (jnp.repeat(x, _WORD, -1)[:, :k] for x in (words, before))
        bit = 1 << place[:, 0] % _WORD
        up_to = before + jax.lax.population_count(own & (2 * bit - 1))
        size = sizes.sum(-1, keepdims=True)
        return Members(size.astype(dtype), up_to.astype(dtype), (own & bit) != 0)

    if total is not count_sum or k > _SHORT:
        return scan(members)
    return jax.lax.platform_dependent(members, cpu=packed, default=scan)


def any_true(x: Array) -> Bool[Array, ""]:
    """Whether any is true: by a maximum, because kernels have no other reduction of booleans."""
    return x.astype(jnp.int32).max() > 0


def first_bracket(
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Float[Array, "rows 1"],
    weight: Float[Array, "rows 1"],
    total: Total,
) -> Bracket:
    """Where the search begins: the half-shifted water-filling solution (theory 2.5b), nearly.

    Args:
        n: numerators, -1 for padding.
        c: offsets.
        goal: the budget of each row.
        weight: the sum of each row's numerators.
        total: sums rows.

    Returns:
        A bracket of everything, and a level near the root.
    """
    k, one_offset = n.shape[-1], c.shape[-1] == 1
    tiny, most = jnp.finfo(n.dtype).tiny, jnp.finfo(n.dtype).max
    weight = jnp.maximum(weight, tiny)
    room = c * k if one_offset else total(jnp.broadcast_to(c, n.shape))
    # Σ (s n - c) ≤ Σ count, so at `high` the count has reached the goal. At `low` it is 0: there
    # even s Σ n < min c.
    high = jnp.minimum((goal + room) / weight, most)
    low = jnp.minimum(c.min(-1, keepdims=True) / weight * 0.5, high)
    # The solution if every candidate were active; then the one for those that are active there.
    level = jnp.clip((goal + room - k / 2) / weight, low, high)
    active = (n > 0) & (level * n > c - 0.5)
    # How many are active, and half of their share of the weight: one sum for both.
    both = total(jnp.where(active, 1 + n * (0.5 / weight), 0))
    members = jnp.floor(both + 0.25)
    slope = jnp.maximum((both - members) * 2 * weight, tiny)
    owed = members * (c - 0.5) if one_offset else total(jnp.where(active, c - 0.5, 0))
    step = 1 / slope
    return Bracket(low, high, jnp.clip((goal + owed) * step, low, high), step)


def _moved(
    bracket: Bracket,
    reached: Float[Array, "rows 1"],
    goal: Float[Array, "rows 1"],
    middle: Callable[[Array, Array], Array],
    halve: Bool[Array, "rows 1"] | bool = False,
) -> Bracket:
    """The bracket cut at its level, which reached so many, and the next level of rows off goal."""
    below = reached < goal
    # Extrema rather than a choice between two arrays: that is a branch a row on the CPU.
    low = jnp.maximum(bracket.low, jnp.where(below, bracket.level, 0))
    high = jnp.minimum(bracket.high, jnp.where(below, jnp.inf, bracket.level))
    newton = bracket.level + (goal - reached) * bracket.step
    inside = (newton > low) & (newton < high) & jnp.logical_not(halve)
    level = jnp.where(inside, newton, middle(low, high))
    return Bracket(low, high, jnp.where(reached == goal, bracket.level, level), bracket.step)


def _with_step(bracket: Bracket, now: Array, before: Bracket, then: Array) -> Bracket:
    """What a count takes as the last move saw it, if that was long enough not to be chance."""
    seen = (bracket.level - before.level) / (now - then)
    return bracket._replace(step=jnp.where(jnp.abs(now - then) > _LONG, seen, bracket.step))


def _mean(low: Array, high: Array) -> Array:
    return low + (high - low) * 0.5


def _mean_of_bits(low: Array, high: Array) -> Array:
    """About the geometric mean of numbers that are not negative: half the floats lie below it."""
    word = jnp.int32 if low.dtype == jnp.float32 else jnp.int64
    first, last = (jax.lax.bitcast_convert_type(x, word) for x in (low, high))
    return jax.lax.bitcast_convert_type(first + (last - first >> 1), low.dtype)


def search_for_most(
    bracket: Bracket,
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Float[Array, "rows 1"],
    leave: int,
) -> tuple[Bracket, Float[Array, ""]]:
    """A few passes over all rows, until some `leave` of them are off their goal, or all are near.

    Args:
        bracket: where to begin.
        n: numerators, -1 for padding.
        c: offsets.
        goal: the budget of each row.
        leave: how many rows may be left.

    Returns:
        The brackets then, for `search` to go on from, and how many rows were off their goal before
        the last move.
    """

    def unfinished(state: tuple[Bracket, Array, Array, Array]) -> Bool[Array, ""]:
        _, reached, passes, before = state
        off = jnp.abs(reached - goal)
        left = how_many(off > 0)
        moving = (passes < _SOME) | (left < _FASTER * before) | (how_many(off > _GROUP) > leave)
        # The move that follows the last pass puts almost half of the rest right.
        return (left > 1.75 * leave) & moving & (passes < _FEW)

    def narrow(state: tuple[Bracket, Array, Array, Array]) -> tuple[Bracket, Array, Array, Array]:
        before, reached, passes, _ = state
        bracket = _moved(before, reached, goal, _mean)
        now = _reached(bracket.level, n, c, count_sum)
        bracket = _with_step(bracket, now, before, reached)
        return bracket, now, passes + 1, how_many(reached != goal)

    def how_many(rows: Array) -> Array:
        return rows.astype(n.dtype).sum()

    reached = _reached(bracket.level, n, c, count_sum)
    start = bracket, reached, jnp.zeros((), jnp.int32), how_many(reached != goal)
    bracket, reached, *_ = jax.lax.while_loop(unfinished, narrow, varying_with(start, n, c, goal))
    return _moved(bracket, reached, goal, _mean), how_many(reached != goal)


def search(
    bracket: Bracket,
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Float[Array, "rows 1"],
    total: Total,
) -> Float[Array, "rows 1"]:
    """Passes over all rows until each is at its goal, or close to it, or has found a tie.

    Where ties lie across the goal no level is at it. Such a row is done when a bracket that is not
    wide keeps its two counts though it is halved: what lies in it is then one group of ties, or by
    chance a few priorities, which `counts_in_doubt` tells.

    Args:
        bracket: where to begin.
        n: numerators, -1 for padding.
        c: offsets.
        goal: the budget of each row.
        total: sums rows.

    Returns:
        The level of each row.
    """
    eps = jnp.finfo(n.dtype).eps

    def unfinished(state: _Search) -> Bool[Array, ""]:
        b, passes = state.bracket, state.passes
        # A bracket of neighboring floats has found a group of ties: nothing is left to narrow.
        patience = jnp.where(state.at_high - state.at_low > 2, _STILL, _STILL_OF_PAIR)
        wide = (b.high - b.low > 4 * eps * b.high) & (state.still < patience)
        away = wide & (jnp.abs(state.reached - goal) > jnp.where(passes < _FEW, 0, _CLOSE))
        return any_true(away) & (passes < _MOST)

    def narrow(state: _Search) -> _Search:
        before, reached, passes = state.bracket, state.reached, state.passes
        few = passes < _FEW

        def middle(low: Array, high: Array) -> Array:
            return jnp.where(few, _mean(low, high), _mean_of_bits(low, high))

        halve = (~few & (passes % 2 == 1)) | (state.still > 0)
        bracket = _moved(before, reached, goal, middle, halve)
        now = _reached(bracket.level, n, c, total)
        # The end that the level replaces had as many already: nothing lies between the two.
        end = jnp.where(now < goal, state.at_low, state.at_high)
        still = (now == end) & (bracket.high < _NEAR * bracket.low)
        return _Search(
            _with_step(bracket, now, before, reached),
            now,
            jnp.where(now < goal, now, state.at_low),
            jnp.where(now < goal, state.at_high, now),
            jnp.where(still, state.still + 1, 0),
            passes + 1,
        )

    reached = _reached(bracket.level, n, c, total)
    below, nobody = reached < goal, jnp.zeros_like(reached)
    start = _Search(
        bracket,
        reached,
        jnp.where(below, reached, nobody),
        jnp.where(below, nobody, reached),
        nobody,
        jnp.zeros((), jnp.int32),
    )
    return jax.lax.while_loop(unfinished, narrow, varying_with(start, n, c, goal)).bracket.level


def counts_in_doubt(
    level: Float[Array, "rows 1"],
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Float[Array, "rows 1"],
    total: Total,
) -> tuple[Float[Array, "rows k"], Bool[Array, "rows 1"]]:
    """`counts_at`, and the rows of which they may not be the answer: off their goal, or near a tie.

    Where no s n_i - c_i is within rounding of an integer, the quotients n_i / (c_i + r) are in
    the order in which the counts have them, without equals, and no certificate need be computed.

    Args:
        level: s.
        n: numerators, -1 for padding.
        c: offsets.
        goal: the budget of each row.
        total: sums rows.

    Returns:
        The counts, and false only where they are exact.
    """
    # Priorities begin at r = 0: below it no integer decides anything.
    at = jnp.maximum(level * n - c, -0.5)
    whole = jnp.floor(at)
    # In units of eps s n_i half is due to each of the product, the difference, a quotient and its
    # divisor c_i + r; the rest is for the distance's own rounding.
    rounding = 3 * jnp.finfo(n.dtype).eps * (at + (c + 1))
    # So written that a NaN is in doubt.
    clear = jnp.abs(at - whole - 0.5) < 0.5 - rounding
    # One sum for both questions: a doubt counts more than any budget.
    most = 2.0**23 if n.dtype == jnp.float32 else 2.0**40
    return whole + 1, total(jnp.where(clear, whole, most)) + n.shape[-1] != goal
