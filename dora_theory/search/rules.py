"""Strategies as rules of a search: by name, or any function of scores, embeddings, mask and N."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int

from dora_theory.allocation.rules import (
    beam_allocation,
    dora_allocation,
    dvts_allocation,
    magnitude_allocation,
    rebase_allocation,
    temperature_allocation,
)
from dora_theory.search.engine import Candidates
from dora_theory.simulation.contenders import CONTENDERS, ORACLE, Settings, spend
from dora_theory.simulation.populations import Problems

# The oracle is told the truth of a one-step problem, which a partial solution does not have.
STRATEGIES = tuple(name for name in CONTENDERS if name != ORACLE)

# What a user may bring: (scores, embeddings, mask, N) → rollouts of each candidate.
Function = Callable[[Array, Array, Array, Array], Array]


@dataclass(frozen=True)
class Strategy:
    """A rule by name. Hashable, so that it can be static under `jit`.

    Attributes:
        name: one of `STRATEGIES`.
        literal: the paper's own rounding, whose sum may miss N, where the rule has one. By the
            letter beam and dvts give nobody anything if N is below the beam width.
        settings: T_b, T_s, beam width and pooling; the paper's by default.
        concentration: κ that the optima assume. 1/2 is the value at which the optimum is REBASE's
            rounding (theory 3.3).
        within_concentration: ν that `"correlated"` assumes.
    """

    name: str
    literal: bool = False
    settings: Settings = field(default_factory=Settings)
    concentration: float = 0.5
    within_concentration: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in STRATEGIES:
            raise ValueError(f"strategy {self.name!r}: needs one of {', '.join(STRATEGIES)}")
        for name in ("concentration", "within_concentration"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: needs a positive number")
        self.settings.checked()

    def __call__(self, candidates: Candidates, budget: Int[Array, ""]) -> Int[Array, "slots"]:
        """Rollouts of each candidate."""
        if self.literal and self.name in _LITERAL:
            return _LITERAL[self.name](candidates, budget, self.settings)
        k = candidates.mask.size
        one = Problems(
            scores=candidates.scores[None],
            directions=_compact(candidates)[None],
            mask=candidates.mask[None],
            # No strategy here sees it; its length says how many directions there can be.
            quality=jnp.zeros((1, k), candidates.scores.dtype),
            concentration=jnp.full(1, self.concentration, candidates.scores.dtype),
            within_concentration=self._within(candidates),
            similarity=None,
            embeddings=candidates.embeddings[None],
        )
        return spend(self.name, one, budget, self.settings, most=k)[0]

    def with_settings(self, **changes: Any) -> "Strategy":
        """The same strategy with other settings."""
        return replace(self, settings=replace(self.settings, **changes))

    def _within(self, candidates: Candidates) -> Array | None:
        if self.name != "correlated":
            return None
        return jnp.full(1, self.within_concentration, candidates.scores.dtype)


def _compact(candidates: Candidates) -> Int[Array, "slots"]:
    """Labels below the number of slots: the first candidate of the direction."""
    d, mask = candidates.directions, candidates.mask
    same = (d[:, None] == d[None, :]) & mask[None, :]
    return jnp.where(mask, jnp.argmax(same, -1), 0).astype(jnp.int32)


@dataclass(frozen=True)
class UserRule:
    """A function of (scores, embeddings, mask, N) as a rule.

    It returns whole numbers ≥ 0, one for each slot; what it gives to slots that the mask leaves out
    is not spent. An answer with a negative number counts as nothing for anyone.
    """

    function: Function

    def __call__(self, candidates: Candidates, budget: Int[Array, ""]) -> Int[Array, "slots"]:
        """Rollouts of each candidate."""
        c = candidates
        given = jnp.asarray(self.function(c.scores, c.embeddings, c.mask, budget))
        if given.shape != c.mask.shape:
            raise ValueError(f"rule: returned shape {given.shape}, not {c.mask.shape}")
        if not jnp.issubdtype(given.dtype, jnp.integer):
            raise ValueError(f"rule: returned {given.dtype}, and rollouts are whole numbers")
        # A negative number cannot be an error where values are traced: the search ends there.
        return jnp.where((given >= 0).all(), given, 0).astype(jnp.int32)


def as_rule(rule: str | Strategy | Function) -> Strategy | UserRule:
    """A rule from a strategy's name, a `Strategy`, or a user's function."""
    if isinstance(rule, str):
        return Strategy(rule)
    return rule if isinstance(rule, Strategy) else UserRule(rule)


def _by_score(allocate: Callable, candidates: Candidates, n: Array, s: Settings) -> Array:
    options = {"temperature": s.temperature} if allocate is rebase_allocation else {}
    if allocate in (beam_allocation, dvts_allocation):
        options = {"beam_width": s.beam_width}
    return allocate(candidates.scores, n, literal=True, mask=candidates.mask, **options)


def _unlike(allocate: Callable, candidates: Candidates, n: Array, s: Settings) -> Array:
    return allocate(
        candidates.scores,
        candidates.embeddings,
        n,
        temperature=s.temperature,
        similarity_temperature=s.similarity_temperature,
        literal=True,
        mask=candidates.mask,
    )


_LITERAL: dict[str, Callable[[Candidates, Array, Settings], Array]] = {
    "temperature": partial(_by_score, temperature_allocation),
    "beam": partial(_by_score, beam_allocation),
    "dvts": partial(_by_score, dvts_allocation),
    "rebase": partial(_by_score, rebase_allocation),
    "dora": partial(_unlike, dora_allocation),
    "magnitude": partial(_unlike, magnitude_allocation),
}
