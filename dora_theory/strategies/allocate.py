"""Runs a strategy: its rule, and the rounding of weights to rollouts of sum N.

A budget of cost is hard: Σ c_i B_i ≤ C (theory 9.1.1). Strategies with a rule of their own for it
have costs in their objective; any other spends as it would without costs, for the largest N that
the budget pays for.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_range, is_concrete, is_host
from dora_theory.allocation.costs import SLACK
from dora_theory.allocation.optimal import apportion
from dora_theory.allocation.rounding import round_allocation
from dora_theory.io.correlations import correlation_fault
from dora_theory.kernels.varying import varying_with
from dora_theory.model.directions import direction_totals
from dora_theory.strategies.choosing import AnyStrategy, as_strategy
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import (
    ONE_CONCENTRATION,
    STRATEGIES,
    Strategy,
    direction_quality,
    quality,
)

_DEFAULT = Options()
# Of a problem, by cost: where float32 still counts rollouts.
MOST_BY_COST = 2**22


def allocate(
    problems: Problems,
    strategy: AnyStrategy,
    budget: Int[Any, "*#n"],
    options: Options = _DEFAULT,
    *,
    by_cost: bool = False,
) -> Real[Array, "n k"]:
    """Rollouts of each candidate under a strategy.

    Args:
        problems: n problems that have what the strategy needs.
        strategy: a key of `STRATEGIES`, or a rule of your own, see `as_strategy`.
        budget: N, scalar or shape `(n,)`; may be traced.
        options: temperatures, κ, ν and the rest.
        by_cost: whether `budget` is instead the most that rollouts may cost, Σ c_i B_i ≤ C, in the
            unit of `problems.costs`, which are 1 if None. `optimal`, `direction-optimal` and
            `oracle` then maximize success at that cost; any other strategy spends as without costs,
            the largest N that fits, or, of a rule such as `dvts` that may cost less at a larger N,
            one that fits where N + 1 does not.

    Returns:
        int32, shape `(n, k)`, of sum N unless the options say literal; float for `waterfill`.
        By cost the sum is whatever fits, and 2^22 at most.
        Where a rule of your own breaks the budget, is negative or not finite, or spends on
        padding, the problem's rollouts are -1 throughout.

    Raises:
        ValueError: an unknown strategy, an option or an array that it needs and lacks, a rule
            that returns another shape or dtype; costs that are not positive, a budget of cost that
            is negative or pays for more than 2^22 rollouts, or a strategy that has no form for one.

    Examples:
        >>> problems = dt.Problems(scores=np.array([[0.9, 0.8, 0.8, 0.5]]), mask=np.ones((1,
        ...     4), bool))
        >>> dt.allocate(problems, "rebase", 16)
        Array([[10,  3,  3,  0]], dtype=int32)
    """
    chosen = as_strategy(strategy)
    _check_given(chosen, problems, options)
    if by_cost:
        _check_cost(problems, budget)
    rounded, _ = spend(chosen, problems, budget, options, by_cost=by_cost)
    return rounded


def spend(
    strategy: Strategy, problems: Problems, budget: Any, options: Options, *, by_cost: bool = False
) -> tuple[Real[Array, "n k"], Float[Array, "n k"]]:
    """Rollouts and the shares they follow, unchecked, for use under `jit`.

    The shares are the weights that a rule gives; for a rule that gives rollouts they are the
    qualities of the candidates, or of their directions in equal parts.
    """
    if by_cost:
        return _spend_cost(strategy, problems, budget, options)
    given = strategy.rule(problems, budget, options)
    if STRATEGIES.get(strategy.name) is not strategy:
        return _spend_as_checked(_shaped(strategy, given, problems), problems, budget, options)
    if strategy.real or jnp.issubdtype(given.dtype, jnp.integer):
        return given, _shares(strategy, problems, options)
    return _rounded(given, problems, budget, options), given


def _spend_cost(
    strategy: Strategy, problems: Problems, budget: Any, options: Options
) -> tuple[Array, Array]:
    """Rollouts that cost at most the budget, and shares, as `spend`."""
    if strategy.real or "within_concentration" in strategy.options:
        raise ValueError(f"strategy {strategy}: has no form for a budget of cost")
    mask = jnp.asarray(problems.mask)
    costs = jnp.ones(mask.shape) if problems.costs is None else jnp.asarray(problems.costs)
    costs = costs.astype(jnp.result_type(costs, float))
    limit = jnp.broadcast_to(jnp.asarray(budget, costs.dtype), mask.shape[:-1])
    pays = limit / jnp.where(mask, costs, jnp.inf).min(-1)
    # Nothing is known where costs or budget are of no use.
    bad = ~((pays >= 0) & (pays <= MOST_BY_COST)) | (mask & ~(costs > 0)).any(-1)
    if strategy.by_cost is not None:
        # Rollouts beyond all counting would be added one by one, without an end.
        given = strategy.by_cost(problems.replace(costs=costs), jnp.where(bad, 0, limit), options)
        return jnp.where(bad[..., None], -1, given), _shares(strategy, problems, options)
    slack = 1 + SLACK[costs.dtype.name]
    limit = limit * slack
    high = jnp.where(bad, 0, jnp.floor(pays * slack)).astype(jnp.int32)
    low = 0 * high

    def at(n: Array) -> tuple[Array, Array]:
        return spend(strategy, problems, n, options)

    if STRATEGIES.get(strategy.name) is strategy:
        weights = strategy.rule(problems, low, options)
        if jnp.issubdtype(weights.dtype, jnp.floating):
            # No built-in strategy has weights that depend on N.
            def at(n: Array) -> tuple[Array, Array]:
                return _rounded(weights, problems, n, options), weights

    def open_(ends: tuple[Array, Array]) -> Array:
        return (ends[0] < ends[1]).any()

    def halve(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high + 1) // 2
        fits = jnp.where(mask, costs * at(middle)[0], 0).sum(-1) <= limit
        return jnp.where(fits, middle, low), jnp.where(fits, high, middle - 1)

    ends = low, high
    if is_concrete(high) and is_concrete(mask):
        # A rule of a user's own may be of NumPy.
        while open_(ends):
            ends = halve(ends)
    else:
        ends = jax.lax.while_loop(open_, halve, varying_with(ends, high))
    given, shares = at(ends[0])
    return jnp.where(bad[..., None], -1, given), shares


def _check_cost(problems: Problems, budget: Any) -> None:
    if problems.costs is not None:
        check_range("costs", problems.costs, 0, low_open=True, mask=problems.mask)
    check_range("budget", budget, 0)
    known = all(map(is_concrete, (problems.costs, problems.mask, budget)))
    if known and problems.mask is not None:
        costs = 1.0 if problems.costs is None else np.asarray(problems.costs)
        most = np.asarray(budget) / np.where(problems.mask, costs, np.inf).min(-1)
        if most.size and most.max() > MOST_BY_COST:
            raise ValueError(
                f"budget = {np.max(budget):g}: pays for {most.max():g} rollouts, more than "
                f"{MOST_BY_COST}"
            )


def _rounded(weights: Array, problems: Problems, budget: Any, options: Options) -> Array:
    """Eq. 4 and 13 to the letter, or Webster's method, which keeps the budget (theory 3.3)."""
    if options.literal:
        return round_allocation(weights, budget)
    return apportion(weights, budget, mask=problems.mask)


