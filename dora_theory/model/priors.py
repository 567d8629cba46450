"""What is believed of candidates before a rollout: frozen pytrees, checked when they are made."""

from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, checked, host_float, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, SHARE, offset_domain, offset_fails, spoiled
from dora_theory._pytrees import checked_pytree


@checked_pytree
@dataclass(frozen=True)
class BetaPrior:
    """Independent candidates, p_i ~ Beta(a_i, b_i).

    Attributes:
        alpha: a ≥ 0, shape `(..., k)`.
        beta: b ≥ 0 with a + b > 0, of as many candidates.

    Raises:
        ValueError: NaN, infinite or negative values, a + b = 0, shapes that do not fit.

    Examples:
        >>> prior = dt.BetaPrior(np.array([[0.5], [2.0]]), np.array([[1.0], [1.0]]))
        >>> dt.allocate_problems(1.0, prior, 5).rollouts
        Array([3, 2], dtype=int32)
    """

    alpha: Float[Array, "*#batch k"]
    beta: Float[Array, "*#batch k"]

    def __post_init__(self) -> None:
        """Checks the values."""
        a, b, _ = checked(
            alpha=Argument(self.alpha, domain=NOT_NEGATIVE),
            beta=Argument(self.beta, domain=NOT_NEGATIVE),
        )
        if is_host(self.alpha) and is_host(self.beta):
            POSITIVE.check("alpha + beta", np.add(self.alpha, self.beta, dtype=a.dtype))
        object.__setattr__(self, "alpha", a)
        object.__setattr__(self, "beta", b)

    @classmethod
    def from_quality(
        cls,
        weights: Real[ArrayLike, "*#batch k"],
        concentration: Real[ArrayLike, "..."],
        *,
        mask: Bool[ArrayLike, "*#batch k"] | None = None,
    ) -> Self:
        """The paper's prior Beta(κw, κ(1-w)), eq. 6.

        Args:
            weights: qualities w in [0, 1], shape `(..., k)`.
            concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
            mask: boolean `(..., k)`; a weight under false is not checked and counts as 0.

        Returns:
            The prior; 1 - w is formed before it is scaled, so b is exact to rounding for w near 1.

        Raises:
            ValueError: NaN, a weight outside [0, 1], κ not positive and finite.
        """
        w, kappa, m = checked(
            mask,
            promote=True,
            weights=Argument(weights, domain=SHARE),
            concentration=Argument(concentration, "?k", offset_domain),
        )
        return cls(*_paper_prior(w, kappa, m))

    @property
    def concentration(self) -> Float[Array, "*batch k"]:
        """The sum a + b of each candidate, shape `(..., k)`."""
        return self.alpha + self.beta

    @property
    def mean(self) -> Float[Array, "*batch k"]:
        """Expected success probability of each candidate, a/(a + b), shape `(..., k)`."""
        return self.alpha / self.concentration

    def after_failures(self, allocation: Real[ArrayLike, "*#batch k"]) -> Self:
        """The posterior when B rollouts of each candidate have failed, Beta(a, b + B).

        Its mean is the next priority of the exact optimum: a failure teaches nothing that the plan
        did not foresee (theory 5.2).

        Args:
            allocation: B ≥ 0, shape `(..., k)`.

        Returns:
            The posterior, of the same type.

        Raises:
            ValueError: NaN or negative B.
        """
        a, b, n, _ = checked(
            promote=True,
            alpha=Argument(self.alpha, domain=None),
            beta=Argument(self.beta, domain=None),
            allocation=Argument(allocation, domain=NOT_NEGATIVE),
        )
        return type(self)(*_after_failures(a, b, n))

    def after_outcomes(
        self, right: Real[ArrayLike, "*#batch k"], attempts: Real[ArrayLike, "*#batch k"]
    ) -> Self:
        """The posterior when `right` of `attempts` rollouts succeeded, Beta(a + s, b + n - s).

        Args:
            right: s ≥ 0, shape `(..., k)`.
            attempts: n ≥ s, shape `(..., k)`.

        Returns:
            The posterior, of the same type.

        Raises:
            ValueError: NaN, negative s, s > n.
        """
        a, b, s, n, _ = checked(
            promote=True,
            alpha=Argument(self.alpha, domain=None),
            beta=Argument(self.beta, domain=None),
            right=Argument(right, domain=NOT_NEGATIVE),
            attempts=Argument(attempts, domain=NOT_NEGATIVE),
        )
        if is_host(right) and is_host(attempts):
            wrong = np.subtract(attempts, right, dtype=n.dtype)
            NOT_NEGATIVE.check("attempts - right", wrong)
        return type(self)(*_after_outcomes(a, b, s, n))


@jax.jit
def _paper_prior(w: Array, kappa: Array, mask: Array) -> tuple[Array, Array]:
    bad = SHARE.fails(w, 1, mask) | offset_fails(kappa, mask)
    w, kappa = jnp.where(mask, w, 0), jnp.where(mask, kappa, 1)
    a, b = kappa * w, kappa * (1 - w)
    return spoiled(a, bad), spoiled(b, bad)


@jax.jit
def _after_failures(a: Array, b: Array, n: Array) -> tuple[Array, Array]:
    return _after_outcomes(a, b, jnp.zeros_like(n), n)


@jax.jit
def _after_outcomes(a: Array, b: Array, right: Array, attempts: Array) -> tuple[Array, Array]:
    a, b, s, wrong = jnp.broadcast_arrays(a, b, right, attempts - right)
    # Only the rollouts are of this call: what is believed before may be bad, too.
    bad = NOT_NEGATIVE.fails(jnp.stack([a, b, s, wrong]), 1).any(0)
    return spoiled(a + s, bad), spoiled(b + wrong, bad)


@checked_pytree
@dataclass(frozen=True)
class KnownPrior:
    """Problems of known difficulty: every rollout succeeds with probability p, independently.

    Attributes:
        chance: p in [0, 1] of each problem, shape `(..., m)`.

    Raises:
        ValueError: NaN or a p outside [0, 1].

    Examples:
        >>> prior = dt.KnownPrior(np.array([0.1, 0.6]))
        >>> dt.allocate_problems(1.0, prior, 5).rollouts
        Array([2, 3], dtype=int32)
    """

    chance: Float[Array, "*batch m"]

    def __post_init__(self) -> None:
        """Checks the values."""
        value = host_float("chance", self.chance)
        SHARE.check("chance", value)
        object.__setattr__(self, "chance", jnp.asarray(value))
