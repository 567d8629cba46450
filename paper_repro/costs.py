"""What a search costs by the paper's model: 2 × parameters × tokens, for each of three models.

The policy writes every token once. The PRM reads every token once: it keeps what it has read. The
embedding model reads the whole prefix of every candidate at every step, so it reads the early
tokens of a solution again and again.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from dora_theory._checks import check_range
from dora_theory.search.measures import Measures


@dataclass(frozen=True)
class Models:
    """Parameters of the models; the numbers with which the paper's Table 1 comes out.

    Attributes:
        policy: of the policy.
        prm: of the PRM.
        embedding: of the embedding model.
    """

    policy: float = 1e9
    prm: float = 7e9
    embedding: float = 0.57e9


class Flops(NamedTuple):
    """FLOPs by model, and their sum."""

    policy: Any
    prm: Any
    embedding: Any

    @property
    def total(self) -> Any:
        """Of all models."""
        return self.policy + self.prm + self.embedding


def flops(written: ArrayLike, embedded: ArrayLike, models: Models | None = None) -> Flops:
    """FLOPs of a search.

    Args:
        written: tokens that the policy writes and the PRM reads.
        embedded: tokens that the embedding model reads, 0 for strategies that need none.
        models: sizes of the models, Table 1's if None.

    Returns:
        FLOPs, of the arguments' shape.

    Source: Table 1 of the paper.
    """
    m = models or Models()
    written, embedded = np.asarray(written, float), np.asarray(embedded, float)
    return Flops(2 * m.policy * written, 2 * m.prm * written, 2 * m.embedding * embedded)


def search_flops(
    measures: Measures, tokens: float, *, embeds: bool, models: Models | None = None
) -> Flops:
    """FLOPs of simulated searches.

    Args:
        measures: of the searches.
        tokens: of a step.
        embeds: whether the strategy looks at embeddings.
        models: sizes of the models, Table 1's if None.

    Returns:
        FLOPs, of the measures' shape.
    """
    check_range("tokens", tokens, 0, low_open=True)
    read = np.asarray(measures.read, float) if embeds else np.zeros(np.shape(measures.read))
    return flops(tokens * np.asarray(measures.steps, float), tokens * read, models)


def rereading(steps: int, *, finished: bool) -> float:
    """How often the embedding model reads a token, on average, in solutions of equal steps.

    Args:
        steps: S of a solution.
        finished: whether finished solutions are read as well, (S + 1)/2; if only candidates that
            go on are read, as Algorithm 1 says, (S - 1)/2.
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: needs at least one")
    return (steps + 1) / 2 if finished else (steps - 1) / 2
