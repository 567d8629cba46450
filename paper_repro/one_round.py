"""One round of allocation in the Game of 24, exactly: the ground truth of the engine.

N beams take their first move, a rule gives them B rollouts, and every rollout is then played to its
end by itself. Given the first moves success is 1 - Π (1 - V_i)^{B_i}; over all multisets of first
moves it is a sum of rationals.
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement
from math import factorial, prod

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from dora_theory.search import puzzles
from dora_theory.search.engine import Candidates, Rule
from dora_theory.search.game24 import Nodes, game24

# N slots of m first moves have C(N + m - 1, N) multisets; a puzzle has up to 36 first moves.
_MOST = 200_000


@dataclass(frozen=True)
class OneRound:
    """A rule for the first step, and one rollout each from then on.

    Attributes:
        rule: of the first step.
        above: states with numbers from here on have been shared out already; states are numbered by
            how many numbers they have left.
    """

    rule: Rule
    above: int

    def __call__(self, candidates: Candidates, budget: Int[Array, ""]) -> Int[Array, " slots"]:
        """Rollouts of each candidate."""
        first = jnp.any(candidates.mask & (candidates.directions < self.above))
        each = candidates.mask.astype(jnp.int32)
        return jnp.where(first, self.rule(candidates, budget), each)


def one_round_success(left: puzzles.State, rule: Rule, slots: int) -> Fraction:
    """Success of a puzzle under one round of allocation, with scores free of noise.

    Args:
        left: a puzzle.
        rule: whose rollouts do not depend on the order of candidates, but for ties.
        slots: N.

    Returns:
        The exact probability that at least one rollout ends with 24.

    Raises:
        ValueError: no rollout, or too many multisets of first moves to go through.
    """
    if slots < 1:
        raise ValueError(f"slots = {slots}: needs at least one rollout")
    world, _, number = game24([left])
    first = puzzles.policy(left)
    sets = list(combinations_with_replacement(first, slots)) if len(first) ** slots < 1e9 else []
    if not 0 < len(sets) <= _MOST:
        raise ValueError(f"slots = {slots}: too many combinations of {len(first)} first moves")
    known: dict[puzzles.State, Fraction] = {}
    puzzles.success(left, known)
    nodes = np.array([[number[s] for s in chosen] for chosen in sets], np.int32)

    @jax.jit
    @jax.vmap
    def given(node: Int[Array, " slots"]) -> Int[Array, " slots"]:
        view = world.look(jnp.int32(0), Nodes(node, jnp.zeros(slots)))
        seen = Candidates(view.scores, view.embeddings, view.directions, ~view.finished)
        return rule(seen, jnp.int32(slots))

    total = Fraction(0)
    for chosen, rollouts in zip(sets, np.asarray(given(nodes)).tolist(), strict=True):
        ways = factorial(slots) // prod(map(factorial, Counter(chosen).values()))
        likely = ways * prod((first[s] for s in chosen), start=Fraction(1))
        fails = prod(
            ((1 - known[s]) ** b for s, b in zip(chosen, rollouts, strict=True)),
            start=Fraction(1),
        )
        total += likely * (1 - fails)
    return total
