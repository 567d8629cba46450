"""`replay --metrics`: what k plain samples of a log show, and what its verifier is worth.

Every number is a mean over problems of an exact mean over draws of k of a problem's solutions
(theory 9.4), but for votes that are weighted by scores, which are resampled.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from dora_theory._errors import InputError
from dora_theory.allocation.exponents import BetaFit
from dora_theory.allocation.verifiers import verifier_ceiling
from dora_theory.replay.across.curves import fitted
from dora_theory.replay.across.problems import LoggedProblems, collect
from dora_theory.replay.estimate import metrics as exact
from dora_theory.replay.estimate.intervals import share_interval
from dora_theory.replay.examined import Examined, Note
from dora_theory.replay.grade.answers import NONE, RIGHT
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions

METRICS = ("pass@k", "pass^k", "g-pass@k", "majority@k", "best-of-n", "weighted-vote")
_SCORED = "best-of-n", "weighted-vote"
_QUANTILES = (0.5, 0.75, 0.9)
_DRAWS = 200
CAVEAT = (
    "Means over all draws of k of a problem's solutions without replacement, which k fresh ones "
    "have in expectation; intervals are over problems. weighted-vote alone is resampled, from "
    f"{_DRAWS} orders. A verifier's ceiling is that of rollouts without end on the fitted Beta "
    "prior of difficulties, its rates being the same for all problems."
)


def replay_metrics(
    path: str,
    names: Sequence[str],
    budgets: Sequence[int],
    reading: ReplayOptions,
    *,
    accept: Sequence[float] = (),
    share: float = 0.5,
    note: Note = lambda _: None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Exact metrics of plain sampling on a log.

    Args:
        path: a log that `read_log` reads; scores are needed for some metrics only.
        names: of `METRICS`.
        budgets: k; powers of two up to what is logged of every problem if empty.
        reading: how the log is read.
        accept: mean step scores from which the verifier accepts; quantiles if empty.
        share: τ of G-pass@k.
        note: called with each note as soon as it is known.
        judge: compares answers; one of its own if None.

    Returns:
        `metrics`: of each name and k mean, low and high; `verifier`, where solutions have scores:
        of each threshold its rates, precision, ceiling, and `believed`, `right` and `accuracy` of a
        stop at the first acceptance within k solutions; `agreement`, the rates of being what most
        say.

    Raises:
        InputError: the log cannot be read, judged or used; k beyond the solutions of a problem; a
            metric that needs scores on a log without.
    """
    notes: list[str] = []

    def remember(text: str) -> None:
        notes.append(text)
        note(text)

    with judge or Judge() as judge:
        log = Examined(path, reading, judge, remember)
        if log.kind == "tree":
            raise InputError(f"{path}: a log of trees has no rollouts to measure")
        p = collect(log.solutions(), reading.score_scale)
    least = int(p.logged.min())
    ks = tuple(budgets) or tuple(1 << i for i in range(least.bit_length()))
    for k in ks:
        if k > least:
            raise InputError(f"{path}: --budgets: {k}: more than the {least} logged of a problem")
    lacking = [name for name in names if name in _SCORED and p.scores is None]
    if lacking:
        raise InputError(f"{path}: --metrics: {lacking[0]}: needs scores, of which some have none")
    if accept and p.scores is None:
        raise InputError(f"{path}: --accept: needs scores, of which some have none")

    def interval(values: Float[np.ndarray, " m"]) -> dict[str, float]:
        found = share_interval(values, seed=reading.seed, resamples=reading.resamples)
        return {name: float(x) for name, x in found._asdict().items()}

    fit = fitted(p)
    if p.scores is not None and isinstance(fit, str):
        remember(f"{path}: no ceilings, for there is no Beta prior: {fit}")
    found = {
        name: {str(k): interval(_metric(name, p, k, share, reading.seed)) for k in ks}
        for name in names
    }
    return {
        "log": path,
        "problems": len(p.logged),
        "samples": int(p.logged.sum()),
        "metrics": found,
        "share": share,
        "verifier": None if p.scores is None else _verifier(p, ks, accept, fit, reading, interval),
        "agreement": _agreement(p, reading),
        "caveat": CAVEAT,
        "checks": [asdict(f) for f in log.findings()],
        "notes": notes,
    }


def _metric(name: str, p: LoggedProblems, k: int, share: float, seed: int) -> np.ndarray:
    """Of each problem."""
    if name == "pass@k":
        return np.asarray(exact.pass_at(p.logged, p.right, k))
    if name == "pass^k":
        return np.asarray(exact.pass_hat(p.logged, p.right, k))
    if name == "g-pass@k":
        return np.asarray(exact.g_pass(p.logged, p.right, k, share))
    if name == "majority@k":
        return np.array(
            [
                exact.majority_at(votes, k, abstentions=silent)
                for votes, silent in (exact.counted(a[:n]) for a, n in _rows(p.answers, p))
            ]
        )
    assert p.scores is not None
    scored = list(zip(_rows(p.scores, p), p.correct, p.answers, strict=True))
    if name == "best-of-n":
        return np.array([exact.best_of(s[:n], c[:n], k) for (s, n), c, _ in scored])
    generator = np.random.default_rng([seed, 9])
    return np.array([_weighted(s[:n], a[:n], k, generator) for (s, n), _, a in scored])


