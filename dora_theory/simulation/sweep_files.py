"""Sweeps as TOML: every field checked, and named where it is bad."""

import math
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dora_theory._errors import InputError
from dora_theory.simulation.arguments import check_simulation
from dora_theory.simulation.populations import Population
from dora_theory.simulation.presets import preset
from dora_theory.simulation.sweeps import Sweep, arguments
from dora_theory.strategies.registry import ORACLE

_WHOLE = "num_candidates", "num_directions", "min_candidates", "dimension", "beam_width"
# Numbers of problems and samples are words of 32 bits; an axis of more values is a slip.
_MOST, _MOST_VALUES = 2**31 - 1, 10**6
_WAYS: dict[str, Callable[..., Any]] = {"linear": np.linspace, "log": np.geomspace}
# Of the options those that strategies use here: problems have κ and ν of their own.
_PARTS = {
    "population": tuple(f.name for f in fields(Population)),
    "options": ("quality_temperature", "similarity_temperature", "beam_width", "pool", "smooth"),
}


def read_sweep(path: str | Path) -> Sweep:
    r"""A sweep from a TOML file.

    Top-level fields are those of `Sweep` without its axes; `[population]` and `[options]` have the
    attributes of `Population` and `Options`; `[grid]` has axes, each a list of values or
    `{ from = a, to = b, count = n, spacing = "linear" | "log" }`. `within_concentration = inf` is
    one success probability for all candidates of a direction. `[population] preset = "…"` takes
    a preset's attributes; other attributes given, and axes, override them.

    Args:
        path: the file.

    Returns:
        The sweep, every cell of it checked.

    Raises:
        InputError: a file that is not TOML, an unknown field or a bad value, named.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / 'sweep.toml'
        >>> _ = path.write_text('strategies = ["rebase", "dora"]\nbudget = 16\n')
        >>> dt.read_sweep(path).strategies
        ('rebase', 'dora')
    """
    try:
        with open(path, "rb") as file:
            given = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    try:
        return _checked(given)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _checked(given: dict[str, Any]) -> Sweep:
    # A cost need not be an integer.
    amount = _number if given.get("by_cost") is True else _positive
    axes = dict(_axes(given.pop("grid", {}), amount))
    fitted = _preset(given.get("population"))
    fixed: dict[str, Any] = {part: _attributes(part, given.pop(part, {})) for part in _PARTS}
    _check_names("", given, (*_FIELDS, *_PARTS, "grid"))
    parsers = {**_FIELDS, "budget": amount}
    values: dict[str, Any] = {name: parsers[name](name, value) for name, value in given.items()}
    for name in axes:
        part, _, attribute = name.rpartition(".")
        if attribute in (fixed[part] if part else values):
            raise ValueError(f"grid.{name}: is fixed as well, as {name}")
    taken = {name.removeprefix("population.") for name in axes}
    fitted = {name: x for name, x in fitted.items() if name not in taken}
    fixed["population"] = fitted | fixed["population"]
    sweep = Sweep(axes=axes, **fixed, **values)
    if sweep.num_problems < 2:
        raise ValueError(f"num_problems = {sweep.num_problems}: needs at least 2")
    if sweep.rollouts_lost and ORACLE not in sweep.strategies:
        raise ValueError("rollouts_lost = true: needs oracle among the strategies")
    if sweep.rollouts_lost and sweep.by_cost:
        raise ValueError("rollouts_lost = true: needs budgets of rollouts, by_cost = false")
    for place in sweep.places():
        population, options, budget = arguments(sweep, place)
        check_simulation(
            population, sweep.strategies, budget, sweep.num_samples, sweep.level, options,
            by_cost=sweep.by_cost,
        )  # fmt: skip
    return sweep


def _preset(population: Any) -> dict[str, Any]:
    """Attributes of the preset that is named, which is taken out, as far as they say anything."""
    if not isinstance(population, dict) or "preset" not in population:
        return {}
    made = preset(_text("population.preset", population.pop("preset")))
    given = {f.name: getattr(made, f.name) for f in fields(made)}
    return {name: x for name, x in given.items() if x != getattr(Population(), name)}


