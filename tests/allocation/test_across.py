"""Theory 7.1: the optimum over problems against a heap in exact rationals, ties and limits too."""

import itertools
from fractions import Fraction
from math import comb

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import dora_theory as dt
from dora_theory.model.priors import BetaPrior, KnownPrior

# Instances are padded to one shape, so that one program serves all.
MOST, WIDE = 5, 3
Pair = tuple[Fraction, Fraction]


def hazards(candidates: list[Pair]):
    """Merged hazards of a problem, each with its candidate, in exact rationals."""
    counts = [0] * len(candidates)

    def hazard(i):
        a, b = candidates[i]
        return a / (a + b + counts[i])

    while True:
        best = max(range(len(candidates)), key=lambda i: (hazard(i), -i))
        yield hazard(best), best
        counts[best] += 1


def greedy(values, problems, total, low, high):
    """The largest marginals one by one, ties to the lowest problem; rollouts by candidate."""
    split = [[0] * len(p) for p in problems]
    failure, rest = [Fraction(1)] * len(values), [hazards(p) for p in problems]
    following = [next(r) for r in rest]

    def give(m):
        h, i = following[m]
        split[m][i] += 1
        failure[m] *= 1 - h
        following[m] = next(rest[m])

    for m, floor in enumerate(low):
        for _ in range(floor):
            give(m)
    for _ in range(total - sum(low)):
        open_ = [m for m in range(len(values)) if sum(split[m]) < high[m]]
        if not open_:
            break
        give(max(open_, key=lambda m: (values[m] * failure[m] * following[m][0], -m)))
    return split


def value(values, problems, rollouts):
    """Σ v (1 - F(n)), exactly."""
    total = Fraction(0)
    for v, p, n in zip(values, problems, rollouts, strict=True):
        failure = Fraction(1)
        for h, _ in itertools.islice(hazards(p), n):
            failure *= 1 - h
        total += v * (1 - failure)
    return total


def padded(problems):
    a, b = np.zeros((MOST, WIDE)), np.ones((MOST, WIDE))
    mask = np.zeros((MOST, WIDE), bool)
    for m, p in enumerate(problems):
        for i, (x, y) in enumerate(p):
            a[m, i], b[m, i], mask[m, i] = x, y, True
    return BetaPrior(jnp.asarray(a), jnp.asarray(b)), mask


def filled(x, fill):
    return np.array([float(y) for y in x] + [fill] * (MOST - len(x)))


@st.composite
def instances(draw):
    den = draw(st.sampled_from([1, 2, 4, 8]))
    part = st.integers(0, 20).map(lambda x: Fraction(x, den))
    pair = st.tuples(part, part).filter(lambda x: sum(x) > 0)
    problems = draw(st.lists(st.lists(pair, min_size=1, max_size=WIDE), min_size=1, max_size=MOST))
    m = len(problems)
    values = draw(st.lists(st.sampled_from([1, 1, 2, 3]).map(Fraction), min_size=m, max_size=m))
    low = draw(st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=m, max_size=m))
    room = draw(st.lists(st.sampled_from([0, 1, 5, 1000, 1000]), min_size=m, max_size=m))
    total = sum(low) + draw(st.integers(0, 40))
    return values, problems, total, low, [x + y for x, y in zip(low, room, strict=True)]


