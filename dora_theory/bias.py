r"""What a wrong allocation over directions costs, in closed form (theory 4.2-4.7, 5.3, 5.6, 6.1).

Counting candidates instead of directions spends Q̂_j ∝ k_j Q_j. Similarity weights are between that
and the aim Q: in the block model, where candidates have cosine s_in inside a direction and s_out
across, the mass of a direction is ∝ Q_j k_j/(k_j + θ). θ = 0 is the aim and θ = ∞ is Q̂, so one
number says how far a similarity model is from its aim. KL(Q‖Q̂) is the loss in log utility and
exp KL, for many rollouts, the factor by which more of them are needed.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import as_float, check_candidates, check_range
from dora_theory.allocation import optimal
from dora_theory.allocation.optimal import checked_problem
from dora_theory.model.objective import log_failure
from dora_theory.model.similarity import masked_softmax, normalised

# The largest budget that is tried; in float32 it is the largest of `apportion`.
_MOST = {"float32": 2**22, "float64": 2**30}


def solution_level_shares(
    quality: Real[ArrayLike, "*#batch g"], sizes: Real[ArrayLike, "*#batch g"]
) -> Float[Array, "*batch g"]:
    """Shares Q̂_j = k_j Q_j / Σ k_l Q_l that directions receive when candidates are counted.

    Args:
        quality: Q ≥ 0 of each direction, shape `(..., g)`, on any scale.
        sizes: k ≥ 0, number of candidates of each direction, shape `(..., g)`.

    Returns:
        Shape `(..., g)`, sum 1 unless every product is 0. Relative error of a few roundings.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit.

    Source: Proposition 2; theory 4.2.
    """
    return direction_mass(quality, sizes, jnp.inf)


def direction_mass(
    quality: Real[ArrayLike, "*#batch g"],
    sizes: Real[ArrayLike, "*#batch g"],
    theta: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch g"]:
    """Share of each direction under similarity weights, ∝ Q_j k_j/(k_j + θ).

    Args:
        quality: Q ≥ 0 of each direction, shape `(..., g)`, on any scale.
        sizes: k ≥ 0, number of candidates of each direction, shape `(..., g)`.
        theta: θ in [0, ∞], scalar or shape `(...)`: 0 gives Q, ∞ the solution-level shares.

    Returns:
        Shape `(..., g)`, sum 1 unless every product is 0; a direction without candidates has none.
        Relative error of a few roundings, also as θ → 0 and θ → ∞.

    Raises:
        ValueError: NaN or negative values, infinite Q or k, shapes that do not fit.

    Source: theory 4.5, 5.6.
    """
    q, k = as_float("quality", quality), as_float("sizes", sizes)
    t = as_float("theta", theta)
    for name, x in (("quality", q), ("sizes", k)):
        check_candidates(name, x)
        check_range(name, x, 0)
    jnp.broadcast_shapes(q.shape, k.shape, (*t.shape, 1))
    check_range("theta", jnp.where(t == jnp.inf, 0, t), 0)
    # k/(k + θ) up to a factor: with u = 1/(1 + θ) it is k/(k u + 1 - u), right for θ = ∞ too.
    aim = (1 / (1 + t))[..., None]
    drift = jnp.where(t > 1, 1 / (1 + 1 / jnp.where(t > 1, t, 1)), t / (1 + jnp.minimum(t, 1)))
    reach = k * aim + drift[..., None]
    return normalised(jnp.where(k > 0, q * (k / jnp.where(k > 0, reach, 1)), 0))


def kl_divergence(
    p: Real[ArrayLike, "*#batch g"], q: Real[ArrayLike, "*#batch g"]
) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence KL(p‖q) = Σ p log(p/q), in nats.

    Summed as p (d - log(1 + d)) with d = (q - p)/p, whose terms are all ≥ 0: nothing cancels, and
    nearly equal distributions have the right digits.

    Args:
        p: probabilities, shape `(..., g)`.
        q: probabilities, shape `(..., g)`.

    Returns:
        Shape `(...)`, ≥ 0, 0 iff p = q, ∞ where some p > 0 has q = 0. Relative error below 1e-13
        in float64 and 1e-5 in float32, p and q being taken as they are. Where they do not sum to 1
        it is the generalised divergence, Σ p log(p/q) - p + q.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit.

    Source: Proposition 2; theory 4.2.
    """
    a, b = as_float("p", p), as_float("q", q)
    for name, x in (("p", a), ("q", b)):
        check_candidates(name, x)
        check_range(name, x, 0)
    jnp.broadcast_shapes(a.shape, b.shape)
    there = a > 0
    safe = jnp.where(there, a, 1)
    each = safe * _excess((b - safe) / safe, b / safe)
    return jnp.where(there, each, b).sum(-1)


