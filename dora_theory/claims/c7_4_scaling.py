"""Scaling laws of unsolved against budget for many problems (theory 7.4)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import scaling
from dora_theory.claims.check import drawing
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instances

_DEPTH = 64
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
        "those of who does both.",
        proof="Both have the exponent a/(1-a) of who does both, with constants that 7.4c computes; "
        "their quotient crosses 1 once, where it is found by bisection.",
        draw=_draw_exponents,
        margin=_margin_crossing,
        # The crossing is given to seven digits.
        tolerance=1e-5,
    ),
)
