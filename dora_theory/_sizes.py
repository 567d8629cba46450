"""Sizes rounded up to a few, so that eager calls of ragged sizes share compiled programs."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast, get_args

import jax
import numpy as np

from dora_theory._arrays import array_of, is_array, is_foreign, is_host, near

F = TypeVar("F", bound=Callable[..., Any])
Axes = tuple[str, ...]

# Of more candidates than this in all, sizes that are round need no mask: its program takes longer.
_FEW = 1 << 14


def round_up(size: int, least: int = 8) -> int:
    """The next power of two, or above 1024 the next multiple of 1024: little is padding then."""
    return max(least, 1 << (size - 1).bit_length()) if size <= 1024 else -(-size // 1024) * 1024


def rounded(function: F) -> F:
    """Has eager calls run with k, and the first axis of a batch, rounded up: see `round_up`.

    Annotations say which axes an argument has. Candidates are filled up with padding, problems
    with copies of the last one, and the result is cut to size, all on the host: none of this
    compiles anything. Passed on as they are: calls with arrays that are traced or that `near` does
    not read, calls whose shapes do not fit, and priors that are objects.

    Args:
        function: of arrays and a `mask`, which returns one array.
    """
    signature = inspect.signature(function)
    positional = [n for n, p in signature.parameters.items() if p.kind is not p.KEYWORD_ONLY]
    known = {n: _axes(p.annotation) for n, p in signature.parameters.items()}
    axes = {name: of for name, of in known.items() if of is not None}
    own = cast(Axes, _axes(signature.return_annotation))
    first = next(name for name, of in axes.items() if "k" in of)

    @wraps(function)
    def either(*arguments: Any, **options: Any) -> Any:
        named = positional[: len(arguments)]
        given = dict(zip(named, arguments, strict=False)) | options
        sizes = None if _is_round(given.get(first), axes[first]) else _sizes(given, axes)
        # A call of too many arguments is for the function itself to refuse.
        if sizes is None or len(given) < len(arguments) + len(options):
            return function(*arguments, **options)
        found = function(**_padded(given, sizes))
        # Not a slice of JAX's, which is a program for each size.
        place = [slice(sizes.rows), *(slice(None),) * (sizes.rank - 1)][: sizes.rank]
        place += [slice(sizes.k if axis == "k" else None) for axis in own]
        # Under a trace, constants give a tracer too.
        if isinstance(found, jax.core.Tracer):
            return found[tuple(place)]
        return jax.device_put(np.asarray(found)[tuple(place)])

    return cast(F, either)


class _Sizes(NamedTuple):
    """The sizes of a call: axes of each array, its shape, those of the batch, problems, and k."""

    axes: dict[str, Axes]
    shapes: dict[str, tuple[int, ...]]
    rank: int
    rows: int
    k: int


def _axes(annotation: Any) -> Axes | None:
    """The axes that an annotation names after those of the batch; None if it is of no array."""
    named = getattr(annotation, "dim_str", None)
    if named is None:
        found = map(_axes, get_args(annotation))
        return next((axes for axes in found if axes is not None), None)
    return tuple(axis for axis in named.split() if not axis.startswith("*"))


def _is_round(x: Any, axes: Axes) -> bool:
    """Whether an array is large and of round sizes, as the usual large batch is."""
    shape: tuple[int, ...] = x.shape if is_array(x) else ()
    if len(shape) <= len(axes):
        return False
    k, rows = shape[-len(axes)], shape[0]
    return k * rows > _FEW and (round_up(k), round_up(rows, 1)) == (k, rows)


def _sizes(given: Mapping[str, Any], known: Mapping[str, Axes]) -> _Sizes | None:
    """What a call's sizes are; None if they are round, or not for us to round."""
    arrays = {name: near(x) for name, x in given.items() if name in known and x is not None}
    if not all(map(_is_on_host, arrays.values())):
        return None
    try:
        shapes = {name: np.shape(x) for name, x in arrays.items()}
    # What is no array is for the function to refuse, and a list of tensors for it to read.
    except (RuntimeError, TypeError, ValueError):
        return None
    first = next((name for name in shapes if "k" in known[name]), None)
    if first is None or any(0 in shape for shape in shapes.values()):
        return None
    axes = {name: _own(known[name], shapes[name], shapes[first]) for name in shapes}
    # A number for each candidate where one for each problem is due is for the function to refuse.
    if any(not known[n] and _own(("...",), s, shapes[first]) for n, s in shapes.items()):
        return None
    if any(len(shape) < len(axes[name]) for name, shape in shapes.items()):
        return None
    own = {name: shape[len(shape) - len(axes[name]) :] for name, shape in shapes.items()}
    wide = {n for name in own for axis, n in zip(axes[name], own[name], strict=True) if axis == "k"}
    try:
        batch = np.broadcast_shapes(*(s[: len(s) - len(own[n])] for n, s in shapes.items()))
    except ValueError:
        return None
    k, *others = wide
    rows = batch[0] if batch else 1
    round_already = (round_up(k), round_up(rows, 1)) == (k, rows)
    if others or (round_already and (given.get("mask") is not None or k * rows > _FEW)):
        return None
    sizes = _Sizes(axes, shapes, len(batch), rows, k)
    # Rounded up, a number for each problem might look like one for each candidate.
    to = {name: _rounded_shape(sizes, name) for name in shapes}
    same = all(axes[name] == _own(known[name], to[name], to[first]) for name in shapes)
    return sizes if same else None


