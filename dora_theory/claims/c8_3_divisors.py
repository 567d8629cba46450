"""A replacement for γ: shared, moment and pair divisors (theory 8.3)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import joint, optimal, shared_divisors
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import copula, root_weights
from dora_theory.model.directions import direction_totals
from dora_theory.model.joint import JointPrior

_K = 5


_draw_independent = drawing.instances(
    # Few different qualities: ties matter here.
    weights=lambda key, n: drawing.whole(key, (n, _K), 0, 12) / 64,
    concentration=drawing.powers(-4, 4),
    budget=drawing.integers(0, 40),
)


def _margin_independent(x: Instances) -> Float[Array, " n"]:
    eye = jnp.broadcast_to(jnp.eye(_K), (*x["weights"].shape, _K))
    w, kappa, n = x["weights"], x["concentration"], x["budget"]
    given = shared_divisors.shared_divisor_allocation(w, eye, kappa, n)
    best = optimal.optimal_allocation(w, kappa, n)
    # Copies of one quality are no copies here; which of them is served does not matter.
    off = jnp.abs(jnp.sort(given * w, -1) - jnp.sort(best * w, -1)).max(-1)
    return -jnp.maximum(off, jnp.abs(given.sum(-1) - n))


_draw_directions = drawing.instances(
    quality=drawing.simplex(3),
    labels=drawing.integers(0, 2, 7),
    concentration=drawing.log_uniform(0.05, 20),
    budget=drawing.integers(0, 40),
)


def _margin_directions(x: Instances) -> Float[Array, " n"]:
    q, labels, n = x["quality"], x["labels"], x["budget"]
    same = (labels[..., :, None] == labels[..., None, :]).astype(q.dtype)
    w = jnp.take_along_axis(q, labels, -1)
    given = shared_divisors.shared_divisor_allocation(w, same, x["concentration"], n)
    totals = direction_totals(given, labels, 3)
    there = drawing.sizes_of(labels, 3) > 0
    best = optimal.optimal_allocation(jnp.where(there, q, 0), x["concentration"], n)
    return -jnp.abs(totals - best).max(-1).astype(q.dtype)


def _draw_similar(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    e = jax.random.normal(keys[0], (n, _K, 3))
    e = e / jnp.linalg.norm(e, axis=-1, keepdims=True)
    s = jnp.where(jnp.eye(_K, dtype=bool), 1, jnp.clip(e @ jnp.swapaxes(e, -1, -2), -1, 1))
    return {
        "similarity": s,
        "temperature": drawing.logarithmic(keys[1], n, 0.03, 1),
        "weights": drawing.qualities(keys[2], n, _K, 1.0),
        "concentration": drawing.logarithmic(keys[3], n, 0.05, 4),
    }


_LONG = 2000


def _margin_limit(x: Instances) -> Float[Array, " n"]:
    w = x["weights"]
    c = copula.copula_correlation(
        x["similarity"], similarity_temperature=x["temperature"]
    ).correlation
    n = jnp.full(w.shape[:1], _LONG, jnp.int32)
    given = shared_divisors.shared_divisor_allocation(w, c, x["concentration"], n)
    y = given / _LONG / jnp.sqrt(w)
    # Of min ½ y'Cy, √w·y = 1 the least is 1/(2E).
    value = 0.5 * jnp.einsum("ni,nij,nj->n", y, c, y)
    least = 0.5 / root_weights.root_weights(w, c).exponent
    # Frank-Wolfe with steps 1/(n + 1): the diameter is at most 1/√(min w).
    allowed = (4 + jnp.log(_LONG)) * (2 + x["concentration"]) / w.min(-1) / _LONG
    return jnp.minimum(value - least + 1e-9, allowed - (value - least))


_draw_priors = drawing.instances(
    chances=lambda key, n: jax.random.uniform(key, (n, 4, 4)) ** 2,
    weights=drawing.simplex(4),
    budget=drawing.integers(1, 2),
)


def _margin_moments(x: Instances) -> Float[Array, " n"]:
    p, w, n = x["chances"], x["weights"], x["budget"]
    means = (w[..., None] * p).sum(-2)
    second = jnp.einsum("nm,nmi,nmj->nij", w, p, p)
    given = shared_divisors.moment_divisor_allocation(means, second, n)
    prior = JointPrior.from_draws(-jnp.log1p(-p), 2, weights=w, sampled=False)
    greedy = joint.joint_allocation(prior, n)
    # Equal up to ties.
    return -jnp.abs(joint.joint_log_failure(prior, given) - joint.joint_log_failure(prior, greedy))


CLAIMS = (
    Claim(
        id="8.3.1",
        name="shared divisors without correlation",
        statement="For independent candidates shared divisors are the exact optimum.",
        latex=r"C=I\ \Rightarrow\ \frac{w_i}{\kappa+\sum_jC_{ij}\sqrt{w_i/w_j}\,B_j}="
        r"\frac{w_i}{\kappa+B_i}",
        source="new",
        expected="holds",
        assumptions="0 ≤ w ≤ 12/64, κ a power of two.",
        proof="The divisor is that of 2.1.",
        draw=_draw_independent,
        margin=_margin_independent,
    ),
    Claim(
        id="8.3.1",
        name="shared divisors of one chance per direction",
        statement="If all candidates of a direction share one p, shared divisors give directions "
        "the exact optimum over totals.",
        latex=r"C_{ij}=1\text{ in a direction, else }0\ \Rightarrow\ \sum_{i\in E_j}B_i=B^*_j",
        source="new",
        expected="holds",
        assumptions="w_i = Q_j in a direction.",
        proof="The divisor of each candidate is then κ plus its direction's total.",
        draw=_draw_directions,
        margin=_margin_directions,
    ),
    Claim(
        id="8.3.1",
        name="shared divisors follow the root weights",
        statement="B/(N√w) nears the solution of min ½ y'Cy, √w·y = 1, whose value is 1/(2E): the "
        "root weights.",
        latex=r"\tfrac12y^{\top}Cy\to\frac1{2E},\qquad y_i=\frac{B_i}{N\sqrt{w_i}}",
        source="new",
        expected="holds",
        assumptions="C of cosines, N = 2000. The identity with Frank and Wolfe's method is exact "
        "as κ → 0; for κ > 0 convergence is seen, and its rate is not proved.",
        proof="Steps of 1/(n + 1) towards the vertex of least slope, whose error falls like "
        "log N/N.",
        draw=_draw_similar,
        margin=_margin_limit,
        chunk=1024,
    ),
    Claim(
        id="8.3.2",
        name="moment divisors are greedy at first",
        statement="Under any prior, moment divisors spend the first two rollouts as greedy does.",
        latex=r"\frac{\mu_i}{1+\sum_jD_{ij}B_j}=\frac{\mathbb E[p_if(B)]}{F(B)}\quad"
        r"\text{for }\textstyle\sum B\le1",
        source="new",
        expected="holds",
        assumptions="A prior of four points.",
        proof="After one rollout of j the gain of i is E p_i q_j, and μ_i E q_j/E p_i q_j = 1 + "
        "D_ij.",
        draw=_draw_priors,
        margin=_margin_moments,
        # Gains that tie to 32 ulps.
        tolerance=1e-12,
    ),
)
