"""What looking at every outcome is worth (theory 7.2d, 7.2e)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import adaptive_value
from dora_theory.claims.c7_2_adaptive import draw_beliefs
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model.priors import BetaPrior

_M, _N = 3, 4
_GAIN = jnp.e / (jnp.e - 1)


def _margin_value(x: Instances) -> Float[Array, " n"]:
    hazard = many.hazards(x["alpha"], x["beta"], _N)
    gain, failure = x["values"][..., None] * hazard, many.unsolved(hazard)
    found = jax.vmap(adaptive_value.convolved_value)(gain, failure)
    return -jnp.abs(found - many.bellman(hazard, x["values"], _N))


def _margin_bounds(x: Instances) -> Float[Array, " n"]:
    hazard = many.hazards(x["alpha"], x["beta"], _N)
    best = many.bellman(hazard, x["values"], _N)
    prior = BetaPrior(x["alpha"][..., None], x["beta"][..., None])
    bound = adaptive_value.adaptive_bound(x["values"], prior, _N).value
    return bound - best


def _margin_gain(x: Instances) -> Float[Array, " n"]:
    hazard = many.hazards(x["alpha"], x["beta"], _N)
    gain = x["values"][..., None] * (1 - many.unsolved(hazard))
    n = gain.shape[0]
    none, every = jnp.zeros((n, _M), jnp.int32), jnp.full((n, _M), _N)
    committed = many.best_committed(gain, jnp.full((n,), _N), none, every)
    prior = BetaPrior(x["alpha"][..., None], x["beta"][..., None])
    bound = adaptive_value.adaptive_bound(x["values"], prior, _N).value
    return _GAIN * committed - bound


CLAIMS = (
    Claim(
        id="7.2d",
        name="the value of the best policy",
        statement="The best policy has the value Σ v F(j-1) h_j over all rollouts j of all "
        "problems, each times the probability that what comes before it leaves the budget for it.",
        latex=r"V(N)=\sum_{m,j}v_mF_m(j-1)h_{m,j}\,P\Big(\sum_{m'\ne m}\min(T_{m'},c_{m'})"
        r"\le N-j\Big)",
        source="new",
        expected="holds",
        assumptions="As of the index policy; c_{m'} rollouts of m' have a larger v h, or the same "
        "and a lower index.",
        proof="The index policy takes its pairs in the order of v h. It comes to (m, j) where m "
        "failed j - 1 times and the others, each rolled until solved or c times, leave j of N. "
        "Checked against Bellman's equation over three problems and N = 4.",
        draw=draw_beliefs,
        margin=_margin_value,
        # Values up to 9.
        tolerance=1e-13,
        chunk=512,
    ),
    Claim(
        id="7.2d",
        name="a bound of every policy",
        statement="For every price λ no policy has more than λN plus the expected sum of "
        "max(v h - λ, 0) along all tapes.",
        latex=r"V(N)\le\min_\lambda\Big[\lambda N+\sum_m\sum_jF_m(j-1)(v_mh_{m,j}-\lambda)^+\Big]",
        source="new",
        expected="holds",
        assumptions="As of the index policy.",
        proof="Take λ off each of the N rewards that a policy collects and add λN: what is left is "
        "at most the sum of all positive rests, each reached with probability F(j-1).",
        draw=draw_beliefs,
        margin=_margin_bounds,
        # Values up to 9.
        tolerance=1e-13,
        chunk=512,
    ),
    Claim(
        id="7.2e",
        name="what looking can gain",
        statement="Seeing every outcome gains at most a factor e/(e-1) = 1.582 in value over the "
        "best fixed allocation.",
        latex=r"V(N)\le\frac{e}{e-1}\,C(N)",
        source="new",
        expected="holds",
        assumptions="As of the index policy; tried on the bound of 7.2d, which is above V.",
        proof="A problem rolled up to depth c costs ν = Σ F(j-1) and pays q = Σ F(j-1) h_j. The "
        "weights are at most 1 and h falls, so Σ h_j over j ≤ ν is at least q, and committing ν "
        "pays at least 1 - e^{-q} ≥ (1 - 1/e) q. C is concave, so Σ ν = N suffices. Known p → 0 "
        "attains it.",
        draw=draw_beliefs,
        margin=_margin_gain,
        # Values up to 9.
        tolerance=1e-12,
        chunk=512,
    ),
)
