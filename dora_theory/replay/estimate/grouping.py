"""Problems in groups of one shape: a long log takes little memory and compiles nothing twice."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.workers import Later, Workers

if TYPE_CHECKING:
    from dora_theory.replay.estimate.policies import Batch

# So many similarities are held at once.
_NUMBERS = 1 << 22


class Groups:
    """Takes problems one by one and estimates them in groups."""

    def __init__(
        self, estimate: "Callable[[Batch], tuple[np.ndarray, ...]]", workers: Workers
    ) -> None:
        """Makes an empty one.

        Args:
            estimate: from a batch of problems to arrays whose last axis are the problems.
            workers: who estimates.
        """
        self._estimate, self._workers = partial(_in_float64, estimate), workers
        self._waiting: list[Candidates] = []
        self._largest = self._full = 0
        self._shape = (0, 0, 0)
        self._parts: list[tuple[Later[tuple[np.ndarray, ...]], int]] = []

    def add(self, problem: Candidates) -> None:
        """Takes a problem."""
        self._waiting.append(problem)
        self._largest = max(self._largest, len(problem.scores))
        if len(self._waiting) >= (self._full or max(1, _NUMBERS // _round(self._largest) ** 2)):
            self._full = len(self._waiting)
            self._flush()

    def done(self) -> tuple[np.ndarray, ...]:
        """The estimates of all problems that were taken, at least one, in order."""
        if self._waiting:
            self._flush()
        found = [[x[..., :count] for x in later.result()] for later, count in self._parts]
        return tuple(np.concatenate(part, axis=-1) for part in zip(*found, strict=True))

    def _flush(self) -> None:
        # Not before the log has proved good: JAX takes longer to load than most logs to read.
        from dora_theory.replay.estimate.policies import pad

        # What is short of a full group are copies of its last problem, left out afterward. Sizes
        # are powers of two, so that logs of about the same size share their programs.
        count = len(self._waiting)
        filled = self._waiting + [self._waiting[-1]] * ((self._full or _round(count)) - count)
        k, _, g = self._shape
        k = max(k, _round(self._largest))
        g = max(g, *(_round(int(p.directions.max()) + 1) for p in filled))
        # k vectors have at most k coordinates.
        self._shape = (k, k, g)
        batch = pad(filled, at_least=self._shape)
        self._parts.append((self._workers.submit(self._estimate, batch), count))
        self._waiting = []


def _in_float64(
    estimate: "Callable[[Batch], tuple[np.ndarray, ...]]", batch: "Batch"
) -> tuple[np.ndarray, ...]:
    import jax

    with jax.enable_x64(True):
        return tuple(map(np.asarray, estimate(batch)))


def _round(size: int) -> int:
    """The next power of two."""
    return 1 << (size - 1).bit_length()
