"""The allocation kernel equals its reference, and a plain greedy, on every row of the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_table import greedy, table
from lowering import for_cuda

from dora_theory.kernels.dispatch import unavailable
from dora_theory.kernels.divisor import largest_priorities
from dora_theory.kernels.divisor_pallas import Tiling, allocate, allocation_kernel

ON_GPU = unavailable() is None
CPU = jax.local_devices(backend="cpu")[0]


def run(kernel_options, *arguments):
    """The kernel, on the GPU if there is one; the reference, always on the CPU."""
    kernel = jax.jit(lambda *a: allocation_kernel(*a, interpret=not ON_GPU, **kernel_options))
    ours = np.asarray(kernel(*arguments))
    with jax.default_device(CPU):
        theirs = np.asarray(jax.jit(largest_priorities)(*arguments))
    return ours, theirs


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_it_equals_the_reference_ties_included(wide):
    with jax.enable_x64(wide):
        weights, kappa, budgets, mask = table(np.float64 if wide else np.float32)
        ours, theirs = run({}, weights, kappa, budgets, mask)
        np.testing.assert_array_equal(ours, theirs)
        few = budgets <= 64
        expected = greedy(weights[few], kappa[few], budgets[few], mask[few])
        np.testing.assert_array_equal(ours[few], expected)
        np.testing.assert_array_equal(ours.sum(-1), budgets)


def test_each_candidate_may_have_its_own_offset():
    """Beta(a, b) has the priorities a/(a + b + r)."""
    rng = np.random.default_rng(1)
    weights, _, budgets, mask = table(np.float32)
    offsets = rng.choice([0.25, 0.5, 1, 3], size=weights.shape).astype(np.float32)
    ours, theirs = run({"tile": Tiling(4, 1)}, weights, offsets, budgets, mask)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("own", [True, False])
def test_two_candidates_have_one_offset_or_two(own):
    weights = np.array([[0.5, 0.25], [0.1, 0.9], [0.3, 0.3]], np.float32)
    offsets = np.array([[0.5, 3.0], [40.0, 0.25], [1.0, 1.5]], np.float32)[:, : 1 + own]
    problem = weights, offsets, np.array([5, 9, 4]), np.ones((3, 2), bool)
    ours, theirs = run({"tile": Tiling(2, 1)}, *problem)
    np.testing.assert_array_equal(ours, theirs)
    both = np.broadcast_to(offsets, (3, 2))
    np.testing.assert_array_equal(ours, greedy(weights, both, *problem[2:]))


def test_batches_broadcast_and_an_empty_one_is_empty():
    """Three rows in programs of two: the last program has a row too many."""
    weights = np.array([[[0.5, 0.25, 0.25]], [[0.1, 0.9, 0.0]], [[0.3, 0.3, 0.4]]], np.float32)
    mask = np.ones(weights.shape, bool)
    tile = {"tile": Tiling(2, 1)}
    ours, theirs = run(tile, weights, np.float32(0.5), np.int32(7), mask)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == (3, 1, 3)
    none = allocation_kernel(jnp.zeros((0, 3)), jnp.ones(()), jnp.int32(7), jnp.ones((0, 3), bool))
    assert none.shape == (0, 3)


def lowered(k, dtype, own):
    def shape(*dimensions, of=dtype):
        return jax.ShapeDtypeStruct(dimensions, of)

    return for_cuda(
        allocation_kernel,
        shape(4096, k),
        shape(4096, k if own else 1),
        shape(4096, of=jnp.int32),
        shape(4096, k, of=bool),
    )


@pytest.mark.parametrize(
    ("k", "wide", "own"), [(5, False, True), (8192, False, False), (64, True, False)]
)
def test_it_lowers_for_cuda_and_asks_for_the_rounded_quotient(k, wide, own):
    with jax.enable_x64(wide):
        text = lowered(k, jnp.float64 if wide else jnp.float32, own)
    assert "__gpu$xla.gpu.triton" in text
    # Doubles are always divided so; of them the instruction is not asked for.
    assert ("div.rn.f32" in text) is not wide


@pytest.mark.skipif(not ON_GPU, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("k", [8, 63, 64, 1000, 4096])
def test_wide_rows_on_a_gpu(k):
    rng = np.random.default_rng(k)
    weights = rng.choice(rng.uniform(size=40), size=(500, k)).astype(np.float32)
    mask = rng.uniform(size=(500, k)) < 0.9
    mask[:, 0] = True
    kappa = rng.choice([1e-6, 0.5, 1, 1e3], size=(500, 1)).astype(np.float32)
    ours, theirs = run({}, weights, kappa, rng.integers(0, 5000, 500).astype(np.int32), mask)
    np.testing.assert_array_equal(ours, theirs)


def test_too_many_candidates_are_the_reference_s():
    arguments = np.ones((1, 9000)), np.ones(()), np.int32(3), np.ones((1, 9000), bool)
    with pytest.raises(ValueError, match="9000 > 8192 do not fit; use 'auto' or 'reference'"):
        allocate(*arguments, implementation="pallas")
