"""Best of N by a noisy score: P(the answer of the highest score is right) (theory 9.3.4, 9.3.5).

Right answers score N(d, σ_1²), wrong ones N(0, σ_0²), of distribution functions F_1 and F_0. Given
p, a rollout's score is below s with probability G = p F_1 + (1 - p) F_0, and

    P = ∫ Σ_i E[B_i p_i f_1 G_i^{B_i - 1}] Π_{j≠i} E[G_j^{B_j}] ds.

G is F_0 (1 - v p) where F_0 is the larger and F_1 (1 - v (1 - p)) else, so that its moments follow
from the positive recursion of rejections (theory 9.3.1).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_whole, is_concrete
from dora_theory._domains import COUNT, FINITE, POSITIVE
from dora_theory.allocation.one_by_one import Domains, checked_candidates, on_each
from dora_theory.kernels.varying import varying_with

# Standard deviations beyond which a score is not looked at.
_TAIL = 10.0
_DOMAINS: Domains = {
    "allocation": ("k", COUNT, 0),
    "separation": ("", FINITE, 0.0),
    "right_scale": ("", POSITIVE, 1.0),
    "wrong_scale": ("", POSITIVE, 1.0),
}


def best_of_n_accuracy(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."] | None,
    allocation: Real[ArrayLike, "*#batch k"],
    separation: Real[ArrayLike, "*#batch"],
    *,
    right_scale: Real[ArrayLike, "*#batch"] = 1.0,
    wrong_scale: Real[ArrayLike, "*#batch"] = 1.0,
    nodes: int = 2000,
    max_rollouts: int | None = None,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """P(the rollout of the highest score is right), scores normal around right and wrong.

    With σ_1 = σ_0 it rises with N for every d > 0; with σ_0 > σ_1 it peaks and then falls to 0,
    because the highest scores are those of wrong answers.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`; None for
            candidates whose p = w is known.
        allocation: rollouts B ≥ 0, integers, shape `(..., k)`.
        separation: d, the mean score of right answers less that of wrong ones.
        right_scale: σ_1 > 0.
        wrong_scale: σ_0 > 0.
        nodes: Gauss-Legendre nodes in the score.
        max_rollouts: at least the largest B, which it is by default; it must be known, so state it
            under `jit`. A problem with more gives NaN. It is not used if p is known.
        mask: boolean `(..., k)`; candidates that are false count for nothing.

    Returns:
        Shape `(...)`; 0 without rollouts. With 2,000 nodes to 1e-9 in float64 and 1e-4 in float32
        for scales within a factor 10 and d to 10 of them. O(nodes k B²), O(nodes k) if p is known.

    Raises:
        ValueError: values out of range, shapes that do not fit.

    Source: theory 9.3.4, 9.3.5.
    """
    known = concentration is None
    w, kappa, b, d, right, wrong, m = checked_candidates(
        weights,
        1.0 if concentration is None else concentration,
        mask,
        _DOMAINS,
        allocation=allocation,
        separation=separation,
        right_scale=right_scale,
        wrong_scale=wrong_scale,
    )
    check_whole("nodes", nodes, 1)
    if max_rollouts is None and not known:
        if not (is_concrete(b) and is_concrete(m)):
            raise ValueError("max_rollouts: is not given, and the allocation is traced")
        max_rollouts = int(np.max(np.where(m, b, 0), initial=0))
    most = 0 if known else check_whole("max_rollouts", max_rollouts)
    given = {"allocation": b, "separation": d, "right_scale": right, "wrong_scale": wrong}
    return on_each(_accuracy, (known, nodes, most), _DOMAINS, m, w, kappa, **given)


def _accuracy(
    known: bool,
    nodes: int,
    most: int,
    mask: Array,
    w: Array,
    kappa: Array,
    b: Array,
    d: Array,
    right: Array,
    wrong: Array,
) -> Array:
    x, weight = (jnp.asarray(y, w.dtype) for y in np.polynomial.legendre.leggauss(nodes))
    low = jnp.minimum(d - _TAIL * right, -_TAIL * wrong)
    high = jnp.maximum(d + _TAIL * right, _TAIL * wrong)
    s = low + (high - low) * (x + 1) / 2
    up = (s - d) / right
    log_right, log_wrong = log_ndtr(up)[:, None], log_ndtr(s / wrong)[:, None]
    log_density = -(up**2) / 2 - jnp.log(right) - math.log(2 * math.pi) / 2
    # G is F_0 (1 - v p), or where F_1 is the larger F_1 (1 - v (1 - p)).
    swapped, larger = log_right > log_wrong, jnp.maximum(log_right, log_wrong)
    far = jnp.minimum(jnp.abs(log_right - log_wrong), -math.log(jnp.finfo(w.dtype).eps) - 2)
    v = -jnp.expm1(-far)
    n = b.astype(w.dtype)
    if known:
        each = jnp.log1p(-v * jnp.where(swapped, 1 - w, w))
        below, others_of_best, hit = n * each, (n - 1) * each, jnp.broadcast_to(w, each.shape)
    else:
        below, others_of_best, hit = _moments(w, kappa, n, v, swapped, most)
    # All others are below the best of i, which is right.
    some = b > 0
    below = jnp.where(some, n * larger + below, 0)
    rest = jnp.where(some, (n - 1) * larger + others_of_best, 0)
    chance = n * jnp.exp(below.sum(-1, keepdims=True) - below + rest) * hit
    found = (weight * jnp.exp(log_density) * chance.sum(-1)).sum() * (high - low) / 2
    return jnp.where((not known) & (jnp.where(mask, b, 0).max() > most), jnp.nan, found)


def _moments(
    w: Array, kappa: Array, n: Array, v: Array, swapped: Array, most: int
) -> tuple[Array, Array, Array]:
    """Log E[x^n], log E[x^(n - 1)] and E[p x^(n - 1)]/E[x^(n - 1)] at each score, `(nodes, k)`.

    X is 1 - v p, or 1 - v (1 - p) where `swapped`.
    """
    v, swapped = v[..., None], swapped[..., None]
    w, kappa = w[:, None], jnp.broadcast_to(kappa, w.shape)[:, None]
    j = jnp.arange(most + 1, dtype=w.dtype)
    # After j known failures, or successes, of which p has its mean.
    again = (jnp.where(swapped, kappa * w, kappa * (1 - w)) + j) / (kappa + j)
    mean = (kappa * w + jnp.where(swapped, j, 0)) / (kappa + j)

    def more(state: tuple[Array, ...], r: Array) -> tuple[tuple[Array, ...], None]:
        mass, total, at, before, hit = state
        at = jnp.where(n == r, total, at)
        before = jnp.where(n - 1 == r, total, before)
        hit = jnp.where(n - 1 == r, (mass * mean).sum(-1), hit)
        known = jnp.pad(mass * again, ((0, 0), (0, 0), (1, 0)))[..., :-1]
        after = (1 - v) * mass + v * known
        left = after.sum(-1, keepdims=True)
        return (after / left, total + jnp.log(left[..., 0]), at, before, hit), None

    shape = (v.shape[0], n.size)
    start = jnp.zeros((*shape, most + 1), w.dtype).at[..., 0].set(1)
    zero = jnp.zeros(shape, w.dtype)
    carry: tuple[Array, ...] = varying_with((start, zero, zero, zero, zero), w, n, v)
    _, _, at, before, hit = jax.lax.scan(more, carry, jnp.arange(most + 1))[0]
    return at, before, hit
