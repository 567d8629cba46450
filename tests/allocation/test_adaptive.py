"""Theory 7.2: the index policy against dynamic programming over all policies, in fractions."""

import inspect
import itertools
from fractions import Fraction
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt

M = 3


def merged(candidates, n):
    """The first n merged hazards of a problem."""
    rows = [(a / (a + b + r), -i, -r) for i, (a, b) in enumerate(candidates) for r in range(n)]
    return [h for h, _, _ in sorted(rows, reverse=True)[:n]]


def best_adaptive(values, hazards, total):
    """The optimum over all adaptive policies, by dynamic programming."""

    @cache
    def value(state, left):
        if not left:
            return Fraction(0)
        best = value(state, 0)
        for m, depth in enumerate(state):
            if depth is None:
                continue
            h = hazards[m][depth]
            failed = (*state[:m], depth + 1, *state[m + 1 :])
            solved = (*state[:m], None, *state[m + 1 :])
            gain = h * (values[m] + value(solved, left - 1)) + (1 - h) * value(failed, left - 1)
            best = max(best, gain)
        return best

    return value((0,) * len(values), total)


def instance(seed):
    r = np.random.default_rng(seed)
    problems = [
        [(Fraction(int(x), 2), Fraction(int(y), 2)) for x, y in r.integers(1, 8, size=(2, 2))]
        for _ in range(M)
    ]
    values = [Fraction(int(x)) for x in r.choice([1, 1, 2, 3], size=M)]
    a, b = (jnp.array([[float(c[i]) for c in p] for p in problems]) for i in (0, 1))
    return problems, values, dt.BetaPrior(a, b), np.array([*map(float, values)])


@pytest.mark.parametrize("seed", range(12))
def test_the_value_is_that_of_the_best_policy(float64, seed):
    problems, values, prior, v = instance(seed)
    for total in (0, 1, 2, 4, 5):
        want = best_adaptive(values, [merged(p, total) for p in problems], total)
        assert dt.adaptive_value(v, prior, total) == pytest.approx(float(want), rel=1e-13)


def test_identical_known_chances_have_the_law_of_a_binomial(float64):
    import scipy.stats

    for p, m, n in ((0.3, 3, 7), (0.05, 2, 9)):
        exact = sum(min(k, m) * scipy.stats.binom(n, p).pmf(k) for k in range(n + 1))
        found = dt.adaptive_value(1.0, dt.KnownPrior(jnp.full(m, p)), n)
        assert found == pytest.approx(exact, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_and_is_the_smallest(float64, seed):
    problems, values, prior, v = instance(seed)
    total = 5
    hazards = [merged(p, total) for p in problems]
    found = dt.adaptive_bound(v, prior, total)

    def dual(price):
        value = price * total
        for worth, row in zip(values, hazards, strict=True):
            failure = Fraction(1)
            for h in row:
                value += failure * max(worth * h - price, 0)
                failure *= 1 - h
        return value

    prices = [0, *(worth * h for worth, row in zip(values, hazards, strict=True) for h in row)]
    assert float(found.value) == pytest.approx(float(min(map(dual, prices))), rel=1e-13)
    best = float(best_adaptive(values, hazards, total))
    assert best <= float(found.value) * (1 + 1e-13)
    committed = dt.allocate_problems(v, prior, total)
    gained = float(dt.expected_value(v, prior, committed.allocation).sum())
    # Looking gains at most e/(e - 1) (theory 7.2e).
    assert gained <= best <= float(found.value) <= gained * np.e / (np.e - 1)


@pytest.mark.slow
def test_the_estimate_agrees_with_the_convolution(float64):
    _, _, prior, v = instance(1)
    draws = np.asarray(dt.adaptive_value_estimate(jax.random.key(0), v, prior, 5, 4000))
    error = draws.std() / np.sqrt(draws.size)
    assert abs(draws.mean() - dt.adaptive_value(v, prior, 5)) < 4 * error


def test_the_next_step_is_the_largest_index(x64):
    prior = dt.BetaPrior(jnp.array([[1.0, 1.0], [2.0, 1.0]]), jnp.array([[1.0, 3.0], [2.0, 1.0]]))
    assert dt.index_policy(1.0, prior) == (0, 0)
    assert dt.index_policy(np.array([1.0, 2.0]), prior) == (1, 0)
    assert dt.index_policy(1.0, prior, solved=np.array([True, False])) == (1, 0)
    assert dt.index_policy(1.0, prior, solved=np.array([True, True])) == (-1, -1)
    failed = prior.after_failures(np.array([[1, 0], [0, 0]]))
    assert dt.index_policy(1.0, failed) == (1, 0)


@pytest.mark.slow
def test_a_batch_of_the_index_is_its_steps_after_failures(float64):
    r = np.random.default_rng(2)
    for _ in range(10):
        problems = r.integers(1, 6, size=(2, M, 2)).astype(float)
        low, high = np.array([0, 1, 0]), np.array([9, 3, 4])
        total, split = int(r.integers(1, 14)), np.zeros((M, 2), int)
        for m, floor in enumerate(low):
            for _ in range(floor):
                split[m, np.argmax(problems[0, m] / (problems.sum(0)[m] + split[m]))] += 1
        for _ in range(total - low.sum()):
            index = problems[0] / (problems.sum(0) + split)
            index[split.sum(-1) >= high] = -1
            split[np.unravel_index(index.argmax(), index.shape)] += 1
        prior = dt.BetaPrior(jnp.asarray(problems[0]), jnp.asarray(problems[1]))
        limits = {"min_rollouts": low, "max_rollouts": high}
        assert dt.index_allocation(1.0, prior, total, **limits).tolist() == split.tolist()


def test_hazards_are_merged_in_order(float64):
    problems, _, prior, _ = instance(3)
    found = dt.problem_hazards(prior, 6)
    for row, failure, p in zip(found.hazards, found.failure, problems, strict=True):
        want = merged(p, 6)
        assert row.tolist() == pytest.approx([*map(float, want)])
        left = [Fraction(1), *itertools.accumulate((1 - h for h in want), lambda x, y: x * y)]
        assert failure.tolist() == pytest.approx([*map(float, left)], rel=1e-14)


def test_no_rollouts_are_bounded_by_nothing(x64):
    _, _, prior, v = instance(0)
    found = dt.adaptive_bound(v, prior, 0)
    assert found.value == 0
    # D(λ) is 0 at every price that buys nothing.
    assert found.price >= (v * np.asarray(prior.mean).max(-1)).max()


def test_values_and_priors_of_the_exact_value_are_checked(float64):
    prior = dt.BetaPrior(jnp.ones((2, 1)), jnp.ones((2, 1)))
    for values, match in (([1.0, -1.0], r"values\[1\] = -1.0"), ([1.0, np.nan], r"values\[1\]")):
        with pytest.raises(ValueError, match=match):
            dt.adaptive_value(np.array(values), prior, 3)
        with pytest.raises(ValueError, match=match):
            dt.adaptive_value_estimate(jax.random.key(0), np.array(values), prior, 3, 4)
    batch = dt.BetaPrior(jnp.ones((3, 2, 1)), jnp.ones((3, 2, 1)))
    with pytest.raises(ValueError, match="needs one set of problems"):
        inspect.unwrap(dt.adaptive_value)(1.0, batch, 3)
    with pytest.raises(TypeError, match="prior = KnownPrior"):
        inspect.unwrap(dt.index_policy)(1.0, dt.KnownPrior(jnp.full(2, 0.5)))
