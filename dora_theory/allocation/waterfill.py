"""Real-valued relaxations: water-filling, the paper's finite-κ rule, and rounding (theory 2.5).

The paper's surrogate replaces Σ_{r<B} 1/(κ + r) by log(κ + B) - log κ. Its maximum over real
B ≥ 0 with Σ B = N is water-filling, B_i = max(0, w_i/λ - κ): candidates of low quality receive
nothing. The paper's own rule drops B ≥ 0, and goes negative for them.

Writing B_i = w_i (N + m c)/W - c, with m active candidates, c = κ - shift and W the sum of their
weights, would subtract numbers of size κ. Here the differences of weights are taken first,

    B_i = [N w_i + c Σ_j (w_i - w_j)]/W = [N w_i + c (D - m d_i)]/W,

with d_j = max w - w_j and D = Σ d_j over the active ones. As the last active candidate has
c d ≤ N w, no term exceeds N: the error is a few ulps of N, whatever κ is.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_number
from dora_theory._domains import (
    FINITE,
    SHARE,
    budget_domain,
    cannot_spend,
    offset_fails,
    spoiled,
)
from dora_theory._sizes import rounded
from dora_theory.allocation.optimal import checked_problem
from dora_theory.kernels.divisor import largest_priorities


@rounded
def waterfill_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    budget: Real[ArrayLike, "*#batch"],
    *,
    shift: float = 0.0,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """Real B ≥ 0 with Σ B = N that maximize Σ w_i log(κ - shift + B_i): water-filling.

    B_i = max(0, w_i/λ - c) with c = κ - shift and λ such that the budget is spent. `shift` = 1/2
    gives the relaxation that lies closest to the integer optimum (theory 2.5b).

    Where c < 0 (κ below the shift) every candidate of positive weight receives -c before weights
    count: B_i = w_i/λ - c, all active. A budget too small for that, N < -c k₊ with k₊ the number
    of positive weights, is shared equally among them, which is what c = -N/k₊ gives: so B is
    continuous in N, κ and the positive weights.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`; only their ratios matter.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)` (see
            `optimal_allocation`): then B_i = max(0, κ_i w_i/λ - κ_i + shift), to (k + 8) u (N +
            Σκ).
        budget: integer N ≥ 0 of rollouts, scalar or shape `(...)`.
        shift: what is taken from κ, any finite number.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        Rollouts of each candidate, real, `(..., k)`. If all weights of a problem are 0 its first
        candidate receives all. The error of each B_i, and of the sum, is at most (k + 8) u N with u
        = 2^-53 in float64 and 2^-24 in float32, for the w, κ and shift given (c = κ - shift is
        rounded once; that costs c u as an error of κ). Differentiable in weights and
        concentration; on the edge of the active set the derivative is one of the two sides or
        their mean.

    Raises:
        ValueError: NaN, negative or too large a value, an empty problem, shapes that do not fit.

    Examples:
        >>> weights = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
        >>> np.asarray(dt.waterfill_allocation(weights, 5.0, 32), float).round(2)
        array([19.02,  9.1 ,  3.88,  0.  ,  0.  ])

    Source: theory 2.5, a correction of Proposition 1.
    """
    w, kappa, n, m = checked_problem(weights, concentration, budget, mask)
    check_number("shift", shift)
    return _shifted_waterfill(w, kappa, jnp.asarray(shift, w.dtype), n, m)


@rounded
def shifted_linear_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """The paper's rule for finite κ, literally: B_i = (N + kκ) w_i - κ, which may be negative.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`, with sum 1 if the budget is to be kept.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: integer N ≥ 0 of rollouts, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding: it receives 0 and does not count in k.

    Returns:
        Real `(..., k)`. The sum is N if the weights have sum 1; every candidate with
        w_i < κ/(N + kκ) is negative. Error of at most 4 u (N w_i + κ (k w_i + 1)), with u as in
        `waterfill_allocation`: it grows with κ, since it answers to the sum of the weights.

    Raises:
        ValueError: as `waterfill_allocation`.

    Examples:
        >>> weights = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
        >>> np.asarray(dt.shifted_linear_allocation(weights, 5.0, 32), float).round(2)
        array([21.22, 10.39,  4.69, -0.44, -3.86])

    Source: Proposition 1; theory 2.5.
    """
    w, kappa, n, m = _checked_one(weights, concentration, budget, mask)
    return _shifted_linear(w, kappa, n, m)


@rounded
def rounded_waterfill_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """Water-filling shifted by a half, rounded by Webster's method: near the optimum, not on it.

    The real solution is apportioned as if it were votes, so N is spent to the last rollout. At κ =
    1/2 that is Webster's method on the weights, hence the exact optimum. At no N are more than k₊/2
    rollouts, half the number of positive weights, placed otherwise than in the optimum: rounded
    number by number the real solution is the optimum of another budget M, from where both go on by
    |M - N| ≤ k₊/2 rollouts. For κ ≥ 1/2 it is 0 to 2 on random instances. For κ → 0 it can be k₊/2,
    because the optimum then serves all candidates once at nearly one level, and halving steps is no
    fair account of that; there the line is replaced by a chord up to the first half rollout (see
    `_steep_then_even`).

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`; at most 2^22 in float32.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        Rollouts of each candidate, int32 `(..., k)`, with sum N; ties go to the lowest index. If
        all weights are 0 the first candidate receives all.

    Raises:
        ValueError: as `waterfill_allocation`.

    Examples:
        >>> weights = np.array([0.46, 0.27, 0.17, 0.08, 0.02])
        >>> dt.rounded_waterfill_allocation(weights, 5.0, 32)
        Array([19,  9,  4,  0,  0], dtype=int32)

    Source: theory 2.5b.
    """
    w, kappa, n, m = _checked_one(weights, concentration, budget, mask)
    return _rounded(w, kappa, n, m)


def _checked_one(
    weights: ArrayLike, concentration: ArrayLike, budget: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    """As `checked_problem`, for rules that have one κ."""
    found = checked_problem(weights, concentration, budget, mask)
    if found[1].shape[-1] > 1:
        raise ValueError("concentration: this rule has one for all candidates, got one for each")
    return found


@jax.jit
def _shifted_waterfill(w: Array, kappa: Array, shift: Array, n: Array, mask: Array) -> Array:
    bad = _bad_problem(w, kappa, n, mask) | FINITE.fails(shift)
    if kappa.shape[-1] == 1:
        return spoiled(_waterfill(w, kappa - shift, n[..., None], mask), bad)
    kappa = jnp.where(mask, kappa, 1)
    return spoiled(_own_waterfill(w, kappa, kappa - shift, n[..., None], mask), bad)


def _own_waterfill(w: Array, kappa: Array, c: Array, n: Array, mask: Array) -> Array:
    """B_i = max(0, κ_i w_i/λ - c_i) with Σ B = N."""
    n = n.astype(w.dtype)
    share = kappa * jnp.where(mask, w, 0)
    live = share > 0
    c = jnp.where(live, jnp.maximum(c, -n / jnp.maximum(live.sum(-1, keepdims=True), 1)), 0)
    # The water reaches i where λ < κ_i w_i/c_i: a prefix in descending order of that.
    reach = jnp.where(live, jnp.where(c > 0, share / jnp.where(c > 0, c, 1), jnp.inf), -jnp.inf)
    order = jnp.argsort(-reach, -1, stable=True)
    shares, offsets = (jnp.take_along_axis(x, order, -1) for x in (share, c))
    price = jnp.cumsum(shares, -1) / (n + jnp.cumsum(offsets, -1))
    ahead = jnp.take_along_axis(reach, order, -1)
    count = jnp.maximum((ahead > price).sum(-1, keepdims=True), 1)
    active = live & (jnp.argsort(order, -1) < count)
    total = jnp.where(active, share, 0).sum(-1, keepdims=True)
    level = (n + jnp.where(active, c, 0).sum(-1, keepdims=True)) / jnp.where(total > 0, total, 1)
    filled = jnp.where(active, jnp.maximum(share * level - c, 0), 0)
    return jnp.where(live.any(-1, keepdims=True), filled, jnp.where(_is_first(mask), n, 0))


def _waterfill(w: Array, c: Array, n: Array, mask: Array) -> Array:
    n = n.astype(w.dtype)
    w = jnp.where(mask, w, 0)
    # Only ratios of weights matter, so the largest may be held fixed in a derivative.
    top = jax.lax.stop_gradient(w.max(-1, keepdims=True))
    scale = jnp.where(top > 0, top, 1)
    u, d = w / scale, (top - w) / scale
    live = u > 0
    m = live.sum(-1, keepdims=True).astype(w.dtype)
    c = jnp.maximum(c, -n / jnp.maximum(m, 1))

    # The active ones are a prefix in descending order of weight: the water reaches i iff
    # N w_i > c Σ_j (w_j - w_i) over those before it.
    order = jax.lax.stop_gradient(jnp.sort(jnp.where(live, d, jnp.inf), -1))
    place = jnp.arange(1, w.shape[-1] + 1, dtype=w.dtype)
    finite = jnp.isfinite(order)
    ahead = jnp.where(finite, order, 0)
    excess = place * ahead - jnp.cumsum(ahead, -1)
    reached = finite & (n * (1 - ahead) > jax.lax.stop_gradient(c) * excess)
    edge = jnp.where(reached, ahead, 0).max(-1, keepdims=True)
    active = live & (d <= edge)

    m = active.sum(-1, keepdims=True).astype(w.dtype)
    total = jnp.where(active, u, 0).sum(-1, keepdims=True)
    spread = jnp.where(active, d, 0).sum(-1, keepdims=True)
    share = (n * u + c * (spread - m * d)) / jnp.where(total > 0, total, 1)
    filled = jnp.where(active, jnp.maximum(share, 0), 0)
    return jnp.where(top > 0, filled, jnp.where(_is_first(mask), n, 0))


@jax.jit
def _shifted_linear(w: Array, kappa: Array, n: Array, mask: Array) -> Array:
    bad = _bad_problem(w, kappa, n, mask)
    n = n[..., None]
    k = mask.sum(-1, keepdims=True).astype(w.dtype)
    w = jnp.where(mask, w, 0)
    return spoiled(jnp.where(mask, n * w + kappa * (k * w - 1), 0), bad)


@jax.jit
def _rounded(w: Array, kappa: Array, n: Array, mask: Array) -> Array:
    bad = _bad_problem(w, kappa, n, mask)
    w, kappa, n = jnp.where(mask, w, 0), kappa, jnp.where(bad, -1, n)
    half = jnp.asarray(0.5, w.dtype)
    filled = _waterfill(w, kappa - half, n[..., None], mask)
    votes = jnp.where(kappa > half, filled, _steep_then_even(w, kappa, n[..., None], mask))
    # At κ = 1/2 the votes N w would give what the weights give, but for the rounding of N w.
    votes = jnp.where(kappa == half, w, votes)
    votes = jnp.broadcast_to(votes, mask.shape)
    return largest_priorities(votes, half, n, mask)


def _steep_then_even(w: Array, kappa: Array, n: Array, mask: Array) -> Array:
    """B_i = min(s w_i/(2κ), s w_i + 1/2 - κ) with Σ B = N, for κ ≤ 1/2.

    At level s the optimum gives ⌊s w - κ⌋ + 1 rollouts, none below s w = κ. The line s w + 1/2 - κ
    runs through the middle of its steps, but is 1/2 - κ where there are none; the chord from 0 to
    the middle of the first step corrects that, and is the same line at κ = 1/2.
    """
    n = n.astype(w.dtype)
    w = jnp.where(mask, w, 0)
    top = w.max(-1, keepdims=True)
    u = w / jnp.where(top > 0, top, 1)
    whole = u.sum(-1, keepdims=True)
    order = -jnp.sort(-u, -1)
    place = jnp.arange(1, w.shape[-1] + 1, dtype=w.dtype)
    sums = jnp.cumsum(order, -1)
    # N at which the level reaches the bend of a candidate, times its weight; it falls with it.
    bend = kappa * sums + place * (0.5 - kappa) * order + (whole - sums) / 2
    edge = jnp.where(n * order > bend, order, jnp.inf).min(-1, keepdims=True)
    even = u >= edge
    above = jnp.where(even, u, 0).sum(-1, keepdims=True)
    below = jnp.where(even, 0, u).sum(-1, keepdims=True)
    m = even.sum(-1, keepdims=True)
    # The slope times 2κ, which stays finite and positive as κ → 0.
    level = (n - m * (0.5 - kappa)) / jnp.where(top > 0, 2 * kappa * above + below, 1)
    return jnp.where(even, 2 * kappa * level * u + (0.5 - kappa), level * u)


def _is_first(mask: Array) -> Array:
    return mask & (jnp.cumsum(mask, -1) == 1)


def _bad_problem(w: Array, kappa: Array, budget: Array, mask: Array) -> Bool[Array, "..."]:
    """Where what `checked_problem` returns is not sound."""
    bad = SHARE.fails(jnp.broadcast_to(w, mask.shape), 1, mask) | cannot_spend(budget, mask)
    return bad | offset_fails(kappa, mask) | budget_domain(w.dtype).fails(budget)
