r"""What one more rollout of a problem is worth, in logarithms.

The candidates of a problem have hazards a_i/(a_i + b_i + r), r = 0, 1, …; merged in descending
order they are the hazards h_1 ≥ h_2 ≥ … of the problem (theory 7). After n rollouts of it, all
failed, F(n) is left of its chance to stay unsolved, and the next rollout is worth

    Δ(n) = v F(n) h_{n+1},

which falls strictly in n while it is positive (theory 7.1). Everything here is a logarithm of these
(theory 7.1e): never 1 - F, never a difference of two `lgamma`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dora_theory.kernels.divisor_pallas import allocate
from dora_theory.model.objective import any_hit_beta
from dora_theory.model.pochhammer import log_rising_ratio


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BetaHazards:
    """Problems whose candidates have independent p ~ Beta(a, b); padding has a = 0, b = 1."""

    a: Float[Array, "*batch m k"]
    b: Float[Array, "*batch m k"]
    mask: Bool[Array, "*batch m k"]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(m, k)`."""
        return self.a.shape

    def at(self, counts: Array) -> Array:
        """Posterior mean of each candidate after so many failures, -1 for padding."""
        return jnp.where(self.mask, self.a / (self.a + self.b + counts), -1)

    def log_failure(self, counts: Array) -> Float[Array, " m"]:
        """Log F of each problem after `counts` rollouts of its candidates."""
        return log_rising_ratio(self.a, self.b, counts.astype(self.a.dtype)).sum(-1)

    def hit(self, counts: Array) -> Float[Array, " m"]:
        """1 - F of each problem, to rounding however small it is."""
        return any_hit_beta(self.a, self.b, counts.astype(self.a.dtype))

    def split(self, rollouts: Int[Array, " m"]) -> Int[Array, "m k"]:
        """The candidates that the first `rollouts` merged hazards belong to."""
        if self.a.shape[-1] == 1:
            return rollouts[:, None]
        return allocate(self.a, self.a + self.b, rollouts, self.mask)

    def log_miss(self, count: Int[Array, " m"], candidate: Int[Array, " m"]) -> Float[Array, " m"]:
        """log(1 - h) of one candidate of each problem after so many failures, to rounding."""
        a, b = _picked(self.a, candidate), _picked(self.b, candidate) + count
        return jnp.where(a <= b, jnp.log1p(-a / (a + b)), jnp.log(b / (a + b)))

    def useful(self) -> Int[Array, " m"]:
        """How many rollouts have a positive marginal: none, one (certain success) or no end."""
        sure = jnp.any(self.mask & (self.a > 0) & (self.b == 0), -1)
        some = jnp.any(self.mask & (self.a > 0), -1)
        return jnp.where(sure, 1, jnp.where(some, jnp.iinfo(jnp.int32).max, 0))

    def astype(self, dtype: jnp.dtype) -> "BetaHazards":
        """The same in another precision, with values moved into its range."""
        tiny, most = 1e-30, 1e30

        def moved(x: Array) -> Array:
            return jnp.where(x > 0, jnp.clip(x, tiny, most), 0).astype(dtype)

        return BetaHazards(moved(self.a), moved(self.b), self.mask)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KnownHazards:
    """Problems of known p, which stays what it is whatever fails."""

    p: Float[Array, "*batch m 1"]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(m, 1)`."""
        return self.p.shape

    def at(self, counts: Array) -> Array:
        """p, whatever the counts."""
        return jnp.broadcast_to(self.p, counts.shape)

    def log_failure(self, counts: Array) -> Float[Array, " m"]:
        """Log F = n log(1 - p), 0 for n = 0 even if p = 1."""
        n = counts.astype(self.p.dtype)
        return jnp.where(n > 0, n * jnp.log1p(-self.p), 0)[:, 0]

    def hit(self, counts: Array) -> Float[Array, " m"]:
        """1 - F of each problem; differentiable at p = 1 too."""
        p, n = self.p, counts.astype(self.p.dtype)
        small, miss = jnp.where(p < 0.5, p, 0), jnp.where(n > 0, 1 - p, 1)
        found = jnp.where(p < 0.5, 0 - jnp.expm1(n * jnp.log1p(-small)), 1 - miss**n)
        return found[:, 0]

    def split(self, rollouts: Int[Array, " m"]) -> Int[Array, "m 1"]:
        """All to the one candidate."""
        return rollouts[:, None]

    def log_miss(self, count: Int[Array, " m"], candidate: Int[Array, " m"]) -> Float[Array, " m"]:
        """log(1 - p)."""
        return jnp.log1p(-self.p[:, 0])

    def useful(self) -> Int[Array, " m"]:
        """As `BetaHazards.useful`."""
        p = self.p[:, 0]
        return jnp.where(p == 1, 1, jnp.where(p > 0, jnp.iinfo(jnp.int32).max, 0))


Hazards = BetaHazards | KnownHazards


class Ends(NamedTuple):
    """The two marginals next to an allocation of each problem, and where they come from.

    Attributes:
        following: log Δ(n), -inf where the problem is at its cap.
        last: log Δ(n - 1), +inf where it is at its floor.
        log_before: log F(n - 1).
        log_after: log F(n + 1).
        give: candidate of the next rollout.
        take: candidate of the last one.
    """

    following: Float[Array, " m"]
    last: Float[Array, " m"]
    log_before: Float[Array, " m"]
    log_after: Float[Array, " m"]
    give: Int[Array, " m"]
    take: Int[Array, " m"]


def ends(
    hazards: Hazards,
    log_value: Float[Array, " m"],
    counts: Int[Array, "m k"],
    log_failure: Float[Array, " m"],
    low: Int[Array, " m"],
    high: Int[Array, " m"],
) -> Ends:
    """Marginals on both sides of an allocation.

    Args:
        hazards: of the problems.
        log_value: log v.
        counts: rollouts of the candidates, the first n merged hazards of each problem.
        log_failure: log F(n).
        low: floor of n.
        high: cap of n.

    Returns:
        The ends, computed from `counts` in O(m k).
    """
    n = counts.sum(-1, dtype=jnp.int32)
    next_hazards = hazards.at(counts)
    give = jnp.argmax(next_hazards, -1)
    last_hazards = jnp.where(counts > 0, hazards.at(counts - 1), jnp.inf)
    # Ties inside a problem go to the lowest candidate, so the highest one gave the last.
    take = counts.shape[-1] - 1 - jnp.argmin(last_hazards[:, ::-1], -1)
    h_last = jnp.where(n > 0, last_hazards.min(-1), 0)
    miss = hazards.log_miss(_picked(counts, take) - 1, take)
    # Before the first rollout nothing has failed; a sure success is one.
    before = jnp.where(n > 1, log_failure - jnp.where(miss > -jnp.inf, miss, 0), 0)
    h_next = jnp.maximum(next_hazards.max(-1), 0)
    following = jnp.where(n < high, log_value + log_failure + jnp.log(h_next), -jnp.inf)
    last = jnp.where(n > low, log_value + before + jnp.log(h_last), jnp.inf)
    after = log_failure + hazards.log_miss(_picked(counts, give), give)
    return Ends(following, last, before, after, give, take)


def _picked(x: Array, candidate: Int[Array, " m"]) -> Array:
    return jnp.take_along_axis(x, candidate[:, None], -1)[:, 0]
