r"""Batches that are fixed, then seen: what R rounds can reach, and what the first of them rolls.

A problem that is planned at depths s_1 ≤ … ≤ s_R is rolled s_r - s_{r-1} times in round r if it is
still unsolved then. At a price λ of a rollout the best depths are a dynamic program over depths,

    G_0(s) = v(1 - F(s)),   G_r(s) = max_{t ≥ s} [G_{r-1}(t) - λ (t - s) F(s)],

and λN + Σ G_R(0) bounds every policy of R rounds (theory 7.2f).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_number, check_whole
from dora_theory._domains import NOT_NEGATIVE
from dora_theory.allocation.adaptive import Prior, tapes
from dora_theory.allocation.instances import Instance, checked_problems, over_batch

# Halvings of the log price: the bound is flat at its minimum.
_HALVINGS = 60


class RoundsPlan(NamedTuple):
    """A plan of R rounds at the price where its expected cost is the budget.

    Attributes:
        first: rollouts of each problem in the first round, int32, shape `(..., m)`.
        bound: what no policy of R rounds exceeds, shape `(...)`.
        price: λ, shape `(...)`.
        cost: expected rollouts of all rounds at that price, shape `(...)`; at most the budget.
    """

    first: Int[Array, "*batch m"]
    bound: Float[Array, "*batch"]
    price: Float[Array, "*batch"]
    cost: Float[Array, "*batch"]


def rounds_plan(
    values: Real[ArrayLike, "*#batch #m"],
    prior: Prior,
    total: int,
    rounds: int,
    *,
    depth: int,
    multiplicity: Real[ArrayLike, " #m"] = 1,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> RoundsPlan:
    """First stages of R rounds at the price where all of them cost N, and the bound of R rounds.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: what is believed now: `BetaPrior`, a and b of shape `(..., m, k)`, or `KnownPrior`.
        total: N, the budget left for all rounds.
        rounds: R ≥ 1; 1 is a committed batch, whose exact optimum is `allocate_problems`.
        depth: S, the deepest that a problem may be rolled. Time O(m R S²), memory O(m S²).
        multiplicity: how many problems each row stands for.
        mask: boolean `(..., m, k)`.

    Returns:
        `RoundsPlan`. The first stages are those of the price just above the budget's, so that
        their expected cost does not exceed it.

    Raises:
        ValueError: as `allocate_problems`; R below 1.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[0.42]]), np.array([[0.55]]))
        >>> plan = dt.rounds_plan(1.0, prior, 400, 2, depth=32, multiplicity=100)
        >>> plan.first, round(float(plan.bound), 1)
        (Array([2], dtype=int32), 71.7)

    Source: theory 7.2f.
    """
    n, r = check_whole("total", total, 0), check_whole("rounds", rounds, 1)
    s = check_whole("depth", depth, 1, 1 << 14)
    problem, batch, many = checked_problems(
        values, prior, mask=mask, multiplicity=Argument(multiplicity, "", NOT_NEGATIVE)
    )
    # Not static: every round of a harness has another N.
    budget = jnp.broadcast_to(jnp.asarray(n, problem.log_value.dtype), batch)
    return RoundsPlan(*over_batch(_planned, batch, problem, many, budget, rounds=r, depth=s))


def rounds_bound(
    values: Real[ArrayLike, "*#batch #m"],
    prior: Prior,
    total: int,
    rounds: int,
    price: float,
    *,
    depth: int,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Float[Array, "*batch"]:
    """λN + Σ G_R(0): an upper bound of every policy of R rounds, for any λ ≥ 0.

    Args:
        values: as `rounds_plan`.
        prior: the same.
        total: the same.
        rounds: the same.
        price: λ.
        depth: S ≥ N for a bound of all policies; below it one of those that go no deeper.
        mask: as `rounds_plan`.

    Returns:
        The bound, shape `(...)`.

    Raises:
        ValueError: as `rounds_plan`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[0.42]]), np.array([[0.55]]))
        >>> round(float(dt.rounds_bound(1.0, prior, 4, 2, 0.02, depth=32)), 3)
        0.732

    Source: theory 7.2f.
    """
    n, r = check_whole("total", total, 0), check_whole("rounds", rounds, 1)
    s = check_whole("depth", depth, 1, 1 << 14)
    check_number("price", price, 0)
    problem, batch = checked_problems(values, prior, mask=mask)
    at = jnp.broadcast_to(jnp.asarray(price, problem.log_value.dtype), batch)
    return over_batch(_bounded, batch, problem, at, n=n, rounds=r, depth=s)


def _bounded(x: Instance, price: Array, *, n: int, rounds: int, depth: int) -> Array:
    failure = tapes(x, depth)[2]
    return price * n + _stages(jnp.exp(x.log_value), failure, price, rounds)[0].sum()


def _stages(value: Array, failure: Array, price: Array | float, rounds: int) -> tuple:
    """G_R(0), depth of the first stage and expected cost of all stages, of each problem."""
    depth = failure.shape[-1]
    here = jnp.arange(depth)
    step = (here[None, :] - here[:, None])[None]
    gain = value[:, None] * (1 - failure)
    cost = jnp.zeros_like(gain)
    first = jnp.zeros(gain.shape, jnp.int32)
    for _ in range(rounds):
        spent = step * failure[:, :, None]
        net = jnp.where(step >= 0, gain[:, None, :] - price * spent, -jnp.inf)
        # The shallowest of equal ones: it costs the least.
        first = jnp.argmax(net, -1).astype(jnp.int32)
        gain = jnp.take_along_axis(net, first[..., None], -1)[..., 0]
        spent = jnp.take_along_axis(spent, first[..., None], -1)[..., 0]
        cost = spent + jnp.take_along_axis(cost, first, -1)
    return gain[:, 0], first[:, 0], cost[:, 0]


def _planned(x: Instance, many: Array, n: Array, *, rounds: int, depth: int) -> tuple:
    hazards, _, failure = tapes(x, depth)
    value = jnp.exp(x.log_value)

    def at(log_price: Array) -> tuple:
        gain, first, cost = _stages(value, failure, jnp.exp(log_price), rounds)
        bound = jnp.exp(log_price) * n + (many * gain).sum()
        return first, (many * cost).sum(), bound

    def halve(_: int, ends: tuple) -> tuple:
        low, high = ends
        middle = (low + high) / 2
        fits = at(middle)[1] <= n
        return jnp.where(fits, low, middle), jnp.where(fits, middle, high)

    # Above the dearest first rollout nothing is bought.
    top = jnp.log(jnp.maximum((value[:, None] * hazards).max(), 1e-30)) + 1e-3
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (top - 80, top))
    first, cost, bound = at(high)
    return first, jnp.minimum(bound, at(low)[2]), jnp.exp(high), cost
