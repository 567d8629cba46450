"""What k of n logged rollouts of a problem would have shown, exactly (theory 9.4).

All are U-statistics: means over all ways to draw k of the n without replacement, hence without bias
for k fresh rollouts. θ² less the mean of h(A) h(A') over disjoint draws A and A' is an unbiased
estimate of their variance, for 2k ≤ n. It may be negative in one sample.
"""

from collections.abc import Iterator
from math import ceil

import numpy as np
from jaxtyping import Bool, Float, Int, Real
from scipy.special import comb, gammaln

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_number, check_whole
from dora_theory.replay.grade.answers import NONE, RIGHT

# Binomials of more have no double.
MOST = 1000

Estimates = Float[np.ndarray, "*batch"]


def pass_at(
    logged: Real[ArrayLike, "*#batch"],
    correct: Real[ArrayLike, "*#batch"],
    k: int,
    *,
    variance: bool = False,
) -> Estimates | tuple[Estimates, Estimates]:
    """pass@k, the chance that one of k rollouts is right: 1 - C(n - c, k)/C(n, k).

    Args:
        logged: n rollouts of each problem, shape `(...)`, at least k.
        correct: c of them are right.
        k: rollouts, ≥ 1.
        variance: whether to return its unbiased variance too, NaN where 2k > n.

    Returns:
        Shape `(...)`, to a relative 1e-12; or that and the variance.

    Raises:
        ValueError: k beyond the rollouts of a problem, counts out of range.

    Source: Chen et al. (2021); theory 9.4.3 for the variance.
    """
    n, c = _counts(logged, correct, k)
    missed = _draws(n - c, k) / _draws(n, k)
    return _with(1 - missed, missed, n - c, n, k, variance=variance)


def pass_hat(
    logged: Real[ArrayLike, "*#batch"],
    correct: Real[ArrayLike, "*#batch"],
    k: int,
    *,
    variance: bool = False,
) -> Estimates | tuple[Estimates, Estimates]:
    """pass^k, the chance that all of k rollouts are right: C(c, k)/C(n, k).

    Args: as `pass_at`.

    Returns:
        Shape `(...)`, to a relative 1e-12; or that and the variance.

    Raises:
        ValueError: as `pass_at`.

    Source: theory 9.4.1, 9.4.3.
    """
    n, c = _counts(logged, correct, k)
    found = _draws(c, k) / _draws(n, k)
    return _with(found, found, c, n, k, variance=variance)


def g_pass(
    logged: Real[ArrayLike, "*#batch"],
    correct: Real[ArrayLike, "*#batch"],
    k: int,
    share: float,
    *,
    variance: bool = False,
) -> Estimates | tuple[Estimates, Estimates]:
    """G-pass@k at τ, the chance that at least ⌈τk⌉ of k rollouts are right.

    Args:
        logged: n rollouts of each problem, shape `(...)`, at least k.
        correct: c of them are right.
        k: rollouts, ≥ 1.
        share: τ in (0, 1]; 1 is pass^k.
        variance: whether to return its unbiased variance too, NaN where 2k > n.

    Returns:
        Shape `(...)`, to a relative 1e-11; or that and the variance.

    Raises:
        ValueError: as `pass_at`; a τ outside (0, 1].

    Source: theory 9.4.1, 9.4.3.
    """
    n, c = _counts(logged, correct, k)
    check_number("share", share, 0, 1, low_open=True)
    # 0.6 × 5 is 3 and no more.
    least = max(1, ceil(share * k - 1e-9))
    j = np.arange(least, k + 1)
    wrong = (n - c)[..., None]
    found = (_ways(c[..., None], j) * _ways(wrong, k - j)).sum(-1) / _draws(n, k)
    if not variance:
        return found
    one, two = j[:, None], j[None, :]
    both = _pairs(c[..., None, None], one, two) * _pairs(wrong[..., None], k - one, k - two)
    return found, _unbiased(found, both.sum((-2, -1)), n, k)


