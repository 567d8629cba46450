"""Exact optima in rationals, the one reference of every test of an allocation."""

from collections.abc import Sequence
from fractions import Fraction


def greedy(
    numerators: Sequence[Fraction], offsets: Sequence[Fraction], budget: int
) -> tuple[int, ...]:
    """One rollout at a time to the largest n/(c + b), ties to the lowest index (theory 2.1)."""
    counts = [0] * len(numerators)
    for _ in range(budget):
        best = max(range(len(counts)), key=lambda i: (numerators[i] / (offsets[i] + counts[i]), -i))
        counts[best] += 1
    return tuple(counts)
