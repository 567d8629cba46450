"""Directions of a log: what their scores say, and how many of their continuations are right."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from dora_theory.replay.calibrate.reliability import Concentration

MEANS = ("score", "calibrated", "quality")
# A mean of exactly 0 or 1 would exclude what happens. PRMs that answer in bfloat16 know no number
# between 1 - 2^-8 and 1.
EDGE = 2.0**-9


class Counts(NamedTuple):
    """Directions of a log at one depth.

    Attributes:
        score: mean score of its candidates, shape `(groups,)`.
        quality: its share of the pooled softmax of its problem.
        logged: continuations.
        correct: how many of them are right.
        level: difficulty of its problem as logged, empty if it is not.
    """

    score: Float[np.ndarray, " groups"]
    quality: Float[np.ndarray, " groups"]
    logged: Int[np.ndarray, " groups"]
    correct: Int[np.ndarray, " groups"]
    level: np.ndarray


def directions_of(
    scores: np.ndarray, labels: np.ndarray, correct: np.ndarray, temperature: float, level: str
) -> Iterator[tuple]:
    """Score, quality, n, c, level of each direction of a problem."""
    found, label = np.unique(labels, return_inverse=True)
    n = np.bincount(label)
    mass = np.bincount(label, np.exp((scores - scores.max()) / temperature)) / n
    mean = np.bincount(label, scores) / n
    right = np.bincount(label, correct).astype(int)
    yield from zip(mean, mass / mass.sum(), n, right, [level] * len(found), strict=True)


def counts_of(rows: Iterable[tuple]) -> Counts:
    """The directions of all problems, sorted."""
    # Sorted, so that sums are the same to the last bit in whatever order problems are.
    columns = list(zip(*sorted(rows), strict=True)) or [()] * 5
    kinds = (float, float, int, int, object)
    return Counts(*(np.array(x, dtype=k) for x, k in zip(columns, kinds, strict=True)))


def concentration_of(counts: Counts, mean: str) -> "Concentration":
    """κ of the directions of a log, by what their mean is, a name of `MEANS`."""
    from dora_theory.replay.calibrate.reliability import fit_concentration

    stated = counts.quality if mean == "quality" else counts.score
    return fit_concentration(
        np.clip(stated, EDGE, 1 - EDGE),
        counts.logged,
        counts.correct,
        recalibrate=mean == "calibrated",
    )
