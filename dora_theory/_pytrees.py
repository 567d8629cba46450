"""Frozen dataclasses as JAX pytrees."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import jax

T = TypeVar("T")


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
