"""Checks of arguments: shapes always and exactly, values where they are host values.

Lists, numbers and NumPy arrays are looked at: a bad value raises `ValueError`, which names the
argument, the place and the value. A `jax.Array` is not: it may be traced, or still be computed, and
a look would wait for it. What a bad value then gives is said by `dora_theory._domains`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool
from numpy.typing import ArrayLike

from dora_theory._arrays import array_of, host_array, is_array, is_host
from dora_theory._domains import COUNT, FINITE, Domain, Labels, at, budget_domain
from dora_theory._errors import amount, short

_AXES = {"k": "candidates", "g": "directions", "d": "dimensions"}


def host_float(name: str, x: ArrayLike | Array) -> Any:
    """`x` in the working float dtype, a NumPy array unless it is a `jax.Array`; else `ValueError`.

    float32 stays what it is, and so does float64 if JAX's x64 is on; if it is off, float64 is
    rounded to float32, as by `jax.numpy`. float16, bfloat16, integers and Python numbers take JAX's
    default float.
    """
    try:
        array = array_of(x)
    except ValueError as error:
        raise ValueError(f"{name}: not a rectangular array ({error})") from None
    kind = array.dtype
    # Most are; JAX takes twenty times as long to say the same, but knows dtypes without a kind.
    if kind == np.float32:
        return array
    if getattr(kind, "kind", "-") not in "fiu" and not (
        jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)
    ):
        raise ValueError(f"{name}: needs real numbers, got dtype {kind}")
    wanted = jax.dtypes.canonicalize_dtype(np.float64)
    return array if kind == wanted else _cast(array, wanted)


def _cast(array: Any, dtype: np.dtype) -> Any:
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(dtype)


def host_count(name: str, x: ArrayLike | Array) -> Any:
    """`x` as int32, a NumPy array unless it is a `jax.Array`; else `ValueError`.

    Floats are taken if every value is an integer: 16.0 is a budget, 16.5 is not. In a `jax.Array`,
    what is not a count becomes a negative number.
    """
    array = array_of(x)
    whole = getattr(array.dtype, "kind", "-") in "iu" or jnp.issubdtype(array.dtype, jnp.integer)
    if not whole and not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name}: needs integers, got dtype {array.dtype}")
    if isinstance(array, jax.Array):
        return array if array.dtype == jnp.int32 else _counts(array)
    if not whole:
        with np.errstate(invalid="ignore"):
            bad = ~(np.isfinite(array) & (array == np.floor(array)))
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{at(name, place)} = {array[place]}: needs an integer")
    COUNT.check(name, array)
    return array.astype(np.int32)


@jax.jit
def _counts(x: Array) -> Array:
    count = COUNT.holds(x)
    if jnp.issubdtype(x.dtype, jnp.floating):
        # 2^31 - 1 is no float32, and rounds to what is too large.
        count &= (x == jnp.floor(x)) & (x < 2.0**31)
    return jnp.where(count, x, -1).astype(jnp.int32)


def host_labels(name: str, x: ArrayLike | Array) -> Any:
    """`x` as integers, a NumPy array unless it is a `jax.Array`; else `ValueError`."""
    array = array_of(x)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"{name}: needs integers, got dtype {array.dtype}")
    # JAX 0.10.2 remembers in which dtype it took an array, also when x64 has been turned off since.
    wanted = jax.dtypes.canonicalize_dtype(array.dtype)
    if array.dtype != wanted and is_host(array):
        cast = array.astype(wanted)
        # Others are named as they are in an error, unless they are padding.
        return cast if (cast == array).all() else array
    return array


def host_mask(mask: ArrayLike | Array, name: str = "mask") -> Any:
    """`mask` as booleans, a NumPy array unless it is a `jax.Array`; else `ValueError`."""
    array = array_of(mask)
    if array.dtype != np.bool_:
        raise ValueError(f"{name}: needs booleans, got dtype {array.dtype}")
    return array


def as_mask(
    mask: ArrayLike | Array | None, shape: tuple[int, ...], name: str = "mask"
) -> Bool[Array, "..."]:
    """`mask` broadcast to `shape`, but for its last axis; all true if None; else `ValueError`."""
    if mask is None:
        return jnp.ones(shape, dtype=bool)
    array = host_mask(mask, name)
    try:
        if array.shape[-1:] != shape[-1:]:
            raise ValueError
        # NumPy's own broadcasting needs no program to be compiled.
        of = jnp if isinstance(array, jax.Array) else np
        return jnp.asarray(of.broadcast_to(array, shape))
    except ValueError:
        raise ValueError(f"{name}: shape {array.shape} does not fit {shape}") from None


def fit(
    **arguments: tuple[tuple[int, ...], str],
) -> tuple[tuple[int, ...], dict[str, int]]:
    """The batch shape of arguments, whose own axes must match exactly and never broadcast.

    Args:
        **arguments: the shape of each, and the names of its last axes: `"k"` for candidates, `"g"`
            for directions, `"k d"` for embeddings, `"k k"` for similarity, `""` for one number a
            problem.

    Returns:
        What the axes before those broadcast to, and the size of each of those.

    Raises:
        ValueError: no candidate, axes of one name that differ, batches that do not broadcast.
    """
    sizes: dict[str, tuple[str, int]] = {}
    batches = []
    for name, (shape, axes) in arguments.items():
        own = axes.split()
        start = len(shape) - len(own)
        if start < 0 or 0 in shape[start:] or (axes == "k k" and shape[-1] != shape[-2]):
            wants = {"k d": "a vector for each candidate", "k k": "a square matrix"}
            one = f"at least one {_AXES[own[-1]].removesuffix('s')}"
            raise ValueError(f"{name}: needs {wants.get(axes, one)}, got shape {shape}")
        for axis, size in zip(own, shape[start:], strict=True):
            first, expected = sizes.setdefault(axis, (name, size))
            if size != expected:
                found = amount(size, _AXES[axis].removesuffix("s"))
                shapes = f"shapes {shape} and {arguments[first][0]}"
                raise ValueError(f"{name}: {found}, where {first} has {expected} ({shapes})")
        batches.append(shape[:start])
    try:
        of_many = {batch for batch in batches if batch}
        batch = np.broadcast_shapes(*of_many) if len(of_many) > 1 else next(iter(of_many), ())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, (shape, _) in arguments.items())
        raise ValueError(f"shapes do not fit: {listed}") from None
    return batch, {axis: size for axis, (_, size) in sizes.items()}


class Argument(NamedTuple):
    """An argument, its own axes (see `fit`), its domain, maybe as a function of the dtype.

    Axes `"?k"` are none, one number per problem, or `"k"`, one per candidate: the latter iff the
    last axis has the size of that of the first argument of candidates, and there are at least as
    many axes. Either way `checked` returns it with a last axis, of size 1 or k.
    """

    value: Any
    axes: str = "k"
    domain: Domain | Callable[[np.dtype], Domain] | None = FINITE


def checked(
    mask: Any = None, *, promote: Any = False, whole: Any = True, **arguments: Argument
) -> tuple[Any, ...]:
    """The arguments of one call as JAX arrays, and the mask of the batch; see `checked_host`.

    The mask has the batch shape and an axis of candidates (of directions where there are none). If
    not `whole`, no mask stays None, which costs a program nothing, and `jit` reads what is NumPy's.
    """
    *found, there, shape = checked_host(mask, promote=promote, **arguments)
    if there is None and not whole:
        return *found, None
    return *map(jnp.asarray, found), as_mask(there, shape)


def checked_host(
    mask: Any = None, *, promote: Any = False, **arguments: Argument
) -> tuple[Any, ...]:
    """The arguments of one call: read, shapes fitted, host values checked.

    Args:
        mask: booleans of axes `"k"`, false for padding, which is not looked at; None for all.
        promote: whether floats take the widest of their dtypes, and not that of the first.
        **arguments: `Argument`s.

    Returns:
        The arguments, NumPy arrays unless they are JAX's, of the shapes that they have, of int32 if
        their domain is `COUNT`, of integers if it is `Labels`, else of one float dtype. Then the
        mask as it is given, and the shape that it is to have.

    Raises:
        ValueError: which names the argument.
    """
    host = {name: _read(name, x, domain) for name, (x, _, domain) in arguments.items()}
    axes = {name: _axes(name, arguments, host) for name in host}
    there = None if mask is None else host_mask(mask)
    shapes = {name: (x.shape, axes[name]) for name, x in host.items()}
    if there is not None:
        shapes["mask"] = (there.shape, "k")
    batch, sizes = fit(**shapes)
    _settle(host, axes, there, promote, arguments)
    for name, given in arguments.items():
        if given.axes == "?k" and axes[name] != "k":
            host[name] = host[name][..., None]
    last = sizes.get("k") or sizes.get("g") or 1
    return *host.values(), there, (*batch, last)


def checked_single(
    mask: Any = None, *, promote: Any = False, **arguments: Argument
) -> tuple[Any, ...]:
    """Arguments and mask as by `checked_host`, of one problem whose shapes are known to fit."""
    host = {name: _read(name, x, domain) for name, (x, _, domain) in arguments.items()}
    axes = {name: given.axes for name, given in arguments.items()}
    there = None if mask is None else host_mask(mask)
    _settle(host, axes, there, promote, arguments)
    return *host.values(), there


def _settle(
    host: dict[str, Any],
    axes: Mapping[str, str],
    mask: Any,
    promote: Any,
    arguments: Mapping[str, Argument],
) -> None:
    """Has floats take one dtype, and looks at the values of all that is on the host."""
    # They are float32 or float64: `jnp.result_type` would say the same, and take long.
    floats = [x.dtype for x in host.values() if x.dtype.kind == "f"] or [jnp.result_type(float)]
    dtype = max(floats, key=lambda found: found.itemsize) if promote else floats[0]
    for name, (_, _, domain) in arguments.items():
        x = host[name]
        if x.dtype != dtype and x.dtype.kind == "f":
            host[name] = x = _cast(x, dtype)
        # Counts are looked at as they are read.
        if domain is not None and domain is not COUNT and is_host(x):
            ours = domain if isinstance(domain, Domain) else domain(dtype)
            ours.check(name, x, mask_of(mask, axes[name]))


def _axes(name: str, arguments: Mapping[str, Argument], host: Mapping[str, Any]) -> str:
    """The axes that an argument has, see `Argument`."""
    if arguments[name].axes != "?k":
        return arguments[name].axes
    shape = host[name].shape
    first = next(host[other].shape for other, given in arguments.items() if given.axes == "k")
    own = shape and first and shape[-1] == first[-1] and len(shape) >= len(first)
    return "k" if own else ""


def _read(name: str, x: Any, domain: Any) -> Any:
    if domain is COUNT:
        return host_count(name, x)
    return host_labels(name, x) if isinstance(domain, Labels) else host_float(name, x)


def mask_of(mask: Any, axes: str) -> Any:
    """The mask of candidates for an argument of these axes; None where it has none of them."""
    if mask is None or axes[:1] != "k":
        return None
    if axes == "k d":
        return mask[..., None]
    return mask[..., :, None] & mask[..., None, :] if axes == "k k" else mask


def check_vectors(name: str, x: Any, dtype: np.dtype, mask: Any = None) -> None:
    """`ValueError` for host vectors `(..., k, d)` that are zero, as XLA takes subnormal numbers."""
    if is_host(x) and is_host(mask):
        values = array_of(x)
        largest = np.maximum(values.max(-1), -values.min(-1))
        zero = ~(largest >= float(jnp.finfo(dtype).tiny))
        if mask is not None:
            zero = zero & array_of(mask)
        if zero.any():
            place = at(name, tuple(map(int, np.argwhere(zero)[0])))
            raise ValueError(f"{place} is zero or subnormal, which has no direction")


def labeled(labels: Any, mask: Any, g: int) -> Any:
    """Which directions have a candidate, `(..., g)`, of NumPy's arrays or JAX's."""
    has = labels[..., None] == np.arange(g)
    return (has if mask is None else has & mask[..., None]).any(-2)


def check_spendable(budget: Any, mask: Any) -> None:
    """`ValueError` if a problem whose candidates are all padding has something to spend."""
    if mask is not None and is_host(budget) and is_host(mask):
        has, wanted = array_of(mask).any(-1), array_of(budget) > 0
        if not np.all(has | ~wanted):
            raise ValueError("mask: a problem without candidates cannot spend a budget")


def check_budget(budget: Any, mask: Any, dtype: np.dtype) -> None:
    """`ValueError` for a budget beyond the range of the dtype, or that nobody can take."""
    budget_domain(dtype).check("budget", array_of(budget))
    check_spendable(budget, mask)


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
    """`ValueError` unless all of `x` where `mask` is true is finite and in [low, high].

    Unlike `Domain.check` this looks at arrays on a device too, and waits for them.
    """
    if is_concrete(x) and is_concrete(mask):
        mask = None if mask is None else host_array(mask)
        Domain(low, high, low_open, high_open).check(name, host_array(x), mask)


def is_concrete(x: Any) -> bool:
    """Whether the values of `x` are known, that is, `x` is not being traced."""
    return not isinstance(x, jax.core.Tracer)


def common_shape(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to; `ValueError`, which names them, if there is none."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes do not fit: {listed}") from None


def check_whole(name: str, x: Any, low: int = 0, high: int = 2**31 - 1) -> int:
    """`x` as an int; `ValueError` unless it is one integer in [low, high].

    16.0 is an integer, as is NumPy's; True is not a number.
    """
    number = x.item() if isinstance(x, np.generic) or (is_array(x) and not x.ndim) else x
    whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    if not whole or isinstance(number, bool) or not low <= number <= high:
        raise ValueError(f"{name} = {named(x)}: needs an integer in [{low}, {high}]")
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


def named(x: Any) -> str:
    """A value as a message of one line can bear it."""
    return short(" ".join(repr(x).split()))
