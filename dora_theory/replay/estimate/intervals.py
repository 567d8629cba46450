"""How surely a mean over problems is known: the bootstrap, and what replaces it where it fails.

A bootstrap only draws what was seen. Twenty of twenty right draw nothing but right ones, and its
interval would be [1, 1]. Where it collapses to a point or runs into the end of the range:

- All n problems have the same value v. A share s of all problems that differ, up to
  s = 1 − 0.025^{1/n}, remains unseen with a chance of at least 2.5%, and may have any value. For
  v = 0 or 1 this is the interval of Clopper and Pearson, which is near the rule of three.
- Some differ: that of Clopper and Pearson for as many throws of a coin as have the spread of the
  values (Korn and Graubard, 1998).
- Of differences, which have their edge at 0: both parts, what is gained and what is lost, so.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.special
from jaxtyping import Bool, Float

# Some resamples at a time: as floats, all weights of a long log would fill the memory.
_WEIGHTS = 1 << 24
_TAIL = 0.025
# Differences, by their effective number, below which a bootstrap knows too few of them.
_ENOUGH = 10
# The same number up to rounding.
_ROUNDING = 1e-9


class Interval(NamedTuple):
    """A mean over problems and its 95% interval, each of shape `(...)`."""

    mean: Float[np.ndarray, "*cells"]
    low: Float[np.ndarray, "*cells"]
    high: Float[np.ndarray, "*cells"]


def share_interval(
    values: Float[np.ndarray, "*cells problems"],
    where: Bool[np.ndarray, "*cells problems"] | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Mean over problems of values in [0, 1], with a 95% interval.

    Args:
        values: shape `(..., problems)`, at least one problem.
        where: as of `bootstrap`.
        seed: likewise.
        resamples: likewise.

    Returns:
        As `bootstrap`; where its interval is a point or reaches 0 or 1, the one that the head of
        the module says.

    Raises:
        ValueError: no problems.

    Source: Clopper and Pearson (1934); Korn and Graubard (1998).
    """
    found = bootstrap(values, where, seed=seed, resamples=resamples)
    failed = (found.low <= _ROUNDING) | (found.high >= 1 - _ROUNDING)
    failed |= found.high - found.low <= _ROUNDING
    edge = _at_edge(values, where)
    return Interval(
        found.mean, *(np.where(failed, e, f) for e, f in zip(edge, found[1:], strict=True))
    )


def difference_interval(
    values: Float[np.ndarray, "*cells problems"],
    where: Bool[np.ndarray, "*cells problems"] | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Mean over problems of differences in [−1, 1], with a 95% interval.

    Args: as `share_interval`.

    Returns:
        As `bootstrap`; where its interval is a point or ends at 0, or fewer than ten problems count
        for the difference, gains and losses have an interval each, as the head of the module says,
        of which this is the difference, and holds what the bootstrap says.

    Raises:
        ValueError: no problems.
    """
    found = bootstrap(values, where, seed=seed, resamples=resamples)
    failed = (np.abs(found.low) <= _ROUNDING) | (np.abs(found.high) <= _ROUNDING)
    failed |= found.high - found.low <= _ROUNDING
    size = np.abs(values) if where is None else np.where(where, np.abs(values), 0)
    failed |= size.sum(-1) ** 2 < _ENOUGH * (size**2).sum(-1)
    gain, loss = (_at_edge(np.maximum(sign * values, 0), where) for sign in (1, -1))
    low = np.where(failed, np.minimum(gain[0] - loss[1], found.low), found.low)
    high = np.where(failed, np.maximum(gain[1] - loss[0], found.high), found.high)
    return Interval(found.mean, low, high)


def _at_edge(
    values: Float[np.ndarray, "*cells problems"],
    where: Bool[np.ndarray, "*cells problems"] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The interval of values in [0, 1] where a bootstrap fails; NaN without problems."""
    counted = np.broadcast_to(True if where is None else where, values.shape)
    n = counted.sum(-1)
    some = np.maximum(n, 1)
    mean = np.where(counted, values, 0).sum(-1) / some
    spread = np.where(counted, values - mean[..., None], 0)
    same = np.abs(spread).max(-1) <= _ROUNDING
    # What one value leaves open: a share of others that remains unseen with a chance of 2.5%.
    seen = _TAIL ** (1 / some)
    # As many throws of a coin as have this spread, at least one for each problem.
    variance = (spread**2).sum(-1) / np.maximum(n - 1, 1) / some
    throws = np.maximum(mean * (1 - mean) / np.where(same, 1, variance), some)
    right = mean * throws
    low = scipy.special.betaincinv(right, throws - right + 1, _TAIL)
    high = scipy.special.betaincinv(right + 1, throws - right, 1 - _TAIL)
    low, high = np.where(same, mean * seen, low), np.where(same, 1 - (1 - mean) * seen, high)
    return np.where(n == 0, np.nan, low), np.where(n == 0, np.nan, high)


def bootstrap(
    values: Float[np.ndarray, "*cells problems"],
    where: Bool[np.ndarray, "*cells problems"] | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Mean over problems with a 95% interval: the 2.5% and 97.5% quantiles of resampled means.

    Problems are resampled, all cells alike.

    Args:
        values: shape `(..., problems)`, at least one problem.
        where: which problems a cell is about, all if None, shape `(..., problems)`; chosen without
            looking at outcomes.
        seed: of NumPy's default generator; the same seed gives the same interval, in whatever order
            the problems are.
        resamples: how many. Those without any problem of a cell say nothing about it.

    Returns:
        Shape `(...)` each, to twelve decimals; NaN for a cell without problems. The interval covers
        about 95% from some twenty problems on.

    Raises:
        ValueError: no problems.
    """
    problems = values.shape[-1]
    if problems == 0:
        raise ValueError("values: needs at least one problem")
    # In an order of their own: weights are drawn by place.
    values = np.round(values, 12)
    keys = values.reshape(-1, problems)
    if where is not None:
        keys = np.concatenate([keys, where.reshape(-1, problems)])
    order = np.lexsort(keys)
    values = values[..., order]
    where = None if where is None else where[..., order]
    # Where every problem counts, each resample has as many as there are.
    counted = None if where is None else where.astype(np.float64)
    kept = values if where is None else np.where(where, values, 0)
    means = np.empty((*values.shape[:-1], resamples))
    with np.errstate(invalid="ignore"):
        mean = kept.sum(-1) / (problems if counted is None else counted.sum(-1))
        end = 0
        for part in _weights(seed, problems, resamples):
            # As floats at once: products with integers take NumPy's own slow loop.
            weights = part.T.astype(np.float64)
            of = problems if counted is None else counted @ weights
            start, end = end, end + len(part)
            means[..., start:end] = (kept @ weights) / of
    empty = np.isnan(mean)
    means[empty] = 0
    mean = np.round(mean, 12)
    low, high = np.round(np.nanquantile(means, [0.025, 0.975], axis=-1), 12)
    return Interval(mean, np.where(empty, np.nan, low), np.where(empty, np.nan, high))


@lru_cache(maxsize=2)
def _weights(seed: int, problems: int, resamples: int) -> list[np.ndarray]:
    """How often each problem is in each resample, some resamples at a time.

    Every table of a report asks for the same ones, and to draw them is most of a bootstrap.
    """
    generator = np.random.default_rng(seed)
    chances = np.full(problems, 1 / problems)
    size = max(1, _WEIGHTS // problems)
    # One problem 256 times: never of fewer problems, and of more with a chance below 1/256!.
    return [
        generator.multinomial(problems, chances, size=min(size, resamples - start)).astype(np.uint8)
        for start in range(0, resamples, size)
    ]
