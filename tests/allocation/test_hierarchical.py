"""Correlated optimum and its failure against exact rationals, integrals and brute force."""

from fractions import Fraction
from itertools import product

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_theory.allocation.hierarchical import (
    correlated_allocation,
    direction_allocation,
    hierarchical_log_failure,
)
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.spread import _rank_by_counting, _rank_by_sorting, spread_evenly
from dora_theory.model.directions import direction_totals
from dora_theory.model.objective import log_failure

pytestmark = pytest.mark.usefixtures("float64")


def exact_failure(quality, directions, kappa, nu, allocation):
    """Failure in rationals: each direction a polynomial in 1 - m, integrated by its moments."""
    failure = Fraction(1)
    for j, q in enumerate(quality):
        polynomial = [Fraction(1)]  # of x = 1 - m, by rising power
        for i, b in enumerate(allocation):
            if directions[i] == j:
                for r in range(b):
                    constant, slope = Fraction(r) / (nu + r), nu / (nu + r)
                    longer = [c * constant for c in polynomial] + [Fraction(0)]
                    for power, c in enumerate(polynomial):
                        longer[power + 1] += c * slope
                    polynomial = longer
        moment, expected = Fraction(1), Fraction(0)
        for t, c in enumerate(polynomial):
            expected += c * moment
            moment *= (kappa * (1 - q) + t) / (kappa + t)
        failure *= expected
    return failure


def compositions(total, parts):
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def random_instance(rng):
    g = int(rng.integers(1, 4))
    labels = [*range(g), *rng.integers(0, g, int(rng.integers(0, 3)))]
    rng.shuffle(labels)
    quality = [Fraction(int(x), 16) for x in rng.integers(0, 16, g)]
    kappa = Fraction(int(rng.integers(1, 40)), int(rng.integers(1, 9)))
    nu = Fraction(int(rng.integers(1, 40)), int(rng.integers(1, 9)))
    return quality, [int(x) for x in labels], kappa, nu, int(rng.integers(0, 7))


def padded(quality, labels, kappa, nu):
    """As arrays of one shape, which compile once: 3 directions, 5 candidates."""
    mask = np.arange(5) < len(labels)
    quality = np.array([*map(float, quality)] + [0] * (3 - len(quality)))
    labels = np.array(labels + [0] * (5 - len(labels)))
    return (quality, labels, float(kappa), float(nu)), mask


def test_no_allocation_of_200_random_instances_beats_it():
    """Theory 5.1 (a) and (b): over all allocations, not only even or greedy ones."""
    rng = np.random.default_rng(51)
    for _ in range(200):
        quality, labels, kappa, nu, budget = random_instance(rng)
        arguments, mask = padded(quality, labels, kappa, nu)
        got = np.asarray(correlated_allocation(*arguments, budget, points=8, mask=mask))[mask]
        assert got.sum() == budget
        best = min(
            exact_failure(quality, labels, kappa, nu, b) for b in compositions(budget, len(labels))
        )
        mine = exact_failure(quality, labels, kappa, nu, [int(x) for x in got])
        assert mine <= best * (1 + Fraction(1, 10**12)), (quality, labels, kappa, nu, budget)


def test_the_failure_is_the_rational_one():
    rng = np.random.default_rng(7)
    worst = 0.0
    for _ in range(150):
        quality, labels, kappa, nu, _ = random_instance(rng)
        allocation = [int(x) for x in rng.integers(0, 7, len(labels))]
        truth = exact_failure(quality, labels, kappa, nu, allocation)
        truth = float(mpmath.log(mpmath.mpf(truth.numerator) / truth.denominator))
        arguments, mask = padded(quality, labels, kappa, nu)
        allocated = np.array(allocation + [0] * (5 - len(allocation)))
        for method, points in (("tables", 32), ("quadrature", 128)):
            got = float(
                hierarchical_log_failure(
                    *arguments, allocated, method=method, points=points, mask=mask
                )
            )
            error = abs(got - truth) / abs(truth) if truth else abs(got)
            assert error < (1e-13 if method == "tables" else 1e-12), (quality, labels, allocation)
            worst = max(worst, error)
    assert worst > 0  # The two are not one computation.


