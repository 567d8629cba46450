"""Costs, targets and κ of each candidate (theory 9.1, 9.2)."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import costs, optimal, posterior_rules, targets
from dora_theory.claims.check import drawing, rational
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.claims.check.splits import least_sum
from dora_theory.model import objective

_K, _MOST = 3, 12


def _candidates(key: Array, n: int) -> Instances:
    one, two = jax.random.split(key)
    return {
        "weights": drawing.whole(one, (n, _K), 1, 15) / 16,
        "concentrations": 2.0 ** drawing.whole(two, (n, _K), -3, 4),
    }


def _table(x: Instances) -> Array:
    """Log failure of each candidate after 0 … rollouts, shape `(n, k, _MOST + 1)`."""
    w, kappa = x["weights"][..., None], x["concentrations"][..., None]
    b = jnp.arange(_MOST + 1)
    h = kappa * w / (kappa + b)
    sums = jnp.cumsum(jnp.log1p(-h[..., :-1]), -1)
    return jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums], -1)


def _by_cost(x: Instances, budget: Array) -> Array:
    """Least log failure within a budget, over all allocations, by cost in quarters."""
    table, price = _table(x), x["costs"]
    size = 4 * _MOST + 1
    best = jnp.zeros((table.shape[0], size))
    spent = jnp.arange(size)
    for i in range(_K):
        ways = []
        for b in range(_MOST + 1):
            before = spent - b * price[:, i, None]
            at = jnp.take_along_axis(best, jnp.maximum(before, 0), -1)
            ways.append(jnp.where(before >= 0, at + table[:, i, b, None], jnp.inf))
        best = jnp.stack(ways).min(0)
    return jnp.take_along_axis(best, budget[:, None], -1)[:, 0]


def _draw_costs(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    return _candidates(keys[0], n) | {
        "costs": drawing.whole(keys[1], (n, _K), 1, 4),
        "budget": drawing.whole(keys[2], (n,), 0, _MOST),
    }


def _found(x: Instances, budget: Array, method: costs.Method) -> costs.CostAllocation:
    return costs.cost_allocation(
        x["weights"], x["concentrations"], x["costs"].astype(float), budget.astype(float),
        method=method,
    )  # fmt: skip


def _margin_bound(x: Instances) -> Float[Array, " n"]:
    found, best = _found(x, x["budget"], "greedy"), _by_cost(x, x["budget"])
    # The bound lies below the optimum, what is reached above it and within half of it.
    lower, upper = best - found.log_failure_bound, found.log_failure - best
    half = best / 2 - found.log_failure
    return jnp.stack([lower, upper, half]).min(0)


def _margin_prefix(x: Instances) -> Float[Array, " n"]:
    # At the cost of what greedy itself has taken there is nothing better.
    w, kappa = x["weights"], x["concentrations"]
    given = jnp.zeros(w.shape)
    for _ in range(4):
        gain = -jnp.log1p(-kappa * w / (kappa + given)) / x["costs"]
        given += jax.nn.one_hot(gain.argmax(-1), _K)
    budget = (given * x["costs"]).sum(-1).astype(jnp.int32)
    found = _found(x, budget, "greedy")
    return -jnp.abs(found.log_failure - _by_cost(x, budget))


def _draw_value(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    return _candidates(keys[0], n) | {
        "costs": drawing.whole(keys[1], (n, _K), 1, 8),
        "value": drawing.whole(keys[2], (n,), 0, 12),
    }


def _margin_value(x: Instances) -> Float[Array, " n"]:
    w, kappa, price = x["weights"], x["concentrations"], x["costs"].astype(float)
    # Rollouts beyond these are worth less than they cost, whatever else was tried.
    deep = 6
    b = jnp.arange(deep + 1)
    h = kappa[..., None] * w[..., None] / (kappa[..., None] + b)
    first, second, third = (
        h[:, i].reshape(-1, *(deep + 1 if a == i else 1 for a in range(_K))) for i in range(_K)
    )
    v = x["value"].astype(float)[:, None, None, None]
    value = jnp.zeros((w.shape[0], *_K * (deep + 1,)))
    inside = [b.reshape([-1 if a == i else 1 for a in range(_K)]) < deep for i in range(_K)]
    for _ in range(_K * deep):
        ways = [jnp.zeros_like(value)]
        for i, chance in enumerate((first, second, third)):
            after = jnp.roll(value, -1, i + 1)
            net = chance * v + (1 - chance) * after - price[:, i, None, None, None]
            ways.append(jnp.where(inside[i], net, 0))
        value = jnp.stack(ways).max(0)
    found = costs.net_value_order(w, kappa, price, x["value"].astype(float), max_rollouts=256)
    short = found.allocation.max(-1) <= deep
    return jnp.where(short, -jnp.abs(found.value - value[:, 0, 0, 0]), 0)


def _draw_cap(key: Array, n: int) -> Instances:
    return {
        "chances": drawing.whole(key, (n, 2), 1, 9),
        "costs": drawing.whole(jax.random.fold_in(key, 1), (n, 2), 1, 20),
    }


def _margin_cap(x: Instances) -> Float[Array, " n"]:
    net = 4 * x["chances"] - x["costs"]
    index = (x["chances"] / x["costs"]).argmax(-1)
    chosen = jnp.take_along_axis(net, index[:, None], -1)[:, 0]
    return (chosen - net.max(-1)).astype(float)


def _cap(x: dict) -> tuple[list[Fraction], list[Fraction]]:
    """Net values and indices of the two."""
    pairs = [(Fraction(h, 10), Fraction(c, 10)) for h, c in zip(*_of(x), strict=True)]
    return [4 * h - c for h, c in pairs], [h / c for h, c in pairs]


def _of(x: dict) -> tuple[list[int], list[int]]:
    return x["chances"], x["costs"]


def _confirm_cap(x: dict) -> bool:
    net, index = _cap(x)
    return index[0] != index[1] and net[index.index(max(index))] < max(net)


def _simpler_cap(x: dict) -> Iterator[dict]:
    for name in ("chances", "costs"):
        for i, now in enumerate(x[name]):
            for less in range(1, now):
                yield {**x, name: [less if j == i else y for j, y in enumerate(x[name])]}


def _explain_cap(x: dict) -> str:
    net, index = _cap(x)
    chances, prices = ([Fraction(y, 10) for y in part] for part in _of(x))
    return (
        f"h = {rational.listed(chances)} at c = {rational.listed(prices)}, V = 4: worth "
        f"{rational.listed(net)}, indices {rational.listed(index)}"
    )


def _draw_target(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    w = drawing.qualities(keys[0], n, _K, 1.0)
    return {
        "weights": w,
        "concentration": drawing.logarithmic(keys[1], n, 0.5, 4),
        "target": 0.9 + 0.08 * jax.random.uniform(keys[2], (n,)),
    }


def _margin_target(x: Instances) -> Float[Array, " n"]:
    w, kappa, q = x["weights"], x["concentration"], x["target"]
    found = targets.smallest_budget(w, kappa, q)
    given = [optimal.optimal_allocation(w, kappa, found.budget - i) for i in (0, 1)]
    now, before = (objective.log_failure(w, kappa, b) for b in given)
    goal = jnp.log1p(-q)
    right = (now <= goal + 1e-12) & (before > goal - 1e-12)
    reached = given[0].min(-1) > 0
    near = jnp.abs(found.closed_form - found.budget) <= 1
    return jnp.where(right & (near | ~reached), 0.0, -1.0)


def _draw_own(key: Array, n: int) -> Instances:
    one, two = jax.random.split(key)
    return _candidates(one, n) | {"budget": drawing.whole(two, (n,), 0, _MOST)}


def _margin_own(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentrations"], x["budget"]
    given = optimal.optimal_allocation(w, kappa, n)
    reached = objective.log_failure(w, kappa, given)
    spent = given.sum(-1) == n
    return jnp.where(spent, least_sum(_table(x), n) - reached, -1)


def _draw_bound(key: Array, n: int) -> Instances:
    x = _draw_own(key, n)
    return {
        "sixteenths": jnp.rint(16 * x["weights"]).astype(int),
        "log2_kappa": jnp.rint(jnp.log2(x["concentrations"])).astype(int),
        "budget": x["budget"],
    }


def _margin_bound_rule(x: Instances) -> Float[Array, " n"]:
    w, kappa = x["sixteenths"] / 16, 2.0 ** x["log2_kappa"]
    table = _table({"weights": w, "concentrations": kappa})
    given = jnp.zeros(w.shape, int)
    for t in range(_MOST):
        bound = posterior_rules.confidence_bound(w, kappa, given, -1.0)
        more = jax.nn.one_hot(bound.argmax(-1), _K, dtype=int)
        given = given + more * (t < x["budget"])[:, None]
    reached = jnp.take_along_axis(table, given[..., None], -1)[..., 0].sum(-1)
    return least_sum(table, x["budget"]) - reached


def _bound_rule(x: dict) -> tuple[list[int], Fraction, list[int], Fraction]:
    """What the bound and the optimum give, and how each fails."""
    w = [Fraction(y, 16) for y in x["sixteenths"]]
    kappa = [Fraction(2) ** y for y in x["log2_kappa"]]
    found: list[Any] = []
    for deviations in (-1.0, 0.0):
        given, failure = [0] * len(w), Fraction(1)
        for _ in range(x["budget"]):
            mean = [k * y / (k + r) for k, y, r in zip(kappa, w, given, strict=True)]
            index = [
                m + deviations * Fraction(math.sqrt(m * (1 - m) / (k + r + 1))) if deviations else m
                for m, k, r in zip(mean, kappa, given, strict=True)
            ]
            i = index.index(max(index))
            failure *= 1 - mean[i]
            given[i] += 1
        found += [given, failure]
    return tuple(found)


def _confirm_bound(x: dict) -> bool:
    _, cautious, _, best = _bound_rule(x)
    return cautious > best


def _simpler_bound(x: dict) -> Iterator[dict]:
    yield from ({**x, "budget": n} for n in range(1, x["budget"]))
    for name, middle in (("sixteenths", 8), ("log2_kappa", 0)):
        for i, now in enumerate(x[name]):
            if now != middle:
                yield {**x, name: [middle if j == i else y for j, y in enumerate(x[name])]}


def _explain_bound(x: dict) -> str:
    cautious, fails, best, less = _bound_rule(x)
    w = rational.listed([Fraction(y, 16) for y in x["sixteenths"]])
    kappa = rational.listed([Fraction(2) ** y for y in x["log2_kappa"]])
    return (
        f"w = {w}, κ = {kappa}, N = {x['budget']}: the bound gives {tuple(cautious)} and fails "
        f"with {fails}, {tuple(best)} with {less}"
    )


# Sums of up to twelve logarithms below 3.
_SUMS = 1e-12
CLAIMS = (
    Claim(
        id="9.1.1",
        name="greedy at the costs of its prefixes",
        statement="With a cost per rollout, the order by -log(1-h)/c is exactly optimal at the "
        "cost of each of its own prefixes.",
        latex=r"B^{\text{greedy}}(C)=\arg\min_{\sum c_iB_i\le C}F(B)\quad\text{at }"
        r"C=\sum_i c_iB_i^{\text{greedy}}",
        source="new",
        expected="holds",
        assumptions="Three candidates of their own κ, integer costs from 1 to 4.",
        proof="Log failure is separable and convex, so its lower convex envelope in the cost is "
        "the sum of the largest drops per cost, and greedy lies on it at its own costs. Checked "
        "against the dynamic program over costs.",
        draw=_draw_costs,
        margin=_margin_prefix,
        tolerance=_SUMS,
    ),
    Claim(
        id="9.1.1",
        name="greedy and its bound bracket the optimum",
        statement="Between those costs the next rollout of the order bounds every allocation, and "
        "greedy filled up, or the best candidate alone, has at least half of the best log failure.",
        latex=r"F^*\ge F^{\text{greedy}}(1-h_j)^{(C-s)/c_j},\qquad"
        r"\log F^{\text{found}}\le\tfrac12\log F^*",
        source="new",
        expected="holds",
        assumptions="Three candidates of their own κ, integer costs from 1 to 4.",
        proof="The fractional knapsack is a relaxation, solved by greedy and a part of the first "
        "rollout that does not fit. Its value is at most greedy's and one rollout's together. "
        "Checked against the dynamic program over costs.",
        draw=_draw_costs,
        margin=_margin_bound,
        tolerance=_SUMS,
    ),
    Claim(
        id="9.1.2",
        name="largest chance per cost, until it is not worth it",
        statement="For the value of a success less the expected cost, trying the largest h/c while "
        "V h > c is optimal among all policies.",
        latex=r"\max_\pi V\,P_\pi(\text{success})-\mathbb E_\pi[\text{cost}]",
        source="new",
        expected="holds",
        assumptions="No cap on the number of rollouts; the search ends at its first success.",
        proof="Exchange: i before j costs c_i + (1-h_i)c_j, the other way c_j + (1-h_j)c_i, so i "
        "is first iff h_i/c_i is the larger; h falls, so sorting keeps each candidate's own order. "
        "Checked against Bellman's equation.",
        draw=_draw_value,
        margin=_margin_value,
        # Values up to 12.
        tolerance=1e-12,
        chunk=512,
    ),
    Claim(
        id="9.1.2",
        name="the index under a cap",
        statement="With a cap of one rollout the largest h/c is the best rollout too.",
        latex=r"\arg\max_i h_i/c_i=\arg\max_i\,(V h_i-c_i)",
        source="new",
        expected="refuted",
        assumptions="V = 4, one rollout, known chances.",
        proof="h = 1/2 at c = 1 is worth 1 and has index 1/2; h = 1/5 at c = 1/10 is worth 7/10 "
        "and has index 2.",
        draw=_draw_cap,
        margin=_margin_cap,
        confirm=_confirm_cap,
        simpler=_simpler_cap,
        explain=_explain_cap,
    ),
    Claim(
        id="9.1.3",
        name="the smallest budget for a success",
        statement="The smallest N whose optimum succeeds with probability q is within 1 of a "
        "closed form, once every candidate is reached.",
        latex=r"N^*(q)=\left\lceil\left(\frac{A}{1-q}\right)^{1/\kappa}"
        r"-\frac{\kappa(2k-1)-k}2\right\rceil\pm1",
        source="new",
        expected="holds",
        assumptions="Three candidates of Σ w = 1, κ from 0.5 to 4, q from 0.9 to 0.98.",
        proof="m_i(B) ≈ Γ(κ)/Γ(κ(1-w_i)) (B + (κ(2-w_i)-1)/2)^(-κw_i) to second order, and the "
        "optimum has B + shift ∝ w. That N suffices and N - 1 does not is checked too.",
        draw=_draw_target,
        margin=_margin_target,
        chunk=512,
    ),
    Claim(
        id="9.2.1",
        name="the optimum for candidates of their own κ",
        statement="The N largest of all κ_i w_i/(κ_i + r) are an exact optimum.",
        latex=r"B^*:\ \text{the }N\text{ largest }\frac{\kappa_iw_i}{\kappa_i+r}",
        source="new",
        expected="holds",
        assumptions="Independent candidates, p_i ~ Beta(κ_i w_i, κ_i(1-w_i)).",
        proof="As 2.1: the r-th further rollout multiplies failure by 1 - κw/(κ+r), which rises "
        "with r. Checked against the dynamic program over budgets.",
        draw=_draw_own,
        margin=_margin_own,
        tolerance=_SUMS,
    ),
    Claim(
        id="9.2.2",
        name="the lower confidence bound",
        statement="With κ_i of their own, rollouts by the largest posterior mean less a standard "
        "deviation are an optimum.",
        latex=r"B^*:\ \text{each rollout to }\arg\max_i\,(\mu_i-\sigma_i)",
        source="new",
        expected="refuted",
        assumptions="Independent candidates, p_i ~ Beta(κ_i w_i, κ_i(1-w_i)).",
        proof="The bound withholds first tries from what is uncertain, and these are worth as much "
        "as others: w = 1/2 twice, κ = 1 and 9, N = 2 fails with 11/40 by (0, 2), 1/4 by (1, 1).",
        draw=_draw_bound,
        margin=_margin_bound_rule,
        tolerance=_SUMS,
        confirm=_confirm_bound,
        simpler=_simpler_bound,
        explain=_explain_bound,
    ),
)
