r"""Divisor methods for correlated candidates (theory 8.3).

The exact optimum of independent candidates gives each rollout to the largest w_i/(κ + B_i). Here a
rollout of one candidate also takes up part of a rollout of those that are like it: the divisor is
κ + Σ_j (what j has taken of i). Rules differ in that part alone, and all spend the budget exactly.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_budget, checked, mask_of
from dora_theory._domains import COUNT, SHARE, budget_domain, cannot_spend, spoiled
from dora_theory._sizes import rounded
from dora_theory.allocation import shared_on_host
from dora_theory.allocation.divisors import among_copies, checked_problem, readied, row_of, spend
from dora_theory.model.copula import copies
from dora_theory.model.copula_moments import PairSeries, pair_series, series_divisors
from dora_theory.model.directions import segment_sum
from dora_theory.model.on_host import small_by
from dora_theory.model.root_weights import root_weights


@small_by(shared_on_host.shared_divisor_allocation)
@rounded
def shared_divisor_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    smooth: bool = False,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Each rollout to the largest w_i/(κ + Σ_j C_ij √(w_i/w_j) B_j).

    Args:
        weights: w in [0, 1], shape `(..., k)`; a candidate with w = 0 gets none.
        correlation: C, symmetric with diagonal 1, shape `(..., k, k)`, as `copula_correlation`.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0, scalar or shape `(...)`.
        smooth: take w̃ = C w/C 1 in place of w: for scores whose differences among like candidates
            are noise.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N; ties within 32 ulps go to the lowest index; copies of equal w
        share evenly. Exactly optimal for independent candidates and for one p per direction; B/N
        tends to the root weights. If all w are 0 the first candidate receives all. O(k N).

    Raises:
        ValueError: NaN, weights outside [0, 1], a matrix that is not a correlation, κ or N as in
            `optimal_allocation`.

    Examples:
        >>> w, c = np.array([0.4, 0.3, 0.3]), np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
        >>> dt.shared_divisor_allocation(w, c, 1.0, 12)
        Array([5, 2, 5], dtype=int32)

    Source: theory 8.3.1, 8.3.5.
    """
    return _shared(*checked_problem(weights, correlation, concentration, budget, mask), smooth)


