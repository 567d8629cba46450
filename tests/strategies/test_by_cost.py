"""A budget of cost: what each strategy buys with it, against all allocations and all N."""

import itertools
from fractions import Fraction
from math import prod

import jax
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.claims.check.rational import failure
from dora_theory.strategies.registry import STRATEGIES

pytestmark = pytest.mark.usefixtures("float64")

# Padding is cheap, and must not be bought.
ROWS = (
    {"weights": [0.5, 0.25, 0.125], "costs": [3.0, 1.0, 2.0], "directions": [0, 1, 1]},
    {"weights": [0.75, 0.25], "costs": [1.0, 4.0], "directions": [0, 0]},
    {"weights": [0.5, 0.5, 0.0, 0.25], "costs": [1.0, 2.0, 1.0, 7.0], "directions": [1, 0, 2, 1]},
)
KAPPA, BUDGET = 0.5, 9.0
OPTIONS = dt.Options(concentration=KAPPA)
BLIND = "temperature", "beam", "dvts", "rebase", "rebase-sequential"


def padded(**more):
    made = dt.Problems.from_rows([row | more for row in ROWS], at_least={"g": 3})
    return made.replace(costs=np.where(made.mask, made.costs, 0.1))


def quality_first(problems, budget, options):
    """A rule of one's own, of NumPy, whose rollouts are not in proportion to anything."""
    best = np.where(problems.mask, problems.weights, -1).argmax(-1)
    return (np.arange(4) == best[:, None]) * np.asarray(budget).reshape(-1, 1)


@pytest.mark.parametrize("strategy", [*BLIND, quality_first])
def test_without_costs_in_the_objective_it_is_the_largest_n_that_is_paid_for(strategy):
    problems = padded()
    found = np.asarray(dt.allocate(problems, strategy, BUDGET, OPTIONS, by_cost=True))
    for n in range(1, 14):
        given = np.asarray(dt.allocate(problems, strategy, n, OPTIONS))
        paid = (given * problems.costs).sum(-1)
        for i in range(len(ROWS)):
            if n == found[i].sum():
                np.testing.assert_array_equal(found[i], given[i])
                assert paid[i] <= BUDGET
            if n == found[i].sum() + 1:
                assert paid[i] > BUDGET
    assert (found.sum(-1) > 0).all()
    assert (found.sum(-1) < 13).all()


def affordable(costs):
    for counts in itertools.product(*(range(int(BUDGET // c) + 1) for c in costs)):
        if sum(c * b for c, b in zip(costs, counts, strict=True)) <= BUDGET:
            yield counts


def least_failure(qualities, costs):
    kappa = Fraction(KAPPA)
    return min(
        prod(failure(Fraction(q), kappa, b) for q, b in zip(qualities, counts, strict=True))
        for counts in affordable(costs)
    )


@pytest.mark.slow
def test_the_optima_have_costs_in_their_objective():
    """Against all allocations in rationals; where nothing is traced, integer costs are exact."""
    problems = padded()
    q = np.array([[0.5, 0.25, 0.0], [0.75, 0.0, 0.0], [0.25, 0.5, 0.125]])
    cheapest = ((3, 1), (1,), (2, 1, 1))
    made = {
        "optimal": problems,
        "direction-optimal": problems.replace(direction_weights=q),
        "oracle": problems.replace(quality=q),
    }
    for strategy, given in made.items():
        spent = np.asarray(dt.allocate(given, strategy, BUDGET, OPTIONS, by_cost=True))
        assert ((spent * given.costs).sum(-1) <= BUDGET).all()
        assert (spent[~given.mask] == 0).all()
        for i, row in enumerate(ROWS):
            if strategy == "optimal":
                w, costs, counts = row["weights"], row["costs"], spent[i]
            else:
                costs = cheapest[i]
                w = q[i, : len(costs)]
                counts = [spent[i, given.directions[i] == j].sum() for j in range(len(costs))]
            reached = prod(
                failure(Fraction(x), Fraction(KAPPA), int(b))
                for x, b in zip(w, counts, strict=False)
            )
            best = least_failure(w, costs)
            assert reached == best, (strategy, i)


@pytest.mark.slow
def test_equal_costs_are_a_budget_of_rollouts_for_every_strategy():
    rng = np.random.default_rng(0)
    scores, vectors = rng.random((2, 5)), rng.normal(size=(2, 5, 3))
    mask = np.ones((2, 5), bool)
    labels = np.array([[0, 1, 1, 2, 0], [0, 0, 0, 1, 1]])
    problems = dt.Problems(scores=scores, embeddings=vectors, directions=labels, mask=mask)
    for name, strategy in STRATEGIES.items():
        if strategy.real or strategy.oracle or "within_concentration" in strategy.options:
            continue
        plain = np.asarray(dt.allocate(problems, name, 7, OPTIONS))
        costs = problems.replace(costs=np.full((2, 5), 0.5))
        bought = np.asarray(dt.allocate(costs, name, 3.7, OPTIONS, by_cost=True))
        if strategy.directions:
            # All to the first of the cheapest.
            plain, bought = (
                [[x[labels[i] == j].sum() for j in range(3)] for i, x in enumerate(y)]
                for y in (plain, bought)
            )
        np.testing.assert_array_equal(plain, bought, err_msg=name)


def test_what_cannot_be_bought():
    problems = padded()
    for strategy in ("waterfill", "correlated"):
        options = OPTIONS.with_changes(within_concentration=1.0)
        with pytest.raises(ValueError, match="has no form for a budget of cost"):
            dt.allocate(problems, strategy, BUDGET, options, by_cost=True)
    for budget, costs, message in (
        (-1.0, problems.costs, "budget"),
        (np.nan, problems.costs, "budget"),
        (1e9, problems.costs, "pays for"),
        (9.0, -problems.costs, "costs"),
    ):
        with pytest.raises(ValueError, match=message):
            dt.allocate(problems.replace(costs=costs), "rebase", budget, OPTIONS, by_cost=True)
    # The most, of costs that are integers, is not too much.
    whole = problems.replace(costs=np.ones(problems.mask.shape, int))
    found = dt.allocate(whole, "temperature", 2**22, OPTIONS, by_cost=True)
    assert np.asarray(found).sum(-1).tolist() == [2**22] * 3
    nothing = dt.allocate(problems, "rebase", 0.5, OPTIONS, by_cost=True)
    assert np.asarray(nothing).tolist() == [[0] * 4] * 3


@pytest.mark.slow
def test_what_is_bad_is_kept_to_itself_under_jit():
    problems = padded()
    costs = problems.costs.copy()
    costs[1, 0] = np.nan
    run = jax.jit(lambda p, c: dt.allocate(p, "rebase", c, OPTIONS, by_cost=True))
    found = np.asarray(run(problems.replace(costs=costs), BUDGET))
    fine = np.asarray(dt.allocate(problems, "rebase", BUDGET, OPTIONS, by_cost=True))
    assert (found[1] == -1).all()
    np.testing.assert_array_equal(found[[0, 2]], fine[[0, 2]])
