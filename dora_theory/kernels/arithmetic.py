"""Functions of numbers in a known range, at a lower price than the library's, which takes any.

Kernels and references compute them alike. A backend may have instructions that its compiler does
not choose: then it hands in an `Arithmetic`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

Words = UInt32[Array, "..."]
Numbers = Float[Array, "..."]

# Terms of the series of atanh at 1/3 before they fall below rounding.
_ATANH_TERMS = {np.dtype("float32"): 7, np.dtype("float64"): 16}

# The bits of 2/3.
_TWO_THIRDS = 0x3F2AAAAB


def _wide_product(word: Words, factor: np.uint32) -> tuple[Words, Words]:
    """Both halves of a product of words, the upper first, whether or not the caller has 64 bits."""
    with jax.enable_x64(True):
        product = jax.lax.convert_element_type(word, np.uint64) * np.uint64(factor)
        upper = jax.lax.shift_right_logical(product, jnp.full_like(product, 32))
        return jax.lax.convert_element_type(upper, np.uint32), word * factor


class Arithmetic(NamedTuple):
    """Operations for which a backend may have instructions that its compiler does not choose.

    Attributes:
        wide_product: upper and lower half of the product of a word and a constant.
        fused: x y + z.
        reciprocal: 1/x.
        sqrt: of x ≥ 0.
        exp: e^x for x ≤ 0.
    """

    wide_product: Callable[[Words, np.uint32], tuple[Words, Words]] = _wide_product
    fused: Callable[[Numbers, Numbers, Numbers], Numbers] = lambda x, y, z: x * y + z
    reciprocal: Callable[[Numbers], Numbers] = lambda x: 1 / x
    sqrt: Callable[[Numbers], Numbers] = jnp.sqrt
    exp: Callable[[Numbers], Numbers] = jnp.exp


PLAIN = Arithmetic()


def polynomial(ascending: Sequence[Numbers | float], x: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """Σ c_i x^i by Horner's rule."""
    *rest, total = (jnp.asarray(c, x.dtype) for c in ascending)
    for c in reversed(rest):
        total = by.fused(total, x, c)
    return total


def log_of_unit(x: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """Log x for x in (0, 1] that is no subnormal number, relatively exact.

    In float32 two thirds of the library's price, which is made for any x.
    """
    if x.dtype != jnp.float32:
        return jnp.log(x)
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    # x = 2^e m with m in [2/3, 4/3): exponents are multiples of 2^23 in the bits.
    exponent = (bits - np.int32(_TWO_THIRDS)) & np.int32(-(2**23))
    off = jax.lax.bitcast_convert_type(bits - exponent, jnp.float32) - 1
    log_m = by.fused(polynomial(_log_series(), off, by), off * off, off)
    return by.fused(exponent.astype(x.dtype), jnp.float32(np.log(2) * 2.0**-23), log_m)


@lru_cache
def _log_series() -> list[float]:
    """Coefficients of (log(1 + x) - x)/x² for |x| ≤ 1/3, of which x² times 1e-8 is left."""
    # The polynomial of degree 9 through ten Chebyshev points.
    x = np.cos(np.pi * (np.arange(10) + 0.5) / 10) / 3
    values = (np.log1p(x) - x) / x**2
    return [float(c) for c in np.polynomial.polynomial.polyfit(x, values, 9)]


def log_sigmoid(logits: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """log(1/(1 + e^-x)), relatively exact at both ends."""
    return jnp.minimum(logits, 0) - log1p(by.exp(-jnp.abs(logits)), by)


def log1p(x: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """log(1 + x) for 0 ≤ x ≤ 1, relatively exact, at half the price of the library's.

    It is log((1 + s)/(1 - s)) at s = x/(2 + x) ≤ 1/3.
    """
    s = x * by.reciprocal(2 + x)
    series = [2 / (2 * n + 1) for n in range(_ATANH_TERMS[x.dtype] + 1)]
    return s * polynomial(series, s * s, by)
