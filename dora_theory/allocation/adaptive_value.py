"""What the index policy gains, and what no policy exceeds (theory 7.2d)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Real, UInt32

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_key, check_type, check_whole
from dora_theory.allocation.adaptive import Prior, by_index, tapes
from dora_theory.allocation.instances import Instance, checked_problems, over_batch, voided
from dora_theory.allocation.marginals import BetaHazards
from dora_theory.kernels.beta_sampler import sample_log_beta
from dora_theory.model.priors import BetaPrior

_NEVER = 2**30


class AdaptiveBound(NamedTuple):
    """The smallest D(λ) and the price where it is attained, each of shape `(...)`."""

    value: Float[Array, "*batch"]
    price: Float[Array, "*batch"]


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
        V(N) in float64; only positive terms are added, so errors are rounding errors.

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
    v = np.broadcast_to(np.asarray(values, float), hazards.shape[:1])
    with jax.enable_x64(True):
        return float(convolved_value(jnp.asarray(v[:, None] * hazards), jnp.asarray(failure)))


@jax.jit
def convolved_value(gain: Float[Array, "m n"], failure: Float[Array, "m n1"]) -> Float[Array, ""]:
    """Σ v F(j - 1) h_j P(Σ min(T, c) ≤ N - j) over all pairs of a problem and a rollout of it.

    Args:
        gain: v h_1 ≥ v h_2 ≥ … of each problem.
        failure: F(0), …, F(N).

    Returns:
        V(N). Memory m N².
    """
    m, n = gain.shape
    spendable = jnp.arange(n + 1)
    rank = jnp.arange(m)

    def beside(other: Array, spent: Array) -> Array:
        """The distribution of what is spent before each pair, this problem's part added."""
        at = gain[other]
        earlier = (at > gain[..., None]) | ((at == gain[..., None]) & (other < rank)[:, None, None])
        cap = jnp.where((rank == other)[:, None], 0, earlier.sum(-1))[..., None]
        f = failure[other]
        solved = jnp.concatenate([jnp.zeros(1), f[:-1] - f[1:]])
        last = jnp.where(cap > 0, f[jnp.maximum(cap - 1, 0)], 1)
        chance = jnp.where(spendable < cap, solved, jnp.where(spendable == cap, last, 0))

        def add(t: Array, sums: Array) -> Array:
            moved = jnp.where(spendable >= t, jnp.roll(spent, t, -1), 0)
            return sums + jax.lax.dynamic_index_in_dim(chance, t, -1) * moved

        return jax.lax.fori_loop(0, n + 1, add, jnp.zeros_like(spent))

    nothing = jnp.broadcast_to((spendable == 0).astype(gain.dtype), (m, n, n + 1))
    spent = jax.lax.fori_loop(0, m, beside, nothing)
    in_time = jnp.where(spendable <= n - 1 - jnp.arange(n)[:, None], spent, 0).sum(-1)
    return (gain * failure[:, :n] * in_time).sum()


def adaptive_value_estimate(
    key: Key[Array, ""] | UInt32[Array, "2"],
    values: Real[ArrayLike, " #m"],
    prior: BetaPrior,
    total: int,
    num_samples: int,
    *,
    mask: Bool[ArrayLike, "#m #k"] | None = None,
) -> Float[Array, " samples"]:
    """What the index policy gains in each of several draws of all solving times.

    Args:
        key: a JAX random key.
        values: v > 0, shape `(m,)` or a scalar.
        prior: a and b of shape `(m, k)`.
        total: N.
        num_samples: how many draws.
        mask: boolean `(m, k)`.

    Returns:
        Values, shape `(samples,)`, independent; their mean estimates V(N), and their spread says
        how surely. No loop over rollouts: on every tape the policy collects the N largest v h.

    Raises:
        ValueError: as `allocate_problems`.
        TypeError: `key` is not a JAX key.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[1.0], [0.5]]), np.array([[1.0], [4.5]]))
        >>> draws = dt.adaptive_value_estimate(jax.random.key(0), 1.0, prior, 6, 1000)
        >>> draws.shape
        (1000,)

    Source: theory 7.2, steps (1) and (2).
    """
    check_key("key", key)
    n, count = check_whole("total", total, 0, 2**30), check_whole("num_samples", num_samples, 1)
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
        made = by_index(x._replace(high=jnp.minimum(until, x.high)))
        solved = made.sum(-1, dtype=jnp.int32) >= until
        return jnp.where(solved, jnp.exp(x.log_value), 0).sum()

    return jax.lax.map(one, own, batch_size=64)
