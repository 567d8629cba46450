"""The certificate of one budget for many problems: the order of two marginals (theory 7.1b)."""

from jaxtyping import Array, Bool, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import Argument, is_host
from dora_theory._domains import COUNT, NOT_NEGATIVE
from dora_theory.allocation import exchange
from dora_theory.allocation.certificate import Certificate
from dora_theory.allocation.instances import (
    checked_problems,
    over_batch,
)
from dora_theory.model.priors import BetaPrior, KnownPrior


def problem_certificate(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    rollouts: Real[ArrayLike, "*#batch m"],
    *,
    min_rollouts: Real[ArrayLike, "*#batch #m"] = 0,
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None = None,
    costs: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Certificate:
    """The two log marginals whose order decides whether an allocation is optimal for its own sum.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: as for `allocate_problems`.
        rollouts: n of each problem, integers between floor and cap, shape `(..., m)`; candidates of
            a problem share them in the best way.
        min_rollouts: floors.
        max_rollouts: caps.
        costs: of a rollout; None for 1.
        mask: boolean `(..., m, k)`.

    Returns:
        `Certificate(largest_next, smallest_last)`, the largest log Δ(n) below its cap, and the
        smallest log Δ(n - 1) above its floor, shape `(...)`. Optimal iff the first is not larger.

    Raises:
        ValueError: as `allocate_problems`; rollouts outside floors and caps.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> found = dt.problem_certificate(1.0, prior, np.array([3, 3]))
        >>> bool(found.largest_next <= found.smallest_last)
        True

    Source: theory 7.1b; O(m k).
    """
    problem, batch, n = checked_problems(
        values,
        prior,
        0,
        min_rollouts,
        max_rollouts,
        costs,
        mask,
        sums=False,
        rollouts=Argument(rollouts, "", COUNT),
    )
    if is_host(rollouts):
        given = host_array(rollouts, float)
        for name, limit, sign in (("min", min_rollouts, 1), ("max", max_rollouts, -1)):
            if limit is not None and is_host(limit):
                apart = sign * (given - host_array(limit, float))
                order = "rollouts - min_rollouts" if name == "min" else "max_rollouts - rollouts"
                NOT_NEGATIVE.check(order, apart)
    outside = (n < problem.low) | (n > problem.high)
    problem = problem._replace(bad=problem.bad | outside)
    return Certificate(*over_batch(exchange.certified, batch, problem, n))


def is_optimal_across(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    rollouts: Real[ArrayLike, "*#batch m"],
    *,
    min_rollouts: Real[ArrayLike, "*#batch #m"] = 0,
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None = None,
    costs: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Bool[Array, "*batch"]:
    """Whether rollouts maximize Σ v (1 - F(n)) among all that spend as much.

    Args: as `problem_certificate`.

    Returns:
        Booleans of shape `(...)`, up to the tie of `allocate_problems`.

    Raises:
        ValueError: as `problem_certificate`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> bool(dt.is_optimal_across(1.0, prior, np.array([3, 3])))
        True

    Source: theory 7.1b.
    """
    found = problem_certificate(
        values,
        prior,
        rollouts,
        min_rollouts=min_rollouts,
        max_rollouts=max_rollouts,
        costs=costs,
        mask=mask,
    )
    return found.largest_next <= found.smallest_last + exchange.tie(found.smallest_last)
