"""Failure of a candidate and of all: eq. 5-7, and a form of them that keeps digits (theory 1)."""

import math
from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import objective
from dora_theory.model.priors import BetaPrior

# Gauss's rule with 8 nodes is exact for (1 - p)^B up to here.
_NODES = 8
_MOST = 2 * _NODES - 1
# From 1 to the float below it is twice as far; twice that, for rounding.
_HALF_STEP = 2.0**-53


_draw_one = drawing.instances(
    weight=drawing.uniform(minval=0.01, maxval=0.99),
    concentration=drawing.log_uniform(0.05, 50),
    rollouts=drawing.integers(0, _MOST),
)


def gauss_jacobi(a: Array, b: Array) -> tuple[Array, Array]:
    """Nodes and masses of Beta(a, b), `(n, 8)`: eigenvalues of its three-term recurrence.

    Exact for polynomials up to degree 15.
    """
    kappa = (a + b)[:, None]
    i = jnp.arange(1, _NODES)
    s = 2 * i + kappa - 2
    first = (b - a) / (a + b)
    center = jnp.concatenate(
        [first[:, None], (b - a)[:, None] * (kappa - 2) / (s * (s + 2))], axis=-1
    )
    # The factor (κ - 1)/(κ - 1) of the first one is 1, also where κ is.
    last = jnp.where(i == 1, 1, (i + kappa - 2) / jnp.where(i == 1, 1, s - 1))
    square = 4 * i * (i + a[:, None] - 1) * (i + b[:, None] - 1) * last / (s**2 * (s + 1))
    side = jnp.sqrt(square)
    matrix = jax.vmap(lambda c, o: jnp.diag(c) + jnp.diag(o, 1) + jnp.diag(o, -1))(center, side)
    nodes, vectors = jnp.linalg.eigh(matrix)
    return (1 - nodes) / 2, vectors[:, 0] ** 2