@pytest.mark.slow
@pytest.mark.parametrize(("kappa", "nu"), [(0.3, 4.0), (2.0, 0.05), (40.0, 900.0)])
def test_a_large_budget_agrees_with_an_integral(kappa, nu):
    quality, copies, each = 0.3, 3, 100
    labels, allocation = np.zeros(copies, int), np.full(copies, each)
    with mpmath.workdps(40):
        a = mpmath.mpf(kappa) * quality

        def failure(u):
            m = u ** (1 / a)  # takes the pole at m = 0 away
            value = mpmath.rf(nu * (1 - m), each) / mpmath.rf(nu, each)
            return value**copies * (1 - m) ** (kappa * (1 - mpmath.mpf(quality)) - 1) / a

        ends = [mpmath.mpf(m) ** a for m in (0, 1e-9, 1e-6, 1e-4, 0.01, 0.03, 0.1, 0.5, 0.9, 1)]
        beta = mpmath.beta(a, kappa * (1 - mpmath.mpf(quality)))
        truth = float(mpmath.log(mpmath.quad(failure, ends) / beta))
    arguments = np.array([quality]), labels, kappa, nu, allocation
    assert float(hierarchical_log_failure(*arguments)) == pytest.approx(truth, rel=1e-9)
    quadrature = hierarchical_log_failure(*arguments, method="quadrature", points=160)
    assert float(quadrature) == pytest.approx(truth, rel=1e-9)


@pytest.mark.slow
@given(
    st.lists(st.integers(1, 15), min_size=1, max_size=4),
    st.integers(0, 40),
    st.sampled_from([1e-6, 0.1, 1.0, 7.0, 1e6]),
    st.integers(0, 3),
)
def test_one_shared_chance_is_the_limit_of_large_nu(counts, budget, kappa, extra):
    quality = np.array(counts + [1] * (4 - len(counts))) / 64
    labels = np.array([0, 1, 2, 3] + [extra] * 4)
    correlated = correlated_allocation(quality, labels, kappa, 1e14, budget, points=64)
    shared = direction_allocation(quality, labels, kappa, budget)
    # Either may break a tie of the limit its own way: their value decides.
    value = [
        float(log_failure(quality, kappa, direction_totals(b, labels, 4)))
        for b in (correlated, shared)
    ]
    assert value[0] == pytest.approx(value[1], rel=1e-9, abs=1e-300)


def test_singletons_with_much_certainty_are_independent_candidates():
    """κ → ∞: the concentration that is left is ν."""
    w = np.array([0.3, 0.2, 0.15, 0.05])
    got = correlated_allocation(w, np.arange(4), 1e13, 2.5, 40)
    assert got.tolist() == optimal_allocation(w, 2.5, 40).tolist()


def test_ties_go_to_the_lowest_label_and_index():
    got = correlated_allocation(np.full(3, 0.25), np.array([2, 0, 1, 0]), 1.0, 3.0, 5)
    assert got.tolist() == [1, 1, 2, 1]
    # 0.5/(1 + 1) = 0.25/1: a tie that only exact quotients show.
    got = correlated_allocation(np.array([0.25, 0.5]), np.array([0, 1, 1]), 1.0, 1.0, 2)
    assert got.tolist() == [1, 1, 0]
    # The same for a mean success that no binary fraction is.
    got = correlated_allocation(np.array([0.1, 0.3]), np.array([0, 1, 1, 1]), 1.0, 0.1, 3)
    assert (
        got.tolist()
        == direction_allocation(np.array([0.1, 0.3]), np.array([0, 1, 1, 1]), 1.0, 3).tolist()
    )


@pytest.mark.parametrize("quality", [[0.0, 0.0], [1.0, 0.5], [0.5, 0.0], [1.0, 1.0]])
@pytest.mark.parametrize("concentration", [1e-6, 1.0, 1e6])
def test_edges(quality, concentration):
    labels, q = np.array([0, 1, 0]), np.array(quality)
    for n in (0, 1, 30):
        for nu in (1e-6, 1.0, 1e6):
            got = correlated_allocation(q, labels, concentration, nu, n, points=32)
            assert got.sum() == n
            value = float(hierarchical_log_failure(q, labels, concentration, nu, got, points=32))
            assert not np.isnan(value)
            hit = any(q[j] == 1 and np.asarray(got)[labels == j].sum() for j in (0, 1))
            assert value == (-np.inf if hit else pytest.approx(value))
            assert value <= 0
            if n == 0 or not q.any():
                assert value == 0


@pytest.mark.slow
def test_padding_batches_and_traces():
    rng = np.random.default_rng(3)
    quality = rng.random((2, 5, 4)) / 4
    labels = rng.integers(0, 4, (2, 5, 9))
    mask = rng.random((2, 5, 9)) < 0.8
    budget = rng.integers(0, 20, (2, 5))
    nu = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    padded = np.where(mask, labels, 99)
    got = correlated_allocation(quality, padded, 1.5, nu, budget, mask=mask)
    value = hierarchical_log_failure(quality, padded, 1.5, nu, got, mask=mask)
    assert np.asarray(got.sum(-1)).tolist() == budget.tolist()
    assert not np.asarray(got)[~mask].any()
    for i, j in product(range(2), range(5)):
        there = mask[i, j]
        arguments = quality[i, j], labels[i, j][there], 1.5, nu[j]
        alone = correlated_allocation(*arguments, int(budget[i, j]), points=32)
        assert np.asarray(got)[i, j][there].tolist() == alone.tolist()
        log = float(hierarchical_log_failure(*arguments, alone, points=32))
        assert float(value[i, j]) == pytest.approx(log, rel=1e-12)
    traced = jax.jit(lambda q, n: correlated_allocation(q, labels, 1.5, nu, n, points=32))
    assert np.array_equal(
        traced(quality, budget), correlated_allocation(quality, labels, 1.5, nu, budget)
    )


