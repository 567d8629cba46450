"""Quality, similarity and uniqueness against plain float64 and the paper's worked example."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_theory.model.quality import quality_weights
from dora_theory.model.similarity import (
    affinity,
    cosine_similarity,
    uniqueness,
    uniqueness_from_similarity,
)
from dora_theory.model.weights import dora_weights


def block_similarity(sizes, inside, across):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    similarity = np.where(labels[:, None] == labels, inside, across)
    np.fill_diagonal(similarity, 1)
    return similarity, labels


def block_embeddings(sizes, inside, across):
    """Vectors whose cosines are `inside` and `across`: a root of the similarity matrix."""
    similarity, labels = block_similarity(sizes, inside, across)
    values, vectors = np.linalg.eigh(similarity)
    return vectors * np.sqrt(np.maximum(values, 0)), labels


def test_figure_2_of_the_paper(x64):
    dtype = float if x64 else np.float32
    embeddings = np.array([[1, 0], [1, 0], [1, 0], [0.1, np.sqrt(0.99)]], dtype)
    scores = np.full(4, 0.95, dtype)
    tight = 1e-12 if x64 else 1e-5
    assert np.allclose(quality_weights(scores), 0.25, rtol=tight)
    assert np.allclose(uniqueness(embeddings), [1 / 3, 1 / 3, 1 / 3, 1], rtol=tight)
    assert np.allclose(dora_weights(scores, embeddings), [1 / 6, 1 / 6, 1 / 6, 1 / 2], rtol=tight)


@pytest.mark.usefixtures("float64")
def test_uniqueness_is_what_equations_10_to_12_say():
    rng = np.random.default_rng(10)
    for k, d, t in ((1, 3, 0.01), (7, 2, 0.5), (40, 8, 0.1)):
        e = rng.normal(size=(k, d))
        unit = e / np.linalg.norm(e, axis=1, keepdims=True)
        s = unit @ unit.T
        p = np.exp(s / t) / np.exp(s / t).sum(1, keepdims=True)
        assert np.allclose(cosine_similarity(e), s, atol=1e-14)
        assert np.allclose(affinity(s, similarity_temperature=t), p, rtol=1e-11)
        assert np.allclose(
            uniqueness_from_similarity(s, similarity_temperature=t), np.diag(p), rtol=1e-11
        )
        for block_size in (1, 3, 512):
            gamma = uniqueness(e, similarity_temperature=t, block_size=block_size)
            assert np.allclose(gamma, np.diag(p), rtol=1e-11)


def test_float32_uniqueness_at_the_paper_s_temperature():
    """T_s = 0.01 multiplies rounding errors of a cosine by 100."""
    e, _ = block_embeddings([12, 3, 1, 40], 0.97, 0.6)
    with jax.enable_x64(True):
        truth = np.asarray(uniqueness(e))
    got = np.asarray(uniqueness(e.astype(np.float32)))
    assert got.dtype == np.float32
    assert np.abs(got / truth - 1).max() < 1e-4


@pytest.mark.parametrize("block_size", [32, 512])
def test_a_candidate_is_one_with_itself_whatever_rounding_says(block_size):
    # A rounding of the own cosine would be a hundred times T_s.
    e = np.random.default_rng(0).normal(size=(100, 50)).astype(np.float32)
    assert uniqueness(e, similarity_temperature=1e-9, block_size=block_size).tolist() == [1.0] * 100


@pytest.mark.parametrize(("problems", "k", "d"), [(700, 16, 64), (701, 40, 20)])
def test_many_problems_are_each_their_own(problems, k, d):
    """More than a cache holds: narrow ones at once, others in groups. Lengths are of any scale."""
    rng = np.random.default_rng(k)
    e = rng.normal(size=(problems, 5, d))[:, rng.integers(5, size=k)]
    e = (e + 0.02 * rng.normal(size=e.shape)) * 10.0 ** rng.integers(-30, 31, (problems, k, 1))
    e = e.astype(np.float32)
    mask = rng.uniform(size=(problems, k)) < 0.8
    mask[:, 0] = True
    unit = e / np.linalg.norm(e.astype(float), axis=-1, keepdims=True)
    near = np.exp((np.minimum(unit @ unit.swapaxes(-1, -2), 1) - 1) / 0.01) * mask[:, None]
    expected = np.where(mask, 1 / near.sum(-1), 0)
    e[~mask] = np.nan
    np.testing.assert_allclose(uniqueness(e, mask=mask), expected, rtol=1e-3)


def test_lengths_at_the_ends_of_float32_are_lengths():
    least, most = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    e = np.array([[most, most], [least, least], [1, -1]], np.float32)
    np.testing.assert_allclose(uniqueness(e), [0.5, 0.5, 1], rtol=1e-3)
    with pytest.raises(ValueError, match=r"embeddings\[1\] is zero or subnormal"):
        uniqueness(np.array([[1, 0], [1e-40, 0]], np.float32))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("inside", "across", "golden"),
    [
        (0.98, 0.7, [0.4741, 0.1927, 0.0607, 0.0133, 0.0425, 0.1715, 0.3369]),
        (0.95, 0.7, [0.4795, 0.4520, 0.2628, 0.0655, 0.0769, 0.2009, 0.3519]),
        (0.90, 0.6, [0.4795, 0.4793, 0.4520, 0.1938, 0.0953, 0.1728, 0.3296]),
    ],
)
def test_the_bias_is_u_shaped_in_the_temperature(inside, across, golden):
    """Theory 4.5: its table, and its closed form of γ."""
    sizes = np.array([12, 3, 1])
    e, labels = block_embeddings(sizes, inside, across)
    for t, divergence in zip((0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5), golden, strict=True):
        gamma = np.asarray(uniqueness(e, similarity_temperature=t))
        a, b = np.exp(-(1 - inside) / t), np.exp(-(1 - across) / t)
        own = sizes[labels]
        assert np.allclose(gamma, 1 / (1 + (own - 1) * a + (16 - own) * b), rtol=1e-9)
        mass = np.bincount(labels, gamma)
        mass /= mass.sum()
        assert np.sum(np.log(1 / 3 / mass)) / 3 == pytest.approx(divergence, abs=5.1e-5)
        theta = (1 - a + 16 * b) / (a - b)
        assert np.allclose(mass, sizes / (sizes + theta) / np.sum(sizes / (sizes + theta)))


@given(st.integers(1, 9), st.integers(0, 10**6), st.sampled_from([1e-300, 1e-3, 0.1, 10.0, 1e300]))
def test_uniqueness_lies_between_one_kth_and_one(k, seed, temperature):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        gamma = np.asarray(
            uniqueness(
                rng.normal(size=(9, 2)), similarity_temperature=temperature, mask=np.arange(9) < k
            )
        )
    assert np.all(gamma[k:] == 0)
    assert np.all((gamma[:k] >= (1 - 1e-12) / k) & (gamma[:k] <= 1))


def test_scale_and_padding_change_nothing(x64):
    dtype = float if x64 else np.float32
    rng = np.random.default_rng(4)
    e = rng.normal(size=(2, 6, 3)).astype(dtype)
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    padded = np.where(mask[..., None], e, np.nan)
    scores = rng.random((2, 6)).astype(dtype)
    full = dora_weights(scores, padded, similarity_temperature=0.1, mask=mask)
    assert np.allclose(np.asarray(full).sum(-1), 1, rtol=1e-6)
    alone = dora_weights(scores[1, :4], e[1, :4], similarity_temperature=0.1)
    assert np.allclose(full[1, :4], alone, rtol=1e-5)
    assert not np.asarray(full)[1, 4:].any()
    large, small = (1e150, 1e-150) if x64 else (1e18, 1e-18)
    scaled = e * np.where(np.arange(6) % 2, large, small).astype(dtype)[:, None]
    assert np.allclose(
        uniqueness(scaled, similarity_temperature=0.1),
        uniqueness(e, similarity_temperature=0.1),
        rtol=1e-5,
    )


def test_quality_of_scores_far_apart_is_finite(x64):
    dtype = float if x64 else np.float32
    w = quality_weights(np.array([0.0, 1.0, 1.0], dtype), quality_temperature=1e-6)
    assert np.array_equal(w, np.array([0, 0.5, 0.5], dtype))
    assert quality_weights(np.array([0.3], dtype)).tolist() == [1]


@pytest.mark.usefixtures("float64")
def test_gradients_are_the_slopes_and_vmap_is_the_batch():
    rng = np.random.default_rng(5)
    e, r = jnp.array(rng.normal(size=(3, 5, 2))), jnp.array(rng.random((3, 5)))

    def first(r, e, t):
        return dora_weights(r, e, similarity_temperature=t)[..., 0].sum()

    slope = jax.grad(first, (0, 2))(r, e, 0.3)
    rise = (first(r, e, 0.3 + 1e-6) - first(r, e, 0.3 - 1e-6)) / 2e-6
    assert float(slope[1]) == pytest.approx(float(rise), rel=1e-6)
    step = jnp.zeros_like(r).at[1, 2].set(1e-6)
    rise = (first(r + step, e, 0.3) - first(r - step, e, 0.3)) / 2e-6
    assert float(slope[0][1, 2]) == pytest.approx(float(rise), rel=1e-6)
    assert np.all(np.isfinite(jax.grad(first, 1)(r, jnp.ones_like(e), 0.3)))
    assert np.allclose(jax.vmap(dora_weights)(r, e), dora_weights(r, e))


def test_no_array_of_all_pairs_is_made():
    """What is compiled holds blocks only."""
    k, block = 4096, 64
    e = jax.ShapeDtypeStruct((k, 8), jnp.float32)
    compiled = jax.jit(lambda e: uniqueness(e, block_size=block)).lower(e).compile()
    text = compiled.as_text()
    assert f"[{block},{block}]" in text
    assert f"[{k},{k}]" not in text
    assert compiled.memory_analysis().temp_size_in_bytes < k * k


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"scores\[1\] = nan"):
        quality_weights(np.array([0.5, np.nan]))
    with pytest.raises(ValueError, match="temperature = 0"):
        quality_weights(np.array([0.5]), quality_temperature=0.0)
    with pytest.raises(ValueError, match=r"embeddings\[1\] is zero"):
        uniqueness(np.array([[1.0, 0], [0, 0]]))
    with pytest.raises(ValueError, match=r"embeddings\[0, 1\] = inf"):
        cosine_similarity(np.array([[1.0, np.inf], [0, 1]]))
    with pytest.raises(ValueError, match="similarity: needs a square matrix"):
        affinity(np.ones((2, 3)))
    with pytest.raises(ValueError, match="block_size = 0"):
        uniqueness(np.ones((2, 3)), block_size=0)


def softmax_of_50_digits(scores, temperature):
    exact = [mpmath.mpf(float(r)) for r in scores]
    with mpmath.workdps(50):
        each = [mpmath.exp((r - max(exact)) / mpmath.mpf(float(temperature))) for r in exact]
        total = mpmath.fsum(each)
        return np.array([e / total for e in each])


@pytest.mark.parametrize("compiled", [False, True])
def test_quality_has_its_stated_error_at_any_temperature(x64, compiled):
    """Among scores of any size: it is their distance to the largest over T_b that counts."""
    dtype = np.dtype(float if x64 else np.float32)
    rng = np.random.default_rng(3)
    weigh = jax.jit(quality_weights) if compiled else quality_weights
    gamma = jax.jit(uniqueness_from_similarity) if compiled else uniqueness_from_similarity
    for i, t in enumerate(dtype.type(10.0) ** rng.uniform(-5, 4, 40).astype(dtype)):
        scores = (10 ** rng.uniform(-2, 5) * rng.uniform(size=20)).astype(dtype)
        if i % 2:
            # Low bits that only the difference sees.
            scores = (3 + t * rng.uniform(size=20)).astype(dtype)
        truth = softmax_of_50_digits(scores, t)
        gap = (scores.max() - scores.astype(float)) / float(t)
        bound = (8 + 10 + gap) * np.finfo(dtype).eps * truth + 4 * np.finfo(dtype).tiny
        for got in (
            weigh(scores, quality_temperature=t),
            gamma(np.tile(scores, (20, 1)), similarity_temperature=t),
        ):
            assert np.all(np.abs(np.asarray(got, float) - truth) <= bound)


@pytest.mark.parametrize("temperature", [1e-10, 1e-20, 1e-37])
def test_a_temperature_near_0_leaves_the_best(x64, temperature):
    assert quality_weights([0.2, 0.9, 0.5], quality_temperature=temperature).tolist() == [0, 1, 0]
    assert quality_weights([1e9, 3e9, 2e9]).tolist() == [0, 1, 0]
    # Ties stay ties.
    assert quality_weights([0.7, 0.1, 0.7], quality_temperature=temperature).tolist() == [
        0.5,
        0,
        0.5,
    ]
    slopes = jax.grad(lambda r, t: quality_weights(r, quality_temperature=t)[1], (0, 1))
    assert all(np.isfinite(x).all() for x in slopes(jnp.array([0.2, 0.9, 0.5]), temperature))
