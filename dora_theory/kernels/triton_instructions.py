"""Single instructions of a GPU for operations of which its compilers make several.

Triton neither fuses products and sums nor joins the halves of a product, and what it approximates
it scales before and after, for the sake of numbers that are not met here.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory.kernels.arithmetic import PLAIN, Arithmetic

_LOG2_E, _LOG_2 = np.float32(1.4426950408889634), 0.6931471805599453


def rounded_quotient(x: Array, y: Array) -> Array:
    """x/y, correctly rounded, of float32."""
    return _instruction("div.rn.f32 $0, $1, $2;", np.float32, "=f,f,f", x, y)


def single_instructions() -> Arithmetic:
    """One instruction for each operation of vectors of float32; scalars are computed as elsewhere.

    Numbers below 2⁻¹²⁶ become 0 in reciprocals, roots and exponentials.
    """
    exp2 = _of_floats("ex2.approx.ftz.f32 $0, $1;", jnp.exp2)
    log2 = _of_floats("lg2.approx.ftz.f32 $0, $1;", jnp.log2)
    return Arithmetic(
        _wide_product,
        _of_floats("fma.rn.f32 $0, $1, $2, $3;", PLAIN.fused),
        _of_floats("rcp.approx.ftz.f32 $0, $1;", PLAIN.reciprocal),
        _of_floats("sqrt.approx.ftz.f32 $0, $1;", PLAIN.sqrt),
        lambda x: exp2(x * _LOG2_E),
        _of_floats("fma.rn.sat.f32 $0, $1, $2, $3;", PLAIN.clipped),
        _plus_down,
        # A compiler would leave out a sum with 0.
        _of_floats("add.rn.f32 $0, $1, 0f00000000;", PLAIN.one_zero),
        lambda x, y: log2(x) * np.float32(y * _LOG_2),
        _of_floats("sin.approx.ftz.f32 $0, $1;", jnp.sin),
        _of_floats("cos.approx.ftz.f32 $0, $1;", jnp.cos),
    )


def as_interpreted() -> Arithmetic:
    """The same where a kernel is interpreted."""
    return PLAIN._replace(
        exp=lambda x: jnp.exp2(x * _LOG2_E),
        log_of_unit=lambda x, y: jnp.log2(x) * np.float32(y * _LOG_2),
        sine=jnp.sin,
        cosine=jnp.cos,
    )


def _instruction(assembly: str, dtype: Any, types: str, *given: Any) -> Array:
    from jax.experimental.pallas import triton

    shape = jnp.broadcast_shapes(*(jnp.shape(x) for x in given))
    (found,) = triton.elementwise_inline_asm(
        assembly,
        args=[jnp.broadcast_to(x, shape) for x in given],
        constraints=types,
        pack=1,
        result_shape_dtypes=[jax.ShapeDtypeStruct(shape, dtype)],
    )
    return found


def _of_floats(assembly: str, plain: Any) -> Any:
    def operation(*given: Any) -> Array:
        if not any(map(jnp.shape, given)):
            return plain(*given)
        types = ",".join(["=f", *"f" * len(given)])
        return _instruction(assembly, np.float32, types, *map(jnp.float32, given))

    return operation


def _plus_down(x: Array, y: float) -> Array:
    bits = int(np.float32(y).view(np.uint32))
    return _instruction(f"add.rm.f32 $0, $1, 0f{bits:08X};", np.float32, "=f,f", x)


def _wide_product(word: Array, factor: np.uint32) -> tuple[Array, Array]:
    if not word.shape:
        return PLAIN.wide_product(word, factor)
    with jax.enable_x64(True):
        # Signed: the backend has no others as results of assembly.
        both = _instruction(f"mul.wide.u32 $0, $1, {factor};", np.int64, "=l,r", word)
        upper = jax.lax.shift_right_logical(both, jnp.full_like(both, 32))
        halves = (jax.lax.convert_element_type(x, np.int32) for x in (upper, both))
        first, second = (jax.lax.bitcast_convert_type(x, np.uint32) for x in halves)
    return first, second
