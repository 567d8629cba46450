"""Theory 9.1: budgets of cost, net value and the smallest N, against enumeration in fractions."""

import itertools
from fractions import Fraction
from functools import cache
from math import log, prod

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import dora_theory as dt
from dora_theory.claims.check.rational import failure


def joint(w, kappas, given):
    return prod(
        (failure(x, kappa, b) for x, kappa, b in zip(w, kappas, given, strict=True)),
        start=Fraction(1),
    )


def affordable(w, costs, budget):
    """All allocations that a budget pays for, without what cannot succeed."""
    ranges = [range(int(budget // c) + 1 if x else 1) for x, c in zip(w, costs, strict=True)]
    for counts in itertools.product(*ranges):
        if sum(c * b for c, b in zip(costs, counts, strict=True)) <= budget:
            yield counts


def problems(costs):
    """Three candidates, so that one program serves all; those of quality 0 are as if not there."""

    def three(x):
        return st.lists(x, min_size=3, max_size=3)

    return st.tuples(
        three(st.sampled_from([0, 0, *range(17)]).map(lambda x: Fraction(x, 16))),
        three(st.sampled_from([Fraction(1, 4), Fraction(2)])),
        three(costs),
        st.integers(0, 12),
    )


def floats(*values):
    return [np.array(x, np.float64) for x in values]


@given(problems(st.integers(1, 5)))
def test_the_exact_program_finds_the_optimum_and_greedy_brackets_it(problem):
    w, kappas, costs, budget = problem
    best = min(joint(w, kappas, b) for b in affordable(w, costs, budget))
    with jax.enable_x64(True):
        arrays = floats(w, kappas, costs)
        exact = dt.cost_allocation(*arrays, budget, method="exact")
        greedy = dt.cost_allocation(*arrays, budget, method="greedy")
    for found in (exact, greedy):
        counts = found.allocation.tolist()
        assert sum(c * b for c, b in zip(costs, counts, strict=True)) == float(found.cost) <= budget
        np.testing.assert_allclose(
            np.exp(found.log_failure), float(joint(w, kappas, counts)), rtol=1e-13
        )
        assert all(b == 0 for x, b in zip(w, counts, strict=True) if x == 0)
        assert float(np.exp(found.log_failure_bound)) <= float(best) * (1 + 1e-12)
    assert float(np.exp(exact.log_failure)) == pytest.approx(float(best), rel=1e-12)
    assert exact.log_failure == exact.log_failure_bound
    # Better than filling up alone, or one candidate alone: at least half of the log failure.
    if best > 0:
        assert float(greedy.log_failure) <= log(best) / 2 + 1e-12


@pytest.mark.slow
@given(problems(st.sampled_from([Fraction(1, 2), Fraction(3, 4), Fraction(2)])))
def test_greedy_is_optimal_at_the_costs_of_its_prefixes(problem):
    w, kappas, costs, _ = problem
    counts = [0] * len(w)
    for _ in range(3):
        gains = [
            -log(1 - h) / float(c) if h < 1 else np.inf
            for h, c in zip(
                (k * x / (k + b) for x, k, b in zip(w, kappas, counts, strict=True)),
                costs,
                strict=True,
            )
        ]
        if max(gains) <= 0:
            return
        counts[int(np.argmax(gains))] += 1
        budget = sum(c * b for c, b in zip(costs, counts, strict=True))
        best = min(joint(w, kappas, b) for b in affordable(w, costs, budget))
        with jax.enable_x64(True):
            found = dt.cost_allocation(*floats(w, kappas, costs), float(budget))
        assert float(np.exp(found.log_failure)) == pytest.approx(float(best), rel=1e-12)
        assert float(found.log_failure_bound) == pytest.approx(float(found.log_failure), abs=1e-9)


def test_equal_costs_are_the_optimum_without_costs(x64):
    rng = np.random.default_rng(0)
    w = rng.dirichlet(np.ones(6), 20)
    n = rng.integers(0, 300, 20)
    found = dt.cost_allocation(w, 0.5, np.full(6, 0.1), n / 10)
    plain = dt.optimal_allocation(w, 0.5, n)
    np.testing.assert_allclose(found.log_failure, dt.log_failure(w, 0.5, plain), rtol=1e-5)
    assert found.allocation.sum(-1).tolist() == n.tolist()


def test_a_budget_that_no_rollout_fits_into_is_not_spent(x64):
    found = dt.cost_allocation([0.5, 0.3], 1.0, [2.5, 3.5], 2.0)
    assert found.allocation.tolist() == [0, 0]
    assert (float(found.log_failure), float(found.cost)) == (0, 0)
    assert float(found.log_failure_bound) == pytest.approx(0.8 * log(0.5), rel=1e-5)


def test_large_budgets_are_spent_without_a_loop_over_rollouts(float64):
    w, costs = np.array([0.5, 0.3, 0.2, 0.0]), np.array([7.5, 0.013, 400.0, 1.0])
    found = dt.cost_allocation(w, 0.5, costs, 1e6)
    assert found.allocation[3] == 0
    assert 1e6 - costs[:3].min() <= float(found.cost) <= 1e6
    assert float(found.log_failure_bound) <= float(found.log_failure)
    # What is left buys less than one rollout of the dearest.
    assert float(found.log_failure - found.log_failure_bound) < 400 * 5.1e-7


def test_the_exact_program_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"costs = 1\.5: the exact program needs integers"):
        dt.cost_allocation([0.5, 0.3], 1.0, [1.5, 2.0], 6.0, method="exact")
    with pytest.raises(ValueError, match=r"cost_budget = 6\.5"):
        dt.cost_allocation([0.5, 0.3], 1.0, [1.0, 2.0], 6.5, method="exact")
    with pytest.raises(ValueError, match="steps, more than"):
        dt.cost_allocation([0.5, 0.3], 1.0, [1.0, 2.0], 1e6, method="exact")
    with pytest.raises(ValueError, match="traced"):
        jax.jit(lambda c: dt.cost_allocation([0.5, 0.3], 1.0, c, 6.0, method="exact"))(jnp.ones(2))
    with pytest.raises(ValueError, match="cost_budget: pays for more than 4194304"):
        dt.cost_allocation([0.5, 0.3], 1.0, [1e-7, 2.0], 6.0)
    with pytest.raises(ValueError, match="method = 'best'"):
        dt.cost_allocation([0.5], 1.0, [1.0], 6.0, method="best")
    with pytest.raises(ValueError, match="costs: 3 candidates, where weights has 2"):
        dt.cost_allocation([0.5, 0.3], 1.0, [1.0] * 3, 6.0)
    with pytest.raises(ValueError, match=r"costs\[1\] = 0"):
        dt.cost_allocation([0.5, 0.3], 1.0, [1.0, 0.0], 6.0)


def test_a_budget_beyond_counting_ends_where_it_cannot_be_looked_at(x64):
    w, budgets = jnp.array([0.5, 0.3]), jnp.array([2.0**31, 6.0])
    found = jax.jit(jax.vmap(lambda c: dt.cost_allocation(w, 1.0, jnp.ones(2), c)))(budgets)
    np.testing.assert_array_equal(found.allocation[0], [-1, -1])
    for x in (found.log_failure, found.log_failure_bound, found.cost):
        assert np.isnan(x[0])
        assert np.isfinite(x[1])
    assert found.allocation[1].sum() == 6
    if x64:
        with pytest.raises(ValueError, match="cost_budget: pays for more than 1073741824"):
            dt.cost_allocation([0.5, 0.3], 1.0, [1e-9, 2.0], 6.0)


def bellman(w, kappas, costs, value, depth):
    """The best net value of any policy of at most `depth` rollouts of each candidate."""

    @cache
    def best(given):
        ways = [Fraction(0)]
        for i, b in enumerate(given):
            if b < depth:
                h = kappas[i] * w[i] / (kappas[i] + b)
                after = best((*given[:i], b + 1, *given[i + 1 :]))
                ways.append(h * value + (1 - h) * after - costs[i])
        return max(ways)

    return best((0,) * len(w))


@given(
    st.lists(st.integers(0, 7).map(lambda x: Fraction(x, 8)), min_size=2, max_size=3),
    st.sampled_from([Fraction(1, 2), Fraction(2)]),
    st.lists(st.integers(1, 4).map(Fraction), min_size=3, max_size=3),
    st.integers(0, 12),
)
def test_the_net_value_is_that_of_the_best_policy(w, kappa, costs, value):
    kappas, costs = [kappa, *[2 * kappa] * (len(w) - 1)], costs[: len(w)]
    with jax.enable_x64(True):
        found = dt.net_value_order(*floats(w, kappas, costs), value)
    deepest = int(found.allocation.max())
    best = bellman(tuple(w), tuple(kappas), tuple(costs), Fraction(value), max(deepest + 1, 3))
    assert float(found.value) == pytest.approx(float(best), abs=1e-12)
    order = found.order.tolist()
    assert np.bincount(order, minlength=len(w)).tolist() == found.allocation.tolist()
    assert float(found.value) == pytest.approx(value * float(found.success) - float(found.cost))
    indices, counts = [], [0] * len(w)
    for i in order:
        indices.append(kappas[i] * w[i] / (kappas[i] + counts[i]) / costs[i])
        counts[i] += 1
    assert indices == sorted(indices, reverse=True)


def test_a_cap_on_the_length_is_stated_and_padded(x64):
    given = ([0.5, 0.2], 1.0, [1.0, 0.1], 4.0)
    whole = dt.net_value_order(*given)
    padded = dt.net_value_order(*given, max_rollouts=20)
    assert padded.order.tolist() == whole.order.tolist() + [-1] * (20 - whole.order.size)
    assert float(padded.value) == pytest.approx(float(whole.value))
    with pytest.raises(ValueError, match="max_rollouts = 1: the search is up to"):
        dt.net_value_order(*given, max_rollouts=1)
    with pytest.raises(ValueError, match="traced"):
        jax.jit(lambda v: dt.net_value_order(*given[:3], v))(4.0)
    short = jax.jit(lambda v: dt.net_value_order(*given[:3], v, max_rollouts=1))(4.0)
    assert short.order.tolist() == [-1]
    assert np.isnan(short.value)


def test_no_index_is_right_under_a_cap(float64):
    """N = 1, V = 4: the larger index is worth less (theory 9.1.2)."""
    first = [4 * h - c for h, c in ((0.5, 1.0), (0.2, 0.1))]
    assert first == pytest.approx([1.0, 0.7])
    # Without a cap the second goes first, and the search is worth more than either.
    found = dt.net_value_order([0.5, 0.2], 1.0, [1.0, 0.1], 4.0)
    assert found.order[0] == 1
    assert float(found.value) > 1


def test_the_smallest_budget_of_the_theory(float64):
    w = [0.5, 0.3, 0.2]
    for q, wanted in ((0.9, (131, 21, 10, 7)), (0.99, (1292116, 2071, 104, 28))):
        for kappa, n in zip((0.25, 0.5, 1.0, 2.0), wanted, strict=True):
            found = dt.smallest_budget(w, kappa, q)
            assert (int(found.budget), float(found.closed_form)) == (n, n)
    # p uniform: B rollouts succeed with probability B/(B + 1), which most floats only round.
    n = np.arange(1, 200)
    found = dt.smallest_budget(np.full((199, 1), 0.5), 2.0, n / (n + 1))
    assert found.budget.tolist() == n.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kappa", [0.6, 1.0, [0.5, 2.0, 1.0]])
def test_one_rollout_fewer_is_not_enough(x64, kappa):
    rng = np.random.default_rng(1)
    for total in (1.0, 0.6):
        w = rng.dirichlet(np.ones(3)) * total
        for q in (0.5, 0.8, 0.9):
            found = dt.smallest_budget(w, kappa, q)
            n = int(found.budget)
            reached = [
                dt.success_probability(w, kappa, dt.optimal_allocation(w, kappa, m))
                for m in (n - 1, n)
            ]
            assert float(reached[0]) < q * (1 + 1e-6)
            assert float(reached[1]) >= q * (1 - 1e-6)
            if min(dt.optimal_allocation(w, kappa, n)) > 0:
                assert abs(float(found.closed_form) - n) <= 1 + 1e-3 * n


@pytest.mark.slow
def test_what_cannot_be_reached_is_said(x64):
    nothing = dt.smallest_budget([0.0, 0.0], 1.0, 0.5)
    assert (int(nothing.budget), float(nothing.closed_form)) == (-1, np.inf)
    sure = dt.smallest_budget([0.2, 1.0], 1.0, 0.999)
    assert (int(sure.budget), float(sure.closed_form)) == (1, 1)
    far = dt.smallest_budget([0.1], 0.01, 0.9)
    assert int(far.budget) == -1
    assert float(far.closed_form) > 2**30
    for q in (0.0, 1.0, -0.5, np.nan):
        with pytest.raises(ValueError, match="target"):
            dt.smallest_budget([0.5], 1.0, q)
