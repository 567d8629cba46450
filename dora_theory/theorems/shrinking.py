"""Smaller instances of a counterexample, the most drastic first."""

from collections.abc import Iterator, Sequence

from dora_theory.theorems.claim import Instance


def fewer(instance: Instance, name: str, least: int = 1) -> Iterator[Instance]:
    """A whole number, or one of a list of them, made smaller: the least, half, one less."""
    value = instance[name]
    if isinstance(value, list):
        for i, x in enumerate(value):
            for y in _below(x, least):
                yield instance | {name: [*value[:i], y, *value[i + 1 :]]}
    else:
        for y in _below(value, least):
            yield instance | {name: y}


def without(instance: Instance, names: Sequence[str], least: int = 2) -> Iterator[Instance]:
    """One place taken out of several lists at once, while more than `least` are there."""
    count = len(instance[names[0]])
    if count > least:
        for i in range(count):
            yield instance | {n: [*instance[n][:i], *instance[n][i + 1 :]] for n in names}


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


def _below(x: int, least: int) -> list[int]:
    return sorted({y for y in (least, x // 2, x - 1) if least <= y < x})


def _on_grid(x: float, step: float) -> float | None:
    # By whole numbers of 1/step: 0.3 and not 0.30000000000000004.
    parts = round(1 / step)
    y = round(x * parts) / parts
    return y if y not in (0, x) else None


def _lies_on(value: float | list[float], step: float) -> bool:
    parts = round(1 / step)
    return all(
        round(x * parts) / parts == x for x in (value if isinstance(value, list) else [value])
    )
