"""What a replay comes to: means over problems with intervals, as the JSON document of one log."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dora_theory.replay.cut.similarity import EDGES, TEMPERATURES
from dora_theory.replay.estimate.intervals import (
    Interval,
    bootstrap,
    difference_interval,
    share_interval,
)
from dora_theory.replay.result import Replay
from dora_theory.strategies.registry import BASELINE, DORA

SOLUTIONS_CAVEAT = (
    "Off-policy: what is replayed is one decision, taken after the first steps of logged solutions "
    "and followed by continuations that the log's own model had drawn. Nothing is scored or cut "
    "again on the way, continuations of one direction count as draws of one success probability, "
    "and a rollout counts as right if its answer is: success is that of at least one right rollout."
)
COST_CAVEAT = (
    " Budgets are tokens: a rollout is expected to write what the problem's logged solutions that "
    "are longer than the prefix write after it, and strategies know that beforehand."
)
TREE_CAVEAT = (
    "Node by node: at every depth of a logged tree the strategies choose among the steps that the "
    "logged search had before it, whatever they would have chosen before. Success is that a "
    "rollout goes to some node from which the problem can still be solved, over the depths where "
    "some can and some cannot; whether the model finds the way from there is not asked."
)

_SEARCH = ("success", "low", "high")
# So many bins of cosines make one of the summary.
_COARSE = 10


def summary(result: Replay) -> dict[str, Any]:
    """The JSON document of one log: means over problems, with 95% intervals.

    Args:
        result: the replay.

    Returns:
        `strategies`: for each and each budget `success` with its interval `low`, `high`, and beside
        it `upper_bound` and `clipped`, the share of problems where the log does not suffice;
        `success` counts its lower bound there; `epsilon` if asked for, the mean of a bound on what
        its allocations lack under the prior that strategies are given; if votes were asked for,
        `majority` and `weighted`, the accuracy of the voted answer, over the `problems` where the
        log suffices. `lengths`: the fitted T_s of each half of the problems. `paired`: for
        each strategy but REBASE the `difference` to it with its interval, over the `problems` where
        the log suffices for both (null if there is none), and between which bounds, `lowest` and
        `highest`, the difference over all problems lies; `paired_to_dora`, the same of the rules
        that take similarity for a correlation, if DORA is there. `search`, of trees: what the
        logged search itself kept, its mean and interval. `solvable`, of solutions: the share of
        problems that some logged solution solves. `similarity`: cosines of candidates of a problem
        inside and across directions (5%, 50%, 95%, and their densities), directions by size, their
        effective number, and the loss of DORA's uniqueness at each T_s with its interval, beside
        that of counting candidates (null if no problem has two directions).
    """
    options = result.options
    success = share_interval(result.lower, seed=options.seed, resamples=options.resamples)
    upper, clipped = _mean(result.upper), result.clipped.mean(-1)
    strategies = {
        name: {
            "budget": {
                str(budget): {
                    "success": float(success.mean[i, j]),
                    "low": float(success.low[i, j]),
                    "high": float(success.high[i, j]),
                    "upper_bound": float(upper[i, j]),
                    "clipped": float(clipped[i, j]),
                }
                for j, budget in enumerate(options.budgets)
            }
        }
        for i, name in enumerate(options.names)
    }
    _add_votes(strategies, result)
    if result.epsilon is not None:
        for (i, j), mean in np.ndenumerate(_mean(result.epsilon)):
            cells = strategies[options.names[i]]["budget"]
            cells[str(options.budgets[j])]["epsilon"] = float(mean)
    paired = _paired(result, BASELINE, options.names) if BASELINE in options.names else {}
    # What is there to replace DORA's γ is held against it too.
    rivals = [s.name for s in options.strategies if s.correlation]
    beside = _paired(result, DORA, rivals) if DORA in options.names and rivals else {}
    search = {}
    if result.search is not None:
        kept = share_interval(result.search, seed=options.seed, resamples=options.resamples)
        search = {"search": dict(zip(_SEARCH, map(float, kept), strict=True))}
    low, middle, high = np.quantile(result.directions, [0, 0.5, 1])
    return {
        "log": result.log,
        "kind": result.kind,
        "problems": len(result.directions),
        "samples": result.samples,
        "directions": {"min": int(low), "median": float(middle), "max": int(high)},
        "strategies": strategies,
        "paired": paired,
        **({"paired_to_dora": beside} if beside else {}),
        **search,
        **({} if result.lengths is None else {"lengths": list(result.lengths)}),
        **({} if result.solvable is None else {"solvable": result.solvable}),
        "similarity": _similarity(result),
        "options": options.as_json(),
        "checks": [asdict(finding) for finding in result.findings],
        "notes": list(result.notes),
        "caveat": TREE_CAVEAT
        if result.kind == "tree"
        else SOLUTIONS_CAVEAT + COST_CAVEAT * options.by_cost,
    }


def _add_votes(strategies: dict[str, Any], result: Replay) -> None:
    """Accuracy of votes, into the cells of the strategies."""
    if result.votes is None:
        return
    options, suffices = result.options, ~result.clipped
    counts = suffices.sum(-1)
    for vote, values in zip(("majority", "weighted"), result.votes, strict=True):
        found = share_interval(values, suffices, seed=options.seed, resamples=options.resamples)
        for i, name in enumerate(options.names):
            for j, budget in enumerate(options.budgets):
                numbers = [_known(float(x[i, j])) for x in found]
                strategies[name]["budget"][str(budget)][vote] = {
                    **dict(zip(("accuracy", "low", "high"), numbers, strict=True)),
                    "problems": int(counts[i, j]),
                }


def _paired(result: Replay, baseline: str, names: Sequence[str]) -> dict[str, Any]:
    """Differences of some strategies to another one, problem by problem.

    Only where the log suffices for both: elsewhere the one that asks more of the log would seem
    worse. Which problems these are depends on the prefixes, never on an outcome.
    """
    options = result.options
    base = options.names.index(baseline)
    suffices = ~(result.clipped | result.clipped[base])
    gain = difference_interval(
        result.lower - result.lower[base],
        suffices,
        seed=options.seed,
        resamples=options.resamples,
    )
    counts = suffices.sum(-1)
    lowest = _mean(result.lower - result.upper[base])
    highest = _mean(result.upper - result.lower[base])

    def cell(i: int, j: int) -> dict[str, Any]:
        known = counts[i, j] > 0
        return {
            "difference": float(gain.mean[i, j]) if known else None,
            "low": float(gain.low[i, j]) if known else None,
            "high": float(gain.high[i, j]) if known else None,
            "problems": int(counts[i, j]),
            "lowest": float(lowest[i, j]),
            "highest": float(highest[i, j]),
        }

    return {
        f"{name}-{baseline}": {
            "budget": {str(budget): cell(i, j) for j, budget in enumerate(options.budgets)}
        }
        for i, name in enumerate(options.names)
        if i != base and name in names
    }


def _similarity(result: Replay) -> dict[str, Any]:
    options, found = result.options, result.similarity

    def mean(values: np.ndarray) -> Interval:
        return bootstrap(values, seed=options.seed, resamples=options.resamples)

    effective = mean(found.effective)
    document: dict[str, Any] = {
        "within": [_known(x) for x in found.within_quantiles],
        "across": [_known(x) for x in found.across_quantiles],
        "edges": EDGES[::_COARSE].tolist(),
        "density_within": _density(found.within),
        "density_across": _density(found.across),
        "sizes": {str(k + 1): int(n) for k, n in enumerate(found.sizes) if n},
        "effective": dict(zip(("mean", "low", "high"), map(float, effective), strict=True)),
        "telling": int(found.counting.size),
        "similarity_temperature": None,
    }
    if found.counting.size:
        loss, counting = mean(found.loss), mean(found.counting)
        best = int(loss.mean.argmin())
        cells = zip(TEMPERATURES, *loss, strict=True)
        document |= {
            "similarity_temperature": float(TEMPERATURES[best]),
            "loss": [
                {
                    "similarity_temperature": float(t),
                    "mean": float(m),
                    "low": float(a),
                    "high": float(b),
                }
                for t, m, a, b in cells
            ],
            "counting": dict(zip(("mean", "low", "high"), map(float, counting), strict=True)),
        }
    return document


def _mean(values: np.ndarray) -> np.ndarray:
    """Over problems, the same to the last bit in whatever order they are."""
    return np.sort(values, axis=-1).mean(-1)


def _density(counts: np.ndarray) -> list[float]:
    coarse = counts.reshape(-1, _COARSE).sum(-1)
    return (coarse / max(coarse.sum(), 1) / (EDGES[_COARSE] - EDGES[0])).tolist()


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
