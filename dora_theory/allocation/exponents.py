"""How hard problems are, from counts: Beta(a, b) by maximum likelihood, and the exponent a.

Of problem m, s_m of n_m rollouts are right, and its p is a draw from Beta(a, b). Uniform budgets
then leave a share c n^-a unsolved (theory 7.4), so that a is what counts. Host functions in
float64.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from dora_theory._checks import check_whole, common_shape, host_count

# Beyond these there is no maximum: the likelihood still rises toward a + b = 0 or infinity.
_LEAST, _MOST = 1e-5, 1e6
_STEPS = 200


class BetaFit(NamedTuple):
    """A maximum of the beta-binomial likelihood.

    Attributes:
        alpha: a.
        beta: b.
        alpha_error: its standard error, from the observed information.
        beta_error: that of b.
    """

    alpha: float
    beta: float
    alpha_error: float
    beta_error: float


class Exponent(NamedTuple):
    """An estimate of a and its standard error."""

    value: float
    error: float


class RoundRobinReplay(NamedTuple):
    """What a log says about rolling every problem up to some depth, until it is solved.

    Attributes:
        unsolved: f̂(0), …, f̂(k): share of problems unsolved at each depth, shape `(k + 1,)`.
        cost: rollouts a problem that round robin to each depth costs, Σ_{j<s} f̂(j); uniform
            costs s itself. Shape `(k + 1,)`.
    """

    unsolved: Float[np.ndarray, " depth"]
    cost: Float[np.ndarray, " depth"]


def fit_beta(right: ArrayLike, attempts: ArrayLike) -> BetaFit:
    """Beta(a, b) of the difficulty of problems, by maximum likelihood of beta-binomial counts.

    Args:
        right: s of each problem, integers, shape `(m,)`.
        attempts: n ≥ s of each problem, integers, shape `(m,)`. Problems without attempts say
            nothing; when a problem's rollouts were stopped changes nothing.

    Returns:
        `BetaFit`, the gradient in (log a, log b) below 1e-9 a problem.

    Raises:
        ValueError: counts out of range, or without a maximum: nothing right, everything right, no
            more spread than one common p has, as much as p in {0, 1}, or no problem
            with two attempts.

    Examples:
        >>> right = np.array([0, 1, 3, 8, 0, 16, 5, 2])
        >>> fit = dt.fit_beta(right, 16)
        >>> round(fit.alpha, 3), round(fit.beta, 3)
        (0.334, 0.694)

    Source: theory 7.4e (iii).
    """
    s, n = _counts(right, attempts)
    total = int(n.sum())
    for what, count in (("none", int(s.sum())), ("all", total - int(s.sum()))):
        if count == 0:
            raise ValueError(f"right: {what} of {total} attempts, no Beta(a, b) can be fitted")
    if n.max() < 2:
        raise ValueError("attempts: no problem has two, which leaves the spread of Beta(a, b) open")
    # (a)_s = Π (a + r): of each factor it only counts how many problems have it.
    tails = [np.bincount(x)[::-1].cumsum()[::-1][1:].astype(float) for x in (s, n - s, n)]

    def slopes(a: float, b: float) -> tuple[float, np.ndarray, np.ndarray]:
        places = [x + np.arange(t.size) for x, t in zip((a, b, a + b), tails, strict=True)]
        value, first, second = (
            [float((t * f(x)).sum()) for t, x in zip(tails, places, strict=True)]
            for f in (np.log, np.reciprocal, lambda x: -1 / x**2)
        )
        gradient = np.array([first[0] - first[2], first[1] - first[2]])
        hessian = np.diag(second[:2]) - second[2]
        return value[0] + value[1] - value[2], gradient, hessian

    mean = s.sum() / total
    x = np.log([mean, 1 - mean])
    value, gradient, hessian = slopes(*np.exp(x))
    for _ in range(_STEPS):
        scale = np.exp(x)
        slope = gradient * scale
        if np.abs(slope).max() < 1e-9 * s.size:
            break
        # In (log a, log b), with a ridge where the likelihood is not concave.
        curve = hessian * np.outer(scale, scale) + np.diag(slope)
        top = np.linalg.eigvalsh(curve).max()
        curve -= np.eye(2) * max(0, top + 1e-8 * np.abs(curve).max()) * 1.5
        step = np.clip(-np.linalg.solve(curve, slope), -2, 2)
        while True:
            tried = slopes(*np.exp(x + step))
            if tried[0] >= value or np.abs(step).max() < 1e-12:
                break
            step = step / 2
        x = x + step
        value, gradient, hessian = tried
        if not _LEAST < np.exp(x).sum() < _MOST:
            break
    a, b = np.exp(x)
    if not _LEAST < a + b < _MOST:
        what = "spread more" if a + b <= _LEAST else "spread no more"
        than = "than any Beta allows" if a + b <= _LEAST else "than one common chance would"
        raise ValueError(f"right: the counts {what} {than}, no Beta(a, b) can be fitted")
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    return BetaFit(float(a), float(b), float(errors[0]), float(errors[1]))


def exponent_slope(right: ArrayLike, samples: int, first: int, last: int) -> Exponent:
    """The exponent as the slope of unsolved against budget, log[f̂(j1)/f̂(j2)] / log(j2/j1).

    Args:
        right: c of each problem, shape `(m,)`.
        samples: k logged of each problem.
        first: j1 ≥ 1.
        last: j2 in (j1, k].

    Returns:
        `Exponent`; biased low by O(b/j1). The error is by the delta method over problems.

    Raises:
        ValueError: counts or depths out of range, or nothing unsolved at j2.

    Examples:
        >>> right = np.array([0, 1, 3, 8, 0, 16, 5, 2])
        >>> round(dt.exponent_slope(right, 16, 2, 8).value, 3)
        0.403

    Source: theory 7.4e (i).
    """
    check_whole("first", first, 1)
    f = _logged_failure(right, samples, (first, last))
    mean, covariance = _moments(f)
    if not mean[1] > 0:
        raise ValueError(f"last = {last}: every problem has more than {samples - last} right")
    scale = np.log(last / first)
    gradient = np.array([1 / mean[0], -1 / mean[1]]) / scale
    return _estimate(np.log(mean[0] / mean[1]) / scale, gradient, covariance)


def exponent_hazard_line(right: ArrayLike, samples: int, first: int, last: int) -> Exponent:
    """The exponent from two hazards: 1/h(j) = (a + b + j)/a is a line in j of slope 1/a.

    Args:
        right: c of each problem, shape `(m,)`.
        samples: k logged of each problem.
        first: j1 ≥ 0; 0 is best.
        last: j2 in (j1, k - 1].

    Returns:
        `Exponent`, consistent at finite j. The error is by the delta method over problems.

    Raises:
        ValueError: counts or depths out of range, or no rollout at j1 or j2 solves anything.

    Examples:
        >>> right = np.array([0, 1, 3, 8, 0, 16, 5, 2])
        >>> round(dt.exponent_hazard_line(right, 16, 0, 8).value, 3)
        0.595

    Source: theory 7.4e (ii).
    """
    f = _logged_failure(right, samples, (first, first + 1, last, last + 1))
    mean, covariance = _moments(f)
    drop = np.array([mean[0] - mean[1], mean[2] - mean[3]])
    if not np.all(drop > 0):
        raise ValueError("right: no rollout at these depths solves anything, the hazard is 0")
    inverse = mean[[0, 2]] / drop
    gap = inverse[1] - inverse[0]
    # d(1/h)/df(j) = -f(j + 1)/drop², d/df(j + 1) = f(j)/drop².
    by = np.array([-mean[1], mean[0], -mean[3], mean[2]]) / np.repeat(drop, 2) ** 2
    gradient = -(last - first) / gap**2 * by * np.array([-1, -1, 1, 1])
    slope = line_through(mean[0], mean[1], mean[2], mean[3], last - first)
    return _estimate(slope, gradient, covariance)


def line_through(first: Any, after_first: Any, last: Any, after_last: Any, gap: Any) -> Any:
    """(j2 - j1)/(1/h(j2) - 1/h(j1)) from f(j1), f(j1 + 1), f(j2), f(j2 + 1)."""
    return gap / (last / (last - after_last) - first / (first - after_first))


def replay_round_robin(right: ArrayLike, samples: int) -> RoundRobinReplay:
    """Solved against spent, for round robin on the unsolved and for uniform, from one log.

    Args:
        right: c of each problem, shape `(m,)`.
        samples: k logged of each problem.

    Returns:
        `RoundRobinReplay`. Expectations over draws without replacement, exact for the log; unbiased
        for the failure at every depth up to k.

    Raises:
        ValueError: counts out of range.

    Examples:
        >>> right = np.array([0, 1, 3, 8, 0, 16, 5, 2])
        >>> found = dt.replay_round_robin(right, 16)
        >>> np.round(found.unsolved[:4], 3), np.round(found.cost[:4], 3)
        (array([1.   , 0.727, 0.622, 0.546]), array([0.   , 1.   , 1.727, 2.348]))

    Source: theory 7.5; Chen et al., Evaluating large language models trained on code (2021).
    """
    k = check_whole("samples", samples, 1)
    f = _logged_failure(right, k, tuple(range(k + 1))).mean(0)
    return RoundRobinReplay(f, np.concatenate([[0.0], np.cumsum(f)[:-1]]))


def _counts(
    right: ArrayLike, attempts: ArrayLike
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Checked counts, without the problems that have no attempts."""
    arrays = []
    for name, x in (("right", right), ("attempts", attempts)):
        array = np.atleast_1d(host_count(name, np.asarray(x))).astype(np.int64)
        if array.size == 0 or array.ndim > 1:
            raise ValueError(f"{name}: needs a count for each problem, got shape {array.shape}")
        arrays.append(array)
    common_shape(right=arrays[0].shape, attempts=arrays[1].shape)
    s, n = np.broadcast_arrays(*arrays)
    if np.any(s > n):
        place = int(np.argmax(s > n))
        raise ValueError(f"right[{place}] = {s[place]}: more than its {n[place]} attempts")
    return s[n > 0], n[n > 0]


