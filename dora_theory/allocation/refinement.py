"""Refinement of a real allocation: active sets by water-filling, Newton steps inside them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from dora_theory.kernels.varying import varying_with

Objective = Callable[[Array], Array]
_HALVINGS = 50


class _Progress(NamedTuple):
    x: Array
    gap: Array
    done: Array
    rounds: Array


def refine(
    objective: Objective,
    x: Array,
    total: Array,
    mask: Array,
    separable: bool,
    most: int,
    tolerance: float,
) -> tuple[Array, Array]:
    """What at most `most` refinements make of x, and its Frank-Wolfe gap as a part of N max |g|."""
    gradient = jax.grad(lambda x: objective(x).sum())

    def step(p: _Progress) -> _Progress:
        x = p.x
        g = gradient(x)
        if separable:
            # The row sums of a diagonal matrix are its diagonal: one product with it is enough.
            curvature = -jax.jvp(gradient, (x,), (mask.astype(x.dtype),))[1]
        else:
            # Row sums of |H| make a diagonal model that lies below the objective, if concave.
            curvature = jnp.abs(_hessian(gradient, x)).sum(-1)
        floor = jnp.sqrt(jnp.finfo(x.dtype).eps) * _size(g, mask) / jnp.maximum(total, 1)
        curvature = jnp.maximum(curvature, jnp.maximum(floor, jnp.finfo(x.dtype).tiny))
        aim = _maximize_model(x, below_top(g, mask), curvature, total, mask)
        x = _line_search(objective, gradient, x, aim - x, total, mask)
        if not separable:
            x = _newton_in_support(objective, gradient, x, total, mask)
        gap = _gap(gradient(x), x, total, mask)
        x = jnp.where(p.done[..., None], p.x, x)
        gap = jnp.where(p.done, p.gap, gap)
        still = jnp.all(x == p.x, -1)
        # Below the tolerance a step is worth its cost while it halves the gap.
        return _Progress(x, gap, still | ((gap <= tolerance) & (gap > p.gap / 2)), p.rounds + 1)

    def unfinished(p: _Progress) -> Array:
        return jnp.any(~p.done) & (p.rounds < most)

    gap = _gap(gradient(x), x, total, mask)
    p = _Progress(x, gap, gap == 0, jnp.zeros((), jnp.int32))
    p = jax.lax.while_loop(unfinished, step, varying_with(p, total, mask))
    return p.x, p.gap


def _size(g: Array, mask: Array) -> Array:
    return jnp.where(mask, jnp.abs(g), 0).max(-1, keepdims=True)


def below_top(g: Array, mask: Array) -> Array:
    """Gradient less its largest entry: a constant moves nothing where the sum is given."""
    return jnp.where(mask, g - jnp.where(mask, g, -jnp.inf).max(-1, keepdims=True), 0)


def _gap(g: Array, x: Array, total: Array, mask: Array) -> Array:
    """The Frank-Wolfe gap, as a part of N max |g|."""
    missed = -(x * below_top(g, mask)).sum(-1)
    scale = (total * _size(g, mask))[..., 0]
    return missed / jnp.where(scale == 0, 1, scale)


def _hessian(gradient: Objective, x: Array) -> Array:
    """Of every problem, `(..., k, k)`: a unit vector for all problems at once, k of them."""
    basis = jnp.eye(x.shape[-1], dtype=x.dtype)
    columns = jax.vmap(
        lambda e: jax.jvp(gradient, (x,), (jnp.broadcast_to(e, x.shape),))[1], out_axes=-1
    )
    return columns(basis)


def _maximize_model(x: Array, g: Array, curvature: Array, total: Array, mask: Array) -> Array:
    """Argmax over y ≥ 0, Σ y = N of g (y - x) - Σ s_i (y_i - x_i)²/2: y_i = max(0, (b_i - ν)/s_i).

    Water-filling once more, with b = g + s x; ν follows from the active set, a prefix of the
    candidates in descending order of b.
    """
    b = jnp.where(mask, g + curvature * x, -jnp.inf)
    order = jnp.argsort(-b, -1)
    ranked = jnp.take_along_axis(b, order, -1)
    exists = jnp.isfinite(ranked)
    ranked = jnp.where(exists, ranked, 0)
    width = jnp.where(exists, 1 / jnp.take_along_axis(curvature, order, -1), 0)
    widths, filled = jnp.cumsum(width, -1), jnp.cumsum(ranked * width, -1)
    reached = exists & (filled - ranked * widths < total)
    last = jnp.maximum(reached.sum(-1, keepdims=True) - 1, 0)
    level = (filled - total) / jnp.where(widths > 0, widths, 1)
    level = jnp.take_along_axis(level, last, -1)
    return jnp.where(mask, jnp.maximum(b - level, 0) / curvature, 0)


def _newton_in_support(
    objective: Objective, gradient: Objective, x: Array, total: Array, mask: Array
) -> Array:
    """Newton's step among the candidates that have something, up to the first that has no more."""
    free = mask & (x > 0)
    g, hessian = below_top(gradient(x), mask), _hessian(gradient, x)
    both = free[..., :, None] & free[..., None, :]
    eye = jnp.eye(x.shape[-1], dtype=x.dtype)
    size = jnp.where(both, jnp.abs(hessian), 0).max((-1, -2), keepdims=True)
    # Scaled to 1, and lifted a little: a flat objective has no Newton step, but a long one.
    lift = 16 * jnp.finfo(x.dtype).eps
    matrix = jnp.where(both, -hessian / jnp.where(size > 0, size, 1), 0)
    matrix += eye * jnp.where(free, lift, 1)[..., None]
    sides = jnp.stack([jnp.where(free, g, 0), free.astype(x.dtype)], -1)
    solved = jnp.linalg.solve(matrix, sides)
    up, one = solved[..., 0], solved[..., 1]
    share = up.sum(-1, keepdims=True) / one.sum(-1, keepdims=True)
    step = jnp.where(free, up - share * one, 0) / jnp.where(size > 0, size, 1)[..., 0]
    step = jnp.where(jnp.isfinite(step).all(-1, keepdims=True), step, 0)
    ratio = jnp.where(step < 0, x / jnp.where(step < 0, -step, 1), jnp.inf)
    reach = jnp.minimum(ratio.min(-1, keepdims=True), 1)
    return _line_search(objective, gradient, x, reach * step, total, mask)


