"""Theory 7.3: the rules of the literature against brute force in exact rationals."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import dora_theory as dt

M = 4


def shares(total, low=0):
    """All ways to give `total` to M problems, each at least `low`."""
    for x in itertools.product(range(low, total + 1), repeat=M - 1):
        if total - sum(x) >= low:
            yield (*x, total - sum(x))


def chances(r):
    return [Fraction(int(x), 8) for x in r.integers(0, 9, size=M)]


@pytest.mark.parametrize("seed", range(8))
def test_neyman_has_the_least_variance(float64, seed):
    p = [Fraction(int(x), 8) for x in np.random.default_rng(seed).integers(1, 8, size=M)]
    for total in (4, 7, 12):
        found = dt.neyman_allocation([*map(float, p)], total).tolist()
        exact = {
            n: sum(x * (1 - x) / k for x, k in zip(p, n, strict=True)) for n in shares(total, 1)
        }
        assert exact[tuple(found)] == min(exact.values())
    # With too few for all, the largest p(1 - p) come first.
    assert dt.neyman_allocation([0.9, 0.5, 0.2, 0.5], 2).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("seed", range(8))
def test_knapsack_is_exact_where_it_spends_all(float64, seed):
    p = chances(np.random.default_rng(seed))

    def value(n):
        return sum(
            x * (1 - x) ** 2 * (1 - x**k - (1 - x) ** k) if k else 0
            for x, k in zip(p, n, strict=True)
        )

    for total in (2, 5, 8, 11):
        found = dt.knapsack_rl_allocation([*map(float, p)], total).tolist()
        assert sum(found) == total
        best = max(map(value, shares(total)))
        # Items in the order of their densities, pairs first; what does not fit is left.
        items = []
        for i, x in enumerate(p):
            gains = [x**k * (1 - x) + (1 - x) ** k * x for k in range(2, total)]
            items += [(x * (1 - x) ** 2 * g, i, 1) for g in gains]
            items.append((x**2 * (1 - x) ** 3, i, 2))
        left = total
        for _, _, size in sorted(items, key=lambda x: (-x[0], x[1], -x[2])):
            if size > left:
                break
            left -= size
        assert best - value(found) <= left * max(x[0] for x in items)
        # Its own start, one rollout each.
        if total >= M:
            floored = dt.knapsack_rl_allocation([*map(float, p)], total, min_rollouts=1).tolist()
            assert value(floored) == max(map(value, shares(total, 1)))


def test_round_robin_serves_the_fewest_attempts(x64):
    r = np.random.default_rng(0)
    for _ in range(30):
        start, low = r.integers(0, 6, size=M), r.integers(0, 3, size=M)
        high = low + r.integers(0, 9, size=M)
        total = int(low.sum() + r.integers(0, 20))
        want = low.copy()
        while want.sum() < min(total, high.sum()):
            level = np.where(want < high, start + want, 10**6)
            want[level.argmin()] += 1
        found = dt.level_allocation(start, total, min_rollouts=low, max_rollouts=high)
        assert found.tolist() == want.tolist()
    assert dt.level_allocation(np.zeros(3), 2**30).tolist() == [357913942, 357913941, 357913941]


def test_hora_pays_for_what_is_solved(float64):
    """A solved problem has the larger first marginal (theory 7.3)."""
    found = dt.hora_allocation(np.array([2, 0]), np.array([4, 4]), 1)
    assert found.tolist() == [1, 0]
    posterior = dt.BetaPrior(np.array([[3.0], [1.0]]), np.array([[3.0], [5.0]]))
    for total in (3, 9):
        want = dt.allocate_problems(1.0, posterior, total).rollouts
        assert dt.hora_allocation([2, 0], [4, 4], total).tolist() == want.tolist()


def test_limits_hold_and_bad_arguments_are_named():
    for rule in (dt.neyman_allocation, dt.knapsack_rl_allocation):
        found = rule([0.5, 0.25, 0.1], 9, min_rollouts=[0, 0, 4], max_rollouts=[2, 9, 9])
        assert found.sum() == 9
        assert found[0] <= 2
        assert found[2] >= 4
        assert rule([0.0, 1.0, 0.0], 3).sum() == 3
        with pytest.raises(ValueError, match=r"chance\[1\] = 1.5"):
            rule([0.5, 1.5], 2)
    with pytest.raises(ValueError, match="floors exceed the total"):
        dt.level_allocation([0, 0], 1, min_rollouts=1)
    with pytest.raises(ValueError, match="attempts - right"):
        dt.hora_allocation([3, 0], [2, 1], 1)
