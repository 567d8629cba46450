"""Checks of arguments: shapes before tracing, values wherever they are known.

Under `jit`, `vmap` or `grad` the values of an argument are not known; the checks of values then
pass, and only those of shapes remain. Outside of them a bad value raises `ValueError`, which names
the argument, the place and the value.
"""

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from dora_theory._errors import short

T = TypeVar("T")


def is_concrete(x: Any) -> bool:
    """Whether the values of `x` are known, that is, `x` is not being traced."""
    return not isinstance(x, jax.core.Tracer)


def as_float(name: str, x: ArrayLike | Array) -> Float[Array, "..."]:
    """`x` as a JAX array of the working float dtype; `ValueError` if it is not of real numbers.

    float32 stays what it is, and so does float64 if JAX's x64 is on; if it is off, float64 is
    rounded to float32, as by `jax.numpy`. float16, bfloat16, integers and Python numbers take JAX's
    default float.
    """
    try:
        array = x if isinstance(x, jax.Array) else np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name}: not a rectangular array ({error})") from None
    kind = array.dtype
    if not (jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)):
        raise ValueError(f"{name}: needs real numbers, got dtype {kind}")
    if kind in (np.dtype("float32"), np.dtype("float64")):
        return jnp.asarray(array)
    return jnp.asarray(array, dtype=jnp.result_type(float))


def as_mask(
    mask: ArrayLike | Array | None, shape: tuple[int, ...], name: str = "mask"
) -> Bool[Array, "..."]:
    """`mask` broadcast to `shape` (all true if None); `ValueError` if it cannot be."""
    if mask is None:
        return jnp.ones(shape, dtype=bool)
    array = mask if isinstance(mask, jax.Array) else np.asarray(mask)
    if array.dtype != np.bool_:
        raise ValueError(f"{name}: needs booleans, got dtype {array.dtype}")
    try:
        # NumPy's own broadcasting needs no program to be compiled.
        of = jnp if isinstance(array, jax.Array) else np
        return jnp.asarray(of.broadcast_to(array, shape))
    except ValueError:
        raise ValueError(f"{name}: shape {array.shape} does not fit {shape}") from None


@partial(jax.jit, static_argnames="fill")
def filled(x: Array, mask: Array, fill: float = 0) -> Array:
    """`x` broadcast to the shape of `mask`, with `fill` for padding."""
    return jnp.where(mask, x, jnp.asarray(fill, x.dtype))


