"""From what a log has of a candidate to its own prior: (score, spread, depth) → Beta(a, b).

    logit μ = m · (1, logit score, spread, depth),   log κ = c · (1, logit score, spread, depth)

and a = κμ, b = κ(1 - μ). Both lines are fitted together by maximum likelihood of the beta-binomial,
with a weak normal prior on the slopes of standardized columns, under which few directions give the
κ that all share. The spread is the standard deviation of a candidate's step scores so far.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.optimize import minimize
from scipy.special import betaln, digamma, expit, logit

from dora_theory._arrays import ArrayLike
from dora_theory.replay.calibrate.counts import EDGE
from dora_theory.replay.calibrate.reliability import LEAST, MOST

NAMES = ("score", "spread", "depth")
# Slopes of standardized columns have this standard deviation a priori.
_SCALE = 1.0
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class ConfidenceMap:
    """A map from what a log has of a candidate to its Beta prior.

    Attributes:
        mean: of logit μ: intercept, then the slopes of logit score, spread and depth.
        log_concentration: the same of log κ.
        log_likelihood: of the outcomes it was fitted to.

    Examples:
        >>> one = dt.ConfidenceMap((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), 0.0)
        >>> [x.tolist() for x in one([0.25], [0.1], [2])]
        [[0.25], [0.75]]
    """

    mean: tuple[float, float, float, float]
    log_concentration: tuple[float, float, float, float]
    log_likelihood: float

    def __call__(
        self,
        scores: Real[ArrayLike, "*#batch k"],
        spread: Real[ArrayLike, "*#batch k"],
        depth: Real[ArrayLike, "*#batch k"],
    ) -> tuple[Float[np.ndarray, "*batch k"], Float[np.ndarray, "*batch k"]]:
        """The prior of each candidate.

        Args:
            scores: in [0, 1], taken as at least 1/512 from either end, shape `(..., k)`.
            spread: standard deviation of its step scores, `(..., k)`.
            depth: its steps so far, `(..., k)`.

        Returns:
            α and β, shape `(..., k)` each: `"alpha"` and `"beta"` of a line of `allocate`.

        Raises:
            ValueError: a score outside [0, 1], a negative spread or depth.
        """
        mu, kappa = _prior(np.array([*self.mean, *self.log_concentration]), _columns(
            *(np.asarray(x, float) for x in (scores, spread, depth))
        ))  # fmt: skip
        return kappa * mu, kappa * (1 - mu)


class Seen(NamedTuple):
    """Directions of a log, at one depth or several, and their outcomes.

    Attributes:
        score: mean score of the candidates, shape `(groups,)`.
        spread: mean of their standard deviations of step scores.
        depth: steps so far.
        logged: continuations.
        correct: how many of them are right.
        problem: whose they are, an integer.
    """

    score: Float[np.ndarray, " groups"]
    spread: Float[np.ndarray, " groups"]
    depth: Float[np.ndarray, " groups"]
    logged: Int[np.ndarray, " groups"]
    correct: Int[np.ndarray, " groups"]
    problem: Int[np.ndarray, " groups"]

    def of(self, use: np.ndarray) -> "Seen":
        """Those that a mask or places choose."""
        return Seen(*(x[use] for x in self))


def fit_confidence_map(
    scores: Real[ArrayLike, " groups"],
    spread: Real[ArrayLike, " groups"],
    depth: Real[ArrayLike, " groups"],
    logged: Int[ArrayLike, " groups"],
    correct: Int[ArrayLike, " groups"],
    *,
    one_concentration: bool = False,
    start: ConfidenceMap | None = None,
) -> ConfidenceMap:
    """The map under which the outcomes of candidates, or of directions of them, are most likely.

    Args:
        scores: in [0, 1], shape `(groups,)`.
        spread: standard deviation of the step scores so far, `(groups,)`.
        depth: steps so far, `(groups,)`.
        logged: n ≥ 1 continuations, `(groups,)`.
        correct: c ≤ n of them are right, `(groups,)`.
        one_concentration: whether all share one κ.
        start: where to begin, such as the fit to nearly the same outcomes.

    Returns:
        The map. A column that does not vary has a slope of 0.

    Raises:
        ValueError: no groups, values out of range.

    Examples:
        >>> n, c = np.array([8, 8, 8, 8]), np.array([0, 2, 6, 8])
        >>> one = dt.fit_confidence_map([0.1, 0.3, 0.7, 0.9], [0.1] * 4, [1] * 4, n, c)
        >>> one.mean[2:] == (0.0, 0.0)
        True

    Source: theory 9.2, L-BFGS of SciPy.
    """
    x = _columns(*(np.asarray(v, float) for v in (scores, spread, depth)))
    n, c = np.asarray(logged), np.asarray(correct)
    if not x.shape[0] or n.shape != x.shape[:1] or c.shape != n.shape:
        raise ValueError(f"logged: shape {n.shape}: needs one count for each of the scores")
    if not ((n >= 1) & (c >= 0) & (c <= n)).all():
        raise ValueError("correct: needs 0 ≤ correct ≤ logged, logged ≥ 1")
    # Standardized, so that one prior suits all slopes.
    center, scale = x[:, 1:].mean(0), x[:, 1:].std(0)
    flat = scale <= _FLAT * (1 + np.abs(center))
    z = np.column_stack(
        [x[:, 0], np.where(flat, 0, (x[:, 1:] - center) / np.where(flat, 1, scale))]
    )
    free = np.array([True, *~flat, True, *(~flat & (not one_concentration))])
    first = np.zeros(8) if start is None else _standard(start, center, scale, flat)

    def loss(moved: np.ndarray) -> tuple[float, np.ndarray]:
        at = first.copy()
        at[free] = moved
        height, slope = _likelihood(at, z, n, c)
        bent = np.array([0, 1, 1, 1] * 2) * at / _SCALE**2
        return -(height - 0.5 * (bent * at).sum()), -(slope - bent)[free]

    first = np.where(free, first, 0)
    found = minimize(loss, first[free], jac=True, method="L-BFGS-B", options={"maxiter": 500})
    at = first.copy()
    at[free] = found.x

    def raw(line: np.ndarray) -> tuple[float, float, float, float]:
        slopes = np.where(flat, 0, line[1:] / np.where(flat, 1, scale)).tolist()
        return (float(line[0] - (slopes * center).sum()), *slopes)

    return ConfidenceMap(raw(at[:4]), raw(at[4:]), float(_likelihood(at, z, n, c)[0]))


def _standard(
    of: ConfidenceMap, center: np.ndarray, scale: np.ndarray, flat: np.ndarray
) -> np.ndarray:
    lines = []
    for line in (of.mean, of.log_concentration):
        slopes = np.where(flat, 0, np.array(line[1:]))
        lines += [line[0] + (slopes * center).sum(), *(slopes * scale)]
    return np.array(lines)


def _columns(scores: np.ndarray, spread: np.ndarray, depth: np.ndarray) -> np.ndarray:
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("scores: needs numbers in [0, 1]")
    for name, x in (("spread", spread), ("depth", depth)):
        if not (np.isfinite(x) & (x >= 0)).all():
            raise ValueError(f"{name}: needs finite numbers ≥ 0")
    known = np.broadcast_arrays(logit(np.clip(scores, EDGE, 1 - EDGE)), spread, depth)
    return np.stack([np.ones(known[0].shape), *known], -1)


def _prior(at: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """μ and κ."""
    edges = np.log(LEAST), np.log(MOST)
    mu = np.clip(expit(x @ at[:4]), 1e-12, 1 - 1e-12)
    return mu, np.exp(np.clip(x @ at[4:], *edges))


def log_likelihoods(at: ConfidenceMap, seen: Seen) -> Float[np.ndarray, " groups"]:
    """Log likelihood of the outcomes of each direction under a map."""
    a, b = at(seen.score, seen.spread, seen.depth)
    return betaln(a + seen.correct, b + seen.logged - seen.correct) - betaln(a, b)


def _likelihood(
    at: np.ndarray, x: np.ndarray, n: np.ndarray, c: np.ndarray
) -> tuple[float, np.ndarray]:
    """The likelihood of all and its gradient."""
    mu, kappa = _prior(at, x)
    a, b = kappa * mu, kappa * (1 - mu)
    height = (betaln(a + c, b + n - c) - betaln(a, b)).sum()
    total = digamma(kappa) - digamma(kappa + n)
    by_a = digamma(a + c) - digamma(a) + total
    by_b = digamma(b + n - c) - digamma(b) + total
    inside = (np.abs(x @ at[4:]) < np.log(MOST)) & (x @ at[4:] > np.log(LEAST))
    by_mu = kappa * mu * (1 - mu) * (by_a - by_b)
    by_kappa = (a * by_a + b * by_b) * inside
    return float(height), np.concatenate([by_mu @ x, by_kappa @ x])


def document_of(found: ConfidenceMap) -> dict[str, Any]:
    """A map in JSON."""
    names = ("intercept", *NAMES)
    return {
        "mean": dict(zip(names, found.mean, strict=True)),
        "log_concentration": dict(zip(names, found.log_concentration, strict=True)),
        "log_likelihood": found.log_likelihood,
    }
