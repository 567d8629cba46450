"""Random words and normals as functions of counters, by Philox (Salmon et al. 2011).

A word is a function of key, problem, lane and sample alone, so that it does not matter which chunk,
device or process computes it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory.kernels.arithmetic import (
    PLAIN,
    Arithmetic,
    Numbers,
    Words,
)

# Philox-4x32: its multipliers, and what each round adds to the two words of the key.
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_STEPS = 0x9E3779B9, 0xBB67AE85
# 7 rounds are the fewest that pass BigCrush (Salmon et al., table 2), 10 their recommendation.
_ROUNDS = 10
# The largest word.
MOST = 2**32 - 1
# A radius beyond counts as 5.5: it is met in 3 of ten million pairs.
LARGEST_Z = 5.5


class Stream(NamedTuple):
    """The key of each problem: two words, of shape `(...)` or `()`."""

    first: Words
    second: Words


def stream(key: Array, problem: Words, purpose: int = 0) -> Stream:
    """The keys of problems, from a JAX key of any kind, the problem's number and what for."""
    return substream(Stream(*jax.random.bits(key, (2,), jnp.uint32)), problem, purpose)


def substream(keys: Stream, number: Words, purpose: int = 0) -> Stream:
    """Keys made of keys: those of a number, and of what they are for."""
    return Stream(*words(keys, number, jnp.uint32(purpose))[:2])


def words(
    keys: Stream, lane: Words | Array, sample: Words | Array, by: Arithmetic = PLAIN
) -> tuple[Words, Words, Words, Words]:
    """Four random words for each (problem, lane, sample), which broadcast."""
    lane, sample = (jnp.asarray(x, jnp.uint32) for x in (lane, sample))
    # Scalars as long as they can be: of what all samples share a kernel computes one.
    zero = jnp.uint32(0)
    return philox(keys, (lane, sample, zero, zero), by)


def philox(
    keys: Stream, counter: tuple[Words, Words, Words, Words], by: Arithmetic = PLAIN
) -> tuple[Words, Words, Words, Words]:
    """Philox-4x32 of a counter under keys, elementwise and broadcasting."""
    k0, k1 = keys
    x0, x1, x2, x3 = counter
    for _ in range(_ROUNDS):
        upper, lower = by.wide_product(x0, np.uint32(_MULTIPLIERS[0]))
        other_upper, other_lower = by.wide_product(x2, np.uint32(_MULTIPLIERS[1]))
        x0, x1, x2, x3 = other_upper ^ x1 ^ k0, other_lower, upper ^ x3 ^ k1, lower
        k0, k1 = k0 + np.uint32(_STEPS[0]), k1 + np.uint32(_STEPS[1])
    return x0, x1, x2, x3


def unit(word: Words, dtype: np.dtype, by: Arithmetic = PLAIN) -> Numbers:
    """Uniform in (0, 1], with full relative precision near 0; `~word` is its complement."""
    scale, half = jnp.asarray(2.0**-32, dtype), jnp.asarray(2.0**-33, dtype)
    return by.fused(word.astype(dtype), scale, half)


def normals(
    first: Words, second: Words, dtype: np.dtype, by: Arithmetic = PLAIN
) -> tuple[Numbers, Numbers]:
    """Two independent normals from two words (Box and Muller 1958), at most `LARGEST_Z`."""
    # An approximate logarithm may have the other sign next to 0.
    square = jnp.abs(by.log_of_unit(unit(first, dtype, by), -2))
    radius = by.sqrt(jnp.minimum(square, LARGEST_Z**2))
    # The top two bits are the quadrant, the rest an angle of at most π/4 either way, where short
    # polynomials do: the library's sine and cosine, reduced for any argument, cost ten times more.
    angle = (second << 2).astype(jnp.int32).astype(dtype) * np.asarray(np.pi / 2 * 2.0**-32, dtype)
    sine, cosine = by.sine(angle), by.cosine(angle)
    # A quarter turn swaps the two up to a sign, which the angle already has; a half turn is a sign.
    swap = (second >> 30) & 1 == 1
    radius = _with_sign_of(radius, second)
    return radius * jnp.where(swap, sine, cosine), radius * jnp.where(swap, cosine, sine)


def _with_sign_of(x: Numbers, word: Words) -> Numbers:
    """x, or -x if the first bit of the word is 1."""
    if x.dtype != jnp.float32:
        return jnp.where(word >> 31 == 1, -x, x)
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    return jax.lax.bitcast_convert_type(bits ^ (word & np.uint32(2**31)), x.dtype)
