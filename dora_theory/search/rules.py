"""Strategies as rules of a search: what they see of the beams, and what they spend on them."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int, Real

from dora_theory.search.engine import Candidates
from dora_theory.strategies.allocate import spend
from dora_theory.strategies.choosing import AnyStrategy, as_strategy
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import STRATEGIES, Strategy

# The oracle sees the truth of a one-step problem, which a partial solution does not have; beams are
# copied as often as an integer says.
SEARCHED = tuple(name for name, s in STRATEGIES.items() if not (s.oracle or s.real))


@dataclass(frozen=True)
class SearchRule:
    """A strategy with its options, as `search` calls it. Hashable, and so static under `jit`.

    Attributes:
        strategy: the strategy.
        options: its options. By the paper's own rounding beam and dvts give nobody anything if N is
            below the beam width.
    """

    strategy: Strategy
    options: Options

    def __call__(self, candidates: Candidates, budget: Real[Array, ""]) -> Int[Array, " slots"]:
        """Rollouts of each candidate; of a rule of your own -1 where they are no allocation."""
        one = Problems(
            scores=candidates.scores[None],
            embeddings=candidates.embeddings[None],
            directions=_compact(candidates)[None],
            mask=candidates.mask[None],
            costs=None if candidates.costs is None else candidates.costs[None],
        )
        by_cost, options = one.costs is not None, self._options(candidates)
        return spend(self.strategy, one, budget[None], options, by_cost=by_cost)[0][0]

    def _options(self, candidates: Candidates) -> Options:
        """The options, with the account that correlated candidates need: N is at most the slots."""
        slots = candidates.mask.size
        return self.options.with_changes(max_budget=1 << max(slots - 1, 0).bit_length())


def as_rule(strategy: AnyStrategy | SearchRule, **options: Any) -> SearchRule:
    """A rule of a search from a strategy.

    Args:
        strategy: a name, or a rule of your own, see `as_strategy`.
        options: attributes of `Options`. κ is 1/2 unless it is given, the value at which the
            optimum is REBASE's rounding (theory 3.3), and ν is 1.

    Returns:
        The rule; of the paper's own rounding only where the strategy has one.

    Raises:
        ValueError: an unknown strategy, an option that is unknown or out of its range.
    """
    if isinstance(strategy, SearchRule):
        return SearchRule(strategy.strategy, strategy.options.with_changes(**options))
    chosen = as_strategy(strategy, among=SEARCHED)
    given = Options(concentration=0.5, within_concentration=1.0).with_changes(**options)
    if given.literal and STRATEGIES.get(chosen.name) is chosen and not chosen.literal:
        given = given.with_changes(literal=False)
    return SearchRule(chosen, given)


def _compact(candidates: Candidates) -> Int[Array, " slots"]:
    """Labels below the number of slots: the first candidate of the direction."""
    d, mask = candidates.directions, candidates.mask
    same = (d[:, None] == d[None, :]) & mask[None, :]
    return jnp.where(mask, jnp.argmax(same, -1), 0).astype(jnp.int32)
