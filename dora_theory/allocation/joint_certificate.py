"""How far any allocation can be from the best, for any joint prior (theory 8.1.7-8.1.9).

With the latent y tilted by the failure of B and e_i(b) the tilted mean of log m_i(b|y), Jensen's
inequality gives log F(B') ≥ log F(B) - Σ_i (e_i(B_i) - e_i(B'_i)) for every B'. The increments of
e_i fall, so the worst B' of a budget is found exactly, by taking the N largest. For independent
candidates the bound is the optimum itself, from any B.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_whole
from dora_theory._domains import spoiled
from dora_theory.allocation.joint import cannot_serve, checked_rollouts, checked_total, log_average
from dora_theory.model.joint import JointPrior

# Steps towards the rival that the relaxation tries.
_STEPS = 2.0 ** -np.arange(8)


class JointCertificate(NamedTuple):
    """What an allocation's own tilted prior says of all others, each of shape `(...)`.

    Attributes:
        log_failure: log F of the allocation.
        gap: G; log F* ≥ log F - G for the best allocation of the budget. Infinite where a candidate
            without rollouts may succeed for certain.
        regret: F (1 - e^-G), at least how much success the allocation lacks.
        standard_error: of `regret`, if the latent is a sample of equal weights.
        slope_gap: an upper bound on G from the moments next to B alone.
        rival: the allocation that the bound is attained for, int32 `(..., k)`.
        largest_next: max τ⁺, the largest tilted gain of a rollout that is not made.
        smallest_last: min τ⁻, the smallest of one that is; infinite if there is none.
        optimal: whether `largest_next <= smallest_last`, to rounding, which proves B optimal.
    """

    log_failure: Float[Array, "*batch"]
    gap: Float[Array, "*batch"]
    regret: Float[Array, "*batch"]
    standard_error: Float[Array, "*batch"]
    slope_gap: Float[Array, "*batch"]
    rival: Int[Array, "*batch k"]
    largest_next: Float[Array, "*batch"]
    smallest_last: Float[Array, "*batch"]
    optimal: Bool[Array, "*batch"]


def joint_certificate(
    prior: JointPrior,
    allocation: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"] | None = None,
) -> JointCertificate:
    """A lower bound on the failure of every allocation of a budget, from one of them.

    Args:
        prior: a joint prior, of log moments deeper than the budget.
        allocation: B ≥ 0 of any total, shape `(..., k)`.
        budget: N of the others, scalar or shape `(...)`; the total of B if None.

    Returns:
        The certificate. Where `optimal`, log F is within 32 k N ulps of the least.

    Raises:
        ValueError: negative or too many rollouts, shapes that do not fit.

    Source: theory 8.1.7, 8.1.8, 8.1.11.
    """
    b = checked_rollouts(prior, allocation)
    n = b.sum(-1) if budget is None else checked_total(prior, budget)
    return _certificate(prior, b, n)


def relaxed_bound(
    prior: JointPrior,
    allocation: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"] | None = None,
    *,
    steps: int = 32,
) -> Float[Array, "*batch"]:
    """Lower bound on log failure of every allocation, raised from real bases (theory 8.1.9).

    Log moments are interpolated between integers, which leaves log F convex; the base moves towards
    its rival where that lowers failure, and the best bound on the way is kept.

    Args:
        prior: a joint prior.
        allocation: B ≥ 0 to start from, shape `(..., k)`.
        budget: N, scalar or shape `(...)`; the total of B if None.
        steps: how often the base moves, at least 0.

    Returns:
        A bound on log F*, shape `(...)`, never below that of `joint_certificate`.

    Raises:
        ValueError: negative or too many rollouts or steps, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> bool(dt.relaxed_bound(prior, np.array([4, 4, 4])) < 0)
        True

    Source: theory 8.1.9.
    """
    b = checked_rollouts(prior, allocation)
    n = b.sum(-1) if budget is None else checked_total(prior, budget)
    return _relaxed(prior, b, n, check_whole("steps", steps))


def tilted_moments(prior: JointPrior, log_f: Array) -> Float[Array, "*batch k n"]:
    """e_i(b), the mean of log m_i(b|y) under the law of y tilted by failure, unchecked."""
    top = log_f.max(-1, keepdims=True)
    # Where failure is impossible there is nothing to tilt by, and nothing to bound.
    q = jax.nn.softmax(jnp.where(top > -jnp.inf, log_f, 0), -1)
    if prior.log_moments.ndim == 3 and q.ndim > 1:
        # One prior of many allocations is a product of matrices, in which 0 times -inf is none.
        never = jnp.isneginf(prior.log_moments)
        finite = jnp.where(never, 0, prior.log_moments)
        here = (q > 0).astype(q.dtype)
        hit = jnp.tensordot(here, never.astype(q.dtype), 1) > 0
        return jnp.where(hit, -jnp.inf, jnp.tensordot(q, finite, 1, precision="highest"))
    q = q[..., None, None]
    return jnp.where(q > 0, q * jnp.where(q > 0, prior.log_moments, 0), 0).sum(-3)


def _rival(prior: JointPrior, e: Array, n: Array) -> Array:
    """The allocation of N with the least Σ e_i: the N largest increments."""
    falls = e[..., :-1] - e[..., 1:]
    falls = jnp.where(jnp.isnan(falls), 0, falls)
    # Log moments are convex; rounding may say otherwise, and a prefix must be taken.
    falls = jax.lax.cummin(falls, axis=falls.ndim - 1)
    if prior.mask is not None:
        falls = jnp.where(prior.mask[..., None], falls, -jnp.inf)
    flat = falls.reshape(*falls.shape[:-2], -1)
    order = jnp.argsort(-flat, axis=-1, stable=True)
    rank = jnp.argsort(order, axis=-1, stable=True)
    taken = (rank < n[..., None]).reshape(falls.shape)
    return taken.sum(-1, dtype=jnp.int32)


def _at(e: Array, b: Array) -> Array:
    shape = np.broadcast_shapes(e.shape[:-1], b.shape)
    table = jnp.broadcast_to(e, (*shape, e.shape[-1]))
    return jnp.take_along_axis(table, jnp.broadcast_to(b, shape)[..., None], -1)[..., 0]


@jax.jit
def _certificate(prior: JointPrior, b: Array, n: Array) -> JointCertificate:
    given = prior.conditional(b)
    log_f, log_failure = prior.log_weights + given, log_average(prior.log_weights, given)
    batch = np.broadcast_shapes(log_failure.shape, n.shape)
    b, n = jnp.broadcast_to(b, (*batch, b.shape[-1])), jnp.broadcast_to(n, batch)
    e = tilted_moments(prior, log_f)
    rival = _rival(prior, e, n)
    here, there = _at(e, b), _at(e, rival)
    gap = jnp.where(here == there, 0, here - there).sum(-1)
    exact = b.sum(-1) == n
    sure = log_failure == -jnp.inf
    gap = jnp.where(sure, 0, jnp.where(exact, jnp.maximum(gap, 0), gap))

    after = _at(e, jnp.minimum(b + 1, prior.max_rollouts))
    before = _at(e, jnp.maximum(b - 1, 0))
    following = jnp.where(here == after, 0, here - after)
    last = jnp.where(b > 0, before - here, jnp.inf)
    largest, smallest = following.max(-1), last.min(-1)
    slack = 32 * jnp.finfo(e.dtype).eps * (1 + jnp.abs(here).max(-1))
    optimal = exact & ((largest <= smallest + slack) | sure)

    missed = -jnp.expm1(-gap)
    f = jnp.exp(log_failure)
    return JointCertificate(
        log_failure=_or_nan(log_failure, b, n, prior),
        gap=_or_nan(gap, b, n, prior),
        regret=_or_nan(f * missed, b, n, prior),
        standard_error=_or_nan(
            _standard_error(prior, log_f, prior.conditional(rival), f, gap), b, n, prior
        ),
        slope_gap=_or_nan(jnp.where(sure, 0, _slope_gap(following, last, b, n)), b, n, prior),
        rival=spoiled(rival, _bad(b, n, prior)),
        largest_next=_or_nan(largest, b, n, prior),
        smallest_last=_or_nan(smallest, b, n, prior),
        optimal=optimal & ~_bad(b, n, prior),
    )


def _bad(b: Array, n: Array, prior: JointPrior) -> Array:
    return (b < 0).any(-1) | (b > prior.max_rollouts).any(-1) | cannot_serve(prior, n)


def _or_nan(x: Array, b: Array, n: Array, prior: JointPrior) -> Array:
    bad = _bad(b, n, prior)
    return spoiled(jnp.broadcast_to(x, bad.shape), bad, 0)


def _standard_error(prior: JointPrior, log_f: Array, rival: Array, f: Array, gap: Array) -> Array:
    """By the envelope theorem: the rival stays where it is (theory 8.1.11)."""
    m = log_f.shape[-1]
    each = jnp.exp(log_f + jnp.log(m))
    own = log_f - prior.log_weights
    # The distance of what cannot fail is not a number, and has no weight.
    distance = jnp.where((each > 0) & (rival > -jnp.inf), own - rival, 0)
    f, gap = f[..., None], gap[..., None]
    near = jnp.exp(-gap)
    finite = jnp.isfinite(gap)
    away = jnp.where(finite, near * each * (distance - jnp.where(finite, gap, 0)), 0)
    scatter = (each - f) * -jnp.expm1(-gap) + away
    return scatter.std(-1) / jnp.sqrt(m)


def _slope_gap(following: Array, last: Array, b: Array, n: Array) -> Array:
    """Least over λ of N max τ - Σ B τ with τ = clip(λ, τ⁺, τ⁻), λ among slopes (theory 8.1.8)."""
    levels = jnp.concatenate([following, last], -1)
    fine = jnp.isfinite(levels)
    level = jnp.where(fine, levels, 0)[..., None]
    tau = jnp.clip(level, following[..., None, :], last[..., None, :])
    spent = jnp.where(b[..., None, :] > 0, b[..., None, :] * tau, 0).sum(-1)
    total = jnp.where(n[..., None] > 0, n[..., None] * tau.max(-1), 0) - spent
    return jnp.where(fine & ~jnp.isnan(total), total, jnp.inf).min(-1)


def _between(table: Array, low: Array, part: Array) -> Array:
    """A table over b = 0, 1, … interpolated at low + part, along its last axis."""
    first = _at(table, low)
    second = _at(table, jnp.minimum(low + 1, table.shape[-1] - 1))
    return jnp.where(part > 0, first + part * (second - first), first)


def _tilt_at(prior: JointPrior, base: Array) -> tuple[Array, Array]:
    """Log failure given y, with its weight, at a real base, and e_i there."""
    low = jnp.floor(base).astype(jnp.int32)
    part = base - low
    each = _between(prior.log_moments, low[..., None, :], part[..., None, :])
    log_f = prior.log_weights + each.sum(-1)
    return log_f, tilted_moments(prior, log_f)


@partial(jax.jit, static_argnames="steps")
def _relaxed(prior: JointPrior, b: Array, n: Array, steps: int) -> Array:
    start = _certificate(prior, b, n)
    batch = start.gap.shape
    dtype = prior.log_moments.dtype
    base = jnp.broadcast_to(b, (*batch, b.shape[-1])).astype(dtype)
    sizes = jnp.asarray(_STEPS, dtype)

    def move(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        base, best = state
        log_f, e = _tilt_at(prior, base)
        low = jnp.floor(base).astype(jnp.int32)
        rival = _rival(prior, e, n)
        gap = _between(e, low, base - low) - _at(e, rival)
        log_failure = jax.scipy.special.logsumexp(log_f, axis=-1)
        bound = log_failure - gap.sum(-1)
        best = jnp.maximum(best, jnp.where(jnp.isnan(bound), -jnp.inf, bound))
        ahead = rival - base

        def failing(size: Array) -> Array:
            found, _ = _tilt_at(prior, base + size * ahead)
            return jax.scipy.special.logsumexp(found, axis=-1)

        # One size at a time: a table of the latent is large.
        tried = jax.lax.map(failing, sizes)
        least = tried.argmin(0)
        lower = (tried.min(0) < log_failure)[..., None]
        return jnp.where(lower, base + sizes[least][..., None] * ahead, base), best

    first = jnp.where(jnp.isnan(start.gap), start.gap, start.log_failure - start.gap)
    return jax.lax.fori_loop(0, steps, move, (base, first))[1]
