"""Functions of numbers in a known range, at a lower price than the library's, which takes any.

Kernels and references compute them alike. A backend may have instructions that its compiler does
not choose: then it hands in an `Arithmetic`.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

Words = UInt32[Array, "..."]
Numbers = Float[Array, "..."]

# Degrees in x² of polynomials for atanh(x)/x, |x| ≤ 1/3, that leave less than rounding.
_ATANH_DEGREES = {np.dtype("float32"): 4, np.dtype("float64"): 10}

# The bits of 2/3.
_TWO_THIRDS = 0x3F2AAAAB


def _wide_product(word: Words, factor: np.uint32) -> tuple[Words, Words]:
    """Both halves of a product of words, the upper first, whether or not the caller has 64 bits."""
    with jax.enable_x64(True):
        product = jax.lax.convert_element_type(word, np.uint64) * np.uint64(factor)
        upper = jax.lax.shift_right_logical(product, jnp.full_like(product, 32))
        return jax.lax.convert_element_type(upper, np.uint32), word * factor


def _fused(x: Numbers, y: Numbers | float, z: Numbers | float) -> Numbers:
    return x * y + z


def _clipped(x: Numbers, y: Numbers, z: Numbers) -> Numbers:
    total = x * y + z
    # A NaN is not more than 0.
    return jnp.where(total > 0, jnp.minimum(total, 1), 0)


def _plus_down(x: Numbers, y: float) -> Numbers:
    unit = y * float(jnp.finfo(x.dtype).eps)
    return jnp.floor(x * (1 / unit)) * unit + y


def _log_of_unit(x: Numbers) -> Numbers:
    # In float32 two thirds of the library's price, which is made for any x.
    if x.dtype != jnp.float32:
        return jnp.log(x)
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    # x = 2^e m with m in [2/3, 4/3): exponents are multiples of 2^23 in the bits.
    exponent = (bits - np.int32(_TWO_THIRDS)) & np.int32(-(2**23))
    off = jax.lax.bitcast_convert_type(bits - exponent, jnp.float32) - 1
    log_m = off + off * off * polynomial(_log_series(), off)
    return log_m + exponent.astype(x.dtype) * jnp.float32(np.log(2) * 2.0**-23)


def _sine(x: Numbers) -> Numbers:
    return x * _series(x * x, 1)


def _cosine(x: Numbers) -> Numbers:
    return _series(x * x, 0)


class Arithmetic(NamedTuple):
    """Operations for which a backend may have instructions that its compiler does not choose.

    Attributes:
        wide_product: upper and lower half of the product of a word and a constant.
        fused: x y + z.
        reciprocal: 1/x.
        sqrt: of x ≥ 0.
        exp: e^x for x ≤ 0.
        clipped: x y + z, of which 0 is made below 0 and of NaN, and 1 above 1.
        plus_down: x + y rounded down, for a power of two y and x between 0 and y.
        one_zero: x, of which a negative 0 has become 0.
        log_of_unit: a constant times log x, for x in (0, 1] that is no subnormal number.
        sine: of |x| ≤ π/4.
        cosine: of |x| ≤ π/4.
    """

    wide_product: Callable[[Words, np.uint32], tuple[Words, Words]] = _wide_product
    fused: Callable[[Numbers, Numbers | float, Numbers | float], Numbers] = _fused
    reciprocal: Callable[[Numbers], Numbers] = lambda x: 1 / x
    sqrt: Callable[[Numbers], Numbers] = jnp.sqrt
    exp: Callable[[Numbers], Numbers] = jnp.exp
    clipped: Callable[[Numbers, Numbers, Numbers], Numbers] = _clipped
    plus_down: Callable[[Numbers, float], Numbers] = _plus_down
    one_zero: Callable[[Numbers], Numbers] = lambda x: jnp.where(x == 0, 0, x)
    log_of_unit: Callable[[Numbers, float], Numbers] = lambda x, y: y * _log_of_unit(x)
    sine: Callable[[Numbers], Numbers] = _sine
    cosine: Callable[[Numbers], Numbers] = _cosine


PLAIN = Arithmetic()


def polynomial(ascending: Sequence[Numbers | float], x: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """Σ c_i x^i by Horner's rule."""
    *rest, total = (jnp.asarray(c, x.dtype) for c in ascending)
    for c in reversed(rest):
        total = by.fused(total, x, c)
    return total


@lru_cache
def _log_series() -> list[float]:
    """Coefficients of (log(1 + x) - x)/x² for |x| ≤ 1/3, of which x² times 1e-8 is left."""
    # The polynomial of degree 9 through ten Chebyshev points.
    x = np.cos(np.pi * (np.arange(10) + 0.5) / 10) / 3
    values = (np.log1p(x) - x) / x**2
    return [float(c) for c in np.polynomial.polynomial.polyfit(x, values, 9)]


def _series(square: Numbers, odd: int) -> Numbers:
    """Cosine of x, or sin(x)/x for |x| ≤ π/4 by Taylor's series, from x²; to 1e-13 or 3e-8."""
    terms = 7 if square.dtype == jnp.float64 else 4
    series = [(-1) ** n / math.factorial(2 * n + odd) for n in range(terms + 1)]
    return polynomial(series, square)


def log_sigmoid(logits: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """log(1/(1 + e^-x)), relatively exact at both ends."""
    return jnp.minimum(logits, 0) - log1p(by.exp(-jnp.abs(logits)), by)


def log1p(x: Numbers, by: Arithmetic = PLAIN) -> Numbers:
    """log(1 + x) for 0 ≤ x ≤ 1, relatively exact, at half the price of the library's.

    It is log((1 + s)/(1 - s)) at s = x/(2 + x) ≤ 1/3.
    """
    s = x * by.reciprocal(2 + x)
    return s * polynomial(_atanh_series(_ATANH_DEGREES[x.dtype]), s * s, by)


@lru_cache
def _atanh_series(degree: int) -> list[float]:
    """Coefficients in x² of 2 atanh(x)/x, through as many Chebyshev points of x² in [0, 1/9]."""
    x = np.sqrt((1 + np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))) / 18)
    fit = np.polynomial.Polynomial.fit(x * x, 2 * np.arctanh(x) / x, degree, domain=[0, 1 / 9])
    return [float(c) for c in fit.convert().coef]
