"""Any joint prior: what bounds every allocation (theory 8.1.5-8.1.11)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import joint, joint_bounds, joint_certificate
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.claims.check.joint_priors import (
    EIGHTHS,
    FINITE_PRIOR,
    LATENT_PRIOR,
    K,
    N,
    budget_of,
    draw_mixtures,
    draw_points,
    least,
    mixture,
    points,
    spent_in,
)
from dora_theory.model.joint import JointPrior
from dora_theory.model.priors import BetaPrior


def _margin_lattice(x: Instances) -> Float[Array, " n"]:
    prior = points(x)
    best = -jnp.expm1(least(prior))
    bound = joint_bounds.lattice_bound(prior, spent_in(x), budget_of(prior))
    prefix = joint_bounds.prefix_bound(prior, budget_of(prior))
    nearer = bound.naive - bound.lattice
    return jnp.stack([bound.lattice - best, prefix - best, nearer]).min(0)


def _margin_gap(x: Instances) -> Float[Array, " n"]:
    chances = jnp.minimum(x["chances"], EIGHTHS - 1)
    prior = points(x | {"chances": chances})
    rates, w = -jnp.log1p(-chances / EIGHTHS), x["weights"].astype(float)
    base = x["allocation"] * 1.5
    n = budget_of(prior)
    gap = joint_bounds.frank_wolfe_gap(rates, base, n, weights=w)
    each = jnp.log(w / w.sum(-1, keepdims=True)) - (rates * base[:, None]).sum(-1)
    here = jax.scipy.special.logsumexp(each, -1)
    best = least(prior)
    linear = jnp.exp(best) - jnp.exp(here) * (1 - gap)
    return jnp.minimum(best - (here - gap), linear)


def _margin_certificate(x: Instances) -> Float[Array, " n"]:
    prior = mixture(x)
    found = joint_certificate.joint_certificate(prior, spent_in(x), budget_of(prior))
    slopes = found.slope_gap - found.gap
    return jnp.minimum(least(prior) - (found.log_failure - found.gap), slopes)


def _margin_product(x: Instances) -> Float[Array, " n"]:
    prior = JointPrior.independent(BetaPrior(x["alpha"][:, 0], x["beta"][:, 0]), N)
    found = joint_certificate.joint_certificate(prior, spent_in(x), budget_of(prior))
    return -jnp.abs(least(prior) - (found.log_failure - found.gap))


def _margin_optimal(x: Instances) -> Float[Array, " n"]:
    prior = mixture(x)
    best = least(prior)
    greedy = joint.joint_allocation(prior, budget_of(prior))
    short = []
    # Greedy's allocation, and those of two other orders, which are mostly not optimal.
    for turn in range(K):
        found = joint_certificate.joint_certificate(prior, jnp.roll(greedy, turn, -1))
        proved = found.largest_next <= found.smallest_last
        short.append(jnp.where(proved, best - found.log_failure, 0))
    return jnp.stack(short).min(0)


def _margin_relaxed(x: Instances) -> Float[Array, " n"]:
    prior = mixture(x)
    greedy = joint.joint_allocation(prior, budget_of(prior))
    bound = joint_certificate.relaxed_bound(prior, greedy, steps=4)
    return least(prior) - bound


_draw_samples = drawing.instances(
    chances=drawing.integers(0, EIGHTHS - 1, 8, K),
    drawn=drawing.integers(0, 7, 4),
)


def _margin_sampling(x: Instances) -> Float[Array, " n"]:
    rates = -jnp.log1p(-x["chances"] / EIGHTHS)
    sample = jnp.take_along_axis(rates, x["drawn"][..., None], -2)
    n = jnp.full(rates.shape[:1], N, jnp.int32)
    greedy = joint.draws_allocation(sample, n)
    seen, true = (jnp.exp(joint.draws_failure(r, greedy).log_failure) for r in (sample, rates))
    return true - seen


CLAIMS = (
    Claim(
        id="8.1.5",
        name="bounds from marginal gains",
        statement="From any allocation, J* is at most J plus the N largest gains along candidates, "
        "which is never above N times the largest gain; so is the least over greedy's prefixes.",
        latex=r"J^*\le J(B)+\sum_{N\text{ largest}}\Delta_i(B;r)\le J(B)+N\max_i\Delta_i(B;0)",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR,
        proof="J(B*) ≤ J(B ∨ B*) ≤ J(B) + Σ_i [J(B + d_i e_i) - J(B)] by 8.1.1.",
        draw=draw_points,
        margin=_margin_lattice,
        tolerance=1e-13,
    ),
    Claim(
        id="8.1.6",
        name="bounds from convexity",
        statement="From any real allocation, F* is at least F e^{-g}, and so at least F (1 - g), "
        "with g the Frank-Wolfe gap of log F.",
        latex=r"F^*\ge F(B)e^{-g}\ge F(B)(1-g),\qquad g=N\max_it_i-B\cdot t",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR + " All p < 1.",
        proof="log F is convex (8.1.1), and -t is its gradient.",
        draw=draw_points,
        margin=_margin_gap,
        tolerance=1e-12,
    ),
    Claim(
        id="8.1.7",
        name="the certificate",
        statement="From any allocation, log F* is at least log F - G, and the slopes next to it "
        "bound G from above.",
        latex=r"\log F^*\ge\log F(B)-G(B),\qquad G(B)=\max_{\sum B'_i=N}\sum_i(e_i(B_i)-e_i(B'_i))",
        source="new",
        expected="holds",
        assumptions=LATENT_PRIOR,
        proof="F(B')/F(B) = E_Q Π m_i(B'_i)/m_i(B_i), and Jensen.",
        draw=draw_mixtures,
        margin=_margin_certificate,
        # Log failures and moments up to 50.
        tolerance=1e-11,
        proved="Coq: Latent.certificate_bound",
    ),
    Claim(
        id="8.1.7",
        name="exact for independent candidates",
        statement="For a product prior the bound is the optimum itself, from any allocation.",
        latex=r"\log F(B)-G(B)=\log F^*\quad\text{for every }B",
        source="new",
        expected="holds",
        assumptions="Independent Betas.",
        proof="e_i is then log m_i, and the maximum in G is over all allocations.",
        draw=draw_mixtures,
        margin=_margin_product,
        tolerance=1e-11,
    ),
    Claim(
        id="8.1.8",
        name="a proof of optimality in O(k)",
        statement="If no tilted gain that is not taken exceeds one that is, B is optimal.",
        latex=r"\max_i\tau^+_i\le\min_{B_i>0}\tau^-_i\ \Rightarrow\ F(B)=F^*",
        source="new",
        expected="holds",
        assumptions=LATENT_PRIOR + " Sufficient, not necessary.",
        proof="Then the N largest increments of e are those of B itself, and G = 0.",
        draw=draw_mixtures,
        margin=_margin_optimal,
        tolerance=1e-11,
        proved="Coq: Latent.latent_optimal",
    ),
    Claim(
        id="8.1.9",
        name="the certificate at real bases",
        statement="With log moments interpolated between integers the certificate at a real base "
        "bounds F* too.",
        latex=r"\log F^*\ge\max_B\left[\log\hat F(B)-\hat G(B)\right]",
        source="new",
        expected="holds",
        assumptions=LATENT_PRIOR,
        proof="Interpolation leaves log m_i convex in b and equal at integers; Jensen as in 8.1.7.",
        draw=draw_mixtures,
        margin=_margin_relaxed,
        tolerance=1e-11,
        chunk=1024,
    ),
    Claim(
        id="8.1.11",
        name="greedy flatters its own draws",
        statement="On the draws it was chosen on, greedy's success is too high on average.",
        latex=r"\mathbb E\left[\hat J(B_{\hat J})-J(B_{\hat J})\right]\ge0",
        source="new",
        expected="holds",
        assumptions="Four draws of eight points. Its size, about 0.5/M, was measured only.",
        proof="The best on a sample is the best of several noisy means; so judge on fresh draws.",
        draw=_draw_samples,
        margin=_margin_sampling,
        test="mean",
        min_instances=32768,
    ),
)
