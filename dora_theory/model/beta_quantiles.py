r"""Quantiles of the Beta distribution as functions of a normal number (theory 8.2.2).

The quantile of Beta(κw, κ(1-w)) at Φ(z) is kept as θ = logit p, which no tail leaves the range of:
with s = log Φ(z) and f the density of θ it obeys

    dθ/ds = e^s/f(θ),

and errors shrink on the way from a tail to the middle, like the ratio of its probabilities. So θ is
integrated from both tails to the median, on one grid of z, and interpolated by its own slopes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Beyond |z| = 10 lies 1e-23 of the normal law. The integration starts further out, so that its
# start is forgotten.
_END, _START, _STEP = 10.0, 11.0, 0.05
_GRID = round(2 * _END / _STEP) + 1
_HALVINGS = 80


class Quantiles(NamedTuple):
    """θ = logit p on the grid z = -10, …, 10, and its slope there, shape `(..., grid)`."""

    value: Array
    slope: Array


def grid() -> Float[np.ndarray, " grid"]:
    """The z of `Quantiles`."""
    return np.linspace(-_END, _END, _GRID)


def quantiles(w: Array, kappa: Array) -> Quantiles:
    """Quantiles of Beta(κw, κ(1-w)) for w in (0, 1), by Runge-Kutta steps from both tails."""
    a, b = kappa * w, kappa * (1 - w)
    # The upper tail of p is the lower one of 1 - p.
    first, second = jnp.stack([a, b]), jnp.stack([b, a])
    log_beta = jax.scipy.special.betaln(first, second)

    def log_density(theta: Array) -> Array:
        # One logarithm: log p is θ less that of 1/(1 - p).
        return first * theta - (first + second) * jax.nn.softplus(theta) - log_beta

    def slope(z_log: Array, theta: Array) -> Array:
        return jnp.exp(jnp.minimum(z_log - log_density(theta), 80))

    fine = np.linspace(-_START, 0, round(_START / _STEP) + 1)
    levels = jax.scipy.stats.norm.logcdf(jnp.asarray(fine, w.dtype))
    theta = _tail(first, second, log_beta, levels[0])

    def step(theta: Array, ends: Array) -> tuple[Array, Array]:
        s, h = ends[0], ends[1] - ends[0]
        one = slope(s, theta)
        two = slope(s + 0.5 * h, theta + 0.5 * h * one)
        three = slope(s + 0.5 * h, theta + 0.5 * h * two)
        four = slope(ends[1], theta + h * three)
        theta = theta + h / 6 * (one + 2 * two + 2 * three + four)
        return theta, theta

    _, path = jax.lax.scan(step, theta, jnp.stack([levels[:-1], levels[1:]], -1))
    path = jnp.moveaxis(path, 0, -1)[..., round((_START - _END) / _STEP) - 1 :]
    # Both halves know the median.
    middle = 0.5 * (path[0, ..., -1:] - path[1, ..., -1:])
    value = jnp.concatenate([path[0, ..., :-1], middle, -jnp.flip(path[1, ..., :-1], -1)], -1)
    z = jnp.asarray(grid(), w.dtype)
    own = -a[..., None] * jax.nn.softplus(-value) - b[..., None] * jax.nn.softplus(value)
    log_slope = jax.scipy.stats.norm.logpdf(z) - own + log_beta[0][..., None]
    return Quantiles(value, jnp.exp(jnp.minimum(log_slope, 80)))


def _tail(a: Array, b: Array, log_beta: Array, level: Array) -> Array:
    """θ where f(θ)/(a - (a + b)p), about the lower tail, is e^level: by bisection."""
    high = jnp.log(a) - jnp.log(b)
    low = jnp.minimum(high, 0) - (jnp.abs(level) + jnp.abs(jnp.log(a) + log_beta) + 50) / a - 50

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        theta = 0.5 * (low + high)
        p = jax.nn.sigmoid(theta)
        log_f = -a * jax.nn.softplus(-theta) - b * jax.nn.softplus(theta) - log_beta
        thinning = a - (a + b) * p
        below = (thinning > 0) & (log_f - jnp.log(jnp.maximum(thinning, 1e-37)) < level)
        return jnp.where(below, theta, low), jnp.where(below, high, theta)

    return jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))[0]


def interpolated(table: Quantiles, z: Array) -> Array:
    """θ at any z, `(..., k, points)`, of tables `(..., k, grid)`: cubic, by values and slopes."""
    place = (jnp.clip(z, -_END, _END) + _END) / _STEP
    low = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, _GRID - 2)
    t = place - low
    shape = (*np.broadcast_shapes(table.value.shape[:-1], z.shape[:-1]), z.shape[-1])
    low = jnp.broadcast_to(low, shape)
    value, slope = (jnp.broadcast_to(x, (*shape[:-1], _GRID)) for x in table)
    first, last = (jnp.take_along_axis(value, low + i, -1) for i in (0, 1))
    start, end = (_STEP * jnp.take_along_axis(slope, low + i, -1) for i in (0, 1))
    gap = last - first
    return first + t * (start + t * ((3 * gap - 2 * start - end) + t * (start + end - 2 * gap)))


def rates_of(w: Array, theta: Array) -> Array:
    """The x = log(1 + e^θ) of θ; 0 and infinite for w = 0 and 1, whose θ is that of w = 1/2."""
    x = jax.nn.softplus(theta)
    return jnp.where(w == 0, 0, jnp.where(w == 1, jnp.inf, x))


def inner(w: Array) -> Array:
    """Weights for `quantiles`: those at an end count as 1/2, and are put right by `rates_of`."""
    return jnp.where((w > 0) & (w < 1), w, 0.5)
