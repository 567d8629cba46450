"""What is said to be exact is, nearly all of it is, and what cannot be done is not said to be."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_table import greedy, table

from dora_theory.kernels.arithmetic import PLAIN
from dora_theory.kernels.dispatch import unavailable
from dora_theory.kernels.divisor import largest_in_block, largest_priorities
from dora_theory.kernels.divisor_pallas import Tiling, allocation_kernel
from dora_theory.kernels.quick_counts import clear_counts, quick_counts

ON_GPU = unavailable() is None


@jax.jit
def quick(n, c, goal):
    return quick_counts(n, c, goal[:, None], PLAIN, 1.0)


def near_ties(dtype, rows=20_000, k=6):
    """Weights a few units in the last place off a grid: priorities tie, or nearly."""
    rng = np.random.default_rng(3)
    grid = rng.choice([0.125, 0.25, 0.3, 0.375, 0.6, 0.75], size=(rows, k))
    off = rng.choice([0, 0, 0, 1, -1, 2, 5], size=grid.shape) * np.finfo(dtype).eps / 2
    c = rng.choice([1e-3, 0.5, 1.0, 3.0, 40.0], size=(rows, 1))
    goal = rng.integers(0, 25, size=rows)
    return (grid * (1 + off)).astype(dtype), c.astype(dtype), goal.astype(np.int32)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_counts_that_are_said_to_be_exact_are(wide, own):
    with jax.enable_x64(wide):
        n, c, goal = near_ties(np.float64 if wide else np.float32)
        if own:
            c = np.random.default_rng(4).choice(c[:, 0], size=n.shape)
        found = quick(n, c, goal)
        exact = np.asarray(found.exact)[:, 0]
        expected = greedy(n, c, goal, np.ones(n.shape, bool))
        np.testing.assert_array_equal(np.asarray(found.counts)[exact], expected[exact])
        # Of rows that tie, or nearly do, as many as have no tie across their goal.
        assert 0.2 < exact.mean() < 0.8
        assert np.asarray(found.sound).all()


@pytest.mark.parametrize("k", [2, 8, 64, 1000])
def test_nearly_all_ordinary_rows_are_exact(k):
    rng = np.random.default_rng(k)
    n = rng.dirichlet(np.full(k, 0.5), size=2000 if k < 1000 else 200).astype(np.float32)
    goal = np.full(len(n), 2 * k, np.int32)
    found = quick(n, np.ones((1, 1), np.float32), goal)
    exact = np.asarray(found.exact)[:, 0]
    assert exact.mean() > 0.85
    np.testing.assert_array_equal(np.asarray(found.counts).sum(-1)[exact], goal[exact])
    expected = np.asarray(largest_priorities(n, np.float32(1), goal, None))
    np.testing.assert_array_equal(np.asarray(found.counts)[exact], expected[exact])


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_a_level_at_a_priority_is_in_doubt_and_one_farther_off_is_not(wide, own):
    """Of a priority n/(c + r) the level is (c + r)/n; rounding is relative to c + r + 1."""
    rng = np.random.default_rng(5)
    with jax.enable_x64(wide):
        dtype = np.float64 if wide else np.float32
        n = rng.uniform(0.01, 1, size=(5000, 1)).astype(dtype)
        c = (10.0 ** rng.uniform(-3, 3, size=n.shape)).astype(dtype)
        r = rng.integers(0, 200, size=n.shape)
        zero = np.zeros_like(n)
        # Beside it a candidate that owns nothing, which may have an offset of its own.
        both = np.concatenate([n, zero], 1), np.concatenate([c, zero + 1], 1) if own else c
        wider = (np.asarray(x, np.longdouble) for x in (n, c))
        exact_n, exact_c = wider
        for off in (0, 1, -1, 10, -10):
            rounding = off * np.finfo(dtype).eps * (exact_c + r + 1)
            level = ((exact_c + r + rounding) / exact_n).astype(dtype)
            counts, clear = clear_counts(level, *both, PLAIN)
            assert (np.asarray(clear) == (abs(off) > 1)).all()
            if abs(off) > 1:
                np.testing.assert_array_equal(np.asarray(counts)[:, :1], r + (off > 0))


@pytest.mark.skipif(not ON_GPU, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_near_ties_and_bad_rows_on_a_gpu(wide, own):
    """As the device's own instructions round them, in programs of many rows and without a mask."""
    with jax.enable_x64(wide):
        n, c, goal = near_ties(np.float64 if wide else np.float32)
        for place, bad in zip((n[:, :2], c, goal), bad_rows(), strict=True):
            place[: 7 * len(bad) : 7] = bad
        c = np.repeat(c, n.shape[1], 1) if own else c
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            expected = np.asarray(jax.jit(largest_priorities)(n, c, goal, None))
        for rows in (1, 4, 32):
            kernel = jax.jit(partial(allocation_kernel, tile=Tiling(rows, 1)))
            np.testing.assert_array_equal(kernel(n, c, goal, None), expected)


