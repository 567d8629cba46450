"""The best of all ways to split a budget, by dynamic programming: what greedy rules must equal."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def least_sum(table: Float[Array, "n parts size"], budget: Int[Array, " n"]) -> Float[Array, " n"]:
    """Least sum of one entry a part, over all ways to split the budget over the parts.

    Args:
        table: entry of each part after 0 … size - 1 rollouts; ∞ for what is not allowed.
        budget: below `size`.

    Returns:
        The least sum, ∞ if nothing is allowed.
    """
    size = table.shape[-1]
    # other[n, b] is what is left of n when b are spent, -1 where that is too much.
    other = jnp.arange(size)[:, None] - jnp.arange(size)
    best = table[:, 0]
    for j in range(1, table.shape[1]):
        sums = best[:, other] + table[:, j, None, :]
        best = jnp.where(other >= 0, sums, jnp.inf).min(-1)
    return jnp.take_along_axis(best, budget[:, None], -1)[:, 0]
