"""Labels, sums and pooled quality of directions."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from dora_theory.model.directions import direction_totals, direction_weights
from dora_theory.model.quality import quality_weights
from dora_theory.model.similarity import uniqueness


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("pool", ["mean-exp", "max", "mean"])
def test_pools_are_what_they_are_called(pool):
    rng = np.random.default_rng(6)
    scores, labels = rng.random((3, 8)), rng.integers(0, 3, (3, 8))
    mask = rng.random((3, 8)) < 0.7
    mask[:, 0] = True
    got = direction_weights(scores, np.where(mask, labels, -7), 4, pool=pool, mask=mask)
    for i in range(3):
        pooled = np.full(4, -np.inf)
        for j in range(4):
            mine = scores[i][mask[i] & (labels[i] == j)] / 0.1
            if mine.size:
                pooled[j] = {
                    "mean-exp": logsumexp(mine) - np.log(mine.size),
                    "max": mine.max(),
                    "mean": mine.mean(),
                }[pool]
        assert np.allclose(got[i], softmax(pooled), rtol=1e-13)


@pytest.mark.usefixtures("float64")
def test_dora_s_mass_of_a_direction_is_its_quality_when_copies_are_perfect():
    """Theorem 1, and 4.6: with unequal scores it is the mean of exponentials."""
    rng = np.random.default_rng(7)
    labels = np.array([0, 0, 0, 1, 1, 2])
    embeddings = np.eye(3)[labels]
    for scores in (np.array([0.9, 0.4, 0.7])[labels], rng.random(6)):
        w = quality_weights(scores) * uniqueness(embeddings, similarity_temperature=1e-3)
        mass = np.asarray(direction_totals(np.asarray(w), labels, 3))
        assert np.allclose(mass / mass.sum(), direction_weights(scores, labels, 3), rtol=1e-12)


def test_the_pool_decides_under_noise():
    """Theory 4.6: normal noise inflates the mean of exponentials by exp(σ²/2T²)."""
    rng = np.random.default_rng(8)
    k, sigma = 200_000, 0.1
    scores = np.concatenate([[0.5], 0.5 + sigma * rng.normal(size=k)]).astype(np.float32)
    labels = np.minimum(np.arange(k + 1), 1)
    odds = {}
    for pool in ("mean-exp", "mean"):
        q = direction_weights(scores, labels, 2, pool=pool)
        odds[pool] = float(q[1] / q[0])
    assert odds["mean"] == pytest.approx(1, abs=0.02)
    assert odds["mean-exp"] == pytest.approx(np.exp(0.5), rel=0.02)


def test_totals_keep_their_type_and_padding_adds_nothing(x64):
    got = direction_totals(np.array([[1, 2, 3], [4, 5, 6]]), np.array([0, 2, 2]), 4)
    assert got.tolist() == [[1, 0, 5, 0], [4, 0, 11, 0]]
    assert np.issubdtype(got.dtype, np.integer)
    mask = np.array([True, False, True])
    got = direction_totals(np.array([0.5, np.nan, 0.25]), np.array([0, 9, 0]), 1, mask=mask)
    assert got.tolist() == [0.75]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"directions\[1\] = 3"):
        direction_totals(np.ones(2), np.array([0, 3]), 3)
    with pytest.raises(ValueError, match="pool = 'median'"):
        direction_weights(np.ones(2), np.array([0, 1]), 2, pool="median")
    with pytest.raises(ValueError, match="directions: 3 candidates, where scores has 2"):
        direction_weights(np.ones(2), np.array([[0, 1, 1]]), 2)


@pytest.mark.parametrize("pool", ["mean-exp", "max", "mean"])
@pytest.mark.parametrize("temperature", [1e-5, 1e-20, 1e-37])
def test_directions_of_equal_scores_tie_at_any_temperature(pool, temperature):
    scores, labels = [0.1, 0.1, 0.1, 0.1, 0.05], [0, 0, 0, 1, 2]
    got = direction_weights(scores, labels, 3, pool=pool, quality_temperature=temperature)
    assert got.tolist() == [0.5, 0.5, 0]