def _rows(x: np.ndarray, p: LoggedProblems) -> list[tuple[np.ndarray, int]]:
    return list(zip(x, p.logged.tolist(), strict=True))


def _weighted(
    scores: Float[np.ndarray, " n"],
    answers: Int[np.ndarray, " n"],
    k: int,
    generator: np.random.Generator,
) -> float:
    order = generator.permuted(np.tile(np.arange(scores.size), (_DRAWS, 1)), axis=1)[:, :k]
    ballots = answers[order][..., None] == np.arange(answers.max(initial=RIGHT) + 1)
    total = (scores[order][..., None] * ballots).sum(1)
    top = total.max(-1, keepdims=True)
    won = (total >= top * (1 - 1e-12)) & (top > 0)
    return float((won[:, RIGHT] / np.maximum(won.sum(-1), 1)).mean())


def _verifier(
    p: LoggedProblems,
    ks: Sequence[int],
    accept: Sequence[float],
    fit: BetaFit | str,
    reading: ReplayOptions,
    interval: Callable[[np.ndarray], dict[str, float]],
) -> dict[str, Any]:
    assert p.scores is not None
    inside = np.arange(p.correct.shape[1]) < p.logged[:, None]
    chosen = np.unique(np.quantile(p.scores[inside], _QUANTILES)).tolist()
    found = {}
    for tau in accept or chosen:
        accepted = (p.scores >= tau) & inside
        rates = _rates(accepted, p, inside, reading)
        t, f = (rates[name]["mean"] for name in ("true_positive", "false_positive"))
        stops = np.array(
            [[exact.stop_at(s[:n], c[:n], tau, k) for (s, n), c in _with_correct(p)] for k in ks]
        )
        cells = {}
        for k, stop in zip(ks, stops, strict=True):
            right = _ratio(stop[:, 1], stop[:, 0], reading)
            cells[str(k)] = {
                "believed": interval(stop[:, 0]),
                "right": right,
                "accuracy": interval(stop[:, 2]),
            }
        found[f"{tau:.4g}"] = {
            **rates,
            "precision": _ratio((accepted & p.correct).sum(-1), accepted.sum(-1), reading),
            "ceiling": None if isinstance(fit, str) else _ceiling(fit.alpha, fit.beta, t, f),
            "budget": cells,
        }
    return found


def _with_correct(p: LoggedProblems) -> list[tuple[tuple[np.ndarray, int], np.ndarray]]:
    assert p.scores is not None
    return list(zip(_rows(p.scores, p), p.correct, strict=True))


def _agreement(p: LoggedProblems, reading: ReplayOptions) -> dict[str, Any]:
    """Rates at which right and wrong solutions give the answer that most of the problem's give."""
    inside = np.arange(p.correct.shape[1]) < p.logged[:, None]
    votes = (p.answers[:, None, :] == np.arange(p.answers.max(initial=RIGHT) + 1)[:, None]).sum(-1)
    leads = (votes == votes.max(-1, keepdims=True)) & (votes > 0)
    with_most = np.take_along_axis(leads, np.maximum(p.answers, 0), -1) & (p.answers != NONE)
    return _rates(with_most & inside, p, inside, reading)


def _rates(
    accepted: np.ndarray, p: LoggedProblems, inside: np.ndarray, reading: ReplayOptions
) -> dict[str, Any]:
    right, wrong = p.correct & inside, ~p.correct & inside
    return {
        name: _ratio((accepted & of).sum(-1), of.sum(-1), reading)
        for name, of in (("true_positive", right), ("false_positive", wrong))
    }


def _ratio(top: np.ndarray, bottom: np.ndarray, reading: ReplayOptions) -> dict[str, Any]:
    """A ratio of two sums over problems, with its bootstrap interval; None where there is none."""
    if bottom.sum() == 0:
        return {"mean": None, "low": None, "high": None}
    generator = np.random.default_rng(reading.seed)
    m = len(top)
    weights = generator.multinomial(m, np.full(m, 1 / m), size=reading.resamples)
    of = weights @ bottom
    drawn = (weights @ top)[of > 0] / of[of > 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"mean": float(top.sum() / bottom.sum()), "low": float(low), "high": float(high)}


def _ceiling(alpha: float, beta: float, t: float | None, f: float | None) -> float | None:
    if t is None or f is None or t <= f:
        return None
    with jax.enable_x64(True):
        total = alpha + beta
        return float(verifier_ceiling(np.array([alpha / total]), total, t, f)[0])
