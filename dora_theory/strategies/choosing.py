"""From what a user names to strategies: a name, `package.module:function`, or a callable."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from dora_theory._errors import short
from dora_theory.strategies.registry import STRATEGIES, Strategy

AnyStrategy = str | Strategy | Callable[..., Any]


def as_strategy(strategy: AnyStrategy, *, among: Sequence[str] = tuple(STRATEGIES)) -> Strategy:
    """The strategy that is meant.

    Args:
        strategy: a name, `"package.module:function"`, a `Strategy`, or a rule: a function of
            `(problems, budget, options)` that returns rollouts or weights of shape `(n, k)`.
        among: names that are allowed here.

    Returns:
        The strategy; a function's name is its own.

    Raises:
        ValueError: an unknown name, a function that cannot be found.
        TypeError: nothing of these.
    """
    if isinstance(strategy, Strategy):
        return strategy
    if callable(strategy):
        return Strategy(_name_of(strategy), strategy)
    if not isinstance(strategy, str):
        raise TypeError(f"strategy = {short(repr(strategy))}: needs a name or a function")
    if ":" in strategy:
        return _load(strategy)
    if strategy not in among:
        raise ValueError(
            f"{strategy!r} is none of {', '.join(among)}, and no package.module:function"
        )
    return STRATEGIES[strategy]


def as_strategies(
    strategies: Sequence[AnyStrategy], *, among: Sequence[str] = tuple(STRATEGIES)
) -> tuple[Strategy, ...]:
    """Several strategies, each once; `ValueError` or `TypeError` as `as_strategy`."""
    # A text is a sequence of texts too, its letters.
    if isinstance(strategies, str) or not isinstance(strategies, Sequence):
        raise TypeError(
            f"strategies = {short(repr(strategies))}: needs a sequence, such as ('dora',)"
        )
    found = []
    for each in strategies:
        try:
            found.append(as_strategy(each, among=among))
        except ValueError as error:
            raise ValueError(f"strategies: {error}") from None
    names = [s.name for s in found]
    if not found or len(set(names)) < len(names):
        raise ValueError(f"strategies = {tuple(names)}: needs one or more, each once")
    return tuple(found)


def _name_of(rule: Callable[..., Any]) -> str:
    name = getattr(rule, "__name__", None) or type(rule).__name__
    return "rule" if name == "<lambda>" else name


def _load(path: str) -> Strategy:
    """`package.module:function`, also from the current folder."""
    module, _, name = path.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        rule = import_module(module)
        for part in name.split("."):
            rule = getattr(rule, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{path!r}: {error}") from None
    if isinstance(rule, Strategy):
        return rule
    if not callable(rule):
        raise ValueError(f"{path!r}: is not a function")
    return Strategy(_name_of(rule), rule)
