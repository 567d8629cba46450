"""The best R rounds of endless problems, whose shares are expectations (theory 7.2g to 7.2i)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dora_theory._checks import check_number, check_whole

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


def identical_rounds(rounds: int, cost: float) -> IdenticalRounds:
    """The best R rounds on problems of one small known p, at a cost of `cost`/p each.

    Args:
        rounds: R ≥ 1.
        cost: expected rollouts per problem times p, in (0, 1); 1 is the worst case of all priors,
            where R rounds keep 1 - u_R.

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

    x = depths(halved(lambda first: spent(first) - cost, 0.0, cost))
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
        excess = halved(lambda e: float(spent(e).sum()) - budget, 0.0, budget)
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
    """The exponent a + a² + … + a^R of the share unsolved after R rounds, for a < 1.

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


def halved(of, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
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
