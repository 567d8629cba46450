"""The forms for Mosaic GPU: simulated memory, threads and barriers, and a detector of races."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_outcome_kernel import given
from test_similarities import directions

from dora_theory.kernels import similarity_parts
from dora_theory.kernels.outcomes import expected_outcomes_reference
from dora_theory.kernels.outcomes_mosaic import expected_outcomes_mosaic
from dora_theory.kernels.similarities import similarity_reference
from dora_theory.kernels.similarities_mosaic import Ring, similarity_mosaic

plgpu = pytest.importorskip("jax.experimental.pallas.mosaic_gpu")
simulates = pytest.mark.skipif(
    # JAX 0.11 simulates too, but wants every thread to see the last phase of a barrier.
    jax.__version_info__ < (0, 12),
    reason="JAX before 0.12 does not simulate Mosaic GPU",
)
# Two turns of columns and of dimensions, two places of the ring: every barrier is waited on.
RING = Ring(64, 64, 2)


def _capability():
    device = jax.devices()[0]
    return float(device.compute_capability) if device.platform == "gpu" else 0


on_hopper = pytest.mark.skipif(not 9 <= _capability() < 10, reason="needs a Hopper GPU")


@pytest.fixture(scope="module")
def problem():
    """Copies and padding among 150 candidates in 70 dimensions."""
    rng = np.random.default_rng(0)
    e = rng.normal(size=(1, 150, 70))
    e[:, 3] = e[:, 9]
    unit = (e / np.linalg.norm(e, axis=-1, keepdims=True)).astype(np.float32)
    values = rng.uniform(0.5, 2, size=(1, 150)).astype(np.float32)
    unit[:, 140:], values[:, 140:] = 0, 0
    return unit, values, np.array([0.05], np.float32)


def simulated(**options):
    return plgpu.InterpretGPUParams(detect_races=True, **options)


@simulates
@pytest.mark.parametrize("precision", ["full", "tf32", "bfloat16"])
def test_sums_equal_the_reference_without_a_race(problem, precision, monkeypatch):
    # Of four blocks of columns one program takes two, if they are not too many for it alone.
    monkeypatch.setattr(similarity_parts, "_TOGETHER", 4 if precision == "full" else 2)
    ours = similarity_mosaic(*problem, precision=precision, ring=RING, interpret=simulated())
    theirs = similarity_reference(*problem, precision=precision)
    np.testing.assert_allclose(ours[:, :140], theirs[:, :140], rtol=1e-5)


def test_six_products_of_bfloat16_are_one_of_float32():
    """Against float64: no worse than twice float32's own rounding of a product of unit vectors."""
    from dora_theory.kernels.similarities_mosaic import _in_bfloat16

    rng = np.random.default_rng(1)
    e = rng.normal(size=(40, 384))
    e = jnp.asarray(e / np.linalg.norm(e, axis=-1, keepdims=True), jnp.float32)
    left, right = (np.asarray(x.astype(jnp.float32), float) for x in _in_bfloat16(e, "full"))
    exact = np.asarray(e, float) @ np.asarray(e, float).T
    assert np.abs(left @ right.T - exact).max() < 2.0**-24


@simulates
def test_outcomes_equal_the_reference_without_a_race():
    """Problems with a p of 0 and of 1 among them, a program that is not full."""
    arguments = jax.tree.map(jnp.asarray, given(200, 190))
    ours = expected_outcomes_mosaic(*arguments, each=128, interpret=simulated())
    for x, y in zip(ours, jax.jit(expected_outcomes_reference)(*arguments), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@on_hopper
@pytest.mark.parametrize("precision", ["full", "tf32", "bfloat16"])
@pytest.mark.parametrize(("k", "d"), [(8, 384), (100, 16), (1000, 384), (4096, 1024)])
def test_sums_on_a_gpu(k, d, precision):
    arguments = directions(k, d)
    ours = jax.jit(partial(similarity_mosaic, precision=precision))(*arguments)
    np.testing.assert_allclose(
        ours, similarity_reference(*arguments, precision=precision), rtol=1e-3
    )


@on_hopper
@pytest.mark.parametrize("samples", [1, 1000, 4096])
def test_outcomes_on_a_gpu(samples):
    arguments = jax.tree.map(jnp.asarray, given(samples, samples))
    ours = jax.jit(expected_outcomes_mosaic)(*arguments)
    for x, y in zip(ours, jax.jit(expected_outcomes_reference)(*arguments), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@simulates
def test_a_missing_barrier_is_seen(problem, monkeypatch):
    """Last, for the simulation cannot go on after it: the copier does not wait for a place.

    Whichever it meets first is said: what is overwritten, or a turn that no one has waited for.
    """
    wait, seen = plgpu.barrier_wait, []

    def forgets(barrier):
        seen.append(barrier)
        # Of two waits, each time that the kernel is traced, the first is the copier's.
        if len(seen) % 2 == 0:
            wait(barrier)

    monkeypatch.setattr(plgpu, "barrier_wait", forgets)
    with pytest.raises(Exception, match=r"RACE DETECTED|no threads observed"):
        jax.block_until_ready(
            similarity_mosaic(*problem, precision="bfloat16", ring=RING, interpret=simulated())
        )
