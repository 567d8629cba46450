"""What a harness rolls next: from the state of a benchmark between two batches to rollouts.

A pure function, state in, rollouts out, so that it sits in any loop. What is known of a problem is
a Beta posterior of each of its candidates; a problem without candidates has one, its latent chance.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._checks import Argument, as_mask, check_whole, checked, host_count, is_concrete
from dora_theory._domains import COUNT, POSITIVE
from dora_theory.allocation.across import allocate_problems, expected_value
from dora_theory.allocation.across_certificate import problem_certificate
from dora_theory.allocation.adaptive import index_allocation
from dora_theory.allocation.exponents import fit_beta
from dora_theory.allocation.literature import (
    hora_allocation,
    knapsack_rl_allocation,
    level_allocation,
    neyman_allocation,
)
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.rounds import rounds_plan
from dora_theory.model.priors import BetaPrior
from dora_theory.strategies.plans import PLANS, SEVERAL

_NO_CAP = 2**31 - 1
# How deep stages look at the most, and so many numbers of all tapes at once.
_DEPTH, _NUMBERS = 512, 2**24


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

    Examples:
        >>> state = dt.PlanState.from_counts(np.array([0, 1, 3]), np.array([4, 4, 4]),
        ...     prior=(0.4, 0.6))
        >>> state.solved
        Array([False,  True,  True], dtype=bool)
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
            ValueError: counts, values or costs out of range, or counts that no Beta prior can be
                fitted to.
        """
        s, n = host_count("right", right), host_count("attempts", attempts)
        a, b = fit_beta(right, attempts)[:2] if prior is None else prior
        of = {
            "values": (values, POSITIVE),
            "costs": (1.0 if costs is None else costs, POSITIVE),
            "min_rollouts": (min_rollouts, COUNT),
            "max_rollouts": (_NO_CAP if max_rollouts is None else max_rollouts, COUNT),
        }
        found = checked(
            start=Argument(np.zeros((), jnp.result_type(float)), ""),
            right=Argument(s, "", COUNT),
            attempts=Argument(n, "", COUNT),
            **{name: Argument(x, "", domain) for name, (x, domain) in of.items()},
        )
        m = found[-1].shape[0]
        zero, s_, n_, value, cost, low, high = (jnp.broadcast_to(x, (m,)) for x in found[:-1])
        start = BetaPrior(zero[:, None] + a, zero[:, None] + b)
        return cls(
            posterior=start.after_outcomes(s[..., None], n[..., None]),
            right=s_.astype(zero.dtype),
            attempts=n_.astype(zero.dtype),
            solved=s_ > 0 if solved is None else jnp.asarray(solved, bool),
            values=value,
            costs=None if costs is None else cost,
            min_rollouts=low,
            max_rollouts=high,
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
        total: N; for `rounds` the budget of all rounds together (this batch spends its
            equal share); for `stages` what is left for this round and the later ones; for every
            other strategy the budget of this batch. With costs N is in their unit, and only
            `committed` and `rounds` know costs.
        strategy: `uniform`, `committed` (the exact optimum for this batch), `rounds` (the same for
            an equal share of N), `stages` (the same for the share that the best plan of the rounds
            to come begins with, looking 512 rollouts ahead, and less where more than 64 posteriors
            differ; of a concrete state), `round-robin` (fewest attempts first), `index` (largest v
            times posterior mean), `neyman`, `hora`, `knapsack-rl`. Solved problems receive nothing.
        rounds: R ≥ 1, for `rounds` and `stages`.
        batch: r in [1, R], which round this is.

    Returns:
        `Plan`. Its sum is the batch's budget unless caps forbid it. Ties go to the lowest problem,
        then the lowest candidate; candidates of a problem share its rollouts in the best way.

    Raises:
        ValueError: an unknown strategy, R or r out of range, costs where a rule knows none.

    Examples:
        >>> state = dt.PlanState.from_counts(np.array([0, 1, 3]), np.array([4, 4, 4]),
        ...     prior=(0.4, 0.6))
        >>> dt.plan(state, 8).rollouts
        Array([8, 0, 0], dtype=int32)

    Source: theory 7.1 to 7.3, 7.2f for stages, 7.2i for equal rounds.
    """
    if strategy not in PLANS:
        raise ValueError(f"strategy: {strategy!r} is none of {', '.join(PLANS)}")
    check_whole("rounds", rounds, 1)
    check_whole("batch", batch, 1, rounds)
    if strategy not in SEVERAL and rounds > 1:
        several = " and ".join(SEVERAL)
        raise ValueError(f"rounds: strategy {strategy} plans one batch, only {several} plan more")
    optimal = strategy in ("committed", *SEVERAL)
    if state.costs is not None and strategy not in ("committed", "rounds"):
        raise ValueError(f"costs: strategy {strategy} knows none, committed and rounds do")
    here: float = total / rounds
    if state.costs is None:
        whole = check_whole("total", total, 0, 2**30)
        if strategy == "stages":
            here = _first_stage(state, whole, rounds - batch + 1)
        else:
            here = whole * batch // rounds - whole * (batch - 1) // rounds
    values, costs = _seen(state.values), _seen(state.costs)
    low, high = (
        _seen(jnp.where(state.solved, 0, x)) for x in (state.min_rollouts, state.max_rollouts)
    )
    limits = {"min_rollouts": low, "max_rollouts": high}
    known = {"mask": _seen(state.mask)}
    if optimal:
        best = allocate_problems(values, state.posterior, here, costs=costs, **limits, **known)
        split, log_price = best.allocation, best.log_price
    elif strategy == "index":
        split = index_allocation(values, state.posterior, here, **limits, **known)
    else:
        rollouts = _literature(strategy, state, here, limits)
        split = optimal_allocation(state.posterior, None, rollouts, mask=state.mask)
    rollouts = split.sum(-1, dtype=jnp.int32)
    if not optimal:
        log_price = problem_certificate(
            values, state.posterior, rollouts, **limits, **known
        ).largest_next
    gained = expected_value(values, state.posterior, split, mask=state.mask)
    spent = (rollouts if state.costs is None else rollouts * state.costs).sum()
    return Plan(
        rollouts=rollouts,
        allocation=split,
        expected=jnp.where(rollouts > 0, gained, 0),
        unspent=here - spent,
        log_price=log_price,
    )


def _seen(x: Array | None) -> Any:
    """An array where functions look at it, if it is known."""
    return x if x is None or not is_concrete(x) else np.asarray(x)


def _first_stage(state: PlanState, total: int, rounds: int) -> int:
    """The budget of the first of the rounds to come, at least what the floors ask for."""
    todo = ~np.asarray(state.solved)
    if rounds == 1 or total == 0 or not todo.any():
        return total
    there = np.asarray(state.mask)
    rows = [np.where(there, x, 0) for x in (state.posterior.alpha, state.posterior.beta)]
    known = np.concatenate([np.asarray(state.values)[:, None], *rows], -1)[todo]
    known, many = np.unique(known, axis=0, return_counts=True)
    # Few sizes, so that few programs are compiled.
    size = 1 << (len(known) - 1).bit_length()
    known = np.pad(known, ((0, size - len(known)), (0, 0)), mode="edge")
    k = there.shape[-1]
    alpha, beta = known[:, 1 : 1 + k], known[:, 1 + k :]
    mask = alpha + beta > 0
    deep = max(1, min(_DEPTH, int((_NUMBERS / size) ** 0.5)))
    prior = BetaPrior(jnp.asarray(alpha), jnp.asarray(np.where(mask, beta, 1)))
    counts = np.pad(many, (0, size - len(many)))
    found = rounds_plan(
        known[:, 0], prior, total, rounds, depth=deep, multiplicity=counts, mask=mask
    )
    first = int((np.asarray(found.first, np.int64) * counts).sum())
    return min(max(first, int(np.asarray(state.min_rollouts)[todo].sum())), total)


def _literature(strategy: str, state: PlanState, total: float, limits: dict) -> Int[Array, " m"]:
    if strategy == "uniform":
        return level_allocation(jnp.zeros_like(state.attempts), total, **limits)
    if strategy == "round-robin":
        return level_allocation(_seen(state.attempts), total, **limits)
    if strategy == "hora":
        return hora_allocation(_seen(state.right), _seen(state.attempts), total, **limits)
    rule = neyman_allocation if strategy == "neyman" else knapsack_rl_allocation
    # Of several candidates the best one is what the next rollout would have.
    return rule(jnp.where(state.mask, state.posterior.mean, 0).max(-1), total, **limits)
