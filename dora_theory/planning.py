"""What a harness rolls next: from the state of a benchmark between two batches to rollouts.

A pure function, state in, rollouts out, so that it sits in any loop. What is known of a problem is
a Beta posterior of each of its candidates; a problem without candidates has one, its latent chance.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._checks import as_count, as_mask, check_whole
from dora_theory.allocation.across import (
    allocate_problems,
    expected_value,
    problem_certificate,
)
from dora_theory.allocation.adaptive import index_allocation
from dora_theory.allocation.exponents import fit_beta
from dora_theory.allocation.literature import (
    hora_allocation,
    knapsack_rl_allocation,
    level_allocation,
    neyman_allocation,
)
from dora_theory.allocation.optimal import optimal_allocation_beta
from dora_theory.model.priors import BetaPrior
from dora_theory.strategies.plans import PLANS

_NO_CAP = 2**31 - 1


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "posterior",
        "right",
        "attempts",
        "solved",
        "values",
        "costs",
        "min_rollouts",
        "max_rollouts",
        "mask",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class PlanState:
    """m problems between two batches, k candidates each.

    Attributes:
        posterior: what is believed now, a and b of shape `(m, k)`.
        right: s, rollouts that were right so far, shape `(m,)`.
        attempts: n, rollouts so far, shape `(m,)`.
        solved: problems that receive nothing more, shape `(m,)`.
        values: v > 0 of solving each, shape `(m,)`.
        costs: of a rollout of each, shape `(m,)`, or None for 1.
        min_rollouts: floors of the next batch, shape `(m,)`.
        max_rollouts: caps of the next batch, shape `(m,)`.
        mask: candidates that exist, shape `(m, k)`.
    """

    posterior: BetaPrior
    right: Real[Array, " m"]
    attempts: Real[Array, " m"]
    solved: Bool[Array, " m"]
    values: Float[Array, " m"]
    costs: Float[Array, " m"] | None
    min_rollouts: Int[Array, " m"]
    max_rollouts: Int[Array, " m"]
    mask: Bool[Array, "m k"]

    @classmethod
    def from_counts(
        cls,
        right: ArrayLike,
        attempts: ArrayLike,
        *,
        prior: tuple[float, float] | None = None,
        solved: ArrayLike | None = None,
        values: ArrayLike = 1.0,
        costs: ArrayLike | None = None,
        min_rollouts: ArrayLike = 0,
        max_rollouts: ArrayLike | None = None,
    ) -> "PlanState":
        """The state after some rollouts of problems that share one prior.

        Args:
            right: s of each problem, shape `(m,)`.
            attempts: n ≥ s of each problem, shape `(m,)`.
            prior: (a, b); None to fit them to the counts by maximum likelihood.
            solved: problems that are done, shape `(m,)`; None for those with s > 0.
            values: v > 0.
            costs: c > 0 of a rollout; None for 1.
            min_rollouts: floors of the next batch.
            max_rollouts: caps of the next batch; None for none.

        Returns:
            The state, with posteriors Beta(a + s, b + n - s).

        Raises:
            ValueError: counts out of range, or counts that no Beta prior can be fitted to.
        """
        dtype = jnp.result_type(float)
        s, n = (
            as_count(name, x).astype(dtype)
            for name, x in (("right", right), ("attempts", attempts))
        )
        a, b = fit_beta(right, attempts)[:2] if prior is None else prior
        m = s.shape[0]
        start = BetaPrior(jnp.full((m, 1), a, s.dtype), jnp.full((m, 1), b, s.dtype))
        return cls(
            posterior=start.after_outcomes(s[:, None], n[:, None]),
            right=s,
            attempts=n,
            solved=s > 0 if solved is None else jnp.asarray(solved, bool),
            values=jnp.broadcast_to(jnp.asarray(values, s.dtype), (m,)),
            costs=None if costs is None else jnp.broadcast_to(jnp.asarray(costs, s.dtype), (m,)),
            min_rollouts=jnp.broadcast_to(jnp.asarray(min_rollouts, jnp.int32), (m,)),
            max_rollouts=jnp.broadcast_to(
                jnp.asarray(_NO_CAP if max_rollouts is None else max_rollouts, jnp.int32), (m,)
            ),
            mask=as_mask(None, (m, 1)),
        )


class Plan(NamedTuple):
    """The next batch.

    Attributes:
        rollouts: of each problem, int32, shape `(m,)`.
        allocation: the same by candidate, int32, shape `(m, k)`.
        expected: value expected to be gained by these rollouts, shape `(m,)`; 0 for solved ones.
        unspent: what caps, or an item that does not fit, leave of the batch's budget.
        log_price: log of what one more rollout would be expected to gain at the best place.
    """

    rollouts: Int[Array, " m"]
    allocation: Int[Array, "m k"]
    expected: Float[Array, " m"]
    unspent: Real[Array, ""]
    log_price: Float[Array, ""]


def plan(
    state: PlanState, total: float, *, strategy: str = "rounds", rounds: int = 1, batch: int = 1
) -> Plan:
    """Rollouts of the next batch.

    Args:
        state: what is known.
        total: N; for `rounds` the budget of all rounds together, of which this batch spends its
            equal share, for every other strategy the budget of this batch. With costs N is in
            their unit, and only `committed` and `rounds` know costs.
        strategy: `uniform`, `committed` (the exact optimum for this batch), `rounds` (the same for
            an equal share of N), `round-robin` (fewest attempts first), `index` (largest v times
            posterior mean), `neyman`, `hora`, `knapsack-rl`. Solved problems receive nothing.
        rounds: R ≥ 1, for `rounds`.
        batch: r in [1, R], which round this is.

    Returns:
        `Plan`. Its sum is the batch's budget unless caps forbid it. Ties go to the lowest problem,
        then the lowest candidate; candidates of a problem share its rollouts in the best way.

    Raises:
        ValueError: an unknown strategy, R or r out of range, costs where a rule knows none.

    Source: theory 7.1 to 7.3, 7.2i for equal rounds.
    """
    if strategy not in PLANS:
        raise ValueError(f"strategy: {strategy!r} is none of {', '.join(PLANS)}")
    check_whole("rounds", rounds, 1)
    check_whole("batch", batch, 1, rounds)
    if strategy != "rounds" and rounds > 1:
        raise ValueError(f"rounds: strategy {strategy} plans one batch, only rounds plans several")
    optimal = strategy in ("committed", "rounds")
    if state.costs is not None and not optimal:
        raise ValueError(f"costs: strategy {strategy} knows none, committed and rounds do")
    here: float = total / rounds
    if state.costs is None:
        whole = check_whole("total", total, 0, 2**30)
        here = whole * batch // rounds - whole * (batch - 1) // rounds
    low = jnp.where(state.solved, 0, state.min_rollouts)
    high = jnp.where(state.solved, 0, state.max_rollouts)
    limits = {"min_rollouts": low, "max_rollouts": high}
    known = {"mask": state.mask}
    if optimal:
        best = allocate_problems(
            state.values, state.posterior, here, costs=state.costs, **limits, **known
        )
        split, log_price = best.allocation, best.log_price
    elif strategy == "index":
        split = index_allocation(state.values, state.posterior, here, **limits, **known)
    else:
        rollouts = _literature(strategy, state, here, limits)
        alpha, beta = state.posterior.alpha, state.posterior.beta
        split = optimal_allocation_beta(alpha, beta, rollouts, mask=state.mask)
    rollouts = split.sum(-1, dtype=jnp.int32)
    if not optimal:
        log_price = problem_certificate(
            state.values, state.posterior, rollouts, **limits, **known
        ).largest_next
    gained = expected_value(state.values, state.posterior, split, mask=state.mask)
    spent = (rollouts if state.costs is None else rollouts * state.costs).sum()
    return Plan(
        rollouts=rollouts,
        allocation=split,
        expected=jnp.where(rollouts > 0, gained, 0),
        unspent=here - spent,
        log_price=log_price,
    )


def _literature(strategy: str, state: PlanState, total: float, limits: dict) -> Int[Array, " m"]:
    if strategy == "uniform":
        return level_allocation(jnp.zeros_like(state.attempts), total, **limits)
    if strategy == "round-robin":
        return level_allocation(state.attempts, total, **limits)
    if strategy == "hora":
        return hora_allocation(state.right, state.attempts, total, **limits)
    rule = neyman_allocation if strategy == "neyman" else knapsack_rl_allocation
    # Of several candidates the best one is what the next rollout would have.
    return rule(jnp.where(state.mask, state.posterior.mean, 0).max(-1), total, **limits)
