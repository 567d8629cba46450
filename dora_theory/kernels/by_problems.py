"""Kernels over problems: each device takes its own, and batches of batches become one.

To the compiler a kernel is opaque: it would gather a sharded batch on every device and do all of it
there. Here it is known that problems are independent.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array


def by_problems(
    call: Callable[..., Any], problems: tuple[Array, ...], shared: tuple[Array, ...] = ()
) -> Any:
    """Calls `call(*problems, *shared)`, on each device for the problems that lie there.

    Args:
        call: which takes any number of problems, a function of the shapes of its arguments.
        problems: arrays whose leading axis is that of problems.
        shared: arrays that all problems share.

    Returns:
        What it returns: arrays, the leading axis that of problems, sharded as `problems` are.
    """
    given = (*problems, *shared)
    sharded = [i < len(problems) for i in range(len(given))]

    def sharding_of(mesh: Any, of_problems: bool, axis: Any) -> NamedSharding:
        return NamedSharding(mesh, PartitionSpec(axis) if of_problems else PartitionSpec())

    def partition(mesh: Any, arguments: Any, found: Any) -> Any:
        axis = next(filter(None, map(_first_axis, [*arguments[: len(problems)]])), None)
        return (
            mesh,
            call,
            jax.tree.map(lambda _: sharding_of(mesh, True, axis), found),
            tuple(sharding_of(mesh, each, axis) for each in sharded),
        )

    split = custom_partitioning(call)
    results = jax.eval_shape(call, *given)
    rule = _rule([x.ndim for x in given], sharded, jax.tree.leaves(results))
    split.def_partition(partition, sharding_rule=rule)

    @custom_vmap
    def function(*arguments: Array) -> Any:
        return split(*arguments)

    @function.def_vmap
    def batched(size: int, is_batched: Any, *arguments: Array) -> Any:
        if any(is_batched[len(problems) :]):
            axes = tuple(0 if each else None for each in is_batched)
            return jax.vmap(call, axes)(*arguments), jax.tree.map(lambda _: True, results)
        flat = []
        for x, each, own in zip(arguments, is_batched, sharded, strict=True):
            whole = x if each or not own else jnp.broadcast_to(x, (size, *x.shape))
            flat.append(whole.reshape(-1, *whole.shape[2:]) if own else whole)
        found = by_problems(call, tuple(flat[: len(problems)]), tuple(flat[len(problems) :]))
        found = jax.tree.map(lambda x: x.reshape(size, -1, *x.shape[1:]), found)
        return found, jax.tree.map(lambda _: True, found)

    return function(*given)


def _first_axis(x: Any) -> Any:
    """The mesh axes that the leading axis of an argument is split over."""
    spec: Any = getattr(x.sharding, "spec", ())
    return spec[0] if len(spec) else None


def _rule(ranks: list[int], sharded: list[bool], results: list[Any]) -> str:
    """As Shardy writes it: all share the factor of problems, no other is shared."""

    def one(place: int, rank: int, own: bool) -> str:
        names = [f"x{place}_{axis}" for axis in range(rank)]
        return " ".join(["n", *names[1:]] if own and rank else names)

    left = [one(i, *each) for i, each in enumerate(zip(ranks, sharded, strict=True))]
    right = [one(len(ranks) + i, x.ndim, True) for i, x in enumerate(results)]
    return f"{', '.join(left)} -> {', '.join(right)}"
