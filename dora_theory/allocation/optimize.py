"""A general optimizer: any differentiable objective of a real allocation, then integer rollouts.

Three stages, each for all problems at once. *Ascent*: optax on the logarithms of the shares, robust
and slow near the boundary. *Refinement*: steps that maximize a local model of the objective over
{B ≥ 0, Σ B = N}, with a line search; a separable quadratic model is water-filling and finds the
active set, and a Newton step inside that set finishes. *Rounding*: Webster's method on the real
solution, then the best exchange of one rollout, again and again, until none improves. For a
separable concave objective an allocation that no exchange improves is the optimum.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import (
    as_mask,
    check_spendable,
    check_whole,
    fit,
    host_count,
    host_float,
    host_mask,
    is_host,
)
from dora_theory._domains import NOT_NEGATIVE, cannot_spend, spoiled
from dora_theory.allocation.refinement import Objective, refine
from dora_theory.kernels.divisor import largest_priorities
from dora_theory.kernels.varying import varying_with

# No share starts lower: the ascent works on logarithms, where 0 could never grow.
_LEAST_SHARE = 1e-6


class Optimized(NamedTuple):
    """What was found, and how far it can be trusted.

    Attributes:
        allocation: integer rollouts, int32, shape `(..., k)`, with sum N.
        value: objective of `allocation`, shape `(...)`.
        real: real-valued solution, shape `(..., k)`, with sum N up to rounding.
        real_value: objective of `real`, shape `(...)`.
        gap: max_i N g_i - Σ g_i B_i at `real` with g the gradient, as a part of N max |g|, shape
            `(...)`. If the objective is concave, no real allocation is better than `real` by more
            than `gap` N max |g|.
        converged: whether `gap` is at most the tolerance, shape `(...)`.
        locally_optimal: whether no exchange of one rollout improves `allocation`, shape `(...)`;
            false if they were stopped by `max_exchanges`.
    """

    allocation: Int[Array, "*batch k"]
    value: Float[Array, "*batch"]
    real: Float[Array, "*batch k"]
    real_value: Float[Array, "*batch"]
    gap: Float[Array, "*batch"]
    converged: Bool[Array, "*batch"]
    locally_optimal: Bool[Array, "*batch"]


def optimize_allocation(
    objective: Objective,
    budget: Real[ArrayLike, "*#batch"],
    num_candidates: int,
    *,
    initial: Real[ArrayLike, "*#batch k"] | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
    separable: bool = False,
    steps: int = 100,
    learning_rate: float = 0.1,
    optimizer: Any = None,
    refinements: int = 100,
    tolerance: float | None = None,
    max_exchanges: int = 1000,
) -> Optimized:
    """Allocation of N rollouts that maximizes a differentiable, concave objective.

    Args:
        objective: from real allocations `(..., k)` to values `(...)`, twice differentiable by JAX
            with finite values and gradients for B > 0, problem by problem; also called under
            `vmap`. It may close over arrays of the batch shape. Where it is flat to floating point
            it is taken as flat: maximize -log failure, not log success, which rounds to 0.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        num_candidates: k.
        initial: where to start, ≥ 0, shape `(..., k)`, on any scale; equal shares if None.
        mask: boolean `(..., k)`, false for padding, which receives nothing.
        separable: promise that the objective is a sum over candidates. Then a refinement costs O(k)
            and so does the choice of an exchange; otherwise Hessians are formed, O(k^3), and all
            k^2 exchanges are tried.
        steps: steps of ascent.
        learning_rate: of Adam, the default optimizer, in logarithms of shares.
        optimizer: an `optax.GradientTransformation` instead of Adam.
        refinements: most refinements after the ascent. None are made beyond what helps.
        tolerance: `gap` up to which a solution counts as converged; by default the power 3/4 of the
            rounding unit, 1.8e-12 in float64 and 6.4e-6 in float32.
        max_exchanges: most exchanges in rounding.

    Returns:
        `Optimized`. Nothing is raised if it did not converge; look at `converged` and
        `locally_optimal`. In float64 the surrogate Σ w_i log(κ + B_i) is maximized to within 1e-9 N
        in each B_i for κ from 1e-6 to 1e6, zeros of the solution included. The objective need not
        be concave to be climbed, but only then do `gap` and an exchange-optimal allocation (if it
        is separable, too) bound anything. Wrap a call in `jax.jit` to compile it once; not
        differentiable.

    Raises:
        ValueError: budget or start negative, shapes that do not fit, an objective with a shape
            other than the batch.

    Examples:
        >>> weights = np.array([0.5, 0.3, 0.2])
        >>> found = dt.optimize_allocation(lambda b: (weights * jnp.log1p(b)).sum(-1), 10, 3)
        >>> found.allocation
        Array([5, 3, 2], dtype=int32)
    """
    k = check_whole("num_candidates", num_candidates, 1)
    n = host_count("budget", budget)
    start = None if initial is None else host_float("initial", initial)
    there = None if mask is None else host_mask(mask)
    dtype = jnp.result_type(float) if start is None else start.dtype
    own = () if start is None else start.shape
    given = {"num_candidates": (k,), "initial": own, "mask": () if there is None else there.shape}
    shapes = {name: (shape, "k") for name, shape in given.items() if shape}
    shape, _ = fit(**shapes, budget=(n.shape, ""))
    if start is not None and is_host(start):
        NOT_NEGATIVE.check("initial", start, there)
    check_spendable(n, there)
    # A batch may come with the objective alone.
    batch = jax.eval_shape(objective, jax.ShapeDtypeStruct((*shape, k), dtype)).shape
    shape = (*batch, k)
    if jax.eval_shape(objective, jax.ShapeDtypeStruct(shape, dtype)).shape != batch:
        raise ValueError(f"objective: allocations {shape} do not give values {batch}")
    m = as_mask(there, shape)
    n = jnp.broadcast_to(n, batch)
    start = m.astype(dtype) if start is None else jnp.broadcast_to(start, shape)
    tolerance = float(jnp.finfo(dtype).eps) ** 0.75 if tolerance is None else tolerance
    optimizer = optax.adam(learning_rate) if optimizer is None else optimizer

    @jax.jit
    def solve(start: Array, n: Array, mask: Array) -> Optimized:
        bad = NOT_NEGATIVE.fails(start, 1, mask) | cannot_spend(n, mask)
        n, start = jnp.where(bad, 0, n), jnp.where(bad[..., None], 1, start)
        total = n[..., None].astype(dtype)
        x = _ascend(objective, _shares(start, mask), total, mask, optimizer, steps)
        x, gap = refine(objective, x, total, mask, separable, refinements, tolerance)
        whole, settled = _round(objective, x, n, mask, separable, max_exchanges)
        value, real_value = objective(whole.astype(dtype)), objective(x)
        bad |= jnp.isnan(value) | jnp.isnan(real_value)
        return Optimized(
            spoiled(whole, bad),
            spoiled(value, bad, 0),
            spoiled(x, bad),
            spoiled(real_value, bad, 0),
            spoiled(gap, bad, 0),
            spoiled(gap <= tolerance, bad, 0),
            spoiled(settled, bad, 0),
        )

    return solve(start, n, m)


def _shares(start: Array, mask: Array) -> Array:
    kept = jnp.where(mask, start, 0)
    total = kept.sum(-1, keepdims=True)
    kept = jnp.where(total > 0, kept / jnp.where(total > 0, total, 1), mask)
    kept = jnp.where(mask, jnp.maximum(kept, _LEAST_SHARE), 0)
    return kept / jnp.maximum(kept.sum(-1, keepdims=True), _LEAST_SHARE)


def _ascend(
    objective: Objective, shares: Array, total: Array, mask: Array, optimizer: Any, steps: int
) -> Array:
    """Gradient ascent on the logarithms of the shares, by an optax optimizer."""

    def allocation(logits: Array) -> Array:
        # A row without candidates has no softmax; it has no budget either.
        weights = jnp.where(mask, jnp.exp(logits - logits.max(-1, keepdims=True)), 0)
        return total * weights / jnp.maximum(weights.sum(-1, keepdims=True), 1e-30)

    def loss(logits: Array) -> Array:
        return -objective(allocation(logits)).sum()

    def step(state: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
        logits, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(logits), memory, logits)
        return (jnp.where(mask, logits + updates, logits), memory), None

    logits = jnp.where(mask, jnp.log(jnp.where(mask, shares, 1)), -1e9)
    start = varying_with((logits, optimizer.init(logits)), total, mask)
    (logits, _), _ = jax.lax.scan(step, start, None, length=steps)
    return allocation(logits)


def _round(
    objective: Objective, x: Array, n: Array, mask: Array, separable: bool, most: int
) -> tuple[Array, Array]:
    """Webster's method on the real solution, then exchanges of one rollout while one improves."""
    choose = _best_exchange_separable if separable else _best_exchange

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, improved, count = state
        return jnp.any(improved) & (count <= most)

    def exchange(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        whole, _, count = state
        now = whole.astype(x.dtype)
        move = choose(objective, now, mask)
        improved = objective(now + move) > objective(now)
        # The last round only asks whether there is something left to improve.
        taken = improved[..., None] & (count < most)
        return whole + jnp.where(taken, move, 0).astype(jnp.int32), improved, count + 1

    whole = largest_priorities(x, jnp.asarray(0.5, x.dtype), n, mask)
    state = (whole, jnp.ones(n.shape, bool), jnp.zeros((), jnp.int32))
    whole, improved, _ = jax.lax.while_loop(unfinished, exchange, varying_with(state))
    return whole, ~improved


def _best_exchange_separable(objective: Objective, now: Array, mask: Array) -> Array:
    """Best gain of one more and least loss of one less, which are independent of each other."""
    basis = jnp.eye(now.shape[-1], dtype=now.dtype)
    more = jnp.moveaxis(jax.vmap(lambda e: objective(now + e))(basis), 0, -1)
    less = jnp.moveaxis(jax.vmap(lambda e: objective(jnp.maximum(now - e, 0)))(basis), 0, -1)
    receiver = jnp.argmax(_or_worst(more, mask), -1)
    donor = jnp.argmax(_or_worst(less, mask & (now > 0)), -1)
    spends = (now > 0).any(-1, keepdims=True)
    return jnp.where(spends, basis[receiver] - basis[donor], 0)


def _best_exchange(objective: Objective, now: Array, mask: Array) -> Array:
    """The best of all k² exchanges, donor by donor, so that k of them are in memory."""
    basis = jnp.eye(now.shape[-1], dtype=now.dtype)

    def from_donor(best: tuple[Array, Array], e: Array) -> tuple[tuple[Array, Array], None]:
        value, move = best
        left = jnp.maximum(now - e, 0)
        found = jnp.moveaxis(jax.vmap(lambda f: objective(left + f))(basis), 0, -1)
        able = ((now * e).sum(-1) > 0)[..., None] & mask & (e == 0)
        found = _or_worst(found, able)
        better = found.max(-1) > value
        receiver = basis[jnp.argmax(found, -1)]
        return (
            jnp.where(better, found.max(-1), value),
            jnp.where(better[..., None], receiver - e, move),
        ), None

    start = (jnp.full(now.shape[:-1], -jnp.inf, now.dtype), jnp.zeros_like(now))
    start = (start[0].astype(objective(now).dtype), start[1])
    (_, move), _ = jax.lax.scan(from_donor, varying_with(start, now, mask), basis)
    return move


def _or_worst(values: Array, able: Array) -> Array:
    return jnp.where(able & ~jnp.isnan(values), values, -jnp.inf)
