r"""The hierarchy by quadrature: priorities and failure for any number of rollouts (theory 5.1).

m ~ Beta(a, b) with a = κQ, b = κ(1-Q), and B_c rollouts of copy c all fail, given m, with
probability (s)_B/(ν)_B, s = ν(1-m); L(m) is the product over the copies of a direction. Of those
rollouts K(m) = Σ_c Σ_{r<B_c} s/(s + r) are expected to be fresh draws of m. The density

    ω(m) ∝ m^a (1-m)^(b-1) L(m)

has one mode, and in θ = logit m tails of at least e^θ and e^-θ, however small κ is. Integrating
m^(a-1) by parts shows that an average over it is all that is needed:

    E[m | all failed] = κQ/(κ + A),   A = E_ω[K],
    P(all fail) = (1-Q) (κ + A)/(κ + 1) E[L(m)/(1-m)],
    1 - P(all fail) = Q {1 + b/(κ + 1) E[(1 - L(m)/(1-m))/m]},

the last two over m ~ Beta(a + 1, b + 1). All terms are positive, so the relative accuracy of K and
L is kept: with independent copies, A is the number of failures. Nodes are Gauss and Legendre's on
both sides of the mode, out to where the density has fallen below rounding, and densities are taken
relative to the mode by differences that do not cancel.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dora_theory.kernels.varying import varying_with
from dora_theory.model.directions import segment_sum
from dora_theory.model.pochhammer import log_rising_ratio, rising_slope

# Steps that bisect a mode or an end: to a small part of the narrowest density.
_STEPS = 22


class Rollouts(NamedTuple):
    """Rollouts of directions by copies, without saying how copies are laid out.

    Attributes:
        depth: B of each copy, or of many that have the same, shape `(..., n)`.
        number: how many copies have that depth, shape `(..., n)`.
        spread: brings what directions have, `(..., g, M)`, to copies, `(..., n, M)`.
        gather: sums over the copies of a direction, `(..., n, M)` to `(..., g, M)`.
    """

    depth: Float[Array, "*batch n"]
    number: Float[Array, "*batch n"]
    spread: Callable[[Array], Array]
    gather: Callable[[Array], Array]

    def total(self, of: Callable[..., Array], *values: Array) -> Array:
        """Sum over copies of a function of `values`, `(..., g, M)`, and of the depth."""
        depth, number = self.depth[..., None], self.number[..., None]
        each = of(*(self.spread(x) for x in values), depth)
        return self.gather(jnp.where(number > 0, number * each, 0))


def evenly(total: Float[Array, "*batch"], copies: Float[Array, "*batch"]) -> Rollouts:
    """Totals of directions spread evenly over their copies: two depths each.

    Args:
        total: rollouts T, integers, shape `(..., g)`.
        copies: at least 1, integers, shape `(..., g)`.

    Returns:
        Rollouts, whose copies are `(..., g, 2)`, flattened.
    """
    depth = jnp.floor(total / copies)
    more = total - depth * copies
    g = total.shape[-1]
    # Not -1, which JAX cannot infer in an empty batch.
    shape = (*total.shape[:-1], 2 * g)
    depths, counts = (
        jnp.stack(x, -1).reshape(shape) for x in ((depth, depth + 1), (copies - more, more))
    )
    return Rollouts(
        depths,
        counts,
        lambda x: jnp.repeat(x, 2, axis=-2),
        lambda x: x.reshape(*x.shape[:-2], g, 2, x.shape[-1]).sum(-2),
    )


def unevenly(
    allocation: Int[Array, "*batch k"], labels: Int[Array, "*batch k"], directions: int
) -> Rollouts:
    """Rollouts of candidates, as they are.

    Args:
        allocation: B of each candidate, shape `(..., k)`.
        labels: the direction of each, shape `(..., k)`.
        directions: how many directions there are.

    Returns:
        Rollouts, whose copies are the candidates.
    """

    def gather(x: Array) -> Array:
        return jnp.moveaxis(segment_sum(jnp.moveaxis(x, -1, 0), labels, directions), 0, -1)

    return Rollouts(
        allocation,
        jnp.ones_like(allocation),
        lambda x: jnp.take_along_axis(x, labels[..., None], axis=-2),
        gather,
    )


class _Density(NamedTuple):
    """A density of θ by nodes: offsets x = θ - mode, weights, log of its integral over the peak."""

    mode: Array
    nodes: Array
    share: Array
    log_mass: Array


def fresh_failures(
    q: Float[Array, "*batch g"],
    kappa: Float[Array, "*batch g"],
    nu: Float[Array, "*batch g"],
    rollouts: Rollouts,
    points: int,
) -> Float[Array, "*batch g"]:
    """A, the expected number of fresh draws among the failures of a direction.

    The next rollout at depth r succeeds with probability κQ/(κ + A) ν/(ν + r).

    Args:
        q: Q in [0, 1], shape `(..., g)`.
        kappa: κ > 0, same shape and dtype.
        nu: ν > 0, same shape and dtype.
        rollouts: at least one of each direction.
        points: number of nodes.

    Returns:
        Shape `(..., g)`; exactly the number of rollouts where no copy has two.
    """
    density = _posterior(q, kappa, nu, rollouts, points)
    return _fresh(nu, rollouts, density)


def log_failure(
    q: Float[Array, "*batch g"],
    kappa: Float[Array, "*batch g"],
    nu: Float[Array, "*batch g"],
    rollouts: Rollouts,
    points: int,
) -> Float[Array, "*batch g"]:
    """Log probability that all rollouts of a direction fail.

    Args:
        q: Q in [0, 1], shape `(..., g)`.
        kappa: κ > 0, same shape and dtype.
        nu: ν > 0, same shape and dtype.
        rollouts: of each direction, or none.
        points: number of nodes.

    Returns:
        Shape `(..., g)`, in [-inf, 0]. Differentiable in Q, κ and ν; where it is 0 because there
        are no rollouts, or -inf because Q = 1, its derivatives are set to 0.
    """
    number = rollouts.gather((rollouts.number * rollouts.depth)[..., None])[..., 0]
    sure, q = q == 1, jnp.where(q == 1, 0.5, q)
    a, b = kappa * q, kappa * (1 - q)
    one = jnp.ones_like(q)
    first = evenly(one, one)
    posterior = _posterior(q, kappa, nu, rollouts, points)
    prior = _posterior(q, kappa, nu, first, points)

    def rest(theta: Array) -> Array:
        """Log L(m)/(1-m): what comes after the first rollout."""
        m, miss = jax.nn.sigmoid(theta), jax.nn.sigmoid(-theta)
        scale = nu[..., None]
        found = rollouts.total(log_rising_ratio, scale * m, scale * miss)
        return found - jax.nn.log_sigmoid(-theta)

    # Many failures: from the peak of the prior to that of the posterior, and the masses of both.
    way = (posterior.mode - prior.mode)[..., None]
    climb = _change(a, kappa + 1, prior.mode, way) + rest(posterior.mode[..., None])
    average = climb[..., 0] + posterior.log_mass - prior.log_mass
    fresh = _fresh(nu, rollouts, posterior)
    much = jnp.log1p(-q) + jnp.log1p((fresh - 1) / (kappa + 1)) + average
    # Few: the probability of a success, on what lies left, between and right of the two modes.
    low, high = posterior.nodes[..., :1], prior.nodes[..., -1:]
    start = jnp.concatenate([way + low, way, jnp.zeros_like(way)], -1)
    end = jnp.concatenate([way, jnp.zeros_like(way), high], -1)
    x, weight = _panels(start, end, points // 2)
    x, weight = jax.lax.stop_gradient((x, weight))
    theta = prior.mode[..., None] + x
    height = weight * jnp.exp(_change(a, kappa + 1, prior.mode, x))
    misses = -jnp.expm1(jnp.minimum(rest(theta), 0)) * jnp.exp(-jax.nn.log_sigmoid(theta))
    rise = (height * misses).sum(-1) / jnp.exp(prior.log_mass)
    success = q * (1 + b / (kappa + 1) * rise)
    few = success < 0.5
    found = jnp.where(few, jnp.log1p(-jnp.where(few, success, 0)), much)
    return jnp.where(number > 0, jnp.where(sure, -jnp.inf, found), 0)


def _fresh(nu: Array, rollouts: Rollouts, density: _Density) -> Array:
    miss = jax.nn.sigmoid(-(density.mode[..., None] + density.nodes))
    found = (density.share * _draws(nu, rollouts, miss)).sum(-1)
    number = rollouts.gather((rollouts.number * rollouts.depth)[..., None])[..., 0]
    alone = rollouts.gather((rollouts.number * (rollouts.depth > 1))[..., None])[..., 0] == 0
    return jnp.where(alone, number, found)


def _draws(nu: Array, rollouts: Rollouts, miss: Array) -> Array:
    """K: how many of the rollouts are expected to be fresh at 1 - m, shape `(..., g, M)`."""

    def of_copy(s: Array, depth: Array) -> Array:
        more = s * rising_slope(jnp.maximum(s, jnp.finfo(s.dtype).tiny), depth)
        return jnp.where(depth > 1, more, depth)

    return rollouts.total(of_copy, nu[..., None] * miss)


def _change(a: Array, power: Array, mode: Array, x: Array) -> Array:
    """Log of m^(a+1) (1-m)^(power-a) at θ = mode + x, relative to the mode; shape `(..., g, M)`."""
    return (a + 1)[..., None] * x - (power + 1)[..., None] * _spread(mode, x)


def _spread(mode: Array, x: Array) -> Array:
    """log[(1 - m0)/(1 - m)] for logit m0 = mode and logit m = mode + x."""
    m, miss = jax.nn.sigmoid(mode)[..., None], jax.nn.sigmoid(-mode)[..., None]
    # Where 1 - m is small it must not be what is left of 1.
    far = (x < -1) & (m > 0.5)
    near = jnp.log1p(m * jnp.expm1(jnp.where(far, 0, x)))
    return jnp.where(far, jnp.log(miss + m * jnp.exp(jnp.where(far, x, 0))), near)


def _posterior(q: Array, kappa: Array, nu: Array, rollouts: Rollouts, points: int) -> _Density:
    a, b = kappa * q, kappa * (1 - q)
    fixed = jax.lax.stop_gradient((a, b, kappa, nu))
    mode = _mode(*fixed, rollouts)
    fall = 42.0 if q.dtype == jnp.float64 else 20.0

    def height(x: Array, a: Array, kappa: Array, nu: Array) -> Array:
        """Log density at mode + x, relative to the mode."""
        rises, scale = _change(a, kappa, mode, x), nu[..., None]
        theta, peak = mode[..., None] + x, mode[..., None]
        ahead, behind = jnp.maximum(theta, peak), jnp.minimum(theta, peak)
        # s at the larger m of the two, and how much larger it is at the smaller.
        low = scale * jax.nn.sigmoid(-ahead)
        gap = scale * jax.nn.sigmoid(ahead) * jax.nn.sigmoid(-behind) * -jnp.expm1(-jnp.abs(x))
        return rises + jnp.sign(x) * rollouts.total(log_rising_ratio, gap, low)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        near, far = ends
        middle = (near + far) / 2
        inside = height(middle, fixed[0], fixed[2], fixed[3]) > -fall
        return jnp.where(inside, middle, near), jnp.where(inside, far, middle)

    zero = jnp.zeros((*a.shape, 2), a.dtype)
    far = zero + jnp.array([-fall - 30, fall + 30], a.dtype)
    ends = jax.lax.stop_gradient(
        jax.lax.fori_loop(0, _STEPS, halve, varying_with((zero, far), mode))[1]
    )
    start, end = jnp.minimum(ends, 0), jnp.maximum(ends, 0)
    x, weight = _panels(start, end, points // 2)
    each = weight * jnp.exp(height(x, a, kappa, nu))
    mass = each.sum(-1)
    return _Density(mode, x, each / mass[..., None], jnp.log(mass))


def _mode(a: Array, b: Array, kappa: Array, nu: Array, rollouts: Rollouts) -> Array:
    """θ at which (a + 1)(1 - m) = m (b + K(m)), by bisection; K is from 1 to all rollouts."""
    number = rollouts.gather((rollouts.number * rollouts.depth)[..., None])[..., 0]

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        fresh = _draws(nu, rollouts, jax.nn.sigmoid(-middle)[..., None])[..., 0]
        rises = jnp.log((a + 1) / (b + jnp.maximum(fresh, 1))) > middle
        return jnp.where(rises, middle, low), jnp.where(rises, high, middle)

    ends = jnp.log((a + 1) / (b + jnp.maximum(number, 1))), jnp.log((a + 1) / (b + 1))
    low, high = jax.lax.fori_loop(0, _STEPS, halve, varying_with(ends, nu, rollouts.depth))
    return jax.lax.stop_gradient((low + high) / 2)


def _panels(start: Array, end: Array, each: int) -> tuple[Array, Array]:
    """Nodes and weights on panels `(..., p)`, `each` of a panel, shape `(..., p each)`."""
    nodes, weights = (x / 2 for x in np.polynomial.legendre.leggauss(each))
    width = (end - start)[..., None]
    x = start[..., None] + width * (0.5 + nodes).astype(start.dtype)
    weight = jnp.abs(width) * weights.astype(start.dtype)
    shape = (*start.shape[:-1], start.shape[-1] * each)
    return x.reshape(shape), weight.reshape(shape)
