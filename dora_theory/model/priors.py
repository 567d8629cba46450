"""What is believed of candidates before a rollout: frozen pytrees, checked when they are made."""

from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import (
    as_float,
    as_mask,
    check_candidates,
    check_range,
    checked_pytree,
    common_shape,
)


@checked_pytree
@dataclass(frozen=True)
class BetaPrior:
    """Independent candidates, p_i ~ Beta(a_i, b_i).

    Attributes:
        alpha: a ≥ 0, shape `(..., k)`.
        beta: b ≥ 0 with a + b > 0, of the same shape or one that broadcasts with it.

    Raises:
        ValueError: NaN, infinite or negative values, a + b = 0, shapes that do not fit.
    """

    alpha: Float[Array, "*#batch #k"]
    beta: Float[Array, "*#batch #k"]

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("alpha", "beta"):
            value = as_float(name, getattr(self, name))
            check_candidates(name, value)
            check_range(name, value, 0)
            object.__setattr__(self, name, value)
        common_shape(alpha=self.alpha.shape, beta=self.beta.shape)
        check_range("alpha + beta", self.concentration, 0, low_open=True)

    @classmethod
    def from_quality(
        cls,
        weights: Real[ArrayLike, "*#batch k"],
        concentration: Real[ArrayLike, "*#batch"],
        *,
        mask: Bool[ArrayLike, "*#batch k"] | None = None,
    ) -> Self:
        """The paper's prior Beta(κw, κ(1-w)), eq. 6.

        Args:
            weights: qualities w in [0, 1], shape `(..., k)`.
            concentration: κ > 0, scalar or shape `(...)`.
            mask: boolean `(..., k)`; a weight under false is not checked and counts as 0.

        Returns:
            The prior; 1 - w is formed before it is scaled, so b is exact to rounding for w near 1.

        Raises:
            ValueError: NaN, a weight outside [0, 1], κ not positive and finite.
        """
        w, kappa = as_float("weights", weights), as_float("concentration", concentration)
        check_candidates("weights", w)
        check_range("weights", w, 0, 1, mask=mask)
        check_range("concentration", kappa, 0, low_open=True)
        if mask is not None:
            w = jnp.where(as_mask(mask, jnp.broadcast_shapes(w.shape, np.shape(mask))), w, 0)
        return cls(kappa[..., None] * w, kappa[..., None] * (1 - w))

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
        n = as_float("allocation", allocation)
        check_range("allocation", n, 0)
        return type(self)(self.alpha + jnp.zeros_like(n), self.beta + n)

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
        s, n = as_float("right", right), as_float("attempts", attempts)
        check_range("right", s, 0)
        check_range("attempts - right", n - s, 0)
        return type(self)(self.alpha + s, self.beta + (n - s))


@checked_pytree
@dataclass(frozen=True)
class KnownPrior:
    """Problems of known difficulty: every rollout succeeds with probability p, independently.

    Attributes:
        chance: p in [0, 1] of each problem, shape `(..., m)`.

    Raises:
        ValueError: NaN or a p outside [0, 1].
    """

    chance: Float[Array, "*batch m"]

    def __post_init__(self) -> None:
        """Checks the values."""
        value = as_float("chance", self.chance)
        check_range("chance", value, 0, 1)
        object.__setattr__(self, "chance", value)


@checked_pytree
@dataclass(frozen=True)
class HierarchicalPrior:
    """Correlated candidates: m_j ~ Beta(κQ_j, κ(1-Q_j)), p_i | m_j ~ Beta(νm_j, ν(1-m_j)).

    ν → ∞ is one shared p for a direction; κ → ∞ is independent candidates (theory 5.1).

    Attributes:
        quality: Q in [0, 1] of each direction, shape `(..., g)`.
        concentration: κ > 0, scalar or shape `(...)`.
        within_concentration: ν > 0, scalar or shape `(...)`.

    Raises:
        ValueError: NaN, a quality outside [0, 1], κ or ν not positive and finite.
    """

    quality: Float[Array, "*batch g"]
    concentration: Float[Array, "*#batch"]
    within_concentration: Float[Array, "*#batch"]

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("quality", "concentration", "within_concentration"):
            object.__setattr__(self, name, as_float(name, getattr(self, name)))
        check_candidates("quality", self.quality)
        check_range("quality", self.quality, 0, 1)
        check_range("concentration", self.concentration, 0, low_open=True)
        check_range("within_concentration", self.within_concentration, 0, low_open=True)

    @classmethod
    def from_quality(
        cls,
        direction_weights: Real[ArrayLike, "*#batch g"],
        concentration: Real[ArrayLike, "*#batch"],
        within_concentration: Real[ArrayLike, "*#batch"],
    ) -> Self:
        """The prior of theory 5.1, checked.

        Args:
            direction_weights: Q in [0, 1], shape `(..., g)`.
            concentration: κ > 0, scalar or shape `(...)`.
            within_concentration: ν > 0, scalar or shape `(...)`.

        Returns:
            The prior.

        Raises:
            ValueError: NaN, a quality outside [0, 1], κ or ν not positive and finite.
        """
        # Named as the caller names them.
        q = as_float("direction_weights", direction_weights)
        check_candidates("direction_weights", q)
        check_range("direction_weights", q, 0, 1)
        return cls(
            q,
            as_float("concentration", concentration),
            as_float("within_concentration", within_concentration),
        )