def bad_rows():
    """Rows of two that no search can do, some of which have an answer all the same."""
    n, c, goal = [], [], []
    for first, offset, budget in (
        (np.nan, 1, 5), (-0.25, 1, 5), (np.inf, 1, 5), (1.5, 1, 5), (0.5, 0, 5), (0.5, -1, 5),
        (0.5, np.nan, 5), (0.5, np.inf, 5), (0.5, 1, -1), (0.5, 1, 2**22), (-0.0, 1, 5),
        (0.25, 1, 1),
    ):  # fmt: skip
        n.append([first, 0.25])
        c.append([offset])
        goal.append(budget)
    return np.array(n, np.float32), np.array(c, np.float32), np.array(goal, np.int32)


def test_what_is_not_sound_is_never_exact_and_a_kernel_s_as_the_reference_s():
    """Bad rows are -1 throughout; a weight of -0, a tie, a large budget are no bad rows."""
    n, c, goal = bad_rows()
    found = quick(n, c, goal)
    assert not np.asarray(found.exact).any()
    assert np.asarray(found.sound)[:, 0].tolist() == [False] * 11 + [True]
    expected = np.asarray(largest_priorities(n, c, goal, None, most=1.0))
    assert (expected == -1).all(-1).tolist() == [True] * 9 + [False] * 3
    for mask in (None, np.ones(n.shape, bool)):
        for tile in (Tiling(4, 1), Tiling(1, 1)):
            ours = allocation_kernel(n, c, goal, mask, most=1.0, tile=tile, interpret=True)
            np.testing.assert_array_equal(ours, expected)


def test_what_lies_in_padding_is_not_looked_at():
    n, c, goal = np.float32([[np.nan, 0.5, 0.25, -7.0]]), np.float32([[1.0]]), np.int32([6])
    mask = np.array([[False, True, True, False]])
    ours = allocation_kernel(n, c, goal, mask, interpret=True)
    np.testing.assert_array_equal(ours, [[0, *greedy(n[:, 1:3], c, goal, mask[:, 1:3])[0], 0]])


@pytest.mark.parametrize("k", [1, 3, 4])
def test_without_a_mask_all_candidates_exist(k):
    weights, kappa, budgets, _ = table(np.float32)
    weights = weights[:7, :k]
    for tile in (Tiling(2, 1), Tiling(1, 1)):
        ours = allocation_kernel(weights, kappa[:7], budgets[:7], None, tile=tile, interpret=True)
        np.testing.assert_array_equal(
            ours, largest_priorities(weights, kappa[:7], budgets[:7], None)
        )


def test_rows_beside_a_row_that_is_searched_on_stay_as_they_are():
    """A whole block is searched on for one of its rows."""
    n, c, goal = bad_rows()
    good = np.tile(np.float32([[0.7, 0.2]]), (len(n), 1))
    both = np.concatenate([n, good]), np.concatenate([c, np.ones_like(c)])
    goals = np.concatenate([goal, np.full(len(n), 7, np.int32)])
    ours = largest_in_block(both[0], None, both[1], goals[:, None], jnp.divide, 1.0)
    np.testing.assert_array_equal(ours, largest_priorities(*both, goals, None, most=1.0))
