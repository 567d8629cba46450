"""Correlated candidates: a direction's state of belief while its rollouts fail (theory 5.1).

Under m ~ Beta(κQ, κ(1-Q)), p_c | m ~ Beta(νm, ν(1-m)), the r-th further rollout of a copy c fails,
given m and the failures before it, with probability (ν(1-m) + r)/(ν + r) = 1 - q m, q = ν/(ν + r).
The account of the mixture over m is a table. As in the Chinese restaurant, with probability q a
rollout is a fresh draw of m, and else it repeats an earlier outcome of its copy, a failure. If T of
the rollouts were fresh, what is known is T failures of m, so the state is a distribution over T,
all of whose updates add positive numbers: relative accuracy is kept. O(N) numbers a direction, and
a step for each rollout; `dora_theory.model.mixture` has an integral instead, for many of them.

The first rollout is fresh and fails with probability 1 - Q: states start after it.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Belief(NamedTuple):
    """What is believed of directions after one failure or more.

    Attributes:
        mass: probability of each T, shape `(..., M)`.
        mean: E[m]/κ at that T, shape `(..., M)`.
        fails: probability that a fresh draw of m fails at that T, shape `(..., M)`.
    """

    mass: Float[Array, "*shape points"]
    mean: Float[Array, "*shape points"]
    fails: Float[Array, "*shape points"]


def tables(q: Array, kappa: Array, points: int) -> Belief:
    """The belief after one failure of each direction, for at most `points` failures.

    Args:
        q: Q in [0, 1], shape `(...)`.
        kappa: κ > 0, of the same shape and dtype.
        points: most rollouts of a direction that can follow.

    Returns:
        A belief over T = 1 … points.
    """
    t = jnp.arange(1, points + 1, dtype=q.dtype)
    q, kappa = q[..., None], kappa[..., None]
    mass = jnp.broadcast_to(t == 1, (*q.shape[:-1], points)).astype(q.dtype)
    return Belief(mass, q / (kappa + t), (kappa * (1 - q) + t) / (kappa + t))


def fresh(nu: Array, depth: Array) -> Array:
    """Probability that the rollout at a depth of its copy is a fresh draw of m, ν/(ν + r)."""
    return nu / (nu + depth)


def after_failure(belief: Belief, q: Array, kappa: Array) -> tuple[Belief, Array]:
    """The belief after one more failure, and the log probability of that failure.

    Args:
        belief: of shape `(..., M)`.
        q: probability that the rollout was a fresh draw, shape `(...)`.
        kappa: κ, shape `(...)`.

    Returns:
        The new belief and log probability, shape `(...)`, to relative rounding error.
    """
    q = q[..., None]
    stays = belief.mass * (1 - q)
    goes = belief.mass * q * belief.fails
    moved = jnp.concatenate([jnp.zeros_like(goes[..., :1]), goes[..., :-1]], -1)
    mass = stays + moved
    chance = (stays + goes).sum(-1)
    succeeds = kappa * (q * belief.mass * belief.mean).sum(-1)
    small = succeeds < 0.5
    log_chance = jnp.where(
        small, jnp.log1p(-jnp.where(small, succeeds, 0)), jnp.log(jnp.where(small, 1, chance))
    )
    held = mass.sum(-1, keepdims=True)
    return belief._replace(mass=mass / jnp.where(held > 0, held, 1)), log_chance


def priority(belief: Belief, q: Array) -> Array:
    """Probability that the next rollout succeeds, over κ: what w/(κ + r) is to one candidate.

    Args:
        belief: of shape `(..., M)`.
        q: probability that the rollout is a fresh draw, shape `(...)`.

    Returns:
        Shape `(...)`. While each copy has at most one rollout it is the quotient Q/(κ + r) itself.
    """
    return q * (belief.mass * belief.mean).sum(-1)


def select(belief: Belief, rows: Array, which: Array) -> Belief:
    """The belief of direction `which` of each row, shape `(rows, M)`."""
    return Belief(*(x[rows, which] for x in belief))


def replace(belief: Belief, rows: Array, which: Array, new: Belief, keep: Array) -> Belief:
    """`belief` with direction `which` of each row set to `new`, unless `keep`."""
    old = belief.mass[rows, which]
    mass = belief.mass.at[rows, which].set(jnp.where(keep[:, None], old, new.mass))
    return belief._replace(mass=mass)


def started(belief: Belief, before: Array, after: Belief) -> Belief:
    """`after` where `before` rollouts ≥ 1 had failed, the starting belief where none had."""
    mass = jnp.where((before > 0)[..., None], after.mass, belief.mass)
    return belief._replace(mass=mass)
