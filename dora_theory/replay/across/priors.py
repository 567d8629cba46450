"""Priors that differ from problem to problem, fitted to other problems of the same log.

Problems are dealt to folds; what a prior says of a problem comes from the other folds alone.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dora_theory.allocation.exponents import fit_beta
from dora_theory.replay.across.options import FOLDS, AcrossOptions
from dora_theory.replay.across.problems import LoggedProblems

# Problems of a group below which its prior is the common one.
_FEW = 10
# Orders of each problem that the hazard is fitted to.
_ORDERS = 20
# Ridge of the logistic coefficients, in problems.
_RIDGE = 1.0


class GroupPriors(NamedTuple):
    """Beta priors by fold and group.

    Attributes:
        labels: fold and group of each problem as one number, shape `(m,)`.
        alpha: a by label, shape `(labels,)`.
        beta: b by label.
        common: problems that had to take the common prior of the other folds.
    """

    labels: Int[np.ndarray, " m"]
    alpha: Float[np.ndarray, " labels"]
    beta: Float[np.ndarray, " labels"]
    common: int


def folds(problems: int, seed: int) -> Int[np.ndarray, " m"]:
    """The fold of each problem, of sizes as equal as possible."""
    return np.random.default_rng([seed, 2]).permutation(problems) % FOLDS


def groups(problems: LoggedProblems, columns: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
    """The group of each problem by its values of some columns, shape `(m,)`, and their names."""
    texts = [
        ", ".join("none" if x is None else str(x) for x in row)
        for row in zip(*(problems.columns[c] for c in columns), strict=True)
    ]
    names = sorted(set(texts))
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[text] for text in texts]), names


def group_priors(
    problems: LoggedProblems, columns: tuple[str, ...], options: AcrossOptions
) -> GroupPriors:
    """A Beta prior of each group, for each fold fitted to the others.

    Args:
        problems: of the log.
        columns: whose values make the groups.
        options: its seed deals the folds.

    Returns:
        The priors. A group of fewer than ten problems elsewhere, or of counts that no Beta fits,
        has the common prior of the other folds.

    Raises:
        ValueError: not even the common prior can be fitted.
    """
    group, names = groups(problems, columns)
    fold = folds(group.size, options.seed)
    labels = fold * len(names) + group
    alpha, beta, common = np.ones(FOLDS * len(names)), np.ones(FOLDS * len(names)), 0
    for f in range(FOLDS):
        rest = fold != f
        shared = fit_beta(problems.right[rest], problems.logged[rest])[:2]
        for g in range(len(names)):
            of, label = rest & (group == g), f * len(names) + g
            try:
                fit = fit_beta(problems.right[of], problems.logged[of])[:2] if any(of) else shared
                own = of.sum() >= _FEW
            except ValueError:
                fit, own = shared, False
            alpha[label], beta[label] = fit if own else shared
            common += 0 if own else int(((fold == f) & (group == g)).sum())
    return GroupPriors(labels, alpha, beta, common)


def features(
    scores: Float[np.ndarray, "d m k"], dummies: Float[np.ndarray, "#d m g"]
) -> Float[np.ndarray, "d m k x"]:
    """What the chance of the next rollout may depend on, after 0, …, k - 1 failures.

    A group's indicator, log(1 + j) and the mean score of the j failures, 0 before the first, where
    it has a term of its own.
    """
    j = np.arange(scores.shape[-1])
    before = np.concatenate([np.zeros_like(scores[..., :1]), scores.cumsum(-1)[..., :-1]], -1)
    mean = before / np.maximum(j, 1)
    shape = (*scores.shape, dummies.shape[-1])
    known = np.broadcast_to(dummies[..., None, :], shape)
    failed = np.broadcast_to((j > 0).astype(float), scores.shape)
    depth = np.broadcast_to(np.log1p(j), scores.shape)
    return np.concatenate([known, np.stack([depth, failed, mean], -1)], -1)


def score_hazards(
    problems: LoggedProblems, columns: tuple[str, ...], options: AcrossOptions
) -> tuple[Float[np.ndarray, "folds x"], Float[np.ndarray, "m g"], Int[np.ndarray, " m"]]:
    """Logistic hazards in `features`, for each fold fitted to random orders of the others.

    Args:
        problems: of a log with scores.
        columns: groups with a term of their own, none for one constant.
        options: its seed deals folds and orders.

    Returns:
        Coefficients by fold, the indicators of each problem's group, and its fold.
    """
    m, k = problems.correct.shape
    group = groups(problems, columns)[0] if columns else np.zeros(m, int)
    dummies = np.eye(int(group.max()) + 1)[group]
    fold = folds(m, options.seed)
    assert problems.scores is not None
    generator = np.random.default_rng([options.seed, 3])
    order = shuffled(problems, _ORDERS, generator)
    right = np.take_along_axis(np.broadcast_to(problems.correct, order.shape), order, -1)
    scores = np.take_along_axis(np.broadcast_to(problems.scores, order.shape), order, -1)
    x = features(scores, dummies[None])
    # Up to the first right one, or to the end of the log.
    seen = (right.cumsum(-1) - right == 0) & (np.arange(k) < problems.logged[:, None])
    found = []
    for f in range(FOLDS):
        of = seen & (fold != f)[None, :, None]
        found.append(_logistic(x[of], right[of].astype(float)))
    return np.array(found), dummies, fold


def shuffled(
    problems: LoggedProblems, draws: int, generator: np.random.Generator
) -> Int[np.ndarray, "d m k"]:
    """Random orders of the solutions of each problem, padding last."""
    luck = generator.random((draws, *problems.correct.shape))
    padding = np.arange(problems.correct.shape[1]) >= problems.logged[:, None]
    return np.where(padding, 2, luck).argsort(-1)


def hazard(
    x: Float[np.ndarray, "*cells x"], coefficients: Float[np.ndarray, "*#cells x"]
) -> Float[np.ndarray, "*cells"]:
    """The chance that a logistic hazard states."""
    return 1 / (1 + np.exp(-(x * coefficients).sum(-1)))


def _logistic(x: Float[np.ndarray, "n x"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " x"]:
    """Coefficients of most likelihood with a small ridge, by Newton's method."""
    beta = np.zeros(x.shape[1])
    ridge = _RIDGE * _ORDERS * np.eye(x.shape[1]) * 1e-2
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ beta)))
        slope = x.T @ (y - p) - ridge @ beta
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, slope)
        beta = beta + np.clip(step, -4, 4)
        if np.abs(step).max() < 1e-8:
            break
    return beta
