r"""Scaling laws of unsolved against budget for many problems, p ~ Beta(a, b), and their constants.

f(s) is the share unsolved at depth s, n the budget in rollouts per problem (theory 7.4); R rounds
are fluid here: problems without end, so that shares are expectations (theory 7.2g to 7.2i).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_number, check_whole, checked, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, Domain, offset_domain, spoiled
from dora_theory.model.pochhammer import log_rising_ratio

_EXPONENT = Domain(0, 1, low_open=True, high_open=True)
_WHOLE = Domain(1 - 1e-5, 1 + 1e-5)
# As near to a = 1 as makes no difference to its limit.
_LIMIT = 1e-20
# Terms that are summed one by one where the closed form would lose digits.
_SUM = 1 << 16
_HALVINGS = 200


class IdenticalRounds(NamedTuple):
    """R rounds on problems of one small known p: depths in units of 1/p, and what they leave.

    Attributes:
        unsolved: share left after the last round.
        depths: x_1, …, x_R, rollouts per problem of each round times p.

    Examples:
        >>> dt.identical_rounds(2, 1.0)._fields
        ('unsolved', 'depths')
    """

    unsolved: float
    depths: Float[np.ndarray, " rounds"]


class LomaxRounds(NamedTuple):
    """The best R rounds for p ~ Gamma(a, θ), the law of Beta(a, b) for small p.

    Attributes:
        log_unsolved: log of the share left after the last round.
        ratios: ρ_r = (s_r + θ)/(s_{r-1} + θ).
        shares: of the budget that each round spends.

    Examples:
        >>> dt.lomax_rounds(0.4, 2, 8.0)._fields
        ('log_unsolved', 'ratios', 'shares')
    """

    log_unsolved: float
    ratios: Float[np.ndarray, " rounds"]
    shares: Float[np.ndarray, " rounds"]


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
    return _halved(lambda s: log_failure(s) - goal, low, high)


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
    weights: Real[ArrayLike, "*batch k"], concentration: Real[ArrayLike, "*#batch"]
) -> Float[Array, "*batch"]:
    """Log C of F ~ C N^-κ, the failure of one DORA problem in the optimal order.

    Args:
        weights: qualities w > 0 of sum 1, shape `(..., k)`, each below 1.
        concentration: κ > 0.

    Returns:
        κ H(w) + Σ [lgamma κ - lgamma κ(1 - w)], shape `(...)`.

    Raises:
        ValueError: weights out of range or whose sum is not 1.

    Examples:
        >>> round(float(dt.dora_constant(np.array([0.5, 0.3, 0.2]), 1.0)), 4)
        0.0444

    Source: theory 7.4d.
    """
    w, kappa, _ = checked(
        promote=True,
        weights=Argument(weights, domain=_EXPONENT),
        concentration=Argument(concentration, "", offset_domain),
    )
    if is_host(weights):
        _WHOLE.check("sum of weights", np.asarray(weights, float).sum(-1))
    return _constant(w, kappa)


@jax.jit
def _constant(w: Array, kappa: Array) -> Array:
    from jax.scipy.special import gammaln

    bad = _EXPONENT.fails(w, 1) | _WHOLE.fails(w.sum(-1)) | offset_domain(w.dtype).fails(kappa)
    entropy = -(w * jnp.log(w)).sum(-1)
    kappa = kappa[..., None]
    terms = gammaln(kappa) - gammaln(kappa * (1 - w))
    return spoiled(kappa[..., 0] * entropy + terms.sum(-1), bad, 0)


def identical_rounds(rounds: int, cost: float) -> IdenticalRounds:
    """The best R rounds on problems of one small known p, at a cost of `cost`/p each.

    Args:
        rounds: R ≥ 1.
        cost: expected rollouts per problem times p, in (0, 1); at 1 the worst case of all priors
            is met, of which R rounds keep 1 - u_R.

    Returns:
        `IdenticalRounds`, from x_{r+1} = e^(x_r) - 1, to a relative 1e-13.

    Raises:
        ValueError: values out of range.

    Examples:
        >>> found = dt.identical_rounds(2, 1.0)
        >>> round(1 - found.unsolved, 3)
        0.736

    Source: theory 7.2g, 7.2h.
    """
    r = check_whole("rounds", rounds, 1)
    check_number("cost", cost, 0, 1, low_open=True)

    def depths(first: float) -> np.ndarray:
        x = [first]
        for _ in range(r - 1):
            x.append(min(np.expm1(min(x[-1], 700.0)), 1e300))
        return np.array(x)

    def spent(first: float) -> float:
        x = depths(first)
        before = np.concatenate([[0.0], np.minimum(np.cumsum(x)[:-1], 1e300)])
        return float((x * np.exp(-before)).sum())

    x = depths(_halved(lambda first: spent(first) - cost, 0.0, cost))
    return IdenticalRounds(float(np.exp(-x.sum())), x)


def lomax_rounds(alpha: float, rounds: int, budget: float) -> LomaxRounds:
    """The best R rounds where the share unsolved at depth s is (1 + s/θ)^-a.

    Args:
        alpha: a > 0.
        rounds: R ≥ 1.
        budget: n/θ > 0, rollouts per problem in units of θ (b, for Beta(a, b) and small p).

    Returns:
        `LomaxRounds`, from ρ_{r+1} = 1 + (ρ_r^a - 1)/a, to a relative 1e-12.

    Raises:
        ValueError: values out of range.

    Examples:
        >>> found = dt.lomax_rounds(1.0, 2, 8.0)
        >>> np.round(found.ratios, 3), np.round(found.shares, 3)
        (array([5., 5.]), array([0.5, 0.5]))

    Source: theory 7.2g; at a = 1 the unsolved are (1 + n/(θR))^-R exactly.
    """
    r = check_whole("rounds", rounds, 1)
    check_number("alpha", alpha, 0, low_open=True)
    check_number("budget", budget, 0, low_open=True)

    def ratios(excess: float) -> np.ndarray:
        """ρ - 1 of each round."""
        x = [excess]
        for _ in range(r - 1):
            x.append(np.expm1(alpha * np.log1p(x[-1])) / alpha)
        return np.array(x)

    def spent(excess: float) -> np.ndarray:
        x = ratios(excess)
        log_place = np.concatenate([[0.0], np.cumsum(np.log1p(x))[:-1]])
        return np.exp((1 - alpha) * log_place) * x

    with np.errstate(over="ignore"):
        excess = _halved(lambda e: float(spent(e).sum()) - budget, 0.0, budget)
    x, cost = ratios(excess), spent(excess)
    return LomaxRounds(float(-alpha * np.log1p(x).sum()), 1 + x, cost / cost.sum())


def split_shares(alpha: float, rounds: int) -> Float[np.ndarray, " rounds"]:
    """The best shares of the budget of R rounds in the limit, π_r ∝ a^-r, for a < 1.

    Args:
        alpha: a in (0, 1).
        rounds: R ≥ 1.

    Returns:
        π of sum 1, the last round the largest. Any other split σ costs exp KL(π‖σ) times the
        rollouts; at finite budgets equal shares are within 1.16 of it (theory 7.2i).

    Raises:
        ValueError: values out of range.

    Examples:
        >>> np.asarray(dt.split_shares(0.5, 3), float).round(3)
        array([0.143, 0.286, 0.571])

    Source: theory 7.2i.
    """
    r = check_whole("rounds", rounds, 1)
    check_number("alpha", alpha, 0, 1, low_open=True, high_open=True)
    shares = alpha ** np.arange(r - 1, -1, -1.0)
    return shares / shares.sum()


def rounds_exponent(alpha: float, rounds: int) -> float:
    """A + a² + … + a^R: the exponent of the share unsolved after R rounds, for a < 1.

    Args:
        alpha: a in (0, 1).
        rounds: R ≥ 1.

    Returns:
        The exponent; R → ∞ is a/(1 - a), that of looking at every rollout.

    Raises:
        ValueError: values out of range.

    Examples:
        >>> round(dt.rounds_exponent(0.5, 3), 4)
        0.875

    Source: theory 7.2i, 7.4b.
    """
    r = check_whole("rounds", rounds, 1)
    check_number("alpha", alpha, 0, 1, low_open=True, high_open=True)
    return float(alpha ** np.arange(1.0, r + 1) @ np.ones(r))


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


def _halved(of, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
    """The root of a rising function, or of a falling one that starts above 0."""
    rising = of(high) >= of(low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (of(middle) < 0) == rising:
            low = middle
        else:
            high = middle
        if high - low <= 1e-16 * high:
            break
    return (low + high) / 2
