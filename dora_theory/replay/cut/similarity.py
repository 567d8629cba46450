"""Similarity of a log's candidates within and between directions, and the T_s that it calls for.

DORA's uniqueness γ_i = 1/Σ_l exp(−(1 − S_il)/T_s) is meant to make a direction weigh as one
candidate (theory 4.4). How far it misses that depends on the similarities themselves, and is
U-shaped in T_s (theory 4.5). Here it is measured on the similarities of the log: with all scores
equal, each direction should receive the same mass, and KL(uniform ‖ mass of γ) says how far it is
from that; counting candidates gives KL(uniform ‖ k_j/K).

Where directions come from clustering, they come from these similarities too: then the loss says how
γ agrees with the clusters, not with any truth.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dora_theory.replay.cut.candidates import Candidates

PAPER = 0.01
# Four to a tenfold; the paper's is one of them.
TEMPERATURES = 10.0 ** np.arange(-3, 0.6, 0.25)
EDGES = np.linspace(-1, 1, 401)
_LEVELS = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Similarity:
    """What the candidates of a log are like, pairs of candidates of one problem being compared.

    Attributes:
        within: pairs of one direction in each of 400 bins of cosine from −1 to 1.
        across: pairs of two directions, likewise.
        within_quantiles: 5%, 50% and 95% of the cosines in a direction, to half a bin; NaN if none.
        across_quantiles: likewise, across directions.
        sizes: directions with 1, 2, 3, … candidates, shape `(k,)`.
        effective: for each problem exp of the entropy of k_j/K, shape `(problems,)`.
        loss: KL(uniform ‖ mass of γ) in nats at each of `TEMPERATURES`, of the problems with two
            directions or more, shape `(temperatures, telling)`.
        counting: KL(uniform ‖ k_j/K), shape `(telling,)`.
    """

    within: Int[np.ndarray, " bins"]
    across: Int[np.ndarray, " bins"]
    within_quantiles: tuple[float, ...]
    across_quantiles: tuple[float, ...]
    sizes: Int[np.ndarray, " k"]
    effective: Float[np.ndarray, " problems"]
    loss: Float[np.ndarray, "temperatures telling"]
    counting: Float[np.ndarray, " telling"]


class Similarities:
    """Takes problems one by one, keeping a few numbers of each."""

    def __init__(self) -> None:
        """Makes an empty one."""
        self._within, self._across = np.zeros((2, len(EDGES) - 1), dtype=np.int64)
        self._sizes = np.zeros(1, dtype=np.int64)
        self._effective: list[float] = []
        self._loss: list[np.ndarray] = []
        self._counting: list[float] = []

    def add(self, problem: "Numbers") -> None:
        """Takes a problem."""
        self._within += problem.within
        self._across += problem.across
        counts = np.bincount(problem.sizes, minlength=len(self._sizes))
        counts[: len(self._sizes)] += self._sizes
        self._sizes = counts
        self._effective.append(problem.effective)
        if problem.loss is not None:
            self._counting.append(problem.counting)
            self._loss.append(problem.loss)

    def done(self) -> Similarity:
        """What the problems that were taken are like."""
        loss = np.array(self._loss).reshape(-1, len(TEMPERATURES))
        return Similarity(
            within=self._within,
            across=self._across,
            within_quantiles=_quantiles(self._within),
            across_quantiles=_quantiles(self._across),
            sizes=self._sizes[1:],
            effective=np.array(self._effective),
            loss=loss.T,
            counting=np.array(self._counting),
        )


class Numbers(NamedTuple):
    """What is kept of one problem, as in `Similarity`; no loss if it has one direction."""

    within: Int[np.ndarray, " bins"]
    across: Int[np.ndarray, " bins"]
    sizes: Int[np.ndarray, " g"]
    effective: float
    counting: float
    loss: Float[np.ndarray, " temperatures"] | None


def numbers_of(problem: Candidates) -> Numbers:
    """What is kept of a problem."""
    cosines = problem.embeddings @ problem.embeddings.T
    upper = np.triu_indices(len(cosines), 1)
    same = problem.directions[upper[0]] == problem.directions[upper[1]]
    pairs = np.clip(cosines[upper], -1, 1)
    sizes = np.bincount(problem.directions)
    share = sizes / sizes.sum()
    return Numbers(
        within=np.histogram(pairs[same], EDGES)[0],
        across=np.histogram(pairs[~same], EDGES)[0],
        sizes=sizes,
        effective=float(np.exp(-(share * np.log(share)).sum())),
        counting=_loss(share),
        loss=_losses(cosines, problem.directions) if len(sizes) > 1 else None,
    )


def _losses(
    cosines: Float[np.ndarray, "k k"], directions: Int[np.ndarray, " k"]
) -> Float[np.ndarray, " temperatures"]:
    distance = np.maximum(1 - cosines, 0)
    found = []
    # One T_s at a time: all of them at once would be many matrices of a problem.
    for temperature in TEMPERATURES:
        mass = np.bincount(directions, 1 / np.exp(-distance / temperature).sum(-1))
        found.append(_loss(mass / mass.sum()))
    return np.array(found)


def _loss(share: Float[np.ndarray, " g"]) -> float:
    """KL(uniform ‖ share); every direction has some candidate, and γ > 0."""
    return max(0.0, float(-np.log(share * len(share)).mean()))


def _quantiles(counts: Int[np.ndarray, " bins"]) -> tuple[float, ...]:
    total = counts.sum()
    if not total:
        return (np.nan,) * len(_LEVELS)
    middles = (EDGES[:-1] + EDGES[1:]) / 2
    at = np.searchsorted(np.cumsum(counts), np.array(_LEVELS) * total)
    return tuple(middles[at].tolist())
