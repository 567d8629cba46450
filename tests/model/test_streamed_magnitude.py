"""Conjugate gradients over streamed products against factorized matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory import magnitude_weighting, streamed_magnitude_weighting
from dora_theory.kernels.dispatch import unavailable


def problems(dtype):
    """Three of 24 candidates: strangers, a few directions with copies, and one with padding."""
    rng = np.random.default_rng(7)
    e = rng.normal(size=(3, 24, 16))
    e[1] = rng.normal(size=(4, 16))[rng.integers(4, size=24)] + 0.2 * rng.normal(size=(24, 16))
    e[1, 5:8] = e[1, 4]
    mask = np.ones((3, 24), bool)
    mask[2, 20:] = False
    return e.astype(dtype), mask


def kernel(e, temperature, mask):
    unit = e / np.linalg.norm(e, axis=-1, keepdims=True)
    both = mask[:, :, None] & mask[:, None, :]
    return np.where(both, np.exp((unit @ unit.swapaxes(-1, -2) - 1) / temperature), 0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("temperature", [0.1, 2.0])
def test_it_is_the_factorized_solution(temperature):
    """Some candidates are dropped; the optimality conditions and the value are checked apart."""
    e, mask = problems(float)
    found = streamed_magnitude_weighting(
        e, similarity_temperature=temperature, mask=mask, block_size=10
    )
    v, theirs = (
        np.asarray(found.weighting),
        magnitude_weighting(e, similarity_temperature=temperature, mask=mask),
    )
    assert np.all(v[~mask] == 0)
    assert found.residual.max() < 1e-8
    z = kernel(e, temperature, mask)
    off = np.where(mask, np.einsum("bij,bj->bi", z, v) - 1, 0)
    # δ = 10 k eps is part of the problem, and below what is asked here.
    assert np.abs(np.where(v > 0, off, np.minimum(off, 0))).max() < 1e-8
    assert ((v == 0) & mask).any()
    np.testing.assert_allclose(v, theirs, atol=1e-6)
    np.testing.assert_allclose(v[1, 4:8], v[1, 4], rtol=1e-6)
    for ours, best, matrix in zip(v, np.asarray(theirs), z, strict=True):
        value = [2 * x.sum() - x @ matrix @ x for x in (ours, best)]
        assert value[0] == pytest.approx(value[1], rel=1e-9)


def test_float32_reaches_its_tolerance_and_says_what_it_missed():
    e, mask = problems(np.float32)
    found = streamed_magnitude_weighting(e, similarity_temperature=0.1, mask=mask)
    assert found.weighting.dtype == np.float32
    assert found.residual.max() < 1e-4
    hasty = streamed_magnitude_weighting(
        e, similarity_temperature=0.1, mask=mask, max_iterations=1, block_size=1
    )
    assert hasty.residual.max() > 1e-2


def test_a_ridge_is_part_of_the_system_for_each_copy():
    e, mask = problems(np.float32)
    v = np.asarray(
        streamed_magnitude_weighting(e, similarity_temperature=0.1, ridge=0.5, mask=mask).weighting
    )
    z = kernel(e.astype(float), 0.1, mask) + 0.5 * np.eye(24)
    off = np.where(mask, np.einsum("bij,bj->bi", z, v) - 1, 0)
    assert np.abs(np.where(v > 0, off, np.minimum(off, 0))).max() < 1e-4


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("block", [10, 512])
def test_gradients_are_those_of_the_factorized_solution(block):
    e, mask = problems(float)
    direction = np.random.default_rng(3).normal(size=mask.shape)

    def value(weigh, e, temperature, ridge):
        return (weigh(e, temperature, ridge) * direction).sum()

    def streamed(e, temperature, ridge):
        options = {"ridge": ridge, "mask": mask, "block_size": block, "tolerance": 1e-13}
        return streamed_magnitude_weighting(
            e, similarity_temperature=temperature, **options
        ).weighting

    def factorized(e, temperature, ridge):
        return magnitude_weighting(e, similarity_temperature=temperature, ridge=ridge, mask=mask)

    # Without the copies, to which the two add a ridge in different ways.
    e[1, 5:8] += 0.3 * np.random.default_rng(4).normal(size=(3, 16))
    at = jnp.asarray(e), 0.3, 0.05
    ours, theirs = (
        jax.grad(lambda *x, w=w: value(w, *x), (0, 1, 2))(*at) for w in (streamed, factorized)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    _, tangent = jax.jvp(lambda t: value(streamed, at[0], t, 0.05), (0.3,), (1.0,))
    np.testing.assert_allclose(tangent, ours[1], rtol=1e-6)


def test_the_residual_is_that_of_the_system_with_its_ridge():
    e, mask = problems(np.float32)
    found = streamed_magnitude_weighting(
        e, similarity_temperature=0.1, ridge=2.0, mask=mask, max_iterations=3
    )
    v = np.asarray(found.weighting, float)
    off = np.einsum("bij,bj->bi", kernel(e.astype(float), 0.1, mask) + 2 * np.eye(24), v) - 1
    missed = np.where(v > 0, np.abs(off), np.maximum(-off, 0)) * mask
    np.testing.assert_allclose(found.residual, missed.max(-1), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_backward_too_no_array_of_all_pairs_is_made():
    k, block = 2048, 64
    e = jax.ShapeDtypeStruct((k, 8), jnp.float32)

    def total(e):
        return streamed_magnitude_weighting(e, block_size=block).weighting.sum()

    compiled = jax.jit(jax.grad(total)).lower(e).compile()
    assert f"{k},{k}]" not in compiled.as_text()
    assert compiled.memory_analysis().temp_size_in_bytes < k * k


def test_no_array_of_all_pairs_is_made():
    k, block = 2048, 64
    e = jax.ShapeDtypeStruct((k, 8), jnp.float32)
    compiled = (
        jax.jit(lambda e: streamed_magnitude_weighting(e, block_size=block)).lower(e).compile()
    )
    assert f"{k},{k}]" not in compiled.as_text()
    assert compiled.memory_analysis().temp_size_in_bytes < k * k


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"tolerance = 0: needs a finite number in \(0, inf\)"):
        streamed_magnitude_weighting(np.eye(2), tolerance=0)
    with pytest.raises(ValueError, match="temperature = 0"):
        streamed_magnitude_weighting(np.eye(2), similarity_temperature=0)
    if unavailable():
        with pytest.raises(ValueError, match="implementation='pallas'"):
            streamed_magnitude_weighting(np.eye(2), implementation="pallas")
