"""Greedy under the copula prior without draws, by expectation propagation (theory 8.2.3).

Given z ~ N(0, C), B_i failures of candidate i are a site e^(-B_i x_i(z_i)). Each site is replaced
by the Gaussian that gives the right mean and variance of z_i beside all others; the gain of one
rollout more is then -log of the mean failure of candidate i under its cavity and its own site.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_whole
from dora_theory._domains import spoiled
from dora_theory.allocation.divisors import among_copies, checked_problem, readied
from dora_theory.allocation.joint import first_largest
from dora_theory.kernels.varying import varying_with
from dora_theory.model.beta_quantiles import Quantiles, inner, interpolated, quantiles, rates_of
from dora_theory.model.copula import copies, repaired

_NODES = 80


class _Sites(NamedTuple):
    """Precision and precision times mean of each candidate's Gaussian site, `(..., k)`."""

    precision: Array
    shift: Array


def expectation_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    sweeps: int = 2,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Greedy under the copula prior, each rollout where it lowers failure most.

    Args:
        weights: w in [0, 1], shape `(..., k)`; a candidate with w = 0 gets none.
        correlation: C, symmetric with diagonal 1, shape `(..., k, k)`, lifted to positive
            semi-definite if it is not.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0, scalar or shape `(...)`.
        sweeps: over all sites after each rollout, at least 1.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N; ties within 64 ulps go to the lowest index; copies of equal w
        share evenly. Nothing is drawn, so that it is reproducible as it stands; O(k³ N). Exact
        gains for independent candidates, to the 80 nodes; no bound is known elsewhere.

    Raises:
        ValueError: NaN, weights outside [0, 1], a matrix that is not a correlation, κ or N as in
            `optimal_allocation`, no sweep.

    Source: theory 8.2.3.
    """
    given = checked_problem(weights, correlation, concentration, budget, mask)
    return _expectation(*given, check_whole("sweeps", sweeps, 1))


@partial(jax.jit, static_argnames="sweeps")
def _expectation(
    w: Array, c: Array, kappa: Array, n: Array, mask: Array | None, sweeps: int
) -> Int[Array, "*batch k"]:
    w, c, kappa, n, mask, bad = readied(w, c, kappa, n, mask)
    k = w.shape[-1]
    # Only one of several copies takes part; what it gets is theirs.
    leads = (copies(w, c, mask) == jnp.arange(k)) & mask
    own = jnp.where(leads, w, 0)
    both = leads[..., :, None] & leads[..., None, :]
    prior, _ = repaired(jnp.where(both | jnp.eye(k, dtype=bool), c, 0))
    table = quantiles(inner(own), kappa[..., None])
    zero = jnp.zeros(w.shape, w.dtype)

    def give(r: Array, carried: tuple[Array, _Sites]) -> tuple[Array, _Sites]:
        spent, sites = carried
        gain, _ = _moments(own, table, prior, spent, sites)
        # What is worth nothing is served only where all are: the first that is no padding.
        best = first_largest(jnp.where(leads, gain, -1))
        going = (r < n)[..., None]
        spent = spent + (jnp.arange(k) == best[..., None]) * going
        for _ in range(sweeps):
            _, sites = _moments(own, table, prior, spent, sites)
        return spent, sites

    start = varying_with((jnp.zeros(w.shape, jnp.int32), _Sites(zero, zero)), (w, n, mask))
    spent, _ = jax.lax.fori_loop(0, n.max(initial=0), give, start)
    return spoiled(among_copies(spent, w, c, mask), bad)


def _moments(
    w: Array, table: Quantiles, prior: Array, spent: Array, sites: _Sites
) -> tuple[Array, _Sites]:
    """Gain of one rollout more of each candidate, and the sites after one sweep."""
    root = jnp.sqrt(sites.precision)
    k = w.shape[-1]
    inside = jnp.eye(k, dtype=w.dtype) + root[..., :, None] * prior * root[..., None, :]
    factor = jnp.linalg.cholesky(inside)
    half = jax.scipy.linalg.solve_triangular(factor, root[..., :, None] * prior, lower=True)
    variance = jnp.diagonal(prior, axis1=-2, axis2=-1) - (half**2).sum(-2)
    tiny = jnp.sqrt(jnp.finfo(w.dtype).eps)
    variance = jnp.maximum(variance, tiny)
    pulled = (prior @ sites.shift[..., None])[..., 0]
    back = half @ sites.shift[..., None]
    mean = pulled - (jnp.swapaxes(half, -1, -2) @ back)[..., 0]

    # The cavity: what all others say of z_i.
    precision = jnp.maximum(1 / variance - sites.precision, tiny)
    center = (mean / variance - sites.shift) / precision
    nodes, shares = np.polynomial.hermite_e.hermegauss(_NODES)
    spread = jnp.asarray(nodes, w.dtype) / jnp.sqrt(precision)[..., None]
    z = center[..., None] + spread
    x = jnp.minimum(rates_of(w[..., None], interpolated(table, z)), 1e30)
    # Of the outermost nodes the weight underflows in float32.
    log_share = jnp.asarray(np.log(shares / shares.sum()), w.dtype)
    log_tilted = log_share - spent[..., None] * x
    total = jax.scipy.special.logsumexp(log_tilted, axis=-1)
    q = jnp.exp(log_tilted - total[..., None])
    gain = -(jax.scipy.special.logsumexp(log_tilted - x, axis=-1) - total)
    first = (q * z).sum(-1)
    second = jnp.maximum((q * (z - first[..., None]) ** 2).sum(-1), tiny)
    new = jnp.maximum(1 / second - precision, 0)
    shift = jnp.where(new > 0, first * (new + precision) - center * precision, 0)
    tried = spent > 0
    return gain, _Sites(jnp.where(tried, new, 0), jnp.where(tried, shift, 0))
