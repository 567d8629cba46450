"""Runs what is written for one problem on each of a batch, and keeps a bad one to itself."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from dora_theory._checks import Argument, checked
from dora_theory._domains import SHARE, Domain, offset_domain, offset_fails, spoiled
from dora_theory.kernels.varying import varying_with

# Axes, domain, and a sound value to stand in for one that is not, of each further argument. Axes
# "*" are an axis of its own, and nothing is looked at there.
Domains = dict[str, tuple[str, Domain, float]]


def checked_candidates(
    weights: Any, concentration: Any, mask: Any, domains: Domains, **more: Any
) -> tuple[Array, ...]:
    """Checked w, κ of shape `(..., 1)` or `(..., k)`, what is in `more`, and the full mask."""
    return checked(
        mask,
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "?k", offset_domain),
        **{name: Argument(x, *domains[name][:2]) for name, x in more.items()},
    )


def on_each(
    run: Callable[..., Any],
    static: tuple[Hashable, ...],
    domains: Domains,
    mask: Array,
    w: Array,
    kappa: Array,
    **more: Array,
) -> Any:
    """`run(*static, mask, w, κ, *more)` of each problem, from what `checked_candidates` returns.

    Args:
        run: a function of a module, of arrays without batch axes: mask and w `(k,)`, κ `(1,)` or
            `(k,)`, the others `(k,)` or `()`.
        static: what it takes before them.
        domains: of the others.
        mask: of the full shape.
        w: weights.
        kappa: κ.
        **more: the others, by name.

    Returns:
        What `run` returns, with batch axes; -1, NaN or false throughout for a bad problem. Padding
        reaches `run` as w = 0, κ = 1 and the stand-ins.
    """
    order = tuple((name, *domains[name]) for name in more)
    return _mapped(run, static, order, mask, w, kappa, tuple(more.values()))


@partial(jax.jit, static_argnames=("run", "static", "order"))
def _mapped(
    run: Callable[..., Any],
    static: tuple[Hashable, ...],
    order: tuple[tuple[str, str, Domain, float], ...],
    mask: Array,
    w: Array,
    kappa: Array,
    more: tuple[Array, ...],
) -> Any:
    batch = mask.shape[:-1]
    w = jnp.broadcast_to(w, mask.shape)
    kappa = jnp.broadcast_to(kappa, (*batch, kappa.shape[-1]))
    bad = SHARE.fails(w, 1, mask) | offset_fails(kappa, mask)
    wide = []
    for x, (_, axes, domain, _) in zip(more, order, strict=True):
        own = {"k": mask.shape[-1:], "": (), "*": x.shape[-1:]}[axes]
        wide.append(jnp.broadcast_to(x, (*batch, *own)))
        if axes != "*":
            bad |= domain.fails(wide[-1], len(axes), mask if axes else None)
    # No loop may be lost in what is bad.
    there = mask & ~bad[..., None]
    sides = there if kappa.shape[-1] == mask.shape[-1] else ~bad[..., None]
    given = [jnp.where(there, w, 0), jnp.where(sides, kappa, 1)]
    for x, (_, axes, _, sound) in zip(wide, order, strict=True):
        given.append(x if axes == "*" else jnp.where(there if axes else ~bad, x, sound))
    there, *given = varying_with([there, *given], bad)
    one = partial(run, *static)
    for _ in batch:
        one = jax.vmap(one)
    return jax.tree.map(lambda x: spoiled(x, bad, x.ndim - bad.ndim), one(there, *given))
