r"""Rules of the literature for one budget over many problems, each as its source states it.

They are rows to compare the optimum of `dora_theory.allocation.across` with, not advice: theory 7.3
says what each leaves unsolved. All of them take the largest of some falling sequence per problem.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, host_count
from dora_theory._domains import COUNT, SHARE, Domain
from dora_theory.allocation.across import allocate_problems
from dora_theory.allocation.instances import NO_CAP, Limits, checked_limits, summed, voided
from dora_theory.kernels.varying import varying_with
from dora_theory.model.priors import BetaPrior

Count = Real[ArrayLike, "*#batch #m"]
Sequence = Callable[[Array], Array]


def level_allocation(
    attempts: Count,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Count = 0,
    max_rollouts: Count | None = None,
) -> Int[Array, "*batch m"]:
    """The next rollouts of round robin: always to the problem with the fewest attempts.

    From no attempts this is the uniform allocation, the optimum of a common prior (theory 7.1f);
    with the solved problems at cap 0 it is the optimal policy of exchangeable ones (theory 7.2c).

    Args:
        attempts: rollouts so far, integers ≥ 0, shape `(..., m)`.
        total: N in [0, 2^30], scalar or shape `(...)`.
        min_rollouts: floors of what is given now.
        max_rollouts: caps of what is given now.

    Returns:
        int32 `(..., m)`, of sum N unless caps forbid it; ties go to the lowest problem.

    Raises:
        ValueError: counts out of range, floors above caps or above N, shapes that do not fit.

    Examples:
        >>> dt.level_allocation(np.array([0, 2, 5]), 6)
        Array([4, 2, 0], dtype=int32)

    Source: theory 7.2c.
    """
    start = Argument(attempts, "", COUNT)
    return _run(_round_robin, "attempts", start, total, min_rollouts, max_rollouts)


def neyman_allocation(
    chance: Count,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Count = 0,
    max_rollouts: Count | None = None,
) -> Int[Array, "*batch m"]:
    """Integers for n ∝ √(p(1 - p)), which makes the variance Σ p(1 - p)/n smallest.

    The divisor method of Huntington and Hill, divisors √(n(n + 1)): every problem with
    0 < p < 1 has one rollout before any has two, the largest p(1 - p) first.

    Args:
        chance: p in [0, 1], shape `(..., m)`.
        total: N in [0, 2^30], scalar or shape `(...)`.
        min_rollouts: floors.
        max_rollouts: caps.

    Returns:
        int32 `(..., m)`, of sum N unless caps forbid it; ties go to the lowest problem.

    Raises:
        ValueError: as `level_allocation`; p outside [0, 1].

    Examples:
        >>> dt.neyman_allocation(np.array([0.1, 0.5, 0.9]), 12)
        Array([3, 6, 3], dtype=int32)

    Source: theory 7.3; Neyman (1934), Wright, The American Statistician 66 (2012).
    """
    p = Argument(chance, "", SHARE)
    return _run(_neyman, "chance", p, total, min_rollouts, max_rollouts)


def knapsack_rl_allocation(
    chance: Count,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Count = 0,
    max_rollouts: Count | None = None,
) -> Int[Array, "*batch m"]:
    """Knapsack RL's objective Σ w(1 - p^n - q^n), w = p q², by greedy densities.

    One rollout alone gains nothing, so that a greedy rule by single increments never starts; here a
    problem opens with two at once, which gain 2pq w. Exact where this spends all, else below the
    optimum by at most a density times what is unspent, which is at most one.

    Args: as `neyman_allocation`.

    Returns:
        int32 `(..., m)`, of sum N unless caps forbid it; ties go to the lowest problem. A last
        rollout that would open a problem alone goes to the best open one instead.

    Raises:
        ValueError: as `level_allocation`; p outside [0, 1].

    Examples:
        >>> dt.knapsack_rl_allocation(np.array([0.1, 0.5, 0.9]), 12)
        Array([7, 5, 0], dtype=int32)

    Source: theory 7.3; arXiv 2509.25849, whose dynamic program starts from one rollout each (use
    `min_rollouts=1`); its formula is quoted from memory and remains to be checked in the paper.
    """
    p = Argument(chance, "", SHARE)
    return _run(_knapsack, "chance", p, total, min_rollouts, max_rollouts)


def hora_allocation(
    right: Count,
    attempts: Count,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Count = 0,
    max_rollouts: Count | None = None,
) -> Int[Array, "*batch m"]:
    """HORA: the committed optimum on posteriors Beta(1 + s, 1 + n - s), solved problems included.

    Its utility counts hits, also on what is solved already: such a problem has the larger first
    marginal. Cap the solved at 0 to count coverage instead.

    Args:
        right: s, shape `(..., m)`.
        attempts: n ≥ s, the G0 rollouts made before, shape `(..., m)`.
        total: N in [0, 2^30], scalar or shape `(...)`.
        min_rollouts: floors.
        max_rollouts: caps.

    Returns:
        int32 `(..., m)`, of sum N unless caps forbid it; ties go to the lowest problem.

    Raises:
        ValueError: as `level_allocation`; s > n.

    Examples:
        >>> dt.hora_allocation(np.array([0, 1, 3]), np.array([4, 4, 4]), 6)
        Array([2, 2, 2], dtype=int32)

    Source: theory 7.3; arXiv 2605.07114, from its abstract: the number of
    rollouts made before is whatever was made.
    """
    one = jnp.ones((1, 1), jnp.result_type(float))
    s, n = host_count("right", right), host_count("attempts", attempts)
    prior = BetaPrior(one, one).after_outcomes(s[..., None], n[..., None])
    found = allocate_problems(
        1.0, prior, total, min_rollouts=min_rollouts, max_rollouts=max_rollouts
    )
    return found.rollouts


def _run(
    rule: Callable,
    name: str,
    given: Argument,
    total: Real[ArrayLike, "*#batch"],
    min_rollouts: Count,
    max_rollouts: Count | None,
) -> Int[Array, "*batch m"]:
    """A rule of one budget on each of a batch of them; -1 throughout where something is bad."""
    of, limits, _ = checked_limits({name: given}, total, min_rollouts, max_rollouts)
    assert isinstance(given.domain, Domain)
    return _each(rule, given.domain, of[name], limits)


@partial(jax.jit, static_argnames=("rule", "domain"))
def _each(rule: Callable, domain: Domain, x: Array, limits: Limits) -> Int[Array, "*batch m"]:
    bad = domain.fails(x, 1) | limits.bad.any(-1)
    x = jnp.where(bad[..., None], 0, x)
    n, low = jnp.where(bad, 0, limits.total), jnp.where(bad[..., None], 0, limits.low)
    given = varying_with((x, n, low, limits.high), bad)
    for _ in bad.shape:
        rule = jax.vmap(rule)
    return voided(rule(*given), bad)


def _topped_up(counts: Array, room: Array, left: Array) -> Int[Array, " m"]:
    """`counts` and `left` more, to the lowest problems that have room."""
    return counts + jnp.clip(left - _before(room, left), 0, room)


def _spent(counts: Array, total: Array) -> Array:
    """Whether counts sum to no more than the total."""
    return summed(counts, total + 1)[-1] <= total


def _before(x: Int[Array, " m"], most: Int[Array, ""]) -> Int[Array, " m"]:
    """Sums of the terms before each, stopped at `most`."""
    return jnp.pad(summed(x, most)[:-1], (1, 0))


def _round_robin(start: Array, total: Array, low: Array, high: Array) -> Int[Array, " m"]:
    def at(level: Array) -> Array:
        return jnp.clip(level - start, low, high)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        below, above = ends
        middle = below + (above - below) // 2
        fits = _spent(at(middle), total)
        return jnp.where(fits, middle, below), jnp.where(fits, above, middle)

    ends = jnp.zeros((), jnp.int32), jnp.int32(NO_CAP)
    level, _ = jax.lax.fori_loop(0, 32, halve, varying_with(ends, (start, total, low, high)))
    counts = at(level)
    following = at(level + 1) - counts
    return _topped_up(counts, following, total - counts.sum(dtype=jnp.int32))


def _largest(keys: Sequence, total: Array, low: Array, high: Array) -> Int[Array, " m"]:
    """The N largest of falling sequences key(0), key(1), … of each problem, by two bisections."""

    def at(level: Array) -> Array:
        """How many keys of each problem reach the level."""

        def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            below, above = ends
            middle = below + (above - below) // 2
            reach = (keys(middle) >= level) & (below < above)
            return jnp.where(reach, middle + 1, below), jnp.where(reach, above, middle)

        most = jnp.maximum(jnp.minimum(high, total), low)
        return jax.lax.fori_loop(0, 32, halve, varying_with((low, most), level))[0]

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        below, above = ends
        middle = below + (above - below) / 2
        fits = _spent(at(middle), total)
        return jnp.where(fits, below, middle), jnp.where(fits, middle, above)

    top = keys(low)
    above = jnp.where(jnp.isfinite(top), top, 0).max() + 1
    bottom = keys(jnp.maximum(jnp.minimum(high, total), low))
    below = jnp.where(jnp.isfinite(bottom), bottom, 0).min() - 1
    below, above = jax.lax.fori_loop(0, 64, halve, (below, above))
    counts = at(above)
    # Keys that only rounding tells apart tie; beyond the last finite key nothing is gained.
    tied = at(below - 8 * jnp.finfo(above.dtype).eps * (1 + jnp.abs(below))) - counts
    left = total - counts.sum(dtype=jnp.int32)
    filled = _topped_up(counts, tied, left)
    return _topped_up(filled, high - filled, total - filled.sum(dtype=jnp.int32))


def _neyman(p: Array, total: Array, low: Array, high: Array) -> Int[Array, " m"]:
    size = jnp.log(p * (1 - p)) / 2

    def keys(n: Array) -> Array:
        x = n.astype(p.dtype)
        # The first divisor is 0: all first rollouts come before all second ones.
        return size - jnp.where(n > 0, jnp.log(jnp.maximum(x, 1) * (x + 1)) / 2, -1e3)

    return _largest(keys, total, low, high)


def _knapsack(p: Array, total: Array, low: Array, high: Array) -> Int[Array, " m"]:
    q = 1 - p
    weight = jnp.log(p) + 2 * jnp.log(q)

    def keys(n: Array) -> Array:
        # Two that open a problem have the density of the third; beside a floor of one the
        # second alone has what both have together.
        x = jnp.maximum(n, 2).astype(p.dtype)
        gain = jnp.logaddexp(x * jnp.log(p) + jnp.log(q), x * jnp.log(q) + jnp.log(p))
        return weight + gain + jnp.where((n == 1) & (low == 1), jnp.log(2.0), 0)

    counts = _largest(keys, total, low, high)
    # A problem with one rollout has half an opening: that one is worth more elsewhere.
    lone = (counts == 1) & (low == 0) & (high > 1)
    open_ = (counts > 1) & (counts < high)
    best = jnp.argmax(jnp.where(open_, keys(counts), -jnp.inf))
    move = lone.any() & open_.any()
    place = jnp.arange(counts.size)
    lost = (place == jnp.argmax(lone)) & move
    return counts - lost + ((place == best) & move)
