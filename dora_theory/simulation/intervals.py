"""Means with confidence intervals, where problems are the sampling unit.

A problem may be sampled many times; what is independent are problems, so a problem counts as one
observation, its mean, and the spread of those means is all the error there is.
"""

from typing import NamedTuple

import numpy as np
import scipy.special
from jaxtyping import Float
from numpy.typing import ArrayLike

# Differences that count from which on Student's interval covers as it says.
_ENOUGH = 30
_TINY = np.finfo(np.float64).tiny


class Estimate(NamedTuple):
    """A mean and its confidence interval, numbers or arrays.

    Attributes:
        value: the mean.
        low: lower end of the interval.
        high: upper end.
        error: standard error of the mean.
    """

    value: Float[np.ndarray, "*batch"]
    low: Float[np.ndarray, "*batch"]
    high: Float[np.ndarray, "*batch"]
    error: Float[np.ndarray, "*batch"]


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Student's interval for the mean of independent values.

    Args:
        values: shape `(..., n)`, n ≥ 2.
        level: probability that the interval covers the mean.

    Returns:
        `Estimate` of shape `(...)`. Coverage is exact for normal values and close to nominal for
        others from some tens on, if the mean is not ruled by rare ones.

    Raises:
        ValueError: fewer than two values, NaN or infinite ones, a level outside (0, 1).

    Examples:
        >>> found = dt.mean_interval(np.array([0.2, 0.4, 0.6]))
        >>> round(float(found.low), 3), round(float(found.high), 3)
        (-0.097, 0.897)

    Source: Student (1908).
    """
    return student(*_moments(values), level=level)


def proportion_interval(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Wilson's interval for the mean of independent values in [0, 1], which need not be 0 or 1.

    The values count as so many throws of a coin as would have the standard error that they have:
    m(1 - m)/error² of them, at least n, since no distribution on [0, 1] spreads more than a coin's.

    Args:
        values: shape `(..., n)`, n ≥ 2, in [0, 1].
        level: probability that the interval covers the mean.

    Returns:
        `Estimate` of shape `(...)`, its ends in [0, 1]. Where all values are 0, or all are 1, it is
        that of n throws of a coin, and not empty.

    Raises:
        ValueError: fewer than two values, a value outside [0, 1], a level outside (0, 1).

    Examples:
        >>> found = dt.proportion_interval(np.array([1, 0, 1, 1]))
        >>> round(float(found.low), 3), round(float(found.high), 3)
        (0.163, 0.979)

    Source: Wilson (1927); effective sample size as by Korn and Graubard (1998).
    """
    _check(values, 0, 1, "numbers in [0, 1]")
    return wilson(*_moments(values), level=level)


