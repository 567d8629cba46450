"""Whom rollouts descend from: how far repeated allocation concentrates a search (theory 6.1)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dora_theory.model.directions import segment_sum
from dora_theory.model.quality import masked_softmax
from dora_theory.search.engine import Trace, View


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Unchanging:
    """A world after whose first step nothing is written any more: copies keep their score.

    What theory 6.1 supposes, in integer rollouts; the first step is that of the world itself.

    Attributes:
        world: whose first step.
    """

    world: Any

    @property
    def steps(self) -> int:
        """The world's."""
        return self.world.steps

    @property
    def answers(self) -> int:
        """The world's."""
        return self.world.answers

    def start(self, key: Array, problem: Any, slots: int) -> Any:
        """Empty solutions."""
        return self.world.start(key, problem, slots)

    def extend(self, key: Array, problem: Any, state: Any, step: Array) -> Any:
        """The first step of each; later they stay as they are."""
        after = self.world.extend(key, problem, state, step)
        return jax.tree.map(lambda new, old: jnp.where(step == 0, new, old), after, state)

    def look(self, problem: Any, state: Any) -> View:
        """What the world shows."""
        return self.world.look(problem, state)


class Concentration(NamedTuple):
    """Effective numbers, 1 / Σ share² (Simpson's), of what the rollouts of each step go to.

    Attributes:
        candidates: of those candidates of the first step that they descend from, shape `(steps,)`.
        directions: of the directions at that step, shape `(steps,)`.
    """

    candidates: Float[Array, " steps"]
    directions: Float[Array, " steps"]


def ancestors(trace: Trace) -> Int[Array, "steps slots"]:
    """The slot of the first step from which each slot of each step descends."""
    first = jnp.arange(trace.parents.shape[-1], dtype=jnp.int32)
    later = jax.lax.scan(lambda of, parents: (of[parents], of), first, trace.parents)
    return later[1]


def concentration(trace: Trace) -> Concentration:
    """How far each allocation of a search is concentrated; 0 where nothing was shared out.

    Args:
        trace: the search.

    Returns:
        Effective numbers at each step.
    """

    def of_step(given: Array, owner: Array) -> Array:
        total = segment_sum(given, owner, given.size)
        squares = jnp.maximum((total**2).sum(), jnp.finfo(total.dtype).tiny)
        return given.sum() ** 2 / squares

    given = trace.allocation.astype(trace.view.scores.dtype)
    # The first slot of a direction stands for it: labels may be any integers.
    alike = trace.view.directions[:, :, None] == trace.view.directions[:, None, :]
    owners = ancestors(trace), jnp.argmax(alike, -1)
    return Concentration(*(jax.vmap(of_step)(given, owner) for owner in owners))


def sharpened_number(
    scores: Float[Array, " slots"], temperature: float, rounds: int
) -> Float[Array, " rounds"]:
    """Effective number of candidates after each round, if copies keep their score.

    Args:
        scores: of the first step.
        temperature: T_b.
        rounds: t runs from 1 to this.

    Returns:
        1 / Σ share² of shares ∝ w^t, in real numbers.

    Source: theory 6.1.
    """
    t = jnp.arange(1, rounds + 1, dtype=scores.dtype)
    gap = t[:, None] * (scores - scores.max())
    shares = masked_softmax(gap, jnp.ones_like(gap, bool), temperature)
    return 1 / (shares**2).sum(-1)
