"""What the page shows of a setting: every strategy's allocation, its success, its loss, its bias.

All arrays have fixed shapes, padded and masked, so that a moved slider compiles nothing.
"""

from dataclasses import dataclass
from functools import cache
from threading import Lock, Timer
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dora_theory.allocation.hierarchical import hierarchical_log_failure
from dora_theory.bias import direction_mass, kl_divergence, similarity_theta
from dora_theory.explore.kept import kept
from dora_theory.explore.scene import MOST_CANDIDATES, MOST_DIRECTIONS, MOST_ROLLOUTS, Scene
from dora_theory.model.directions import segment_sum
from dora_theory.model.hierarchy import after_failure, fresh, tables
from dora_theory.model.magnitude import magnitude_weighting_from_similarity
from dora_theory.model.objective import candidate_log_failure, log_failure
from dora_theory.model.quality import normalized, quality_weights
from dora_theory.model.similarity import uniqueness_from_similarity
from dora_theory.strategies.allocate import spend
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import DORA, MAGNITUDE, REBASE, STRATEGIES

# The page states no ν for strategies to assume.
SHOWN = tuple(
    strategy
    for strategy in STRATEGIES.values()
    if not strategy.real and "within_concentration" not in strategy.options
)
# T_s of the curves, and s_in over T_s of the map.
TEMPERATURES = np.geomspace(1e-3, 3, 36)
_MAP_TEMPERATURES = np.geomspace(1e-3, 3, 30)
# 1 - s_in as shares of 1 - s_out.
_MAP_GAPS = np.geomspace(2e-3, 0.98, 24)
# Two programs that run at once may each hold a thread of XLA's pool that the other waits for; on
# two cores both then wait for ever.
_ONE_AT_A_TIME = Lock()


class Subject(NamedTuple):
    """A problem as the page looks at it, made up or logged.

    Attributes:
        scores: PRM scores, shape `(k,)`.
        labels: direction of each candidate, shape `(k,)`.
        similarity: cosine similarities, shape `(k, k)`.
        quality: what is taken for the true quality of each direction, shape `(g,)`, sum 1.
    """

    scores: Float[np.ndarray, " k"]
    labels: Int[np.ndarray, " k"]
    similarity: Float[np.ndarray, "k k"]
    quality: Float[np.ndarray, " g"]


@dataclass(frozen=True)
class View:
    """What is to be seen of a subject, S strategies.

    Attributes:
        strategies: their names.
        allocation: rollouts of each candidate, shape `(S, k)`.
        totals: of each direction, shape `(S, g)`.
        success: probability of at least one right rollout, shape `(S,)`.
        loss: rollouts that the optimum would have left over at that success, shape `(S,)`.
        uniqueness: γ, shape `(k,)`.
        magnitude: magnitude weighting v, shape `(k,)`.
        divergence: KL(Q‖mass) in nats by weighting (`REBASE`, `DORA`, `MAGNITUDE`) at each of
            `TEMPERATURES`, and at the chosen T_s last, shape `(len(TEMPERATURES) + 1,)`.
    """

    strategies: tuple[str, ...]
    allocation: Int[np.ndarray, "s k"]
    totals: Int[np.ndarray, "s g"]
    success: Float[np.ndarray, " s"]
    loss: Float[np.ndarray, " s"]
    uniqueness: Float[np.ndarray, " k"]
    magnitude: Float[np.ndarray, " k"]
    divergence: dict[str, Float[np.ndarray, " t"]]


class PriceMap(NamedTuple):
    """The map of prices: similarity inside a direction against T_s.

    Attributes:
        temperature: T_s, shape `(t,)`.
        inside: s_in, shape `(s,)`.
        price: exp KL(Q‖DORA's mass), the factor in rollouts for many of them, shape `(s, t)`.
    """

    temperature: Float[np.ndarray, " t"]
    inside: Float[np.ndarray, " s"]
    price: Float[np.ndarray, "s t"]


