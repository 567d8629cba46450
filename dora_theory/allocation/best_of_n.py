"""Best of N by a noisy score: P(the answer of the highest score is right) (theory 9.3.4, 9.3.5).

Right answers score N(d, σ_1²), wrong ones N(0, σ_0²), of distribution functions F_1 and F_0. Given
p, a rollout's score is below s with probability G = p F_1 + (1 - p) F_0, and

    P = ∫ Σ_i E[B_i p_i f_1 G_i^{B_i - 1}] Π_{j≠i} E[G_j^{B_j}] ds.

G is F_0 (1 - v p) where F_0 is the larger and F_1 (1 - v (1 - p)) else, so that its moments follow
from the positive recursion of rejections (theory 9.3.1).
"""

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
    log_density = -(up**2) / 2 - jnp.log(right) - np.log(2 * np.pi) / 2
    n = b.astype(w.dtype)
    if known:
        log_g = jnp.logaddexp(jnp.log(w) + log_right, jnp.log1p(-w) + log_wrong)
        below, best = n * log_g, (n - 1) * log_g + jnp.log(w)
    else:
        below, best = _moments(w, kappa, n, log_right, log_wrong, most)
    # The others are below the best of i, which is right.
    none = b == 0
    below = jnp.where(none, 0, below)
    others = below.sum(-1, keepdims=True) - below
    terms = jnp.where(none | (w == 0), 0, n * jnp.exp(others + jnp.where(none, 0, best)))
    found = (weight * jnp.exp(log_density) * terms.sum(-1)).sum() * (high - low) / 2
    return jnp.where((~known) & (jnp.where(mask, b, 0).max() > most), jnp.nan, found)


def _moments(
    w: Array, kappa: Array, n: Array, log_right: Array, log_wrong: Array, most: int
) -> tuple[Array, Array]:
    """Log E[G^n] and log E[p G^(n - 1)] at each score, shape `(nodes, k)`."""
    swapped = log_right > log_wrong
    v = -jnp.expm1(-jnp.abs(log_right - log_wrong))[..., None]
    kappa = jnp.broadcast_to(kappa, w.shape)[:, None]
    j = jnp.arange(most + 1, dtype=w.dtype)
    # Known failures, or where G is written in 1 - p, known successes.
    mean, rest = kappa * w[:, None], kappa * (1 - w[:, None])
    again = jnp.where(swapped[..., None], mean + j, rest + j) / (kappa + j)
    hit = jnp.where(swapped[..., None], mean + j, mean) / (kappa + j)

    def more(state: tuple[Array, ...], r: Array) -> tuple[tuple[Array, ...], None]:
        mass, log_total, below, best = state
        here = log_total + jnp.log((mass * hit).sum(-1))
        below = jnp.where(n == r, log_total, below)
        best = jnp.where(n - 1 == r, here, best)
        known = jnp.pad(mass * again, ((0, 0), (0, 0), (1, 0)))[..., :-1]
        after = (1 - v) * mass + v * known
        total = after.sum(-1, keepdims=True)
        after = after / jnp.where(total > 0, total, 1)
        return (after, log_total + jnp.log(total[..., 0]), below, best), None

    shape = (log_right.shape[0], w.size)
    start = jnp.zeros((*shape, most + 1), w.dtype).at[..., 0].set(1)
    zero = jnp.zeros(shape, w.dtype)
    carry = varying_with((start, zero, zero, zero), w, n, log_right)
    (_, _, below, best), _ = jax.lax.scan(more, carry, jnp.arange(most + 1))
    larger = jnp.maximum(log_right, log_wrong)
    return n * larger + below, (n - 1) * larger + best
