"""Functions as a GPU may compute them: what it rounds otherwise than a CPU, moved by its bound.

A function's jaxpr is evaluated anew. Of each float32 operation that a GPU does not round correctly
the exact value (by float64) is moved by the documented bound, in one direction throughout or in one
that depends on the operands, and then rounded; products that are added become fused; where an
exponential flushes subnormal numbers, so does this. Bounds are those of NVIDIA's documents; where
versions differ, the larger:

* div.full: 2 ulps over the full range (PTX ISA, 9.7.3.8, Floating Point Instructions: div);
  rcp.approx: 1 ulp (9.7.3.13);
* sqrt.approx: relative 2^-23 (9.7.3.15); rsqrt.approx: relative 2^-22.9 (9.7.3.16);
* ex2.approx: 2 ulps from the rounded result (9.7.3.21);
* lg2.approx: absolute 2^-22 on (0.5, 2), relative 2^-22 elsewhere (9.7.3.20);
* sin.approx and cos.approx: absolute 2^-20.5 (9.7.3.18 and 9.7.3.19);
* expf, logf, log1pf, expm1f, tanhf, made of such instructions: CUDA C++ Programming Guide, appendix
  "Mathematical Functions", table "Single-Precision Mathematical Standard Library Functions with
  Maximum ULP Error". Of these the document says that they come from extensive tests and are not
  guaranteed.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax import lax

# Units in the last place, at most twice as much as a share of the value; or what gives them, of the
# operand.
ULPS: dict[str, Any] = {
    "div": 2, "sqrt": 1, "rsqrt": 2, "exp": 2, "exp2": 2, "log": 1, "log1p": 1, "expm1": 1,
    "logistic": 4, "tanh": 2,
}  # fmt: skip
_EPS, _TINY = 2.0**-23, 2.0**-126


def absolute(error: float, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Bounds in units for `ULPS` of a function's value, from one that is absolute."""
    return lambda x: error / _EPS / jnp.maximum(jnp.abs(function(x)), 1e-30)


