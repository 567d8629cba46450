"""Solved against spent, exactly: the log's own expectations, and the saving at a coverage.

A problem of which c of k logged solutions are right is unsolved after j rollouts with probability
C(k - c, j)/C(k, j). Where a log holds fewer solutions of a problem than a depth asks for, all of
them are rolled.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dora_theory.allocation.exponents import BetaFit, fit_beta
from dora_theory.allocation.scaling import depth_at_coverage, saving_factor
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.problems import LoggedProblems

_TAILS = (0.025, 0.975)


class Curves(NamedTuple):
    """Expectations at depths 0, …, K for each kind of problem, `(classes, K + 1)` each.

    Attributes:
        unsolved: probability that nothing is right so far.
        uniform: rollouts spent if none is left out.
        spent: rollouts spent until a right one.
        problems: of each kind, shape `(classes,)`.
    """

    unsolved: Float[np.ndarray, "classes depth"]
    uniform: Float[np.ndarray, "classes depth"]
    spent: Float[np.ndarray, "classes depth"]
    problems: Int[np.ndarray, " classes"]


def failure(
    logged: Int[np.ndarray, " m"], right: Int[np.ndarray, " m"], depth: int
) -> Float[np.ndarray, "m depth1"]:
    """P(unsolved) after 0, …, `depth` draws without replacement, constant from the log's end on.

    Args:
        logged: k ≥ 1, shape `(m,)`.
        right: c ≤ k, shape `(m,)`.
        depth: the last of the depths.

    Returns:
        Shape `(m, depth + 1)`, products of positive factors.
    """
    j = np.arange(depth)
    left = np.maximum(logged[:, None] - j, 0)
    wrong = np.maximum(logged[:, None] - right[:, None] - j, 0)
    factors = np.where(left > 0, wrong / np.maximum(left, 1), 1.0)
    return np.concatenate([np.ones((logged.size, 1)), np.cumprod(factors, -1)], -1)


def curves(logged: Int[np.ndarray, " m"], right: Int[np.ndarray, " m"]) -> Curves:
    """The expectations of all problems, those of equal counts as one kind."""
    kinds, count = np.unique(np.stack([logged, right], -1), axis=0, return_counts=True)
    k, c = kinds.T
    f = failure(k, c, int(k.max()))
    depth = np.arange(f.shape[1])
    rolled = np.where(depth[:-1] < k[:, None], f[:, :-1], 0)
    spent = np.concatenate([np.zeros((k.size, 1)), np.cumsum(rolled, -1)], -1)
    return Curves(f, np.minimum(depth, k[:, None]).astype(float), spent, count)


def at_coverage(
    found: Curves, weights: Float[np.ndarray, "b classes"], coverage: float
) -> Float[np.ndarray, "2 b"]:
    """Rollouts per problem, uniform and round robin, at which a share is solved; NaN if never."""
    total = weights.sum(-1, keepdims=True)
    unsolved, *costs = ((weights @ x) / total for x in found[:3])
    # A share that the log reaches exactly is reached.
    reached = 1 - unsolved >= coverage - 1e-12
    place = np.maximum(np.argmax(reached, -1), 1)[:, None]
    before, after = (np.take_along_axis(unsolved, i, -1) for i in (place - 1, place))
    part = np.clip((before - (1 - coverage)) / np.maximum(before - after, 1e-300), 0, 1)
    ends = []
    for cost in costs:
        low, high = (np.take_along_axis(cost, i, -1) for i in (place - 1, place))
        ends.append(np.where(reached.any(-1, keepdims=True), low + part * (high - low), np.nan))
    return np.stack(ends)[..., 0]


def fitted(problems: LoggedProblems) -> BetaFit | str:
    """Beta(a, b) of the difficulties, or why there is none."""
    try:
        return fit_beta(problems.right, problems.logged)
    except ValueError as error:
        return str(error)


def savings(
    problems: LoggedProblems, fit: BetaFit | str, options: AcrossOptions
) -> list[dict[str, Any]]:
    """Rollouts per problem of uniform and round robin at each coverage, and their quotient.

    Args:
        problems: of the log.
        fit: what `fitted` says of them.
        options: coverages, draws and seed.

    Returns:
        For each coverage that the log reaches `uniform`, `round_robin`, `factor` with its interval
        `low`, `high` by 2000 resamples of problems (the same for both, of those `reached`, a
        share), `predicted`, the factor of the fitted Beta, and `limit`, (1 - a)/f.
    """
    found = curves(problems.logged, problems.right)
    whole = found.problems[None, :].astype(float)
    solved = 1 - float((whole[0] @ found.unsolved[:, -1]) / whole.sum())
    first = 1 - float((whole[0] @ found.unsolved[:, 1]) / whole.sum())
    tenths = [i / 10 for i in range(1, 10) if first < i / 10 <= solved]
    generator = np.random.default_rng([options.seed, 1])
    shares = found.problems / found.problems.sum()
    weights = generator.multinomial(int(found.problems.sum()), shares, size=2000).astype(float)
    rows = []
    for coverage in options.coverages or tenths:
        if coverage > solved + 1e-12:
            rows.append({"coverage": coverage, "uniform": None, "solved": solved})
            continue
        uniform, robin = at_coverage(found, whole, coverage)[:, 0]
        many = at_coverage(found, weights, coverage)
        reached = ~np.isnan(many[0])
        factors = many[0, reached] / many[1, reached]
        low, high = np.quantile(factors, _TAILS) if reached.any() else (None, None)
        rows.append(
            {
                "coverage": coverage,
                "uniform": float(uniform),
                "round_robin": float(robin),
                "factor": float(uniform / robin),
                "low": None if low is None else float(low),
                "high": None if high is None else float(high),
                "reached": float(reached.mean()),
                **_predicted(fit, coverage),
            }
        )
    return rows


def _predicted(fit: BetaFit | str, coverage: float) -> dict[str, float | None]:
    if isinstance(fit, str) or coverage >= 1:
        return {"predicted": None, "limit": None}
    depth = depth_at_coverage(fit.alpha, fit.beta, coverage)
    limit = (1 - fit.alpha) / (1 - coverage) if fit.alpha < 1 else None
    return {"predicted": float(saving_factor(fit.alpha, fit.beta, depth)), "limit": limit}