def majority_at(
    multiplicities: Int[ArrayLike, " answers"],
    k: int,
    *,
    abstentions: int = 0,
    variance: bool = False,
) -> float | tuple[float, float]:
    """majority@k of one problem: the chance that the right answer wins a vote of k rollouts.

    Plurality, a tie split evenly among the answers that share the lead.

    Args:
        multiplicities: how many of the n rollouts give each answer, the right one first.
        k: rollouts, ≥ 1.
        abstentions: rollouts without an answer, which are drawn but do not vote.
        variance: whether to return its unbiased variance too, NaN where 2k > n. O(k²) times the
            work of the estimate and more.

    Returns:
        The estimate, to a relative 1e-11 for up to 1,000 rollouts; or that and the variance.

    Raises:
        ValueError: k beyond the rollouts, no answer, more than 1,000 rollouts.

    Source: theory 9.4.2, 9.4.3.
    """
    counts = np.asarray(multiplicities)
    if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError("multiplicities: needs counts ≥ 0, that of the right answer first")
    silent = check_whole("abstentions", abstentions)
    n = int(counts.sum()) + silent
    check_whole("k", k, 1)
    _check_enough(k, np.asarray(n))
    found = _won(counts, silent, k) / comb(n, k)
    if not variance:
        return float(found)
    if 2 * k > n:
        return float(found), float("nan")
    both = _won_twice(counts, silent, k) / (comb(n, k) * comb(n - k, k))
    return float(found), float(found**2 - both)


def best_of(scores: Float[np.ndarray, " n"], correct: Bool[np.ndarray, " n"], k: int) -> float:
    """Chance that the best-scored of k rollouts is right, equal scores being as likely to lead.

    Args:
        scores: of the n rollouts of one problem.
        correct: which are right.
        k: rollouts, from 1 to n.

    Returns:
        The mean over all draws of k of the n.
    """
    levels, at = np.unique(scores, return_inverse=True)
    sizes = np.bincount(at, minlength=levels.size)
    right = np.bincount(at, weights=correct, minlength=levels.size)
    upto = np.cumsum(sizes)
    # The lead is of a level iff all drawn are of it or below, and not all below.
    leads = _draws(upto, k) - _draws(upto - sizes, k)
    return float((leads * right / sizes).sum() / _draws(np.asarray(scores.size), k))


def stop_at(
    accepted: Bool[np.ndarray, " n"],
    correct: Bool[np.ndarray, " n"],
    k: int,
    scores: Float[np.ndarray, " n"] | None = None,
) -> tuple[float, float, float]:
    """What stopping at the first accepted of k rollouts comes to.

    Args:
        accepted: which of the n rollouts of one problem a verifier accepts.
        correct: which are right.
        k: rollouts, from 1 to n.
        scores: the best-scored is the answer if none of the k is accepted; any of them if None.

    Returns:
        Chance that one is accepted, that it is right besides, and that the answer is right.
    """
    n, a = np.asarray(accepted.size), int(accepted.sum())
    none = float(_draws(n - a, k) / _draws(n, k))
    # Whichever is drawn first is any of the accepted.
    right = (1 - none) * float(correct[accepted].mean()) if a else 0.0
    if none == 0:
        return 1.0, right, right
    level = np.zeros(accepted.size) if scores is None else scores
    rest = none * best_of(level[~accepted], correct[~accepted], k)
    return 1 - none, right, right + rest


def cost_until(accepted: Bool[np.ndarray, " n"], costs: Float[np.ndarray, " n"], k: int) -> float:
    """Expected cost of drawing rollouts until one is accepted, at most k.

    Args:
        accepted: which of the n rollouts of one problem end the search.
        costs: of each.
        k: rollouts, from 1 to n.

    Returns:
        The mean over all orders of the n.
    """
    n, a, j = accepted.size, int(accepted.sum()), np.arange(k)
    # A rollout is drawn after j others iff none of those is accepted.
    others = comb(n - 1, j)
    yes = (comb(n - a, j) / others).sum() * costs[accepted].sum()
    no = (comb(max(n - a - 1, 0), j) / others).sum() * costs[~accepted].sum()
    return float((yes + no) / n)


def counted(answers: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " answers"], int]:
    """Multiplicities, the right answer first, and abstentions, of labels as `answer_labels`."""
    voting = answers[answers != NONE]
    return np.bincount(voting, minlength=RIGHT + 1), int((answers == NONE).sum())


def _counts(logged: ArrayLike, correct: ArrayLike, k: int) -> tuple[np.ndarray, np.ndarray]:
    n, c = np.broadcast_arrays(np.asarray(logged), np.asarray(correct))
    for name, x in (("logged", n), ("correct", c)):
        if x.dtype.kind not in "iuf" or not np.all((x == np.rint(x)) & (x >= 0)):
            raise ValueError(f"{name}: needs counts ≥ 0")
    if np.any(c > n):
        raise ValueError(f"correct = {c[c > n][0]}: more than the {n[c > n][0]} logged")
    check_whole("k", k, 1)
    _check_enough(k, n)
    return n.astype(np.int64), c.astype(np.int64)


