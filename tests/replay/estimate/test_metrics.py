"""Theory 9.4: exact estimators and their variances, against all subsets and all outcomes."""

import itertools
from fractions import Fraction
from math import factorial, prod

import numpy as np
import pytest

import dora_theory as dt
from dora_theory.replay.estimate.metrics import best_of, cost_until, counted, stop_at


def share(answers):
    """What the right answer, 0, gets of the lead; -1 does not vote."""
    votes = [answers.count(a) for a in {x for x in answers if x >= 0}]
    mine = answers.count(0)
    return Fraction(1, votes.count(mine)) if mine and mine == max(votes) else Fraction(0)


def h_of(name, k):
    right = {
        "pass_at": lambda s: Fraction(0 in s),
        "pass_hat": lambda s: Fraction(all(x == 0 for x in s)),
        "g_pass": lambda s: Fraction(5 * s.count(0) >= 3 * k),
        "majority_at": lambda s: share(s),
    }
    return right[name]


def estimate(name, counts, silent, k, variance=False):
    n, c = sum(counts) + silent, counts[0]
    if name == "majority_at":
        return dt.majority_at(np.array(counts), k, abstentions=silent, variance=variance)
    more = (0.6,) if name == "g_pass" else ()
    return getattr(dt, name)(n, c, k, *more, variance=variance)


NAMES = ["pass_at", "pass_hat", "g_pass", "majority_at"]


@pytest.mark.parametrize("name", NAMES)
def test_the_estimate_is_the_mean_over_all_subsets(name):
    rng = np.random.default_rng(0)
    for _ in range(60):
        counts = rng.integers(0, 4, rng.integers(1, 5)).tolist()
        silent = int(rng.integers(0, 3))
        pool = [a for a, m in enumerate(counts) for _ in range(m)] + [-1] * silent
        if not pool:
            continue
        k = int(rng.integers(1, len(pool) + 1))
        h = h_of(name, k)
        subsets = list(itertools.combinations(pool, k))
        want = sum(h(list(s)) for s in subsets) / len(subsets)
        assert float(estimate(name, counts, silent, k)) == pytest.approx(float(want), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 2])
def test_estimate_and_variance_have_no_bias(name, k):
    """Over all outcomes of n = 5 rollouts of a law with three answers and silence."""
    n, law = 5, [Fraction(1, 2), Fraction(1, 4), Fraction(1, 8), Fraction(1, 8)]
    h = h_of(name, k)
    theta = sum(
        prod(law[a] for a in s) * h([a if a < 3 else -1 for a in s])
        for s in itertools.product(range(4), repeat=k)
    )
    mean = square = guessed = 0.0
    for counts in itertools.product(range(n + 1), repeat=4):
        if sum(counts) != n:
            continue
        ways = Fraction(factorial(n), prod(map(factorial, counts)))
        chance = float(ways * prod(p**m for p, m in zip(law, counts, strict=True)))
        found, spread = estimate(name, list(counts[:3]), counts[3], k, variance=True)
        mean += chance * float(found)
        square += chance * float(found) ** 2
        guessed += chance * float(spread)
    assert mean == pytest.approx(float(theta), abs=1e-12)
    assert guessed == pytest.approx(square - mean**2, abs=1e-12)
    # Hoeffding's bound.
    assert square - mean**2 <= k / n * float(theta * (1 - theta)) + 1e-12


def test_many_rollouts_keep_their_digits():
    big = dt.majority_at([20, 20, 12, 12], 32)
    assert 0 < big < 1
    pair = dt.majority_at([20, 20], 10)
    assert pair == pytest.approx(0.5)
    n, c = 900, 300
    want = [Fraction(1), Fraction(1)]
    for r in range(200):
        want[0] *= Fraction(n - c - r, n - r)
        want[1] *= Fraction(c - r, n - r)
    assert float(dt.pass_at(n, c, 200)) == pytest.approx(float(1 - want[0]), rel=1e-12)
    assert float(dt.pass_hat(n, c, 200)) == pytest.approx(float(want[1]), rel=1e-11)
    assert np.isnan(dt.pass_at([8], [3], 5, variance=True)[1]).all()


def test_best_and_stop_are_means_over_all_orders():
    rng = np.random.default_rng(1)
    for _ in range(25):
        n = int(rng.integers(1, 7))
        k = int(rng.integers(1, n + 1))
        scores, correct = rng.integers(0, 4, n) / 4, rng.random(n) < 0.5
        costs = rng.integers(1, 9, n).astype(float)
        best, believed, right, final, spent = [], [], [], [], []
        for order in itertools.permutations(range(n)):
            drawn = list(order[:k])
            top = max(scores[drawn])
            leads = [correct[i] for i in drawn if scores[i] == top]
            best.append(np.mean(leads))
            accepted = [i for i in drawn if scores[i] >= 0.5]
            believed.append(bool(accepted))
            right.append(bool(accepted) and correct[accepted[0]])
            final.append(right[-1] if accepted else np.mean(leads))
            until = 1 + drawn.index(accepted[0]) if accepted else k
            spent.append(costs[drawn[:until]].sum())
        assert best_of(scores, correct, k) == pytest.approx(np.mean(best))
        assert cost_until(scores >= 0.5, costs, k) == pytest.approx(np.mean(spent))
        found = stop_at(scores >= 0.5, correct, k, scores)
        assert found == pytest.approx([np.mean(believed), np.mean(right), np.mean(final)])


def test_labels_are_counted():
    counts, silent = counted(np.array([0, 2, -1, 0, 2, 1, -1]))
    assert (counts.tolist(), silent) == ([2, 1, 2], 2)
    counts, silent = counted(np.array([-1]))
    assert (counts.tolist(), silent, dt.majority_at(counts, 1, abstentions=silent)) == ([0], 1, 0)


def test_what_the_log_does_not_hold_is_named():
    with pytest.raises(ValueError, match="k = 5: more than the 4 logged"):
        dt.pass_hat([9, 4], [3, 1], 5)
    with pytest.raises(ValueError, match="k = 0"):
        dt.pass_at(4, 1, 0)
    with pytest.raises(ValueError, match="correct = 5: more than the 4 logged"):
        dt.pass_at(4, 5, 2)
    with pytest.raises(ValueError, match="k = 4: more than the 3 logged"):
        dt.majority_at([2, 1], 4)
    with pytest.raises(ValueError, match="multiplicities"):
        dt.majority_at([2, -1], 1)
    with pytest.raises(ValueError, match="share"):
        dt.g_pass(4, 2, 2, 0.0)
