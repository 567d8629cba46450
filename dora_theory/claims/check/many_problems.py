"""References for one budget over many problems: all allocations, and Bellman's equation."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def hazards(alpha: Array, beta: Array, depth: int) -> Float[Array, "*batch depth"]:
    """A/(a + b + r) for r < depth."""
    return alpha[..., None] / ((alpha + beta)[..., None] + jnp.arange(depth))


def unsolved(hazard: Float[Array, "*batch depth"]) -> Float[Array, "*batch depth1"]:
    """F(0), …, F(depth) as products."""
    one = jnp.ones_like(hazard[..., :1])
    return jnp.concatenate([one, jnp.cumprod(1 - hazard, -1)], -1)


def merged(first: Float[Array, "*batch n"], second: Float[Array, "*batch n"]) -> Array:
    """F of a problem with two candidates: the best of all splits, for every number of rollouts."""
    n = first.shape[-1]
    every = [(first[..., : r + 1] * second[..., r::-1][..., : r + 1]).min(-1) for r in range(n)]
    return jnp.stack(every, -1)


def best_committed(
    gain: Float[Array, "n m depth"],
    total: Int[Array, " n"],
    low: Int[Array, "n m"],
    high: Int[Array, "n m"],
) -> Float[Array, " n"]:
    """The largest Σ gain(n_m) over all n of sum `total` between floors and caps; -inf if none."""
    depth = gain.shape[-1]
    here = jnp.arange(depth)
    allowed = (here >= low[..., None]) & (here <= high[..., None])
    tables = jnp.where(allowed, gain, -jnp.inf)
    other = here[:, None] - here
    best = tables[:, 0]
    for m in range(1, gain.shape[1]):
        sums = best[:, other] + tables[:, m, None, :]
        best = jnp.where(other >= 0, sums, -jnp.inf).max(-1)
    return jnp.take_along_axis(best, total[:, None], -1)[:, 0]


# What is rolled: from open problems, flags of the solved ones, to a problem at every state.
Choice = Callable[[tuple[bool, ...]], Int[Array, "*states"]]


def bellman(
    hazard: Float[Array, "n m depth"],
    values: Float[Array, "n m"],
    steps: int,
    choice: Choice | None = None,
) -> Float[Array, " n"]:
    """Value of a policy, or of the best, by the equation over all numbers of failures.

    Args:
        hazard: chance of success after so many failures, shape `(n, m, depth ≥ steps)`.
        values: of solving each problem.
        steps: N.
        choice: the problem rolled at states of shape `(n, steps + 1, …)`, m axes; None for the
            best of all.

    Returns:
        Shape `(n,)`.
    """
    n, m, _ = hazard.shape
    size = steps + 1
    padded = jnp.concatenate([hazard[..., :steps], jnp.zeros((n, m, 1))], -1)
    chance = [
        padded[:, i].reshape(n, *(size if axis == i else 1 for axis in range(m))) for i in range(m)
    ]
    worth = [values[:, i].reshape(n, *(1,) * m) for i in range(m)]
    flags = list(product((False, True), repeat=m))
    chosen = None if choice is None else {f: choice(f) for f in flags if not all(f)}
    value = {f: jnp.zeros((n, *(size,) * m)) for f in flags}
    for _ in range(steps):
        following = {flags[-1]: value[flags[-1]]}
        for f in flags[:-1]:
            best = jnp.zeros_like(value[f])
            for i in (i for i in range(m) if not f[i]):
                done = value[(*f[:i], True, *f[i + 1 :])]
                after = jnp.roll(value[f], -1, i + 1)
                way = chance[i] * (worth[i] + done) + (1 - chance[i]) * after
                if chosen is None:
                    best = jnp.maximum(best, way)
                else:
                    best = jnp.where(chosen[f] == i, way, best)
            following[f] = best
        value = following
    return value[flags[0]].reshape(n, -1)[:, 0]


def exact_bellman(
    hazard: Sequence[Sequence[Fraction]],
    costs: Sequence[int],
    total: int,
    *,
    index: bool,
) -> Fraction:
    """Value of the best policy, or of the index policy, in exact rationals; all values are 1.

    The index of a problem is its hazard over its cost; ties go to the lowest problem, and a problem
    whose rollout no longer fits is not rolled.
    """

    def value(failed: tuple[int | None, ...], left: int) -> Fraction:
        open_ = [i for i, c in enumerate(failed) if c is not None and costs[i] <= left]
        if index and open_:
            open_ = [max(open_, key=lambda i: (hazard[i][failed[i] or 0] / costs[i], -i))]
        ways = [Fraction(0)]
        for i in open_:
            p, rest = hazard[i][failed[i] or 0], left - costs[i]
            solved = (*failed[:i], None, *failed[i + 1 :])
            again = (*failed[:i], (failed[i] or 0) + 1, *failed[i + 1 :])
            ways.append(p * (1 + value(solved, rest)) + (1 - p) * value(again, rest))
        return max(ways) if not index else ways[-1]

    return value((0,) * len(hazard), total)
