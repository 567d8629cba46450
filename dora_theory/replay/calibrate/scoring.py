"""Scores against outcomes: calibration curve, expected calibration error, and what ranks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory.simulation.intervals import wilson

_RESAMPLES = 1000
_WEIGHTS = 1 << 24


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often solutions are right whose score is such.

    Attributes:
        edges: of the bins, shape `(bins + 1,)`.
        score: mean score of each bin, NaN in an empty one, shape `(bins,)`.
        accuracy: share of right solutions, NaN in an empty one.
        low: lower end of its 95% interval, problems being the sampling unit.
        high: upper end.
        count: solutions in each bin.
        error: expected calibration error, Σ count/n |accuracy − score|.
        error_low: lower end of its 95% bootstrap interval over problems.
        error_high: upper end.
        floor: the mean error of as many solutions if scores were their exact chances.
        brier: mean squared difference of score and outcome.
        auc: chance that a right solution scores above a wrong one of any problem, ties half; NaN
            if all are right or all wrong.
    """

    edges: Float[np.ndarray, " edges"]
    score: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    low: Float[np.ndarray, " bins"]
    high: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]
    error: float
    error_low: float
    error_high: float
    floor: float
    brier: float
    auc: float


def calibration(
    scores: Float[np.ndarray, " n"],
    correct: Bool[np.ndarray, " n"],
    problem: Int[np.ndarray, " n"],
    *,
    bins: int = 10,
    seed: int = 0,
) -> Calibration:
    """Calibration of scores in bins of equal width.

    Args:
        scores: in [0, 1], shape `(n,)`, n ≥ 1.
        correct: outcomes, shape `(n,)`.
        problem: which problem each solution is of, numbered from 0, shape `(n,)`.
        bins: how many.
        seed: of the bootstrap and of the floor.

    Returns:
        The calibration.

    Source: Naeini, Cooper and Hauskrecht (2015), for the error.
    """
    # In an order of their own, as the bootstrap and the floor draw by place.
    order = np.lexsort([problem, correct, scores])
    scores, correct, problem = scores[order], correct[order], problem[order]
    y = correct.astype(float)
    edges = np.linspace(0, 1, bins + 1)
    at = np.minimum((scores * bins).astype(int), bins - 1)
    problems = int(problem.max()) + 1
    cell = problem * bins + at
    count, score, right = (
        np.bincount(cell, weights, problems * bins).reshape(problems, bins)
        for weights in (np.ones_like(y), scores, y)
    )
    order = np.lexsort([*score.T, *count.T, *right.T])
    count, score, right = count[order], score[order], right[order]
    n, total, hits = count.sum(0), score.sum(0), right.sum(0)
    with np.errstate(invalid="ignore"):
        mean, accuracy = total / n, hits / n
        # Solutions of a problem are right and wrong together: its sum is one observation.
        spread = np.sqrt(((right - count * accuracy) ** 2).sum(0)) / n
    low, high = np.full((2, bins), np.nan)
    there = (count > 0).sum(0)
    for b in np.flatnonzero(n):
        interval = wilson(accuracy[b], spread[b], max(int(there[b]), 2))
        low[b], high[b] = interval.low, interval.high
    generator = np.random.default_rng(seed)
    # n cancels: Σ n/N |hits/n − total/n|.
    gaps = right - score
    errors = []
    size = max(1, _WEIGHTS // problems)
    for start in range(0, _RESAMPLES, size):
        chances = np.full(problems, 1 / problems)
        weights = generator.multinomial(problems, chances, size=min(size, _RESAMPLES - start))
        errors.append(np.abs(weights @ gaps).sum(-1) / (weights @ count).sum(-1))
    error_low, error_high = np.quantile(np.concatenate(errors), [0.025, 0.975])
    floor = np.mean(
        [
            np.abs(np.bincount(at, (generator.random(y.size) < scores) - scores, bins)).sum()
            for _ in range(20)
        ]
    )
    return Calibration(
        edges=edges,
        score=mean,
        accuracy=accuracy,
        low=low,
        high=high,
        count=n.astype(int),
        error=float(np.abs(hits - total).sum() / y.size),
        error_low=float(error_low),
        error_high=float(error_high),
        floor=float(floor / y.size),
        brier=float(np.mean((scores - y) ** 2)),
        auc=_auc(scores, correct),
    )


def _auc(scores: np.ndarray, correct: np.ndarray) -> float:
    from scipy.stats import rankdata

    right = int(correct.sum())
    wrong = correct.size - right
    if not right or not wrong:
        return float("nan")
    ranks = rankdata(scores)[correct].sum()
    return float((ranks - right * (right + 1) / 2) / (right * wrong))
