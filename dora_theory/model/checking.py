"""The named error for those who want it, of arrays that functions do not look at."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify
from jaxtyping import Array, Bool

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import (
    Argument,
    check_spendable,
    check_vectors,
    checked,
    labeled,
    mask_of,
)
from dora_theory._domains import (
    COUNT,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Domain,
    Labels,
    cannot_spend,
    offset_domain,
)

_PARTS: dict[str, tuple[str, Domain | Callable[[np.dtype], Domain]]] = {
    "scores": ("k", FINITE),
    "weights": ("k", SHARE),
    "embeddings": ("k d", FINITE),
    "similarity": ("k k", FINITE),
    "directions": ("k", Labels(0)),
    "quality": ("g", SHARE),
    "direction_weights": ("g", SHARE),
    "alpha": ("k", NOT_NEGATIVE),
    "beta": ("k", NOT_NEGATIVE),
    "allocation": ("k", NOT_NEGATIVE),
    "concentration": ("", offset_domain),
    "concentrations": ("k", offset_domain),
    "costs": ("k", POSITIVE),
    "within_concentration": ("", offset_domain),
    "temperature": ("", POSITIVE),
    "quality_temperature": ("", POSITIVE),
    "similarity_temperature": ("", POSITIVE),
    "budget": ("", COUNT),
}
_OF_DIRECTIONS = "quality", "direction_weights"


def check(
    problems: Any = None, /, *, mask: Bool[ArrayLike, "*#batch k"] | None = None, **arrays: Any
) -> None:
    """Looks at the values of a batch of problems, wherever they are, and names what is bad.

    Functions look at lists and NumPy arrays only. For a `jax.Array` this waits until it is there,
    and copies it to the host. Under `jit` it is `jax.experimental.checkify.check`: then call the
    function by `checkify.checkify`, and the error comes with what that returns.

    Args:
        problems: a `Problems`, or None.
        mask: boolean `(..., k)`, false for padding, which may hold anything.
        **arrays: the arrays of problems, under the names that functions give them: `scores`,
            `weights`, `embeddings`, `similarity`, `directions`, `direction_weights` (or `quality`),
            `alpha`, `beta`, `allocation`, `concentration`, `within_concentration`, `budget`,
            `concentrations`, `costs`, and the temperatures. They are checked with one another too:
            shapes, labels in [0, g), a budget for which there is a candidate.

    Raises:
        ValueError: the first bad value, by argument, place and value.
        TypeError: a name that is none of these.
        jax.experimental.checkify.JaxRuntimeError: under `checkify`, what it throws.

    Examples:
        >>> dt.check(weights=np.array([0.5, 0.5]))
    """
    if problems is not None:
        if not is_dataclass(problems):
            raise TypeError(f"problems: needs a Problems, got {type(problems).__name__}")
        own = {field.name: getattr(problems, field.name) for field in fields(problems)}
        own.pop("num_directions", None)
        mask = own.pop("mask", None) if mask is None else mask
        arrays = {**own, **arrays}
    given = {name: x for name, x in arrays.items() if x is not None}
    unknown = [name for name in given if name not in _PARTS]
    if unknown:
        raise TypeError(f"{unknown[0]}: is none of {', '.join(_PARTS)}")
    traced = any(isinstance(x, jax.core.Tracer) for x in (*given.values(), mask))
    if not traced:
        given = {name: host_array(x) for name, x in given.items()}
        mask = None if mask is None else host_array(mask)
    if not given:
        return
    sizes = [np.shape(given[name])[-1:] for name in _OF_DIRECTIONS if name in given]
    g = sizes[0][0] if sizes and sizes[0] else None
    arguments = {
        name: Argument(x, _PARTS[name][0], None if name in _OF_DIRECTIONS else _domain(name, g))
        for name, x in given.items()
    }
    *found, m = checked(mask, promote=True, **arguments)
    (_look_traced if traced else _look)(dict(zip(given, found, strict=True)), given, mask, m, g)


def _domain(name: str, g: int | None) -> Domain | Callable[[np.dtype], Domain]:
    return Labels(0, g - 1) if name == "directions" and g is not None else _PARTS[name][1]


def _look(
    found: dict[str, Array], given: dict[str, Any], mask: Any, m: Array, g: int | None
) -> None:
    """What `checked` has not looked at, of host values."""
    for name in _OF_DIRECTIONS:
        if name in given and g is not None:
            has = labeled(given["directions"], mask, g) if "directions" in given else None
            SHARE.check(name, given[name], has)
    if "embeddings" in given:
        check_vectors("embeddings", given["embeddings"], found["embeddings"].dtype, mask)
    if "alpha" in given and "beta" in given:
        POSITIVE.check("alpha + beta", given["alpha"] + given["beta"], mask)
    if "budget" in given:
        check_spendable(given["budget"], mask)


def _look_traced(
    found: dict[str, Array], given: dict[str, Any], mask: Any, m: Array, g: int | None
) -> None:
    for name, x in found.items():
        where = None if mask is None else mask_of(m, _PARTS[name][0])
        if name in _OF_DIRECTIONS and g is not None and "directions" in found:
            where = labeled(found["directions"], None if mask is None else m, g)
        domain = _domain(name, g)
        domain = domain if isinstance(domain, Domain) else domain(x.dtype)
        _require(f"{name} = {{value}}: needs {domain}", ~domain.holds(x), where, x)
    if "embeddings" in found:
        largest = jnp.abs(found["embeddings"]).max(-1)
        zero = ~(largest >= jnp.finfo(largest.dtype).tiny)
        where = None if mask is None else m
        message = "embeddings: {value} is the largest of a vector, which has no direction"
        _require(message, zero, where, largest)
    if "alpha" in found and "beta" in found:
        both = found["alpha"] + found["beta"]
        where = None if mask is None else m
        _require(f"alpha + beta = {{value}}: needs {POSITIVE}", ~POSITIVE.holds(both), where, both)
    if "budget" in found:
        n = jnp.broadcast_to(found["budget"], m.shape[:-1])
        message = "mask: a problem without candidates cannot spend a budget of {value}"
        _require(message, cannot_spend(n, m), None, n)


def _require(message: str, bad: Array, where: Array | None, x: Array) -> None:
    if where is not None:
        bad = bad & where
    if bad.size:
        value = jnp.broadcast_to(x, bad.shape).reshape(-1)[jnp.argmax(bad.reshape(-1))]
        checkify.check(~bad.any(), message, value=value)
