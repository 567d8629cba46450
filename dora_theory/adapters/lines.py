"""The allocation line of search-and-learn's beam search and of REBASE, on the objects they pass.

search-and-learn keeps a list of `Beam`s with `current_text`, `all_scores` (a score a step),
`completed` and `pruned`. REBASE keeps tree nodes, each with its score, and gives node i a `width`.
"""

import copy
from collections.abc import Callable, MutableSequence, Sequence
from typing import Any

from dora_theory.adapters.rules import Allocate, checked_rollouts

_Aggregate = Callable[[Sequence[float]], float]


def last(scores: Sequence[float]) -> float:
    """The score of the last step, which is how search-and-learn and REBASE judge a beam."""
    return scores[-1]


def resample_beams(
    beams: Sequence[Any], budget: int, allocate: Allocate, *, aggregate: _Aggregate = last
) -> list[Any]:
    """The beams of search-and-learn's next iteration, by a rule instead of the best N/M.

    Args:
        beams: `Beam`s; those that are pruned or completed take no part and are not returned.
        budget: N, how many beams the next iteration has.
        allocate: of `allocator`, which is given `current_text`.
        aggregate: scores of a beam's steps into one.

    Returns:
        N beams: each as often as it has rollouts, in order; the first is the beam itself, the
        others are deep copies. The beams that got nothing have `pruned = True`.

    Raises:
        ValueError: no beam goes on; what the rule raises.
    """
    alive = [b for b in beams if not getattr(b, "pruned", False) and not b.completed]
    if not alive:
        raise ValueError("beams: all are completed or pruned")
    scores = [aggregate(b.all_scores) for b in alive]
    texts = [b.current_text for b in alive]
    rollouts = checked_rollouts(allocate(scores, texts, budget), len(alive), budget)
    found = []
    for beam, count in zip(alive, rollouts, strict=True):
        if count == 0:
            beam.pruned = True
            continue
        found += [beam, *(copy.deepcopy(beam) for _ in range(count - 1))]
    return found


def set_widths(
    nodes: MutableSequence[Any],
    budget: int,
    allocate: Allocate,
    *,
    text: Callable[[Any], Any] = lambda node: node.text,
    score: Callable[[Any], float] = lambda node: node.score,
) -> list[int]:
    """REBASE's widths of the nodes of a depth, by a rule instead of its rounded-up softmax.

    Args:
        nodes: of one depth, not finished; each gets an attribute `width`.
        budget: N, children of the depth.
        allocate: of `allocator`.
        text: of a node, for a rule that needs embeddings.
        score: of a node, its reward.

    Returns:
        The widths, in order.

    Raises:
        ValueError: no node; what the rule raises.
    """
    if not nodes:
        raise ValueError("nodes: there is none")
    given = allocate([score(n) for n in nodes], [text(n) for n in nodes], budget)
    widths = checked_rollouts(given, len(nodes), budget)
    for node, width in zip(nodes, widths, strict=True):
        node.width = width
    return widths
