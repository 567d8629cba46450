r"""One budget for many problems where every outcome is seen: index policy, value and bounds.

A verified success ends a problem. Then 'roll the unsolved problem, and its candidate, with the
largest v times posterior mean' is optimal among all adaptive policies, for every budget at once, as
long as hazards fall along failures (theory 7.2), which they do under independent Beta candidates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import as_mask, check_type, check_whole, host_mask, is_host
from dora_theory._domains import budget_domain
from dora_theory.allocation.instances import Instance, checked_problems, over_batch
from dora_theory.allocation.marginals import BetaHazards, KnownHazards
from dora_theory.kernels.divisor_pallas import allocate
from dora_theory.kernels.varying import varying_with
from dora_theory.model.priors import BetaPrior, KnownPrior

Prior = BetaPrior | KnownPrior


class Step(NamedTuple):
    """Where the next rollout goes, int32, shape `(...)`; -1 where every problem is solved."""

    problem: Int[Array, "*batch"]
    candidate: Int[Array, "*batch"]


class Tapes(NamedTuple):
    """The first hazards of each problem, merged over candidates.

    Attributes:
        hazards: h_1 ≥ h_2 ≥ …, shape `(..., m, n)`.
        candidates: whose they are, int32, shape `(..., m, n)`.
        failure: F(0), F(1), …, F(n), shape `(..., m, n + 1)`.
    """

    hazards: Float[Array, "*batch m n"]
    candidates: Int[Array, "*batch m n"]
    failure: Float[Array, "*batch m n1"]


def index_policy(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior,
    *,
    solved: Bool[ArrayLike, "*#batch m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Step:
    """The next rollout of the optimal adaptive policy: the largest v times posterior mean.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: what is believed now (after the failures so far: `BetaPrior.after_failures`), a and b
            of shape `(..., m, k)`.
        solved: problems that are done, shape `(..., m)`.
        mask: boolean `(..., m, k)`, false for padding.

    Returns:
        `Step(problem, candidate)`; ties go to the lowest problem, then the lowest candidate.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> int(dt.index_policy(1.0, prior).problem)
        0

    Source: theory 7.2.
    """
    check_type("prior", prior, BetaPrior)
    problem, batch = checked_problems(values, prior, mask=mask)
    done = None if solved is None else ~host_mask(solved, "solved")
    todo = as_mask(done, problem.low.shape, "solved")
    return over_batch(_first, batch, problem, todo)


def _first(x: Instance, todo: Bool[Array, " m"]) -> Step:
    h = x.hazards
    assert isinstance(h, BetaHazards)
    index = jnp.exp(x.log_value)[:, None] * h.at(jnp.zeros((), jnp.int32))
    open_ = todo[:, None] & h.mask
    best = jnp.argmax(jnp.where(open_, index, -1)).astype(jnp.int32)
    k = h.shape[-1]
    return Step(*(jnp.where(open_.any(), of, -1) for of in (best // k, best % k)))


def index_allocation(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior,
    total: Real[ArrayLike, "*#batch"],
    *,
    min_rollouts: Real[ArrayLike, "*#batch #m"] = 0,
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> Int[Array, "*batch m k"]:
    """The next N rollouts of the index policy if all of them fail: the N largest v h.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: what is believed now, a and b of shape `(..., m, k)`.
        total: N, scalar or shape `(...)`; at most 2^22 in float32.
        min_rollouts: floors.
        max_rollouts: caps.
        mask: boolean `(..., m, k)`.

    Returns:
        Rollouts by candidate, int32 `(..., m, k)`, of sum N unless caps forbid it; equal quotients
        v a / (a + b + r) are a tie, to the lowest problem, then the lowest candidate.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.index_allocation(1.0, prior, 6)
        Array([[6],
               [0]], dtype=int32)

    Source: theory 7.2b.
    """
    check_type("prior", prior, BetaPrior)
    problem, batch = checked_problems(values, prior, total, min_rollouts, max_rollouts, mask=mask)
    # All candidates are one row, whose counts have to be numbers of the dtype.
    within = budget_domain(problem.log_value.dtype)
    if is_host(total):
        within.check("total", host_array(total))
    bad = problem.bad | within.fails(problem.total)[..., None]
    problem = problem._replace(bad=bad, total=jnp.where(bad.any(-1), 0, problem.total))
    return over_batch(by_index, batch, problem)


def by_index(x: Instance) -> Int[Array, "m k"]:
    """`index_allocation` of one instance: the largest quotients, none beyond its cap."""
    h = x.hazards
    assert isinstance(h, BetaHazards)
    base = h.split(x.low)
    room = x.high - x.low
    a, size = jnp.exp(x.log_value)[:, None] * h.a, h.a + h.b + base
    shape = h.shape

    def shared(capped: Array) -> Array:
        """The largest among the problems that are not at their caps, beside the caps."""
        counts = allocate(h.a, size, jnp.where(capped, room, 0), h.mask)
        left = x.total - x.low.sum() - jnp.where(capped, room, 0).sum()
        free = (h.mask & ~capped[:, None]).reshape(-1)
        # Without a free candidate there is no row to give anything to.
        left = jnp.where(free.any(), jnp.maximum(left, 0), 0).astype(jnp.int32)
        rest = allocate(a.reshape(-1), size.reshape(-1), left, free).reshape(shape)
        return counts + jnp.where(free.reshape(shape), rest, 0)

    def more(state: tuple) -> tuple:
        capped, counts, _ = state
        over = ~capped & (counts.sum(-1, dtype=jnp.int32) > room)
        capped = capped | over
        return capped, shared(capped), over.any()

    # What exceeds its cap in a share is at its cap in the end: the level only falls.
    none = room <= 0
    start = none, shared(none), jnp.bool_(True)
    return base + jax.lax.while_loop(lambda s: s[2], more, varying_with(start, x))[1]


def problem_hazards(
    prior: Prior, depth: int, *, mask: Bool[ArrayLike, "*#batch #m #k"] | None = None
) -> Tapes:
    """The first hazards of each problem, its candidates merged in descending order.

    Args:
        prior: `BetaPrior` with a and b of shape `(..., m, k)` or `KnownPrior`.
        depth: n, how many; memory is m k n numbers.
        mask: boolean `(..., m, k)`.

    Returns:
        `Tapes`; ties go to the lowest candidate.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> np.asarray(dt.problem_hazards(prior, 3).hazards, float).round(3)
        array([[0.5  , 0.333, 0.25 ],
               [0.1  , 0.083, 0.071]])

    Source: theory 7, notation.
    """
    n = check_whole("depth", depth, 0)
    problem, batch = checked_problems(1.0, prior, mask=mask)
    return Tapes(*over_batch(tapes, batch, problem, each=True, n=n))


def tapes(x: Instance, n: int) -> tuple[Array, Array, Array]:
    """Hazards, candidates and failures of one instance, as `problem_hazards`."""
    h, r = x.hazards, jnp.arange(n)
    if isinstance(h, KnownHazards):
        hazards = jnp.broadcast_to(h.p, (h.p.shape[0], n))
        miss, whose = 1 - hazards, jnp.zeros(hazards.shape, jnp.int32)
    else:
        m = h.shape[0]
        a, b = h.a[..., None], h.b[..., None] + r
        every = jnp.where(h.mask[..., None], a / (a + b), -1)
        missed = jnp.broadcast_to(b / (a + b), every.shape)
        order = jnp.argsort(-every.reshape(m, -1), axis=-1, stable=True)[:, :n]
        hazards = jnp.take_along_axis(every.reshape(m, -1), order, -1)
        miss = jnp.take_along_axis(missed.reshape(m, -1), order, -1)
        hazards = jnp.maximum(hazards, 0)
        whose = (order // max(n, 1)).astype(jnp.int32)
    # Not the exponential of a sum, whose derivative is none where a success is sure.
    start = jnp.ones((h.shape[0], 1), miss.dtype)
    failure = jnp.concatenate([start, jnp.cumprod(miss, -1)], -1)
    return hazards, whose, failure
