"""Adaptivity is free: what failures teach was foreseen (theory 5.2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import optimal
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import objective, priors

_LONGEST = 24
_STEPS = 5


_draw_failures = drawing.instances(
    weights=drawing.uniform(6, maxval=0.99),
    concentration=drawing.log_uniform(0.05, 50),
    allocation=drawing.integers(0, 64, 6),
)


def _margin_posterior(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weights"], x["concentration"], x["allocation"]
    mean = priors.BetaPrior.from_quality(w, kappa).after_failures(b).mean
    ahead = kappa[:, None] * objective.priorities(w, kappa, b)
    # Bayes: one more failure, given those that there were.
    before, after = (objective.candidate_log_failure(w, kappa, c) for c in (b, b + 1))
    succeeds = -jnp.expm1(after - before)
    return -jnp.maximum(jnp.abs(mean - ahead), jnp.abs(mean - succeeds)).max(-1)


_draw_prefix = drawing.instances(
    weights=lambda key, n: drawing.whole(key, (n, 5), 0, 12) / 16,
    concentration=drawing.powers(-4, 6),
    prefix=drawing.integers(0, _LONGEST),
)


def _margin_prefix(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentration"], x["prefix"]

    def spend(step: Array, given: Array) -> Array:
        best = jnp.argmax(objective.priorities(w, kappa, given), -1)
        return given + jax.nn.one_hot(best, w.shape[-1], dtype=given.dtype) * (step < n)[:, None]

    given = jax.lax.fori_loop(0, _LONGEST, spend, jnp.zeros(w.shape, jnp.int32))
    wrong = jnp.abs(given - optimal.optimal_allocation(w, kappa, n)).max(-1)
    return -wrong.astype(w.dtype)


_draw_policies = drawing.instances(
    weights=drawing.uniform(3, maxval=0.99),
    concentration=drawing.log_uniform(0.05, 50),
)


def _margin_policies(x: Instances) -> Float[Array, " n"]:
    w, kappa = x["weights"], x["concentration"]
    # value[b] is the best chance of a success in what is left, after b failures of each.
    b = jnp.arange(_STEPS + 1)
    mean = (kappa[:, None] * w)[..., None] / (kappa[:, None, None] + b)
    chances = (mean[:, 0, :, None, None], mean[:, 1, None, :, None], mean[:, 2, None, None, :])
    value = jnp.zeros((w.shape[0], *3 * (_STEPS + 1,)))
    for _ in range(_STEPS):
        ways = []
        for axis, p in enumerate(chances, start=1):
            after = jnp.roll(value, -1, axis)
            ways.append(p + (1 - p) * after)
        value = jnp.maximum(jnp.maximum(ways[0], ways[1]), ways[2])
    planned = optimal.optimal_allocation(w, kappa, _STEPS)
    return objective.success_probability(w, kappa, planned) - value[:, 0, 0, 0]


CLAIMS = (
    Claim(
        id="5.2",
        name="posterior mean is the next priority",
        statement="After B_i failures the expected success of candidate i is κ times its next "
        "priority w_i/(κ + B_i).",
        latex=r"\mathbb E[p_i\mid B_i\text{ failures}]=\frac{\kappa w_i}{\kappa+B_i}",
        source="new",
        expected="holds",
        assumptions="p_i ~ Beta(κw_i, κ(1-w_i)).",
        proof="The posterior is Beta(κw, κ(1-w) + B), of mean κw/(κ + B). Checked against Bayes' "
        "rule too: 1 - F(B+1)/F(B).",
        draw=_draw_failures,
        margin=_margin_posterior,
        # 1e-14 of a log failure up to 20.
        tolerance=1e-12,
    ),
    Claim(
        id="5.2",
        name="a sequential policy runs through all optima",
        statement="Spending each rollout on the largest posterior mean gives after any n failures "
        "the offline optimum for N = n, ties to the lowest index in both.",
        latex=r"B^{\text{seq}}(n)=B^*(n)\quad\text{for every }n",
        source="new",
        expected="holds",
        assumptions="The search ends at the first success, so only failures are ever learned.",
        proof="The n-th step serves the largest of the priorities not yet served, and each "
        "candidate's fall: after n steps the n largest are served (2.1).",
        draw=_draw_prefix,
        margin=_margin_prefix,
    ),
    Claim(
        id="5.2",
        name="no policy does better",
        statement="No policy that may look at every outcome succeeds more often in N rollouts than "
        "the offline optimum.",
        latex=r"\max_\pi P_\pi(\text{success within }N)=\max_{\sum B_i=N}J(B)",
        source="new",
        expected="holds",
        assumptions="Success ends the search; independent candidates.",
        proof="Until the first success every outcome is a failure, so a policy is a fixed "
        "sequence, and its success depends only on how often each candidate is in it. Checked "
        "against Bellman's equation over all states of N = 5 and three candidates.",
        draw=_draw_policies,
        margin=_margin_policies,
        # Probabilities below 1 after five steps.
        tolerance=1e-14,
    ),
)