def test_the_gradient_is_the_slope():
    labels, b, q = np.array([0, 1, 0]), np.array([3, 2, 5]), jnp.array([0.3, 0.1])

    def value(q, kappa, nu):
        return hierarchical_log_failure(q, labels, kappa, nu, b, points=8)

    slopes = jax.grad(value, (0, 1, 2))(q, jnp.float64(1.5), jnp.float64(0.7))
    for which, step in ((1, 1e-5), (2, 1e-5)):
        at = [q, 1.5, 0.7]
        ends = [float(value(*at[:which], at[which] + d, *at[which + 1 :])) for d in (-step, step)]
        assert float(slopes[which]) == pytest.approx((ends[1] - ends[0]) / 2 / step, rel=1e-6)
    ends = [float(value(q + np.array([d, 0]), 1.5, 0.7)) for d in (-1e-6, 1e-6)]
    assert float(slopes[0][0]) == pytest.approx((ends[1] - ends[0]) / 2e-6, rel=1e-6)


def test_even_spread():
    assert spread_evenly(np.array([5, 0, 4]), np.array([2, 0, 0, 1, 2, 0])).tolist() == [
        2, 2, 2, 0, 2, 1,
    ]  # fmt: skip
    mask = np.array([True, False, True, True])
    assert spread_evenly(np.array([3, 1]), np.array([0, 0, 0, 1]), mask=mask).tolist() == [
        2, 0, 1, 1,
    ]  # fmt: skip


def test_both_ways_to_rank_agree():
    rng = np.random.default_rng(9)
    labels, mask = rng.integers(0, 4, (200, 9)), rng.random((200, 9)) < 0.7
    counted, sorted_ = (
        np.where(mask, rank(jnp.asarray(labels), jnp.asarray(mask), 4), 0)
        for rank in (_rank_by_counting, _rank_by_sorting)
    )
    np.testing.assert_array_equal(counted, sorted_)
    first = [
        [(labels[i, :j] == labels[i, j])[mask[i, :j]].sum() for j in range(9)] for i in range(9)
    ]
    np.testing.assert_array_equal(counted[:9], np.where(mask[:9], first, 0))


def test_float32_decides_as_float64():
    rng = np.random.default_rng(8)
    quality, labels = rng.dirichlet(np.ones(5)), rng.integers(0, 5, 20)
    with jax.enable_x64(False):
        small = correlated_allocation(quality.astype(np.float32), labels, 1.0, 2.0, 100)
        value = hierarchical_log_failure(quality.astype(np.float32), labels, 1.0, 2.0, small)
    large = correlated_allocation(quality, labels, 1.0, 2.0, 100)
    assert value.dtype == np.float32
    assert np.abs(np.asarray(small) - np.asarray(large)).max() <= 1
    exact = float(hierarchical_log_failure(quality, labels, 1.0, 2.0, np.asarray(small)))
    assert float(value) == pytest.approx(exact, rel=1e-5)


def test_bad_arguments_are_named():
    q, labels = np.array([0.5, 0.2]), np.array([0, 1])
    with pytest.raises(ValueError, match=r"directions\[1\] = 2"):
        direction_allocation(q, np.array([0, 2]), 1.0, 4)
    with pytest.raises(ValueError, match="within_concentration = 0"):
        correlated_allocation(q, labels, 1.0, 0.0, 4)
    with pytest.raises(ValueError, match=r"direction_weights\[0\] = 1\.5"):
        correlated_allocation(np.array([1.5, 0.2]), labels, 1.0, 1.0, 4)
    with pytest.raises(ValueError, match="points = 3: too few for 4"):
        correlated_allocation(q, labels, 1.0, 1.0, 4, points=3)
    with pytest.raises(ValueError, match="points: state"):
        jax.jit(lambda n: correlated_allocation(q, labels, 1.0, 1.0, n))(4)
    with pytest.raises(ValueError, match="method = 'guess'"):
        correlated_allocation(q, labels, 1.0, 1.0, 4, method="guess")
    with pytest.raises(ValueError, match=r"totals\[1\] = 2: no candidate"):
        spread_evenly(np.array([1, 2]), np.array([0, 0]))
