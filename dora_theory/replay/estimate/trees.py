"""Replays logged tree searches node by node, against what can be solved from each node.

At every depth a search has proposed steps before it, values them, and goes on from some. Where it
is known from which of them the problem can still be solved, every strategy can be asked the same
question: with N rollouts to spread over these steps, does one go where there is a solution? Steps
that leave the same to solve are one direction, exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from dora_theory._errors import InputError, agree, amount
from dora_theory.replay.check.integrity import Finding
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.cut.encoders import Encoder, compact
from dora_theory.replay.cut.order import digest, nodes_in_order
from dora_theory.replay.cut.similarity import Similarities, numbers_of
from dora_theory.replay.estimate.grouping import Groups
from dora_theory.replay.estimate.ties import averaged, orders
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Node, Record
from dora_theory.replay.result import Replay
from dora_theory.replay.workers import Workers

if TYPE_CHECKING:
    from dora_theory.replay.estimate.policies import Batch


@dataclass(frozen=True, slots=True)
class Decision:
    """One depth of a tree, where some nodes can be solved and some cannot.

    Attributes:
        candidates: its nodes; `correct` are those that can be solved.
        kept: whether the logged search kept one of these, None if it does not say.
    """

    candidates: Candidates
    kept: bool | None


def decisions(record: Record, encoder: Encoder, options: ReplayOptions) -> list[Decision]:
    """The decisions of a tree, first depth first.

    Args:
        record: a tree.
        encoder: embeds the steps of a depth, for strategies that look at them.
        options: `score_scale` and `threshold`, which makes directions where no state is logged.

    Returns:
        A decision for each depth where some nodes can be solved and some cannot. Nodes of which
        that is not known are no candidates.

    Raises:
        InputError: a value outside [0, 1] after scaling.
    """
    by_depth = groupby(sorted(record.nodes, key=_depth), _depth)
    found = (_decision(record, list(nodes), encoder, options) for _, nodes in by_depth)
    return [decision for decision in found if decision is not None]


def _depth(node: Node) -> int:
    return node.step


def _decision(
    record: Record, nodes: list[Node], encoder: Encoder, options: ReplayOptions
) -> Decision | None:
    from dora_theory.model.clustering import hard_directions

    known = [node for node in nodes if node.solvable is not None]
    nodes = nodes_in_order(known, options.seed)
    solvable = np.array([bool(node.solvable) for node in nodes])
    if not nodes or solvable.all() or not solvable.any():
        return None
    scores = np.array([node.value for node in nodes]) / options.score_scale
    embeddings = compact(encoder([node.text for node in nodes]))
    states = [node.state for node in nodes]
    if None in states:
        directions = hard_directions(embeddings, threshold=options.threshold)
    else:
        numbers: dict[tuple[str, ...] | None, int] = {}
        directions = np.array([numbers.setdefault(s, len(numbers)) for s in states], np.int32)
    kept = [node.selected for node in nodes]
    return Decision(
        Candidates(
            problem_id=record.problem_id,
            scores=scores,
            embeddings=embeddings,
            directions=directions,
            correct=solvable,
            scored=True,
            finished=np.zeros(len(nodes), dtype=bool),
            key=digest(record.problem, nodes[0].step),
        ),
        kept=None if None in kept else bool(np.any(solvable & np.array(kept, dtype=bool))),
    )


def replay_trees(
    path: str,
    records: Iterable[Record],
    encoder: Encoder,
    options: ReplayOptions,
    workers: Workers,
) -> Replay:
    """Replays a log of trees.

    Args:
        path: its name.
        records: its trees.
        encoder: embeds steps.
        options: how.
        workers: who cuts and estimates.

    Returns:
        Success: the share of a problem's decisions where a node that can be solved is given a
        rollout. Problems without a decision are left out, and counted.

    Raises:
        InputError: a record that cannot be used; no decision at all.
    """
    groups, similarities = Groups(partial(_alive, options), workers), Similarities()
    nodes = trees = unknown = 0
    counts: list[int] = []
    copies: list[int] = []
    directions: list[float] = []
    kept: list[float] = []
    for found, proposed, silent in workers.map(partial(_seen, encoder, options), records):
        trees, nodes, unknown = trees + 1, nodes + proposed, unknown + silent
        if not found:
            continue
        for decision in found:
            reordered = orders(decision.candidates, options.seed)
            copies.append(len(reordered))
            for candidates in reordered:
                groups.add(candidates)
            similarities.add(numbers_of(decision.candidates))
        counts.append(len(found))
        directions.append(float(np.mean([d.candidates.directions.max() + 1 for d in found])))
        known = [d.kept for d in found if d.kept is not None]
        kept.append(float(np.mean(known)) if known else np.nan)
    if not counts:
        raise InputError(f"{path}: tree_nodes: nowhere can some nodes be solved and others not")
    (alive,) = groups.done()
    success = averaged(averaged(alive, copies), counts)
    without = trees - len(counts)
    what = (
        f"{amount(sum(counts), 'decision')} of {amount(len(counts), 'tree')}, "
        f"{amount(without, 'tree')} {agree(without, 'have')} none; {unknown} of "
        f"{amount(nodes, 'node')} {agree(unknown, 'are')} not known and left out"
    )
    return Replay(
        log=path,
        kind="tree",
        options=options,
        samples=nodes,
        directions=np.array(directions),
        lower=success,
        upper=success,
        clipped=np.zeros(success.shape, dtype=bool),
        findings=(Finding("nodes known to be solvable or not", "good", what),),
        notes=(),
        similarity=similarities.done(),
        search=None if np.isnan(kept).any() else np.array(kept),
    )


def _seen(
    encoder: Encoder, options: ReplayOptions, record: Record
) -> tuple[list[Decision], int, int]:
    """The decisions, how many nodes there are, and of how many nothing is known."""
    unknown = sum(node.solvable is None for node in record.nodes)
    return decisions(record, encoder, options), len(record.nodes), unknown


def _alive(options: ReplayOptions, batch: "Batch") -> tuple[np.ndarray]:
    """Whether a node that can be solved is given a rollout, strategies × budgets × decisions."""
    from dora_theory.replay.estimate.estimator import replayed_success
    from dora_theory.replay.estimate.policies import allocate, pooled

    found = []
    for strategy in options.strategies:
        given = allocate(strategy, batch, options)
        if strategy.blind:
            one = pooled(strategy, batch).directions
            alive = replayed_success(given, one, batch.correct, 1, mask=batch.mask).lower
        else:
            alive = ((np.asarray(given) > 0) & batch.correct).any(-1)
        found.append(np.asarray(alive, dtype=float))
    return (np.stack(found),)
