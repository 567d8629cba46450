"""What a hard budget for many problems solves: batches, rounds and single rollouts.

A draw says at which of its rollouts each problem is solved, T, and no policy changes that. So a
policy is known by how deep it goes before its budget ends. Ties between problems are broken at
random. Rows are draws; a log has a last rollout of each problem, `logged`, a population has none.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

NEVER = 1 << 30
_Times = Int[np.ndarray, "d m"]


def first_right(correct: Bool[np.ndarray, "d m k"]) -> _Times:
    """T, rollouts until the first right one in an order, `NEVER` if there is none."""
    return np.where(correct.any(-1), correct.argmax(-1) + 1, NEVER)


def uniform(times: _Times, logged: _Times, budget: int) -> Float[np.ndarray, " d"]:
    """Share solved by n rollouts of each problem, or by all that are logged."""
    return (times <= np.minimum(budget, logged)).mean(-1)


def in_cells(
    times: _Times,
    logged: _Times,
    labels: Int[np.ndarray, "d m"],
    keys: Float[np.ndarray, "g k"],
    totals: Int[np.ndarray, " n"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "d n"]:
    """Share solved by the index policy where the index depends on a label and on failures.

    Args:
        times: T, shape `(d, m)`.
        logged: k of each problem, the most that it is rolled.
        labels: of each problem, in [0, g).
        keys: index after j failures, falling in j, shape `(g, k)`; one row is round robin.
        totals: N, rollouts of all problems.
        generator: breaks ties inside a cell.

    Returns:
        Shares, shape `(d, n)`.
    """
    draws, m = times.shape
    groups, depth = keys.shape
    order = np.argsort(-keys.reshape(-1), kind="stable")

    def counted(depths: np.ndarray) -> np.ndarray:
        """Problems of each label by a depth in [0, depth], shape `(d, g, depth + 1)`."""
        cell = (np.arange(draws)[:, None] * groups + labels) * (depth + 1) + depths
        size = draws * groups * (depth + 1)
        return np.bincount(cell.reshape(-1), minlength=size).reshape(draws, groups, -1)

    ends = counted(np.minimum(np.minimum(times, logged), depth))
    # Those that end beyond depth j are rolled at depth j.
    rolled = ends[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]
    solved = counted(np.where(times <= logged, np.minimum(times, depth), 0))[..., 1:]
    rolled, solved = (x.reshape(draws, -1)[:, order] for x in (rolled, solved))
    spent = np.concatenate([np.zeros((draws, 1), int), rolled.cumsum(-1)], -1)
    gained = np.concatenate([np.zeros((draws, 1), int), solved.cumsum(-1)], -1)
    shares = np.empty((draws, len(totals)))
    for i, total in enumerate(totals):
        place = np.minimum((spent <= total).sum(-1) - 1, rolled.shape[-1])[:, None]
        got = np.take_along_axis(gained, place, -1)[:, 0]
        # What is left serves a part of the next cell, whichever problems of it.
        cell = np.minimum(place, rolled.shape[-1] - 1)
        left = total - np.take_along_axis(spent, place, -1)[:, 0]
        there = np.take_along_axis(rolled, cell, -1)[:, 0]
        hits = np.take_along_axis(solved, cell, -1)[:, 0]
        part = generator.hypergeometric(hits, there - hits, np.minimum(left, there))
        shares[:, i] = (got + np.where(place[:, 0] < rolled.shape[-1], part, 0)) / m
    return shares


def by_index(
    times: _Times,
    logged: _Times,
    index: Float[np.ndarray, "d m k"],
    totals: Int[np.ndarray, " n"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "d n"]:
    """As `in_cells`, where every tape has its own index, which may also rise along failures.

    Args:
        times: T, shape `(d, m)`.
        logged: k of each problem.
        index: of each problem after j failures, shape `(d, m, k)`.
        totals: N.
        generator: breaks ties.

    Returns:
        Shares, shape `(d, n)`.
    """
    draws, m, depth = index.shape
    # What the policy takes next is the largest head: it takes all in the order of running minima.
    falling = np.minimum.accumulate(index, -1)
    valid = np.arange(depth) < np.minimum(times, logged)[..., None]
    last = np.arange(depth) == (times - 1)[..., None]
    shares = np.empty((draws, len(totals)))
    for d in range(draws):
        luck = np.broadcast_to(generator.random((m, 1)), (m, depth))
        keep = valid[d]
        place = np.broadcast_to(np.arange(depth), (m, depth))[keep]
        order = np.lexsort((place, luck[keep], -falling[d][keep]))
        solved = np.concatenate([[0], np.cumsum(last[d][keep][order])])
        shares[d] = solved[np.minimum(totals, len(order))] / m
    return shares


def in_rounds(
    times: _Times,
    logged: _Times,
    totals: Int[np.ndarray, " n"],
    rounds: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "d n"]:
    """Share solved by R batches of equal budgets, each leveling the unsolved problems.

    Under a common Beta prior a batch of theory 7.1 on the posteriors is this one.

    Args:
        times: T, shape `(d, m)`.
        logged: k of each problem.
        totals: N of all rounds.
        rounds: R.
        generator: says who has the rest of a level.

    Returns:
        Shares, shape `(d, n)`.
    """
    shares = np.empty((times.shape[0], len(totals)))
    for i, total in enumerate(map(int, totals)):
        attempts = np.zeros_like(times)
        for r in range(rounds):
            budget = total * (r + 1) // rounds - total * r // rounds
            open_ = (times > attempts) & (attempts < logged)
            attempts = _leveled(attempts, np.where(open_, logged, attempts), budget, generator)
        shares[:, i] = (times <= attempts).mean(-1)
    return shares


def _leveled(attempts: _Times, most: _Times, budget: int, generator: np.random.Generator) -> _Times:
    """Attempts after one batch that rolls the least rolled first, no problem beyond `most`."""

    def at(level: np.ndarray) -> np.ndarray:
        return np.maximum(attempts, np.minimum(level[:, None], most))

    low = np.zeros(len(attempts), int)
    # No level beyond the budget can be filled by it.
    top = min(int(most.max(initial=0)), int(attempts.max(initial=0)) + budget)
    high = np.full(len(attempts), top + 1)
    before = attempts.sum(-1)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        fits = at(middle).sum(-1) - before <= budget
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    full = at(low)
    more = at(low + 1) > full
    left = budget - (full.sum(-1) - before)
    luck = np.where(more, generator.random(attempts.shape), 2)
    rank = luck.argsort(-1).argsort(-1)
    return full + (more & (rank < left[:, None]))


def easiest_first(
    cost: _Times,
    chance: Float[np.ndarray, "d m"],
    totals: Int[np.ndarray, " n"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "d n"]:
    """Share solved by who knows every p and rolls the easiest problem until it is solved.

    Args:
        cost: rollouts until solved, `NEVER` for what is never rolled, shape `(d, m)`.
        chance: p of each problem.
        totals: N.
        generator: breaks ties.

    Returns:
        Shares, shape `(d, n)`.
    """
    luck = generator.random(cost.shape)
    order = np.lexsort((luck, -chance), axis=-1)
    spent = np.cumsum(np.take_along_axis(cost, order, -1), -1, dtype=np.int64)
    return np.stack([(spent <= n).mean(-1) for n in totals], -1)


def round_robin_depths(ends: _Times, total: int, generator: np.random.Generator) -> _Times:
    """Rollouts of each problem under round robin with a hard budget.

    Args:
        ends: rollouts after which a problem is rolled no more, shape `(d, m)`.
        total: N of all problems.
        generator: says who has the rest of a level.

    Returns:
        Rollouts, shape `(d, m)`, of sum N unless all problems end before.
    """
    return _leveled(np.zeros_like(ends), ends, total, generator)
