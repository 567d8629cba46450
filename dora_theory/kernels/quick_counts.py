"""Counts of nearly all rows of a divisor method in few instructions, for kernels.

`dora_theory.kernels.divisor` gives the counts of any row. On a GPU most of what its search costs is
bookkeeping for a row, which every thread that holds a part of the row repeats. Here a pass keeps a
bracket and little else, and there are few passes. Rows that are off their budget then, or whose
counts rounding may have decided, are reported as not exact.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.kernels.arithmetic import Arithmetic
from dora_theory.kernels.level_search import any_true, row_sum
from dora_theory.kernels.varying import varying_with

# Passes after the first count. They leave few rows that one step does not settle. More would cost
# rows with ties as much as they save other rows: no pass settles a tie.
_PASSES = 7
# Newton's step shrinks by this factor in each pass; otherwise two levels would alternate.
_DAMPED = 0.75
# Counts are summed in the bits of floats: below 2^22 for a candidate, below 2^30 for a row.
_BITS, _BITS_OF_ROW = 22, 30
# Below the reciprocal of the largest priority nothing is owned, whatever rounding does.
_BELOW = 15 / 16


class QuickCounts(NamedTuple):
    """What is found of each row.

    Attributes:
        counts: of candidates.
        level: which they are of.
        exact: whether they are exact.
        sound: whether numerators, offsets and goal are such as this can do.
        sound_n: whether all numerators are finite, not negative and not too large.
    """

    counts: Int[Array, "rows k"]
    level: Float[Array, "rows 1"]
    exact: Bool[Array, "rows 1"]
    sound: Bool[Array, "rows 1"]
    sound_n: Bool[Array, "rows 1"]


class _Passes(NamedTuple):
    """Levels below and above the goal, the one tried, what a count takes, and what is missing."""

    low: Float[Array, "rows 1"]
    high: Float[Array, "rows 1"]
    level: Float[Array, "rows 1"]
    step: Float[Array, "rows 1"]
    missing: Int[Array, "rows 1"]
    passes: Int[Array, ""]


def quick_counts(
    n: Float[Array, "rows k"],
    c: Float[Array, "#rows #k"],
    goal: Int[Array, "rows 1"],
    by: Arithmetic,
    most: float = np.inf,
) -> QuickCounts:
    """How many of the `goal` largest priorities n_i / (c_i + r), r = 0, 1, …, each i owns.

    Args:
        n: numerators, 0 for padding; a negative 0 is not sound.
        c: offsets.
        goal: the budget of each row.
        by: how to compute.
        most: the largest numerator that is sound.

    Returns:
        Counts. They are not exact in a row with a numerator, an offset or a goal that is not sound,
        where priorities at the goal are equal or within rounding, or where rounding spans half a
        rollout: from about a million rollouts of one candidate in float32.
    """
    largest, sound_n = _largest(n, min(most, float(jnp.finfo(n.dtype).max)))
    offset, positive = _largest(c, float(jnp.finfo(n.dtype).max))
    least = c.min(-1, keepdims=True)
    sound = sound_n & positive & (least > 0) & (goal >= 0) & (goal < 2**_BITS)
    bits = min(_BITS, _BITS_OF_ROW - (n.shape[-1] - 1).bit_length())
    start = _start(n, c, goal, (largest, offset, least), 2.0**-bits, by)
    level = _searched(start, n, (1 - c) * 2.0**-bits, goal, bits, by) * 2.0**bits
    counts, clear = clear_counts(level, n, c, by)
    exact = sound & clear & (_int_sum(counts) == goal)
    return QuickCounts(counts, level, exact, sound, sound_n)


def _largest(x: Array, most: float) -> tuple[Array, Array]:
    """The largest of each row, and whether none is NaN, negative or more than `most`.

    The bits of floats that are not negative are in the order of the floats, and those of others are
    larger words.
    """
    word = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(x, word).max(-1, keepdims=True)
    limit = np.asarray(most, x.dtype).view(word)
    return jax.lax.bitcast_convert_type(bits, x.dtype), bits <= limit


def _int_sum(x: Array) -> Array:
    return x.sum(-1, keepdims=True, dtype=x.dtype)


def _start(
    n: Array,
    c: Array,
    goal: Array,
    extremes: tuple[Array, Array, Array],
    unit: float,
    by: Arithmetic,
) -> tuple[Array, Array, Array, Array]:
    """A bracket, a level near the goal and what a count takes there, in units of 1/`unit`.

    The level is the half-shifted water-filling solution (theory 2.5b), nearly.
    """
    k, one_offset = n.shape[-1], c.shape[-1] == 1
    largest, offset, least = extremes
    goal = goal.astype(n.dtype)
    room = c * k if one_offset else row_sum(c)
    per_weight = by.reciprocal(row_sum(n))
    per_largest = by.reciprocal(largest) * unit
    # Where the largest numerator alone has half a rollout more than the goal, or all have on the
    # average.
    low = least * per_largest * _BELOW
    high = (goal - 0.5 + offset) * per_largest
    high = jnp.maximum(jnp.minimum(high, (goal + room) * per_weight * unit), low)
    # The solution if every candidate were active; then the one for those that are active there.
    level = (goal + room - k / 2) * per_weight * unit
    level = jnp.maximum(jnp.minimum(level, high), low)
    half = jnp.maximum(c - 0.5, 0) * unit
    active = n > half * by.reciprocal(level) if one_offset else level * n > half
    # How many are active, and half of their share of the weight: one sum for both.
    both = row_sum(jnp.where(active, by.fused(n, per_weight * 0.5, 1.0), 0))
    members = jnp.floor(both + 0.25)
    owed = members * (c - 0.5) if one_offset else row_sum(jnp.where(active, c - 0.5, 0))
    step = by.reciprocal(both - members) * per_weight * (unit / 2)
    level = jnp.maximum(jnp.minimum((goal + owed) * step, high), low)
    return low, high, level, step


def _searched(
    start: tuple[Array, Array, Array, Array],
    n: Array,
    rest: Array,
    goal: Array,
    bits: int,
    by: Arithmetic,
) -> Array:
    """The level that a few passes have come to, in units of 2^bits."""
    # Of floats from this one to its double 2^-bits is the unit in the last place.
    base = 2.0**-bits / float(jnp.finfo(n.dtype).eps)

    def missing_at(level: Array) -> Array:
        """The goal less the sum of floor(s n_i - c_i) + 1, each clipped to [0, 2^bits]."""
        share = by.clipped(level, n, rest)
        return goal - _int_sum(_whole(by.plus_down(share, base), base))

    def unfinished(state: _Passes) -> Array:
        return any_true(state.missing != 0) & (state.passes < _PASSES)

    def narrow(state: _Passes) -> _Passes:
        short = state.missing > 0
        low = jnp.where(short, state.level, state.low)
        high = jnp.where(short, state.high, state.level)
        newton = by.fused(state.missing.astype(n.dtype), state.step, state.level)
        # A row at its goal has its level for an end, and stays.
        inside = (newton >= low) & (newton <= high)
        level = jnp.where(inside, newton, by.sqrt(low * high))
        step = state.step * _DAMPED
        return _Passes(low, high, level, step, missing_at(level), state.passes + 1)

    first = _Passes(*start, missing_at(start[2]), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, narrow, varying_with(first, n, rest, goal)).level


def _whole(x: Array, base: float) -> Array:
    """How many units in the last place x is above base, a power of two, if it is below 2 base."""
    word = jnp.dtype(f"int{8 * x.dtype.itemsize}")
    first = np.asarray(base, x.dtype).view(word)
    return (jax.lax.bitcast_convert_type(x, word) - first).astype(jnp.int32)


def clear_counts(level: Array, n: Array, c: Array, by: Arithmetic) -> tuple[Array, Array]:
    """Counts at a level, and the rows of which no s n_i - c_i is within rounding of an integer.

    There the quotients n_i / (c_i + r) are in the order in which the counts have them.
    """
    eps = float(jnp.finfo(n.dtype).eps)
    at = jnp.maximum(by.fused(level, n, 1 - c), 0.5)
    above = by.plus_down(at, 1 / eps)
    from_middle = jnp.abs(at - (above - (1 / eps - 0.5)))
    # With u = eps/2: a quotient and its divisor c_i + r are off by u (at + c_i) each, the fused sum
    # by u at, and 1 - c_i by u |1 - c_i|; that is less than the 6 u (at + c_i) allowed here.
    doubt = by.fused(at, 3 * eps, from_middle)
    if c.shape[-1] > 1:
        doubt = by.fused(c, 3 * eps, doubt)
        return _whole(above, 1 / eps), doubt.max(-1, keepdims=True) < 0.5
    return _whole(above, 1 / eps), doubt.max(-1, keepdims=True) < 0.5 - 3 * eps * c
