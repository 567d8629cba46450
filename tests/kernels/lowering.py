"""Programs as they are given to a GPU's compiler, on machines that have none."""

from collections.abc import Callable
from typing import Any

import jax
from compiled.devices import DEVICES, known_while_lowering


def for_cuda(function: Callable[..., Any], *arguments: Any) -> str:
    """What a function becomes for an H100, which need not be there."""
    with known_while_lowering(DEVICES["H100"], 1):
        traced = jax.jit(function).trace(*arguments)
        return traced.lower(lowering_platforms=("cuda",)).as_text()
