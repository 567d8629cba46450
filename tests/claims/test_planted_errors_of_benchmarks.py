"""The same for one budget of many problems (theory 7)."""

from typing import Any

import jax.numpy as jnp
import pytest
from planted import Function, Planted, planted, sees

from dora_theory.allocation import (
    across,
    across_certificate,
    adaptive,
    adaptive_value,
    exponents,
    fluid_rounds,
    literature,
    optimal,
    rounds,
    scaling,
)

pytestmark = pytest.mark.slow


def values_forgotten(right: Function) -> Function:
    return lambda values, prior, total, **o: right(jnp.ones_like(values), prior, total, **o)


def limits_forgotten(right: Function) -> Function:
    return lambda values, prior, given, **o: right(values, prior, given)


def total_not_priced(right: Function) -> Function:
    return lambda values, prior, total, price: right(values, prior, 0 * total, price)


def last_first(right: Function) -> Function:
    # Ties to the highest problem.
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return found._replace(rollouts=found.rollouts[..., ::-1])

    return wrong


def smallest_marginal_first(right: Function) -> Function:
    def wrong(values: Any, prior: Any, given: Any, **options: Any) -> Any:
        found = right(values, prior, given, **options)
        return type(found)(found.smallest_last, found.largest_next)

    return wrong


def value_forgotten(right: Function) -> Function:
    return lambda values, prior, **o: right(jnp.ones_like(values), prior, **o)


def a_hundredth_too_low(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return found._replace(value=0.99 * found.value)

    return wrong


def twice_the_bound(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return found._replace(value=2 * found.value)

    return wrong


def one_round_less(right: Function) -> Function:
    return lambda values, prior, total, rounds, **o: right(
        values, prior, total, max(rounds - 1, 1), **o
    )


def all_but_a_tenth(right: Function) -> Function:
    return lambda rounds, cost: right(rounds, cost)._replace(unsolved=0.1)


def in_proportion(right: Function) -> Function:
    # n ∝ p(1 - p) in place of its root: 1/n by Jefferson's divisors.
    def wrong(p: Any, total: Any, **options: Any) -> Any:
        return optimal.apportion(p * (1 - p), total - p.shape[-1]) + 1

    return wrong


def as_one_more(right: Function) -> Function:
    return lambda p, total, **o: right(1 - p, total, **o)


def one_depth_too_far(right: Function) -> Function:
    return lambda alpha, beta, depth: right(alpha, beta, depth + 1)


def upside_down(right: Function) -> Function:
    return lambda alpha, beta, depth: 1 / right(alpha, beta, depth)


def without_gamma(right: Function) -> Function:
    return lambda alpha: jnp.ones_like(alpha)


def one_rollout_less(of: Function) -> Function:
    return lambda gain, failure: of(gain[..., :-1], failure[..., :-1])


def first_round_most(of: Function) -> Function:
    return lambda *args: of(*args)[::-1]


def a_percent_more(of: Function) -> Function:
    return lambda *args: of(*args) + 0.01


def one_depth_wider(of: Function) -> Function:
    return lambda *args: of(*args[:-1], args[-1] + 1)


PLANTED: list[Planted] = [
    (
        across_certificate,
        "problem_certificate",
        smallest_marginal_first,
        "7.1",
        "marginals of a problem fall",
    ),
    (across, "allocate_problems", values_forgotten, "7.1", "greedy over problems is exact"),
    (
        across_certificate,
        "is_optimal_across",
        limits_forgotten,
        "7.1b",
        "the certificate over problems decides",
    ),
    (across, "dual_bound", total_not_priced, "7.1c", "price of a rollout"),
    (across, "allocate_problems", last_first, "7.1f", "a common prior is shared evenly"),
    (adaptive, "index_policy", value_forgotten, "7.2", "the index policy is optimal"),
    (adaptive_value, "adaptive_bound", a_hundredth_too_low, "7.2d", "a bound of every policy"),
    (adaptive_value, "adaptive_bound", twice_the_bound, "7.2e", "what looking can gain"),
    (rounds, "rounds_plan", one_round_less, "7.2f", "a bound of R rounds"),
    (fluid_rounds, "identical_rounds", all_but_a_tenth, "7.2h", "what R rounds keep at least"),
    (
        literature,
        "neyman_allocation",
        in_proportion,
        "7.3",
        "least variance is Huntington and Hill's",
    ),
    (literature, "knapsack_rl_allocation", as_one_more, "7.3", "Knapsack RL by greedy"),
    (scaling, "coverage_cost", one_depth_too_far, "7.4b", "the cost of coverage telescopes"),
    (scaling, "saving_factor", upside_down, "7.4b", "the saving of looking"),
    (scaling, "price_of_not_knowing", without_gamma, "7.4c", "knowing or looking"),
    (adaptive_value, "convolved_value", one_rollout_less, "7.2d", "the value of the best policy"),
    (fluid_rounds, "split_shares", first_round_most, "7.2i", "the best split under a power law"),
    (scaling, "dora_constant", a_percent_more, "7.4d", "one problem falls as a power"),
    (exponents, "line_through", one_depth_wider, "7.4e", "the hazard line finds the exponent"),
]


@planted(PLANTED)
def test_verify_sees_it(monkeypatch, home, name, wrong, id_, claim):
    sees(monkeypatch, home, name, wrong, id_, claim)
