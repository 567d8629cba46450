"""Random joint priors that claims are tried on, and the optimum by all allocations."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory.allocation import joint
from dora_theory.claims.check import drawing, rational
from dora_theory.claims.check.claim import Instances
from dora_theory.model import copula
from dora_theory.model.joint import JointPrior
from dora_theory.model.priors import BetaPrior

K, N, _POINTS = 3, 4, 4
ALL = np.array(list(rational.allocations(N, K)))
EIGHTHS = 8


def draw_points(key: Array, n: int, k: int = K) -> Instances:
    """Finite priors: p in eighths, and integer weights."""
    keys = jax.random.split(key, 3)
    return {
        "chances": drawing.whole(keys[0], (n, _POINTS, k), 0, EIGHTHS),
        "weights": drawing.whole(keys[1], (n, _POINTS), 1, 4),
        "allocation": drawing.whole(keys[2], (n, k), 0, 2),
    }


def points(x: Instances, most: int = N) -> JointPrior:
    """The finite prior of an instance of `draw_points`, for a budget up to `most`."""
    rates = -jnp.log1p(-x["chances"] / EIGHTHS)
    weights = x["weights"].astype(rates.dtype)
    return JointPrior.from_draws(rates, most, weights=weights, sampled=False)


def draw_mixtures(key: Array, n: int) -> Instances:
    """Mixtures of independent Betas."""
    keys = jax.random.split(key, 4)
    return {
        "alpha": jnp.exp(jax.random.uniform(keys[0], (n, _POINTS, K), minval=-4, maxval=1)),
        "beta": jnp.exp(jax.random.uniform(keys[1], (n, _POINTS, K), minval=-4, maxval=1)),
        "weights": jax.random.uniform(keys[2], (n, _POINTS), minval=0.05),
        "allocation": drawing.whole(keys[3], (n, K), 0, 2),
    }


def mixture(x: Instances) -> JointPrior:
    """The prior of an instance of `draw_mixtures`."""
    betas = BetaPrior(x["alpha"], x["beta"])
    return JointPrior.from_betas(betas, N, weights=x["weights"])


def least(prior: JointPrior) -> Array:
    """The least log failure of all allocations of the budget."""
    found = [joint.joint_log_failure(prior, jnp.asarray(b, jnp.int32)) for b in ALL]
    return jnp.stack(found, -1).min(-1)


def budget_of(prior: JointPrior) -> Array:
    """N for each instance."""
    return jnp.full(prior.log_moments.shape[:-3], N, jnp.int32)


def spent_in(x: Instances) -> Array:
    """The allocation of an instance, int32."""
    return x["allocation"].astype(jnp.int32)


def draw_similar(key: Array, n: int) -> Instances:
    """Candidates of different quality whose similarities, of embeddings, are correlations."""
    keys = jax.random.split(key, 4)
    e = jax.random.normal(keys[0], (n, 5, 8))
    e = e / jnp.linalg.norm(e, axis=-1, keepdims=True)
    s = jnp.where(jnp.eye(5, dtype=bool), 1, jnp.clip(e @ jnp.swapaxes(e, -1, -2), -1, 1))
    return {
        "similarity": s,
        "temperature": drawing.logarithmic(keys[1], n, 0.1, 1),
        "weights": drawing.qualities(keys[2], n, 5, 1.0),
        "concentration": drawing.logarithmic(keys[3], n, 0.2, 5),
    }


def similar(x: Instances, most: int, values: int) -> JointPrior:
    """The copula prior of an instance of `draw_similar`, at so many values of its latent.

    These are the same for all instances; what is claimed of a finite prior does not see that.
    """
    w, kappa = x["weights"], x["concentration"]
    c = copula.copula_correlation(
        x["similarity"], similarity_temperature=x["temperature"]
    ).correlation
    table = copula.copula_log_moments(jax.random.key(0), w, kappa, c, most, num_draws=values)
    return JointPrior(table, jnp.ones(table.shape[:-2], table.dtype))


FINITE_PRIOR = "A prior of finitely many points, which any other is a limit of."
LATENT_PRIOR = "Independent candidates given a latent of finitely many values."
