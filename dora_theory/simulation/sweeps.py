"""Sweeps: a simulation for every cell of a grid of population and strategy parameters.

All cells draw from one key: common random numbers, so that what differs between cells is what
their parameters do. Numbers are traced, so cells of one shape share one compiled program.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import inf, isfinite, prod
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dora_theory import __version__
from dora_theory.io.store import open_store
from dora_theory.simulation.montecarlo import Simulation, rollouts_lost, simulate
from dora_theory.simulation.outcomes import Level
from dora_theory.simulation.populations import Population
from dora_theory.strategies.choosing import as_strategies
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import DORA, ORACLE, REBASE

# Rows are written when so many wait, or when the first of them has waited so long.
_ROWS, _SECONDS = 512, 5.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """What to simulate, over which grid.

    Attributes:
        axes: name → values, such as `"population.skew"`, `"options.quality_temperature"` or
            `"budget"`; the last varies fastest.
        population: attributes of `Population` that no axis has.
        options: attributes of `Options` that no axis has.
        strategies: names, or `package.module:function`. With `"oracle"` rows have the regret of
            the others.
        budget: N, or a cost, as of `simulate`.
        num_problems: of each cell.
        num_samples: of each problem.
        level: of randomness.
        seed: of the key of all cells.
        rollouts_lost: whether rows have the rollouts that strategies lose, which takes about log N
            simulations of the oracle more.
        by_cost: whether budgets are of cost.

    Examples:
        >>> sweep = dt.Sweep(axes={"population.concentration": (0.5, 5.0)}, budget=16)
        >>> sweep.budget
        16
    """

    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    population: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    strategies: tuple[str, ...] = (REBASE, DORA, ORACLE)
    budget: float = 64
    num_problems: int = 1024
    num_samples: int = 16
    level: Level = "conditional"
    seed: int = 0
    rollouts_lost: bool = False
    by_cost: bool = False

    def __len__(self) -> int:
        return prod(len(values) for values in self.axes.values())

    def places(self) -> Iterator[dict[str, Any]]:
        """The parameters of each cell, in order: axis → value."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def columns(self) -> dict[str, str]:
        """Names and Arrow types of a row's columns."""
        found = {"cell": "int64", "key": "string"}
        found |= {name: _kind(values) for name, values in self.axes.items()}
        found |= {"version": "string", "jax": "string", "device": "string", "seconds": "float64"}
        names = ["success", "success_low", "success_high", "correct", "correct_error"]
        for strategy in names_of(self.strategies):
            found |= {f"{strategy}.{name}": "float64" for name in names}
            if ORACLE in self.strategies and strategy != ORACLE:
                found |= {f"{strategy}.{n}": "float64" for n in ("regret", "regret_error")}
                if self.rollouts_lost:
                    found |= {f"{strategy}.{n}": "float64" for n in ("lost", "lost_error")}
        return found

    def definition(self) -> dict[str, Any]:
        """The sweep in JSON's types: equal for equal sweeps."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "axes"}
        if not self.by_cost:
            # Stores of rollouts are as they were before there were others.
            del found["by_cost"]
        # As pairs, for their order counts.
        return _plain(found | {"axes": list(self.axes.items())})


def simulate_cell(sweep: Sweep, place: Mapping[str, Any], **options: Any) -> Row:
    """The results of one cell.

    Args:
        sweep: the sweep.
        place: its parameters, an element of `sweep.places()`.
        options: passed on to `simulate`: `devices`.

    Returns:
        Columns of its row but `cell`, `seconds`, versions and parameters.
    """
    key = jax.random.key(sweep.seed)
    population, given, budget = arguments(sweep, place)
    found = simulate(
        key, population, sweep.strategies, budget, num_problems=sweep.num_problems,
        num_samples=sweep.num_samples, level=sweep.level, options=given,
        by_cost=sweep.by_cost, **options,
    )  # fmt: skip
    row: Row = {"key": bytes(np.asarray(jax.random.key_data(key)).astype(">u4")).hex()}
    for strategy in names_of(sweep.strategies):
        row |= {f"{strategy}.{name}": x for name, x in _results(found, strategy).items()}
        if sweep.rollouts_lost and strategy != ORACLE:
            lost = rollouts_lost(key, population, found, strategy, options=given, **options)
            row |= {
                f"{strategy}.lost": float(lost.value),
                f"{strategy}.lost_error": float(lost.error),
            }
    return row


def simulate_cells(
    sweep: Sweep, done: frozenset[int] = frozenset(), cell: Callable[..., Row] = simulate_cell
) -> Iterator[Row]:
    """Whole rows of all cells that are not done, in order."""
    versions = {"version": __version__, "jax": jax.__version__}
    device = jax.devices()[0].device_kind
    for number, place in enumerate(sweep.places()):
        if number not in done:
            start = time.perf_counter()
            row = cell(sweep, place)
            shown = {name: _shown(value) for name, value in place.items()}
            seconds = time.perf_counter() - start
            yield {"cell": number, **shown, **versions, "device": device, "seconds": seconds, **row}


def run_sweep(
    sweep: Sweep,
    path: str | Path,
    *,
    begin: Callable[[frozenset[int]], frozenset[int]] = lambda done: done,
    after: Callable[[Row], None] = lambda row: None,
    cell: Callable[..., Row] = simulate_cell,
) -> int:
    """Simulates all cells that a store does not have yet, and adds them to it.

    Killed at any moment, it can be run again: rows come out as they would have without.

    Args:
        sweep: the sweep.
        path: the store, a folder; made if there is none.
        begin: called with the cells that are done; returns them, for other processes.
        after: called with each row.
        cell: simulates one.

    Returns:
        How many cells were simulated.

    Raises:
        InputError: the store is of something else, damaged, or another run's.

    Examples:
        >>> import pathlib, tempfile
        >>> store = pathlib.Path(tempfile.mkdtemp()) / 'store'
        >>> sweep = dt.Sweep(axes={"population.concentration": (0.5, 5.0)},
        ...     strategies=("rebase",), budget=8, num_problems=16, level="closed")
        >>> _ = dt.run_sweep(sweep, store)
        >>> _, table = dt.read_store(store)
        >>> table.num_rows
        2
    """
    count = 0
    with open_store(path, sweep.definition(), sweep.columns(), len(sweep)) as store:
        waiting: list[Row] = []
        since = time.monotonic()
        try:
            for row in simulate_cells(sweep, begin(store.done), cell):
                if not waiting:
                    since = time.monotonic()
                waiting.append(row)
                count += 1
                after(row)
                if len(waiting) >= _ROWS or time.monotonic() - since >= _SECONDS:
                    # A second interruption inside `append` must not add the rows twice.
                    rows, waiting = waiting, []
                    store.append(rows)
        finally:
            store.append(waiting)
    return count


def _results(found: Simulation, strategy: str) -> Row:
    success, correct = found.success(strategy), found.correct(strategy)
    results = {
        "success": success.value,
        "success_low": success.low,
        "success_high": success.high,
        "correct": correct.value,
        "correct_error": correct.error,
    }
    if ORACLE in found.strategies and strategy != ORACLE:
        regret = found.regret(strategy)
        results |= {"regret": regret.value, "regret_error": regret.error}
    return {name: float(value) for name, value in results.items()}


def arguments(sweep: Sweep, place: Mapping[str, Any]) -> tuple[Population, Options, float]:
    """What the cell is made of. Numbers that are traced are floats in all cells, to one program."""
    parts: dict[str, dict[str, Any]] = {
        "population": dict(sweep.population),
        "options": dict(sweep.options),
    }
    for name, value in place.items():
        part, _, attribute = name.rpartition(".")
        if part:
            parts[part][attribute] = value
    population = parts["population"]
    if population.get("within_concentration") == inf:
        del population["within_concentration"]
    return (
        Population(**population),
        Options(**parts["options"]),
        place.get("budget", sweep.budget),
    )


def names_of(strategies: tuple[str, ...]) -> tuple[str, ...]:
    """What rows call the strategies: a function of a user's own by its name."""
    return tuple(strategy.name for strategy in as_strategies(strategies))


def _kind(values: tuple[Any, ...]) -> str:
    """The Arrow type of an axis; sizes and qualities are text."""
    if all(isinstance(x, int) for x in values):
        return "int64"
    return "float64" if all(isinstance(x, int | float) for x in values) else "string"


def _shown(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """In JSON's types; infinity, which JSON has not, as text."""
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value
