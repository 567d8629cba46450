"""Smaller instances of a counterexample, the most drastic first."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from dora_theory.claims.check.claim import Instance


def fewer(instance: Instance, name: str, least: int = 1) -> Iterator[Instance]:
    """An integer, or one of a list of them, made smaller: the least, half, one less."""
    value = instance[name]
    if isinstance(value, list):
        for i, x in enumerate(value):
            for y in _below(x, least):
                yield instance | {name: [*value[:i], y, *value[i + 1 :]]}
    else:
        for y in _below(value, least):
            yield instance | {name: y}


def shorter(instance: Instance, names: Sequence[str], least: int = 2) -> Iterator[Instance]:
    """One place taken out of several lists at once, while more than `least` are there."""
    count = len(instance[names[0]])
    if count > least:
        for i in range(count):
            yield instance | {n: [*instance[n][:i], *instance[n][i + 1 :]] for n in names}


def steps(*names: str, without: Sequence[str] = ()) -> Callable[[Instance], Iterator[Instance]]:
    """As `Claim.simpler`: places taken out of the lists `without`, then each name `fewer`."""

    def simpler(instance: Instance) -> Iterator[Instance]:
        if without:
            yield from shorter(instance, without)
        for name in names:
            yield from fewer(instance, name)

    return simpler


def rounder(instance: Instance, name: str, steps: Sequence[float]) -> Iterator[Instance]:
    """A number, or one of a list of them, on a grid: the coarsest step first.

    Numbers that are on the grid already, or that would become 0, stay.
    """
    value = instance[name]
    for step in steps:
        if isinstance(value, list):
            for i, x in enumerate(value):
                if _on_grid(x, step) is not None:
                    new = [*value[:i], _on_grid(x, step), *value[i + 1 :]]
                    yield instance | {name: new}
        elif _on_grid(value, step) is not None:
            yield instance | {name: _on_grid(value, step)}
        if _lies_on(value, step):
            return


def from_below(
    simpler: Callable[[Instance], Iterator[Instance]],
    confirm: Callable[[Instance], bool],
    ladder: Callable[[], Iterator[Instance]],
) -> Callable[[Instance], Iterator[Instance]]:
    """Steps that end at the first counterexample of a ladder, wherever they begin.

    Steps that make one number smaller end where each of them leads to no counterexample, and where
    that is depends on where they began. A ladder lists all small instances in the order of their
    size, so that its first counterexample is the smallest there is; it is looked for once.

    Args:
        simpler: the steps to take if no counterexample is on the ladder.
        confirm: whether an instance is a counterexample.
        ladder: the small instances.

    Returns:
        As `simpler`: smaller instances to try, none at the end of the search.
    """

    @cache
    def first() -> Instance | None:
        return next(filter(confirm, ladder()), None)

    def steps(instance: Instance) -> Iterator[Instance]:
        least = first()
        if instance == least:
            return
        if least is not None:
            yield least
        yield from simpler(instance)

    return steps


def small_problems(most: int) -> Iterator[Instance]:
    """Parts of two candidates or more, the largest first, κ = 2^e and N, by 2N + Σ parts + |e|.

    A rollout counts twice: who checks by hand has a factor more to write on either side.
    """
    for size in range(4, most + 1):
        for budget in range(1, size // 2):
            for total in range(2, size - 2 * budget + 1):
                exponent = size - 2 * budget - total
                for parts in partitions(total):
                    for concentration in sorted({2.0**exponent, 2.0**-exponent}, reverse=True):
                        yield {"parts": parts, "concentration": concentration, "budget": budget}


def partitions(total: int, most: int | None = None) -> Iterator[list[int]]:
    """Ways to write an integer as a sum of two integers or more, the largest first."""
    for first in range(min(total - 1, most or total), 0, -1):
        if total - first <= first:
            yield [first, total - first]
        yield from ([first, *rest] for rest in partitions(total - first, first))


def _below(x: int, least: int) -> list[int]:
    return sorted({y for y in (least, x // 2, x - 1) if least <= y < x})


def _on_grid(x: float, step: float) -> float | None:
    # By integers of 1/step: 0.3 and not 0.30000000000000004.
    parts = round(1 / step)
    y = round(x * parts) / parts
    return y if y not in (0, x) else None


def _lies_on(value: float | list[float], step: float) -> bool:
    parts = round(1 / step)
    return all(
        round(x * parts) / parts == x for x in (value if isinstance(value, list) else [value])
    )
