"""The objective: probability that at least one of the rollouts succeeds (eq. 5-7, theory 1).

A candidate of quality w succeeds with p ~ Beta(κw, κ(1-w)); B rollouts of it all fail with
probability E[(1-p)^B] = Π_{r<B} (κ(1-w) + r)/(κ + r). Candidates are independent, so log failures
add, and all have one sign: sums over candidates keep the relative accuracy of their terms.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, checked
from dora_theory._domains import (
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    offset_domain,
    offset_fails,
    spoiled,
)
from dora_theory._sizes import rounded
from dora_theory.model.pochhammer import log_failure_of, log_rising_ratio
from dora_theory.model.priors import BetaPrior


@rounded
def log_failure(
    weights: Real[ArrayLike, "*#batch k"] | BetaPrior,
    concentration: Real[ArrayLike, "..."] | None,
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """Log probability that every rollout fails, under p_i ~ Beta(κw_i, κ(1-w_i)).

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`, which need not sum to 1; or a `BetaPrior`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)` (see
            `optimal_allocation`); from 1e-30 to 2^23 in float32, 1e-290 to 2^52 in float64. None
            with a `BetaPrior`, which has its own.
        allocation: rollouts B ≥ 0, integer or real, shape `(..., k)`.
        mask: boolean `(..., k)`; candidates that are false count for nothing.

    Returns:
        Shape `(...)`, in [-inf, 0]; 0 where nothing is spent on a w > 0, -inf where a rollout goes
        to a w = 1. Relative error below 1e-14 in float64 and 1e-6 in float32 (for κ in [1e-6, 1e6],
        B to 1e6), w being taken as it is. Differentiable in weights, concentration and real
        allocations, to 1e-11 and 1e-4; a candidate with w = 1 has derivative 0 by convention.
        Of a `BetaPrior` in all arguments, to 1e-14 and 1e-6, for a + b in [1e-6, 1e6].

    Raises:
        ValueError: NaN, negative or too large a value, an empty problem, shapes that do not fit.

    Examples:
        >>> round(float(dt.log_failure(np.array([0.7, 0.3]), 1.0, np.array([4, 1]))), 4)
        -2.4495
        >>> prior = dt.BetaPrior(np.array([0.5]), np.array([1.0]))
        >>> round(float(dt.log_failure(prior, None, np.array([8]))), 4)
        -1.2055

    Source: eq. 7 in logarithms, theory 1.
    """
    if isinstance(weights, BetaPrior):
        check_alone(concentration)
        return _joint_beta(
            *checked(
                mask,
                promote=True,
                alpha=Argument(weights.alpha, domain=NOT_NEGATIVE),
                beta=Argument(weights.beta, domain=NOT_NEGATIVE),
                allocation=Argument(allocation, domain=NOT_NEGATIVE),
            )
        )
    return _joint(*_arguments(weights, concentration, allocation, mask))


@rounded
def success_probability(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """Probability that at least one rollout succeeds, 1 - exp(log failure).

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)` (see
            `optimal_allocation`); from 1e-30 to 2^23 in float32, 1e-290 to 2^52 in float64.
        allocation: rollouts B ≥ 0, integer or real, shape `(..., k)`.
        mask: boolean `(..., k)`; candidates that are false count for nothing.

    Returns:
        Shape `(...)`, in [0, 1], with the relative accuracy of `log_failure` however small it is.
        Differentiable as `log_failure`, and at w = 1 too: with the relative accuracy of its own,
        however near 1 the success is.
        Once failure is below half an ulp, success is 1; `log_failure` still shows how rare it is.

    Raises:
        ValueError: as `log_failure`.

    Examples:
        >>> round(float(dt.success_probability(np.array([0.7, 0.3]), 1.0, np.array([4, 1]))), 4)
        0.9137

    Source: eq. 5-7.
    """
    return _success(*_arguments(weights, concentration, allocation, mask))


@rounded
def candidate_log_failure(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Log probability that every rollout of a candidate fails, for each candidate.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)` (see
            `optimal_allocation`); from 1e-30 to 2^23 in float32, 1e-290 to 2^52 in float64.
        allocation: rollouts B ≥ 0, integer or real, shape `(..., k)`.
        mask: boolean `(..., k)`, false for padding, which has 0.

    Returns:
        Shape `(..., k)`, as accurate as `log_failure`, which is its sum.

    Raises:
        ValueError: as `log_failure`.

    Examples:
        >>> np.asarray(dt.candidate_log_failure(np.array([0.7, 0.3]), 1.0, np.array([4, 1])),
        ...     float).round(4)
        array([-2.0928, -0.3567])

    Source: eq. 6, theory 1.
    """
    return each_log_failure(*_arguments(weights, concentration, allocation, mask))


@rounded
def priorities(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    allocation: Real[ArrayLike, "*#batch k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Priority of each candidate's next rollout, w/(κ + B): the posterior mean after B failures.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)` (see
            `optimal_allocation`); from 1e-30 to 2^23 in float32, 1e-290 to 2^52 in float64.
        allocation: rollouts B ≥ 0, shape `(..., k)`.
        mask: boolean `(..., k)`, false for padding, which has 0.

    Returns:
        Shape `(..., k)`, the quotient in the working dtype, which is what allocations compare. The
        posterior mean itself is κ times it; where each candidate has its own κ, it is that mean.

    Raises:
        ValueError: as `log_failure`.

    Examples:
        >>> np.asarray(dt.priorities(np.array([0.7, 0.3]), 1.0, np.array([4, 1])), float).round(4)
        array([0.14, 0.15])

    Source: theory 2.1, 5.2.
    """
    return _priorities(*_arguments(weights, concentration, allocation, mask))


