"""Failure, apportionment and all allocations in exact rationals: what confirms a counterexample."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

HALF = Fraction(1, 2)


def shares(parts: Sequence[int]) -> list[Fraction]:
    """Whole parts over their sum."""
    return [Fraction(p, sum(parts)) for p in parts]


def failure(weight: Fraction, concentration: Fraction, rollouts: int) -> Fraction:
    """Failure of one candidate, Π_{r<B} (κ(1-w) + r)/(κ + r) (eq. 6)."""
    out = Fraction(1)
    for r in range(rollouts):
        out *= (concentration * (1 - weight) + r) / (concentration + r)
    return out


def joint_failure(
    weights: Sequence[Fraction], concentration: Fraction, allocation: Sequence[int]
) -> Fraction:
    """Failure of all rollouts of independent candidates (eq. 7)."""
    out = Fraction(1)
    for w, b in zip(weights, allocation, strict=True):
        out *= failure(w, concentration, b)
    return out


def divisor_method(weights: Sequence[Fraction], divisor: Fraction, budget: int) -> list[int]:
    """The `budget` largest of all w_i/(divisor + r), one by one, ties to the lowest index."""
    given = [0] * len(weights)
    for _ in range(budget):
        ahead = [w / (divisor + b) for w, b in zip(weights, given, strict=True)]
        given[ahead.index(max(ahead))] += 1
    return given


def allocations(budget: int, candidates: int) -> Iterator[tuple[int, ...]]:
    """All ways to spend a budget."""
    if candidates == 1:
        yield (budget,)
        return
    for first in range(budget + 1):
        for rest in allocations(budget - first, candidates - 1):
            yield (first, *rest)


def listed(numbers: Sequence[Fraction | int]) -> str:
    """Numbers as a reader writes them: 1/3, 2/3."""
    return ", ".join(str(x) for x in numbers)