@given(instances())
@settings(max_examples=200)
def test_it_equals_a_heap_in_exact_rationals(instance):
    values, problems, total, low, high = instance
    want = greedy(*instance)
    with jax.enable_x64(True):
        prior, mask = padded(problems)
        limits = {"min_rollouts": filled(low, 0), "max_rollouts": filled(high, 9), "mask": mask}
        found = dt.allocate_problems(filled(values, 1), prior, total, **limits)
        got = np.asarray(found.allocation).tolist()
        assert [row[: len(p)] for row, p in zip(got, problems, strict=False)] == want
        assert found.rollouts.sum() == sum(map(sum, want)) == total - found.unspent
        # Padding is at its cap, 0.
        limits["max_rollouts"] = filled(high, 0)
        assert dt.is_optimal_across(filled(values, 1), prior, found.rollouts, **limits)
        gained = dt.expected_value(filled(values, 1), prior, found.allocation, mask=mask)
        exact = value(values, problems, [sum(row) for row in want])
        np.testing.assert_allclose(float(gained.sum()), float(exact), rtol=1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_the_certificate_passes_exactly_the_optima(float64, seed):
    r = np.random.default_rng(seed)
    problems = [
        [(Fraction(int(r.integers(1, 5))), Fraction(int(r.integers(1, 5)))) for _ in range(2)]
        for _ in range(3)
    ]
    values = [Fraction(int(x)) for x in r.choice([1, 2], size=3)]
    n = 6
    prior, mask = padded(problems)
    every = [x for x in itertools.product(range(n + 1), repeat=3) if sum(x) == n]
    exact = [value(values, problems, x) for x in every]
    given_ = np.array([[*x, 0, 0] for x in every])
    limits = {"max_rollouts": filled([99] * 3, 0), "mask": mask}
    passes = dt.is_optimal_across(filled(values, 1), prior, given_, **limits)
    assert passes.tolist() == [x == max(exact) for x in exact]
    found = dt.optimal_problem_set(filled(values, 1), prior, n, **limits)
    optima = comb(int(found.tied.sum()), int(found.spare))
    assert optima == sum(x == max(exact) for x in exact)


def test_ties_of_equal_problems_go_to_the_lowest(x64):
    prior = BetaPrior(jnp.ones((7, 1)), jnp.ones((7, 1)))
    found = dt.allocate_problems(1.0, prior, 17)
    assert found.rollouts.tolist() == [3, 3, 3, 2, 2, 2, 2]
    optima = dt.optimal_problem_set(1.0, prior, 17)
    assert (optima.tied.all(), int(optima.spare)) == (True, 3)
    # Beta(1, b): v a / (a + b) ties with others of another kind: 1/2, 1/6 of the first, 3 · 1/6.
    mixed = BetaPrior(jnp.array([[1.0], [1.0]]), jnp.array([[5.0], [1.0]]))
    assert dt.allocate_problems(np.array([3.0, 1.0]), mixed, 1).rollouts.tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_ties_that_rounding_hides_are_ties(float64, seed):
    """Equal as fractions, while their logarithms differ in the last digits."""
    r = np.random.default_rng(seed)
    for _ in range(30):
        (a, b), (c, d) = (tuple(Fraction(int(x)) for x in r.integers(1, 9, size=2)) for _ in "12")
        depth = int(r.integers(1, 5))
        marginal = value([1], [[(a, b)]], [depth + 1]) - value([1], [[(a, b)]], [depth])
        # The first rollout of the second is worth as much as rollout depth + 1 of the first.
        worth = marginal * (c + d) / c
        scale = worth.denominator
        pair = [(Fraction(scale), (a, b)), (worth * scale, (c, d))]
        for first, second in (pair, pair[::-1]):
            values = [first[0], second[0]]
            prior, mask = padded([[first[1]], [second[1]]])
            high = filled([99, 99], 0)
            problems = [[first[1]], [second[1]]]
            want = [sum(x) for x in greedy(values, problems, depth + 1, [0, 0], [99, 99])]
            found = dt.allocate_problems(
                filled(values, 1), prior, depth + 1, max_rollouts=high, mask=mask
            )
            assert found.rollouts.tolist()[:2] == want


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
def test_price_and_dual(float64, known):
    r = np.random.default_rng(3)
    values = r.uniform(0.5, 2, size=MOST)
    if known:
        prior = KnownPrior(r.beta(0.4, 2, size=MOST))
    else:
        a, b = (jnp.asarray(r.gamma(x, size=(MOST, WIDE))) for x in (1, 2))
        prior = BetaPrior(a, b)
    found = dt.allocate_problems(values, prior, 200)
    gained = float(dt.expected_value(values, prior, found.allocation).sum())
    ends = dt.problem_certificate(values, prior, found.rollouts)
    assert ends.largest_next == pytest.approx(float(found.log_price), rel=1e-13)
    assert ends.largest_next <= ends.smallest_last
    middle = (ends.largest_next + ends.smallest_last) / 2
    for y in (ends.largest_next, middle):
        np.testing.assert_allclose(float(dt.dual_bound(values, prior, 200, y)), gained, rtol=1e-13)
    for y in (ends.largest_next - 0.5, ends.smallest_last + 0.5):
        assert float(dt.dual_bound(values, prior, 200, y)) > gained * (1 + 1e-9)
    assert dt.count_at_price(values, prior, middle).tolist() == found.rollouts.tolist()
    assert dt.fewest_rollouts(values, prior, gained * (1 - 1e-12)) == 200


def test_known_chances_by_brute_force(float64):
    r = np.random.default_rng(4)
    for _ in range(20):
        chance = r.choice([0.0, 0.05, 0.1, 0.5, 0.9, 1.0], size=MOST)
        total = int(r.integers(0, 60))
        want, failure = np.zeros(MOST, int), np.ones(MOST)
        for _ in range(total):
            best = int(np.argmax(np.round(failure * chance, 15)))
            want[best] += 1
            failure[best] *= 1 - chance[best]
        found = dt.allocate_problems(1.0, KnownPrior(chance), total)
        assert found.rollouts.tolist() == want.tolist()


def test_triage_of_known_small_chances(float64):
    """Theory 7.1f: nothing below p = λ/v, most at p = eλ/v, namely v/(eλ)."""
    chance = np.geomspace(1e-7, 1e-2, 20_001)
    price = 1e-4
    n = np.asarray(dt.count_at_price(1.0, KnownPrior(chance), np.log(price)))
    assert not n[chance < price * 0.999].any()
    # Near its top n is flat: integers agree over a relative width of √(2/n).
    np.testing.assert_allclose(chance[n.argmax()], np.e * price, rtol=3e-2)
    np.testing.assert_allclose(n.max(), 1 / (np.e * price), rtol=1e-3)


def test_unequal_costs_spend_in_the_order_of_density(float64):
    r = np.random.default_rng(5)
    for _ in range(30):
        pairs = [(Fraction(int(x)), Fraction(int(y))) for x, y in r.integers(1, 6, size=(4, 2))]
        costs, budget = [int(x) for x in r.integers(1, 5, size=4)], int(r.integers(0, 40))
        items = []
        for m, p in enumerate(pairs):
            failure = Fraction(1)
            for n, (h, _) in enumerate(itertools.islice(hazards([p]), 45)):
                items.append((-failure * h / costs[m], m, n))
                failure *= 1 - h
        want, left = [0] * 4, budget
        for _, m, _ in sorted(items):
            if costs[m] > left:
                break
            want[m] += 1
            left -= costs[m]
        a, b = (jnp.array([[float(p[i])] for p in pairs]) for i in (0, 1))
        found = dt.allocate_problems(1.0, BetaPrior(a, b), budget, costs=np.array(costs))
        assert found.rollouts.tolist() == want
        assert float(found.unspent) == left


@pytest.mark.slow
def test_batches_equal_their_parts(float64):
    r = np.random.default_rng(6)
    a, b = (jnp.asarray(r.gamma(1, size=(3, MOST, WIDE))) for _ in range(2))
    totals = np.array([0, 17, 1000])
    together = dt.allocate_problems(1.0, BetaPrior(a, b), totals)
    for i in range(3):
        alone = dt.allocate_problems(1.0, BetaPrior(a[i], b[i]), totals[i])
        assert together.allocation[i].tolist() == alone.allocation.tolist()


@pytest.mark.slow
def test_it_can_be_traced(float64):
    a = jnp.asarray(np.random.default_rng(6).gamma(1, size=(2, MOST, WIDE)))
    totals = np.array([17, 1000])
    traced = jax.jit(lambda a, n: dt.allocate_problems(1.0, BetaPrior(a, 2 * a), n).rollouts)
    want = dt.allocate_problems(1.0, BetaPrior(a, 2 * a), totals).rollouts
    assert jax.vmap(traced)(a, totals).tolist() == want.tolist()


@pytest.mark.slow
def test_a_first_search_in_single_precision_changes_nothing(float64):
    """From 2^14 candidates on; the certificate decides, and a part of the problems is enough."""
    r = np.random.default_rng(8)
    a, b = (jnp.asarray(r.gamma(0.5, size=(2500, 7))) for _ in range(2))
    found = dt.allocate_problems(1.0, BetaPrior(a, b), 10**6)
    assert found.rollouts.sum() == 10**6
    assert dt.is_optimal_across(1.0, BetaPrior(a, b), found.rollouts)