def subject(scene: Scene) -> Subject:
    """The problem that a setting describes."""
    quality = quality_weights(
        np.asarray(scene.scores), quality_temperature=scene.quality_temperature
    )
    return Subject(scene.observed, scene.labels, scene.similarity, np.asarray(quality))


def look(problem: Subject, scene: Scene) -> View:
    """What every strategy makes of a problem under the prior and options of a setting.

    Args:
        problem: at most 64 candidates in 8 directions; else arrays are padded to powers of two.
        scene: gives temperatures, κ, ν and N.

    Returns:
        The view, in float64 if JAX's x64 is on.
    """
    k, g = problem.labels.size, problem.quality.size
    arguments = _arguments(problem, scene)
    with _ONE_AT_A_TIME:
        spent, failure, curve, gamma, v, divergence = jax.tree.map(
            np.asarray, kept(_look, *arguments)(*jax.tree.leaves(arguments))
        )
    totals = np.stack([np.bincount(problem.labels, b[:k], g) for b in spent]).astype(np.int32)
    needed = _budget_for(failure, curve[: scene.budget + 1])
    return View(
        strategies=tuple(strategy.name for strategy in SHOWN),
        allocation=spent[:, :k],
        totals=totals,
        # Nobody wants to read -0.0.
        success=-np.expm1(failure) + 0.0,
        loss=scene.budget - needed,
        uniqueness=gamma[:k],
        magnitude=v[:k],
        divergence=divergence,
    )


@cache
def warm_up() -> None:
    """Compiles, beside what else goes on, what a setting with a finite ν needs; the first time."""
    scene = Scene(within_concentration=1.0)
    arguments = _look, *_arguments(subject(scene), scene)
    # When the browser has drawn the first picture, for which it needs the processor.
    later = Timer(3, kept, arguments)
    later.daemon = True
    later.start()


def _arguments(problem: Subject, scene: Scene) -> tuple[Problems, *tuple[np.ndarray, ...]]:
    """What `_look` takes, padded; not JAX's arrays, whose making compiles small programs."""
    k, g = problem.labels.size, problem.quality.size
    wide, many = _room(k, MOST_CANDIDATES), _room(g, MOST_DIRECTIONS)
    nu = scene.within_concentration
    problems = Problems(
        scores=np.pad(problem.scores, (0, wide - k))[None],
        directions=np.pad(problem.labels, (0, wide - k)).astype(np.int32)[None],
        mask=(np.arange(wide) < k)[None],
        quality=np.pad(problem.quality, (0, many - g))[None],
        concentration=np.array([scene.concentration]),
        within_concentration=None if nu is None else np.array([nu]),
        similarity=np.pad(problem.similarity, (0, wide - k))[None],
    )
    numbers = scene.budget, scene.quality_temperature, scene.similarity_temperature
    return problems, *map(np.asarray, numbers)


def price_map(scene: Scene) -> PriceMap:
    """The price of DORA's weights over similarity inside and T_s, without noise in the scores.

    Args:
        scene: gives sizes, scores, T_b and s_out.

    Returns:
        The map; s_in from near 1 down to near s_out. Empty where s_out = 1.
    """
    if scene.similarity_between == 1:
        return PriceMap(_MAP_TEMPERATURES, np.zeros(0), np.zeros((0, _MAP_TEMPERATURES.size)))
    inside = 1 - (1 - scene.similarity_between) * _MAP_GAPS
    quality = np.asarray(
        quality_weights(np.asarray(scene.scores), quality_temperature=scene.quality_temperature)
    )
    room = (0, MOST_DIRECTIONS - quality.size)
    with _ONE_AT_A_TIME:
        price = _prices(
            jnp.asarray(np.pad(quality, room), float),
            jnp.asarray(np.pad(scene.sizes, room), float),
            jnp.asarray(inside, float)[:, None],
            jnp.asarray(scene.similarity_between, float),
            jnp.asarray(_MAP_TEMPERATURES, float),
        )
        return PriceMap(_MAP_TEMPERATURES, inside, np.asarray(price))


