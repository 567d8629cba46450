r"""A prior from similarities: Beta margins joined by a Gaussian copula (theory 8.2.1, 8.2.2).

p_i is the Φ(z_i) quantile of Beta(κw_i, κ(1-w_i)), z ~ N(0, C), and C_ij = exp(-(1 - S_ij)/T_s):
DORA's own kernel, read as a correlation. `model.beta_quantiles` has the quantiles.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Real, UInt32

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import Argument, check_key, check_whole, checked, is_host, mask_of
from dora_theory._domains import FINITE, POSITIVE, SHARE, Domain, offset_domain, spoiled
from dora_theory.io.correlations import correlation_fault
from dora_theory.model.beta_quantiles import inner, interpolated, quantiles, rates_of
from dora_theory.model.joint import JointPrior
from dora_theory.model.magnitude import leaders
from dora_theory.model.similarity import checked_similarity

# A correlation or a cosine, up to what rounding in float32 adds.
CORRELATION = Domain(-1 - 1e-5, 1 + 1e-5)
# Correlations and qualities within so many ulps of equal are those of copies.
COPY = 16
# Nodes of the latent's own noise.
_NOISE = 24
# Numbers that a block of draws holds at once.
_BLOCK = 1 << 22


class CopulaCorrelation(NamedTuple):
    """A correlation matrix and how far it is from the kernel.

    Attributes:
        correlation: C, shape `(..., k, k)`, positive semi-definite to rounding.
        lift: δ ≥ 0 of C ← (C + δI)/(1 + δ), shape `(...)`: 0 for cosine similarity.
    """

    correlation: Float[Array, "*batch k k"]
    lift: Float[Array, "*batch"]


def copula_correlation(
    similarity: Real[ArrayLike, "*#batch k k"],
    *,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> CopulaCorrelation:
    """The correlation of latent normals that a similarity means.

    Args:
        similarity: S in [-1, 1], symmetric with diagonal 1, shape `(..., k, k)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`: the length of the kernel.
            Where it is not known, guess low: twice the true one loses far more than half of it.
        mask: boolean `(..., k)`; padding is correlated with itself alone.

    Returns:
        C_ij = exp(-(1 - S_ij)/T_s), lifted by the least δ that leaves it positive semi-definite
        (to 10 k ulps), and δ.

    Raises:
        ValueError: NaN, entries outside [-1, 1], S not symmetric or with another diagonal (to
            1e-5), T_s not positive.

    Examples:
        >>> np.asarray(dt.copula_correlation(np.array([[1, 0.9], [0.9, 1]])).correlation,
        ...     float).round(3)
        array([[1.   , 0.368],
               [0.368, 1.   ]])

    Source: theory 8.2.1.
    """
    s, t, m = checked(
        mask,
        similarity=Argument(similarity, "k k", CORRELATION),
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
    )
    if is_host(similarity) and is_host(mask):
        check_symmetric("similarity", similarity, mask)
    return _correlation(s, t, m)


def copula_kernel(
    similarity: Real[ArrayLike, "*#batch k k"],
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k k"]:
    """C without the check and the repair: the kernel of the symmetric part of S, of diagonal 1.

    Args:
        similarity: S, finite, shape `(..., k, k)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`; padding is correlated with itself alone.

    Returns:
        exp(-(1 - S)/T_s), at most 1, shape `(..., k, k)`; O(k²), where the repair takes O(k³).

    Raises:
        ValueError: NaN or infinite similarity, T_s not positive.

    Source: theory 8.2.1.
    """
    return _kernel(*checked_similarity(similarity, similarity_temperature, mask))


def check_symmetric(name: str, matrix: ArrayLike, mask: ArrayLike | None = None) -> None:
    """`ValueError` unless a host matrix is a correlation, to 1e-5, where `mask` is true."""
    fault = correlation_fault(host_array(matrix), None if mask is None else host_array(mask))
    if fault is not None:
        raise ValueError(name + fault)


def copula_draws(
    key: Key[Array, ""] | UInt32[Array, "2"],
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    correlation: Real[ArrayLike, "*#batch k k"],
    *,
    num_draws: int = 4096,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch draws k"]:
    """Draws of x = -log(1 - p) under the copula prior, in pairs z and -z.

    Args:
        key: JAX random key; problems of a batch share its normals.
        weights: w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        correlation: C, positive semi-definite, shape `(..., k, k)`.
        num_draws: how many, even.
        mask: boolean `(..., k)`, false for padding, which never succeeds: its x is 0. Padding
            changes which numbers are drawn, not their law.

    Returns:
        Shape `(..., draws, k)`, each x exact to about 1e-7 relatively in float64, 1e-3 in float32.
        The standard error of `draws_failure` is then on the safe side.

    Raises:
        ValueError: NaN, weights outside [0, 1], κ not positive, a number of draws that is odd.
        TypeError: `key` is not a JAX key.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> dt.copula_draws(jax.random.key(0), weights, 1.0, correlation, num_draws=64).shape
        (64, 3)

    Source: theory 8.2.2.
    """
    check_key("key", key)
    count = check_whole("num_draws", num_draws, 2)
    if count % 2:
        raise ValueError(f"num_draws = {num_draws}: needs an even number, for pairs")
    w, kappa, c = _checked_prior(weights, concentration, correlation, mask)
    return _draws(key, w, kappa, c, count)


def copula_log_moments(
    key: Key[Array, ""] | UInt32[Array, "2"],
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    correlation: Real[ArrayLike, "*#batch k k"],
    budget: int,
    *,
    num_draws: int = 512,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch draws k n"]:
    """Log moments of failure given draws of a latent y: z = y + D^½ ε, D diagonal, C - D still psd.

    Args:
        key: JAX random key; problems of a batch share its normals.
        weights: w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        correlation: C, positive semi-definite, shape `(..., k, k)`. D is in proportion to the
            variance that the others leave to a candidate: near-copies have little noise of their
            own, which makes bounds weaker, but the rest keep theirs.
        budget: the largest N that will be asked for.
        num_draws: of y.
        mask: boolean `(..., k)`, false for padding, whose moments are those of p = 0.

    Returns:
        log E[(1 - p_i)^b | y] by 24 Gauss-Hermite nodes, shape `(..., draws, k, budget + 1)`. The
        nodes have positive weights, so this is a prior in its own right; its failure is within
        7e-4 of the exact one, relatively.

    Raises:
        ValueError: as `copula_draws`, a budget that is not a count.
        TypeError: `key` is not a JAX key.

    Source: theory 8.2.2.
    """
    check_key("key", key)
    w, kappa, c = _checked_prior(weights, concentration, correlation, mask)
    count = check_whole("num_draws", num_draws, 1)
    return _log_moments(key, w, kappa, c, check_whole("budget", budget), count)


def copula_prior(
    key: Key[Array, ""] | UInt32[Array, "2"],
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    correlation: Real[ArrayLike, "*#batch k k"],
    budget: int,
    *,
    num_draws: int = 512,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> JointPrior:
    """The copula prior as `certify` takes it: a sample of its latent.

    Args:
        key: JAX random key.
        weights: w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        correlation: C, positive semi-definite, shape `(..., k, k)`.
        budget: the largest N that will be asked for.
        num_draws: of the latent.
        mask: boolean `(..., k)`, false for padding, which receives nothing under this prior.

    Returns:
        A sampled `JointPrior`.

    Raises:
        ValueError: as `copula_log_moments`.
        TypeError: `key` is not a JAX key.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> dt.joint_allocation(prior, 12).sum()
        Array(12, dtype=int32)

    Source: theory 8.2.
    """
    table = copula_log_moments(
        key, weights, concentration, correlation, budget, num_draws=num_draws, mask=mask
    )
    ones, there = jnp.ones(table.shape[:-2], table.dtype), cast(Any, mask)
    return JointPrior(table, ones, sampled=True, mask=there)


def _checked_prior(
    weights: ArrayLike, concentration: ArrayLike, correlation: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """W, κ and C, with 0 for padding, which is correlated with itself alone."""
    w, kappa, c, there = checked(
        mask,
        promote=True,
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "", offset_domain),
        correlation=Argument(correlation, "k k", CORRELATION),
    )
    if is_host(correlation) and is_host(mask):
        check_symmetric("correlation", correlation, mask)
        given = host_array(correlation, np.float64)
        if mask is not None:
            given = np.where(mask_of(host_array(mask), "k k"), given, np.eye(given.shape[-1]))
        lowest = np.linalg.eigvalsh(given).min(initial=0)
        if lowest < -1e-4:
            raise ValueError(
                f"correlation: has the eigenvalue {lowest:.3g}, needs a positive semi-definite "
                "matrix (see copula_correlation)"
            )
    if mask is None:
        return w, kappa, c
    alone = jnp.eye(c.shape[-1], dtype=c.dtype)
    return jnp.where(there, w, 0), kappa, jnp.where(mask_of(there, "k k"), c, alone)


@jax.jit
def _kernel(s: Array, t: Array, mask: Array) -> Array:
    both = mask_of(mask, "k k")
    bad = jnp.broadcast_to(FINITE.fails(s, 2, both) | POSITIVE.fails(t), mask.shape[:-1])
    s = jnp.where(both & ~bad[..., None, None], s, 0)
    return spoiled(kernel(s, jnp.where(bad, 1, t), mask), bad, 2)


@jax.jit
def _correlation(s: Array, t: Array, mask: Array) -> CopulaCorrelation:
    both = mask_of(mask, "k k")
    bad = FINITE.fails(s, 2, both) | POSITIVE.fails(t)
    c = kernel(jnp.where(both & ~bad[..., None, None], s, 0), jnp.where(bad, 1, t), mask)
    c, lift = repaired(c)
    return CopulaCorrelation(spoiled(c, bad, 2), spoiled(lift, bad, 0))


def kernel(s: Array, t: Array, mask: Array) -> Array:
    """exp(-(1 - S)/T_s) of the symmetric part, 1 on the diagonal and 0 to padding, unchecked."""
    s = 0.5 * (s + jnp.swapaxes(s, -1, -2))
    eye = jnp.eye(s.shape[-1], dtype=bool)
    near = jnp.exp((jnp.minimum(s, 1) - 1) / t[..., None, None])
    return jnp.where(eye, 1, jnp.where(mask_of(mask, "k k"), near, 0))


def repaired(c: Array, size: Array | None = None) -> tuple[Array, Array]:
    """The nearest positive semi-definite matrix of the kind (C + δI)/(1 + δ), and δ.

    `size` is the number of candidates, where some of C's are padding.
    """
    k = c.shape[-1]
    lowest = jnp.linalg.eigvalsh(c)[..., 0]
    rounding = 10 * jnp.finfo(c.dtype).eps * (k if size is None else size)
    lift = jnp.where(lowest < -rounding, -lowest, 0)
    own = lift[..., None, None]
    return jnp.where(jnp.eye(k, dtype=bool), 1, c / (1 + own)), lift


def copies(w: Array, c: Array, mask: Array) -> Array:
    """The lowest index that each candidate is one with: C_ij = 1 and equal w, to rounding."""
    eps = float(jnp.finfo(w.dtype).eps)
    gap = jnp.abs(w[..., :, None] - w[..., None, :])
    equal = gap <= COPY * eps * jnp.maximum(w[..., :, None], w[..., None, :])
    return leaders(jnp.where(equal, c, 0), mask, COPY * eps)


def _root(c: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(c)
    return jnp.maximum(values, 0), vectors


def _own_noise(c: Array) -> Array:
    """The diagonal D = δ D_0 with C - D positive semi-definite, D_0 the conditional variances."""
    k = c.shape[-1]
    ridge = 1e3 * k * float(jnp.finfo(c.dtype).eps)
    inverse = jnp.linalg.inv(c + ridge * jnp.eye(k, dtype=c.dtype))
    left = 1 / jnp.diagonal(inverse, axis1=-2, axis2=-1)
    root = jnp.sqrt(left)
    scaled = c / (root[..., :, None] * root[..., None, :])
    least = jnp.maximum(jnp.linalg.eigvalsh(scaled)[..., :1], 0)
    return jnp.minimum(least, 1) * left


@partial(jax.jit, static_argnames="draws")
def _draws(key: Array, w: Array, kappa: Array, c: Array, draws: int) -> Array:
    bad = SHARE.fails(w, 1) | offset_domain(w.dtype).fails(kappa) | FINITE.fails(c, 2)
    k = w.shape[-1]
    values, vectors = _root(jnp.where(bad[..., None, None], jnp.eye(k, dtype=c.dtype), c))
    noise = jax.random.normal(key, (draws // 2, k), w.dtype)
    z = (noise * jnp.sqrt(values)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)
    z = jnp.swapaxes(jnp.concatenate([z, -z], -2), -1, -2)
    kappa = jnp.where(bad, 1, kappa)
    w = jnp.where(bad[..., None], 0.5, w)
    theta = interpolated(quantiles(inner(w), kappa[..., None]), z)
    return spoiled(jnp.swapaxes(rates_of(w[..., None], theta), -1, -2), bad, 2)


@partial(jax.jit, static_argnames=("budget", "draws"))
def _log_moments(key: Array, w: Array, kappa: Array, c: Array, budget: int, draws: int) -> Array:
    bad = SHARE.fails(w, 1) | offset_domain(w.dtype).fails(kappa) | FINITE.fails(c, 2)
    k = w.shape[-1]
    c = jnp.where(bad[..., None, None], jnp.eye(k, dtype=c.dtype), c)
    own = _own_noise(c)
    values, vectors = _root(c - own[..., None] * jnp.eye(k, dtype=c.dtype))
    noise = jax.random.normal(key, (draws, k), w.dtype)
    y = (noise * jnp.sqrt(values)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)
    table = quantiles(inner(jnp.where(bad[..., None], 0.5, w)), jnp.where(bad, 1, kappa)[..., None])
    nodes, shares = np.polynomial.hermite_e.hermegauss(_NOISE)
    log_shares = jnp.asarray(np.log(shares / shares.sum()), w.dtype)
    steps = jnp.arange(budget + 1, dtype=w.dtype)
    spread = jnp.sqrt(own)[..., None] * jnp.asarray(nodes, w.dtype)

    def block(y: Array) -> Array:
        """Of one draw of y in each problem, `(..., k)`, to `(..., k, n)`."""
        x = rates_of(w[..., None], interpolated(table, y[..., None] + spread))
        lost = jnp.where(steps[:, None] > 0, x[..., None, :] * steps[:, None], 0)
        return jax.scipy.special.logsumexp(log_shares - lost, axis=-1)

    size = max(1, _BLOCK // max(y[..., 0, :].size * _NOISE * (budget + 1), 1))
    found = jax.lax.map(block, jnp.moveaxis(y, -2, 0), batch_size=min(size, draws))
    found = jnp.minimum(jnp.moveaxis(found, 0, -3), 0)
    found = jnp.where(steps > 0, found, 0)
    return spoiled(found, bad, 3)
