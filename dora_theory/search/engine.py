"""Algorithm 1: extend every beam by a step, set the finished aside, score, share out, copy.

The search runs on a world, which says what a partial solution is. All shapes are fixed: there are
N slots, a beam is copied by its index, and what finishes at a step is recorded in that step's row,
so one `lax.scan` over steps is the whole search, and `vmap` runs many.

Two readings of "N rollouts" are in use. `width="remaining"` spends N less what has finished at each
step, so that exactly N solutions come out: REBASE's authors do so, and so does independent
sampling. `width="full"` spends N at every step until N have finished, and the first N count:
so does the code of DORA's authors, which made the paper's figures.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike

Width = Literal["remaining", "full"]
State = TypeVar("State")


class World(Protocol[State]):
    """What a search runs on. A pytree; problems and states are pytrees of its own."""

    @property
    def steps(self) -> int:
        """The most steps of a solution, by which every beam has finished."""

    @property
    def answers(self) -> int:
        """Answers are numbers from 0 to `answers` - 1."""

    def start(self, key: Array, problem: Any, slots: int) -> State:
        """Empty solutions, leading axis `slots`."""

    def extend(self, key: Array, problem: Any, state: State, step: Array) -> State:
        """Each beam one step further; `step` counts from 0."""

    def look(self, problem: Any, state: State) -> "View":
        """What there is to see of each beam."""


class View(NamedTuple):
    """What a world shows of N beams. Of these a strategy sees scores, embeddings, directions.

    Attributes:
        finished: whether the solution is complete, shape `(slots,)`.
        scores: PRM scores, shape `(slots,)`.
        embeddings: not 0, shape `(slots, d)`.
        directions: any integers, equal for beams of one direction, shape `(slots,)`.
        answers: of a finished beam, shape `(slots,)`.
        correct: whether a finished beam is right, shape `(slots,)`.
        success: true probability that the beam ends right, shape `(slots,)`.
        costs: > 0, expected steps from here to the end of a solution, shape `(slots,)`; None for
            as many as there can be.
    """

    finished: Bool[Array, " slots"]
    scores: Float[Array, " slots"]
    embeddings: Float[Array, "slots d"]
    directions: Int[Array, " slots"]
    answers: Int[Array, " slots"]
    correct: Bool[Array, " slots"]
    success: Float[Array, " slots"]
    costs: Float[Array, " slots"] | None = None


class Candidates(NamedTuple):
    """What a strategy is asked about: beams that can be extended.

    Attributes:
        scores: PRM scores, shape `(slots,)`.
        embeddings: shape `(slots, d)`.
        directions: equal for beams of one direction, shape `(slots,)`.
        mask: false for slots that are finished or empty, shape `(slots,)`.
        costs: of a rollout of each, shape `(slots,)`, where the budget is one of cost; else None.
    """

    scores: Float[Array, " slots"]
    embeddings: Float[Array, "slots d"]
    directions: Int[Array, " slots"]
    mask: Bool[Array, " slots"]
    costs: Float[Array, " slots"] | None = None


Rule = Callable[[Candidates, Real[Array, ""]], Int[Array, " slots"]]


class Trace(NamedTuple):
    """A whole search, a row for each step.

    Attributes:
        active: slots that were extended, shape `(steps, slots)`.
        finished: those of them that finished at this step.
        view: what there was to see of them, after the step.
        width: rollouts that were to be shared out, or by cost the most there could be, shape
            `(steps,)`.
        allocation: rollouts that the rule gave to each slot; those beyond N slots are dropped; -1
            throughout where a rule of your own made no allocation.
        parents: the slot that each slot of the next step copies.
    """

    active: Bool[Array, "steps slots"]
    finished: Bool[Array, "steps slots"]
    view: View
    width: Int[Array, " steps"]
    allocation: Int[Array, "steps slots"]
    parents: Int[Array, "steps slots"]


def one_of(rules: Sequence[Rule], which: Int[Array, ""]) -> Rule:
    """The rule at a place that may be traced: one program for many rules.

    The search around a rule is most of what there is to compile.
    """
    return lambda candidates, budget: jax.lax.switch(which, rules, candidates, budget)


def search(
    key: Array,
    world: World,
    problem: Any,
    rule: Rule,
    slots: int,
    *,
    width: Width = "remaining",
    padding: bool = False,
    cost: Real[ArrayLike, ""] | None = None,
) -> Trace:
    """One search by Algorithm 1.

    Args:
        key: JAX random key. Slot i of step t draws the same numbers whatever the rule is.
        world: what is searched.
        problem: one problem of it.
        rule: candidates and rollouts to share out → rollouts of each candidate.
        slots: N.
        width: what is shared out at a step, see above.
        padding: the authors' repair of a rule that misses the budget: beams are repeated in order
            until there are as many as there were to be; of nothing there is nothing to repeat.
        cost: C ≥ 0, the most steps that all beams together may take, with a rule for budgets of
            cost; None for no limit. At each step the rule is given what is left of it, or less
            where that pays for more than the rollouts that are to be shared out, and what a beam
            costs to its end is as the world expects it; beams beyond the last step that can be paid
            are dropped.

    Returns:
        The trace. Rollouts beyond N slots are dropped, as the authors' code does.

    Source: Algorithm 1; theory 6.
    """
    if slots < 1:
        raise ValueError(f"slots = {slots}: needs at least one rollout")
    if width not in get_args(Width):
        raise ValueError(f"width = {width!r}: needs one of {', '.join(map(repr, get_args(Width)))}")
    made, run = jax.random.split(key)
    index = jnp.arange(slots, dtype=jnp.int32)
    limit = jnp.asarray(0 if cost is None else cost, float)

    def step(carry: tuple, number: Array) -> tuple[tuple, Trace]:
        state, active, done, left = carry
        if cost is not None:
            # The first of them, for none is known to be better.
            active &= jnp.cumsum(active) <= left
        left = left - active.sum()
        state = world.extend(jax.random.fold_in(run, number), problem, state, number)
        view = world.look(problem, state)
        finished = active & view.finished
        done = done + finished.sum(dtype=jnp.int32)
        open_ = active & ~finished
        to_spend = slots - done if width == "remaining" else jnp.int32(slots)
        to_spend = jnp.where((done < slots) & open_.any(), to_spend, 0).astype(jnp.int32)
        candidates = Candidates(view.scores, view.embeddings, view.directions, open_)
        pays: Array = to_spend
        if cost is not None:
            most = jnp.maximum(world.steps - 1.0 - number, 1)
            rest = jnp.where(open_, most if view.costs is None else view.costs, 1)
            candidates = candidates._replace(costs=rest)
            # What no allocation of more rollouts than are to be shared out fits into.
            pays = jnp.minimum(left, to_spend * jnp.where(open_, rest, jnp.inf).min())
            pays = jnp.where(to_spend > 0, pays, 0)
        given = jnp.where(open_ & (to_spend > 0), rule(candidates, pays), 0)
        # -1 throughout says that the rule made no allocation: the search ends there.
        copies = jnp.maximum(given, 0)
        total = copies.sum(dtype=jnp.int32)
        # Slot s is a copy of the beam in whose run of copies s lies.
        place = index % jnp.maximum(total, 1) if padding else index
        parents = jnp.searchsorted(jnp.cumsum(copies), place, side="right").astype(jnp.int32)
        parents = jnp.minimum(parents, slots - 1)
        many = jnp.where(total > 0, to_spend, 0) if padding else total
        view = view._replace(costs=None)
        row = Trace(active, finished, view, to_spend, given, parents)
        return (jax.tree.map(lambda x: x[parents], state), index < many, done, left), row

    start = world.start(made, problem, slots), jnp.ones(slots, bool), jnp.int32(0), limit
    return jax.lax.scan(step, start, jnp.arange(world.steps, dtype=jnp.int32))[1]
