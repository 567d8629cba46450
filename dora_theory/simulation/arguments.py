"""What may be asked of a simulation: checked before anything is traced, named where it is bad."""

from collections.abc import Sequence
from typing import Any, get_args

import jax

from dora_theory._checks import check_number, check_type, check_whole, named
from dora_theory.simulation.outcomes import Level
from dora_theory.simulation.populations import Population
from dora_theory.strategies.choosing import AnyStrategy, as_strategies
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import STRATEGIES, Strategy


def check_simulation(
    population: Population,
    strategies: Sequence[AnyStrategy],
    budget: float,
    num_samples: int,
    level: str,
    options: Options | None,
    *,
    by_cost: bool = False,
) -> None:
    """`ValueError` unless `simulate` can use these arguments, `TypeError` if one is of no use."""
    check_type("population", population, Population)
    population.checked()
    if options is not None:
        check_type("options", options, Options)
        options.checked()
    contenders(strategies)
    if not isinstance(level, str) or level not in get_args(Level):
        raise ValueError(f"level = {named(level)}: needs one of {', '.join(get_args(Level))}")
    if not by_cost:
        check_whole("budget", budget, 1)
    else:
        check_number("budget", budget, 0, 2.0**22, low_open=True)
        if population.within_concentration is not None:
            raise ValueError("by_cost = True: needs within_concentration = None")
    check_whole("num_samples", num_samples, 1)


# A real-valued relaxation gives no rollouts to simulate.
CONTENDERS = tuple(name for name, strategy in STRATEGIES.items() if not strategy.real)


def contenders(strategies: Sequence[AnyStrategy]) -> tuple[Strategy, ...]:
    """The strategies of a simulation; an error, as of `as_strategies`, unless each can be."""
    return as_strategies(strategies, among=CONTENDERS)


def chosen_devices(devices: Sequence[Any] | None) -> tuple[Any, ...]:
    """The devices to use, all of all processes if None; `ValueError` if this process has none."""
    if devices is None:
        return tuple(jax.devices())
    if not isinstance(devices, Sequence) or not all(isinstance(d, jax.Device) for d in devices):
        raise TypeError(f"devices = {named(devices)}: needs a sequence of devices of JAX")
    if not any(d.process_index == jax.process_index() for d in devices):
        raise ValueError(f"devices = {named(devices)}: needs one or more of this process")
    return tuple(devices)
