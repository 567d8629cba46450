"""What all forms of the sums over similarities share: unit vectors, rounding, the exponential."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Precision = Literal["full", "tf32", "bfloat16"]

# Blocks of columns for each program of a kernel, and the most programs that share a row of blocks:
# few enough that their sums are smaller than the embeddings, many enough that one large problem
# keeps a device busy. Neither depends on the number of problems, so sums do not either.
_TOGETHER, _SHARES = 8, 8
# A product of float32 by matrix units: a number is three of bfloat16, and of the nine products of
# parts six count (the others are below 2^-24 of the largest). Sums lose least by small ones first.
PRODUCTS_OF_PARTS = (1, 1), (0, 2), (2, 0), (0, 1), (1, 0), (0, 0)
# Explicit bits of a mantissa.
_MANTISSA = {"tf32": 10, "bfloat16": 7}


def unit_vectors(
    embeddings: Float[Array, "*batch k d"], exists: Bool[Array, "*batch k"]
) -> Float[Array, "*batch k d"]:
    """Embeddings brought to length 1, of whatever scale they are; 0 where none exists."""
    # The largest entry first: a square may overflow or underflow where a cosine does not. Beyond
    # the limits even the reciprocal of that would, which a quotient may be computed by.
    e = jnp.where(exists[..., None], embeddings, 0)
    largest = jax.lax.stop_gradient(jnp.abs(e).max(-1, keepdims=True))
    tiny = jnp.finfo(e.dtype).tiny
    e = jnp.where(exists[..., None], e / jnp.clip(largest, tiny, 1 / tiny), 1)
    unit = e / jnp.sqrt(jnp.sum(e * e, -1, keepdims=True))
    return jnp.where(exists[..., None], unit, 0)


def rounded(unit: Array, precision: Precision) -> Array:
    """To nearest, so that units which only cut bits off find none to cut."""
    if precision == "full":
        return unit
    return jax.lax.reduce_precision(unit, exponent_bits=8, mantissa_bits=_MANTISSA[precision])


def parts_of(x: Array) -> tuple[Array, Array, Array]:
    """Float32 as the sum of three numbers of bfloat16, which hold all of its bits; largest first.

    To nearest, by its bits: a conversion there and back is one that a compiler may leave out.
    """
    parts = []
    for _ in range(3):
        bits = jax.lax.bitcast_convert_type(x, jnp.uint32) + np.uint32(0x8000)
        bits &= np.uint32(0xFFFF0000)
        part = jax.lax.bitcast_convert_type(bits, jnp.float32)
        parts.append(part.astype(jnp.bfloat16))
        x = x - part
    high, middle, low = parts
    return high, middle, low


def shares_of(blocks: int) -> tuple[int, int]:
    """How many programs share a row of so many blocks, and the most blocks that one takes."""
    shares = min(_SHARES, -(-blocks // _TOGETHER))
    return shares, -(-blocks // shares)


def steepness(temperature: Array) -> Array:
    """1/T_s, finite: of a gap of 0 it must make 0."""
    return jnp.minimum(1 / temperature, jnp.finfo(temperature.dtype).max)


def nearness(gap: Array, own: Array, steep: Array) -> Array:
    """exp(gap/T_s); rounding may carry a cosine past 1, and a candidate is one with itself."""
    return jnp.exp(jnp.where(own, 0, jnp.minimum(gap, 0)) * steep)
