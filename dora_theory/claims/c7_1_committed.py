"""One budget for many problems, all rollouts fixed in advance (theory 7.1)."""

from fractions import Fraction
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import across, across_certificate
from dora_theory.claims.check import drawing, shrinking
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instance, Instances
from dora_theory.model.priors import BetaPrior, KnownPrior

_M, _N = 3, 7


_draw_marginals = drawing.instances(
    alpha=drawing.log_uniform(1e-3, 1e3),
    beta=drawing.log_uniform(1e-3, 1e3),
    rollouts=lambda key, n: jnp.floor(drawing.logarithmic(key, n, 1, 1e6)),
)


def _margin_marginals(x: Instances) -> Float[Array, " n"]:
    # What the certificate of two problems of the same prior says: one at n, one at n + 2.
    n = x["rollouts"].astype(jnp.int32)
    alpha, beta = (jnp.stack([x[k], x[k]], -1)[..., None] for k in ("alpha", "beta"))
    given = jnp.stack([n, n + 2], -1)
    found = across_certificate.problem_certificate(
        1.0, BetaPrior(alpha, beta), given, max_rollouts=jnp.stack([n + 1, n + 2], -1)
    )
    return found.largest_next - found.smallest_last


def _draw_problems(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 6)
    low = drawing.whole(keys[2], (n, _M), 0, 1)
    room = drawing.whole(keys[3], (n, _M), 0, _N)
    return {
        # Small integers: ties matter.
        "alpha": drawing.whole(keys[0], (n, _M, 2), 0, 4).astype(float) / 2,
        "beta": drawing.whole(keys[1], (n, _M, 2), 1, 6).astype(float) / 2,
        "values": drawing.whole(keys[4], (n, _M), 1, 3).astype(float),
        "low": low,
        "high": low + room,
        "total": jnp.minimum(
            low.sum(-1) + drawing.whole(keys[5], (n,), 0, 4), (low + room).sum(-1)
        ),
    }


def _gains(x: Instances) -> Float[Array, "n m depth"]:
    f = many.unsolved(many.hazards(x["alpha"], x["beta"], _N))
    return x["values"][..., None] * (1 - many.merged(f[:, :, 0], f[:, :, 1]))


def _limits(x: Instances) -> dict[str, Array]:
    return {"min_rollouts": x["low"], "max_rollouts": x["high"]}


def _margin_optimum(x: Instances) -> Float[Array, " n"]:
    prior = BetaPrior(x["alpha"], x["beta"])
    found = across.allocate_problems(x["values"], prior, x["total"], **_limits(x))
    gained = across.expected_value(x["values"], prior, found.allocation).sum(-1)
    best = many.best_committed(_gains(x), x["total"], x["low"], x["high"])
    spent = found.rollouts.sum(-1) == x["total"]
    inside = ((found.rollouts >= x["low"]) & (found.rollouts <= x["high"])).all(-1)
    return jnp.where(spent & inside, -jnp.abs(gained - best), -jnp.inf)


def _draw_given(key: Array, n: int) -> Instances:
    one, two = jax.random.split(key)
    x = _draw_problems(one, n)
    given = x["low"] + drawing.whole(two, (n, _M), 0, 3)
    return x | {"given": jnp.minimum(given, jnp.minimum(x["high"], 2))}


def _margin_certificate(x: Instances) -> Float[Array, " n"]:
    # Floors are at most 1 and 2 are given at most, so that all of it is within the table.
    given = jnp.maximum(x["given"], x["low"])
    total = given.sum(-1)
    prior = BetaPrior(x["alpha"], x["beta"])
    passes = across_certificate.is_optimal_across(x["values"], prior, given, **_limits(x))
    gain = _gains(x)
    value = jnp.take_along_axis(gain, given[..., None], -1)[..., 0].sum(-1)
    best = many.best_committed(gain, total, x["low"], x["high"])
    return jnp.where(passes == (value >= best - 1e-12), 0.0, -1.0)