def _line_search(
    objective: Objective, gradient: Objective, x: Array, d: Array, total: Array, mask: Array
) -> Array:
    """X + t d for the first t of 1, 1/2, 1/4, … that improves; x if none does.

    Along a segment a concave function has risen where its slope is still positive, whatever its
    rounded values say. Where they say nothing more, a slope that has shrunk is taken instead
    (Hager and Zhang 2005), so that Newton's method can use the last digits of the gradient.
    """
    value = objective(x)
    slope = (d * below_top(gradient(x), mask)).sum(-1)
    noise = 8 * jnp.finfo(x.dtype).eps * jnp.abs(value)

    def point(t: Array) -> Array:
        y = jnp.where(mask, jnp.maximum(x + t[..., None] * d, 0), 0)
        spent = y.sum(-1, keepdims=True)
        return y * total / jnp.where(spent > 0, spent, 1)

    def improves(t: Array) -> Array:
        y = point(t)
        found = objective(y)
        slope_there = (d * below_top(gradient(y), mask)).sum(-1)
        risen = (found > value) & (found >= value + 1e-4 * t * slope)
        shrunk = (found >= value - noise) & (slope_there >= -slope / 2)
        return jnp.isfinite(found) & (risen | (slope_there >= 0) | shrunk) & (slope > 0)

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, good, count = state
        return jnp.any(~good & (slope > 0)) & (count < _HALVINGS)

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        t, good, count = state
        t = jnp.where(good, t, t / 2)
        return t, good | improves(t), count + 1

    t = jnp.ones_like(value)
    start = varying_with((t, improves(t), jnp.zeros((), jnp.int32)))
    t, good, _ = jax.lax.while_loop(unfinished, halve, start)
    return jnp.where(good[..., None], point(t), x)
