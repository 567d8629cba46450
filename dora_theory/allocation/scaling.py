r"""Scaling laws of unsolved against budget for many problems, p ~ Beta(a, b), and their constants.

f(s) is the share unsolved at depth s, n the budget in rollouts per problem (theory 7.4).
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import Argument, check_number, checked, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, Domain, offset_domain, spoiled
from dora_theory.allocation.fluid_rounds import halved
from dora_theory.model.pochhammer import log_rising_ratio

_EXPONENT = Domain(0, 1, low_open=True, high_open=True)
_WHOLE = Domain(1 - 1e-5, 1 + 1e-5)
# As near to a = 1 as makes no difference to its limit.
_LIMIT = 1e-20


def coverage_cost(
    alpha: Real[ArrayLike, "*#batch"],
    beta: Real[ArrayLike, "*#batch"],
    depth: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """Rollouts per problem that round robin to depth s costs, Σ_{j<s} f(j).

    Args:
        alpha: a > 0.
        beta: b > 0.
        depth: s ≥ 0.

    Returns:
        [(a + b - 1) - (a + b + s - 1) f(s)]/(a - 1), at a = 1 its limit b[ψ(b + s) - ψ(b)], to a
        relative 1e-14 in float64 and 1e-5 in float32 for a, b from 1e-6 to 1e6 and s up to 1e6.

    Raises:
        ValueError: values out of range, shapes that do not fit.

    Examples:
        >>> round(float(dt.coverage_cost(0.42, 0.55, 4)), 3)
        2.396

    Source: theory 7.4b.
    """
    a, b, s, _ = _checked(alpha, beta, depth, NOT_NEGATIVE)
    return _cost(a, b, s)


@jax.jit
def _cost(a: Array, b: Array, s: Array) -> Array:
    bad = POSITIVE.fails(a) | POSITIVE.fails(b) | NOT_NEGATIVE.fails(s)
    # Against b/(b + s), which is f(s) at a = 1, nothing cancels.
    above, apart = a >= 1, jnp.maximum(jnp.abs(a - 1), _LIMIT)
    fall = log_rising_ratio(apart, jnp.where(above, b + 1, a + b), s)
    rest = jnp.expm1(jnp.where(above, fall, -fall)) * jnp.where(above, -1, 1)
    solved = -jnp.expm1(log_rising_ratio(a, b, s))
    return spoiled(solved + b * rest / apart, bad, 0)


def saving_factor(
    alpha: Real[ArrayLike, "*#batch"],
    beta: Real[ArrayLike, "*#batch"],
    depth: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """How many times fewer rollouts round robin needs than uniform for the coverage at depth s.

    Args:
        alpha: a > 0.
        beta: b > 0.
        depth: s > 0.

    Returns:
        s/Σ_{j<s} f(j) in [1, 1/f(s)]; it tends to (1 - a)/f for a < 1. Accuracy as
        `coverage_cost`.

    Raises:
        ValueError: values out of range, shapes that do not fit.

    Examples:
        >>> round(float(dt.saving_factor(0.42, 0.55, 8)), 3)
        2.211

    Source: theory 7.4b.
    """
    a, b, s, _ = _checked(alpha, beta, depth, POSITIVE)
    return spoiled(s / _cost(a, b, s), POSITIVE.fails(s), 0)


def depth_at_coverage(alpha: float, beta: float, coverage: float) -> float:
    """The real depth s at which a share `coverage` of problems is solved, f(s) = 1 - coverage.

    Args:
        alpha: a > 0.
        beta: b > 0.
        coverage: in [0, 1).

    Returns:
        s, to a relative 1e-12; uniform allocation spends s rollouts per problem for it.

    Raises:
        ValueError: values out of range.

    Examples:
        >>> round(dt.depth_at_coverage(0.42, 0.55, 0.75), 2)
        8.77

    Source: theory 7.4.
    """
    check_number("coverage", coverage, 0, 1, high_open=True)
    for name, parameter in (("alpha", alpha), ("beta", beta)):
        check_number(name, parameter, 0, low_open=True)
    x, y = float(alpha), float(beta)

    def log_failure(s: float) -> float:
        return float(scipy.special.betaln(x, y + s) - scipy.special.betaln(x, y))

    goal = np.log1p(-coverage)
    low, high = 0.0, 1.0
    while log_failure(high) > goal:
        low, high = high, 2 * high
    return halved(lambda s: log_failure(s) - goal, low, high)


def price_of_not_looking(alpha: Real[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """(1 - a)^(-1/a): rollouts for the same failure, all fixed in advance though p is known.

    Args:
        alpha: a in (0, 1).

    Returns:
        The factor against the adaptive policy that knows p; e as a → 0, 4 at a = 1/2.

    Raises:
        ValueError: a outside (0, 1).

    Examples:
        >>> round(float(dt.price_of_not_looking(0.5)), 4)
        4.0

    Source: theory 7.4c.
    """
    return _not_looking(*_exponent(alpha))


@jax.jit
def _not_looking(a: Array, _: Array) -> Array:
    return spoiled(jnp.exp(-jnp.log1p(-a) / a), _EXPONENT.fails(a), 0)


def price_of_not_knowing(alpha: Real[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """Γ(1 + a)^((1 - a)/a) Γ(a): rollouts for the same failure, p unknown though outcomes are seen.

    Args:
        alpha: a in (0, 1).

    Returns:
        The factor against the adaptive policy that knows p; π/2 at a = 1/2. It crosses
        `price_of_not_looking` at a = 0.21385.

    Raises:
        ValueError: a outside (0, 1).

    Examples:
        >>> round(float(dt.price_of_not_knowing(0.5)), 4)
        1.5708

    Source: theory 7.4c.
    """
    return _not_knowing(*_exponent(alpha))


@jax.jit
def _not_knowing(a: Array, _: Array) -> Array:
    from jax.scipy.special import gammaln

    found = jnp.exp((1 - a) / a * gammaln(1 + a) + gammaln(a))
    return spoiled(found, _EXPONENT.fails(a), 0)


def dora_constant(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """Log C of F ~ C N^-κ, the failure of one DORA problem in the optimal order.

    Args:
        weights: qualities w > 0 of sum 1, shape `(..., k)`, each below 1.
        concentration: κ > 0.
        mask: boolean `(..., k)`, false for padding, which counts for nothing.

    Returns:
        κ H(w) + Σ [lgamma κ - lgamma κ(1 - w)], shape `(...)`.

    Raises:
        ValueError: weights out of range or whose sum is not 1.

    Examples:
        >>> round(float(dt.dora_constant(np.array([0.5, 0.3, 0.2]), 1.0)), 4)
        0.0444

    Source: theory 7.4d.
    """
    w, kappa, m = checked(
        mask,
        promote=True,
        weights=Argument(weights, domain=_EXPONENT),
        concentration=Argument(concentration, "", offset_domain),
    )
    if is_host(weights) and is_host(mask):
        values = host_array(weights, float)
        kept = values if mask is None else np.where(host_array(mask), values, 0)
        _WHOLE.check("sum of weights", kept.sum(-1))
    return _constant(w, kappa, m)


@jax.jit
def _constant(w: Array, kappa: Array, mask: Array) -> Array:
    from jax.scipy.special import gammaln

    bad = _EXPONENT.fails(w, 1, mask) | offset_domain(w.dtype).fails(kappa)
    bad |= _WHOLE.fails(jnp.where(mask, w, 0).sum(-1))
    w = jnp.where(mask, w, 0.5)
    entropy = -jnp.where(mask, w * jnp.log(w), 0).sum(-1)
    kappa = kappa[..., None]
    terms = jnp.where(mask, gammaln(kappa) - gammaln(kappa * (1 - w)), 0)
    return spoiled(kappa[..., 0] * entropy + terms.sum(-1), bad, 0)


def _checked(
    alpha: ArrayLike, beta: ArrayLike, depth: ArrayLike, depths: Domain
) -> tuple[Array, Array, Array, Array]:
    return checked(
        promote=True,
        alpha=Argument(alpha, "", POSITIVE),
        beta=Argument(beta, "", POSITIVE),
        depth=Argument(depth, "", depths),
    )


def _exponent(alpha: ArrayLike) -> tuple[Array, Array]:
    return checked(alpha=Argument(alpha, "", _EXPONENT))
