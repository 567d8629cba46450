"""A level is an answer where nothing doubts it, however near it lies to a priority."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_table import greedy

from dora_theory.kernels.divisor import largest_priorities
from dora_theory.kernels.level_search import (
    count_sum,
    counted,
    counts_at,
    counts_in_doubt,
    first_bracket,
    row_sum,
    search,
)

K = 6


def near_priorities(rng, rows, dtype):
    """Numerators whose priorities all but meet at one level, and levels a few floats beside it."""
    c = rng.choice([1e-3, 0.3, 0.5, 1, 2.7, 40], size=(rows, 1)).astype(dtype)
    served = rng.integers(0, 30, size=(rows, K))
    eps = np.finfo(dtype).eps * rng.choice([1, 3, 10, 30, 100], size=(rows, 1))
    level = rng.uniform(40, 80, size=(rows, 1)).astype(dtype)
    n = ((c + served) / level * (1 + eps * rng.normal(size=(rows, K)))).astype(dtype)
    return n, c, level


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_counts_without_doubt_are_the_greedy_s(wide):
    rng = np.random.default_rng(8)
    with jax.enable_x64(wide):
        n, c, level = near_priorities(rng, 20_000, np.float64 if wide else np.float32)
        goal = np.asarray(counts_at(level, n, c)).sum(-1, keepdims=True)
        found = jax.jit(counts_in_doubt, static_argnums=4)(level, n, c, goal, count_sum)
        counts, doubt = np.asarray(found[0]), np.asarray(found[1])[:, 0]
        small = goal[:, 0] <= 300
        expected = greedy(n[small], c[small], goal[small, 0], np.ones((small.sum(), K), bool))
    wrong = (counts[small] != expected).any(-1)
    assert wrong.mean() > 0.02
    assert not (wrong & ~doubt[small]).any()
    assert (~doubt).mean() > 0.1


@pytest.mark.parametrize("one_offset", [True, False])
@pytest.mark.usefixtures("float64")
def test_the_search_begins_around_its_goal_and_ends_there(one_offset):
    """On any scale of the numerators; no certificate has to repair it."""
    rng = np.random.default_rng(5)
    n = rng.exponential(size=(500, K)) ** 2 * 10 ** rng.uniform(-6, 6, (500, 1))
    c = rng.choice([1e-3, 0.3, 0.5, 1, 2.7, 40], size=(500, 1 if one_offset else K))
    goal = rng.integers(1, 1000, size=(500, 1)).astype(float)
    start = first_bracket(n, c, goal, n.sum(-1, keepdims=True), row_sum)
    assert np.all(counts_at(start.low, n, c) == 0)
    assert np.all(counts_at(start.high, n, c).sum(-1, keepdims=True) >= goal)
    assert np.all((start.low <= start.level) & (start.level <= start.high))
    level = search(start, n, c, goal, row_sum)
    off = np.abs(counts_at(level, n, c).sum(-1, keepdims=True) - goal)
    # Two priorities that lie as near as ties are left to the certificate.
    assert (off > 0).mean() < 0.01
    assert off.max() <= 1


def test_rows_off_their_goal_are_in_doubt():
    n, c, level = near_priorities(np.random.default_rng(9), 100, np.float32)
    goal = np.asarray(counts_at(level, n, c)).sum(-1, keepdims=True) + 1
    assert counts_in_doubt(level, n, c, goal, row_sum)[1].all()
    assert counts_in_doubt(level * np.float32(np.nan), n, c, goal, row_sum)[1].all()


def test_a_crowd_of_ties_is_found_in_few_passes():
    """Ten priorities tie across the goal, which no level reaches; two of them take longer."""
    n = np.array([[0.3] * 10 + [0.0], [0.3, 0.3] + [0.1] * 9], np.float32)
    goal, passes = np.array([[25.0], [5.0]], np.float32), [0]

    def total(x):
        passes[0] += 1
        return row_sum(x)

    for i, most in enumerate((10, 16)):
        weight = n[i : i + 1].sum(-1, keepdims=True)
        row = jnp.asarray(n[i : i + 1]), jnp.ones((1, 1), jnp.float32), jnp.asarray(goal[i : i + 1])
        start, passes[0] = first_bracket(*row, jnp.asarray(weight), row_sum), 0
        with jax.disable_jit():
            search(start, *row, total)
        assert 3 <= passes[0] <= most


@pytest.mark.parametrize("k", [1, 3, 15, 16, 17, 64, 66])
def test_sums_of_counts_are_exact(k):
    x = np.random.default_rng(k).integers(0, 2**17 // k, size=(5, k)).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(count_sum)(x), x.sum(-1, keepdims=True))
    np.testing.assert_array_equal(row_sum(jnp.asarray(x)), x.sum(-1, keepdims=True))


def test_many_rows_are_searched_on_in_parts():
    """Rows that are done at once, rows of ties, and rows hard to find, among thousands."""
    rng = np.random.default_rng(3)
    n = np.exp(-8 * rng.uniform(size=(2000, 20))).astype(np.float32)
    n[::5] = rng.choice([0.125, 0.25, 0.375], size=(400, 20))
    n[1::50] = 0
    n[2::50] = 10.0 ** -rng.integers(0, 30, size=(40, 20))
    n[3::50] = np.float32(0.3)
    mask = rng.uniform(size=n.shape) < 0.9
    mask[:, 0] = True
    c = rng.choice([0.5, 1, 3], size=(2000, 1)).astype(np.float32)
    budgets = rng.integers(0, 60, size=2000).astype(np.int32)
    got = jax.jit(largest_priorities)(n, c, budgets, mask)
    np.testing.assert_array_equal(got, greedy(n, c, budgets, mask))


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_rows_of_ties_are_settled_together(wide):
    """Ties at the last place in most rows, between equal numerators and unequal ones."""
    rng = np.random.default_rng(4)
    n = rng.choice([0.125, 0.25, 0.375, 0.5, 0.7], size=(1200, 40))
    n[::7] = np.exp(-8 * rng.uniform(size=n[::7].shape))
    n[1::100] = 0
    mask = rng.uniform(size=n.shape) < 0.9
    mask[:, 0] = True
    c = rng.choice([1e-6, 0.5, 1, 30], size=(1200, 1))
    budgets = rng.integers(0, 90, size=1200).astype(np.int32)
    bad = np.arange(1200) % 101 == 5
    with jax.enable_x64(wide):
        n, c = (x.astype(np.float64 if wide else np.float32) for x in (n, c))
        expected = greedy(n, c, budgets, mask)
        n[bad, 0] = np.resize([np.nan, -1, np.inf, 2], bad.sum())
        got = jax.jit(partial(largest_priorities, most=1))(n, c, budgets, mask)
    np.testing.assert_array_equal(got, np.where(bad[:, None], -1, expected))


@pytest.mark.parametrize("k", [1, 15, 16, 40, 1100])
def test_counts_of_members_are_exact(k):
    members = np.random.default_rng(k).uniform(size=(7, k)) < 0.5
    size, up_to, here = jax.jit(counted, static_argnums=(1, 2))(members, jnp.float32, count_sum)
    np.testing.assert_array_equal(up_to, members.cumsum(-1))
    np.testing.assert_array_equal(size, members.sum(-1, keepdims=True))
    np.testing.assert_array_equal(here, members)
