r"""Root weights: what correlated candidates count as in the exponent of failure (theory 8.2.5).

    E = max over v ≥ 0 of 2 √w·v - v'Cv,   w'_i = √w_i v_i,   E = Σ w'.

In u = √w v this is the program of magnitude weighting for the matrix C_ij/√(w_i w_j).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, checked, is_host, mask_of
from dora_theory._domains import FINITE, SHARE, spoiled
from dora_theory.model.copula import CORRELATION, check_symmetric, copies, repaired
from dora_theory.model.directions import segment_sum
from dora_theory.model.magnitude import free_set, solve_for_ones


class RootWeights(NamedTuple):
    """What correlated candidates count as.

    Attributes:
        weights: w' ≥ 0 of independent candidates that stand for them, shape `(..., k)`.
        exponent: E = Σ w', shape `(...)`: the least failure of N rollouts falls like N^(-κE).
        lift: δ ≥ 0 of C ← (C + δI)/(1 + δ), shape `(...)`: what C, of the candidates that count,
            lacked to be positive semi-definite.
    """

    weights: Float[Array, "*batch k"]
    exponent: Float[Array, "*batch"]
    lift: Float[Array, "*batch"]


def root_weights(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> RootWeights:
    """Weights and exponent of correlated candidates as N → ∞.

    Args:
        weights: w in [0, 1], shape `(..., k)`; a candidate with w = 0 gets none.
        correlation: C, symmetric with diagonal 1, shape `(..., k, k)`, lifted to positive
            semi-definite if it is not.
        mask: boolean `(..., k)`, false for padding, whose weight is 0.

    Returns:
        `RootWeights`, exact to cond(C) (10 k + 100) ulps. Copies of equal w share one weight.

    Raises:
        ValueError: NaN, weights outside [0, 1], a matrix that is not a correlation.

    Examples:
        >>> w, c = np.array([0.4, 0.3, 0.3]), np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
        >>> np.asarray(dt.root_weights(w, c).weights, float).round(3)
        array([0.302, 0.169, 0.3  ])

    Source: theory 8.2.4, 8.2.5.
    """
    w, c, m = checked(
        mask,
        promote=True,
        weights=Argument(weights, domain=SHARE),
        correlation=Argument(correlation, "k k", CORRELATION),
    )
    if is_host(correlation) and is_host(mask):
        check_symmetric("correlation", correlation, mask)
    return _root_weights(w, c, m)


@jax.jit
def _root_weights(w: Array, c: Array, mask: Array) -> RootWeights:
    both = mask_of(mask, "k k")
    bad = SHARE.fails(w, 1, mask) | FINITE.fails(c, 2, both)
    bad = jnp.broadcast_to(bad, mask.shape[:-1])
    w = jnp.where(mask & ~bad[..., None], w, 0)
    c = jnp.where(both & ~bad[..., None, None], c, 0)
    there = w > 0
    k, eps = w.shape[-1], float(jnp.finfo(w.dtype).eps)
    eye = jnp.eye(k, dtype=bool)
    leader = copies(w, c, there)
    leads = there & (leader == jnp.arange(k))
    pair = leads[..., :, None] & leads[..., None, :]
    size = mask.sum(-1, dtype=w.dtype)
    c, lift = repaired(jnp.where(pair & ~eye, c, eye), size)
    rounding = 10 * eps * size
    # A unit of w of its own for each problem, so that none is out of range.
    top = w.max(-1, keepdims=True)
    root = jnp.sqrt(jnp.where(leads, w / jnp.where(top > 0, top, 1), 1))
    raised = c + jnp.where(eye, rounding[..., None, None], 0)
    z = raised / (root[..., :, None] * root[..., None, :])
    free = free_set(
        lambda free: solve_for_ones(z, free),
        lambda u: jnp.einsum("...ij,...j->...i", z, u, precision=jax.lax.Precision.HIGHEST),
        leads,
        slack=rounding[..., None],
    )
    u = top * jnp.maximum(solve_for_ones(z, free), 0)
    members = jnp.maximum(segment_sum(there.astype(w.dtype), leader, k), 1)
    found = jnp.where(there, jnp.take_along_axis(u / members, leader, -1), 0)
    lift = jnp.broadcast_to(lift, bad.shape)
    return RootWeights(spoiled(found, bad), spoiled(found.sum(-1), bad, 0), spoiled(lift, bad, 0))
