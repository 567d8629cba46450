"""What a log says about allocations that it did not make (theory 5.5), and how surely.

A direction with n logged continuations, c of them right, fails B further rollouts with probability
C(n − c, B) / C(n, B) on average: draw B of the n without replacement. The mean of that over logs
is (1 − p)^B for every p, so that the product over directions estimates the joint failure without
bias, for whatever allocation was chosen without looking at the outcomes.

For B > n no estimator without bias exists, and none is made up. Then the success lies between two
bounds: from below that of all n continuations (more rollouts cannot hurt), from above 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import as_mask, check_range
from dora_theory._domains import Labels
from dora_theory.model.directions import direction_totals
from dora_theory.model.pochhammer import log_rising_ratio


class ReplayedSuccess(NamedTuple):
    """Estimated success of an allocation, batched.

    Attributes:
        lower: the estimate where the log suffices, else its lower bound, shape `(...)`.
        upper: the estimate where the log suffices, else 1, shape `(...)`.
        clipped: whether some direction was given more rollouts than were logged, shape `(...)`.
    """

    lower: Float[Array, "*batch"]
    upper: Float[Array, "*batch"]
    clipped: Bool[Array, "*batch"]


def hypergeometric_log_failure(
    logged: Real[ArrayLike, "*#batch"],
    correct: Real[ArrayLike, "*#batch"],
    rollouts: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """log[C(n − c, B) / C(n, B)], elementwise: the failure of B of n continuations.

    Args:
        logged: n ≥ 0.
        correct: c in [0, n].
        rollouts: B in [0, n].

    Returns:
        A number in [-inf, 0]: −inf if fewer than B continuations are wrong, 0 if c = 0 or B = 0.
        Relative error as `log_rising_ratio`, 1e-14 in float64 and 1e-6 in float32.

    Raises:
        ValueError: a number out of its range.

    Source: theory 5.5; Chen et al., Evaluating large language models trained on code (2021).
    """
    check_range("logged", logged, 0)
    n, c, b = jnp.broadcast_arrays(*map(jnp.asarray, (logged, correct, rollouts)))
    for name, x in (("correct", c), ("rollouts", b)):
        check_range(name, x, 0)
        check_range(f"logged - {name}", n - x, 0)
    return _log_failure(*(x.astype(jnp.result_type(float)) for x in (n, c, b)))


def replayed_success(
    allocation: Int[ArrayLike, "*#batch k"],
    directions: Int[ArrayLike, "*#batch k"],
    correct: Bool[ArrayLike, "*#batch k"],
    num_directions: int,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> ReplayedSuccess:
    """Success of an allocation, judged by the logged continuation of every candidate.

    Args:
        allocation: further rollouts of each candidate, shape `(..., k)`.
        directions: label of each candidate in [0, g), shape `(..., k)`.
        correct: whether the logged continuation was right, shape `(..., k)`.
        num_directions: g.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        The estimate where no direction is given more than was logged of it, else bounds.

    Raises:
        ValueError: a negative allocation, a label out of range, shapes that do not fit.

    Source: theory 5.5.
    """
    b = jnp.asarray(allocation)
    check_range("allocation", b, 0, mask=mask)
    shape = jnp.broadcast_shapes(b.shape, np.shape(correct), np.shape(directions))
    m = as_mask(mask, shape)
    if not isinstance(directions, jax.Array):
        Labels(0, num_directions - 1).check("directions", np.asarray(directions), mask)
    labels = jnp.broadcast_to(jnp.asarray(directions), shape)
    given, right, logged = (
        direction_totals(
            jnp.broadcast_to(x, shape).astype(jnp.int32), labels, num_directions, mask=m
        )
        for x in (b, jnp.asarray(correct), m)
    )
    return _success(given, right, logged)


@jax.jit
def _success(given: Array, right: Array, logged: Array) -> ReplayedSuccess:
    clipped = (given > logged).any(-1)
    dtype = jnp.result_type(float)
    n, c, b = (x.astype(dtype) for x in (logged, right, jnp.minimum(given, logged)))
    lower = -jnp.expm1(_log_failure(n, c, b).sum(-1))
    return ReplayedSuccess(lower, jnp.where(clipped, 1, lower), clipped)


@jax.jit
def _log_failure(n: Array, c: Array, b: Array) -> Array:
    # Read from its end, the product Π (n − c − r)/(n − r) over r < B is the failure of B rollouts
    # under Beta(c, n − c − B + 1), for which there is a form without cancellation.
    wrong = n - c
    possible = b <= wrong
    log_failure = log_rising_ratio(c, jnp.where(possible, wrong - b + 1, 1), b)
    return jnp.where(possible, log_failure, -jnp.inf)
