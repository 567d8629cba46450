"""What all forms of expected outcomes share: the sums, log failure, and what a unit needs."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.kernels.arithmetic import PLAIN, Arithmetic, log1p, polynomial
from dora_theory.kernels.beta_sampler import BetaSetup, setup_beta
from dora_theory.kernels.random_words import Stream

# The exponential of it is 0, and no product of it with a count is NaN.
_LEAST_LOG = -1e4
# For x above -`_NEAR` a polynomial of this degree for (1 - e^x)/x leaves less than rounding.
_NEAR, _DEGREE = 0.5, 5

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


class Drawn(NamedTuple):
    """p of draws, and log(1 - p), which is not below `_LEAST_LOG`."""

    p: Array
    log_q: Array


def drawn_by(logits: Array, by: Arithmetic = PLAIN) -> Drawn:
    """P and log(1 - p) given by logits, from one exponential."""
    small = by.exp(-jnp.abs(logits))
    p = jnp.where(logits < 0, small, 1) * by.reciprocal(1 + small)
    # Not -inf: nothing spent on a p of 1 is no failure, 0 and not NaN.
    return Drawn(p, jnp.maximum(jnp.minimum(-logits, 0) - log1p(small, by), _LEAST_LOG))


def success_of(failure: Array, by: Arithmetic = PLAIN) -> Array:
    """1 - e^x of log failure x ≤ 0, relatively exact."""
    near = failure * polynomial(_gone(), failure, by)
    return jnp.where(failure > -_NEAR, near, 1 - by.exp(failure))


@lru_cache
def _gone() -> list[float]:
    """Coefficients of (1 - e^x)/x through Chebyshev points of [-1/2, 0]."""
    x = -(1 + np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))) * _NEAR / 2
    fit = np.polynomial.Polynomial.fit(x, -np.expm1(x) / x, _DEGREE, domain=[-_NEAR, 0])
    return [float(c) for c in fit.convert().coef]


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