def _logged_failure(
    right: ArrayLike, samples: int, depths: tuple[int, ...]
) -> Float[np.ndarray, "m depths"]:
    """C(k - c, j)/C(k, j) of each problem at each depth j, as products of positive factors."""
    c, _ = _counts(right, check_whole("samples", samples, 1))
    depths = tuple(check_whole("depth", depth) for depth in depths)
    if not 0 <= min(depths) <= max(depths) <= samples or list(depths) != sorted(set(depths)):
        raise ValueError(f"depths {depths}: need to rise, within [0, {samples}]")
    j = np.arange(max(depths))
    factors = np.maximum(samples - c[:, None] - j, 0) / (samples - j)
    every = np.concatenate([np.ones((c.size, 1)), np.cumprod(factors, -1)], -1)
    return every[:, list(depths)]


def _moments(f: Float[np.ndarray, "m d"]) -> tuple[np.ndarray, np.ndarray]:
    if f.shape[0] < 2:
        raise ValueError("right: needs at least two problems")
    return f.mean(0), np.cov(f, rowvar=False) / f.shape[0]


def _estimate(value: float, gradient: np.ndarray, covariance: np.ndarray) -> Exponent:
    return Exponent(float(value), float(np.sqrt(max(gradient @ covariance @ gradient, 0.0))))
