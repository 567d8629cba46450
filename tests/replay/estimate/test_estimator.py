"""The estimator against exact rationals, by enumeration of every log that could have been."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from dora_theory.replay.estimate.estimator import (
    hypergeometric_log_failure,
    replayed_success,
)


def exact_failure(n, c, b):
    return Fraction(math.comb(n - c, b), math.comb(n, b))


def test_the_formula_has_no_bias():
    # Mean over the number of right ones among n draws: exactly (1 − p)^B, for every p and B ≤ n.
    for p in (Fraction(1, 7), Fraction(2, 3)):
        for n in range(1, 8):
            draws = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
            for b in range(n + 1):
                mean = sum(w * exact_failure(n, c, b) for c, w in enumerate(draws))
                assert mean == (1 - p) ** b


def test_hypergeometric_log_failure(x64):
    cells = [
        (n, c, b)
        for n in (0, 1, 2, 19, 256, 5000)
        for c in {0, 1, n // 3, n - 1, n}
        for b in {0, 1, 2, n // 2, n - c, n - c + 1, n}
        if 0 <= c <= n and 0 <= b <= n
    ]
    n, c, b = np.array(cells).T
    result = np.asarray(hypergeometric_log_failure(n, c, b))
    assert result.dtype == (np.float64 if x64 else np.float32)
    bound = 1e-14 if x64 else 1e-6
    for cell, value in zip(cells, result.tolist(), strict=True):
        failure = exact_failure(*cell)
        if failure == 0:
            assert value == -math.inf, cell
        else:
            # Of big integers math.log is exact to rounding; near 1 it needs the small part.
            small = float(1 - failure)
            expected = (
                math.log1p(-small)
                if small < 0.5
                else math.log(failure.numerator) - math.log(failure.denominator)
            )
            # The difference of two logarithms is as exact as the larger of them.
            slack = 2**-52 * math.log(failure.denominator) if small >= 0.5 else 0
            assert value == pytest.approx(expected, rel=bound, abs=4 * slack), cell


LABELS = np.array([0, 1, 0, 2, 1, 0])
CHANCE = [Fraction(1, 3), Fraction(1, 5), Fraction(7, 8)]


def every_log():
    """All outcomes that six continuations can have, with their probabilities."""
    each = [CHANCE[j] for j in LABELS]
    outcomes = list(product([False, True], repeat=6))
    chances = [
        math.prod(p if right else 1 - p for right, p in zip(row, each, strict=True))
        for row in outcomes
    ]
    assert sum(chances) == 1
    return np.array(outcomes), np.array(chances, dtype=float)


@pytest.mark.parametrize(
    "allocation",
    [
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
        [3, 0, 0, 1, 0, 0],
        [0, 2, 1, 0, 0, 0],
        [1, 0, 0, 1, 1, 1],
    ],
)
def test_joint_failure_has_no_bias(float64, allocation):
    outcomes, chances = every_log()
    chances = [
        math.prod(
            p if right else 1 - p for right, p in zip(row, [CHANCE[j] for j in LABELS], strict=True)
        )
        for row in outcomes.tolist()
    ]
    estimate = replayed_success(np.array(allocation), LABELS, outcomes, 3)
    assert not np.asarray(estimate.clipped).any()
    mean = math.fsum(np.asarray(estimate.lower) * chances)
    given = np.bincount(LABELS, weights=allocation, minlength=3).astype(int).tolist()
    truth = 1 - math.prod((1 - p) ** b for p, b in zip(CHANCE, given, strict=True))
    assert mean == pytest.approx(float(truth), abs=1e-14)
    np.testing.assert_array_equal(estimate.lower, estimate.upper)


def test_bounds_hold_in_the_mean_where_the_log_does_not_suffice(float64):
    outcomes, chances = every_log()
    chances = np.array(
        [
            float(
                math.prod(
                    p if r else 1 - p for r, p in zip(row, [CHANCE[j] for j in LABELS], strict=True)
                )
            )
            for row in outcomes.tolist()
        ]
    )
    for allocation in ([0, 0, 0, 2, 0, 0], [4, 0, 1, 0, 3, 0]):
        estimate = replayed_success(np.array(allocation), LABELS, outcomes, 3)
        given = np.bincount(LABELS, weights=allocation, minlength=3).astype(int).tolist()
        truth = float(1 - math.prod((1 - p) ** b for p, b in zip(CHANCE, given, strict=True)))
        assert np.asarray(estimate.clipped).all()
        lower, upper = (float(np.asarray(x) @ chances) for x in (estimate.lower, estimate.upper))
        assert lower < truth <= upper == pytest.approx(1)
        # The lower bound is what all that was logged would have reached.
        held = np.minimum(given, np.bincount(LABELS, minlength=3)).tolist()
        reached = float(1 - math.prod((1 - p) ** b for p, b in zip(CHANCE, held, strict=True)))
        assert lower == pytest.approx(reached, abs=1e-14)


def test_padding_counts_for_nothing(float64):
    allocation, right = np.array([2, 1, 0, 1]), np.array([True, False, False, True])
    labels = np.array([0, 1, 0, 1])
    plain = replayed_success(allocation, labels, right, 2)
    padded = replayed_success(
        np.array([[2, 1, 0, 1, 5, 9]]),
        np.array([[0, 1, 0, 1, 0, 1]]),
        np.array([[True, False, False, True, True, True]]),
        3,
        mask=np.array([[True] * 4 + [False] * 2]),
    )
    assert float(padded.lower[0]) == float(plain.lower) == 1
    assert bool(padded.clipped[0]) == bool(plain.clipped) is False


def test_batches_equal_one_by_one(float64):
    generator = np.random.default_rng(0)
    allocation = generator.integers(0, 4, (3, 5, 8))
    labels, right = generator.integers(0, 4, (5, 8)), generator.random((5, 8)) < 0.4
    whole = replayed_success(allocation, labels, right, 4)
    for i, j in product(range(3), range(5)):
        one = replayed_success(allocation[i, j], labels[j], right[j], 4)
        for x, y in zip(whole, one, strict=True):
            assert np.asarray(x)[i, j] == np.asarray(y)


def test_bad_arguments():
    with pytest.raises(ValueError, match="correct"):
        hypergeometric_log_failure(3, 4, 1)
    with pytest.raises(ValueError, match="rollouts"):
        hypergeometric_log_failure(3, 1, 4)
    with pytest.raises(ValueError, match=r"allocation\[1\] = -1"):
        replayed_success(np.array([1, -1]), np.array([0, 0]), np.array([True, False]), 1)
    with pytest.raises(ValueError, match=r"directions\[1\] = 5"):
        replayed_success(np.array([1, 1]), np.array([0, 5]), np.array([True, False]), 1)
