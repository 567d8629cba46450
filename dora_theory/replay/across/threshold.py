"""No perfect verifier: stop at a score, believed against right, beside best of n and the vote.

A solution is accepted if its mean step score is at least τ, and its problem is then believed to be
solved. Round robin goes on with those where nothing was accepted; of these the best-scored solution
is the answer (theory 7.5, last table).
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.priors import shuffled
from dora_theory.replay.across.problems import LoggedProblems
from dora_theory.replay.grade.answers import RIGHT
from dora_theory.simulation.hard_budgets import NEVER, first_right, round_robin_depths

_QUANTILES = (0.5, 0.75, 0.9)
# Rounds in which a solution was accepted: 1, 2 and 3, 4 to 7, from 8 on.
_ROUNDS = ((1, 1), (2, 3), (4, 7), (8, NEVER - 1))


def stopping(problems: LoggedProblems, options: AcrossOptions) -> dict[str, Any]:
    """What a stop at each threshold leaves, at each budget.

    Args:
        problems: of a log with scores.
        options: thresholds, budgets, draws and seed.

    Returns:
        `thresholds`: for each τ the rates at which right and wrong solutions are accepted, and for
        each budget `believed`, the share of problems with an accepted solution, `right` of those,
        `accuracy` of the answers, and `right_by_round`. `rules`: accuracy of the best-scored and of
        the vote by scores of n solutions each, and of a stop with a perfect verifier.
    """
    p = problems
    assert p.scores is not None
    m, k = p.correct.shape
    inside = np.arange(k) < p.logged[:, None]
    accept = options.accept or tuple(np.unique(np.quantile(p.scores[inside], _QUANTILES)).tolist())
    budgets = [n for n in options.budgets if n <= k]
    generator = np.random.default_rng([options.seed, 6])
    draws = max(20, min(options.num_draws, (1 << 22) // (m * k)))
    order = shuffled(p, draws, generator)

    def ordered(x: np.ndarray) -> np.ndarray:
        return np.take_along_axis(np.broadcast_to(x, order.shape), order, -1)

    correct, scores, there = ordered(p.correct), ordered(p.scores), ordered(inside)
    every: dict[str, Any] = {}
    for tau in accept:
        accepted = (scores >= tau) & there
        times = first_right(accepted)
        cells = {
            str(n): _stopped(times, p.logged, correct, scores, there, n * m, generator)
            for n in budgets
        }
        every[f"{tau:.4g}"] = {
            "true_accept": _share(p.scores >= tau, p.correct & inside),
            "false_accept": _share(p.scores >= tau, ~p.correct & inside),
            "budget": cells,
        }
    times = first_right(correct & there)
    perfect = {}
    for n in budgets:
        depth = round_robin_depths(np.minimum(times, p.logged), n * m, generator)
        perfect[str(n)] = float((times <= depth).mean())
    best = {str(n): _best(correct, scores, there, np.full((draws, m), n)) for n in budgets}
    answers = ordered(p.answers)
    vote = {
        str(n): float(np.mean([_vote(*x, n) for x in zip(answers, scores, there, strict=True)]))
        for n in budgets
    }
    votes = {"weighted-vote": vote} if p.votable else {}
    rules = {"best-of-n": best, **votes, "perfect-verifier": perfect}
    return {"thresholds": every, "rules": rules}


def _stopped(
    times: Int[np.ndarray, "d m"],
    logged: Int[np.ndarray, " m"],
    correct: Bool[np.ndarray, "d m k"],
    scores: Float[np.ndarray, "d m k"],
    there: Bool[np.ndarray, "d m k"],
    total: int,
    generator: np.random.Generator,
) -> dict[str, Any]:
    depth = round_robin_depths(np.minimum(times, logged), total, generator)
    stopped = times <= depth
    at = np.minimum(times, correct.shape[-1]) - 1
    right = np.take_along_axis(correct, at[..., None], -1)[..., 0] & stopped
    rest = _best_right(correct, scores, there, depth) & ~stopped
    rounds = {}
    for low, high in _ROUNDS:
        here = stopped & (times >= low) & (times <= high)
        name = str(low) if low == high else f"{low}+" if high > 1 << 20 else f"{low}-{high}"
        rounds[name] = float(right[here].mean()) if here.any() else None
    return {
        "believed": float(stopped.mean()),
        "right": float(right.sum() / stopped.sum()) if stopped.any() else None,
        "accuracy": float((right | rest).mean()),
        "right_by_round": rounds,
    }


def _best_right(
    correct: Bool[np.ndarray, "d m k"],
    scores: Float[np.ndarray, "d m k"],
    there: Bool[np.ndarray, "d m k"],
    depth: Int[np.ndarray, "d m"],
) -> Bool[np.ndarray, "d m"]:
    """Whether the best-scored of the first so many is right, the earliest of equals."""
    seen = there & (np.arange(correct.shape[-1]) < depth[..., None])
    best = np.where(seen, scores, -1).argmax(-1)[..., None]
    return np.take_along_axis(correct & seen, best, -1)[..., 0]


def _best(
    correct: Bool[np.ndarray, "d m k"],
    scores: Float[np.ndarray, "d m k"],
    there: Bool[np.ndarray, "d m k"],
    depth: Int[np.ndarray, "d m"],
) -> float:
    return float(_best_right(correct, scores, there, depth).mean())


def _vote(
    answers: Int[np.ndarray, "m k"],
    scores: Float[np.ndarray, "m k"],
    there: Bool[np.ndarray, "m k"],
    n: int,
) -> float:
    """Share of problems where the right answer has the largest sum of scores of the first n."""
    mine, weight = answers[:, :n], np.where(there, scores, 0)[:, :n]
    m, width = mine.shape[0], int(answers.max(initial=RIGHT)) + 1
    cell = np.where(mine >= 0, np.arange(m)[:, None] * width + mine, m * width)
    total = np.bincount(cell.reshape(-1), weight.reshape(-1), minlength=m * width + 1)[:-1]
    total = total.reshape(m, width)
    top = total.max(-1, keepdims=True)
    won = (total >= top * (1 - 1e-12)) & (top > 0)
    return float((won[:, RIGHT] / np.maximum(won.sum(-1), 1)).mean())


def _share(accepted: np.ndarray, of: np.ndarray) -> float | None:
    return float(accepted[of].mean()) if of.any() else None
