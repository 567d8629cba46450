"""The exact integer optimum, its certificate, and all optima at once (theory 2.1, 2.2, 2.6)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation import certificate, optimal
from dora_theory.claims.check import drawing, splits
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model.priors import BetaPrior

_BUDGET = 12
# Every allocation of up to six rollouts to three candidates, (84, 3).
_SMALL = 6
_EVERY = np.argwhere(np.indices((_SMALL + 1,) * 3).sum(0) <= _SMALL)
# Qualities p/16 and κ = 2^e: failures of two of these allocations are equal, or differ by more.
_APART = 1e-9


def _log_failures(w: Array, kappa: Array, most: int) -> Array:
    """Log failure after 0 … most rollouts by eq. 6 as written; w and κ of shape `(n, k)`."""
    r = jnp.arange(most)
    each = jnp.log1p(-(kappa * w)[..., None] / (kappa[..., None] + r))
    return jnp.pad(jnp.cumsum(each, -1), ((0, 0), (0, 0), (1, 0)))


def _against_all(w: Array, kappa: Array, n: Array, given: Array) -> Array:
    """Log failure of the best of all allocations less that of one; -1 or less if N is missed."""
    table = _log_failures(w, kappa, _BUDGET)
    used = jnp.take_along_axis(table, given[..., None], -1)[..., 0].sum(-1)
    kept = -jnp.abs(given.sum(-1) - n).astype(w.dtype)
    return jnp.minimum(splits.least_sum(table, n) - used, kept)


_draw_problem = drawing.instances(
    weights=drawing.uniform(4, maxval=0.99),
    mask=lambda key, n: drawing.whole(key, (n, 4), 0, 3).at[:, 0].set(1) > 0,
    concentration=drawing.log_uniform(0.02, 100),
    budget=drawing.integers(0, _BUDGET),
)


def _margin_best(x: Instances) -> Float[Array, " n"]:
    w, kappa, n, mask = x["weights"], x["concentration"], x["budget"], x["mask"]
    given = optimal.optimal_allocation(w, kappa, n, mask=mask)
    padding = jnp.where(mask, 0, given).sum(-1)
    there = jnp.where(mask, w, 0)
    best = _against_all(there, jnp.broadcast_to(kappa[:, None], w.shape), n, given)
    return jnp.minimum(best, -padding.astype(w.dtype))


_draw_beta = drawing.instances(
    alpha=lambda key, n: drawing.logarithmic(key, 4 * n, 0.01, 10).reshape(n, 4),
    beta=lambda key, n: drawing.logarithmic(key, 4 * n, 0.01, 10).reshape(n, 4),
    budget=drawing.integers(0, _BUDGET),
)


def _margin_beta(x: Instances) -> Float[Array, " n"]:
    a, b, n = x["alpha"], x["beta"], x["budget"]
    given = optimal.optimal_allocation(BetaPrior(a, b), None, n)
    return _against_all(a / (a + b), a + b, n, given)


_draw_large = drawing.instances(
    weights=drawing.simplex(16, spread=4.0),
    concentration=drawing.log_uniform(1e-3, 1e3),
    budget=lambda key, n: jnp.floor(drawing.logarithmic(key, n, 1, 1e5)).astype(jnp.int32),
)


def _margin_certified(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentration"][:, None], x["budget"]
    given = optimal.optimal_allocation(w, x["concentration"], n)
    last = jnp.where(given > 0, w / (kappa + (given - 1)), jnp.inf).min(-1)
    following = (w / (kappa + given)).max(-1)
    missed = -jnp.abs(given.sum(-1) - n).astype(w.dtype)
    # In relation to the priorities themselves, which may be 1e-5.
    return jnp.minimum(last / following - 1, missed)


_draw_ties = drawing.instances(
    weights=lambda key, n: drawing.whole(key, (n, 3), 1, 15) / 16,
    concentration=drawing.powers(-3, 3),
    budget=drawing.integers(0, _SMALL),
)


def _optima(x: Instances) -> Array:
    """Which of all allocations spend N and fail least, `(n, 84)`, by their failures."""
    w, kappa = x["weights"], x["concentration"]
    table = _log_failures(w, jnp.broadcast_to(kappa[:, None], w.shape), _SMALL)
    failure = table[:, jnp.arange(3), _EVERY].sum(-1)
    spends = _EVERY.sum(-1) == x["budget"][:, None]
    least = jnp.where(spends, failure, jnp.inf).min(-1, keepdims=True)
    return spends & (failure <= least + _APART)


def _margin_certificate(x: Instances) -> Float[Array, " n"]:
    passes = certificate.is_optimal(
        x["weights"][:, None],
        x["concentration"][:, None],
        jnp.asarray(_EVERY)[None],
        budget=x["budget"][:, None],
    )
    wrong = (passes != _optima(x)).sum(-1)
    return -wrong.astype(x["weights"].dtype)


def _margin_set(x: Instances) -> Float[Array, " n"]:
    found = certificate.optimal_set(x["weights"], x["concentration"], x["budget"])
    more = jnp.asarray(_EVERY) - found.base[:, None]
    of_tied = ((more == 0) | ((more == 1) & found.tied[:, None])).all(-1)
    member = of_tied & (more.sum(-1) == found.spare[:, None])
    wrong = (member != _optima(x)).sum(-1)
    return -wrong.astype(x["weights"].dtype)


_draw_levels = drawing.instances(
    parts=drawing.integers(1, 15, 5),
    eighths=drawing.integers(1, 64),
    budget=drawing.integers(1, 60),
)


def _margin_level(x: Instances) -> Float[Array, " n"]:
    p, c, n = x["parts"], x["eighths"][:, None], x["budget"][:, None]
    given = optimal.optimal_allocation(p / 16, x["eighths"] / 8, x["budget"])
    last = jnp.where(given > 0, p / (c / 8 + given - 1), jnp.inf)
    j = jnp.argmin(last, -1, keepdims=True)
    # The level s = (κ + B_j - 1)/w_j of the smallest priority served, in integers:
    # s w_i - κ = (p_i (8κ + 8(B_j - 1)) - 8κ p_j)/(8 p_j).
    p_j = jnp.take_along_axis(p, j, -1)
    depth = c + 8 * (jnp.take_along_axis(given, j, -1) - 1)
    above = p * depth - c * p_j
    counts = jnp.maximum(0, above // (8 * p_j) + 1)
    tied = (above >= 0) & (above % (8 * p_j) == 0)
    surplus = counts.sum(-1, keepdims=True) - n
    stays = tied.sum(-1, keepdims=True) - surplus
    right = (counts - (tied & (jnp.cumsum(tied, -1) > stays)) == given).all(-1)
    lowest = (surplus >= 0)[:, 0] & (stays > 0)[:, 0]
    return jnp.where(right & lowest, 0.0, -1.0)


CLAIMS = (
    Claim(
        id="2.1",
        name="largest priorities are optimal",
        statement="Serving the N largest of all w_i/(κ+r), r = 0, 1, …, makes success as probable "
        "as any allocation of N rollouts can.",
        latex=r"B^*_i=\#\{r:w_i/(\kappa+r)\text{ among the }N\text{ largest}\}\in"
        r"\arg\max_{\sum B_i=N}J(B)",
        source="new",
        expected="holds",
        assumptions="p_i ~ Beta(κw_i, κ(1-w_i)) independent, w < 1; padding receives nothing.",
        proof="The r-th further rollout multiplies a candidate's failure by 1 - κw/(κ+r), which "
        "rises with r: log failure is a sum of convex functions of B_i, and moving a rollout to a "
        "larger priority lowers it. Checked against all allocations, by dynamic programming.",
        proved="Coq: Optimum.greedy_optimal",
        draw=_draw_problem,
        margin=_margin_best,
        # Sums of at most 12 logarithms of size below 5.
        tolerance=1e-13,
    ),
    Claim(
        id="2.1",
        name="for any Beta prior",
        statement="For p_i ~ Beta(a_i, b_i) the same holds of the priorities a_i/(a_i+b_i+r).",
        latex=r"\text{priorities}\quad\frac{a_i}{a_i+b_i+r}",
        source="new",
        expected="holds",
        assumptions="Independent candidates, a_i, b_i > 0.",
        proof="As above with κ = a_i + b_i of each candidate's own, w_i = a_i/(a_i+b_i): a rollout "
        "multiplies failure by 1 - a/(a+b+r). Checked against all allocations.",
        proved="Coq: Optimum.beta_greedy_optimal",
        draw=_draw_beta,
        margin=_margin_beta,
        # Sums of at most 12 logarithms of size below 7.
        tolerance=1e-13,
    ),
    Claim(
        id="2.1",
        name="optimal at any size",
        statement="The allocation that is computed passes the certificate of 2.2 and spends N.",
        latex=r"\max_i\frac{w_i}{\kappa+B_i}\le\min_{i:B_i>0}\frac{w_i}{\kappa+B_i-1},\qquad"
        r"\sum_iB_i=N",
        source="new",
        expected="holds",
        assumptions="16 candidates, N up to 1e5, κ from 1e-3 to 1e3. Priorities as floating-point "
        "quotients, so without tolerance.",
        proof="2.6 finds the level; what rounding leaves is settled by the certificate itself.",
        draw=_draw_large,
        margin=_margin_certified,
        chunk=1024,
        heavy=True,
    ),
    Claim(
        id="2.2",
        name="the certificate decides",
        statement="If every w_i < 1, an allocation is optimal if and only if no priority that it "
        "leaves exceeds one that it serves.",
        latex=r"B\text{ optimal}\iff\max_i\frac{w_i}{\kappa+B_i}\le\min_{i:B_i>0}"
        r"\frac{w_i}{\kappa+B_i-1}",
        source="new",
        expected="holds",
        assumptions="w < 1. Three candidates, up to six rollouts, every allocation of them; "
        "qualities n/16 and κ = 2^e, so that ties are common and exact.",
        proof="If it fails, moving a rollout to the larger priority lowers failure. If it holds, "
        "the served ones are N largest, and 2.1 applies. Checked both ways against the failures "
        "of all allocations, of which two are equal or differ by 1e-9 or more.",
        proved="Coq: Optimum.certificate_decides",
        draw=_draw_ties,
        margin=_margin_certificate,
        chunk=1024,
        heavy=True,
    ),
    Claim(
        id="2.2",
        name="all optima",
        statement="The optima are one base plus one rollout to any `spare` of the tied candidates.",
        latex=r"\arg\max J=\{b+\mathbf 1_S:S\subseteq T,\ |S|=s\}",
        source="new",
        expected="holds",
        assumptions="As above.",
        proof="Where the largest priority left equals the smallest served, candidates of that "
        "priority may be exchanged and no others.",
        draw=_draw_ties,
        margin=_margin_set,
        chunk=1024,
    ),
    Claim(
        id="2.6",
        name="allocation by threshold",
        statement="At the level s of the smallest priority served, B_i(s) = max(0, ⌊s w_i - κ⌋ + "
        "1) is the optimum but for a surplus among ties, which the highest indices give back; at "
        "no lower level would it reach N.",
        latex=r"B_i(s)=\max(0,\lfloor sw_i-\kappa\rfloor+1),\qquad s=\max_{i:B_i>0}"
        r"\frac{\kappa+B_i-1}{w_i}",
        source="new",
        expected="holds",
        assumptions="All w_i > 0, N ≥ 1; ties to the lowest index. Decided in integers.",
        proof="w/(κ+r) ≥ 1/s iff r ≤ sw - κ: B_i(s) counts the priorities of at least 1/s.",
        draw=_draw_levels,
        margin=_margin_level,
    ),
)