@jax.jit
def each_log_failure(w: Array, kappa: Array, n: Array, m: Array) -> Array:
    """`candidate_log_failure`, unchecked, for κ of shape `(..., 1)` or `(..., k)`."""
    bad = _bad(w, kappa, n, m)
    w, kappa, n = (jnp.broadcast_to(x, m.shape) for x in (w, kappa, n))
    # Padding may hold anything, NaN too: it must not reach a sum or a derivative.
    kappa = jnp.where(m, kappa, 1)
    found = log_failure_of(jnp.where(m, w, 0.5), kappa, jnp.where(m, n, 0))
    return spoiled(jnp.where(m, found, 0), bad)


@jax.jit
def _joint(w: Array, kappa: Array, n: Array, m: Array) -> Array:
    return each_log_failure(w, kappa, n, m).sum(-1)


@jax.jit
def _success(w: Array, kappa: Array, n: Array, m: Array) -> Array:
    bad = _bad(w, kappa, n, m)
    w, kappa, n = (jnp.broadcast_to(x, m.shape) for x in (w, kappa, n))
    return spoiled(_any_hit(*(jnp.where(m, x, y) for x, y in ((w, 0), (kappa, 1), (n, 0)))), bad, 0)


@jax.custom_jvp
def _any_hit(w: Array, kappa: Array, n: Array) -> Array:
    """1 less the product of the failures of candidates, which are the last axis."""
    # Not -expm1, which of no rollout is minus 0.
    return 0.0 - jnp.expm1(log_failure_of(w, kappa, n).sum(-1))


@_any_hit.defjvp
def _any_hit_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    w, kappa, n = primals
    logs, slope = jax.jvp(log_failure_of, primals, tangents)
    return _any_hit(w, kappa, n), _hit_slope(logs, slope, kappa, n, -tangents[0])


@jax.custom_jvp
def any_hit_beta(a: Array, b: Array, n: Array) -> Array:
    """The same for p ~ Beta(a, b), differentiable at b = 0 too."""
    return 0.0 - jnp.expm1(log_rising_ratio(a, b, n).sum(-1))


@any_hit_beta.defjvp
def _any_hit_beta_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    a, b, n = primals
    by = tangents[1] / jnp.where(a > 0, a, 1)
    logs, slope = jax.jvp(log_rising_ratio, primals, tangents)
    return any_hit_beta(a, b, n), _hit_slope(logs, slope, a, n, by)


def _hit_slope(logs: Array, slope: Array, a: Array, n: Array, by: Array) -> Array:
    """The slope of success from log failures, their slopes, and by = db/a where a failure is 0.

    A failure of 0 has no logarithm, but the slope (a + n)/n (1)_n/(a + 1)_n db/a in its b.
    """
    never = jnp.isneginf(logs)
    some, safe = jnp.where(never, n, 1), jnp.where(never, a, 1)
    steep = (safe + some) / some * jnp.exp(log_rising_ratio(safe, jnp.ones_like(safe), some))
    slope = jnp.where(never, steep * by, slope)
    others = never.sum(-1, keepdims=True) - never
    rest = jnp.exp(jnp.where(never, 0, logs).sum(-1))
    return -rest * jnp.where(others == 0, slope, 0).sum(-1)


@jax.jit
def _joint_beta(a: Array, b: Array, n: Array, m: Array) -> Array:
    bad = NOT_NEGATIVE.fails(a, 1, m) | NOT_NEGATIVE.fails(b, 1, m) | NOT_NEGATIVE.fails(n, 1, m)
    bad |= POSITIVE.fails(a + b, 1, m)
    a, b, n = (jnp.where(m, x, 1) for x in (a, b, n))
    return spoiled(jnp.where(m, log_rising_ratio(a, b, n), 0).sum(-1), bad, 0)


@jax.jit
def _priorities(w: Array, kappa: Array, n: Array, m: Array) -> Array:
    found = jnp.where(m, numerators(w, kappa) / (kappa + n), 0)
    return spoiled(found, _bad(w, kappa, n, m))


def _bad(w: Array, kappa: Array, n: Array, m: Array) -> Array:
    bad = SHARE.fails(w, 1, m) | NOT_NEGATIVE.fails(n, 1, m)
    return bad | offset_fails(kappa, m)


def numerators(w: Float[Array, "*#batch k"], kappa: Float[Array, "*#batch n"]) -> Array:
    """What divisors κ + r divide: w, or κw where each candidate has its own κ (theory 9.2.1)."""
    return w if kappa.shape[-1] == 1 else kappa * w


def check_alone(concentration: object) -> None:
    """`ValueError` for a κ beside a `BetaPrior`, which has its own."""
    if concentration is not None:
        raise ValueError("concentration: a BetaPrior has its own, so it needs None")


def _arguments(
    weights: ArrayLike,
    concentration: ArrayLike | None,
    allocation: ArrayLike,
    mask: ArrayLike | None,
) -> tuple[Array, Array, Array, Array]:
    """Checked w, κ and B, which fit the shape `(..., k)` of the mask."""
    return checked(
        mask,
        promote=True,
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "?k", offset_domain),
        allocation=Argument(allocation, domain=NOT_NEGATIVE),
    )
