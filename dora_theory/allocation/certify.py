"""One answer for any allocation and any prior: how much success it can lack at most."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_type, host_count
from dora_theory.allocation.joint import checked_rollouts, joint_allocation
from dora_theory.allocation.joint_bounds import prefix_bound
from dora_theory.allocation.joint_certificate import joint_certificate, relaxed_bound
from dora_theory.model.joint import JointPrior
from dora_theory.model.priors import BetaPrior

# Of a normal law, one-sided.
_QUANTILE_95 = 1.645
# Draws below which the scatter of a sample says too little of its error.
_FEWEST = 30


@dataclass(frozen=True)
class Certified:
    """What is proved of an allocation; arrays of shape `(...)`, on the host.

    Attributes:
        success: its probability of at least one success.
        epsilon: the best allocation of the budget has at most this much more; 0 where `optimal`.
        standard_error: of `epsilon`, 0 unless the prior is a sample.
        optimal: whether it is proved optimal, to rounding.
        sampled: whether the prior is a sample, so that `epsilon` is an estimate with an error.
    """

    success: Float[np.ndarray, "*batch"]
    epsilon: Float[np.ndarray, "*batch"]
    standard_error: Float[np.ndarray, "*batch"]
    optimal: Bool[np.ndarray, "*batch"]
    sampled: bool

    @property
    def limit(self) -> Float[np.ndarray, "*batch"]:
        """What `epsilon` is below with 95% confidence; `epsilon` itself unless sampled."""
        return self.epsilon + _QUANTILE_95 * self.standard_error

    def __str__(self) -> str:
        """A line for each problem, in their order."""
        lines = []
        for place in np.ndindex(self.epsilon.shape):
            if self.optimal[place]:
                line = "proved optimal"
            elif self.sampled:
                line = f"within {self.limit[place]:.2g} of optimal (95% confidence)"
            else:
                line = f"within {self.epsilon[place]:.2g} of optimal, proved"
            more = " for the sampled prior" if self.sampled and self.optimal[place] else ""
            lines.append(f"{line}{more}; success {self.success[place]:.6g}")
        return "\n".join(lines)


def certify(
    allocation: Real[ArrayLike, "*#batch k"],
    prior: JointPrior | BetaPrior,
    budget: Real[ArrayLike, "*#batch"] | None = None,
) -> Certified:
    """How far an allocation is from the best one, whatever rule made it.

    Args:
        allocation: B ≥ 0, integers, shape `(..., k)`.
        prior: what is believed of the success probabilities: independent Betas, or any joint prior,
            such as draws, a mixture, or `copula_prior` of similarities, with a mask of its own.
        budget: N of the best allocation, scalar or shape `(...)`; the total of B if None. An
            allocation that spends less is compared with those that spend all.

    Returns:
        The proof's conclusion; printed, it says "within ε of optimal, proved" or "proved optimal".
        The smallest of the bounds of theory 8.1.5, 8.1.7 and 8.1.9. Under a sample, that of 8.1.7,
        whose sampling error is known.

    Raises:
        ValueError: negative rollouts, more than the prior's moments reach, shapes that do not fit;
            a sample of fewer than 30 draws.
        TypeError: a prior of another kind.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> found = dt.certify(np.array([4, 4, 4]), prior)
        >>> bool(found.epsilon >= 0)
        True

    Source: theory 8.1.5-8.1.11.
    """
    if isinstance(prior, BetaPrior):
        spent = np.asarray(host_count("allocation", allocation))
        asked = np.asarray(0 if budget is None else budget)
        deepest = int(max(spent.sum(-1).max(initial=0), asked.max(initial=0)))
        prior = JointPrior.independent(prior, max(deepest, 1))
    check_type("prior", prior, JointPrior)
    draws = prior.weights.shape[-1]
    if prior.sampled and draws < _FEWEST:
        raise ValueError(
            f"prior: {draws} draws are too few for a limit of 95% confidence, needs {_FEWEST}"
        )
    b = checked_rollouts(prior, allocation)
    n = b.sum(-1) if budget is None else jnp.asarray(host_count("budget", budget))
    found = joint_certificate(prior, b, n)
    failure = jnp.exp(found.log_failure)
    epsilon, error = found.regret, found.standard_error
    if not prior.sampled:
        error = jnp.zeros_like(error)
        # A base near the optimum bounds best, whatever allocation is judged.
        relaxed = jnp.maximum(
            relaxed_bound(prior, joint_allocation(prior, n), n), found.log_failure - found.gap
        )
        above = jnp.minimum(1 - jnp.exp(relaxed), prefix_bound(prior, n))
        epsilon = jnp.minimum(epsilon, above - (1 - failure))
    epsilon = jnp.where(found.optimal, 0, jnp.maximum(epsilon, 0))
    error = jnp.where(found.optimal, 0, error)
    return Certified(
        np.asarray(1 - failure),
        np.asarray(epsilon),
        np.asarray(error),
        np.asarray(found.optimal),
        prior.sampled,
    )
