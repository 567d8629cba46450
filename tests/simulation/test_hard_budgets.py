"""Policies over the problems of a log against every order and every tie, one by one."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from dora_theory.replay.across.curves import at_coverage, curves, failure
from dora_theory.simulation import hard_budgets as policies

# c of k, ragged.
LOGGED, RIGHT = np.array([3, 2, 3]), np.array([1, 1, 0])
DEPTH = 3
DRAWS = 40_000


def orders():
    """Every T of the three problems, with its exact chance."""
    each = []
    for k, c in zip(LOGGED, RIGHT, strict=True):
        hits = list(itertools.combinations(range(k), c))
        times = [min(h, default=policies.NEVER - 1) + 1 for h in hits]
        each.append([(t, Fraction(1, len(hits))) for t in times])
    for combination in itertools.product(*each):
        chance = Fraction(1)
        for _, p in combination:
            chance *= p
        yield [t for t, _ in combination], chance


def round_robin(times, total, order, index):
    """Solved, rolling the open problem with the largest index, ties by `order`."""
    done, n = 0, [0, 0, 0]
    for _ in range(total):
        open_ = [i for i in range(3) if n[i] < min(times[i], LOGGED[i])]
        if not open_:
            break
        i = max(open_, key=lambda i: (index(i, n[i]), order[i]))
        n[i] += 1
        done += n[i] == times[i]
    return done


def in_rounds(times, total, orders_, rounds):
    """Ties are broken anew in every round."""
    n = [0, 0, 0]
    for r, order in enumerate(orders_):
        open_ = [i for i in range(3) if n[i] < min(times[i], LOGGED[i])]
        for _ in range(total * (r + 1) // rounds - total * r // rounds):
            free = [i for i in open_ if n[i] < LOGGED[i]]
            if free:
                n[min(free, key=lambda i: (n[i], order[i]))] += 1
    return sum(t <= x for t, x in zip(times, n, strict=True))


def oracle(times, total, order):
    done = 0
    for i in sorted(range(3), key=lambda i: (-Fraction(int(RIGHT[i]), int(LOGGED[i])), order[i])):
        if RIGHT[i] and times[i] <= total:
            total, done = total - times[i], done + 1
        else:
            break
    return done


def expected(solve, rounds=None):
    found = Fraction(0)
    ties = list(itertools.permutations(range(3)))
    if rounds:
        ties = list(itertools.product(ties, repeat=rounds))
    for times, chance in orders():
        found += chance * sum(Fraction(solve(times, order), 3) for order in ties) / len(ties)
    return float(found)


@pytest.fixture(scope="module")
def drawn():
    r = np.random.default_rng(0)
    correct = np.arange(DEPTH) < RIGHT[:, None]
    luck = np.where(np.arange(DEPTH) < LOGGED[:, None], r.random((DRAWS, 3, DEPTH)), 2)
    order = luck.argsort(-1)
    times = policies.first_right(
        np.take_along_axis(np.broadcast_to(correct, luck.shape), order, -1)
    )
    return times, np.broadcast_to(LOGGED, times.shape), np.broadcast_to(RIGHT, times.shape), r


TOTALS = np.arange(9)
# Five standard errors of a mean of numbers in [0, 1].
SLACK = 5 * 0.5 / np.sqrt(DRAWS)


def test_round_robin_and_cells_are_the_policies_that_they_say(drawn):
    times, logged, _, r = drawn
    keys = -np.arange(DEPTH, dtype=float)[None]
    found = policies.in_cells(times, logged, np.zeros_like(times), keys, TOTALS, r).mean(0)
    want = [expected(lambda t, o, n=n: round_robin(t, n, o, lambda i, d: -d)) for n in TOTALS]
    np.testing.assert_allclose(found, want, atol=SLACK)
    # Two labels: the third problem looks better until it has failed twice.
    two = np.array([[0.5, 0.3, 0.1], [0.6, 0.4, 0.2]])
    labels = np.broadcast_to([0, 0, 1], times.shape)
    found = policies.in_cells(times, logged, labels, two, TOTALS, r).mean(0)
    want = [
        expected(lambda t, o, n=n: round_robin(t, n, o, lambda i, d: two[int(i == 2), d]))
        for n in TOTALS
    ]
    np.testing.assert_allclose(found, want, atol=SLACK)


def test_an_index_that_rises_is_followed_head_by_head(drawn):
    times, logged, _, r = drawn
    index = np.array([[0.3, 0.1, 0.9], [0.2, 0.8, 0.0], [0.25, 0.15, 0.05]])
    some = slice(0, 4000)
    cells = np.broadcast_to(index, (4000, 3, 3))
    found = policies.by_index(times[some], logged[some], cells, TOTALS, r).mean(0)
    want = [
        expected(lambda t, o, n=n: round_robin(t, n, o, lambda i, d: index[i, d])) for n in TOTALS
    ]
    np.testing.assert_allclose(found, want, atol=5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_rounds_level_the_unsolved_batch_by_batch(drawn, rounds):
    times, logged, _, r = drawn
    found = policies.in_rounds(times, logged, TOTALS, rounds, r).mean(0)
    want = [expected(lambda t, o, n=n: in_rounds(t, n, o, rounds), rounds) for n in TOTALS]
    np.testing.assert_allclose(found, want, atol=SLACK)


def test_depths_of_round_robin_spend_the_budget(drawn):
    times, logged, _, r = drawn
    ends = np.minimum(times, logged)
    keys = -np.arange(DEPTH, dtype=float)[None]
    want = policies.in_cells(times, logged, np.zeros_like(times), keys, TOTALS, r).mean(0)
    for n, share in zip(TOTALS, want, strict=True):
        depth = policies.round_robin_depths(ends, int(n), r)
        assert np.all(depth.sum(-1) == np.minimum(n, ends.sum(-1)))
        assert (times <= depth).mean() == pytest.approx(share, abs=2 * SLACK)


def test_the_oracle_goes_by_the_counts(drawn):
    times, logged, right, r = drawn
    found = policies.easiest_first(
        np.where(right > 0, times, policies.NEVER), right / logged, TOTALS, r
    ).mean(0)
    want = [expected(lambda t, o, n=n: oracle(t, n, o)) for n in TOTALS]
    np.testing.assert_allclose(found, want, atol=SLACK)


def test_expectations_are_those_of_all_orders():
    f = failure(LOGGED, RIGHT, DEPTH)
    found = curves(LOGGED, RIGHT)
    weights = found.problems[None].astype(float)
    unsolved, uniform, spent = ((weights @ x)[0] / 3 for x in found[:3])
    for depth in range(DEPTH + 1):
        cells = [(t, c) for t, c in orders()]
        for i in range(3):
            here = sum(c for t, c in cells if t[i] > min(depth, LOGGED[i]))
            assert f[i, depth] == pytest.approx(float(here))
        left = sum(c * sum(t[i] > min(depth, LOGGED[i]) for i in range(3)) for t, c in cells)
        cost = sum(c * sum(min(t[i], depth, LOGGED[i]) for i in range(3)) for t, c in cells)
        assert unsolved[depth] == pytest.approx(float(left / 3))
        assert spent[depth] == pytest.approx(float(cost / 3))
        assert uniform[depth] == pytest.approx(np.minimum(depth, LOGGED).mean())


def test_rollouts_at_a_coverage_lie_between_depths():
    # One problem, 1 of 4 right: f = 1, 3/4, 1/2, 1/4, 0; costs 0, 1, 7/4, 9/4, 5/2.
    found = curves(np.array([4]), np.array([1]))
    one = np.ones((1, 1))
    assert at_coverage(found, one, 0.5)[:, 0] == pytest.approx([2, 1.75])
    assert at_coverage(found, one, 0.625)[:, 0] == pytest.approx([2.5, 2])
    assert at_coverage(found, one, 1.0)[:, 0] == pytest.approx([4, 2.5])
    assert np.isnan(at_coverage(curves(np.array([4]), np.array([0])), one, 0.1)).all()