# What instructions are asked for by name, where the library's functions are more accurate.
APPROXIMATE = {
    "log": lambda x: jnp.maximum(2, absolute(2.0**-22 * jnp.log(2.0), jnp.log)(x)),
    "sin": absolute(2.0**-20.5, jnp.sin),
    "cos": absolute(2.0**-20.5, jnp.cos),
}
_CALLS = "jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"
# A name for a function that is rounded correctly on the device too.
EXACT = "rounded_quotient"


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(*arguments)` as `made(direction, *arguments)`: 1, -1, or 0 for either."""

    def made(direction: Any, *arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        with jax.enable_x64(True):
            flat = _run(closed.jaxpr, closed.consts, jax.tree.leaves(arguments), direction)
        return jax.tree.unflatten(jax.tree.structure(shape), flat)

    return made


def _moved(exact: Any, operands: list[Any], ulps: Any, direction: Any) -> Any:
    """A float64 value, moved by the bound and rounded to float32."""
    # So that equal quotients of different numbers may differ.
    bits = jnp.uint32(0)
    for x in operands:
        bits = (bits + lax.bitcast_convert_type(x, jnp.uint32)) * jnp.uint32(2654435761)
    sign = jnp.where(direction == 0, jnp.where(bits >> 31, 1, -1), direction)
    return (exact * (1 + sign * (ulps * _EPS))).astype(jnp.float32)


def _run(jaxpr: Any, consts: Any, arguments: Any, direction: Any) -> list[Any]:
    values: dict[Any, Any] = {}
    products: dict[Any, tuple[Any, Any]] = {}

    def read(x: Any) -> Any:
        return x.val if isinstance(x, jex.Literal) else values[x]

    def inner(closed: Any) -> Callable[..., list[Any]]:
        body, held = getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())
        return lambda *given: _run(body, held, given, direction)

    values |= zip(jaxpr.constvars, consts, strict=True)
    values |= zip(jaxpr.invars, arguments, strict=True)
    for equation in jaxpr.eqns:
        name, how = equation.primitive.name, equation.params
        given = [read(x) for x in equation.invars]
        single = all(getattr(x.aval, "dtype", None) == jnp.float32 for x in equation.outvars)
        wide = [jnp.asarray(x, jnp.float64) for x in given] if single else []
        if name in _CALLS and how.get("name") != EXACT:
            found = inner(how.get("jaxpr") or how.get("call_jaxpr") or how["fun_jaxpr"])(*given)
        elif name == "while":
            found = _while(how, inner, given)
        elif name == "cond":
            found = lax.switch(given[0], [inner(b) for b in how["branches"]], *given[1:])
        elif name == "scan":
            found = _scan(equation, inner, given)
        elif single and name in ULPS:
            exact = wide[0] / wide[1] if name == "div" else equation.primitive.bind(*wide, **how)
            ulps = ULPS[name]
            bound = ulps(wide[0]) if callable(ulps) else ulps
            result = _moved(exact, given, bound, direction)
            if name in ("exp", "exp2"):
                result = jnp.where(jnp.abs(result) < _TINY, 0, result)
            found = [result]
        elif single and name == "dot_general":
            found = [_product(equation.primitive, wide, how, direction)]
        elif single and name in ("add", "sub") and any(x in products for x in _names(equation)):
            found = [_fused(name, equation, wide, products)]
        else:
            found = equation.primitive.bind(*given, **how)
            found = found if equation.primitive.multiple_results else [found]
            if single and name == "mul":
                products[equation.outvars[0]] = wide[0], wide[1]
        values |= zip(equation.outvars, found, strict=True)
    return [read(x) for x in jaxpr.outvars]


def _names(equation: Any) -> list[Any]:
    return [x for x in equation.invars if not isinstance(x, jex.Literal)]


def _fused(name: str, equation: Any, wide: list[Any], products: Any) -> Any:
    """A product that is added before it is rounded."""
    terms = []
    for x, value in zip(equation.invars, wide, strict=True):
        known = not terms and not isinstance(x, jex.Literal) and x in products
        terms.append(products[x][0] * products[x][1] if known else value)
    total = terms[0] + terms[1] if name == "add" else terms[0] - terms[1]
    return total.astype(jnp.float32)


def _product(primitive: Any, wide: list[Any], how: Any, direction: Any) -> Any:
    """Sums of d products that may each be cut off: d units of the sum of absolute values."""
    how = how | {"preferred_element_type": jnp.dtype(jnp.float64), "precision": None}
    (axes, _), _ = how["dimension_numbers"]
    terms = 1
    for axis in axes:
        terms *= wide[0].shape[axis]
    exact = primitive.bind(*wide, **how)
    most = primitive.bind(*map(jnp.abs, wide), **how) * (terms * _EPS)
    sign = jnp.where(direction == 0, jnp.where(exact * 2**20 % 2 < 1, 1, -1), direction)
    return (exact + sign * most).astype(jnp.float32)


def _while(how: Any, inner: Any, given: list[Any]) -> list[Any]:
    first, second = how["cond_nconsts"], how["cond_nconsts"] + how["body_nconsts"]
    ahead, held, start = given[:first], given[first:second], given[second:]
    goes_on, body = inner(how["cond_jaxpr"]), inner(how["body_jaxpr"])
    return lax.while_loop(
        lambda state: goes_on(*ahead, *state)[0], lambda state: body(*held, *state), list(start)
    )


def _scan(equation: Any, inner: Any, given: list[Any]) -> list[Any]:
    how = equation.params
    within = getattr(how["jaxpr"], "jaxpr", how["jaxpr"])
    # Versions of JAX do not agree on how to say what is carried: it has no axis to scan along.
    same = [
        x.aval.ndim == y.aval.ndim for x, y in zip(equation.outvars, within.outvars, strict=True)
    ]
    along = [
        x.aval.ndim != y.aval.ndim for x, y in zip(equation.invars, within.invars, strict=True)
    ]
    carried = sum(same)
    fixed = len(given) - sum(along) - carried
    held, start, over = given[:fixed], given[fixed : fixed + carried], given[fixed + carried :]
    body = inner(how["jaxpr"])

    def step(carry: Any, x: Any) -> Any:
        found = body(*held, *carry, *x)
        return found[:carried], found[carried:]

    end, each = lax.scan(step, list(start), list(over), length=how["length"])
    return [*end, *each]
