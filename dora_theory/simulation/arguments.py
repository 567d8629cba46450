"""What may be asked of a simulation: checked before anything is traced, named where it is bad."""

from collections.abc import Sequence
from typing import Any, get_args

import jax

from dora_theory._checks import check_type, check_whole, named
from dora_theory.simulation.contenders import CONTENDERS, Settings
from dora_theory.simulation.outcomes import Level
from dora_theory.simulation.populations import Population


def check_simulation(
    population: Population,
    strategies: Sequence[str],
    budget: int,
    samples: int,
    level: str,
    settings: Settings | None,
) -> None:
    """`ValueError` unless `simulate` can use these arguments, `TypeError` if one is of no use."""
    check_type("population", population, Population)
    population.checked()
    if settings is not None:
        check_type("settings", settings, Settings)
        settings.checked()
    strategy_names(strategies)
    if not isinstance(level, str) or level not in get_args(Level):
        raise ValueError(f"level = {named(level)}: needs one of {', '.join(get_args(Level))}")
    check_whole("budget", budget, 1)
    check_whole("samples", samples, 1)


def strategy_names(strategies: Sequence[str]) -> tuple[str, ...]:
    """The names of strategies as a tuple; `ValueError` unless there are some, known, each once."""
    # A text is a sequence of texts too, its letters.
    if isinstance(strategies, str) or not isinstance(strategies, Sequence):
        raise TypeError(
            f"strategies = {named(strategies)}: needs a sequence of names, such as ('dora',)"
        )
    for name in strategies:
        if not isinstance(name, str) or name not in CONTENDERS:
            raise ValueError(f"strategies: {named(name)} is none of {', '.join(CONTENDERS)}")
    if not strategies or len(set(strategies)) < len(strategies):
        raise ValueError(f"strategies = {tuple(strategies)}: needs one or more, each once")
    return tuple(strategies)


def chosen_devices(devices: Sequence[Any] | None) -> tuple[Any, ...]:
    """The devices to use, all of all processes if None; `ValueError` if this process has none."""
    if devices is None:
        return tuple(jax.devices())
    if not isinstance(devices, Sequence) or not all(isinstance(d, jax.Device) for d in devices):
        raise TypeError(f"devices = {named(devices)}: needs a sequence of devices of JAX")
    if not any(d.process_index == jax.process_index() for d in devices):
        raise ValueError(f"devices = {named(devices)}: needs one or more of this process")
    return tuple(devices)