def _spend_as_checked(
    given: Array, problems: Problems, budget: Any, options: Options
) -> tuple[Array, Array]:
    """What a user's rule gives; -1 and NaN throughout where it makes no allocation."""
    inside = jnp.where(problems.mask, given, 0)
    fine = (jnp.isfinite(inside) & (inside >= 0)).all(-1, keepdims=True)
    total = jnp.broadcast_to(jnp.asarray(budget), given.shape[:-1])[..., None]
    if jnp.issubdtype(given.dtype, jnp.integer):
        fine &= (inside == given).all(-1, keepdims=True)
        if not options.literal:
            fine &= given.sum(-1, keepdims=True) == total
        spent = given
    else:
        fine &= (inside.sum(-1, keepdims=True) > 0) | (total == 0)
        spent = _rounded(jnp.where(fine, inside, 1), problems, budget, options)
    kind = jnp.result_type(float)
    return (
        jnp.where(fine, spent, -1).astype(jnp.int32),
        jnp.where(fine, inside, jnp.nan).astype(kind),
    )


def check_spent(strategy: Strategy, rollouts: Real[ArrayLike, "..."]) -> None:
    """`ValueError`, which names the strategy, if it made no allocation of some problem."""
    if is_concrete(rollouts):
        bad = np.asarray(rollouts) < 0
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0][:-1])
            raise ValueError(
                f"strategy {strategy}: problem {place[-1] if place else 0}: needs finite weights, "
                "or non-negative rollouts that spend the budget, and nothing for padding"
            )


def _shaped(strategy: Strategy, given: Any, problems: Problems) -> Array:
    found = jnp.asarray(given)
    shape = jnp.shape(problems.mask)
    if found.shape != shape:
        raise ValueError(f"strategy {strategy}: returned shape {found.shape}, not {shape}")
    if not (jnp.issubdtype(found.dtype, jnp.integer) or jnp.issubdtype(found.dtype, jnp.floating)):
        raise ValueError(f"strategy {strategy}: returned {found.dtype}, not rollouts or weights")
    return found


def _shares(strategy: Strategy, problems: Problems, options: Options) -> Array:
    if not strategy.directions:
        return quality(problems, options)
    q = problems.quality if strategy.oracle else direction_quality(problems, options)
    members = direction_totals(
        jnp.asarray(problems.mask, jnp.int32), problems.directions, q.shape[-1]
    )
    each = jnp.take_along_axis(q / jnp.maximum(members, 1), jnp.asarray(problems.directions), -1)
    return jnp.where(problems.mask, each, 0)


def _check_given(strategy: Strategy, problems: Problems, options: Options) -> None:
    options.checked()
    lacks = None
    if problems.mask is None:
        lacks = "mask"
    elif strategy.geometry and problems.embeddings is None and problems.similarity is None:
        lacks = "embeddings or similarity"
    elif strategy.directions and problems.directions is None:
        lacks = "directions"
    elif strategy.oracle and problems.quality is None:
        lacks = "quality"
    elif not strategy.directions and problems.scores is None and problems.weights is None:
        lacks = "scores or weights"
    for name in strategy.options:
        known = strategy.own and name == "concentration" and problems.concentrations is not None
        if not known and getattr(options, name) is None and getattr(problems, name) is None:
            lacks = lacks or name
    if strategy.directions and problems.concentrations is not None:
        raise ValueError(f"concentrations: strategy {strategy} {ONE_CONCENTRATION}")
    cosines = problems.similarity if strategy.correlation and not lacks else None
    if cosines is not None and problems.embeddings is None:
        # Arrays on a device are not looked at.
        known = is_host(cosines) and is_host(problems.mask)
        fault = known and correlation_fault(np.asarray(cosines), np.asarray(problems.mask))
        if fault:
            raise ValueError(f"similarity{fault}, for strategy {strategy}")
    if lacks:
        raise ValueError(f"strategy {strategy}: needs {lacks}")
    if options.literal and not strategy.literal and STRATEGIES.get(strategy.name) is strategy:
        raise ValueError(f"literal = True: strategy {strategy} has no other rounding")
