r"""Scaling laws of unsolved against budget for many problems, p ~ Beta(a, b), and their constants.

f(s) is the share unsolved at depth s, n the budget in rollouts per problem (theory 7.4); R rounds
are fluid here: problems without end, so that shares are expectations (theory 7.2g to 7.2i).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from dora_theory._checks import as_float, check_candidates, check_number, check_range, check_whole
from dora_theory.model.pochhammer import log_rising_ratio

# Within this of a = 1 the quotient (…)/(a - 1) is its limit's series instead.
_NEAR_ONE = 1e-5
# Terms that are summed one by one where the closed form would lose digits.
_SUM = 1 << 16
_HALVINGS = 200


class IdenticalRounds(NamedTuple):
    """R rounds on problems of one small known p: depths in units of 1/p, and what they leave.

    Attributes:
        unsolved: share left after the last round.
        depths: x_1, …, x_R, rollouts per problem of each round times p.
    """

    unsolved: float
    depths: Float[np.ndarray, " rounds"]


class LomaxRounds(NamedTuple):
    """The best R rounds for p ~ Gamma(a, θ), the law of Beta(a, b) for small p.

    Attributes:
        log_unsolved: log of the share left after the last round.
        ratios: ρ_r = (s_r + θ)/(s_{r-1} + θ).
        shares: of the budget that each round spends.
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
        [(a + b - 1) - (a + b + s - 1) f(s)]/(a - 1), at a = 1 its limit b[ψ(b + s) - ψ(b)], which
        also stands within 1e-5 of 1, up to a relative 1e-4 of error there; elsewhere up to the
        cancellation of the quotient, 1e-10 in float64.

    Raises:
        ValueError: values out of range, shapes that do not fit.

    Source: theory 7.4b.
    """
    a, b, s = _checked(alpha, beta, depth)
    near = jnp.abs(a - 1) < _NEAR_ONE
    safe = jnp.where(near, 2, a)
    failure = jnp.exp(log_rising_ratio(safe, b, s))
    far = ((safe + b - 1) - (safe + b + s - 1) * failure) / (safe - 1)
    from jax.scipy.special import digamma

    return jnp.where(near, b * (digamma(b + s) - digamma(b)), far)


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

    Source: theory 7.4b.
    """
    check_range("depth", as_float("depth", depth), 0, low_open=True)
    return as_float("depth", depth) / coverage_cost(alpha, beta, depth)


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

    Source: theory 7.4.
    """
    check_number("coverage", coverage, 0, 1, high_open=True)
    a, b, _ = _checked(alpha, beta, 0.0)
    x, y = float(a), float(b)

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

    Source: theory 7.4c.
    """
    a = _exponent(alpha)
    return jnp.exp(-jnp.log1p(-a) / a)


def price_of_not_knowing(alpha: Real[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """Γ(1 + a)^((1 - a)/a) Γ(a): rollouts for the same failure, p unknown though outcomes are seen.

    Args:
        alpha: a in (0, 1).

    Returns:
        The factor against the adaptive policy that knows p; π/2 at a = 1/2. It crosses
        `price_of_not_looking` at a = 0.21385.

    Raises:
        ValueError: a outside (0, 1).

    Source: theory 7.4c.
    """
    from jax.scipy.special import gammaln

    a = _exponent(alpha)
    return jnp.exp((1 - a) / a * gammaln(1 + a) + gammaln(a))


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

    Source: theory 7.4d.
    """
    from jax.scipy.special import gammaln

    w, kappa = as_float("weights", weights), as_float("concentration", concentration)
    check_candidates("weights", w)
    check_range("weights", w, 0, 1, low_open=True, high_open=True)
    check_range("sum of weights", w.sum(-1), 1 - 1e-5, 1 + 1e-5)
    check_range("concentration", kappa, 0, low_open=True)
    entropy = -(w * jnp.log(w)).sum(-1)
    return kappa * entropy + (gammaln(kappa)[..., None] - gammaln(kappa[..., None] * (1 - w))).sum(
        -1
    )


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

    Source: theory 7.2i, 7.4b.
    """
    r = check_whole("rounds", rounds, 1)
    check_number("alpha", alpha, 0, 1, low_open=True, high_open=True)
    return float(alpha ** np.arange(1.0, r + 1) @ np.ones(r))


def _checked(alpha: ArrayLike, beta: ArrayLike, depth: ArrayLike) -> tuple[Array, Array, Array]:
    a, b, s = (as_float(n, x) for n, x in (("alpha", alpha), ("beta", beta), ("depth", depth)))
    check_range("alpha", a, 0, low_open=True)
    check_range("beta", b, 0, low_open=True)
    check_range("depth", s, 0)
    dtype = jnp.result_type(a, b, s)
    a, b, s = jnp.broadcast_arrays(*(x.astype(dtype) for x in (a, b, s)))
    return a, b, s


def _exponent(alpha: ArrayLike) -> Array:
    a = as_float("alpha", alpha)
    check_range("alpha", a, 0, 1, low_open=True, high_open=True)
    return a


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
