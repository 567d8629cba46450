"""The strategies as they meet synthetic problems: what each sees, and what it spends."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from dora_theory._checks import check_number, check_whole, named
from dora_theory.allocation.hierarchical import correlated_allocation, direction_allocation
from dora_theory.allocation.optimal import apportion, optimal_allocation
from dora_theory.allocation.rules import (
    beam_allocation,
    dvts_allocation,
    rebase_allocation,
    rebase_sequential_allocation,
    temperature_allocation,
)
from dora_theory.model.directions import Pool, direction_weights
from dora_theory.model.magnitude import magnitude_weighting, magnitude_weighting_from_similarity
from dora_theory.model.similarity import (
    normalised,
    quality_weights,
    uniqueness,
    uniqueness_from_similarity,
)
from dora_theory.simulation.populations import Problems

# The strategy that knows what is true, against which regret is measured.
ORACLE = "oracle"


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["temperature", "similarity_temperature"],
    meta_fields=["beam_width", "pool"],
)
@dataclass(frozen=True)
class Settings:
    """What strategies are told, the paper's values by default. Temperatures may be traced.

    Attributes:
        temperature: T_b of the quality softmax.
        similarity_temperature: T_s of the similarity softmax.
        beam_width: M of beam search and DVTS.
        pool: how a direction's scores become one, for strategies that are told directions.
    """

    temperature: Any = 0.1
    similarity_temperature: Any = 0.01
    beam_width: int = 4
    pool: Pool = "mean-exp"

    def checked(self) -> "Settings":
        """The settings themselves, if their values are in their ranges; else `ValueError`."""
        for name in ("temperature", "similarity_temperature"):
            check_number(name, getattr(self, name), 0, low_open=True)
        check_whole("beam_width", self.beam_width, 1)
        if self.pool not in get_args(Pool):
            raise ValueError(f"pool = {named(self.pool)}: needs one of {', '.join(get_args(Pool))}")
        return self


Rule = Callable[[Problems, Array, Settings, int], Array]


def spend(
    strategy: str, problems: Problems, budget: Array, settings: Settings, *, most: int
) -> Int[Array, "n k"]:
    """Rollouts of each candidate under a strategy.

    Args:
        strategy: a key of `CONTENDERS`. Strategies that need κ or ν are told the true ones.
        problems: n problems.
        budget: N, scalar; may be traced.
        settings: what strategies are told.
        most: a number ≥ N that is known when tracing.

    Returns:
        int32, shape `(n, k)`, of sum N.
    """
    return CONTENDERS[strategy](problems, budget, settings, most)


def _shared(problems: Problems, quality: Array, budget: Array, most: int) -> Array:
    """The exact optimum of the hierarchy for the given direction qualities."""
    kappa, nu, mask = problems.concentration, problems.within_concentration, problems.mask
    if nu is None:
        return direction_allocation(quality, problems.directions, kappa, budget, mask=mask)
    points = 1 << max(most - 1, 0).bit_length()
    return correlated_allocation(
        quality, problems.directions, kappa, nu, budget, points=points, mask=mask
    )


def _pooled(problems: Problems, settings: Settings) -> Array:
    g = problems.quality.shape[-1]
    pool, t = settings.pool, settings.temperature
    return direction_weights(
        problems.scores, problems.directions, g, pool=pool, temperature=t, mask=problems.mask
    )


def _unlike(problems: Problems, settings: Settings, *measures: Callable[..., Array]) -> Array:
    """Quality times a measure of difference, from embeddings or from similarities."""
    of_embeddings, of_similarity = measures
    t = settings.similarity_temperature
    if problems.embeddings is not None:
        share = of_embeddings(problems.embeddings, t, mask=problems.mask)
    else:
        share = of_similarity(problems.similarity, t, mask=problems.mask)
    w = quality_weights(problems.scores, settings.temperature, mask=problems.mask)
    return normalised(w * share)


def _temperature(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return temperature_allocation(p.scores, n, mask=p.mask)


def _beam(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return beam_allocation(p.scores, n, beam_width=s.beam_width, mask=p.mask)


def _dvts(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return dvts_allocation(p.scores, n, beam_width=s.beam_width, mask=p.mask)


def _rebase(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return rebase_allocation(p.scores, n, temperature=s.temperature, mask=p.mask)


def _rebase_sequential(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return rebase_sequential_allocation(p.scores, n, temperature=s.temperature, mask=p.mask)


def _dora(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return apportion(_unlike(p, s, uniqueness, uniqueness_from_similarity), n, mask=p.mask)


def _magnitude(p: Problems, n: Array, s: Settings, most: int) -> Array:
    weights = _unlike(p, s, magnitude_weighting, magnitude_weighting_from_similarity)
    return apportion(weights, n, mask=p.mask)


def _optimal(p: Problems, n: Array, s: Settings, most: int) -> Array:
    w = quality_weights(p.scores, s.temperature, mask=p.mask)
    return optimal_allocation(w, p.concentration, n, mask=p.mask)


def _direction_optimal(p: Problems, n: Array, s: Settings, most: int) -> Array:
    q = _pooled(p, s)
    return direction_allocation(q, p.directions, p.concentration, n, mask=p.mask)


def _correlated(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return _shared(p, _pooled(p, s), n, most)


def _oracle(p: Problems, n: Array, s: Settings, most: int) -> Array:
    return _shared(p, jnp.asarray(p.quality), n, most)


CONTENDERS: dict[str, Rule] = {
    "temperature": _temperature,
    "beam": _beam,
    "dvts": _dvts,
    "rebase": _rebase,
    "rebase-sequential": _rebase_sequential,
    "dora": _dora,
    "magnitude": _magnitude,
    "optimal": _optimal,
    "direction-optimal": _direction_optimal,
    "correlated": _correlated,
    ORACLE: _oracle,
}
