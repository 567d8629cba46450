"""The strategies draw what they promise, and the assertions tell right from wrong."""

import hypothesis
import numpy as np
import pytest

import dora_theory as dt
from dora_theory import testing


@hypothesis.given(testing.problems(padding=True))
def test_problems_are_sound(problem):
    dt.check(
        scores=problem.scores,
        weights=problem.weights,
        embeddings=problem.embeddings,
        directions=problem.directions,
        concentration=problem.concentration,
        budget=problem.budget,
        mask=problem.mask,
    )


@hypothesis.given(testing.problems(max_candidates=6, max_budget=12))
@hypothesis.settings(max_examples=30)
def test_exact_allocation_passes(problem):
    hypothesis.assume((problem.weights > 0).any())
    found = dt.optimal_allocation(problem.weights, problem.concentration, problem.budget)
    testing.assert_spends(found, problem.budget)


@hypothesis.given(testing.problems(padding=True, max_candidates=8))
@hypothesis.settings(max_examples=30)
def test_padding_gets_nothing(problem):
    found = dt.rebase_allocation(problem.scores, problem.budget, mask=problem.mask)
    testing.assert_spends(found, problem.budget, problem.mask)


def test_assertions_show_what_is_wrong():
    with pytest.raises(AssertionError, match=r"spends 2 of 3: \[1, 1\]"):
        testing.assert_spends([1, 1], 3)
    with pytest.raises(AssertionError, match=r"on padding: \[1, 2\]"):
        testing.assert_spends([1, 2], 3, np.array([True, False]))
    with pytest.raises(AssertionError, match="not integers"):
        testing.assert_spends([1.5, 1.5], 3)
    with pytest.raises(AssertionError, match=r"\[4, 0\] fails .* \[2, 2\]"):
        testing.assert_optimal([0.5, 0.5], 1.0, [4, 0])
    testing.assert_optimal([0.5, 0.5], 1.0, [2, 2])
    testing.assert_optimal([0.5, 0.5], 1.0, [3, 1], ratio=2)


def test_a_bad_rule_is_found_and_shrunk():
    def all_to_the_first(problem):
        return np.eye(1, len(problem.weights), dtype=int)[0] * problem.budget

    def fails(problem):
        try:
            testing.assert_optimal(problem.weights, 1.0, all_to_the_first(problem))
        except AssertionError:
            return True
        return False

    found = hypothesis.find(testing.problems(), fails)
    assert len(found.weights) == 2
    assert found.budget <= 2


@pytest.mark.filterwarnings("error")
def test_a_certain_success_warns_of_nothing():
    testing.assert_optimal(np.array([1.0, 0.5]), 1.0, np.array([2, 0]))
    with pytest.raises(AssertionError, match="-inf"):
        testing.assert_optimal(np.array([1.0, 0.5]), 1.0, np.array([0, 2]))
