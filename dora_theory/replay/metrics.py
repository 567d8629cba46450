"""`replay --metrics`: what k plain samples of a log show, and what its verifier is worth.

Every number is a mean over problems of an exact mean over draws of k of a problem's solutions
(theory 9.4), but for votes that are weighted by scores, which are resampled.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dora_theory._errors import InputError
from dora_theory.replay.across.curves import fitted
from dora_theory.replay.across.problems import LoggedProblems, collect
from dora_theory.replay.estimate import metrics as exact
from dora_theory.replay.examined import Examined, Note, Notes
from dora_theory.replay.grade.answers import RIGHT
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.worth import Over, verifiers

METRICS = ("pass@k", "pass^k", "g-pass@k", "majority@k", "best-of-n", "weighted-vote")
_SCORED = "best-of-n", "weighted-vote"
_VOTES = "majority@k", *_SCORED
# What takes answers that can be compared.
_ANSWERED = "majority@k", "weighted-vote"
_DRAWS = 200
CAVEAT = (
    "Means over all draws of k of a problem's solutions without replacement, which k fresh ones "
    "have in expectation; intervals are over problems. weighted-vote alone is resampled, from "
    f"{_DRAWS} orders. A verifier's ceiling is for unlimited rollouts under the fitted Beta prior "
    "of difficulties and the same rates for all problems; its interval is that of the rates. "
    "Agreement is with the answer of most of a problem's other logged solutions, and it sees all "
    "of them."
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
        `metrics`: of each name and k mean, low and high; what `worth.verifiers` says of thresholds,
        of agreement and of a perfect verifier; `answers`, the accuracy of best-of-n and the votes.

    Raises:
        InputError: an unknown metric, a share outside (0, 1]; the log cannot be read, judged or
            used; k beyond the solutions of a problem; a metric that needs scores on a log without.
    """
    for name in names:
        if name not in METRICS:
            raise InputError(f"--metrics: {name!r} is none of {', '.join(METRICS)}")
    if not 0 < share <= 1:
        raise InputError(f"--share: {share:g}: needs a number in (0, 1]")
    notes = Notes(note)

    with judge or Judge() as judge:
        log = Examined(path, reading, judge, notes)
        if log.kind == "tree":
            raise InputError(f"{path}: a log of trees has no rollouts to measure")
        p = collect(log.solutions(), reading.score_scale)
    least, most = int(p.logged.min()), int(p.logged.max())
    if most > exact.MOST:
        raise InputError(f"{path}: {most} solutions of a problem, --metrics takes {exact.MOST}")
    ks = tuple(budgets) or tuple(1 << i for i in range(least.bit_length()))
    for k in ks:
        if k > least:
            raise InputError(f"{path}: --budgets: {k}: more than the {least} logged of a problem")
    lacking = [name for name in names if name in _SCORED and p.scores is None]
    if lacking:
        raise InputError(
            f"{path}: --metrics: {lacking[0]}: needs scores, and some solutions have none"
        )
    if accept and p.scores is None:
        raise InputError(f"{path}: --accept: needs scores, and some solutions have none")

    if not p.votable:
        notes(
            f"{path}: most right solutions state no answer, so that there is nothing to vote on: "
            f"{', '.join(_ANSWERED)} and agreement are left out"
        )
        names = [name for name in names if name not in _ANSWERED]
        if not names:
            raise InputError(f"{path}: --metrics: needs one that takes no votes")
    over = Over.of(len(p.logged), reading)
    fit = fitted(p)
    if isinstance(fit, str):
        notes(f"{path}: no ceilings, because there is no Beta prior: {fit}")
    left_out = (_SCORED if p.scores is None else ()) + (() if p.votable else _ANSWERED)
    rivals = [name for name in _VOTES if name not in left_out]
    every = {
        name: {str(k): over.share(_metric(name, p, k, share, reading.seed)) for k in ks}
        for name in dict.fromkeys([*names, *rivals])
    }
    return {
        "log": path,
        "problems": len(p.logged),
        "samples": int(p.logged.sum()),
        "metrics": {name: every[name] for name in names},
        "share": share,
        **verifiers(p, ks, accept, fit, over),
        "answers": {name: every[name] for name in rivals},
        "caveat": CAVEAT,
        "checks": [asdict(f) for f in log.findings()],
        "notes": list(notes),
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
