"""What all forms of expected outcomes share: the sums, log failure, and what a unit needs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.kernels.beta_sampler import BetaSetup, Stream, log_sigmoid, setup_beta

# What a unit's setup holds besides the coefficients of two polynomials.
_SCALARS = BetaSetup._fields[2:]


class Outcomes(NamedTuple):
    """Sums over samples.

    Attributes:
        success: samples with a correct rollout (or their probability), shape `(strategies, n)`.
        correct: correct rollouts (or their expectation), of the same shape.
    """

    success: Float[Array, "strategies n"]
    correct: Float[Array, "strategies n"]


def log_failure_of(logits: Array, spent: Array) -> Array:
    """Log (1 - p)^B of p given by logits."""
    b = spent.astype(jnp.float32)
    # Nothing spent on a p of 1 is no failure: 0, not 0 times -inf.
    return jnp.where(b > 0, b * log_sigmoid(-logits), 0)


def laid_out(keys: Stream, alpha: Array, beta: Array) -> tuple[Array, Array]:
    """The seeds of problems, and what a kernel reads of a unit, side by side."""
    setup = setup_beta(alpha, beta)
    scalars = jnp.stack([getattr(setup, name) for name in _SCALARS])
    table = jnp.concatenate([setup.rows_a, setup.rows_b, scalars])
    seeds = jnp.broadcast_to(jnp.concatenate(keys, -1), (alpha.shape[-1], 2))
    return seeds, jnp.moveaxis(table, 0, -1).swapaxes(0, 1)


def setup_of_unit(number: Callable[[int], Array], count: int) -> BetaSetup:
    """What a unit needs, from the numbers that `laid_out` has written side by side."""
    degree = (count - len(_SCALARS)) // 2
    # A list does for rows: Horner's rule takes them one by one.
    rows: list[Any] = [[number(side * degree + i) for i in range(degree)] for side in range(2)]
    return BetaSetup(*rows, *(number(2 * degree + i) for i in range(len(_SCALARS))))
