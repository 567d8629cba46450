"""Scaling laws of unsolved against budget for many problems (theory 7.4)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import exponents, optimal, scaling
from dora_theory.claims.check import drawing
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import objective

_DEPTH = 64
_K = 3
# Where (1 - a)^(-1/a) = Γ(1 + a)^((1 - a)/a) Γ(a), to seven digits.
_CROSSING = 0.2138468


def _draw_depth(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    alpha = drawing.logarithmic(keys[0], n, 0.05, 5)
    # Beside a = 1 the closed form is a series of its own, whose error is larger.
    alpha = jnp.where(jnp.abs(alpha - 1) < 1e-3, 1.01, alpha)
    return {
        "alpha": alpha,
        "beta": drawing.logarithmic(keys[1], n, 0.05, 20),
        "depth": drawing.whole(keys[2], (n,), 1, _DEPTH),
    }


def _unsolved(x: Instances) -> Float[Array, "n depth1"]:
    return many.unsolved(many.hazards(x["alpha"], x["beta"], _DEPTH))


def _margin_cost(x: Instances) -> Float[Array, " n"]:
    f = _unsolved(x)
    spent = jnp.take_along_axis(jnp.cumsum(f, -1), (x["depth"] - 1)[:, None], -1)[:, 0]
    return -jnp.abs(scaling.coverage_cost(x["alpha"], x["beta"], x["depth"]) / spent - 1)


def _margin_saving(x: Instances) -> Float[Array, " n"]:
    f = jnp.take_along_axis(_unsolved(x), x["depth"][:, None], -1)[:, 0]
    factor = scaling.saving_factor(x["alpha"], x["beta"], x["depth"])
    return jnp.minimum(factor - 1, 1 - factor * f)


def _draw_exponents(key: Array, n: int) -> Instances:
    return {"alpha": jax.random.uniform(key, (n,), minval=0.02, maxval=0.98)}


def _margin_crossing(x: Instances) -> Float[Array, " n"]:
    a = x["alpha"]
    looking, knowing = scaling.price_of_not_looking(a), scaling.price_of_not_knowing(a)
    return jnp.where(a > _CROSSING, looking - knowing, knowing - looking)


_draw_shares = drawing.instances(
    weights=lambda key, n: drawing.shares(drawing.whole(key, (n, _K), 1, 5).astype(float)),
    parts=drawing.integers(1, 5, _K),
    concentration=drawing.log_uniform(0.1, 5),
    each=drawing.integers(1_000, 100_000),
)


def _margin_constant(x: Instances) -> Float[Array, " n"]:
    w, kappa, each = x["weights"], x["concentration"], x["each"]
    total = each * x["parts"].sum(-1)
    best = optimal.optimal_allocation(w, kappa, total)
    other = each[:, None] * x["parts"]
    law = scaling.dora_constant(w, kappa) - kappa * jnp.log(total)
    q = drawing.shares(x["parts"].astype(float))
    dearer = kappa * (w * jnp.log(w / q)).sum(-1)
    off = jnp.maximum(
        jnp.abs(objective.log_failure(w, kappa, best) - law),
        jnp.abs(objective.log_failure(w, kappa, other) - law - dearer),
    )
    return 1 - off * each / (_K * kappa * (1 + kappa))


def _draw_estimate(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    alpha = jax.random.uniform(keys[0], (n,), minval=0.05, maxval=1)
    first = drawing.whole(keys[2], (n,), 1, 16)
    return {
        "alpha": alpha,
        "beta": 1 - alpha + drawing.logarithmic(keys[1], n, 0.01, 10),
        "first": first,
        "last": first + drawing.whole(keys[3], (n,), 1, 40),
    }


def _margin_line(x: Instances) -> Float[Array, " n"]:
    f = _unsolved(x)

    def at(depth: Array) -> Array:
        return jnp.take_along_axis(f, depth[:, None], -1)[:, 0]

    first, last = x["first"], x["last"]
    line = exponents.line_through(at(first), at(first + 1), at(last), at(last + 1), last - first)
    slope = jnp.log(at(first) / at(last)) / jnp.log(last / first)
    return jnp.minimum(-jnp.abs(line / x["alpha"] - 1), x["alpha"] - slope)


CLAIMS = (
    Claim(
        id="7.4b",
        name="the cost of coverage telescopes",
        statement="Round robin to depth s costs exactly Σ_{j<s} f(j), in closed form for Beta(a, "
        "b).",
        latex=r"\sum_{j<s}f(j)=\frac{(a+b-1)-(a+b+s-1)\,f(s)}{a-1}",
        source="new",
        expected="holds",
        assumptions="p ~ Beta(a, b), a ≠ 1, many problems.",
        proof="(a+b+j) f(j+1) = (b+j) f(j), so the right-hand side grows by f(s) from s to s + 1; "
        "at s = 0 it is 0.",
        draw=_draw_depth,
        margin=_margin_cost,
        # A quotient that loses three digits at a = 1.001.
        tolerance=1e-11,
    ),
    Claim(
        id="7.4b",
        name="the saving of looking",
        statement="For the same coverage round robin on the unsolved needs s/Σ f(j) times fewer "
        "rollouts than uniform, at least once and at most 1/f(s) times.",
        latex=r"1\le\frac{s}{\sum_{j<s}f(j)}\le\frac1{f(s)}",
        source="new",
        expected="holds",
        assumptions="Any share f that falls; tried on Beta(a, b).",
        proof="Each of the s terms lies between f(s) and 1.",
        draw=_draw_depth,
        margin=_margin_saving,
        # As of the cost.
        tolerance=1e-11,
    ),
    Claim(
        id="7.4c",
        name="knowing or looking",
        statement="Above a = 0.21385 looking without knowing beats knowing without looking in the "
        "limit, below it the other way.",
        latex=r"(1-a)^{-1/a}\gtrless\Gamma(1+a)^{(1-a)/a}\,\Gamma(a)\iff a\gtrless a^*=0.21385",
        source="new",
        expected="holds",
        assumptions="p ~ Beta(a, b), a < 1; rollouts for the same small share unsolved, against "
        "those of doing both.",
        proof="Both have the exponent a/(1-a) of doing both, with constants that 7.4c computes; "
        "their quotient crosses 1 once, where it is found by bisection.",
        draw=_draw_exponents,
        margin=_margin_crossing,
        # The crossing is given to seven digits.
        tolerance=1e-5,
    ),
    Claim(
        id="7.4d",
        name="one problem falls as a power",
        statement="Of one problem with κ, its rollouts in the optimal order, C N^-κ is unsolved; "
        "any other shares q leave e^{κ KL(w‖q)} times as much.",
        latex=r"F\,N^\kappa\to C,\qquad\log C=\kappa H(w)+\sum_i[\log\Gamma(\kappa)-"
        r"\log\Gamma(\kappa(1-w_i))]",
        source="new",
        expected="holds",
        assumptions="Σ w = 1, all w > 0; tried within k κ (1 + κ) per rollout of the least share, "
        "from 1,000 on.",
        proof="Γ(κ(1-w) + B)/Γ(κ + B) ~ B^{-κw}, so log F ~ Σ [lgamma κ - lgamma κ(1-w)] - κ Σ w "
        "log B. At B = q N the last sum is log N - H(w) - KL(w‖q), least at q = w.",
        draw=_draw_shares,
        margin=_margin_constant,
        chunk=512,
    ),
    Claim(
        id="7.4e",
        name="the hazard line finds the exponent",
        statement="1/h(j) is a line in j of slope 1/a, so two hazards give a at any depths; the "
        "slope of log f against log j is below a.",
        latex=r"\frac1{h(j)}=\frac{a+b+j}a,\qquad\frac{\log f(j_1)/f(j_2)}{\log j_2/j_1}\le a",
        source="new",
        expected="holds",
        assumptions="p ~ Beta(a, b), the exact f; for the slope a ≤ 1 ≤ a + b.",
        proof="h(j) = a/(a+b+j). For the slope, 1 - a/(a+b+j) ≥ 1 - a/(j+1) ≥ (j/(j+1))^a, the "
        "last by Bernoulli's inequality; multiply over j.",
        draw=_draw_estimate,
        margin=_margin_line,
        # 1/h up to 1000 from differences of f.
        tolerance=1e-9,
    ),
)