@jax.jit
def _prices(quality: Array, sizes: Array, inside: Array, across: Array, t: Array) -> Array:
    theta = similarity_theta(sizes.sum(), inside, across, t)
    return jnp.exp(kl_divergence(quality, direction_mass(quality, sizes, theta)))


def _look(
    problems: Problems, budget: Array, t_b: Array, t_s: Array
) -> tuple[Array, Array, Array, Array, Array, dict[str, Array]]:
    options = Options(quality_temperature=t_b, similarity_temperature=t_s, max_budget=MOST_ROLLOUTS)
    spent = jnp.concatenate([spend(each, problems, budget, options)[0] for each in SHOWN])
    mask, labels, quality = problems.mask[0], problems.directions[0], problems.quality[0]
    kappa, g = problems.concentration[0], quality.size
    nu = None if problems.within_concentration is None else problems.within_concentration[0]
    if nu is None:
        failure = log_failure(quality, kappa, segment_sum(spent, labels, g))
    else:
        failure = hierarchical_log_failure(
            quality, labels, kappa, nu, spent, points=MOST_ROLLOUTS, mask=mask
        )
    members = segment_sum(mask.astype(jnp.int32), labels, g)
    curve = _optimum(quality, kappa, nu, members)

    w = quality_weights(problems.scores[0], quality_temperature=t_b, mask=mask)
    assert problems.similarity is not None
    s = problems.similarity[0]
    every = jnp.append(jnp.asarray(TEMPERATURES, s.dtype), t_s)
    gamma = uniqueness_from_similarity(s, similarity_temperature=every, mask=mask)
    v = magnitude_weighting_from_similarity(s, similarity_temperature=every, mask=mask)
    divergence = {
        name: kl_divergence(quality, normalized(segment_sum(w * share, labels, g)))
        for name, share in ((REBASE, mask + 0 * gamma), (DORA, gamma), (MAGNITUDE, v))
    }
    return spent, failure, curve, gamma[-1], v[-1], divergence


def _optimum(quality: Array, kappa: Array, nu: Array | None, members: Array) -> Float[Array, " n"]:
    """Log failure of the optimum for 0 … MOST_ROLLOUTS rollouts.

    Failure of a direction is log-convex in its total, so the optimum takes the largest drops, from
    whichever direction (theory 2.1, 5.1).
    """
    q = jnp.where(members > 0, quality, 0)
    rollouts = jnp.arange(MOST_ROLLOUTS + 1)
    if nu is None:
        failure = candidate_log_failure(
            jnp.broadcast_to(q[:, None], (q.size, rollouts.size)), kappa, rollouts
        )
        drops = jnp.where(jnp.isneginf(failure[:, 1:]), -jnp.inf, jnp.diff(failure))
    else:
        kappas = jnp.broadcast_to(kappa, q.shape)

        def fail(belief, b):  # type: ignore[no-untyped-def]
            return after_failure(belief, fresh(nu, b // jnp.maximum(members, 1)), kappas)

        first = jnp.log1p(-q)
        _, later = jax.lax.scan(
            fail, tables(q, kappas, MOST_ROLLOUTS), jnp.arange(1, MOST_ROLLOUTS)
        )
        drops = jnp.concatenate([first[:, None], later.T], 1)
    best = jnp.sort(drops.reshape(-1))[:MOST_ROLLOUTS]
    return jnp.concatenate([jnp.zeros(1, best.dtype), jnp.cumsum(best)])


def _budget_for(failure: np.ndarray, curve: np.ndarray) -> Float[np.ndarray, " s"]:
    """Real budgets with which the optimum reaches the given log failures."""
    finite = np.maximum(curve, -1e300)
    return np.interp(-np.maximum(failure, -1e300), -finite, np.arange(curve.size))


def _room(count: int, least: int) -> int:
    return max(least, 1 << (count - 1).bit_length())
