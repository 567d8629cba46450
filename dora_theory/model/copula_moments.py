"""Pair moments of the copula prior, as series in its correlations (theory 8.3.2).

With normalized Hermite polynomials h_n, α_n = E[p_i h_n(z)] and β_n(b) = E[q_j^b h_n(z)], two
candidates have E[p_i q_j^b] = Σ_n C_ij^n α_n β_n(b) (Mehler). Expectations are sums over the grid
of `beta_quantiles`, which converge faster than any power of its step for smooth quantiles.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.model.beta_quantiles import grid, inner, quantiles

_TERMS = 25
# Of the series' own value, below which it says nothing: a sum that is cut off.
_LEAST = 1e-4


def _polynomials() -> np.ndarray:
    """Hermite polynomials times the normal weight of each node, `(terms, nodes)`."""
    z = grid()
    weight = np.exp(-0.5 * z * z)
    weight /= weight.sum()
    rows = [np.ones_like(z), z]
    for n in range(1, _TERMS - 1):
        rows.append((z * rows[n] - np.sqrt(n) * rows[n - 1]) / np.sqrt(n + 1))
    return np.stack(rows) * weight


_WEIGHTED = _polynomials()


class PairSeries(NamedTuple):
    """Series of each candidate.

    Attributes:
        left: α_n of its p, shape `(..., k, terms)`.
        rates: x = -log(1 - p) at the nodes, shape `(..., k, nodes)`; 0 where w = 0.
    """

    left: Float[Array, "*batch k terms"]
    rates: Float[Array, "*batch k nodes"]

    def right(self, depth: Array) -> Float[Array, "*batch k terms"]:
        """β_n(b) of each candidate at its depth b, `(..., k)`."""
        return _series(jnp.exp(-depth[..., None] * self.rates))

    def right_of(self, which: Array, depth: Array) -> Float[Array, "*batch terms"]:
        """β_n(b) of one candidate of each problem."""
        rates = jnp.take_along_axis(self.rates, which[..., None, None], -2)[..., 0, :]
        return _series(jnp.exp(-depth[..., None] * rates))


def _series(values: Array) -> Array:
    weights = jnp.asarray(_WEIGHTED.T, values.dtype)
    return jnp.matmul(values, weights, precision=jax.lax.Precision.HIGHEST)


def pair_series(w: Float[Array, "*batch k"], kappa: Float[Array, "*batch"]) -> PairSeries:
    """The series of Beta(κw, κ(1-w)) margins, unchecked."""
    theta = quantiles(inner(w), kappa[..., None]).value
    sure, none = (w == 1)[..., None], (w == 0)[..., None]
    p = jnp.where(sure, 1, jnp.where(none, 0, jax.nn.sigmoid(theta)))
    # Large, not infinite: no rollout of what is certain still fails with probability 1.
    rates = jnp.where(sure, 1e30, jnp.where(none, 0, jax.nn.softplus(theta)))
    return PairSeries(_series(p), rates)


def series_divisors(
    series: PairSeries, correlation: Float[Array, "*batch j k"], right: Float[Array, "*batch j n"]
) -> Float[Array, "*batch j k"]:
    """d_ij = μ_i E[q_j^b]/E[p_i q_j^b] - 1, as row j, without the difference of near numbers.

    Args:
        series: of the candidates i.
        correlation: C_ji, shape `(..., j, k)`.
        right: β_n of each j, shape `(..., j, terms)`.

    Returns:
        Shape `(..., j, k)`; 0 for a candidate with w = 0. At most 1e4, where the series, which is
        cut off, says no more than that little is left.
    """
    left = series.left
    independent = left[..., None, :, 0] * right[..., :, None, 0]
    # Horner's scheme in C: no table of its powers.
    joint = jnp.zeros_like(independent)
    for n in range(_TERMS - 1, 0, -1):
        joint = (joint + left[..., None, :, n] * right[..., :, None, n]) * correlation
    joint = jnp.where(independent > 0, joint, 0)
    least = _LEAST * independent
    below = jnp.maximum(independent + joint, least)
    safe = jnp.where(below > 0, below, 1)
    return jnp.where(independent > 0, (independent - below) / safe, 0)