def _check_names(where: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f"{where}{name}: unknown, needs one of {', '.join(known)}")


def _axes(grid: Any, amount: Callable[[str, Any], float]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if not isinstance(grid, dict):
        raise ValueError("grid: needs a table of axes")
    for name, value in grid.items():
        if name in _PARTS and isinstance(value, dict):
            _check_names(f"grid.{name}.", value, _PARTS[name])
            for attribute, values in value.items():
                where = f"grid.{name}.{attribute}"
                yield f"{name}.{attribute}", _axis(where, values, partial(_attribute, attribute))
        elif name == "budget":
            yield name, _axis("grid.budget", value, amount)
        else:
            parts = " and ".join(_PARTS)
            raise ValueError(f"grid.{name}: unknown, needs budget or a table of {parts}")


def _axis(where: str, given: Any, one: Callable[[str, Any], Any]) -> tuple[Any, ...]:
    if isinstance(given, dict):
        _check_names(f"{where}.", given, ("from", "to", "count", "spacing"))
        missing = {"from", "to", "count"} - given.keys()
        if missing:
            raise ValueError(f"{where}: {', '.join(sorted(missing))} missing")
        ends = [_number(f"{where}.{end}", given[end]) for end in ("from", "to")]
        for end, value in zip(("from", "to"), ends, strict=True):
            if not math.isfinite(value):
                raise ValueError(f"{where}.{end} = {value:g}: needs a finite number")
        count = _between(f"{where}.count", given["count"], 1, _MOST_VALUES)
        spacing = given.get("spacing", "linear")
        if not isinstance(spacing, str) or spacing not in _WAYS:
            raise ValueError(f"{where}.spacing = {spacing!r}: needs one of {', '.join(_WAYS)}")
        if spacing == "log" and not min(ends) > 0:
            raise ValueError(f"{where}: a log spacing needs positive ends")
        given = _WAYS[spacing](*ends, count).tolist()
    if not isinstance(given, list) or not given:
        raise ValueError(f"{where}: needs a list of values, or from, to and count")
    values = tuple(one(f"{where}[{i}]", x) for i, x in enumerate(given))
    if len(set(values)) < len(values):
        raise ValueError(f"{where}: a value is there twice")
    return values


def _attributes(part: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{part}: needs a table")
    _check_names(f"{part}.", given, _PARTS[part])
    return {name: _attribute(name, f"{part}.{name}", value) for name, value in given.items()}


def _attribute(name: str, where: str, value: Any) -> Any:
    if name in _WHOLE:
        return _whole(where, value)
    if name == "smooth":
        return _truth(where, value)
    if name == "pool" or (name == "sizes" and isinstance(value, str)):
        return _text(where, value)
    if name in ("sizes", "quality"):
        if not isinstance(value, list):
            raise ValueError(f"{where} = {value!r}: needs a list of numbers")
        return tuple(_whole(where, x) if name == "sizes" else _number(where, x) for x in value)
    return _number(where, value)


def _whole(where: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{where} = {value!r}: needs an integer")
    return value


def _positive(where: str, value: Any) -> int:
    return _between(where, value, 1, _MOST)


def _between(where: str, value: Any, low: int, high: int) -> int:
    if not low <= (number := _whole(where, value)) <= high:
        raise ValueError(f"{where} = {value!r}: needs an integer from {low} to {high}")
    return number


def _number(where: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{where} = {value!r}: needs a number")
    return float(value)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} = {value!r}: needs a text")
    return value


def _names(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} = {value!r}: needs a list of names")
    return tuple(_text(where, x) for x in value)


def _truth(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} = {value!r}: needs true or false")
    return value


# The fields of `Sweep`, and what makes one of what TOML has.
_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "strategies": _names,
    "budget": _positive,
    "num_problems": _positive,
    "num_samples": _positive,
    "level": _text,
    "seed": lambda where, value: _between(where, value, 0, 2**63 - 1),
    "rollouts_lost": _truth,
    "by_cost": _truth,
}