def similarity_theta(
    candidates: Real[ArrayLike, "*#batch"],
    inside: Real[ArrayLike, "*#batch"],
    across: Real[ArrayLike, "*#batch"],
    temperature: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """θ of DORA's uniqueness in the block model, (1 - a + K b)/(a - b).

    a = exp(-(1 - s_in)/T_s) and b = exp(-(1 - s_out)/T_s). It grows without bound as T_s → ∞, and
    also as T_s → 0 unless s_in = 1.

    Args:
        candidates: K ≥ 1, number of candidates of all directions together.
        inside: s_in in (-1, 1], cosine of two candidates of one direction.
        across: s_out in [-1, s_in), cosine of candidates of different directions.
        temperature: T_s in (0, 1e30].

    Returns:
        θ in [0, ∞], for `direction_mass`; ∞ where it exceeds the working dtype. Relative error
        below (4 + (1 - s_out)/T_s) roundings of the differences of the cosines.

    Raises:
        ValueError: NaN, infinite or out of range; shapes that do not fit.

    Source: theory 4.5.
    """
    k = as_float("candidates", candidates)
    check_range("candidates", k, 1)
    spread, gap = _cosines(inside, across, temperature)
    jnp.broadcast_shapes(k.shape, gap.shape)
    return (jnp.expm1(spread) + k * jnp.exp(-gap)) / -jnp.expm1(-gap)


def magnitude_theta(
    inside: Real[ArrayLike, "*#batch"],
    across: Real[ArrayLike, "*#batch"],
    temperature: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """θ of magnitude weighting in the block model, (1 - a)/(a - b), which is below DORA's.

    It falls with T_s, to its limit (1 - s_in)/(s_in - s_out).

    Args:
        inside: s_in in (-1, 1], cosine of two candidates of one direction.
        across: s_out in [-1, s_in), cosine of candidates of different directions.
        temperature: T_s in (0, 1e30].

    Returns:
        θ in [0, ∞], for `direction_mass`; ∞ where it exceeds the working dtype. Relative error as
        `similarity_theta`.

    Raises:
        ValueError: NaN, infinite or out of range; shapes that do not fit.

    Source: theory 5.6.
    """
    spread, gap = _cosines(inside, across, temperature)
    return jnp.expm1(spread) / -jnp.expm1(-gap)


def specht_ratio(imbalance: Real[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
    """Largest price exp KL(Q‖Q̂) that directions of imbalance h can have, over all Q.

    S(h) = (h - 1) h^{1/(h - 1)}/(e ln h): the largest ratio of an arithmetic to a geometric mean of
    numbers in [1, h].

    Args:
        imbalance: h = k_max/k_min ≥ 1, any shape.

    Returns:
        Same shape, ≥ 1, exactly 1 at h = 1. Relative error of a few roundings.

    Raises:
        ValueError: NaN, infinite or below 1.

    Source: theory 4.7; Specht, Mathematische Zeitschrift 74 (1960).
    """
    h = as_float("imbalance", imbalance)
    check_range("imbalance", h, 1)
    # With x = (h - 1)/ln h, the logarithmic mean of 1 and h, it is x exp(1/x - 1).
    more = jnp.where(h > 1, h - 1, 1)
    mean = jnp.where(h > 1, more / jnp.log1p(more), 1)
    return mean * jnp.exp(1 / mean - 1)


def rollouts_to_match(
    quality: Real[ArrayLike, "*#batch g"],
    shares: Real[ArrayLike, "*#batch g"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """Rollouts that allocation by shares needs for the success that the optimum has with N.

    Over N it is the rollout efficiency N_sol/N_dir, which tends to exp KL(Q‖shares).

    Args:
        quality: Q in [0, 1] of each direction, shape `(..., g)`.
        shares: ≥ 0, shape `(..., g)`, on any scale; apportioned by Webster's method.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0 rollouts of the optimum, scalar or shape `(...)`.

    Returns:
        Real, ≥ N, shape `(...)`: between the last budget that is too small and the first that is
        enough, log failure is interpolated linearly. ∞ where 2^30 rollouts are too few (2^22 in
        float32).

    Raises:
        ValueError: as `optimal_allocation` and `apportion`.

    Source: theory 4.3, 4.7.
    """
    q, kappa, n, _ = checked_problem(quality, concentration, budget, None)
    s = as_float("shares", shares).astype(q.dtype)
    check_candidates("shares", s)
    check_range("shares", s, 0)
    batch = jnp.broadcast_shapes(q.shape, s.shape, (*kappa.shape, 1), (*n.shape, 1))
    q, s = jnp.broadcast_to(q, batch), jnp.broadcast_to(s, batch)
    kappa, n = jnp.broadcast_to(kappa, batch[:-1]), jnp.broadcast_to(n, batch[:-1])
    return _rollouts_to_match(q, s, kappa, n, _MOST[q.dtype.name])


def regret_of_concentration(
    weights: Real[ArrayLike, "*#batch k"],
    assumed: Real[ArrayLike, "*#batch"],
    concentration: Real[ArrayLike, "*#batch"],
    budget: Real[ArrayLike, "*#batch"],
) -> Float[Array, "*batch"]:
    """Success lost by the optimum of an assumed κ' when κ is true, J_κ(B*_κ) - J_κ(B*_κ').

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        assumed: κ' > 0, scalar or shape `(...)`.
        concentration: κ > 0, scalar or shape `(...)`.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.

    Returns:
        Shape `(...)`, ≥ 0 (a difference below rounding of the log failures counts as 0), without
        cancellation between two successes near 1.

    Raises:
        ValueError: as `optimal_allocation`.

    Source: theory 5.3.
    """
    best, used = (
        log_failure(weights, concentration, optimal.optimal_allocation(weights, kappa, budget))
        for kappa in (concentration, assumed)
    )
    finite = jnp.isfinite(best)
    less = jnp.where(finite, best, 0) - jnp.where(finite, used, 0)
    loss = jnp.where(finite, -jnp.expm1(jnp.minimum(less, 0)), 1)
    return jnp.exp(used) * loss


def sharpened_quality(
    quality: Real[ArrayLike, "*#batch g"], rounds: Real[ArrayLike, "*#batch"]
) -> Float[Array, "*batch g"]:
    """Shares ∝ Q_j^t of directions after t rounds in which copies keep the score of their origin.

    Args:
        quality: Q ≥ 0, shape `(..., g)`, on any scale.
        rounds: t ≥ 0, whole or real, scalar or shape `(...)`.

    Returns:
        Shape `(..., g)`, sum 1 unless all Q are 0; a direction of Q = 0 has none. Relative error
        below (4 + t |log(Q/max Q)|) roundings.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit.

    Source: theory 6.1.
    """
    q, t = as_float("quality", quality), as_float("rounds", rounds)
    jnp.broadcast_shapes(q.shape, (*t.shape, 1))
    check_candidates("quality", q)
    check_range("quality", q, 0)
    check_range("rounds", t, 0)
    there = q > 0
    # Of the ratio to the largest: a logarithm near 0 keeps its digits when multiplied by t.
    ratio = q / jnp.maximum(q.max(-1, keepdims=True), jnp.finfo(q.dtype).tiny)
    logits = t[..., None] * jnp.log(jnp.where(there, ratio, 1))
    return masked_softmax(logits, jnp.broadcast_to(there, logits.shape))


def noise_inflation(
    noise: Real[ArrayLike, "*#batch"],
    temperature: Real[ArrayLike, "*#batch"],
    sizes: Real[ArrayLike, "*#batch"],
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """What score noise does to the mean of e^{R/T_b} over a direction: its factor, its spread.

    Args:
        noise: standard deviation σ ≥ 0 of normal noise, independent for each candidate.
        temperature: T_b > 0.
        sizes: k ≥ 1, number of candidates of the direction.

    Returns:
        `(factor, spread)`: the expected mean over that without noise, exp(σ²/(2 T_b²)), and the
        standard deviation of the mean over its expectation, √(expm1(σ²/T_b²)/k).

    Raises:
        ValueError: NaN, infinite or out of range; shapes that do not fit.

    Source: theory 4.6.
    """
    s, t, k = (
        as_float(name, x)
        for name, x in (("noise", noise), ("temperature", temperature), ("sizes", sizes))
    )
    check_range("noise", s, 0)
    check_range("temperature", t, 0, low_open=True)
    check_range("sizes", k, 1)
    s, t, k = jnp.broadcast_arrays(s, t, k)
    square = (s / t) ** 2
    return jnp.exp(square / 2), jnp.sqrt(jnp.expm1(square) / k)


def _cosines(inside: ArrayLike, across: ArrayLike, temperature: ArrayLike) -> tuple[Array, Array]:
    """(1 - s_in)/T_s and (s_in - s_out)/T_s, the second positive."""
    s, o = as_float("inside", inside), as_float("across", across)
    t = as_float("temperature", temperature)
    jnp.broadcast_shapes(s.shape, o.shape, t.shape)
    check_range("inside", s, -1, 1)
    check_range("across", o, -1, 1)
    check_range("inside - across", s - o, 0, low_open=True)
    # Above it exponents underflow, and would make 0/0 of a quotient.
    check_range("temperature", t, 0, 1e30, low_open=True)
    return (1 - s) / t, (s - o) / t


def _excess(d: Array, more: Array) -> Array:
    """The excess d - log(1 + d) for d ≥ -1, given 1 + d, without cancellation.

    With s = d/(2 + d), log(1 + d) = 2 artanh s: near 0 the excess is s d - 2 (s³/3 + s⁵/5 + …).
    """
    near = jnp.abs(d) < 0.25
    s = jnp.where(near, d / (2 + d), 0)
    tail = jnp.zeros_like(s)
    # |s| ≤ 1/7: the first term left out is below 1e-18 of the sum.
    for power in range(23, 1, -2):
        tail = tail * s * s + 2 / power
    return jnp.where(near, s * (d - s * s * tail), d - jnp.log(jnp.where(near, 1, more)))


@partial(jax.jit, static_argnames="most")
def _rollouts_to_match(q: Array, shares: Array, kappa: Array, budget: Array, most: int) -> Array:
    def by_shares(rollouts: Array) -> Array:
        return log_failure(q, kappa, optimal.apportion(shares, rollouts))

    target = log_failure(q, kappa, optimal.optimal_allocation(q, kappa, budget))

    # Webster's method takes nothing back when the budget grows, so failure falls with it; and no
    # allocation of fewer than N is as good as the best of N. A bracket is widened, then halved.
    def widen(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, short = state
        twice = jnp.minimum(high, most // 2) * 2
        low, high = (
            jnp.where(short, high, low),
            jnp.where(short, jnp.where(high < first, first, twice), high),
        )
        return low, high, short & (by_shares(high) > target) & (high < most)

    def halve(state: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = state
        middle = low + (high - low) // 2
        short = by_shares(middle) > target
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    first = jnp.maximum(budget, 1)
    state = budget - 1, budget - 1, jnp.ones(budget.shape, bool)
    low, high, _ = jax.lax.while_loop(lambda s: jnp.any(s[2]), widen, state)
    low, high = jax.lax.while_loop(lambda s: jnp.any(s[1] - s[0] > 1), halve, (low, high))
    ends = jnp.stack([jnp.maximum(low, 0), high])
    before, at = jax.lax.map(by_shares, ends)
    step = jnp.where(jnp.isfinite(at) & (before > at), (before - target) / (before - at), 1)
    # Fewer than N never suffice; a rounding of the interpolation may say so.
    found = jnp.maximum(low + step, budget.astype(q.dtype))
    return jnp.where(at > target, jnp.inf, jnp.where(target == 0, budget, found))