@rounded
def moment_divisor_allocation(
    means: Real[ArrayLike, "*#batch k"],
    second_moments: Real[ArrayLike, "*#batch k k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Each rollout to the largest μ_i/(1 + Σ_j D_ij B_j), for any prior, from pair moments alone.

    Args:
        means: μ_i = E p_i in [0, 1], shape `(..., k)`; a candidate with μ = 0 gets none.
        second_moments: E p_i p_j, symmetric, shape `(..., k, k)`.
        budget: N ≥ 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N; ties within 32 ulps go to the lowest index. With
        D_ij = (E p_i p_j - μ_i μ_j)/(μ_i - E p_i p_j); where the denominator is 0 a rollout of j
        leaves nothing to i. Equal to greedy for N ≤ 2 under any prior. O(k N).

    Raises:
        ValueError: NaN, means or moments outside [0, 1], N as in `optimal_allocation`.

    Source: theory 8.3.2.
    """
    mu, second, n, m = checked(
        mask,
        promote=True,
        means=Argument(means, domain=SHARE),
        second_moments=Argument(second_moments, "k k", SHARE),
        budget=Argument(budget, "", COUNT),
    )
    check_budget(budget, mask, mu.dtype)
    return _moments(mu, second, n, m)


@rounded
def pair_divisor_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Each rollout to the largest μ_i/(1 + Σ_j d_ij(B_j)), the copula's own pairs at depth B_j.

    Args: as `shared_divisor_allocation`, which alone can smooth.

    Returns:
        int32 `(..., k)` with sum N; ties within 32 ulps go to the lowest index; copies of equal w
        share evenly. d_ij(b) = μ_i E[q_j^b]/E[p_i q_j^b] - 1 by 24 Hermite polynomials, and b/κ
        for j = i: equal to greedy while one candidate has had all rollouts. O(k² N).

    Raises:
        ValueError: as `shared_divisor_allocation`.

    Examples:
        >>> w, c = np.array([0.4, 0.3, 0.3]), np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
        >>> dt.pair_divisor_allocation(w, c, 1.0, 12)
        Array([5, 3, 4], dtype=int32)

    Source: theory 8.3.2.
    """
    return _pairs(*checked_problem(weights, correlation, concentration, budget, mask), True)


@rounded
def copula_moment_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Moment divisors with the moments of the copula prior.

    Args: as `shared_divisor_allocation`, which alone can smooth.

    Returns:
        int32 `(..., k)` with sum N, as `moment_divisor_allocation`; copies of equal w share evenly.

    Raises:
        ValueError: as `shared_divisor_allocation`.

    Examples:
        >>> w, c = np.array([0.4, 0.3, 0.3]), np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
        >>> dt.copula_moment_allocation(w, c, 1.0, 12)
        Array([6, 2, 4], dtype=int32)

    Source: theory 8.3.2.
    """
    return _pairs(*checked_problem(weights, correlation, concentration, budget, mask), False)


@rounded
def root_weight_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """The exact optimum of independent candidates that have the root weights.

    Args: as `shared_divisor_allocation`, which alone can smooth.

    Returns:
        int32 `(..., k)` with sum N, the N largest w'_i/(κ + r). O(k³ + k N).

    Raises:
        ValueError: as `shared_divisor_allocation`.

    Examples:
        >>> w, c = np.array([0.4, 0.3, 0.3]), np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
        >>> dt.root_weight_allocation(w, c, 1.0, 12)
        Array([5, 2, 5], dtype=int32)

    Source: theory 8.2.5.
    """
    return _roots(*checked_problem(weights, correlation, concentration, budget, mask))


@rounded
def determinantal_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    correlation: Real[ArrayLike, "*#batch k k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Each rollout to the largest w_i v_i, v the variance that the rollouts before it leave.

    The rollouts are taken as observations, with noise of variance κ, of a Gaussian process of
    covariance C: the greedy rule for a determinant. v_i = κ/(κ + B_i) for independent candidates,
    so that it is their exact optimum.

    Args: as `shared_divisor_allocation`, which alone can smooth.

    Returns:
        int32 `(..., k)` with sum N; ties within 32 ulps go to the lowest index; copies of equal w
        share evenly. O(k² N).

    Raises:
        ValueError: as `shared_divisor_allocation`.

    Examples:
        >>> w, c = np.array([0.4, 0.3, 0.3]), np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
        >>> dt.determinantal_allocation(w, c, 1.0, 12)
        Array([5, 3, 4], dtype=int32)

    Source: theory 8.3.3, which states what such a rule loses but no formula.
    """
    return _determinantal(*checked_problem(weights, correlation, concentration, budget, mask))


@partial(jax.jit, static_argnames="smooth")
def _shared(w: Array, c: Array, kappa: Array, n: Array, mask: Array | None, smooth: bool) -> Array:
    w, c, kappa, n, mask, bad = readied(w, c, kappa, n, mask)
    if smooth:
        near = jnp.where(mask_of(mask & (w > 0), "k k"), c, 0)
        total = near.sum(-1)
        w = jnp.where(w > 0, (near @ w[..., None])[..., 0] / jnp.where(total > 0, total, 1), 0)
    root = jnp.where(w > 0, jnp.sqrt(w), 1)
    # Row j: what a rollout of j takes of each i.
    takes = c * (root[..., None, :] / root[..., :, None])
    # Beyond the budget nothing is counted, so what is then updated does not matter.
    spent = spend(
        w,
        n,
        mask,
        lambda taken: taken,
        lambda taken, best, step, spent: taken + row_of(takes, best),
        jnp.broadcast_to(kappa[..., None], w.shape),
    )
    return spoiled(among_copies(spent, w, c, mask), bad)


@jax.jit
def _moments(mu: Array, second: Array, n: Array, mask: Array) -> Array:
    both = mask_of(mask, "k k")
    bad = SHARE.fails(mu, 1, mask) | SHARE.fails(second, 2, both) | cannot_spend(n, mask)
    bad = jnp.broadcast_to(bad | budget_domain(mu.dtype).fails(n), mask.shape[:-1])
    mu = jnp.where(mask & ~bad[..., None], mu, 0)
    second = jnp.where(both & ~bad[..., None, None], second, 0)
    n = jnp.where(bad, 0, n)
    common = second - mu[..., :, None] * mu[..., None, :]
    takes = _quotient(common, mu[..., :, None] - second, mu[..., :, None])
    return spoiled(_by_moments(mu, takes, n, mask), bad)


def _quotient(common: Array, left: Array, scale: Array) -> Array:
    """D = common/left; infinite where nothing is left, to rounding."""
    none = left <= 8 * jnp.finfo(left.dtype).eps * scale
    return jnp.where(none, jnp.inf, common / jnp.where(none, 1, left))


def _by_moments(mu: Array, takes: Array, n: Array, mask: Array) -> Array:
    rows = jnp.swapaxes(takes, -1, -2)
    return spend(
        mu,
        n,
        mask,
        lambda taken: taken,
        lambda taken, best, step, spent: taken + row_of(rows, best),
        jnp.ones(mu.shape, mu.dtype),
    )


@partial(jax.jit, static_argnames="deep")
def _pairs(w: Array, c: Array, kappa: Array, n: Array, mask: Array | None, deep: bool) -> Array:
    w, c, kappa, n, mask, bad = readied(w, c, kappa, n, mask)
    leader = copies(w, c, mask)
    # Only one of several copies takes part; what it gets is theirs.
    leads = leader == jnp.arange(w.shape[-1])
    own = jnp.where(leads, w, 0)
    series = pair_series(own, kappa)
    eye = jnp.eye(w.shape[-1], dtype=bool)
    once = series_divisors(series, c, series.right(jnp.ones(w.shape, w.dtype)))
    itself = 1 / kappa[..., None, None]
    if deep:
        spent = _spend_deep(own, c, kappa, n, mask, series)
    else:
        spent = _by_moments(own, jnp.where(eye, itself, jnp.swapaxes(once, -1, -2)), n, mask)
    return spoiled(among_copies(spent, w, c, mask), bad)


def _spend_deep(
    w: Array, c: Array, kappa: Array, n: Array, mask: Array, series: PairSeries
) -> Array:
    def update(takes: Array, best: Array, step: Array, spent: Array) -> Array:
        """The chosen candidate's row, at its new depth."""
        depth = jnp.take_along_axis(spent, best[..., None], -1)[..., 0] + 1
        depth = depth.astype(w.dtype)
        right = series.right_of(best, depth)
        row = series_divisors(series, row_of(c, best)[..., None, :], right[..., None, :])[..., 0, :]
        place = jnp.arange(w.shape[-1]) == best[..., None]
        row = jnp.where(place, (depth / kappa)[..., None], row)
        return jnp.where(step[..., :, None], row[..., None, :], takes)

    zero = jnp.zeros((*w.shape, w.shape[-1]), w.dtype)
    return spend(w, n, mask, lambda takes: 1 + takes.sum(-2), update, zero)


@jax.jit
def _roots(w: Array, c: Array, kappa: Array, n: Array, mask: Array | None) -> Array:
    w, c, kappa, n, mask, bad = readied(w, c, kappa, n, mask)
    found = root_weights(w, c, mask=mask).weights
    # Copies, which share one weight, are served as the first of them.
    leader = copies(w, c, mask)
    found = segment_sum(found, leader, w.shape[-1])
    divisors = jnp.broadcast_to(kappa[..., None], w.shape)
    spent = spend(
        found, n, mask, lambda taken: taken, lambda taken, best, step, _: taken + step, divisors
    )
    return spoiled(among_copies(spent, w, c, mask), bad)


@jax.jit
def _determinantal(w: Array, c: Array, kappa: Array, n: Array, mask: Array | None) -> Array:
    w, c, kappa, n, mask, bad = readied(w, c, kappa, n, mask)

    def divisors(left: Array) -> Array:
        variance = jnp.diagonal(left, axis1=-2, axis2=-1)
        return 1 / jnp.maximum(variance, jnp.finfo(w.dtype).tiny)

    def update(left: Array, best: Array, step: Array, spent: Array) -> Array:
        row = row_of(left, best)
        own = jnp.take_along_axis(row, best[..., None], -1)
        off = row / (kappa[..., None] + own)
        less = left - off[..., :, None] * row[..., None, :]
        # The row itself without a difference: it is its own part κ/(κ + v).
        short = row * (kappa[..., None] / (kappa[..., None] + own))
        mine = jnp.arange(w.shape[-1]) == best[..., None]
        less = jnp.where(mine[..., :, None], short[..., None, :], less)
        return jnp.where(mine[..., None, :], short[..., :, None], less)

    spent = spend(w, n, mask, divisors, update, jnp.broadcast_to(c, (*w.shape, w.shape[-1])))
    return spoiled(among_copies(spent, w, c, mask), bad)