def difference_interval(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Interval for the mean of independent differences in [-1, 1], most of which may be 0.

    Student's, while at least 30 of the differences count. Below that it is widened to hold what
    gains and losses may be, each as often as Clopper and Pearson allow. What has not been seen may
    be as large as 1: with no difference among n values the interval is about ±3.7/n.

    Args:
        values: shape `(..., n)`, n ≥ 2, in [-1, 1]: of each pair one value less the other.
        level: probability that the interval covers the mean.

    Returns:
        `Estimate` of shape `(...)`, its ends in [-1, 1]. Coverage is at least nominal, less two
        points, however rare or uneven differences are.

    Raises:
        ValueError: fewer than two values, a value outside [-1, 1], a level outside (0, 1).

    Examples:
        >>> found = dt.difference_interval(np.array([0.0, 0.5, 0.0, 0.25]))
        >>> round(float(found.value), 4)
        0.1875

    Source: Clopper and Pearson (1934) at the effective numbers of Korn and Graubard (1998), with
    Stringer's bound for sizes that were not seen; both signs combined as by Newcombe (1998).
    """
    _check(values, -1, 1, "numbers in [-1, 1]")
    x = np.asarray(values, np.float64)
    mean, error, n = _moments(x)
    gains, losses = ((part, part * part) for part in (np.maximum(x, 0), np.maximum(-x, 0)))
    return paired(
        mean, error, n, [g.sum(-1) for g in gains], [b.sum(-1) for b in losses], level=level
    )


def paired(
    mean: ArrayLike,
    error: ArrayLike,
    n: int,
    gains: ArrayLike,
    losses: ArrayLike,
    *,
    level: float = 0.95,
) -> Estimate:
    """`difference_interval` from moments.

    Args:
        mean: of n differences, shape `(...)`.
        error: its standard error.
        n: how many there are.
        gains: sums of the positive differences and of their squares, shape `(2, ...)`.
        losses: the same of the negative ones, as positive numbers.
        level: probability that the interval covers the mean.

    Returns:
        As `difference_interval`.
    """
    usual = student(mean, error, n, level=level)
    up, down = np.asarray(gains, np.float64), np.asarray(losses, np.float64)
    gain, least_gain, most_gain = _part(up[0], up[1], n, level)
    loss, least_loss, most_loss = _part(down[0], down[1], n, level)
    low = usual.value - np.hypot(gain - least_gain, most_loss - loss)
    high = usual.value + np.hypot(most_gain - gain, loss - least_loss)
    total, squares = up + down
    rare = total * total < _ENOUGH * np.maximum(squares, _TINY)
    return Estimate(
        usual.value,
        np.maximum(np.where(rare, np.minimum(low, usual.low), usual.low), -1),
        np.minimum(np.where(rare, np.maximum(high, usual.high), usual.high), 1),
        usual.error,
    )


def _part(
    total: np.ndarray, squares: np.ndarray, n: int, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of n numbers in [0, 1] from their sum and that of their squares, and its bounds.

    They count as `count` numbers of one size and others that are 0.
    """
    tail = (1 - level) / 2
    size = np.clip(squares / np.maximum(total, _TINY), 0, 1)
    count = np.minimum(total / np.maximum(size, _TINY), n)
    some, all_ = count > 0, count >= n
    low = scipy.special.betaincinv(np.where(some, count, 1), n - count + 1, tail)
    high = scipy.special.betaincinv(count + 1, np.where(all_, 1, n - count), 1 - tail)
    unseen = 1 - tail ** (1 / n)
    high = unseen + size * (np.where(all_, 1, high) - unseen)
    return total / n, np.where(some, size * low, 0), high


def student(mean: ArrayLike, error: ArrayLike, n: int, *, level: float = 0.95) -> Estimate:
    """`mean_interval` from the mean of n values and its standard error, both `(...)`."""
    m, s, t = np.asarray(mean, np.float64), np.asarray(error, np.float64), _quantile(n, level)
    return Estimate(m, m - t * s, m + t * s, s)


def wilson(mean: ArrayLike, error: ArrayLike, n: int, *, level: float = 0.95) -> Estimate:
    """`proportion_interval` from the mean of n values and its standard error, both `(...)`."""
    t = _quantile(n, level)
    # The mean of float32 values may pass its range by a rounding.
    m, variance = np.clip(np.asarray(mean, np.float64), 0, 1), np.square(error, dtype=np.float64)
    coin = m * (1 - m)
    throws = np.maximum(coin / np.maximum(variance, _TINY), n)
    square = t * t / throws
    center = (m + square / 2) / (1 + square)
    half = np.sqrt(square * coin + square * square / 4) / (1 + square)
    # In exact arithmetic the interval holds the mean and stays in [0, 1]; rounding may leave both.
    low, high = np.clip(center - half, 0, m), np.clip(center + half, m, 1)
    return Estimate(m, low, high, np.sqrt(variance))


def _moments(values: ArrayLike) -> tuple[np.ndarray, np.ndarray, int]:
    x = np.asarray(values, np.float64)
    _check(x, -np.inf, np.inf, "finite numbers")
    if x.ndim == 0 or x.shape[-1] < 2:
        raise ValueError(f"values: needs at least two, got shape {x.shape}")
    n = x.shape[-1]
    return x.mean(-1), x.std(-1, ddof=1) / np.sqrt(n), n


def _check(values: ArrayLike, low: float, high: float, wants: str) -> None:
    x = np.asarray(values, np.float64)
    bad = ~np.isfinite(x) | (x < low) | (x > high)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"values[{', '.join(map(str, place))}]" if place else "values"
        raise ValueError(f"{where} = {x[place]}: needs {wants}")


def _quantile(n: int, level: float) -> float:
    if n < 2:
        raise ValueError(f"n = {n}: needs at least two values")
    if not isinstance(level, float | np.floating) or not 0 < level < 1:
        raise ValueError(f"level = {level!r}: needs a number in (0, 1)")
    # Student's quantile as scipy.stats has it, which takes much of a second to load.
    return float(scipy.special.stdtrit(n - 1, (1 + level) / 2))
