"""Hard directions against a second implementation, and what must hold of any clustering."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_theory.model.clustering import hard_directions


def partition(labels):
    return {frozenset(np.flatnonzero(labels == j)) for j in set(labels)}


def test_copies_and_neighbors_are_one_direction():
    embeddings = [[1, 0], [0, 2], [1, 0.1], [5, 0], [-1, 0], [0.1, 3]]
    assert hard_directions(embeddings, threshold=0.3).tolist() == [0, 1, 0, 0, 2, 1]


def test_thresholds_at_their_ends():
    embeddings = np.array([[1.0, 0.0], [1.0, 1e-3], [3.0, 0.0], [-1.0, 0.0]])
    assert hard_directions(embeddings, threshold=0).tolist() == [0, 1, 0, 2]
    assert hard_directions(embeddings, threshold=2).tolist() == [0, 0, 0, 0]


def test_one_candidate():
    labels = hard_directions([[3, 4]])
    assert labels.tolist() == [0]
    assert labels.dtype == np.int32


def test_a_distance_at_the_threshold_joins():
    # Cosine 0 exactly, so distance 1 exactly.
    assert hard_directions([[1, 0], [0, 1]], threshold=1).tolist() == [0, 0]
    assert hard_directions([[1, 0], [0, 1]], threshold=0.999).tolist() == [0, 1]


def joined(distance, threshold):
    """Groups by the definition: the two nearest in the mean are joined, while within reach."""
    groups = [[i] for i in range(len(distance))]
    while len(groups) > 1:
        pairs = itertools.combinations(range(len(groups)), 2)
        mean = {(a, b): distance[np.ix_(groups[a], groups[b])].mean() for a, b in pairs}
        a, b = min(mean, key=mean.get)
        if mean[a, b] > threshold:
            break
        groups[a] += groups.pop(b)
    return {frozenset(group) for group in groups}


@given(st.integers(0, 10**6), st.integers(2, 14), st.floats(0.05, 1.5))
def test_it_is_the_definition(seed, size, threshold):
    rows = np.random.default_rng(seed).normal(size=(size, 3))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    labels = hard_directions(rows, threshold=threshold)
    assert partition(labels) == joined(1 - unit @ unit.T, threshold)
    # Numbered by first appearance.
    firsts = [int(np.flatnonzero(labels == j)[0]) for j in range(labels.max() + 1)]
    assert firsts == sorted(firsts)


@given(st.integers(0, 10**6), st.floats(-300, 300))
def test_order_and_length_of_embeddings_do_not_matter(seed, power):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(12, 3))
    order = generator.permutation(12)
    labels = hard_directions(rows, threshold=0.4)
    moved = hard_directions(rows[order] * 10.0**power, threshold=0.4)
    assert partition(labels[order]) == partition(moved)


@pytest.mark.parametrize(
    ("embeddings", "threshold", "message"),
    [
        ([[1, 0], [0, 0]], 0.3, r"embeddings\[1\] = \[0. 0.\]: has no direction"),
        ([[1, np.nan]], 0.3, r"embeddings\[0\] .*finite"),
        (np.zeros((0, 3)), 0.3, r"got \(0, 3\)"),
        ([[1, 0]], 2.5, r"threshold = 2.5"),
        ([[1, 0]], np.nan, r"threshold = nan"),
    ],
)
def test_bad_input(embeddings, threshold, message):
    with pytest.raises(ValueError, match=message):
        hard_directions(embeddings, threshold=threshold)
