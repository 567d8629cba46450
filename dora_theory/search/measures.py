"""What a search is judged by, and many searches at once."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory.search.engine import Rule, Trace, Width, World, one_of, search
from dora_theory.search.voting import counted, elect


class Measures(NamedTuple):
    """Of one search; leading axes of problems and repetitions for many.

    Attributes:
        weighted: probability that the score-weighted vote is right.
        majority: that the plain majority is.
        best: that the solution of the highest score is.
        pass_rate: share of right solutions among those that count.
        success: whether one of them is right.
        finished: solutions that count.
        steps: steps generated, over all beams.
        read: steps that an embedding model reads which reads the prefix of each candidate anew, of
            those that an allocation is asked about. Table 1's FLOPs count finished solutions too.
        directions: effective number of directions that rollouts go to, 1 / Σ share² (Simpson's),
            averaged over the allocations of the search.
        quality: true success of the beams that rollouts go to, averaged likewise.
    """

    weighted: Float[Array, "*n"]
    majority: Float[Array, "*n"]
    best: Float[Array, "*n"]
    pass_rate: Float[Array, "*n"]
    success: Float[Array, "*n"]
    finished: Float[Array, "*n"]
    steps: Float[Array, "*n"]
    read: Float[Array, "*n"]
    directions: Float[Array, "*n"]
    quality: Float[Array, "*n"]


def measure(trace: Trace, answers: int, *, padding: bool = False) -> Measures:
    """What came out of a search.

    Args:
        trace: the search.
        answers: how many answers there can be.
        padding: whether too few solutions are repeated until there are N.

    Returns:
        Scalars, NaN where a rule of your own made no allocation.
    """
    view, kind = trace.view, trace.view.scores.dtype
    counts = counted(trace.finished, padding=padding)
    solution, score, correct = (x.reshape(-1) for x in (view.answers, view.scores, view.correct))
    election = elect(solution, score, correct, counts, answers)
    number, right = counts.sum(), (counts * correct).sum()
    depth = jnp.arange(1, trace.active.shape[0] + 1)[:, None]
    open_ = trace.active & ~trace.finished
    directions, quality, shared = _kept(trace)
    times = jnp.maximum(shared.sum(), 1)
    found = (
        *election,
        right / jnp.maximum(number, 1),
        right > 0,
        number,
        trace.active.sum(),
        (open_ * depth).sum(),
        jnp.where(shared, directions, 0).sum() / times,
        jnp.where(shared, quality, 0).sum() / times,
    )
    # Nothing is known of a search in which a rule made no allocation.
    none = (trace.allocation < 0).any()
    return Measures(*(jnp.where(none, jnp.nan, jnp.asarray(x, kind)) for x in found))


def _kept(trace: Trace) -> tuple[Array, Array, Array]:
    """Effective directions and mean true success at each step, and where anything was shared."""
    given, label = trace.allocation.astype(trace.view.scores.dtype), trace.view.directions
    share = given / jnp.maximum(given.sum(-1, keepdims=True), 1)
    same = label[:, :, None] == label[:, None, :]
    alike = (share[:, :, None] * share[:, None, :] * same).sum((-1, -2))
    shared = trace.allocation.sum(-1) > 0
    quality = (share * trace.view.success).sum(-1)
    return 1 / jnp.where(shared, alike, 1), quality, shared


@partial(
    jax.jit,
    static_argnames=("rule", "slots", "repetitions", "width", "padding", "block"),
)
def run_searches(
    key: Array,
    world: World,
    problems: Any,
    *,
    rule: Rule | tuple[Rule, ...],
    which: Int[ArrayLike, ""] = 0,
    slots: int,
    repetitions: int = 1,
    width: Width = "remaining",
    padding: bool = False,
    block: int = 64,
    cost: Real[ArrayLike, ""] | None = None,
) -> Measures:
    """Searches of every problem, several times.

    Args:
        key: JAX random key. Repetition r of problem i draws the same numbers whatever the rule and
            however many problems and repetitions there are.
        world: what is searched.
        problems: leading axis n.
        rule: a hashable rule, such as `as_rule` makes, or several that share one
            program.
        which: the place of the one to use, if there are several.
        slots: N.
        repetitions: of each problem.
        width: as for `search`.
        padding: as for `search`, and for the solutions that count.
        block: searches held in memory at a time.
        cost: as for `search`.

    Returns:
        Measures of shape `(n, repetitions)`.

    Raises:
        ValueError: no slot, no repetition, an unknown width, a rule that answers no integers.
    """
    if repetitions < 1:
        raise ValueError(f"repetitions = {repetitions}: needs at least one")
    count = jax.tree.leaves(problems)[0].shape[0]
    total = count * repetitions
    used = one_of(rule, jnp.asarray(which)) if isinstance(rule, tuple) else rule

    def one(number: Int[Array, ""]) -> Measures:
        problem = number // repetitions
        own = jax.random.fold_in(jax.random.fold_in(key, problem), number % repetitions)
        of_it = jax.tree.map(lambda x: x[problem], problems)
        trace = search(own, world, of_it, used, slots, width=width, padding=padding, cost=cost)
        return measure(trace, world.answers, padding=padding)

    # Whole blocks only: a last one that is shorter would be a second program to compile.
    block = max(1, min(block, total))
    numbers = jnp.arange(-(-total // block) * block) % max(1, total)
    found = jax.lax.map(one, numbers, batch_size=block)
    return jax.tree.map(lambda x: x[:total].reshape(count, repetitions), found)
