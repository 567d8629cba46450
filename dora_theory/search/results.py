"""`search` from Python: many searches by several strategies, with their measures as an object."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dora_theory._checks import check_number
from dora_theory._errors import amount
from dora_theory.io.documents import Document
from dora_theory.search.engine import Width, World
from dora_theory.search.measures import Measures, run_searches
from dora_theory.search.rules import SearchRule, as_rule
from dora_theory.strategies.choosing import AnyStrategy
from dora_theory.strategies.options import Options


class SearchResult(Document):
    """What searches reached, see `search`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each strategy and measure: mean over problems and its standard error."""
        spent = {name: self.data[name] for name in ("budget", "budget_cost") if name in self.data}
        return [
            {"strategy": name, **spent, "metric": metric, **cell}
            for name, cells in self.data["strategies"].items()
            for metric, cell in cells.items()
        ]

    def _title(self) -> str:
        data = self.data
        cost = f", cost {data['budget_cost']:g}" if "budget_cost" in data else ""
        return f"searches of {amount(data['problems'], 'problem')}, N = {data['budget']}{cost}"


def search(
    world: World,
    strategies: Sequence[AnyStrategy | SearchRule],
    budget: int,
    *,
    key: jax.Array | None = None,
    problems: Any = None,
    num_problems: int = 64,
    repetitions: int = 1,
    width: Width = "remaining",
    options: Options | None = None,
    budget_cost: float | None = None,
) -> SearchResult:
    """Searches by Algorithm 1, every strategy on the same problems and random numbers.

    Args:
        world: what is searched, such as a `Tree` or the world of `game24`.
        strategies: names, rules of your own, see `allocate`, or rules with options of their own.
        budget: N ≥ 1, rollouts.
        key: JAX random key; that of seed 0 if None.
        problems: a pytree with a leading axis of problems, such as `game24` returns; drawn by the
            world's method `problems` if None.
        num_problems: how many are drawn.
        repetitions: searches of each problem.
        width: whether N is what is left of the budget (`"remaining"`) or all of it (`"full"`).
        options: of strategies; κ = 1/2 and ν = 1 unless they are given.
        budget_cost: C ≥ 0, the most steps that all beams of a search may take together; None for
            no limit. Strategies are then given what is left of it, as by `allocate` by cost: a
            rollout of a beam costs the steps that the world expects it to take to its end.

    Returns:
        For each strategy the mean over problems of each of `Measures`, with its standard error.

    Raises:
        ValueError: an unknown strategy, an option out of its range, a rule of your own that breaks
            its budget.

    Examples:
        >>> found = dt.search(dt.Tree(steps=3), ["rebase", "dora"], 8, num_problems=8)
        >>> sorted({row["strategy"] for row in found.rows()})
        ['dora', 'rebase']

    Source: Algorithm 1; theory 6.
    """
    if budget_cost is not None:
        check_number("budget_cost", budget_cost, 0)
    key = jax.random.key(0) if key is None else key
    made, run = jax.random.split(key)
    if problems is None:
        problems = world.problems(made, num_problems)  # type: ignore[attr-defined]
    num_problems = jax.tree.leaves(problems)[0].shape[0]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for strategy in strategies:
        rule = as_rule(strategy, **_changes(options))
        measures = run_searches(
            run, world, problems, rule=rule, slots=budget, repetitions=repetitions, width=width,
            cost=budget_cost,
        )  # fmt: skip
        name = rule.strategy.name
        if np.isnan(np.asarray(measures.success)).any():
            raise ValueError(f"strategy {name}: did not spend the budget in some search")
        found[name] = {metric: _cell(measures, metric) for metric in Measures._fields}
    return SearchResult(
        {
            "problems": num_problems,
            "repetitions": repetitions,
            "budget": budget,
            **({} if budget_cost is None else {"budget_cost": budget_cost}),
            "strategies": found,
        }
    )


def _changes(options: Options | None) -> dict[str, Any]:
    """The options that differ from the defaults, which leaves κ and ν as a search has them."""
    if options is None:
        return {}
    default = Options()
    given = {name: getattr(options, name) for name in Options.__dataclass_fields__}
    return {name: x for name, x in given.items() if x != getattr(default, name)}


def _cell(measures: Measures, metric: str) -> dict[str, float]:
    values = np.asarray(getattr(measures, metric), float).mean(-1)
    error = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    return {"mean": float(values.mean()), "error": float(error)}
