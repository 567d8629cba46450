"""How far replayed allocations can be from the best, if scores and similarities are right."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dora_theory.allocation.joint_certificate import joint_certificate
from dora_theory.model.copula import copula_kernel, copula_prior, repaired
from dora_theory.model.directions import segment_max
from dora_theory.model.joint import JointPrior
from dora_theory.model.magnitude import leaders
from dora_theory.model.similarity import cosine_similarity
from dora_theory.replay.estimate.policies import Batch
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import concentration, quality

# Draws of the latent, and numbers that tables of its moments may hold at once.
_DRAWS, _NUMBERS = 256, 1 << 23
# Allocations of a problem that are bounded by one call.
_ALLOCATIONS = 64
# Correlations this near to 1 are copies.
_COPY = 1e-6


def certified(
    batch: Batch, spent: list[Array], options: Options, seed: int
) -> Float[np.ndarray, "strategies budgets problems"]:
    """Upper bounds on what each allocation lacks, under the copula prior that strategies are given.

    Args:
        batch: the problems; those that differ in the order of candidates alone share one prior.
        spent: rollouts by each strategy, `(budgets, problems, k)`.
        options: of the strategies: T_b, T_s and κ.
        seed: of the prior's sample.

    Returns:
        The regret bound F (1 - e^-G) of theory 8.1.7, by 256 draws of the latent, of what each
        allocation spends on copies taken together: they count as one candidate.
    """
    table = np.stack([np.asarray(x) for x in spent])
    order, first, owner = _different(batch)
    table = np.take_along_axis(table, order[None, None], -1)
    most, k = int(table.sum(-1).max(initial=0)), table.shape[-1]
    size = max(1, _NUMBERS // (_DRAWS * k * (most + 2)))
    found = np.empty(table.shape[:-1])
    for start in range(0, len(first), size):
        # The last ones again, so that all parts have one shape.
        rows = first[np.minimum(np.arange(start, start + size), len(first) - 1)]
        part = jax.tree.map(partial(_at, rows, order[rows]), batch.problems())
        prior, leader = _prior(jax.random.key(seed), part, options, most)
        inside = (owner >= start) & (owner < start + size)
        found[..., inside] = _regrets(
            prior, np.asarray(leader), owner[inside] - start, table[:, :, inside]
        )
    return found


def _different(
    batch: Batch,
) -> tuple[Int[np.ndarray, "problems k"], Int[np.ndarray, " n"], Int[np.ndarray, " problems"]]:
    """An order of each problem's candidates that is the same however they come.

    Returns:
        The order, a row for each of the n different problems, and which one each row is.
    """
    seen: dict[bytes, int] = {}
    order = np.empty(batch.scores.shape, int)
    first: list[int] = []
    owner: list[int] = []
    for i, (scores, vectors, mask) in enumerate(
        zip(batch.scores, batch.embeddings, batch.mask, strict=True)
    ):
        columns = np.column_stack([~mask, scores, vectors])
        order[i] = np.lexsort(columns.T[::-1])
        content = columns[order[i]].tobytes()
        if content not in seen:
            seen[content] = len(first)
            first.append(i)
        owner.append(seen[content])
    return order, np.array(first), np.array(owner)


def _at(rows: np.ndarray, order: np.ndarray, x: Array) -> Array:
    """Some problems, each in its order."""
    wide = order.reshape(*order.shape, *(1,) * (x.ndim - 2))
    return jnp.take_along_axis(x[rows], wide, 1)


@partial(jax.jit, static_argnames=("options", "most"))
def _prior(key: Array, problems: Problems, options: Options, most: int) -> tuple[JointPrior, Array]:
    """The prior of each problem, and the copy that each candidate counts as."""
    mask = problems.mask
    w = quality(problems, options)
    s = cosine_similarity(problems.embeddings, mask=mask)
    c = copula_kernel(s, options.similarity_temperature, mask=mask)
    # Copies are one candidate, of the best score among them: given what they share it succeeds
    # whenever another does.
    leader = leaders(c, mask, _COPY)
    leads = mask & (leader == jnp.arange(w.shape[-1]))
    w = jnp.where(leads, segment_max(w, leader, w.shape[-1]), 0)
    both = leads[..., :, None] & leads[..., None, :]
    c, _ = repaired(jnp.where(both | jnp.eye(w.shape[-1], dtype=bool), c, 0))
    kappa = jnp.asarray(concentration(problems, options))
    return copula_prior(key, w, kappa, c, most + 1, num_draws=_DRAWS), leader


def _regrets(
    prior: JointPrior,
    leader: Int[np.ndarray, "n k"],
    owner: Int[np.ndarray, " problems"],
    table: Int[np.ndarray, "strategies budgets problems k"],
) -> Float[np.ndarray, "strategies budgets problems"]:
    """The bound of each allocation; of those that rules and orders have in common it is one."""
    k = table.shape[-1]
    of = np.broadcast_to(owner, table.shape[:-1]).reshape(-1)
    merged = np.zeros((of.size, k), table.dtype)
    place = np.arange(of.size)[:, None]
    np.add.at(merged, (place, leader[of]), table.reshape(-1, k))
    pairs, which = np.unique(np.column_stack([of, merged]), axis=0, return_inverse=True)
    found = np.empty(len(pairs))
    for i in np.unique(of):
        rows = np.flatnonzero(pairs[:, 0] == i)
        for start in range(0, rows.size, _ALLOCATIONS):
            # The last one again, so that all calls have one shape.
            some = rows[np.minimum(np.arange(start, start + _ALLOCATIONS), rows.size - 1)]
            found[some] = _regret(prior, i, pairs[some, 1:])
    return found[which.reshape(-1)].reshape(table.shape[:-1])


@jax.jit
def _regret(prior: JointPrior, i: Array, merged: Array) -> Float[Array, " allocations"]:
    return joint_certificate(jax.tree.map(lambda x: x[i], prior), merged).regret
