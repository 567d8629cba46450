"""The strategies that can be replayed, each over a padded batch of problems at every budget."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.grade.answers import NONE
from dora_theory.replay.options import ReplayOptions
from dora_theory.strategies.allocate import check_spent, spend
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import STRATEGIES, Strategy


class Batch(NamedTuple):
    """Candidates of several problems, padded to the same k.

    Attributes:
        scores: shape `(problems, k)`.
        embeddings: shape `(problems, k, e)`.
        directions: shape `(problems, k)`.
        correct: shape `(problems, k)`.
        mask: false for padding, shape `(problems, k)`.
        num_directions: g, as large as the largest problem needs.
        answers: as of `Candidates`, `answers.NONE` for padding; None if no vote is asked for.
        final: likewise, 0 for padding.
        keys: a number for each problem, for what is drawn at random.
        costs: of a rollout of each candidate, 1 for padding, shape `(problems, k)`; None if budgets
            are of rollouts.
    """

    scores: Float[np.ndarray, "problems k"]
    embeddings: Float[np.ndarray, "problems k e"]
    directions: Int[np.ndarray, "problems k"]
    correct: Bool[np.ndarray, "problems k"]
    mask: Bool[np.ndarray, "problems k"]
    num_directions: int
    answers: Int[np.ndarray, "problems k"] | None = None
    final: Float[np.ndarray, "problems k"] | None = None
    keys: tuple[int, ...] = ()
    costs: Float[np.ndarray, "problems k"] | None = None

    def problems(self) -> Problems:
        """What strategies see of them: everything but the outcomes."""
        return Problems(
            scores=jnp.asarray(self.scores),
            embeddings=jnp.asarray(self.embeddings),
            directions=jnp.asarray(self.directions),
            costs=None if self.costs is None else jnp.asarray(self.costs),
            mask=jnp.asarray(self.mask),
            num_directions=self.num_directions,
        )


def pad(problems: Sequence[Candidates], at_least: tuple[int, int, int] = (0, 0, 0)) -> Batch:
    """One batch of at least one problem.

    Args:
        problems: in order.
        at_least: how large k, e and g are at least, for batches of one shape.

    Returns:
        The batch; padding has score 0 and some embedding that is not 0.
    """
    count = len(problems)
    k = max(at_least[0], *(len(p.scores) for p in problems))
    e = max(at_least[1], *(p.embeddings.shape[1] for p in problems))
    g = max(at_least[2], *(int(p.directions.max()) + 1 for p in problems))
    scores = np.zeros((count, k))
    embeddings = np.zeros((count, k, e))
    embeddings[..., 0] = 1
    directions = np.zeros((count, k), dtype=np.int32)
    correct, mask = np.zeros((2, count, k), dtype=bool)
    for i, p in enumerate(problems):
        size, width = p.embeddings.shape
        scores[i, :size] = p.scores
        embeddings[i, :size, 0] = 0
        embeddings[i, :size, :width] = p.embeddings
        directions[i, :size] = p.directions
        correct[i, :size] = p.correct
        mask[i, :size] = True
    keys = tuple(p.key for p in problems)
    costs = None if problems[0].costs is None else np.ones((count, k))
    if costs is not None:
        for i, p in enumerate(problems):
            costs[i, : len(p.scores)] = p.costs
    if problems[0].answers is None:
        return Batch(scores, embeddings, directions, correct, mask, g, keys=keys, costs=costs)
    answers, final = np.full((count, k), NONE), np.zeros((count, k))
    for i, p in enumerate(problems):
        answers[i, : len(p.scores)] = p.answers
        final[i, : len(p.scores)] = p.final
    return Batch(scores, embeddings, directions, correct, mask, g, answers, final, keys, costs)


def pooled(strategy: Strategy, batch: Batch) -> Batch:
    """The batch as outcomes of a strategy are estimated from it.

    Temperature sampling picks candidates blindly: which of them come first is chance, and the mean
    over all choices is that of drawing N of all logged continuations, as if of one direction.

    Args:
        strategy: one of the options' strategies.
        batch: the problems.

    Returns:
        The batch, for a blind strategy with one direction for each problem.
    """
    if not strategy.blind:
        return batch
    return batch._replace(directions=np.zeros_like(batch.directions))


def allocate(
    strategy: Strategy, batch: Batch, options: ReplayOptions
) -> Int[Array, "budgets problems k"]:
    """What a strategy gives to every candidate at every budget; it sees no outcome.

    Args:
        strategy: one of the options' strategies.
        batch: the problems.
        options: budgets, temperatures, beam width, κ.

    Returns:
        int32, each row with sum N, or within its cost, nothing for padding.

    Raises:
        ValueError: a rule of a user's own made no allocation of a problem.
    """
    problems, budgets = batch.problems(), np.array(options.budgets)
    given = options.of_strategies()
    if strategy.name in STRATEGIES:
        return _at_budgets(problems, budgets, given, strategy, options.by_cost)
    # A rule of a user's own may be of NumPy, which cannot be traced.
    found = jnp.stack(
        [spend(strategy, problems, n, given, by_cost=options.by_cost)[0] for n in budgets]
    )
    check_spent(strategy, found)
    return found


@partial(jax.jit, static_argnames=("options", "strategy", "by_cost"))
def _at_budgets(
    problems: Problems, budgets: Array, options: Options, strategy: Strategy, by_cost: bool
) -> Int[Array, "budgets problems k"]:
    """Weights are computed once for all budgets: they do not depend on them."""

    def at(n: Array) -> Array:
        return spend(strategy, problems, n, options, by_cost=by_cost)[0]

    return jax.vmap(at)(budgets)