def _margin_dual(x: Instances) -> Float[Array, " n"]:
    prior, total = BetaPrior(x["alpha"], x["beta"]), jnp.minimum(x["total"], 5)
    best = many.best_committed(
        _gains(x), total, jnp.zeros_like(x["low"]), jnp.full_like(x["high"], _N)
    )
    found = across.allocate_problems(x["values"], prior, total)
    price = jnp.maximum(found.log_price, -30)
    tight = across.dual_bound(x["values"], prior, total, price) - best
    off = across.dual_bound(x["values"], prior, total, price + jnp.log(x["high"].sum(-1) + 1.0) - 1)
    # At λ = 0 beyond all that can be gained the bound of the price is met in the limit alone.
    gap = jnp.where(found.log_price > -30, jnp.abs(tight), jnp.maximum(-tight, 0))
    return jnp.minimum(-gap, off - best)


_draw_common = drawing.instances(
    alpha=drawing.log_uniform(0.05, 20),
    beta=drawing.log_uniform(0.05, 20),
    total=drawing.integers(0, 1000),
)


def _margin_common(x: Instances) -> Float[Array, " n"]:
    alpha, beta = (
        jnp.broadcast_to(x[k][:, None, None], (*x[k].shape, 4, 1)) for k in ("alpha", "beta")
    )
    found = across.allocate_problems(1.0, BetaPrior(alpha, beta), x["total"]).rollouts
    level = (x["total"][:, None] + 3 - jnp.arange(4)) // 4
    return -jnp.abs(found - level).max(-1).astype(float)


_draw_costs = drawing.instances(
    tenths=drawing.integers(1, 9, 2),
    costs=drawing.integers(1, 4, 2),
    total=drawing.integers(1, 8),
)


def _margin_costs(x: Instances) -> Float[Array, " n"]:
    p, depth = x["tenths"] / 10, 9
    found = across.allocate_problems(
        1.0, KnownPrior(p), x["total"].astype(float), costs=x["costs"].astype(float)
    )
    gain = 1 - (1 - p[..., None]) ** jnp.arange(depth)
    one, two = jnp.meshgrid(jnp.arange(depth), jnp.arange(depth), indexing="ij")
    spent = one * x["costs"][:, :1, None] + two * x["costs"][:, 1:, None]
    every = gain[:, 0, :, None] + gain[:, 1, None, :]
    best = jnp.where(spent <= x["total"][:, None, None], every, 0).max((-1, -2))
    gained = (1 - (1 - p) ** found.rollouts).sum(-1)
    return gained - best