def common_shape(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to; `ValueError`, which names them, if there is none."""
    try:
        return jnp.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes do not fit: {listed}") from None


def check_candidates(name: str, x: Any) -> None:
    """`ValueError` unless `x` has a last axis of candidates with at least one entry."""
    if np.ndim(x) == 0 or np.shape(x)[-1] == 0:
        raise ValueError(f"{name}: needs at least one candidate, got shape {np.shape(x)}")


def check_range(
    name: str,
    x: ArrayLike | Array,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
    mask: ArrayLike | Array | None = None,
) -> None:
    """`ValueError` unless every (unmasked) value of `x` is finite and in [low, high].

    `x` and `mask` are broadcast against each other. An end that is open does not belong to it.
    The message gives the first offending place and its value. Passes silently for a traced `x`.
    """
    if not (is_concrete(x) and is_concrete(mask)):
        return
    values = np.asarray(x)
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(values) | (values > high) | (values < low)
        if low_open:
            bad |= values == low
        if high_open:
            bad |= values == high
    if mask is not None:
        bad = bad & np.asarray(mask)
        values = np.broadcast_to(values, bad.shape)
    if not bad.any():
        return
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f"{name}[{', '.join(map(str, place))}]" if place else name
    wants = "a finite number"
    if low > -np.inf or high < np.inf:
        left = "(" if low_open or low == -np.inf else "["
        right = ")" if high_open or high == np.inf else "]"
        wants += f" in {left}{low:g}, {high:g}{right}"
    raise ValueError(f"{where} = {values[place]}: needs {wants}")


def as_count(name: str, x: ArrayLike | Array) -> Any:
    """`x` as an integer JAX array of non-negative counts; `ValueError` if it is not.

    Floats are taken if every value is whole, so that 16.0 is a budget and 16.5 is not.
    """
    array = x if isinstance(x, jax.Array) else np.asarray(x)
    if jnp.issubdtype(array.dtype, jnp.integer):
        whole = array
    elif jnp.issubdtype(array.dtype, jnp.floating) and is_concrete(array):
        values = np.asarray(array)
        if not np.all(np.isfinite(values)) or np.any(values != np.floor(values)):
            place = np.argwhere(~np.isfinite(values) | (values != np.floor(values)))[0]
            raise ValueError(f"{name} = {values[tuple(place)]}: needs a whole number")
        whole = values.astype(np.int64)
    else:
        raise ValueError(f"{name}: needs whole numbers, got dtype {array.dtype}")
    if is_concrete(whole):
        check_range(name, np.asarray(whole), 0, np.iinfo(np.int32).max)
    return jnp.asarray(whole, dtype=jnp.int32)


def check_spendable(budget: Array, mask: Array) -> None:
    """`ValueError` if a problem whose candidates are all padding has something to spend."""
    if is_concrete(budget) and is_concrete(mask):
        has, wanted = np.asarray(mask).any(-1), np.asarray(budget) > 0
        if not np.all(has | ~wanted):
            raise ValueError("mask: a problem without candidates cannot spend a budget")


def check_whole(name: str, x: Any, low: int = 0, high: int = 2**31 - 1) -> int:
    """`x` as an int; `ValueError` unless it is one whole number in [low, high].

    16.0 is whole, as is NumPy's; True is not a number.
    """
    number = x.item() if isinstance(x, np.generic) or (is_array(x) and not x.ndim) else x
    whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    if not whole or isinstance(number, bool) or not low <= number <= high:
        raise ValueError(f"{name} = {named(x)}: needs a whole number in [{low}, {high}]")
    return int(number)


def check_number(
    name: str,
    x: Any,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """`ValueError` unless `x` is one real number, finite and in the range as for `check_range`.

    Of a traced `x` only the shape is known. True is not a number.
    """
    one = isinstance(x, int | float | np.generic) or is_array(x)
    # A Python number beyond NumPy's becomes an object.
    kind = jnp.result_type(x) if is_array(x) else np.asarray(x).dtype if one else np.dtype(object)
    if (
        not (jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer))
        or np.ndim(x) > 0
    ):
        raise ValueError(f"{name} = {named(x)}: needs a number")
    check_range(name, x, low, high, low_open=low_open, high_open=high_open)


def check_type(name: str, x: Any, kind: type) -> None:
    """`TypeError` unless `x` is of a type."""
    if not isinstance(x, kind):
        raise TypeError(f"{name} = {named(x)}: needs a {kind.__name__}")


def check_key(name: str, x: Any) -> None:
    """`TypeError` unless `x` is one random key of JAX, of the new kind or of the old."""
    if is_array(x):
        new = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        if (new and x.ndim == 0) or (not new and x.dtype == np.uint32 and x.ndim == 1):
            return
    raise TypeError(f"{name} = {named(x)}: needs one JAX random key, such as jax.random.key(0)")


def is_array(x: Any) -> bool:
    """Whether `x` is an array of NumPy or JAX, traced or not."""
    return isinstance(x, np.ndarray | jax.Array)


def named(x: Any) -> str:
    """A value as a message of one line can bear it."""
    return short(" ".join(repr(x).split()))


def checked_pytree(cls: type[T], *, static: tuple[str, ...] = ()) -> type[T]:
    """Registers a dataclass as a pytree whose constructor alone checks values.

    What JAX puts into the leaves while it transforms (tracers, axes, placeholders) does not go
    through the constructor. Fields that are named `static` are no leaves.
    """
    leaves = [f.name for f in dataclasses.fields(cast(Any, cls)) if f.name not in static]

    def flatten(x: T) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        children = [(jax.tree_util.GetAttrKey(name), getattr(x, name)) for name in leaves]
        return children, tuple(getattr(x, name) for name in static)

    def unflatten(fixed: tuple[Any, ...], children: Iterable[Any]) -> T:
        made = object.__new__(cls)
        for name, value in zip([*leaves, *static], [*children, *fixed], strict=True):
            object.__setattr__(made, name, value)
        return made

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls
