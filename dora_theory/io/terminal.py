"""What goes to standard error: messages, and on a terminal how far a long run is."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def say(text: str) -> None:
    """One message, seen at once."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(total: int, unit: str, *, delay: float = 0) -> Iterator[Any]:
    """A bar to `update()`, gone when the block ends; nothing is seen where there is no terminal.

    Args:
        total: steps in all.
        unit: what a step is, in the plural.
        delay: seconds before it appears.
    """
    from tqdm import tqdm

    silent = not sys.stderr.isatty()
    with tqdm(total=total, unit=f" {unit}", delay=delay, leave=False, disable=silent) as bar:
        yield bar


def counted(items: Iterable[T], unit: str, *, delay: float = 2) -> Iterator[T]:
    """The items; a terminal sees how many have passed."""
    if not sys.stderr.isatty():
        yield from items
        return
    from tqdm import tqdm

    with tqdm(items, unit=f" {unit}", delay=delay, leave=False) as bar:
        yield from bar