def _by_density(x: Instance) -> tuple[list[int], Fraction, list[int], Fraction]:
    """What the order of Δ/c rolls and solves, and the best, in exact rationals."""
    p, costs, left = [Fraction(t, 10) for t in x["tenths"]], x["costs"], x["total"]

    def solved(n: list[int]) -> Fraction:
        return sum((1 - (1 - q) ** k for q, k in zip(p, n, strict=True)), Fraction(0))

    given = [0, 0]
    while True:
        best = max((0, 1), key=lambda i: ((1 - p[i]) ** given[i] * p[i] / costs[i], -i))
        if costs[best] > left:
            break
        left -= costs[best]
        given[best] += 1
    ways = product(*(range(x["total"] // c + 1) for c in costs))
    fit = [list(n) for n in ways if n[0] * costs[0] + n[1] * costs[1] <= x["total"]]
    top = max(fit, key=solved)
    return given, solved(given), top, solved(top)


def _confirm_costs(x: Instance) -> bool:
    _, found, _, best = _by_density(x)
    return found < best


def _explain_costs(x: Instance) -> str:
    given, found, top, best = _by_density(x)
    p = ", ".join(f"{t}/10" for t in x["tenths"])
    return (
        f"p = ({p}) at costs {x['costs']}, budget {x['total']}: the order of gain per cost rolls "
        f"{given} and solves {found}, {top} solves {best}"
    )


CLAIMS = (
    Claim(
        id="7.1",
        name="marginals of a problem fall",
        statement="The value v F(n) h(n) of one more rollout of a problem falls with the rollouts "
        "that it has, strictly while it is positive.",
        latex=r"\Delta(n)=vF(n)h_{n+1},\qquad\Delta(n+1)\le(1-h_{n+1})\,\Delta(n)",
        source="new",
        expected="holds",
        assumptions="v ≥ 0 and hazards that fall along failures, as they do under any prior.",
        proof="Δ(n+1)/Δ(n) = (1-h_{n+1}) h_{n+2}/h_{n+1} ≤ 1 - h_{n+1}, as h_{n+2} ≤ h_{n+1}.",
        draw=_draw_marginals,
        margin=_margin_marginals,
        # Two marginals of n up to 1e6 that differ by 1e-9 of themselves.
        tolerance=1e-11,
        proved="Coq: Problems.marginal_falls",
    ),
    Claim(
        id="7.1",
        name="greedy over problems is exact",
        statement="The N largest of all marginals, over problems and their candidates, are an "
        "optimum of Σ v (1 - F), for every N and between any floors and caps.",
        latex=r"\max_{\sum n_m=N,\ l\le n\le u}\sum_mv_m\,(1-F_m(n_m))\ \text{is attained by the "
        r"largest}\ \Delta_m",
        source="new",
        expected="holds",
        assumptions="Independent problems, each with independent candidates; floors within N.",
        proof="Marginals fall, so the objective is a sum of concave functions, and moving a "
        "rollout from a smaller to a larger marginal never loses. The divisor order of the "
        "candidates (2.1) is nested and best for every n. Checked against all allocations of three "
        "problems with two candidates each.",
        draw=_draw_problems,
        margin=_margin_optimum,
        # Sums of three values up to 3.
        tolerance=1e-13,
        chunk=1024,
        proved="Coq: Problems.committed_greedy_exact",
    ),
    Claim(
        id="7.1b",
        name="the certificate over problems decides",
        statement="Rollouts over problems are optimal for what they spend iff no next marginal "
        "below its cap exceeds a last marginal above its floor.",
        latex=r"\max_{n_m<u_m}\Delta_m(n_m)\le\min_{n_m>l_m}\Delta_m(n_m-1)",
        source="new",
        expected="holds",
        assumptions="As of the optimum.",
        proof="If one exceeds, moving that rollout gains. If none does, every exchange loses or is "
        "even, and any two allocations are joined by exchanges.",
        draw=_draw_given,
        margin=_margin_certificate,
        chunk=1024,
        proved="Coq: Problems.committed_certificateP",
    ),
    Claim(
        id="7.1c",
        name="price of a rollout",
        statement="For every price λ the bound λN + Σ max_n [v(1 - F(n)) - λn] is above the "
        "optimum, and at the price of the next rollout it is the optimum: there is no duality gap.",
        latex=r"D(\lambda)=\lambda N+\sum_m\max_n\,[v_m(1-F_m(n))-\lambda n]\ge C(N),\qquad "
        r"D(\Delta_{(N+1)})=C(N)",
        source="new",
        expected="holds",
        assumptions="As of the optimum; no floors, caps or costs.",
        proof="Any n of sum N has λN + Σ [v(1-F) - λn] = Σ v(1-F). With marginals that fall, the "
        "inner maximum takes all of them that are above λ; between the N-th and the next these are "
        "the N largest.",
        draw=_draw_problems,
        margin=_margin_dual,
        # Values up to 9.
        tolerance=1e-12,
        chunk=1024,
    ),
    Claim(
        id="7.1c",
        name="gain per cost is the order",
        statement="With rollouts of unequal cost, serving marginals in the order of Δ/c until one "
        "does not fit is optimal for every budget.",
        latex=r"\text{serve }\Delta_m(n)/c_m\text{ in descending order}",
        source="new",
        expected="refuted",
        assumptions="Known p, costs c that are integers.",
        proof="It is exact for every budget that it spends. What does not fit leaves a rest, for "
        "which a knapsack may know a better use; the loss is at most the first item left out.",
        draw=_draw_costs,
        margin=_margin_costs,
        tolerance=1e-12,
        chunk=1024,
        confirm=_confirm_costs,
        simpler=shrinking.steps("total", "costs", "tenths"),
        explain=_explain_costs,
    ),
    Claim(
        id="7.1f",
        name="a common prior is shared evenly",
        statement="Problems of equal value and one common prior have the uniform allocation as "
        "their optimum, the rest to the lowest indices.",
        latex=r"n_m\in\{\lfloor N/M\rfloor,\lceil N/M\rceil\}",
        source="new",
        expected="holds",
        assumptions="One Beta prior for all; equal values.",
        proof="All problems have the same sequence of falling marginals, and the N largest of them "
        "are taken level by level.",
        draw=_draw_common,
        margin=_margin_common,
        chunk=1024,
    ),
)
