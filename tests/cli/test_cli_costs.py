"""`allocate` with costs, a target, and κ of each candidate."""

import itertools
import math
from fractions import Fraction

import pytest

from dora_theory.claims.check.rational import failure


def cheapest_failure(weights, kappas, costs, budget):
    """The least failure that a budget of cost pays for, by trying all, in rationals."""
    best = Fraction(1)
    ranges = [range(int(budget // c) + 1) for c in costs]
    for counts in itertools.product(*ranges):
        if sum(c * b for c, b in zip(costs, counts, strict=True)) <= budget:
            parts = zip(weights, kappas, counts, strict=True)
            best = min(best, math.prod(failure(w, kappa, b) for w, kappa, b in parts))
    return best


def test_a_budget_of_cost_is_spent_best_whatever_stands_beside_it(allocate):
    lines = [
        {"weights": [0.5, 0.3, 0.2], "costs": [3, 1, 2], "concentrations": [0.5, 2, 1]},
        {"alpha": [0.5, 4.5], "beta": [0.5, 4.5], "costs": [0.5, 1.5]},
        {"weights": [0.25, 0.75], "costs": [5, 2]},
        {"weights": [0.5], "costs": [20]},
    ]
    options = "--strategy", "optimal", "--budget-cost", 11, "--kappa", 0.5
    status, answers, err = allocate(lines, *options)
    assert (status, err) == (0, "")
    first, second, third, nothing = answers
    assert first["cost"] <= 11
    w = [Fraction(5, 10), Fraction(3, 10), Fraction(2, 10)]
    best = cheapest_failure(w, [Fraction(1, 2), 2, 1], [3, 1, 2], 11)
    assert first["success"] == first["success_bound"] == pytest.approx(float(1 - best), rel=1e-12)
    assert second["success"] <= second["success_bound"]
    assert second["weights"] == [0.5, 0.5]
    best = cheapest_failure([Fraction(1, 4), Fraction(3, 4)], [Fraction(1, 2)] * 2, [5, 2], 11)
    assert third["success"] == pytest.approx(float(1 - best), rel=1e-12)
    assert (nothing["allocation"], nothing["cost"], nothing["success"]) == ([0], 0, 0)
    # Alone or among others, a problem has one answer.
    for line, answer in zip(lines, answers, strict=True):
        assert allocate([line], *options)[1] == [answer]


@pytest.mark.slow
def test_a_target_is_met_by_the_fewest_rollouts(allocate):
    lines = [
        {"id": "a", "weights": [0.5, 0.3, 0.2]},
        {"id": "b", "alpha": [0.5, 4.5], "beta": [0.5, 4.5]},
        {"id": "c", "weights": [0.0, 0.0]},
    ]
    found = allocate(lines, "--strategy", "optimal", "--target", 0.9, "--kappa", 0.5)
    (a, b, c), status = found[1], found[0]
    assert status == 0
    assert (a["budget"], a["budget_closed_form"], sum(a["allocation"])) == (21, 21, 21)
    for answer in (a, b):
        assert answer["success"] >= 0.9
        less = allocate(lines, "--strategy", "optimal", "--budget", answer["budget"] - 1,
                        "--kappa", 0.5)[1]  # fmt: skip
        assert next(x for x in less if x["id"] == answer["id"])["success"] < 0.9
    assert [c[name] for name in ("budget", "allocation", "success")] == [None] * 3
    assert c["budget_closed_form"] is None


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        ({"weights": [0.5, 0.5], "costs": [1, 0]}, "--budget-cost 3", ":1: costs: [1]"),
        ({"weights": [0.5, 0.5], "costs": [1]}, "--budget-cost 3", ":1: costs: has length 1"),
        ({"weights": [0.5]}, "--budget-cost 3", ":1: costs: missing"),
        ({"weights": [0.5], "concentrations": [-1]}, "--budget 3", "concentrations: [0] is -1"),
        ({"weights": [0.5], "concentrations": [1, 2]}, "--budget 3", "has length 2"),
        ({"alpha": [0.5]}, "--budget 3", "beta: missing: needs beta beside alpha"),
        ({"alpha": [0.0], "beta": [0.0]}, "--budget 3", "alpha: [0] + beta[0] is 0"),
        ({"alpha": [0.5], "beta": [0.5], "weights": [1]}, "--budget 3", "given beside weights"),
        ({"weights": [0.5]}, "--budget-cost -1", "--budget-cost: -1: needs"),
        ({"weights": [0.5]}, "--budget-cost nan", "--budget-cost: nan: needs"),
        ({"weights": [0.5]}, "--target 1", "--target: 1: needs a success in (0, 1)"),
        ({"weights": [0.5]}, "--target 0", "--target: 0: needs a success in (0, 1)"),
    ],
)  # fmt: skip
def test_what_costs_and_confidences_cannot_be(allocate, line, options, message):
    flags = ["--strategy", "optimal", "--kappa", "1", *options.split()]
    status, answers, err = allocate([line], *flags)
    assert (status, answers) == (2, [])
    assert message in err
    assert err.count("\n") == 1


def test_a_strategy_without_costs_in_its_objective_spends_on_as_many_rollouts_as_fit(allocate):
    lines = [
        {"weights": [0.5, 0.3, 0.2], "costs": [3, 1, 2]},
        {"weights": [0.9, 0.1], "costs": [0.75, 4.5]},
        {"weights": [0.2, 0.8], "costs": [12, 20]},
    ]
    for strategy in ("rebase", "beam", "rebase-sequential"):
        options = "--strategy", strategy
        _, answers, err = allocate(lines, *options, "--budget-cost", 11, "--kappa", 0.5)
        assert err == ""
        for line, answer in zip(lines, answers, strict=True):

            def cost(given, costs=line["costs"]):
                return sum(c * b for c, b in zip(costs, given, strict=True))

            assert cost(answer["allocation"]) == answer["cost"] <= 11
            n = sum(answer["allocation"])
            same, more = (allocate([line], *options, "--budget", n + i)[1][0] for i in (0, 1))
            assert same["allocation"] == answer["allocation"]
            assert cost(more["allocation"]) > 11
            assert "success_bound" not in answer


def test_of_one_direction_its_cheapest_candidate_is_paid_for(allocate):
    line = {"directions": ["a", "a", "b"], "direction_weights": {"a": 0.5, "b": 0.3}}
    line |= {"weights": [0.1, 0.1, 0.1], "costs": [4, 3, 2]}
    options = "--strategy", "direction-optimal", "--kappa", 1, "--budget-cost"
    (answer,) = allocate([line], *options, 12)[1]
    best = cheapest_failure([Fraction(1, 2), Fraction(3, 10)], [1, 1], [3, 2], 12)
    assert answer["success"] == pytest.approx(float(1 - best), rel=1e-12)
    assert answer["allocation"][0] == 0


def test_what_has_no_form_for_cost_or_target_says_so(allocate):
    line = {"weights": [0.5, 0.5], "costs": [1, 2]}
    status, _, err = allocate([line], "--strategy", "rebase", "--target", 0.5)
    assert (status, err) == (2, "--target: strategy rebase has no form for it, optimal has\n")
    status, _, err = allocate([line], "--strategy", "waterfill", "--budget-cost", 3, "--kappa", 1)
    assert (status, err) == (2, "--budget-cost: strategy waterfill has no form for it\n")
    own = line | {"directions": [0, 1], "concentrations": [1, 2]}
    status, _, err = allocate([own], "--strategy", "direction-optimal", "--budget", 3, "--kappa", 1)
    assert (status, ":1: concentrations: strategy direction-optimal takes one" in err) == (2, True)
    status, _, err = allocate([line], "--strategy", "rebase", "--budget-cost", 1e8)
    assert (status, "pays for too many" in err) == (2, True)
    options = "--strategy", "direction-optimal", "--kappa", 1, "--budget-cost"
    status, _, err = allocate([line | {"directions": [0, 1]}], *options, 1e18)
    assert (status, "pays for too many" in err) == (2, True)
    many = [line | {"costs": [1e-9, 1]}]
    status, _, err = allocate(many, "--strategy", "optimal", "--kappa", 1, "--budget-cost", 1e6)
    assert (status, "pays for too many" in err) == (2, True)
    status, _, err = allocate([line], "--strategy", "optimal", "--budget", 3)
    assert status == 2
    assert err.startswith("--kappa: missing")
