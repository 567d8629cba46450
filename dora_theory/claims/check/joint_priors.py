"""Random joint priors that claims are tried on, and the optimum by all allocations."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory.allocation import joint
from dora_theory.claims.check import drawing, rational
from dora_theory.claims.check.claim import Instances
from dora_theory.model.joint import JointPrior
from dora_theory.model.priors import BetaPrior

K, N, _POINTS = 3, 4, 4
ALL = np.array(list(rational.allocations(N, K)))
EIGHTHS = 8


def draw_points(key: Array, n: int, k: int = K) -> Instances:
    """Finite priors: p in eighths, and whole weights."""
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


FINITE_PRIOR = "A prior of finitely many points, which any other is a limit of."
LATENT_PRIOR = "Independent candidates given a latent of finitely many values."
