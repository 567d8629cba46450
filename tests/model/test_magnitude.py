"""Magnitude weighting against linear solves, scipy's non-negative least squares and theory 5.6."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls
from test_similarity import block_embeddings, block_similarity

from dora_theory.model.magnitude import magnitude_weighting, magnitude_weighting_from_similarity

pytestmark = pytest.mark.usefixtures("float64")


def kernel(embeddings, temperature):
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return np.exp(-(1 - unit @ np.swapaxes(unit, -1, -2)) / temperature)


def test_it_solves_the_system_where_that_is_positive():
    rng = np.random.default_rng(1)
    for k, t in ((1, 0.01), (5, 0.1), (30, 0.2)):
        e = rng.normal(size=(k, 64))
        z = kernel(e, t)
        truth = np.linalg.solve(z, np.ones(k))
        assert truth.min() > 0
        assert np.allclose(magnitude_weighting(e, similarity_temperature=t), truth, rtol=1e-10)


@pytest.mark.parametrize(
    ("temperature", "divergence"),
    [(0.01, 0.452), (0.05, 0.061), (0.1, 0.019), (0.5, 0.004), (5, 0.0025)],
)
def test_it_has_no_upper_branch(temperature, divergence):
    """Theory 5.6: its table, and its closed form θ = (1 - a)/(a - b)."""
    sizes = np.array([12, 3, 1])
    similarity, labels = block_similarity(sizes, 0.95, 0.7)
    mass = np.bincount(
        labels, magnitude_weighting_from_similarity(similarity, similarity_temperature=temperature)
    )
    mass /= mass.sum()
    digits = 5.1e-5 if temperature == 5 else 5.1e-4
    assert np.sum(np.log(1 / 3 / mass)) / 3 == pytest.approx(divergence, abs=digits)
    a, b = np.exp(-0.05 / temperature), np.exp(-0.3 / temperature)
    theta = (1 - a) / (a - b)
    assert np.allclose(mass, sizes / (sizes + theta) / np.sum(sizes / (sizes + theta)), rtol=1e-9)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0])
def test_ill_conditioned_kernels_have_the_non_negative_solution(temperature):
    """Optimality conditions, and the value that an active-set least squares finds."""
    rng = np.random.default_rng(2)
    e = rng.normal(size=(20, 24, 4))
    v = np.asarray(magnitude_weighting(e, similarity_temperature=temperature))
    z = kernel(e, temperature)
    assert v.min() >= 0
    assert (v == 0).any()
    excess = np.einsum("bij,bj->bi", z, v) - 1
    assert excess.min() > -1e-10
    assert np.abs(excess[v > 0]).max() < 1e-10
    for i in range(20):
        root = np.linalg.cholesky(z[i] + 1e-13 * np.eye(24))
        other, _ = nnls(root.T, np.linalg.solve(root, np.ones(24)))
        value, best = (2 * x.sum() - x @ z[i] @ x for x in (v[i], other))
        assert value == pytest.approx(best, rel=1e-9)


def test_copies_share_one_value_evenly():
    rng = np.random.default_rng(3)
    e = rng.normal(size=(3, 16))
    labels = np.array([0, 2, 0, 1, 0, 2])
    alone = np.asarray(magnitude_weighting(e, similarity_temperature=0.2))
    # Copies on another scale are the same direction.
    copies = magnitude_weighting(
        e[labels] * np.array([1, 1, 2, 4, 8, 0.5])[:, None], similarity_temperature=0.2
    )
    assert np.allclose(copies, (alone / [3, 1, 2])[labels], rtol=1e-12)
    together = np.asarray(copies)
    assert len({*together[[0, 2, 4]]}) == 1
    all_alike = magnitude_weighting_from_similarity(np.ones((4, 4)))
    assert np.allclose(all_alike, 0.25, rtol=1e-13)


def test_similarities_that_no_embeddings_have():
    """S says that 0 is like 1, 1 like 2, and 0 most unlike 2: Z has a negative eigenvalue."""
    similarity = np.array([[1, 0.99, -1], [0.99, 1, 0.99], [-1, 0.99, 1.0]])
    z = np.exp(-(1 - similarity) / 0.1)
    lowest = np.linalg.eigvalsh(z)[0]
    assert lowest < 0
    v = np.asarray(magnitude_weighting_from_similarity(similarity, similarity_temperature=0.1))
    raised = z - (lowest - 1e-14) * np.eye(3)
    excess = raised @ v - 1
    assert v.min() >= 0
    assert excess.min() > -1e-6
    assert np.abs(excess * v).max() < 1e-6
    lopsided = similarity + np.array([[0, 0.005, 0], [-0.005, 0, 0], [0, 0, 0]])
    assert np.allclose(magnitude_weighting_from_similarity(lopsided, similarity_temperature=0.1), v)


def test_a_ridge_blurs_what_it_is_larger_than():
    e, labels = block_embeddings([6, 1], 0.999, 0.5)
    sharp = np.bincount(labels, magnitude_weighting(e, similarity_temperature=1e-4))
    blurred = np.bincount(labels, magnitude_weighting(e, similarity_temperature=0.3, ridge=1e-3))
    assert sharp[0] / sharp[1] == pytest.approx(6, rel=1e-3)
    assert blurred[0] / blurred[1] == pytest.approx(1, rel=0.01)


def test_padding_raises_no_diagonal():
    """Its δ is 10 k ulps by the number of candidates, when called as they are too."""
    expected = 1 / (1 + 30 * np.finfo(np.float32).eps)
    there = np.arange(8) < 3
    for v in (
        magnitude_weighting_from_similarity(np.eye(3, dtype=np.float32)),
        magnitude_weighting_from_similarity(np.eye(8, dtype=np.float32), mask=there)[:3],
    ):
        np.testing.assert_allclose(v, expected, rtol=3e-7)


def test_padding_batches_and_float32():
    rng = np.random.default_rng(4)
    e = rng.normal(size=(2, 3, 5, 8))
    mask = rng.random((2, 3, 5)) < 0.7
    got = np.asarray(
        magnitude_weighting(
            np.where(mask[..., None], e, np.nan), similarity_temperature=0.3, mask=mask
        )
    )
    assert not got[~mask].any()
    for i in np.ndindex(2, 3):
        assert np.allclose(
            got[i][mask[i]],
            magnitude_weighting(e[i][mask[i]], similarity_temperature=0.3),
            rtol=1e-12,
        )
    with jax.enable_x64(False):
        small = np.asarray(magnitude_weighting(e.astype(np.float32), similarity_temperature=0.3))
    assert small.dtype == np.float32
    assert np.allclose(
        small, magnitude_weighting(e, similarity_temperature=0.3), rtol=1e-4, atol=1e-5
    )


def test_the_gradient_is_the_slope():
    rng = np.random.default_rng(5)
    e = jnp.array(rng.normal(size=(6, 3)))

    def value(t):
        return (magnitude_weighting(e, similarity_temperature=t) ** 2).sum()

    slope = float(jax.grad(value)(0.5))
    rise = float(value(0.5 + 1e-6) - value(0.5 - 1e-6)) / 2e-6
    assert slope == pytest.approx(rise, rel=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="ridge = -1"):
        magnitude_weighting(np.eye(2), ridge=-1.0)
    with pytest.raises(ValueError, match=r"similarity\[0, 1\] = nan"):
        magnitude_weighting_from_similarity(np.array([[1, np.nan], [0, 1]]))
