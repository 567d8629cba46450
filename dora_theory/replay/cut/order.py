"""Results that do not depend on the order in which a log lists its samples.

Logs come sorted by score or by outcome, and strategies break ties by position, so that position
must say nothing. Samples are put into a pseudorandom order that only their contents determine.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from dora_theory.replay.read.record import Node, Record, Sample


def digest(*parts: object) -> int:
    """A 64-bit number that depends on nothing but the parts, the same in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def in_order(record: Record, seed: int = 0) -> Record:
    """The record with its samples and nodes in an order that does not depend on theirs.

    Args:
        record: judged or not.
        seed: another one gives another order.

    Returns:
        The record, samples ordered by a hash of problem and text. Verdicts decide only between
        samples that are the same in all else, which are one direction with one score. Nodes stay
        after their parents, and keep their numbers as parents: only solutions are reordered.
    """

    def place(sample: Sample) -> tuple[int, int, bool]:
        others = digest(seed, sample.step_scores, sample.final_answer, sample.tokens)
        return digest(seed, record.problem, sample.text), others, bool(sample.correct)

    return replace(record, samples=tuple(sorted(record.samples, key=place)))


def nodes_in_order(nodes: Sequence[Node], seed: int = 0) -> list[Node]:
    """The nodes of one depth in an order that does not depend on theirs, as `in_order`."""

    def place(node: Node) -> tuple[int, bool, bool]:
        key = digest(seed, node.text, node.state, node.value)
        return key, bool(node.solvable), bool(node.selected)

    return sorted(nodes, key=place)