def _is_on_host(x: Any) -> bool:
    if isinstance(x, int | float | list | tuple | np.ndarray | np.generic):
        return True
    return is_foreign(x) and is_host(x)


def _own(axes: Axes, shape: tuple[int, ...], first: tuple[int, ...]) -> Axes:
    """The axes of an argument, where they are "..." as `_checks.Argument` tells `"?k"`."""
    if axes != ("...",):
        return axes
    return ("k",) if shape and shape[-1] == first[-1] and len(shape) >= len(first) else ()


def _rounded_shape(sizes: _Sizes, name: str) -> tuple[int, ...]:
    shape, own = sizes.shapes[name], sizes.axes[name]
    head = list(shape[: len(shape) - len(own)])
    if head and len(head) == sizes.rank and head[0] == sizes.rows:
        head[0] = round_up(sizes.rows, 1)
    tail = zip(own, shape[len(head) :], strict=True)
    return *head, *(round_up(n) if axis == "k" else n for axis, n in tail)


def _padded(given: Mapping[str, Any], sizes: _Sizes) -> dict[str, Any]:
    """The arguments in round sizes, each of the kind that it is."""
    padded = dict(given)
    for name, shape in sizes.shapes.items():
        to = _rounded_shape(sizes, name)
        if to == shape:
            continue
        x = array_of(near(given[name]))
        more = [(0, n - m) for n, m in zip(to, shape, strict=True)]
        own = len(shape) - len(sizes.axes[name])
        # Rollouts of padding are an error, of zeros there are none.
        filled = np.pad(x, [*[(0, 0)] * own, *more[own:]])
        filled = np.pad(filled, [*more[:own], *[(0, 0)] * (len(shape) - own)], mode="edge")
        padded[name] = jax.device_put(filled) if isinstance(given[name], jax.Array) else filled
    if round_up(sizes.k) != sizes.k or given.get("mask") is None:
        there = np.arange(round_up(sizes.k)) < sizes.k
        mask = padded.get("mask")
        known = there if mask is None else array_of(near(mask))
        # Not `known & there`, which would take what are no booleans.
        hidden = np.where(there, known, known.dtype.type(0))
        padded["mask"] = jax.device_put(hidden) if isinstance(mask, jax.Array) else hidden
    return padded