def _check_enough(k: int, n: np.ndarray) -> None:
    if n.size and k > n.min():
        raise ValueError(f"k = {k}: more than the {n.min()} logged rollouts")
    if n.size and n.max() > MOST:
        raise ValueError(f"logged = {n.max()}: needs at most {MOST} rollouts of a problem")


def _draws(n: np.ndarray, k: int) -> np.ndarray:
    return comb(n, k)


def _ways(n: np.ndarray, j: np.ndarray) -> np.ndarray:
    return comb(n, j)


def _pairs(n: np.ndarray, j: np.ndarray | int, other: np.ndarray | int) -> np.ndarray:
    """Ways to draw j and then `other` more of n."""
    return comb(n, j) * comb(np.maximum(n - j, 0), other)


def _with(
    found: np.ndarray, theta: np.ndarray, of: np.ndarray, n: np.ndarray, k: int, *, variance: bool
) -> Estimates | tuple[Estimates, Estimates]:
    """The estimate, with the variance of the chance that all k are among `of` of the n."""
    return (found, _unbiased(theta, _pairs(of, k, k), n, k)) if variance else found


def _unbiased(theta: np.ndarray, both: np.ndarray, n: np.ndarray, k: int) -> np.ndarray:
    """θ² less the mean over disjoint pairs of draws, whose sum is `both`."""
    enough = n >= 2 * k
    pairs = np.where(enough, _pairs(n, np.asarray(k), np.asarray(k)), 1)
    return np.where(enough, theta**2 - both / pairs, np.nan)


def _nodes(answers: int) -> Iterator[tuple[float, float]]:
    """Gauss-Legendre on [0, 1], exact for ∫ y^t dy = 1/(t + 1) with t < `answers`."""
    x, weight = np.polynomial.legendre.leggauss(max(1, (answers + 1) // 2))
    return zip((x + 1) / 2, weight / 2, strict=True)


def _won(counts: np.ndarray, silent: int, k: int) -> float:
    """Σ of the share of the right answer in the lead, over all draws of k."""
    total = 0.0
    for c in range(1, min(counts[0], k) + 1):
        rivals = [int(m) for m in counts[1:] if m >= c]
        free = int(counts[1:].sum()) - sum(rivals) + silent
        start = comb(free, np.arange(k - c + 1))
        for y, weight in _nodes(len(rivals) + 1):
            left = start
            for m in rivals:
                most = comb(m, np.arange(c + 1))
                most[c] *= y
                left = np.convolve(left, most)[: k - c + 1]
            total += comb(counts[0], c) * weight * left[k - c]
    return total


def _won_twice(counts: np.ndarray, silent: int, k: int) -> float:
    """The same of two disjoint draws at once, the product of both shares."""
    total, at = 0.0, np.arange(k + 1)
    every = _multinomials
    for c in range(1, min(counts[0], k) + 1):
        for d in range(1, min(counts[0] - c, k) + 1):
            # What cannot tie in either draw may be drawn at will.
            rivals = [int(m) for m in counts[1:] if m >= min(c, d)]
            free = int(counts[1:].sum()) - sum(rivals) + silent
            start = every(free, at[: k - c + 1], at[: k - d + 1])
            for y, one in _nodes(len(rivals) + 1):
                for z, two in _nodes(len(rivals) + 1):
                    left = start
                    for m in rivals:
                        most = every(m, at[: c + 1], at[: d + 1])
                        most[c] *= y
                        most[:, d] *= z
                        left = _product(left, most)
                    ways = _pairs(np.asarray(counts[0]), np.asarray(c), np.asarray(d))
                    total += float(ways) * one * two * left[k - c, k - d]
    return total


def _multinomials(n: int, first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, "a b"]:
    """n!/(b! b'! (n - b - b')!), 0 where more are drawn than there are."""
    b, other = first[:, None], second[None, :]
    rest = n - b - other
    log = gammaln(n + 1) - gammaln(b + 1) - gammaln(other + 1) - gammaln(np.maximum(rest, 0) + 1)
    return np.where(rest >= 0, np.rint(np.exp(log)) if n < 20 else np.exp(log), 0)


def _product(left: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The product of two polynomials in two variables, as far as the first one goes."""
    found = np.zeros_like(left)
    for (b, d), x in np.ndenumerate(most):
        if x and b < left.shape[0] and d < left.shape[1]:
            found[b:, d:] += x * left[: left.shape[0] - b, : left.shape[1] - d]
    return found
