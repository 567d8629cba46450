"""Loops under `jax.shard_map`, which types an array by the mesh axes that it varies over."""

from typing import Any, TypeVar

import jax

_Carry = TypeVar("_Carry")


def varying_with(start: _Carry, *like: Any) -> _Carry:
    """What a loop starts from, of the type of what it becomes.

    A constant is the same on all devices, and what a loop makes of it is not: `shard_map` then
    refuses the loop, unless the constant is said to vary too. Outside it nothing changes.

    Args:
        start: arrays, as a pytree.
        *like: arrays that the loop mixes with them.

    Returns:
        `start`, varying over all axes that anything here varies over.
    """
    axes = frozenset().union(*map(_axes, jax.tree.leaves((start, like))))

    def cast(x: Any) -> Any:
        missing = axes - _axes(x)
        return jax.lax.pcast(x, tuple(missing), to="varying") if missing else x

    return jax.tree.map(cast, start)


def _axes(x: Any) -> frozenset[Any]:
    kind = jax.typeof(x)
    # As JAX 0.9 and earlier name it, and as later ones do.
    return frozenset(getattr(kind, "vma", ()) or getattr(kind.manual_axis_type, "varying", ()))
