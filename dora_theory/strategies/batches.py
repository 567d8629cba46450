"""Runs one strategy on many problems of different sizes, in a few padded batches.

Sizes are rounded up to few values, so that few shapes are compiled whatever the file holds. Rows
are filled up with copies of the last problem, and candidates with masked padding.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory._sizes import round_up
from dora_theory.allocation.costs import MOST_ROLLOUTS, cost_allocation, is_small
from dora_theory.allocation.hierarchical import hierarchical_log_failure
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.targets import smallest_budget
from dora_theory.io.problem_lines import Problem
from dora_theory.model.directions import direction_totals
from dora_theory.model.objective import log_failure
from dora_theory.strategies.allocate import MOST_BY_COST, check_spent, spend
from dora_theory.strategies.options import NUMBERS, Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import (
    OPTIMAL,
    STRATEGIES,
    Strategy,
    direction_quality,
    own_concentration,
    quality,
)

Goal = Literal["budget", "cost", "target"]


class Answer(NamedTuple):
    """What a line of output says.

    Attributes:
        allocation: rollouts of each candidate.
        weights: what they follow.
        log_failure: log P(all fail), None if κ is not given.
        more: further fields by name: of a budget of cost "cost", and of `optimal` also
            "log_failure_bound"; of a target "budget", -1 if none is enough, and
            "budget_closed_form"; "lift" of a strategy that lifts similarities that are no
            correlation.
    """

    allocation: list[int] | list[float]
    weights: list[float]
    log_failure: float | None
    more: dict[str, float]


def answer(
    problems: Sequence[Problem],
    strategy: Strategy,
    budget: float,
    options: Options,
    *,
    goal: Goal = "budget",
) -> list[Answer]:
    """Allocates the budget of each problem, in float64.

    Args:
        problems: problems that have what the strategy needs.
        strategy: the strategy; `optimal` for a target, and for a cost one that has a form for it.
        budget: N; or a budget of cost, or a target success.
        options: the same for all.
        goal: what `budget` is.

    Returns:
        An answer for each problem, in order.

    Raises:
        ValueError: a rule of a user's own made no allocation of a problem; a budget of cost pays
            for too many rollouts.
    """
    # The account of a correlated optimum is as long as the budget.
    if "within_concentration" in strategy.options:
        options = replace(options, max_budget=round_up(int(budget)))
    rows = [_row(problem, strategy, options) for problem in problems]
    groups: dict[tuple, list[int]] = {}
    for i, row in enumerate(rows):
        # Whether a problem has the exact program is not to depend on its neighbors.
        best = goal == "cost" and strategy.name == OPTIMAL
        exact = best and is_small(row["costs"], np.asarray(budget))
        groups.setdefault((exact, *row, *_sizes(row).items()), []).append(i)
    answers: list[Answer | None] = [None] * len(problems)
    with jax.enable_x64(True):
        for members in groups.values():
            found = _answer_group([rows[i] for i in members], strategy, budget, options, goal)
            for i, each in zip(members, found, strict=True):
                answers[i] = each
    return [each for each in answers if each is not None]


def _row(problem: Problem, strategy: Strategy, options: Options) -> dict[str, np.ndarray]:
    """The fields that are used."""
    own = strategy.name not in STRATEGIES
    fields = ["scores", "weights", "concentrations", "costs"]
    if strategy.geometry or own:
        fields += ["embeddings", "similarity"]
    if strategy.directions or own or options.concentration is not None:
        fields += ["directions", "direction_weights"]
    row = {name: getattr(problem, name) for name in fields}
    return {name: value for name, value in row.items() if value is not None}


def _sizes(row: dict[str, np.ndarray]) -> dict[str, int]:
    """Padded sizes: what decides, with the fields, which program runs."""
    k = next(iter(row[name].size for name in ("scores", "weights", "directions") if name in row))
    sizes = {"k": round_up(k)}
    if "embeddings" in row:
        sizes["d"] = round_up(row["embeddings"].shape[1], 1)
    if "directions" in row:
        sizes["g"] = round_up(int(row["directions"].max()) + 1)
    return sizes


def _answer_group(
    rows: Sequence[dict[str, np.ndarray]],
    strategy: Strategy,
    budget: float,
    options: Options,
    goal: Goal,
) -> list[Answer]:
    count = len(rows)
    filled = 4 ** ((count - 1).bit_length() + 1 >> 1)
    padded = [*rows, *rows[-1:] * (filled - count)]
    problems = Problems.from_rows(padded, at_least=_sizes(rows[0]))
    # A rule of a user's own may be of NumPy, which cannot be traced.
    run: Any = _compiled if strategy.name in STRATEGIES else _compute
    if goal == "target":
        run = _to_target
    elif goal == "cost":
        # Exact where costs are small integers, which has to be seen.
        best = strategy.name == OPTIMAL
        run = _optimal_by_cost if best else partial(run, by_cost=True)
        most = MOST_ROLLOUTS if best else MOST_BY_COST
        if any(budget > most * row["costs"].min() for row in rows):
            what = "pays for too many rollouts of some problem"
            raise ValueError(f"--budget-cost: {budget:g}: {what}")
    computed = run(problems, np.asarray(budget), _as_arrays(options), strategy)
    allocations, weights, log_failures, more = jax.tree.map(
        lambda x: np.asarray(x)[:count], computed
    )
    if goal != "target":
        check_spent(strategy, allocations)
    sizes = np.asarray(problems.mask).sum(-1)
    return [
        Answer(
            allocations[i, : sizes[i]].tolist(),
            weights[i, : sizes[i]].tolist(),
            # Adding 0 makes -0 the 0 that a reader expects.
            None if log_failures is None else float(log_failures[i]) + 0.0,
            {name: x[i].item() for name, x in more.items()},
        )
        for i in range(count)
    ]


def _as_arrays(options: Options) -> Options:
    """Numbers as arrays, which are traced: a budget or κ more is no program more."""
    numbers = {name: getattr(options, name) for name in NUMBERS}
    known: dict[str, Any] = {n: np.asarray(x) for n, x in numbers.items() if x is not None}
    return replace(options, **known)


Computed = tuple[Array, Array, Array | None, dict[str, Array]]


def _compute(
    problems: Problems, budget: Array, options: Options, strategy: Strategy, by_cost: bool = False
) -> Computed:
    """Allocation and weights, `(rows, k)`, and log failure, `(rows)`, of padded problems."""
    allocation, weights = spend(strategy, problems, budget, options, by_cost=by_cost)
    kappa, nu = options.concentration, options.within_concentration
    if problems.concentrations is not None and not strategy.directions:
        kappa = problems.concentrations
    more = {"cost": (allocation * problems.costs).sum(-1)} if by_cost else {}
    if strategy.lift is not None and problems.embeddings is None:
        more["lift"] = strategy.lift(problems, options)
    if kappa is None:
        return allocation, weights, None, more
    if problems.directions is None or kappa is problems.concentrations:
        w = quality(problems, options)
        return allocation, weights, log_failure(w, kappa, allocation, mask=problems.mask), more
    q, labels = direction_quality(problems, options), problems.directions
    if "within_concentration" in strategy.options:
        points = options.max_budget
        chance = hierarchical_log_failure(
            q, labels, kappa, nu, allocation, points=points, mask=problems.mask
        )
    else:
        chance = log_failure(q, kappa, direction_totals(allocation, labels, q.shape[-1]))
    return allocation, weights, chance, more


def _optimal_by_cost(
    problems: Problems, budget: Array, options: Options, strategy: Strategy
) -> Computed:
    w, kappa = quality(problems, options), own_concentration(problems, options)
    found = cost_allocation(w, kappa, problems.costs, budget, mask=problems.mask)
    more = {"cost": found.cost, "log_failure_bound": found.log_failure_bound}
    return found.allocation, w, found.log_failure, more


def _to_target(problems: Problems, target: Array, options: Options, strategy: Strategy) -> Computed:
    w, kappa = quality(problems, options), own_concentration(problems, options)
    found = smallest_budget(w, kappa, target, mask=problems.mask)
    n = jnp.maximum(found.budget, 0)
    allocation = optimal_allocation(w, kappa, n, mask=problems.mask)
    chance = log_failure(w, kappa, allocation, mask=problems.mask)
    more = {"budget": found.budget, "budget_closed_form": found.closed_form}
    return allocation, w, chance, more


_compiled = jax.jit(_compute, static_argnames=("strategy", "by_cost"))
