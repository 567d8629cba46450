r"""One budget for many problems, all rollouts fixed in advance: the exact optimum (theory 7.1).

The marginals Δ(n) = v F(n) h_{n+1} of every problem fall, so the N largest of all of them are an
optimum, for every N at once, with floors and caps too. The price of a rollout is searched first
(`prices`); what that leaves, a rollout or two a problem, is settled by the
certificate: while some unserved marginal exceeds a served one, the largest of both are kept.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import Argument, check_number, host_float, is_concrete, is_host
from dora_theory._domains import COUNT, Domain
from dora_theory.allocation import exchange
from dora_theory.allocation.instances import (
    MOST,
    Instance,
    checked_problems,
    over_batch,
    voided,
)
from dora_theory.model.priors import BetaPrior, KnownPrior

_ANY = Domain(infinite=True)


class ProblemAllocation(NamedTuple):
    """An optimum of theory 7.1.

    Attributes:
        rollouts: n of each problem, int32, shape `(..., m)`.
        allocation: the same by candidate, int32, shape `(..., m, k)`; k = 1 for `KnownPrior`.
        log_price: log of what one more rollout would be worth (for costs: of a unit of cost),
            shape `(...)`; -inf if nothing is left to be gained.
        unspent: what caps, or an item that does not fit, leave of the budget, shape `(...)`.
    """

    rollouts: Int[Array, "*batch m"]
    allocation: Int[Array, "*batch m k"]
    log_price: Float[Array, "*batch"]
    unspent: Real[Array, "*batch"]


class ProblemSet(NamedTuple):
    """All optima: `base` plus one rollout to any `spare` of the `tied` problems.

    Attributes:
        base: rollouts that every optimum gives, int32, shape `(..., m)`.
        tied: problems whose next marginal ties for the last places, shape `(..., m)`.
        spare: how many of the tied are served, shape `(...)`; there are C(tied, spare) optima.
    """

    base: Int[Array, "*batch m"]
    tied: Bool[Array, "*batch m"]
    spare: Int[Array, "*batch"]


def allocate_problems(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Real[ArrayLike, "*#batch #m"] = 0,
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None = None,
    costs: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> ProblemAllocation:
    """Rollouts of every problem that maximize Σ v (1 - F(n)), all fixed in advance.

    Args:
        values: v > 0 of solving each problem, shape `(..., m)` or a scalar.
        prior: `BetaPrior` with a and b of shape `(..., m, k)`, k candidates of each problem (k = 1
            for one latent p), or `KnownPrior` with p of shape `(..., m)`.
        total: N, integer in [0, 2^30], scalar or shape `(...)`; with `costs` a real budget.
        min_rollouts: floors, integers ≥ 0.
        max_rollouts: caps ≥ floors, integers; None for none.
        costs: c > 0 of a rollout of each problem; None for 1. Marginals are then ordered by Δ/c,
            and the first that does not fit ends the allocation: the value is the optimum of what
            is spent, and below that of the budget by at most this one rollout's.
        mask: boolean `(..., m, k)`, false for padding.

    Returns:
        `ProblemAllocation`. Its sum is N unless caps forbid it. Marginals that agree to 64
        ulps of their logarithm (1.4e-14 (1 + |log Δ|) in float64, 7.6e-6 in float32) are a
        tie; ties go to the lowest problem, inside a problem to the lowest candidate. Where nothing
        is left to be gained the lowest problem with room takes the rest.

    Raises:
        ValueError: NaN, values out of range, floors above caps or above N, shapes that do not fit;
            costs so small that N pays for more than 2^30 rollouts; in float32 a problem that would
            receive more than 2^22. Where that cannot be looked at,
            the results of this budget are -1 and NaN.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.allocate_problems(1.0, prior, 6).rollouts
        Array([3, 3], dtype=int32)

    Source: theory 7.1; memory O(m k), and time O(m k) a pass of the search, which no N changes.
    """
    problem, batch = checked_problems(values, prior, total, min_rollouts, max_rollouts, costs, mask)
    found = ProblemAllocation(*over_batch(exchange.optimal, batch, problem))
    return voided(found, _too_many(found.rollouts, total, problem))


def _too_many(rollouts: Array, total: Real[ArrayLike, "..."], problem: Instance) -> Array:
    """Budgets that give a problem more than its dtype counts; `ValueError` if that is seen."""
    if problem.log_value.dtype != jnp.float32:
        return jnp.zeros(rollouts.shape[:-1], bool)
    many = (rollouts > exchange.SINGLE).any(-1)
    # Only so large a budget is worth the wait.
    large = is_host(total) and np.any(host_array(total) > exchange.SINGLE)
    if large and is_concrete(many) and many.any():
        raise ValueError(
            "total: a problem receives more rollouts than float32 counts (2^22); "
            "turn on jax_enable_x64"
        )
    return many


def optimal_problem_set(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Real[ArrayLike, "*#batch #m"] = 0,
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> ProblemSet:
    """All optima of `allocate_problems`, when ties leave a choice; unit costs.

    Args: as `allocate_problems`.

    Returns:
        `ProblemSet(base, tied, spare)`; without a choice `tied` is empty and `spare` 0. Where
        nothing is left to be gained (price 0) every way to spend the rest is optimal, and only the
        canonical one is given.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.KnownPrior(np.array([0.5, 0.5, 0.5]))
        >>> found = dt.optimal_problem_set(1.0, prior, 4)
        >>> found.tied, int(found.spare)
        (Array([ True,  True,  True], dtype=bool), 1)

    Source: theory 7.1b.
    """
    problem, batch = checked_problems(values, prior, total, min_rollouts, max_rollouts, mask=mask)
    found = ProblemSet(*over_batch(exchange.all_optima, batch, problem))
    return voided(found, _too_many(found.base, total, problem))


def expected_value(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    allocation: Real[ArrayLike, "*#batch m #k"],
    *,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Float[Array, "*batch m"]:
    """V (1 - F) of each problem: what the rollouts of its candidates are expected to gain.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: as for `allocate_problems`.
        allocation: integers ≥ 0, shape `(..., m, k)`.
        mask: boolean `(..., m, k)`.

    Returns:
        Shape `(..., m)`, relative error 1e-14 in float64 and 1e-6 in float32.

    Raises:
        ValueError: NaN, values out of range, shapes that do not fit.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> np.asarray(dt.expected_value(1.0, prior, np.array([[3], [3]])), float).round(3)
        array([0.75 , 0.234])

    Source: theory 7.1e.
    """
    problem, batch, counts = checked_problems(
        values, prior, mask=mask, allocation=Argument(allocation, "k", COUNT)
    )
    return over_batch(exchange.gained, batch, problem, counts, each=True)


def dual_bound(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    total: Real[ArrayLike, "*#batch"],
    log_price: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Float[Array, "*batch"]:
    """D(λ) = λN + Σ max_n [v (1 - F(n)) - λ n], an upper bound of the committed value for every λ.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: as for `allocate_problems`.
        total: N.
        log_price: log λ, scalar or shape `(...)`.
        mask: boolean `(..., m, k)`.

    Returns:
        D, shape `(...)`; equal to the optimum iff λ lies between the N-th largest marginal and the
        next (theory 7.1c).

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> found = dt.allocate_problems(1.0, prior, 6)
        >>> value = dt.expected_value(1.0, prior, found.allocation).sum()
        >>> bound = dt.dual_bound(1.0, prior, 6, found.log_price)
        >>> bool(abs(bound - value) < 1e-5)
        True

    Source: theory 7.1c.
    """
    problem, batch, y = checked_problems(
        values, prior, total, mask=mask, log_price=_log_price(log_price)
    )
    return over_batch(exchange.dual, batch, problem, y[..., 0])


def count_at_price(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    log_price: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Int[Array, "*batch m"]:
    """How many marginals of each problem are at least λ, that is, what it buys at this price.

    Args: as `dual_bound`, without the total.

    Returns:
        int32, shape `(..., m)`, at most 2^31 - 1; a marginal within rounding of λ counts.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.count_at_price(1.0, prior, np.log(0.05))
        Array([4, 3], dtype=int32)

    Source: theory 7.1d.
    """
    problem, batch, y = checked_problems(values, prior, mask=mask, log_price=_log_price(log_price))
    return over_batch(_bought, batch, problem, y[..., 0], each=True)


def _bought(x: Instance, log_price: Array) -> Array:
    free = log_price == -jnp.inf
    counts = exchange.bought(x, jnp.where(free, 0, log_price)).sum(-1, dtype=jnp.int32)
    return jnp.where(free, x.hazards.useful(), counts)


def _log_price(log_price: Real[ArrayLike, "*#batch"]) -> Argument:
    # A price of nothing, log -inf, is what an allocation may leave.
    y = host_float("log_price", log_price)
    _ANY.check("log_price", y)
    return Argument(y[..., None], "", _ANY)


def fewest_rollouts(
    values: Real[ArrayLike, " #m"],
    prior: BetaPrior | KnownPrior,
    target: float,
    *,
    mask: Bool[ArrayLike, "#m #k"] | None = None,
) -> int:
    """The smallest N whose optimum is expected to gain at least `target`; one set of problems.

    Args:
        values: v > 0, shape `(m,)` or a scalar.
        prior: as for `allocate_problems`, without leading axes.
        target: expected value to be reached.
        mask: boolean `(m, k)`.

    Returns:
        N, found by up to 60 allocations.

    Raises:
        ValueError: no N up to 2^30 reaches the target; as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.fewest_rollouts(1.0, prior, 1.0)
        7

    Source: theory 7.1c.
    """

    def reaches(total: int) -> bool:
        found = allocate_problems(values, prior, total, mask=mask)
        return bool(expected_value(values, prior, found.allocation, mask=mask).sum() >= target)

    check_number("target", target)
    if target <= 0:
        return 0
    most = float(dual_bound(values, prior, 0, -jnp.inf, mask=mask))
    if target > most:
        raise ValueError(f"target = {target}: no rollouts reach it, all there is to gain is {most}")
    low, high = 0, 1
    while not reaches(high):
        if high >= MOST:
            raise ValueError(f"target = {target}: {high} rollouts do not reach it")
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
