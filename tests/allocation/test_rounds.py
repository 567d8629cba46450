"""Theory 7.2f: the plan of R rounds against all depths and all policies, in fractions."""

import itertools
from fractions import Fraction
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt

PRIORS = [(1, 2), (2, 1), (1, 5)]


def failures(a, b, depth):
    f = [Fraction(1)]
    for r in range(depth):
        f.append(f[-1] * (1 - Fraction(a, a + b + r)))
    return f


def problem(priors):
    a, b = (jnp.array([[float(p[i])] for p in priors]) for i in (0, 1))
    return dt.BetaPrior(a, b)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_bound_is_that_of_the_best_depths(float64, rounds):
    depth, total, price = 6, 7, Fraction(1, 20)
    want = price * total
    for a, b in PRIORS:
        f = failures(a, b, depth)
        want += max(
            (1 - f[s[-1]]) - price * sum((t - u) * f[u] for u, t in itertools.pairwise((0, *s)))
            for s in itertools.combinations_with_replacement(range(depth + 1), rounds)
        )
    found = dt.rounds_bound(1.0, problem(PRIORS), total, rounds, float(price), depth=depth)
    assert float(found) == pytest.approx(float(want), rel=1e-13)


def best_of_rounds(priors, total, rounds):
    """The optimum of R rounds with a hard budget: every split, every outcome."""
    hazards = [[Fraction(a, a + b + r) for r in range(total)] for a, b in priors]

    @cache
    def value(state, left, rounds):
        if not rounds or not left:
            return Fraction(0)
        open_ = [m for m, depth in enumerate(state) if depth is not None]
        best = Fraction(0)
        for split in itertools.product(range(left + 1), repeat=len(open_)):
            if sum(split) > left or (rounds == 1 and sum(split) < left and open_):
                continue
            outcomes = []
            for m, n in zip(open_, split, strict=True):
                fail = Fraction(1)
                for r in range(n):
                    fail *= 1 - hazards[m][state[m] + r]
                outcomes.append(((state[m] + n, fail, 0), (None, 1 - fail, 1)))
            gain = Fraction(0)
            for result in itertools.product(*outcomes):
                chance, after, solved = Fraction(1), list(state), 0
                for m, (depth, p, hit) in zip(open_, result, strict=True):
                    chance, after[m], solved = chance * p, depth, solved + hit
                if chance:
                    gain += chance * (solved + value(tuple(after), left - sum(split), rounds - 1))
            best = max(best, gain)
        return best

    return value((0,) * len(priors), total, rounds)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_no_policy_of_rounds_exceeds_the_bound(float64, rounds):
    total, priors = 4, PRIORS[:2]
    best = float(best_of_rounds(priors, total, rounds))
    found = dt.rounds_plan(1.0, problem(priors), total, rounds, depth=total)
    assert best <= float(found.bound) * (1 + 1e-12)
    assert float(found.bound) <= float(dt.adaptive_bound(1.0, problem(priors), total).value) + 1e-12
    assert float(found.cost) <= total
    if rounds == 1:
        committed = dt.allocate_problems(1.0, problem(priors), total)
        gained = dt.expected_value(1.0, problem(priors), committed.allocation).sum()
        assert best == pytest.approx(float(gained), rel=1e-13)
        assert float(found.bound) == pytest.approx(best, rel=1e-6)


def test_more_rounds_bound_more_and_equal_groups_count(float64):
    bounds, prior = [], dt.BetaPrior(jnp.array([[0.25], [1.0]]), jnp.array([[0.75], [1.0]]))
    for rounds in (1, 2, 4):
        found = dt.rounds_plan(1.0, prior, 320, rounds, depth=64, multiplicity=np.array([20, 20]))
        assert 0.9 * 320 < float(found.cost) <= 320
        bounds.append(float(found.bound))
    looking = dt.adaptive_bound(
        1.0, dt.BetaPrior(prior.alpha.repeat(20, 0), prior.beta.repeat(20, 0)), 320
    )
    assert bounds == sorted(bounds)
    assert bounds[-1] <= float(looking.value)
