"""Rounding N w: it misses the budget, and where it does not it is Webster's (theory 3.2, 3.3)."""

from collections.abc import Iterator
from fractions import Fraction
from math import floor

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import optimal, rounding, rules
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances

# Between which shares of problems the sum of rounded shares misses N.
_OFTEN, _SELDOM = 0.6, 0.64
_MOST = 39


_draw_parts = drawing.instances(parts=drawing.integers(1, 9, 4), budget=drawing.integers(1, 16))


def _margin_sum(x: Instances) -> Float[Array, " n"]:
    total = x["parts"].sum(-1, keepdims=True)
    spent = rounding.round_allocation(x["parts"] / total, x["budget"]).sum(-1)
    # A share that is half of an integer may be rounded either way: no counterexample.
    tied = ((2 * x["budget"][:, None] * x["parts"]) % (2 * total) == total).any(-1)
    return -jnp.where(tied, 0, jnp.abs(spent - x["budget"])).astype(jnp.result_type(float))


def _due(x: dict) -> list[Fraction]:
    return [x["budget"] * w for w in rational.shares(x["parts"])]


def _confirm_sum(x: dict) -> bool:
    due = _due(x)
    # No share is half of an integer: no rule for ties decides it.
    untied = all((2 * d).denominator > 1 or d.denominator == 1 for d in due)
    return untied and sum(floor(d + rational.HALF) for d in due) != x["budget"]


def _simpler_parts(x: dict) -> Iterator[dict]:
    equal = [1] * len(x["parts"])
    if x["parts"] != equal:
        yield x | {"parts": equal}
    yield from shrinking.shorter(x, ["parts"])
    yield from shrinking.fewer(x, "budget")
    yield from shrinking.fewer(x, "parts")


def _explain_sum(x: dict) -> str:
    due = _due(x)
    given = [floor(d + rational.HALF) for d in due]
    return (
        f"N = {x['budget']}: shares {rational.listed(due)} are rounded to "
        f"{rational.listed(given)}, {sum(given)} in all"
    )


def _draw_scores(key: Array, n: int, most: int = _MOST) -> Instances:
    keys = jax.random.split(key, 3)
    return {
        "scores": jax.random.uniform(keys[0], (n, most)),
        "mask": jnp.arange(most) < drawing.whole(keys[1], (n, 1), 2, most),
        "budget": 16 * 2 ** drawing.whole(keys[2], (n,), 0, 2),
    }


def _draw_few_scores(key: Array, n: int) -> Instances:
    return _draw_scores(key, n, 8)


def _misses(x: Instances) -> Array:
    given = rules.rebase_allocation(x["scores"], x["budget"], literal=True, mask=x["mask"])
    return (given.sum(-1) != x["budget"]).astype(x["scores"].dtype)


def _margin_often(x: Instances) -> Float[Array, " n"]:
    return _misses(x) - _OFTEN


def _margin_seldom(x: Instances) -> Float[Array, " n"]:
    return _SELDOM - _misses(x)


def _margin_webster(x: Instances) -> Float[Array, " n"]:
    scores, mask, n = x["scores"], x["mask"], x["budget"]
    given = rules.rebase_allocation(scores, n, literal=True, mask=mask)
    w = jnp.where(mask, jnp.exp((scores - 1) / 0.1), 0)
    w = w / w.sum(-1, keepdims=True)
    ahead = jnp.where(mask, w / (0.5 + given), 0).max(-1)
    behind = jnp.where(given > 0, w / (given - 0.5), jnp.inf).min(-1)
    # Webster's method itself, whose ties random scores do not have.
    differs = jnp.abs(given - optimal.apportion(w, n, mask=mask)).max(-1).astype(w.dtype)
    return jnp.where(given.sum(-1) == n, jnp.minimum(behind / ahead - 1, -differs), 0)


_SAMPLE = "Softmax of uniform scores at T_b = 0.1, k uniform in 2 … 39, N in {16, 32, 64}."

CLAIMS = (
    Claim(
        id="3.2",
        name="rounding keeps the budget",
        statement="The rounded shares of N have the sum N.",
        latex=r"\sum_i\mathrm{round}(Nw_i)=N",
        source="paper",
        expected="refuted",
        assumptions="w > 0 with sum 1.",
        proof="Fractions do not cancel: of three equal candidates each is due 1/3 of one rollout.",
        draw=_draw_parts,
        margin=_margin_sum,
        confirm=_confirm_sum,
        simpler=_simpler_parts,
        explain=_explain_sum,
    ),
    Claim(
        id="3.2",
        name="rounding misses often",
        statement="Rounded shares miss the budget in at least 60% of problems.",
        latex=r"P\Big(\sum_i\mathrm{round}(Nw_i)\ne N\Big)\ge0.60",
        source="corrected",
        expected="holds",
        assumptions=_SAMPLE,
        proof="Measured, not proved: the mean of an indicator, by an exact binomial test.",
        draw=_draw_scores,
        margin=_margin_often,
        test="mean",
        min_instances=65536,
        bounds=(-_OFTEN, 1 - _OFTEN),
    ),
    Claim(
        id="3.2",
        name="rounding does not always miss",
        statement="Rounded shares miss the budget in at most 64% of problems.",
        latex=r"P\Big(\sum_i\mathrm{round}(Nw_i)\ne N\Big)\le0.64",
        source="corrected",
        expected="holds",
        assumptions=_SAMPLE,
        proof="Measured, not proved: the mean of an indicator, by an exact binomial test.",
        draw=_draw_scores,
        margin=_margin_seldom,
        test="mean",
        min_instances=65536,
        bounds=(_SELDOM - 1, _SELDOM),
    ),
    Claim(
        id="3.3",
        name="rounding that keeps the budget is Webster's method",
        statement="Whenever the rounded shares have the sum N, they are Webster's apportionment, "
        "and so the exact optimum for κ = 1/2.",
        latex=r"\sum_i\mathrm{round}(Nw_i)=N\ \Rightarrow\ \max_j\frac{w_j}{\frac12+B_j}\le"
        r"\min_{i:B_i>0}\frac{w_i}{\frac12+B_i-1}",
        source="new",
        expected="holds",
        assumptions="Softmax of uniform scores at T_b = 0.1, k in 2 … 8; where rounding misses N "
        "the claim says nothing.",
        proof="round(x) = B says B - 1/2 ≤ x ≤ B + 1/2, so N w_j/(B_j + 1/2) ≤ 1 ≤ "
        "N w_i/(B_i - 1/2): the certificate of 2.2 at κ = 1/2, with 1/N between its two sides.",
        proved="Coq: Rounding.rounding_optimal",
        draw=_draw_few_scores,
        margin=_margin_webster,
        # Roundings of two softmaxes at T_b = 0.1, relative.
        tolerance=1e-13,
    ),
)
