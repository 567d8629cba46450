r"""Magnitude weighting without the k × k matrix: conjugate gradients over a streamed product.

The same v ≥ 0 as `dora_theory.model.magnitude` has, the maximum of 2 Σv - v'(Z + δ + ridge)v with
δ = 10 k eps, and by the same exchange of candidates; but where that factorizes Z, this asks only
for products Z v, which `dora_theory.kernels.similarities` streams in blocks. Embeddings have a
positive semi-definite Z, so no eigenvalue is asked for. Copies are not merged beforehand: equal
rows of a symmetric system have equal solutions, and δ keeps it regular.

What an iteration can leave undone is measured and returned: the optimality conditions are
(A v)_i = 1 where v_i > 0, (A v)_i ≥ 1 elsewhere, with A = Z + δ + ridge.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_number, check_whole
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, spoiled
from dora_theory.kernels.dispatch import Implementation
from dora_theory.kernels.similarities import Precision, similarity_sums
from dora_theory.kernels.varying import varying_with
from dora_theory.model.magnitude import free_set
from dora_theory.model.similarity import checked_embeddings, unit_embeddings

# Exchanges of candidates; from 2 to 6 are typical, and each costs a solve.
_MOST_EXCHANGES = 30


class StreamedWeighting(NamedTuple):
    """Magnitude weighting, and how far it is from optimal.

    Attributes:
        weighting: v ≥ 0, shape `(..., k)`.
        residual: by how much an optimality condition of Z + δ + ridge is missed at most, shape
            `(...)`; it has no derivative.
        iterations: of the last solve, shape `(...)`.
    """

    weighting: Float[Array, "*batch k"]
    residual: Float[Array, "*batch"]
    iterations: Int[Array, "*batch"]


def streamed_magnitude_weighting(
    embeddings: Real[ArrayLike, "*batch k d"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    ridge: Real[ArrayLike, "*#batch"] = 0.0,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
    tolerance: float | None = None,
    max_iterations: int = 1000,
    block_size: int = 512,
    precision: Precision = "full",
    implementation: Implementation = "auto",
) -> StreamedWeighting:
    """Magnitude weighting v ≥ 0 in memory O(k d), by conjugate gradients.

    Args:
        embeddings: e, finite and not 0, shape `(..., k, d)`, on any scale.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        ridge: added to the diagonal of Z, ≥ 0, scalar or shape `(...)`; for each copy, where
            `dora_theory.magnitude_weighting` adds it once to copies that it has merged.
        mask: boolean `(..., k)`, false for padding, whose v is 0.
        tolerance: a solve ends when no equation is off by more; by default 1e-5 in float32 and
            1e-10 in float64.
        max_iterations: iterations after which a solve ends in any case.
        block_size: as `dora_theory.uniqueness`.
        precision: as `dora_theory.uniqueness`.
        implementation: as `dora_theory.uniqueness`.

    Returns:
        A `StreamedWeighting`. Its `residual` says how good it is. By convexity the objective is
        within 2 · residual · `Σ(v + v*)` of its maximum, which `v*` attains. One of many tolerances
        says that a solve ended early, as it may where candidates nearly agree or T_s is large; a
        ridge helps. `weighting` has derivatives in `embeddings`, `temperature` and `ridge`, forward
        and reverse, at the price of one more solve and in the same memory.

    Raises:
        ValueError: NaN, infinite or zero embeddings, T_s not positive, negative ridge, a tolerance
            or number of iterations that is not positive, or as `dora_theory.uniqueness`.

    Examples:
        >>> embeddings = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
        >>> np.asarray(dt.streamed_magnitude_weighting(embeddings).weighting, float).round(3)
        array([1.   , 0.501, 0.501, 1.   ])

    Source: theory 5.6; Hestenes and Stiefel (1952).
    """
    e, t, extra, m = checked_embeddings(
        embeddings,
        mask,
        similarity_temperature=similarity_temperature,
        ridge=Argument(ridge, "", NOT_NEGATIVE),
    )
    if tolerance is None:
        tolerance = 1e-5 if e.dtype == jnp.float32 else 1e-10
    check_number("tolerance", tolerance, 0, low_open=True)
    return _weigh_all(
        e,
        m,
        t,
        extra,
        jnp.asarray(tolerance, e.dtype),
        most=check_whole("max_iterations", max_iterations, 1),
        block=check_whole("block_size", block_size, 1),
        precision=precision,
        implementation=implementation,
    )


@partial(jax.jit, static_argnames=("most", "block", "precision", "implementation"))
def _weigh_all(
    e: Array, mask: Array, t: Array, ridge: Array, tolerance: Array, **how: Any
) -> StreamedWeighting:
    batch, (k, d) = mask.shape[:-1], (mask.shape[-1], e.shape[-1])
    unit = unit_embeddings(e, mask)
    bad = jnp.isnan(unit).any((-2, -1)) | POSITIVE.fails(t) | NOT_NEGATIVE.fails(ridge)
    bad |= POSITIVE.fails(tolerance)
    unit = jnp.where(bad[..., None, None], 0, unit)
    t, ridge = (jnp.where(bad, 1, x) for x in (t, ridge))
    weigh: Callable[..., Any] = partial(_weigh, **how)
    v, residual, iterations = jax.vmap(weigh, (0, 0, 0, 0, None))(
        unit.reshape(-1, k, d),
        mask.reshape(-1, k),
        t.reshape(-1),
        ridge.reshape(-1),
        tolerance,
    )
    return StreamedWeighting(
        spoiled(v.reshape(*batch, k), bad),
        spoiled(residual.reshape(batch), bad, 0),
        spoiled(iterations.reshape(batch), bad, 0),
    )


def _weigh(
    unit: Float[Array, "k d"],
    mask: Bool[Array, " k"],
    temperature: Float[Array, ""],
    ridge: Float[Array, ""],
    tolerance: Float[Array, ""],
    *,
    most: int,
    block: int,
    precision: Precision,
    implementation: Implementation,
) -> tuple[Array, Array, Array]:
    unit, mask, temperature, ridge = varying_with((unit, mask, temperature, ridge))
    raised = 10 * mask.sum(dtype=unit.dtype) * jnp.finfo(unit.dtype).eps + ridge

    def product(unit: Array, temperature: Array, raised: Array) -> Callable[[Array], Array]:
        def multiply(v: Array) -> Array:
            sums = similarity_sums(
                unit,
                v,
                temperature,
                precision=precision,
                block=block,
                implementation=implementation,
            )
            return jnp.where(mask, sums, 0) + raised * v

        return multiply

    # Which candidates are free, and how far the solution is off, has no derivative.
    fixed = product(*map(jax.lax.stop_gradient, (unit, temperature, raised)))
    free = free_set(
        lambda free: _solve(fixed, free, tolerance, most)[0],
        fixed,
        mask,
        slack=10 * tolerance,
        negative=10 * tolerance,
        most=_MOST_EXCHANGES,
    )
    v, iterations = _solve(product(unit, temperature, raised), free, tolerance, most)
    v = jnp.maximum(v, 0)
    off = fixed(jax.lax.stop_gradient(v)) - 1
    missed = jnp.where(mask, jnp.where(v > 0, jnp.abs(off), jnp.maximum(-off, 0)), 0)
    return v, missed.max(), iterations


def _solve(
    multiply: Callable[[Array], Array], free: Array, tolerance: Array, most: int
) -> tuple[Array, Array]:
    """Solves (Z v)_i = 1 for the free candidates, v_i = 0 for the others; and its iterations.

    Its derivative, forward and backward, is one more solve of the same system.
    """
    return jax.lax.custom_linear_solve(
        lambda v: jnp.where(free, multiply(jnp.where(free, v, 0)), v),
        free.astype(tolerance.dtype),
        lambda product, b: _conjugate_gradients(product, b, tolerance, most),
        symmetric=True,
        has_aux=True,
    )


def _conjugate_gradients(
    multiply: Callable[[Array], Array], b: Array, tolerance: Array, most: int
) -> tuple[Array, Array]:
    """Solves A v = b, to a tolerance in units of the largest |b|; and its iterations."""
    tolerance = tolerance * jnp.abs(b).max(initial=0)

    def open_(state: tuple) -> Array:
        _, r, _, _, count = state
        return (jnp.abs(r).max(initial=0) > tolerance) & (count < most)

    def step(state: tuple) -> tuple:
        v, r, p, square, count = state
        image = multiply(p)
        length = square / jnp.dot(p, image)
        v, r = v + length * p, r - length * image
        now = jnp.dot(r, r)
        return v, r, r + (now / square) * p, now, count + 1

    state = jnp.zeros_like(b), b, b, jnp.dot(b, b), jnp.int32(0)
    v, *_, count = jax.lax.while_loop(open_, step, varying_with(state))
    return v, count
