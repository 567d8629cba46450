"""How far replayed allocations can be from the best, if scores and similarities are right."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation.joint_certificate import joint_certificate
from dora_theory.model.copula import copula_kernel, copula_prior, repaired
from dora_theory.model.directions import segment_max, segment_sum
from dora_theory.model.magnitude import leaders
from dora_theory.model.similarity import cosine_similarity
from dora_theory.replay.estimate.policies import Batch
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import concentration, quality

# Draws of the latent, and numbers that a table of its moments may hold at once.
_DRAWS, _NUMBERS = 256, 1 << 23
# Correlations this near to 1 are copies.
_COPY = 1e-6


def certified(
    batch: Batch, spent: list[Array], options: Options, seed: int
) -> Float[np.ndarray, "strategies budgets problems"]:
    """Upper bounds on what each allocation lacks, under the copula prior that strategies are given.

    Args:
        batch: the problems.
        spent: rollouts by each strategy, `(budgets, problems, k)`.
        options: of the strategies: T_b, T_s and κ.
        seed: of the prior's sample.

    Returns:
        The regret bound F (1 - e^-G) of theory 8.1.7, by 256 draws of the latent, of what each
        allocation spends on copies taken together: they count as one candidate.
    """
    table = jnp.stack([jnp.asarray(x) for x in spent])
    problems, count, k = batch.problems(), *batch.scores.shape
    most = int(np.asarray(table).sum(-1).max(initial=0))
    size = max(1, _NUMBERS // (_DRAWS * k * (most + 2)))
    parts = []
    for start in range(0, count, size):
        # The last ones again, so that all parts have one shape.
        rows = np.minimum(np.arange(start, start + size), count - 1)
        part = jax.tree.map(lambda x, rows=rows: x[rows], problems)
        found = _regrets(jax.random.key(seed), part, table[:, :, rows], options, most)
        parts.append(np.asarray(found)[..., : min(size, count - start)])
    return np.concatenate(parts, -1)


@partial(jax.jit, static_argnames=("options", "most"))
def _regrets(
    key: Array, problems: Problems, spent: Array, options: Options, most: int
) -> Float[Array, "strategies budgets problems"]:
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
    prior = copula_prior(key, w, kappa, c, most + 1, num_draws=_DRAWS)

    def regret(given: Array) -> Array:
        merged = segment_sum(given, leader, w.shape[-1])
        return joint_certificate(prior, merged).regret

    flat = spent.reshape(-1, *spent.shape[-2:])
    return jax.lax.map(regret, flat).reshape(*spent.shape[:2], -1)
