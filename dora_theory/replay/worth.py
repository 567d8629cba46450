"""What a verifier of a log is worth: rates, ceiling, and what stopping at its first yes comes to.

Three kinds are held beside one another: a score of at least a threshold, agreement with what most
of the other solutions answer, and the truth. A search by any of them stops at the first solution
that it accepts; best of n and the votes use all k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory.allocation.exponents import BetaFit
from dora_theory.allocation.verifiers import verifier_ceiling
from dora_theory.replay.across.problems import LoggedProblems
from dora_theory.replay.estimate import metrics as exact
from dora_theory.replay.estimate.intervals import share_interval
from dora_theory.replay.grade.answers import NONE, RIGHT
from dora_theory.replay.options import ReplayOptions

_QUANTILES = (0.5, 0.75, 0.9)
_TAILS = (0.025, 0.975)
# Resamples for the interval of a ceiling; each takes a hypergeometric function.
_FEW = 200


@dataclass(frozen=True, slots=True)
class Over:
    """Means and ratios over the problems of a log, with 95% intervals over problems.

    Attributes:
        weights: how often each problem is drawn by each resample, shape `(resamples, m)`.
        reading: seed and resamples.
    """

    weights: Int[np.ndarray, "resamples m"]
    reading: ReplayOptions

    @classmethod
    def of(cls, m: int, reading: ReplayOptions) -> "Over":
        """For m problems."""
        generator = np.random.default_rng(reading.seed)
        weights = generator.multinomial(m, np.full(m, 1 / m), size=reading.resamples)
        return cls(weights, reading)

    def share(self, values: Float[np.ndarray, " m"]) -> dict[str, float]:
        """The mean of values in [0, 1]."""
        how = self.reading
        found = share_interval(values, seed=how.seed, resamples=how.resamples)
        return {name: float(x) for name, x in found._asdict().items()}

    def drawn(self, top: np.ndarray, bottom: np.ndarray) -> Float[np.ndarray, " resamples"]:
        """A ratio of two sums in each resample, NaN where there is none."""
        of = self.weights @ bottom
        return np.where(of > 0, (self.weights @ top) / np.where(of > 0, of, 1), np.nan)

    def ratio(self, top: np.ndarray, bottom: np.ndarray) -> dict[str, float | None]:
        """A ratio of two sums; None where there is none."""
        if bottom.sum() == 0:
            return {"mean": None, "low": None, "high": None}
        low, high = np.nanquantile(self.drawn(top, bottom), _TAILS)
        return {"mean": float(top.sum() / bottom.sum()), "low": float(low), "high": float(high)}


def verifiers(
    p: LoggedProblems, ks: Sequence[int], accept: Sequence[float], fit: BetaFit | str, over: Over
) -> dict[str, Any]:
    """What each verifier of a log is worth.

    Args:
        p: the problems.
        ks: numbers of solutions, none above those of a problem.
        accept: mean step scores from which solutions are accepted; quantiles if empty.
        fit: Beta prior of the difficulties, or why there is none.
        over: for intervals.

    Returns:
        `verifier`, by threshold, None without scores; `agreement`, None without answers; `perfect`:
        of each its rates, `precision`, `ceiling`, and by k `believed` (something is accepted),
        `right` (of those), `believed_right` (of all), `accuracy` (else the best-scored, or any, is
        the answer) and `cost` until the stop. `cost_unit`, tokens or solutions;
        `cost_per_solution`.
    """
    inside = _inside(p)
    by_score = None
    if p.scores is not None:
        quantiles = np.unique(np.quantile(p.scores[inside], _QUANTILES)).tolist()
        by_score = {
            f"{tau:.4g}": _worth(p, (p.scores >= tau) & inside, p.scores, ks, fit, over)
            for tau in accept or quantiles
        }
    costs = _costs(p)
    return {
        "verifier": by_score,
        "agreement": _worth(p, agreeing(p), None, ks, fit, over) if p.votable else None,
        "perfect": _worth(p, p.correct & inside, None, ks, fit, over),
        "cost_unit": "solutions" if p.tokens is None else "tokens",
        "cost_per_solution": over.ratio((costs * inside).sum(-1) / p.logged, np.ones(len(costs))),
    }


def agreeing(p: LoggedProblems) -> Bool[np.ndarray, "m k"]:
    """Solutions whose answer no other answer outnumbers among the other solutions."""
    width = p.answers.max(initial=RIGHT) + 1
    votes = (p.answers[:, None, :] == np.arange(width)[:, None]).sum(-1)
    # The most votes of another answer: the second most where one's own leads alone.
    ranked = np.sort(np.pad(votes, ((0, 0), (1, 0))), -1)
    own = np.take_along_axis(votes, np.maximum(p.answers, 0), -1)
    rival = np.where(own == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])
    return (p.answers != NONE) & (own > 1) & (own - 1 >= rival)


def _inside(p: LoggedProblems) -> Bool[np.ndarray, "m k"]:
    return np.arange(p.correct.shape[1]) < p.logged[:, None]


def _costs(p: LoggedProblems) -> Float[np.ndarray, "m k"]:
    return np.ones(p.correct.shape) if p.tokens is None else p.tokens


def _worth(
    p: LoggedProblems,
    accepted: Bool[np.ndarray, "m k"],
    scores: Float[np.ndarray, "m k"] | None,
    ks: Sequence[int],
    fit: BetaFit | str,
    over: Over,
) -> dict[str, Any]:
    inside, costs = _inside(p), _costs(p)
    right, wrong = p.correct & inside, ~p.correct & inside
    hits, alarms = (accepted & right).sum(-1), (accepted & wrong).sum(-1)
    rates = (hits, right.sum(-1)), (alarms, wrong.sum(-1))
    cells, every = {}, np.ones(len(p.logged))
    rows = list(zip(accepted, p.correct, costs, p.logged.tolist(), strict=True))
    for k in ks:
        stop = np.array(
            [
                exact.stop_at(a[:n], c[:n], k, None if scores is None else scores[i, :n])
                for i, (a, c, _, n) in enumerate(rows)
            ]
        )
        spent = np.array([exact.cost_until(a[:n], x[:n], k) for a, _, x, n in rows])
        cells[str(k)] = {
            "believed": over.share(stop[:, 0]),
            "right": over.ratio(stop[:, 1], stop[:, 0]),
            "believed_right": over.share(stop[:, 1]),
            "accuracy": over.share(stop[:, 2]),
            "cost": over.ratio(spent, every),
        }
    return {
        "true_positive": over.ratio(*rates[0]),
        "false_positive": over.ratio(*rates[1]),
        "precision": over.ratio(hits, hits + alarms),
        "ceiling": _ceiling(rates, fit, over),
        "budget": cells,
    }


def _ceiling(rates: Any, fit: BetaFit | str, over: Over) -> dict[str, float] | None:
    """P(right) of rollouts without end on the fitted prior, None for a verifier without worth."""
    if isinstance(fit, str) or any(of.sum() == 0 for _, of in rates):
        return None
    best = [top.sum() / of.sum() for top, of in rates]
    if best[0] <= best[1]:
        return None
    t, f = (np.append(x, over.drawn(*of)[:_FEW]) for x, of in zip(best, rates, strict=True))
    use = t > f
    total = fit.alpha + fit.beta
    with jax.enable_x64(True):
        mean = np.array([fit.alpha / total])
        found = np.asarray(verifier_ceiling(mean, total, t[use, None], f[use, None]))[:, 0]
    low, high = np.quantile(found[1:], _TAILS) if len(found) > 1 else found[[0, 0]]
    return {"mean": float(found[0]), "low": float(low), "high": float(high)}
