"""Votes on constructed elections."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_theory.search.voting import counted, elect


def elected(answers, scores, right=0, counts=None):
    answers = jnp.asarray(answers)
    counts = jnp.ones(answers.shape, jnp.int32) if counts is None else jnp.asarray(counts)
    found = elect(answers, jnp.asarray(scores, float), answers == right, counts, 4)
    return tuple(float(x) for x in found)


def test_three_ways_that_disagree():
    # Answer 0: one vote of 0.9. Answer 1: two of 0.5. Answer 2: three of 0.2.
    answers, scores = [0, 1, 1, 2, 2, 2], [0.9, 0.5, 0.5, 0.2, 0.2, 0.2]
    assert elected(answers, scores, right=0) == (0, 0, 1)
    assert elected(answers, scores, right=1) == (1, 0, 0)
    assert elected(answers, scores, right=2) == (0, 1, 0)


def test_a_tie_is_broken_at_random():
    # Three ways tie at two votes each; the right answer is one of them.
    assert elected([0, 0, 1, 1, 2, 2], [0.5] * 6) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert elected([0, 1, 1, 3], [0.5, 0.25, 0.25, 0.1]) == (0.5, 0, 1)


def test_what_does_not_count_has_no_vote():
    assert elected([0, 1, 1], [0.2, 0.9, 0.9], counts=[1, 0, 0]) == (1, 1, 1)
    assert elected([0, 1], [0.2, 0.3], counts=[2, 1]) == (1, 1, 0)
    assert elected([0, 0], [0.2, 0.9], counts=[0, 0]) == (0, 0, 0)


def test_scores_of_zero_still_vote():
    assert elected([1, 1, 0], [0.0, 0.0, 0.0]) == (0.5, 0, 0.5)


def test_the_first_n_count_and_padding_repeats_them():
    finished = jnp.array([[False, True, False], [True, True, True], [True, False, False]])
    assert counted(finished).tolist() == [0, 1, 0, 1, 1, 0, 0, 0, 0]
    few = jnp.array([[False, True, False, False, False], [True, False, False, False, False]])
    assert counted(few).tolist() == [0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    # Five votes from two solutions, in turn: 3 and 2.
    assert counted(few, padding=True).tolist() == [0, 3, 0, 0, 0, 2, 0, 0, 0, 0]
    assert counted(jnp.zeros((2, 3), bool), padding=True).tolist() == [0] * 6


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=12))
def test_against_counting_by_hand(votes):
    """Scores in eighths, so that sums are exact and ties are ties."""
    totals, numbers, tops = {}, {}, {}
    for answer, eighths in votes:
        totals[answer] = totals.get(answer, 0) + eighths
        numbers[answer] = numbers.get(answer, 0) + 1
        tops[answer] = max(tops.get(answer, 0), eighths)

    def share(tally):
        first = [a for a, x in tally.items() if x == max(tally.values())]
        return (0 in first) / len(first)

    answers, scores = zip(*votes, strict=True)
    found = elected(answers, np.array(scores) / 8)
    assert found == pytest.approx(tuple(map(share, (totals, numbers, tops))))
