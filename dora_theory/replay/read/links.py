"""Scores as probabilities: as logged, through the sigmoid, or by their range in the log."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dora_theory.io.jsonl import FieldError
from dora_theory.replay.read.record import LinkName, Record


@dataclass(frozen=True, slots=True)
class Link:
    """What makes a probability of a score.

    Attributes:
        name: `none` takes scores as they are, `sigmoid` as log odds, `minmax` maps the range of the
            log's scores onto [0, 1].
        low: the least score of the log, of `minmax`.
        high: the greatest one.
    """

    name: LinkName = "none"
    low: float = 0.0
    high: float = 1.0

    def __call__(self, score: float) -> float:
        """The probability; of `minmax` 1/2 where all scores are the same."""
        if self.name == "sigmoid":
            # exp of what is not positive does not overflow.
            small = math.exp(-abs(score))
            return (1 if score >= 0 else small) / (1 + small)
        if self.name == "minmax":
            span = self.high - self.low
            return min(max((score - self.low) / span, 0.0), 1.0) if span > 0 else 0.5
        return score


def link_of(name: LinkName, records: Iterable[Record]) -> Link:
    """The link of a log.

    Args:
        name: its name.
        records: of the log, read only if the link depends on them.

    Returns:
        The link.
    """
    if name != "minmax":
        return Link(name)
    low, high = math.inf, -math.inf
    for record in records:
        for sample in record.samples:
            for score in sample.step_scores or ():
                low, high = min(low, score), max(high, score)
        for node in record.nodes:
            low, high = min(low, node.value), max(high, node.value)
    return Link(name, low, high)


def linked(record: Record, link: Link) -> Record:
    """The record with scores through a link, and the lowest one for a solution that is empty.

    Args:
        record: as logged.
        link: what to do with scores.

    Returns:
        The record. An empty solution has no step to score; beside scored ones it has the score 0.

    Raises:
        FieldError: samples with and without scores.
    """
    has = [sample.step_scores is not None for sample in record.samples]
    samples = record.samples
    if any(has):
        for i, sample in enumerate(samples):
            if not has[i] and sample.text.strip() and record.kind != "tree":
                raise FieldError("step_scores", f"sample {i} has none, others have")
        samples = tuple(
            s
            if s.step_scores and link.name == "none"
            else replace(s, step_scores=tuple(map(link, s.step_scores or ())) or (0.0,))
            for s in samples
        )
    nodes = tuple(replace(node, value=link(node.value)) for node in record.nodes)
    return replace(record, samples=samples, nodes=nodes)
