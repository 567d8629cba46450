"""Correlated candidates: the optimum between one chance and many (theory 5.1)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation import hierarchical, spread
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import directions, objective

# Two directions of up to three candidates, up to six rollouts.
_LABELS = jnp.array([0, 0, 0, 1, 1, 1])
_SIZE = 7
# Candidates of a direction are alike: all spreads over them, in falling order.
_ALL = np.stack(np.meshgrid(*[np.arange(_SIZE)] * 3, indexing="ij"), -1)
_SPREADS = np.array([b for b in _ALL.reshape(-1, 3) if b[0] >= b[1] >= b[2] and b.sum() < _SIZE])
# Where an allocation to three candidates stands among them, past the end if it is too large.
_PLACE = (np.sort(_ALL, -1)[..., None, ::-1] == _SPREADS).all(-1)
_PLACE = np.where(_PLACE.any(-1), _PLACE.argmax(-1), len(_SPREADS))


def _draw_two(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 6)
    members = drawing.whole(keys[0], (n, 2), 1, 3)
    return {
        "quality": drawing.qualities(keys[1], n, 2) * jax.random.uniform(keys[2], (n, 1)),
        "mask": jnp.arange(6) % 3 < members[:, _LABELS],
        "concentration": drawing.logarithmic(keys[3], n, 0.05, 50),
        "within": drawing.logarithmic(keys[4], n, 0.05, 50),
        "budget": drawing.whole(keys[5], (n,), 0, _SIZE - 1),
    }


def _failures(x: Instances) -> Array:
    """Failure of a direction for each spread of `_SPREADS`, then 1, `(n, 2, spreads + 1)`.

    Each rollout fails with (r + νy)/(ν + r) where y = 1 - m: a polynomial in y with terms ≥ 0,
    integrated by the moments of y ~ Beta(κ(1-Q), κQ).
    """
    nu, kappa = x["within"][:, None], x["concentration"][:, None, None]
    power = [jnp.eye(_SIZE)[0] * jnp.ones_like(nu)]
    for r in range(_SIZE - 1):
        power.append((r * power[-1] + nu * _times_y(power[-1])) / (nu + r))
    candidate = jnp.stack(power, 1)
    product = candidate[:, _SPREADS[:, 0]]
    for c in (1, 2):
        factor, shifted = candidate[:, _SPREADS[:, c]], product
        total = jnp.zeros_like(product)
        for i in range(_SIZE):
            total, shifted = total + factor[..., i, None] * shifted, _times_y(shifted)
        product = total
    t = jnp.arange(_SIZE - 1)
    steps = (kappa * (1 - x["quality"][..., None]) + t) / (kappa + t)
    moments = jnp.pad(jnp.cumprod(steps, -1), ((0, 0), (0, 0), (1, 0)), constant_values=1)
    failure = (product[:, None] * moments[:, :, None]).sum(-1)
    return jnp.pad(failure, ((0, 0), (0, 0), (0, 1)), constant_values=1)


def _times_y(polynomial: Array) -> Array:
    lower = polynomial[..., :-1]
    return jnp.pad(lower, [(0, 0)] * (lower.ndim - 1) + [(1, 0)])


def _of(table: Array, given: Array) -> Array:
    """Failure of each direction under an allocation `(n, 6)`; 1 if it is more than any spread."""
    b = jnp.minimum(given, _SIZE - 1).reshape(-1, 2, 3)
    place = jnp.asarray(_PLACE)[b[..., 0], b[..., 1], b[..., 2]]
    return jnp.take_along_axis(table, place[..., None], -1)[..., 0]


def _best_spreads(x: Instances, table: Array) -> Array:
    """Least failure of a direction for each total, over all spreads, `(n, 2, 7)`."""
    there = x["mask"].reshape(-1, 2, 3).sum(-1)
    needed = (_SPREADS > 0).sum(-1)
    allowed = jnp.where(needed <= there[..., None], table[..., :-1], jnp.inf)
    total = _SPREADS.sum(-1)
    return jnp.stack([allowed[..., total == n].min(-1) for n in range(_SIZE)], -1)


def _margin_even(x: Instances) -> Float[Array, " n"]:
    table = _failures(x)
    totals = jnp.stack([x["budget"], (_SIZE - 1) - x["budget"]], -1)
    given = spread.spread_evenly(totals, _LABELS, mask=x["mask"])
    best = jnp.take_along_axis(_best_spreads(x, table), totals[..., None], -1)[..., 0]
    kept = -jnp.abs(given.sum(-1) - (_SIZE - 1)).astype(best.dtype)
    return jnp.minimum((jnp.log(best) - jnp.log(_of(table, given))).min(-1), kept)


def _margin_greedy(x: Instances) -> Float[Array, " n"]:
    table, n = _failures(x), x["budget"]
    best = _best_spreads(x, table)
    split = jnp.arange(_SIZE)
    rest = jnp.clip(n[:, None] - split, 0)
    pairs = best[:, 0] * jnp.take_along_axis(best[:, 1], rest, -1)
    least = jnp.where(split <= n[:, None], pairs, jnp.inf).min(-1)
    given = hierarchical.correlated_allocation(
        x["quality"], _LABELS, x["concentration"], x["within"], n, points=8, mask=x["mask"]
    )
    kept = -jnp.abs(given.sum(-1) - n).astype(least.dtype)
    used = _of(table, given).prod(-1)
    return jnp.minimum(jnp.log(least) - jnp.log(used), kept)


_draw_one = drawing.instances(
    quality=drawing.uniform(1, maxval=0.99),
    candidates=drawing.integers(1, 4),
    concentration=drawing.log_uniform(0.05, 50),
    within=drawing.log_uniform(0.05, 50),
    total=drawing.integers(1, 14),
)


def _margin_convex(x: Instances) -> Float[Array, " n"]:
    mask = (jnp.arange(4) < x["candidates"][:, None])[:, None]
    labels = jnp.zeros(4, jnp.int32)
    totals = x["total"][:, None, None] + jnp.array([-1, 0, 1])[:, None]
    given = spread.spread_evenly(totals, labels, mask=mask)
    before, at, after = jnp.moveaxis(
        hierarchical.hierarchical_log_failure(
            x["quality"][:, None],
            labels,
            x["concentration"][:, None],
            x["within"][:, None],
            given,
            points=16,
            mask=mask,
        ),
        -1,
        0,
    )
    return before + after - 2 * at


_draw_any = drawing.instances(
    quality=lambda key, n: drawing.qualities(key, n, 3) * 0.99,
    labels=drawing.integers(0, 2, 5),
    concentration=drawing.log_uniform(0.05, 1e6),
    within=drawing.log_uniform(0.05, 1e6),
    allocation=drawing.integers(0, 3, 5),
)


def _failure(x: Instances) -> Array:
    return jnp.exp(
        hierarchical.hierarchical_log_failure(
            x["quality"],
            x["labels"],
            x["concentration"],
            x["within"],
            x["allocation"],
            points=16,
        )
    )


def _margin_shared(x: Instances) -> Float[Array, " n"]:
    b = x["allocation"]
    totals = directions.direction_totals(b, x["labels"], 3)
    shared = jnp.exp(objective.log_failure(x["quality"], x["concentration"], totals))
    more = _failure(x) - shared
    return jnp.minimum(more, (b * (b - 1)).sum(-1) / (2 * x["within"]) - more)


def _margin_independent(x: Instances) -> Float[Array, " n"]:
    q, labels, b = x["quality"], x["labels"], x["allocation"]
    alone = objective.log_failure(jnp.take_along_axis(q, labels, -1), x["within"], b)
    more = _failure(x) - jnp.exp(alone)
    totals = directions.direction_totals(b, labels, 3)
    spread = (totals * (totals - 1) * q * (1 - q)).sum(-1) / (2 * (x["concentration"] + 1))
    return jnp.minimum(more, spread - more)


_MODEL = "m_j ~ Beta(κQ_j, κ(1-Q_j)) independent; p_i | m_j ~ Beta(νm_j, ν(1-m_j)) independent."

CLAIMS = (
    Claim(
        id="5.1",
        name="even inside a direction",
        statement="For a given total a direction fails least when it is spread evenly over its "
        "candidates.",
        latex=r"\sum_{i\in E_j}B_i=T\ \Rightarrow\ \mathbb E_m\prod_if_m(B_i)\ \text{is least for}"
        r"\ |B_i-B_{i'}|\le1",
        source="new",
        expected="holds",
        assumptions=_MODEL,
        proof="For each m the failure f_m(B) of one candidate is log-convex in B, so moving a "
        "rollout from one that has two more than another lowers the product, for every m at once "
        "and therefore on average. Checked against all spreads.",
        draw=_draw_two,
        margin=_margin_even,
        heavy=True,
        # Logarithms of failures, each with some tens of ulps.
        tolerance=1e-13,
    ),
    Claim(
        id="5.1",
        name="greedy over directions",
        statement="Taking rollouts one by one by the largest drop in log failure over directions, "
        "spread evenly inside each, is an exact optimum over all allocations to candidates.",
        latex=r"\arg\min_{B:\sum B_i=N}\prod_j\mathbb E_{m_j}\prod_{i\in E_j}f_{m_j}(B_i)",
        source="new",
        expected="holds",
        assumptions=_MODEL,
        proof="Spread evenly, a direction's failure is log-convex in its total (below), and "
        "directions are independent: the exchange argument of 2.1 applies to totals. Checked "
        "against all allocations, by a polynomial in 1 - m with terms ≥ 0.",
        draw=_draw_two,
        margin=_margin_greedy,
        heavy=True,
        # Logarithms of failures, each with some tens of ulps.
        tolerance=1e-13,
    ),
    Claim(
        id="5.1",
        name="log-convexity of a direction",
        statement="The failure of a direction, spread evenly, is log-convex in its total.",
        latex=r"F(T)^2\le F(T-1)\,F(T+1),\quad F(T)=\mathbb E_m\prod_if_m(B_i^{\text{even}}(T))",
        source="new",
        expected="holds",
        assumptions=_MODEL,
        proof="For fixed m the T-th rollout multiplies the failure by (ν(1-m) + r)/(ν + r), r its "
        "depth, which does not fall as T rises: log-convex. With densities ≥ 0, "
        "(E f(T))² ≤ (E √(f(T-1) f(T+1)))² ≤ E f(T-1) E f(T+1) by Cauchy and Schwarz.",
        proved="SMT: for two values of m",
        draw=_draw_one,
        margin=_margin_convex,
        heavy=True,
        # A second difference of log failures up to 20, each to 16 times 4 ulps.
        tolerance=1e-12,
    ),
    Claim(
        id="5.1",
        name="limit of one shared chance",
        statement="Failure is at least that of one shared p for each direction, and exceeds it by "
        "at most Σ B_i(B_i-1)/(2ν): ν → ∞ is DORA's model.",
        latex=r"0\le F_\nu(B)-F_\infty(B)\le\sum_i\frac{B_i(B_i-1)}{2\nu}",
        source="new",
        expected="holds",
        assumptions=_MODEL + " A statement about a limit with an explicit bound at each ν.",
        proof="Given m, the rollout at depth r of its candidate fails with x + (1-x) r/(ν+r), "
        "x = 1 - m: at least x and at most x + r/ν. Products of numbers in [0, 1] differ by no "
        "more than the sum of the differences, and Σ_{r<B} r = B(B-1)/2.",
        draw=_draw_any,
        margin=_margin_shared,
        heavy=True,
        # A difference of two failures below 1, each the exponential of a logarithm down to -40.
        tolerance=1e-13,
    ),
    Claim(
        id="5.1",
        name="limit of independent candidates",
        statement="Failure is at least that of independent candidates of concentration ν, and "
        "exceeds it by at most Σ T_j(T_j-1) Q_j(1-Q_j)/(2(κ+1)): κ → ∞ is REBASE's model.",
        latex=r"0\le F_\kappa(B)-F_\infty(B)\le\sum_j\frac{T_j(T_j-1)\,Q_j(1-Q_j)}{2(\kappa+1)}",
        source="new",
        expected="holds",
        assumptions=_MODEL + " A statement about a limit with an explicit bound at each κ.",
        proof="Given m_j, a direction's failure is a product of T_j falling linear functions of "
        "m_j in [0, 1] with slopes in [-1, 0]: convex, so Jensen's inequality bounds its mean from "
        "below, and its second derivative is at most T_j(T_j-1), so half of that times "
        "Var m_j = Q_j(1-Q_j)/(κ+1) bounds it from above. Over directions as above.",
        draw=_draw_any,
        margin=_margin_independent,
        heavy=True,
        # A difference of two failures below 1, each the exponential of a logarithm down to -40.
        tolerance=1e-13,
    ),
)
