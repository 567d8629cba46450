"""Any joint prior of the success probabilities: candidates independent given a latent (theory 8.1).

Every law of p in [0, 1]^k is of this kind: p itself may be the latent. What failure needs of it are
the moments m_i(b|y) = E[(1 - p_i)^b | y], which are kept in logs, one table for each value of y.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_whole, host_float, host_mask, is_host
from dora_theory._domains import NOT_NEGATIVE, Domain, at
from dora_theory._pytrees import checked_pytree
from dora_theory.model.priors import BetaPrior

# x = -log(1 - p), which is infinite for what succeeds for certain.
RATE = Domain(0, infinite=True)
_LOG_MOMENT = Domain(high=0, infinite=True)


@partial(checked_pytree, static=("sampled",))
@dataclass(frozen=True)
class JointPrior:
    """p independent given a latent y of finitely many values, known by its log moments.

    Attributes:
        log_moments: log E[(1 - p_i)^b | y] for b = 0, 1, …, n - 1, shape `(..., m, k, n)`: 0 at
            b = 0, falling, in [-inf, 0]. A budget N needs n > N.
        weights: of the values of y, ≥ 0 on any scale, shape `(..., m)`.
        sampled: whether y is a sample of a law, so that what is computed has a sampling error.
        mask: boolean `(..., k)`, false for padding, whose moments may be anything: it never
            succeeds and receives nothing. None if all candidates exist.

    Raises:
        ValueError: NaN, moments that do not start at 0 or do not fall, weights that are negative or
            all 0, shapes that do not fit.

    Examples:
        >>> weights, correlation = np.array([0.4, 0.3, 0.3]), 0.5 + 0.5 * np.eye(3)
        >>> prior = dt.copula_prior(jax.random.key(0), weights, 1.0, correlation, 12, num_draws=64)
        >>> prior.sampled
        True
    """

    log_moments: Float[Array, "*#batch m k n"]
    weights: Float[Array, "*#batch m"]
    sampled: bool = False
    mask: Bool[Array, "*#batch k"] | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        table = host_float("log_moments", self.log_moments)
        weights = host_float("weights", self.weights)
        if np.ndim(table) < 3 or np.ndim(weights) < 1:
            raise ValueError(
                f"log_moments {np.shape(table)}, weights {np.shape(weights)}: need (..., m, k, n) "
                "and (..., m)"
            )
        if table.shape[-3] != weights.shape[-1]:
            raise ValueError(
                f"weights: {weights.shape[-1]} latent values, where log_moments has "
                f"{table.shape[-3]}"
            )
        if self.mask is not None:
            there = host_mask(self.mask)
            if there.shape[-1:] != table.shape[-2:-1]:
                raise ValueError(f"mask: shape {there.shape}, where log_moments has {table.shape}")
            of = np if is_host(table) and is_host(there) else jnp
            table = of.where(there[..., None, :, None], table, np.zeros((), table.dtype))
            # A mask of NumPy stays one: what is given with the prior is then checked.
            object.__setattr__(self, "mask", there)
        _check_moments(table)
        NOT_NEGATIVE.check("weights", weights)
        if is_host(weights) and not np.all(weights.sum(-1) > 0):
            raise ValueError("weights: need a positive sum")
        object.__setattr__(self, "log_moments", jnp.asarray(table))
        object.__setattr__(self, "weights", jnp.asarray(weights, table.dtype))

    @classmethod
    def from_draws(
        cls,
        rates: Real[ArrayLike, "*#batch m k"],
        budget: int,
        *,
        weights: Real[ArrayLike, "*#batch m"] | None = None,
        sampled: bool = True,
        mask: Bool[ArrayLike, "*#batch k"] | None = None,
    ) -> Self:
        """Draws of p, or the points of a finite mixture of known p.

        Args:
            rates: x = -log(1 - p) in [0, inf], shape `(..., m, k)`.
            budget: the largest N that will be asked for.
            weights: of the draws, shape `(..., m)`; equal if None.
            sampled: False if the points are the whole prior, and no sample of it.
            mask: boolean `(..., k)`, false for padding.

        Returns:
            The prior.

        Raises:
            ValueError: NaN or negative rates, a budget that is not a count.
        """
        x = host_float("rates", rates)
        if np.ndim(x) < 2:
            raise ValueError(f"rates: needs shape (..., m, k), got {np.shape(x)}")
        there = None if mask is None else host_mask(mask)[..., None, :]
        RATE.check("rates", x, there)
        w: Any = jnp.ones(x.shape[:-1], x.dtype) if weights is None else weights
        m: Any = mask
        return cls(_powers(jnp.asarray(x), check_whole("budget", budget)), w, sampled, m)

    @classmethod
    def from_betas(
        cls,
        prior: BetaPrior,
        budget: int,
        *,
        weights: Real[ArrayLike, "*#batch m"] | None = None,
        sampled: bool = False,
        mask: Bool[ArrayLike, "*#batch k"] | None = None,
    ) -> Self:
        """A mixture of products of Betas: p_i | y ~ Beta(a_i(y), b_i(y)).

        Args:
            prior: of shape `(..., m, k)`, the candidates of each value of y.
            budget: the largest N that will be asked for.
            weights: of the values of y, shape `(..., m)`; equal if None.
            sampled: whether y is a sample.
            mask: boolean `(..., k)`, false for padding.

        Returns:
            The prior. Log moments are sums of b terms, exact to b ulps.

        Raises:
            ValueError: a budget that is not a count, shapes that do not fit.
        """
        a, b = jnp.broadcast_arrays(prior.alpha, prior.beta)
        w: Any = jnp.ones(a.shape[:-1], a.dtype) if weights is None else weights
        m: Any = mask
        return cls(_beta_moments(a, b, check_whole("budget", budget)), w, sampled, m)

    @classmethod
    def independent(
        cls,
        prior: BetaPrior,
        budget: int,
        *,
        mask: Bool[ArrayLike, "*#batch k"] | None = None,
    ) -> Self:
        """Independent candidates: one value of y.

        Args:
            prior: of shape `(..., k)`.
            budget: the largest N that will be asked for.
            mask: boolean `(..., k)`, false for padding.

        Returns:
            The prior.

        Raises:
            ValueError: a budget that is not a count.
        """
        one = BetaPrior(prior.alpha[..., None, :], prior.beta[..., None, :])
        return cls.from_betas(one, budget, mask=mask)

    @property
    def num_candidates(self) -> int:
        """k, the number of candidates."""
        return self.log_moments.shape[-2]

    @property
    def max_rollouts(self) -> int:
        """The largest budget that the moments suffice for."""
        return self.log_moments.shape[-1] - 1

    @property
    def log_weights(self) -> Float[Array, "*batch m"]:
        """Logs of the weights, with sum 1, shape `(..., m)`."""
        return jnp.log(self.weights) - jnp.log(self.weights.sum(-1, keepdims=True))

    def unpadded(self, x: Array, fill: float) -> Array:
        """`x` of shape `(..., k)` with `fill` for padding."""
        return x if self.mask is None else jnp.where(self.mask, x, fill)

    def conditional(self, allocation: Int[ArrayLike, "*#batch k"]) -> Float[Array, "*batch m"]:
        """Log failure given each y, unchecked, shape `(..., m)`."""
        b, table = jnp.asarray(allocation), self.log_moments
        if table.ndim == 3 and b.ndim > 1:
            # One prior of many allocations: no copy of its table for each.
            place = table.at[:, np.arange(table.shape[-2]), b]
            return jnp.moveaxis(place.get(mode="fill", fill_value=jnp.nan).sum(-1), 0, -1)
        b = b[..., None, :, None]
        shape = np.broadcast_shapes(table.shape[:-3], b.shape[:-3])
        table = jnp.broadcast_to(table, (*shape, *table.shape[-3:]))
        b = jnp.broadcast_to(b, (*shape, table.shape[-3], table.shape[-2], 1))
        return jnp.take_along_axis(table, b, -1)[..., 0].sum(-1)


def _check_moments(table: Any) -> None:
    if not is_host(table):
        return
    _LOG_MOMENT.check("log_moments", table)
    first = table[..., 0]
    if np.any(first != 0):
        place = tuple(int(i) for i in np.argwhere(first != 0)[0])
        raise ValueError(f"{at('log_moments', (*place, 0))} = {first[place]}: needs 0, log E[1]")
    rises = table[..., 1:] > table[..., :-1]
    if rises.any():
        place = tuple(int(i) for i in np.argwhere(rises)[0])
        raise ValueError(
            f"{at('log_moments', (*place[:-1], place[-1] + 1))} = "
            f"{table[..., 1:][place]}: needs moments that fall, at most {table[..., :-1][place]}"
        )


@partial(jax.jit, static_argnames="budget")
def _powers(x: Array, budget: int) -> Array:
    b = jnp.arange(budget + 1, dtype=x.dtype)
    # 0 times infinity is 0 here: no rollout does not fail.
    return jnp.where(b > 0, -x[..., None] * b, 0)


@partial(jax.jit, static_argnames="budget")
def _beta_moments(a: Array, b: Array, budget: int) -> Array:
    r = jnp.arange(budget, dtype=a.dtype)
    each = jnp.log1p(-a[..., None] / ((a + b)[..., None] + r))
    return jnp.pad(jnp.cumsum(each, -1), [(0, 0)] * a.ndim + [(1, 0)])
