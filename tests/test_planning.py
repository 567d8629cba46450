"""What is bad in the state of a benchmark, or in a plan, is named before it counts."""

import numpy as np
import pytest

import dora_theory as dt

COUNTS = np.array([0, 2, 1]), np.array([4, 4, 4])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"values": np.array([1.0, -1.0, 1.0])}, r"values\[1\] = -1"),
        ({"values": np.nan}, "values = nan"),
        ({"costs": np.array([1.0, 1.0, 0.0])}, r"costs\[2\] = 0"),
        ({"min_rollouts": -1}, "min_rollouts = -1"),
        ({"max_rollouts": np.array([1.5, 2.0, 2.0])}, r"max_rollouts\[0\] = 1.5"),
    ],
)
def test_bad_values_of_a_state_are_named(given, match):
    with pytest.raises(ValueError, match=match):
        dt.PlanState.from_counts(*COUNTS, prior=(0.5, 0.5), **given)


def test_more_right_than_attempts_is_named():
    with pytest.raises(ValueError, match="attempts - right"):
        dt.PlanState.from_counts([5, 0], [4, 4], prior=(0.5, 0.5))


@pytest.mark.parametrize("strategy", ["committed", "index", "uniform", "round-robin", "neyman"])
def test_floors_and_caps_of_a_plan_are_held_to_one_another(x64, strategy):
    state = dt.PlanState.from_counts(*COUNTS, prior=(0.5, 0.5), min_rollouts=3, max_rollouts=5)
    found = dt.plan(state, 4, strategy=strategy)
    # Only the first problem is unsolved.
    assert found.rollouts.tolist() == [4, 0, 0]
    with pytest.raises(ValueError, match="the floors exceed the total"):
        dt.plan(state, 2, strategy=strategy)
    apart = dt.PlanState.from_counts(*COUNTS, prior=(0.5, 0.5), min_rollouts=6, max_rollouts=5)
    with pytest.raises(ValueError, match="max_rollouts - min_rollouts"):
        dt.plan(apart, 9, strategy=strategy)


def test_stages_spend_what_the_plan_of_all_rounds_begins_with(x64):
    right, attempts = np.array([0, 0, 0, 1, 0, 0]), np.array([2, 2, 4, 2, 4, 2])
    state = dt.PlanState.from_counts(right, attempts, prior=(1.0, 2.0))
    # The five unsolved in two groups, of 2 and of 4 failures.
    prior = dt.BetaPrior(np.array([[1.0], [1.0]]), np.array([[4.0], [6.0]]))
    ahead = dt.rounds_plan(1.0, prior, 40, 2, depth=512, multiplicity=np.array([3, 2]))
    first = int((ahead.first * np.array([3, 2])).sum())
    assert 0 < first < 40
    found = dt.plan(state, 40, strategy="stages", rounds=2, batch=1)
    assert int(found.rollouts.sum()) == first
    assert found.rollouts.tolist() == dt.plan(state, first, strategy="committed").rollouts.tolist()
    last = dt.plan(state, 40, strategy="stages", rounds=2, batch=2)
    assert int(last.rollouts.sum()) == 40