def _margin_integral(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weight"], x["concentration"], x["rollouts"]
    p, mass = gauss_jacobi(kappa * w, kappa * (1 - w))
    integral = (mass * (1 - p) ** b[:, None]).sum(-1)
    found = objective.candidate_log_failure(w[:, None], kappa, b[:, None])[:, 0]
    return -jnp.abs(jnp.exp(found) - integral)


_draw_joint = drawing.instances(
    alpha=lambda key, n: 4 * jax.random.uniform(key, (n, 4)),
    beta=lambda key, n: 4 * jax.random.uniform(key, (n, 4), minval=0.01),
    allocation=drawing.integers(0, _MOST, 4),
    mask=lambda key, n: drawing.whole(key, (n, 4), 0, 3) > 0,
)


def _failure(a: Array, b: Array, x: Instances) -> Array:
    """Failure of all under Beta(a, b), as a product."""
    r = jnp.arange(_MOST)
    steps = (b[..., None] + r) / ((a + b)[..., None] + r)
    each = jnp.where(r < x["allocation"][..., None], steps, 1).prod(-1)
    return jnp.where(x["mask"], each, 1).prod(-1)


def _margin_joint(x: Instances) -> Float[Array, " n"]:
    # One κ for all: the first candidate's.
    kappa = x["alpha"][:, 0] + x["beta"][:, 0]
    w = (x["alpha"][:, 0] / kappa)[:, None] * jnp.array([1, 0.5, 0.25, 0])
    failure = _failure(kappa[:, None] * w, kappa[:, None] * (1 - w), x)
    success = objective.success_probability(w, kappa, x["allocation"], mask=x["mask"])
    return -jnp.abs(1 - failure - success)


def _margin_general(x: Instances) -> Float[Array, " n"]:
    a, b = x["alpha"], x["beta"]
    found = objective.log_failure(BetaPrior(a, b), None, x["allocation"], mask=x["mask"])
    return -jnp.abs(jnp.exp(found) - _failure(a, b, x))


def _draw_edges(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 6)
    sure = drawing.whole(keys[0], (n, 3), 0, 3)
    weights = jax.random.uniform(keys[1], (n, 3))
    few = drawing.whole(keys[3], (n, 3), 0, 2)
    many = jnp.floor(drawing.logarithmic(keys[4], 3 * n, 1, 1e6)).reshape(n, 3)
    return {
        "weights": jnp.where(sure == 0, 0.0, jnp.where(sure == 1, 1.0, weights)),
        "concentration": drawing.logarithmic(keys[2], n, 1e-6, 1e6),
        "allocation": jnp.where(jax.random.bernoulli(keys[5], 0.5, (n, 3)), few, many),
    }


def _margin_edges(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weights"], x["concentration"], x["allocation"]
    success = objective.success_probability(w, kappa, b)
    failure = objective.log_failure(w, kappa, b)
    certain = ((w == 1) & (b > 0)).any(-1)
    hopeless = ((w == 0) | (b == 0)).all(-1)
    # As a float, success is 1 where failure is below half the distance of 1 to the next below.
    between = (failure < 0) & jnp.isfinite(failure) & (success > 0)
    between &= (success < 1) | (failure < jnp.log(_HALF_STEP))
    right = jnp.where(
        certain,
        (success == 1) & (failure == -jnp.inf),
        jnp.where(hopeless, (success == 0) & (failure == 0), between),
    )
    # One rollout of one candidate: 1 - (1 - w) whatever κ is.
    one = objective.success_probability(w[:, :1], kappa, jnp.ones_like(b[:, :1]))
    return -jnp.maximum(jnp.where(right, 0, 1), jnp.abs(one - w[:, 0]))


_draw_chain = drawing.instances(
    weight=drawing.log_uniform(1e-9, 0.99),
    concentration=drawing.log_uniform(1e-3, 1e6),
    first=lambda key, n: jnp.floor(drawing.logarithmic(key, n, 1, 1e6)),
    then=drawing.integers(1, 8),
)


def _margin_chain(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weight"], x["concentration"], x["first"]
    whole, part = (
        objective.candidate_log_failure(w[:, None], kappa, c[:, None])[:, 0]
        for c in (b + x["then"], b)
    )
    r = jnp.arange(8)
    steps = jnp.log1p(-(kappa * w)[:, None] / (kappa[:, None] + b[:, None] + r))
    rest = jnp.where(r < x["then"][:, None], steps, 0).sum(-1)
    return -jnp.abs(part + rest - whole) / -whole


_draw_lgamma = drawing.instances(
    weight=drawing.powers(-30, -1),
    concentration=drawing.powers(-4, 20),
    rollouts=drawing.integers(1, 8),
)


def _margin_lgamma(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weight"], x["concentration"], x["rollouts"]
    fails = kappa * (1 - w)
    lgamma = jax.lax.lgamma
    form = lgamma(fails + b) - lgamma(fails) - lgamma(kappa + b) + lgamma(kappa)
    found = objective.candidate_log_failure(w[:, None], kappa, b[:, None])[:, 0]
    return -jnp.abs(form / found - 1)


def _two_forms(x: dict) -> tuple[float, float]:
    """Log failure by the difference of lgammas in float64, and exactly."""
    w, kappa, b = Fraction(x["weight"]), Fraction(x["concentration"]), x["rollouts"]
    lgamma, fails = math.lgamma, x["concentration"] * (1 - x["weight"])
    form = lgamma(fails + b) - lgamma(fails) - lgamma(float(kappa) + b) + lgamma(float(kappa))
    failure = rational.failure(w, kappa, b)
    with localcontext(prec=50):
        exact = (Decimal(failure.numerator) / Decimal(failure.denominator)).ln()
    return form, float(exact)


def _confirm_lgamma(x: dict) -> bool:
    form, exact = _two_forms(x)
    return abs(form / exact - 1) > 1e-6


def _simpler_lgamma(x: dict) -> Iterator[dict]:
    yield from shrinking.fewer(x, "rollouts")
    if x["concentration"] != 1:
        yield x | {"concentration": 1.0}
        yield x | {"concentration": x["concentration"] * (2 if x["concentration"] < 1 else 0.5)}
    if x["weight"] < 0.5:
        yield x | {"weight": 2 * x["weight"]}


def _explain_lgamma(x: dict) -> str:
    form, exact = _two_forms(x)
    return (
        f"w = {Fraction(x['weight'])}, κ = {Fraction(x['concentration'])}, B = {x['rollouts']}: "
        f"log failure is {exact:.10g}, the difference of lgammas in float64 is {form:.10g}"
    )


CLAIMS = (
    Claim(
        id="1",
        name="failure of one candidate",
        statement="B rollouts of a candidate all fail with probability E[(1-p)^B] = "
        "Π_{r<B} (κ(1-w)+r)/(κ+r).",
        latex=r"\mathbb E[(1-p)^B]=\prod_{r=0}^{B-1}\frac{\kappa(1-w)+r}{\kappa+r},\quad "
        r"p\sim\mathrm{Beta}(\kappa w,\kappa(1-w))",
        source="paper",
        expected="holds",
        assumptions="Any integer B; tried up to 15.",
        proof="E[(1-p)^B] = B(a, b+B)/B(a, b), and Γ(x+1) = xΓ(x). Checked against the integral "
        "over p, by Gauss's rule for the Beta density with 8 nodes, exact to degree 15.",
        draw=_draw_one,
        margin=_margin_integral,
        # Eigenvalues of an 8 × 8 matrix of norm 1, to the power of 15.
        tolerance=1e-13,
    ),
    Claim(
        id="1",
        name="failure of all",
        statement="Independent candidates all fail with the product of their failures; padding "
        "counts for nothing.",
        latex=r"1-J=\prod_i\prod_{r<B_i}\frac{\kappa(1-w_i)+r}{\kappa+r}",
        source="paper",
        expected="holds",
        assumptions="Any integer B_i, tried up to 15.",
        proof="Independence, then the failure of one candidate.",
        draw=_draw_joint,
        margin=_margin_joint,
        # Products of 60 factors, and exponentials of logarithms down to -40.
        tolerance=1e-13,
    ),
    Claim(
        id="1",
        name="failure of all under any Beta priors",
        statement="Under a prior Beta(a_i, b_i) of each candidate's own, too, all fail with the "
        "product of their failures.",
        latex=r"1-J=\prod_i\prod_{r<B_i}\frac{b_i+r}{a_i+b_i+r}",
        source="new",
        expected="holds",
        assumptions="a_i ≥ 0, b_i > 0; any integer B_i, tried up to 15.",
        proof="The failure of one candidate with a and b in place of κw and κ(1-w).",
        draw=_draw_joint,
        margin=_margin_general,
        # Products of 60 factors, and exponentials of logarithms down to -40.
        tolerance=1e-13,
    ),
    Claim(
        id="1",
        name="edges",
        statement="Success is exactly 1 if a candidate of w = 1 has a rollout, exactly 0 if no "
        "candidate of w > 0 has one, else strictly between; one rollout succeeds with w.",
        latex=r"J=1\iff\exists i:w_i=1,B_i\ge1;\quad J=0\iff\forall i:w_iB_i=0;\quad J(B=1)=w",
        source="new",
        expected="holds",
        assumptions="κ from 1e-6 to 1e6, B up to 1e6; in floating point too, where what lies "
        "strictly between is the log failure: as a float, success is 1 from a failure of 2^-53 "
        "down, and 0.9 after 20 rollouts at κ = 1e6 is.",
        proof="The first factor of a candidate's failure is 1 - w, and no factor is 0 or 1 else.",
        draw=_draw_edges,
        margin=_margin_edges,
        # J(B = 1) = w through a logarithm.
        tolerance=1e-15,
    ),
    Claim(
        id="1",
        name="failures in two steps",
        statement="The log failure of B + C rollouts is that of B, and of C more by the prior that "
        "B failures leave, to 14 digits up to a million rollouts.",
        latex=r"\log F(B+C)=\log F(B)+\sum_{r<C}\log\Big(1-\frac{\kappa w}{\kappa+B+r}\Big)",
        source="new",
        expected="holds",
        assumptions="κ from 1e-3 to 1e6, w from 1e-9, B up to 1e6: what the program computes by a "
        "sum for small and by a series for large numbers.",
        proof="After B failures the prior is Beta(κw, κ(1-w) + B).",
        draw=_draw_chain,
        margin=_margin_chain,
        # Either side is good to 1e-14, relative.
        tolerance=3e-14,
    ),
    Claim(
        id="1",
        name="a difference of lgammas",
        statement="In float64 the log failure may as well be computed as lgamma(κ(1-w)+B) - "
        "lgamma(κ(1-w)) - lgamma(κ+B) + lgamma(κ): it is good to 6 digits.",
        latex=r"\log F=\log\Gamma(\kappa(1-w)+B)-\log\Gamma(\kappa(1-w))-\log\Gamma(\kappa+B)+"
        r"\log\Gamma(\kappa)\ \text{to }10^{-6}",
        source="new",
        expected="refuted",
        assumptions="w ≥ 2^-30, κ ≤ 2^20, B ≤ 8.",
        proof="Each lgamma is about κ log κ and the result about κw log((κ+B)/κ): what is left of "
        "16 digits is their ratio.",
        draw=_draw_lgamma,
        margin=_margin_lgamma,
        # Not rounding: what the claim allows.
        tolerance=1e-6,
        confirm=_confirm_lgamma,
        simpler=_simpler_lgamma,
        explain=_explain_lgamma,
    ),
)
