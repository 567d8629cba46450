"""A prior from similarities: correlation, exponent of failure, root weights (theory 8.2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import expectation, joint
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.claims.check.joint_priors import draw_similar, similar
from dora_theory.model import beta_quantiles, copula, objective, root_weights

_K = 5
# Rollouts of the claim on greedy, and what it may lose.
_SPENT, _LOST = 8, 0.03


def _cosines(key: Array, n: int) -> Array:
    """Embeddings of few dimensions, some of which are nearly the same."""
    one, two = jax.random.split(key)
    e = jax.random.normal(one, (n, _K, 3))
    e = e.at[:, 1].set(e[:, 0] + 0.2 * jax.random.normal(two, (n, 3)))
    e = e / jnp.linalg.norm(e, axis=-1, keepdims=True)
    return jnp.where(jnp.eye(_K, dtype=bool), 1, jnp.clip(e @ jnp.swapaxes(e, -1, -2), -1, 1))


_draw_similar = drawing.instances(
    similarity=lambda key, n: _cosines(key, n),
    temperature=drawing.log_uniform(0.01, 10),
    weights=drawing.simplex(_K, 1.5),
)


def _correlation(x: Instances) -> Array:
    return copula.copula_correlation(
        x["similarity"], similarity_temperature=x["temperature"]
    ).correlation


def _margin_psd(x: Instances) -> Float[Array, " n"]:
    found = copula.copula_correlation(x["similarity"], similarity_temperature=x["temperature"])
    kernel = jnp.exp((x["similarity"] - 1) / x["temperature"][:, None, None])
    off = jnp.abs(found.correlation - kernel).max((-1, -2))
    return jnp.minimum(jnp.linalg.eigvalsh(kernel)[:, 0], -jnp.maximum(off, found.lift))


_draw_margins = drawing.instances(
    weights=drawing.uniform(3, minval=0.02, maxval=0.95),
    concentration=drawing.log_uniform(0.25, 8),
    depth=drawing.integers(1, 64),
)


def _normal(z: Array) -> Array:
    """Weights of the nodes of the grid."""
    density = jnp.exp(-0.5 * z * z)
    return density / density.sum()


def _margin_numerics(x: Instances) -> Float[Array, " n"]:
    w, kappa = x["weights"], x["concentration"]
    theta = beta_quantiles.quantiles(w, kappa[:, None]).value
    b = x["depth"][:, None]
    rates = jnp.logaddexp(0, theta)
    share = _normal(jnp.asarray(beta_quantiles.grid()))
    found = (jnp.exp(-b[..., None] * rates) * share).sum(-1)
    exact = jnp.exp(objective.candidate_log_failure(w, kappa, jnp.broadcast_to(b, w.shape)))
    return -jnp.abs(found / exact - 1).max(-1)


def _draw_program(key: Array, n: int) -> Instances:
    one, two = jax.random.split(key)
    return _draw_similar(one, n) | {"other": jax.random.uniform(two, (n, 2, _K))}


def _margin_program(x: Instances) -> Float[Array, " n"]:
    # Apart from singular, where C⁻¹ is not a number.
    c = 0.99 * _correlation(x) + 0.01 * jnp.eye(_K)
    w = x["weights"]
    root = jnp.sqrt(w)
    found = root_weights.root_weights(w, c)
    e = found.exponent
    v = x["other"][:, 0] * root
    primal = 2 * (root * v).sum(-1) - jnp.einsum("ni,nij,nj->n", v, c, v)
    y = root + x["other"][:, 1]
    dual = jnp.einsum("ni,ni->n", y, jnp.linalg.solve(c, y[..., None])[..., 0])
    own = found.weights / root
    attained = 2 * (root * own).sum(-1) - jnp.einsum("ni,nij,nj->n", own, c, own)
    # The y of least y'C⁻¹y is C v.
    least = jnp.einsum("nij,nj->ni", c, own)
    feasible = (least - root).min(-1)
    value = jnp.abs((least * own).sum(-1) - e)
    gaps = e - primal, dual - e, -jnp.abs(attained - e), feasible, -value
    return jnp.stack(gaps).min(0)


_draw_pair = drawing.instances(
    weights=drawing.uniform(2, minval=0.01),
    correlation=drawing.uniform(minval=0.01, maxval=0.98),
)


def _margin_pair(x: Instances) -> Float[Array, " n"]:
    w = -jnp.sort(-x["weights"], -1)
    r = x["correlation"]
    c = jnp.stack([jnp.stack([jnp.ones_like(r), r], -1), jnp.stack([r, jnp.ones_like(r)], -1)], -2)
    found = root_weights.root_weights(w, c).weights[:, 1]
    root = jnp.sqrt(w)
    closed = root[:, 1] * (root[:, 1] - r * root[:, 0]) / (1 - r * r)
    return -jnp.abs(found - jnp.where(w[:, 1] > r * r * w[:, 0], closed, 0))


_draw_first = drawing.instances(
    weights=drawing.uniform(2, minval=0.1, maxval=0.8),
    concentration=drawing.log_uniform(0.5, 4),
    allocation=drawing.integers(1, 16, 2),
)


def _margin_first(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weights"], x["concentration"], x["allocation"]
    # Every second node: 201 of a smooth function.
    table = beta_quantiles.quantiles(w, kappa[:, None])
    z = jnp.asarray(beta_quantiles.grid())[::2]
    share = _normal(z)

    def failing(theta: Array, i: int) -> Array:
        return jnp.exp(-b[:, i, None] * jnp.logaddexp(0, theta))

    alone = jnp.stack([failing(table.value[:, i, ::2], i) for i in range(2)], 1)
    mean = (alone * share).sum(-1)
    slopes = (alone * share * z).sum(-1) / mean
    step = 1e-3

    def joint(rho: float) -> Array:
        second = (rho * z[:, None] + jnp.sqrt(1 - rho**2) * z).reshape(-1)
        theta = beta_quantiles.interpolated(
            beta_quantiles.Quantiles(table.value[:, 1:], table.slope[:, 1:]), second[None, None]
        )
        other = failing(theta[:, 0], 1).reshape(-1, z.size, z.size)
        return jnp.log(jnp.einsum("na,a,nab,b->n", alone[:, 0], share, other, share))

    by_difference = (joint(step) - joint(-step)) / (2 * step)
    return -jnp.abs(by_difference - slopes[:, 0] * slopes[:, 1])


def _margin_without_draws(x: Instances) -> Float[Array, " n"]:
    c = _correlation(x)
    n = jnp.full(x["weights"].shape[:1], _SPENT, jnp.int32)
    given = expectation.expectation_allocation(x["weights"], c, x["concentration"], n)
    prior = similar(x, _SPENT, 128)
    greedy = joint.joint_log_failure(prior, joint.joint_allocation(prior, n))
    return _LOST + jnp.exp(greedy) - jnp.exp(joint.joint_log_failure(prior, given))


CLAIMS = (
    Claim(
        id="8.2.1",
        name="DORA's kernel is a correlation",
        statement="For cosine similarity exp(-(1 - S)/T_s) is positive semi-definite at every T_s, "
        "so that its lift is 0.",
        latex=r"C_{ij}=e^{-(1-S_{ij})/T_s}\succeq0,\qquad C_{ii}=1",
        source="new",
        expected="holds",
        assumptions="S is the cosine similarity of some embeddings.",
        proof="1 - S is half the squared distance of unit vectors: a Gaussian kernel.",
        draw=_draw_similar,
        margin=_margin_psd,
        # Eigenvalues of a matrix of size 5 with entries up to 1, and exponents up to 200.
        tolerance=1e-12,
    ),
    Claim(
        id="8.2.2",
        name="quantiles keep the moments",
        statement="The tabulated quantiles of the Beta margins give failure as its closed form.",
        latex=r"\int(1-p(z))^b\varphi(z)\,dz=\prod_{r<b}\frac{\kappa(1-w)+r}{\kappa+r}",
        source="new",
        expected="holds",
        assumptions="κ from 1/4 to 8, w from 0.02 to 0.95, b up to 64; float64.",
        proof="A statement about the program: θ = logit p by Runge-Kutta steps from both tails.",
        draw=_draw_margins,
        margin=_margin_numerics,
        # That of the integration, with steps of 0.05.
        tolerance=2e-5,
        chunk=512,
    ),
    Claim(
        id="8.2.3",
        name="greedy without draws",
        statement="Greedy by expectation propagation comes within 0.03 of greedy on 128 values of "
        "the latent, judged by these.",
        latex=r"J(B_{\mathrm{EP}})\ge J(B_{\mathrm{greedy}})-0.03",
        source="new",
        expected="holds",
        assumptions="Five candidates, N = 8, κ from 0.2 to 5, T_s from 0.1 to 1. Most of the gap "
        "is that greedy knows the 128 values; on fresh draws it is 0.0001, measured only.",
        proof="A statement about the program: cavities of 80 nodes, and two sweeps for a rollout.",
        draw=draw_similar,
        margin=_margin_without_draws,
        chunk=128,
        heavy=True,
        min_instances=512,
    ),
    Claim(
        id="8.2.4",
        name="the exponent is a program and its dual",
        statement="E = max 2√w·v - v'Cv over v ≥ 0 equals min y'C⁻¹y over y ≥ √w, and Σ w'.",
        latex=r"E=\max_{v\ge0}2\sqrt w\cdot v-v^{\top}Cv=\min_{y\ge\sqrt w}y^{\top}C^{-1}y",
        source="new",
        expected="holds",
        assumptions="C positive definite. That failure falls like N^(-κE) is proved by hand for "
        "such C, and its limit is reached like 1/log N; here only the program is checked.",
        proof="Weak duality for random v and y, and equality at the solution with y = C v.",
        draw=_draw_program,
        margin=_margin_program,
        # The condition number of C is up to 500.
        tolerance=1e-9,
        chunk=1024,
    ),
    Claim(
        id="8.2.5",
        name="root weights of a pair",
        statement="Of two candidates the weaker counts for nothing iff w_2/w_1 ≤ C², else for "
        "√w_2 (√w_2 - C√w_1)/(1 - C²).",
        latex=r"w'_2=\sqrt{w_2}\,\frac{(\sqrt{w_2}-C\sqrt{w_1})_+}{1-C^2}",
        source="new",
        expected="holds",
        assumptions="0 < C < 1. That B/N tends to the root weights is a Laplace argument with "
        "quadrature, not a proof.",
        proof="v = C⁻¹√w where that is not negative; else v_2 = 0 and v_1 = √w_1.",
        draw=_draw_pair,
        margin=_margin_pair,
        tolerance=1e-11,
    ),
    Claim(
        id="8.2.6",
        name="first order in the correlation",
        statement="At C = I the slope of log failure in C_ij is the product of the two candidates' "
        "mean latent given failure.",
        latex=r"\frac{\partial\log F}{\partial C_{ij}}\Big|_{C=I}=a_ia_j,\quad "
        r"a_i=\frac{\mathbb E[z\,q_i^{B_i}]}{\mathbb E[q_i^{B_i}]}",
        source="new",
        expected="holds",
        assumptions="κ from 1/2 to 4; two candidates, which all others factor out of.",
        proof="Mehler's formula to first order; checked by differences of a double quadrature.",
        draw=_draw_first,
        margin=_margin_first,
        # A central difference with steps of 1e-3.
        tolerance=2e-5,
        chunk=64,
        min_instances=512,
    ),
)
