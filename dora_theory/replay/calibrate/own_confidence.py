"""What a κ of each candidate's own is worth on a log, each problem judged by a map of the others.

Directions after step m are the candidates. Both the map and the single κ are fitted to the problems
of other folds, at all depths; then each allocates N continuations by the largest κw/(κ + r), within
what is logged of each direction, so that what the log says of either has no bias.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dora_theory.replay.calibrate.confidence import (
    ConfidenceMap,
    Seen,
    document_of,
    fit_confidence_map,
    log_likelihoods,
)
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.estimate.metrics import pass_at
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Record

FOLDS = 5
_TAILS = (0.025, 0.975)


def directions_seen(
    record: Record, cut: Candidates, options: ReplayOptions, depth: int
) -> Iterator[tuple]:
    """A row of `Seen` for each direction of a problem that goes on after so many steps.

    Args:
        record: the problem, with scores.
        cut: its candidates at that depth.
        options: how scores are scaled.
        depth: m.

    Yields:
        Problem first, so that sorted rows are the same in whatever order problems come.
    """
    spread = np.array([np.std((s.step_scores or ())[:depth]) for s in record.samples])
    going = ~cut.finished
    _, label = np.unique(cut.directions[going], return_inverse=True)
    n = np.bincount(label)
    score, wide = (np.bincount(label, x[going]) / n for x in (cut.scores, spread))
    right = np.bincount(label, cut.correct[going]).astype(int)
    for row in zip(score, wide / options.score_scale, n, right, strict=True):
        yield cut.key >> 1, depth, *row


def seen_of(rows: Iterable[tuple]) -> Seen:
    """All of them, sorted."""
    key, depth, score, spread, n, right = zip(*sorted(rows), strict=True)
    floats = (np.array(x, dtype=float) for x in (score, spread, depth))
    integers = (np.array(x, dtype=int) for x in (n, right, key))
    return Seen(*floats, *integers)


def own_confidence(
    seen: Seen, steps: int, budgets: tuple[int, ...], *, seed: int, resamples: int
) -> dict[str, Any] | None:
    """The map of a log, and how much success a single κ loses on it.

    Args:
        seen: directions at all depths.
        steps: m, the depth at which continuations are allocated.
        budgets: N, beside which 1 and 2 are tried.
        seed: of folds and bootstrap.
        resamples: of the bootstrap.

    Returns:
        None for fewer problems than folds. `map` and `single`, fitted to all; `concentration`,
        quartiles of κ over the directions after step m; `held_out`, by how much the map raises the
        log likelihood of a problem that it has not seen; `lost`, by N: `predicted`, the success
        that a single κ loses if the map is right, and `replayed`, what it loses on the log's own
        outcomes, both with 95% intervals over problems.
    """
    problems = np.unique(seen.problem)
    if len(problems) < FOLDS:
        return None
    generator = np.random.default_rng([seed, 11])
    fold = generator.permutation(np.arange(len(problems)) % FOLDS)[
        np.searchsorted(problems, seen.problem)
    ]
    whole = tuple(_fit(seen, single) for single in (False, True))
    gain = np.zeros(len(seen.score))
    cells: list[tuple[int, ...] | Any] = []
    ns = tuple(sorted({1, 2, *budgets}))
    for i in range(FOLDS):
        fits = tuple(
            _fit(seen.of(fold != i), single, start)
            for single, start in zip((False, True), whole, strict=True)
        )
        here = fold == i
        own, single = (log_likelihoods(fit, seen.of(here)) for fit in fits)
        gain[here] = own - single
        tried = seen.of(here & (seen.depth == steps))
        cells += [_lost(tried.of(tried.problem == q), fits, ns) for q in np.unique(tried.problem)]
    found = np.array(cells).reshape(-1, len(ns), 2)
    rng = np.random.default_rng(seed)

    def interval(values: np.ndarray) -> dict[str, float]:
        m = len(values)
        many = rng.multinomial(m, np.full(m, 1 / m), size=resamples) @ values / m
        low, high = np.quantile(many, _TAILS)
        return {"mean": float(values.mean()), "low": float(low), "high": float(high)}

    by_problem = np.bincount(np.searchsorted(problems, seen.problem), gain)
    main = seen.of(seen.depth == steps)
    kappa = sum(whole[0](main.score, main.spread, main.depth))
    lost = {}
    for i, n in enumerate(ns):
        # A problem with fewer continuations than N says nothing of N.
        use = ~np.isnan(found[:, i, 0])
        if use.any():
            columns = zip(("predicted", "replayed"), found[use, i].T, strict=True)
            lost[str(n)] = {"problems": int(use.sum())} | {x: interval(y) for x, y in columns}
    return {
        "folds": FOLDS,
        "map": document_of(whole[0]),
        "single": document_of(whole[1]),
        "concentration": np.quantile(kappa, (0.25, 0.5, 0.75)).tolist(),
        "held_out": interval(by_problem),
        "lost": lost,
    }


def _fit(seen: Seen, single: bool, start: ConfidenceMap | None = None) -> ConfidenceMap:
    return fit_confidence_map(*seen[:5], one_concentration=single, start=start)


def _lost(
    seen: Seen, fits: tuple[ConfidenceMap, ...], budgets: tuple[int, ...]
) -> list[tuple[float, float]]:
    """Success lost by the single κ on one problem: predicted by the map, and by its outcomes."""
    priors = [fit(seen.score, seen.spread, seen.depth) for fit in fits]
    found = []
    for n in budgets:
        if n > seen.logged.sum():
            found.append((np.nan, np.nan))
            continue
        own, single = (_allocation(*prior, seen.logged, n) for prior in priors)
        expected = [_predicted(*priors[0], given) for given in (own, single)]
        logged = [_replayed(seen, given) for given in (own, single)]
        found.append((expected[0] - expected[1], logged[0] - logged[1]))
    return found


def _allocation(
    a: Float[np.ndarray, " g"], b: Float[np.ndarray, " g"], most: Int[np.ndarray, " g"], n: int
) -> Int[np.ndarray, " g"]:
    """The n largest a/(a + b + r), at most so many of each; ties go to the lowest index."""
    r = np.arange(most.max())
    chance = np.where(r < most[:, None], a[:, None] / ((a + b)[:, None] + r), -1)
    order = np.argsort(-chance, axis=None, kind="stable")[:n]
    return np.bincount(order // r.size, minlength=len(a))


def _predicted(
    a: Float[np.ndarray, " g"], b: Float[np.ndarray, " g"], given: Int[np.ndarray, " g"]
) -> float:
    r = np.arange(given.max(initial=0))
    h = a[:, None] / ((a + b)[:, None] + r)
    return 1 - float(np.exp(np.where(r < given[:, None], np.log1p(-h), 0).sum()))


def _replayed(seen: Seen, given: Int[np.ndarray, " g"]) -> float:
    failed = 1.0
    for n, c, k in zip(seen.logged, seen.correct, given, strict=True):
        failed *= 1 - float(np.asarray(pass_at(n, c, int(k)))) if k else 1.0
    return 1 - failed
