r"""One budget for many problems where every outcome is seen: index policy, value and bounds.

A verified success ends a problem. Then 'roll the unsolved problem, and its candidate, with the
largest v times posterior mean' is optimal among all adaptive policies, for every budget at once, as
long as hazards fall along failures (theory 7.2), which they do under independent Beta candidates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Real, UInt32

from dora_theory._arrays import ArrayLike
from dora_theory._checks import as_mask, check_key, check_type, check_whole, host_mask, is_host
from dora_theory._domains import budget_domain
from dora_theory.allocation.instances import Instance, checked_problems, over_batch, voided
from dora_theory.allocation.marginals import BetaHazards, KnownHazards
from dora_theory.kernels.beta_sampler import sample_log_beta
from dora_theory.kernels.divisor_pallas import allocate
from dora_theory.kernels.varying import varying_with
from dora_theory.model.priors import BetaPrior, KnownPrior

Prior = BetaPrior | KnownPrior
_NEVER = 2**30


class Step(NamedTuple):
    """Where the next rollout goes, int32, shape `(...)`; -1 where every problem is solved.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.index_policy(1.0, prior)
        Step(problem=Array(0, dtype=int32), candidate=Array(0, dtype=int32))
    """

    problem: Int[Array, "*batch"]
    candidate: Int[Array, "*batch"]


class Tapes(NamedTuple):
    """The first hazards of each problem, merged over candidates.

    Attributes:
        hazards: h_1 ≥ h_2 ≥ …, shape `(..., m, n)`.
        candidates: whose they are, int32, shape `(..., m, n)`.
        failure: F(0), F(1), …, F(n), shape `(..., m, n + 1)`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.problem_hazards(prior, 3)._fields
        ('hazards', 'candidates', 'failure')
    """

    hazards: Float[Array, "*batch m n"]
    candidates: Int[Array, "*batch m n"]
    failure: Float[Array, "*batch m n1"]


class AdaptiveBound(NamedTuple):
    """The smallest D(λ) and the price where it is attained, each of shape `(...)`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> dt.adaptive_bound(1.0, prior, 6)._fields
        ('value', 'price')
    """

    value: Float[Array, "*batch"]
    price: Float[Array, "*batch"]


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
        within.check("total", np.asarray(total))
    bad = problem.bad | within.fails(problem.total)[..., None]
    problem = problem._replace(bad=bad, total=jnp.where(bad.any(-1), 0, problem.total))
    return over_batch(_by_index, batch, problem)


def _by_index(x: Instance) -> Int[Array, "m k"]:
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


def adaptive_bound(
    values: Real[ArrayLike, "*#batch #m"],
    prior: Prior,
    total: int,
    *,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
) -> AdaptiveBound:
    """Min over λ of D(λ) = λN + Σ F(j - 1) (v h_j - λ)⁺, above the value of every policy.

    Args:
        values: v > 0, shape `(..., m)` or a scalar.
        prior: as for `problem_hazards`.
        total: N; no problem is given more, so tapes of N hazards decide. Memory m k N numbers.
        mask: boolean `(..., m, k)`.

    Returns:
        `AdaptiveBound(value, price)`.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> round(float(dt.adaptive_bound(1.0, prior, 6).value), 3)
        1.142

    Source: theory 7.2d.
    """
    n = check_whole("total", total, 0)
    problem, batch = checked_problems(values, prior, mask=mask)
    return AdaptiveBound(*over_batch(_bound, batch, problem, n=n))


def _bound(x: Instance, n: int) -> tuple[Array, Array]:
    hazards, _, failure = tapes(x, n)
    gain = (jnp.exp(x.log_value)[:, None] * hazards).reshape(-1)
    chance = failure[:, :n].reshape(-1)
    if n == 0:
        return jnp.zeros_like(x.log_value[0]), jnp.exp(x.log_value).max()
    order = jnp.argsort(-gain, stable=True)
    gain, chance = gain[order], chance[order]
    cost = jnp.cumsum(chance)
    # D falls while the expected cost of what is above the price is less than N.
    place = jnp.minimum(jnp.searchsorted(cost, n), gain.size - 1)
    price = jnp.where(cost[-1] < n, 0, gain[place])
    value = price * n + (chance * jnp.maximum(gain - price, 0)).sum()
    return value, price


def adaptive_value(
    values: Real[ArrayLike, " #m"],
    prior: Prior,
    total: int,
    *,
    mask: Bool[ArrayLike, "#m #k"] | None = None,
) -> float:
    """The expected value of the index policy, exactly, by convolution; for small instances.

    Args:
        values: v > 0, shape `(m,)` or a scalar.
        prior: as for `problem_hazards`, without leading axes.
        total: N. Time grows as m² N³.
        mask: boolean `(m, k)`.

    Returns:
        V(N) in float64; only positive terms are added, so that errors are of rounding.

    Raises:
        ValueError: as `allocate_problems`.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> round(float(dt.adaptive_value(1.0, prior, 6)), 3)
        1.097

    Source: theory 7.2d.
    """
    n = check_whole("total", total, 0)
    problem = _one_set(*checked_problems(values, prior, mask=mask))
    found = over_batch(tapes, (), problem, each=True, n=n)
    hazards, failure = (np.asarray(found[i], float) for i in (0, 2))
    m = hazards.shape[0]
    v = np.broadcast_to(np.asarray(values, float), (m,))
    gain = v[:, None] * hazards
    # Pairs in the order in which the policy comes to them; ties to the lowest problem.
    order = np.argsort(-gain.reshape(-1), kind="stable")
    reached, value = np.zeros(m, int), 0.0
    for pair in order:
        i, j = divmod(int(pair), n)
        spent = np.zeros(n + 1)
        spent[0] = 1
        for other in range(m):
            if other != i:
                spent = np.convolve(spent, _capped(failure[other], reached[other]))[: n + 1]
        value += gain[i, j] * failure[i, j] * spent[: n - j].sum()
        reached[i] += 1
    return float(value)


def _capped(failure: np.ndarray, cap: int) -> np.ndarray:
    """Distribution of min(T, cap), T the rollouts until success."""
    chance = -np.diff(failure[: cap + 1])
    return np.append(np.insert(chance[: cap - 1], 0, 0), failure[cap - 1]) if cap else np.ones(1)


def adaptive_value_estimate(
    key: Key[Array, ""] | UInt32[Array, "2"],
    values: Real[ArrayLike, " #m"],
    prior: BetaPrior,
    total: int,
    samples: int,
    *,
    mask: Bool[ArrayLike, "#m #k"] | None = None,
) -> Float[Array, " samples"]:
    """What the index policy gains in each of several draws of all solving times.

    Args:
        key: of JAX.
        values: v > 0, shape `(m,)` or a scalar.
        prior: a and b of shape `(m, k)`.
        total: N.
        samples: how many draws.
        mask: boolean `(m, k)`.

    Returns:
        Values, shape `(samples,)`, independent: their mean estimates V(N), and their spread says
        how surely. No loop over rollouts: on every tape the policy collects the N largest v h.

    Raises:
        ValueError: as `allocate_problems`.
        TypeError: a key that is none.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> draws = dt.adaptive_value_estimate(jax.random.key(0), 1.0, prior, 6, 1000)
        >>> draws.shape
        (1000,)

    Source: theory 7.2, steps (1) and (2).
    """
    check_key("key", key)
    n, count = check_whole("total", total, 0, 2**30), check_whole("samples", samples, 1)
    check_type("prior", prior, BetaPrior)
    problem = _one_set(*checked_problems(values, prior, n, mask=mask))
    h = problem.hazards
    assert isinstance(h, BetaHazards)
    log_miss = sample_log_beta(key, h.a, h.b, count).log_q
    tiny = jnp.finfo(h.a.dtype).tiny
    luck = jax.random.uniform(jax.random.fold_in(key, 1), log_miss.shape, h.a.dtype, minval=tiny)
    # First success of each candidate, geometric given its p.
    own = jnp.where(log_miss < 0, 1 + jnp.floor(jnp.log(luck) / log_miss), _NEVER)
    found = _collected(problem, jnp.minimum(own, _NEVER))
    return voided(found, jnp.broadcast_to(problem.bad.any(), found.shape))


def _one_set(problem: Instance, batch: tuple[int, ...]) -> Instance:
    if batch:
        raise ValueError(f"prior: needs one set of problems, got batch axes {batch}")
    return problem


@jax.jit
def _collected(x: Instance, own: Float[Array, "samples m k"]) -> Float[Array, " samples"]:
    """Value of the index policy on tapes where each candidate first succeeds at `own` rollouts."""
    h = x.hazards
    assert isinstance(h, BetaHazards)
    k = h.shape[-1]
    size = h.a + h.b

    def one(own: Array) -> Array:
        level = h.a / (size + own - 1)
        # Rollouts of every candidate i' that the policy makes before this one of i.
        ahead = jnp.floor(h.a[:, None, :] / level[:, :, None] - size[:, None, :]) + 1
        ahead = jnp.where(jnp.eye(k, dtype=bool), own[:, :, None] - 1, jnp.maximum(ahead, 0))
        ahead = jnp.where(h.mask[:, None, :], ahead, 0)
        lasts = jnp.where(h.mask & (own < _NEVER), ahead.sum(-1) + 1, _NEVER)
        until = jnp.minimum(lasts.min(-1), _NEVER).astype(jnp.int32)
        made = _by_index(x._replace(high=jnp.minimum(until, x.high)))
        solved = made.sum(-1, dtype=jnp.int32) >= until
        return jnp.where(solved, jnp.exp(x.log_value), 0).sum()

    return jax.lax.map(one, own, batch_size=64)
