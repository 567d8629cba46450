"""The synthetic tree's accuracy and pass rate as a smooth function of its parameters.

A search gives one noisy number. To fit parameters one needs their effect, not the noise: so every
search of a design has parameters and an ability of its own, spread evenly over a box, and one
regression a strategy and metric averages over all of them. It is logistic, in a polynomial of the
parameters and log N: convex, so with one answer. A population of problems is the mean of it over
normal abilities, so `ability` and `spread` are integrated, not sampled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import special
from scipy.stats import qmc

from dora_theory.search.engine import Rule, one_of, search
from dora_theory.search.measures import measure
from dora_theory.search.tree import Tree

METRICS = ("accuracy", "pass_rate")
# Abilities of the design, in logits, and the budgets that it spans. Beyond the first bounds nothing
# changes any more.
ABILITIES = (-15.0, 9.0)
BUDGETS = (16, 256)
_DEGREE, _HIGHEST, _RIDGE, _NEWTON, _NODES = 3, 5, 1e-5, 20, 64

Box = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Design:
    """Searches, each with parameters of its own.

    Attributes:
        box: parameter → bounds.
        points: ability, log N and the parameters, each in [-1, 1], shape `(n, 2 + parameters)`.
        outcomes: strategy → accuracy and pass rate, shape `(n, 2)`.
    """

    box: Box
    points: Float[np.ndarray, "n p"]
    outcomes: Mapping[str, Float[np.ndarray, "n 2"]]


def run_design(
    base: Tree,
    box: Box,
    rules: Mapping[str, Rule],
    searches: Mapping[int, int],
    *,
    seed: int = 0,
    after: Callable[[int, str], Any] = lambda *_: None,
) -> Design:
    """Searches as the paper's authors run them: N at every step, repeated where fewer come out.

    Args:
        base: the tree, for what the box does not name.
        box: attribute of `Tree` → bounds.
        rules: strategy → rule.
        searches: budget N → searches of each strategy, with the same random numbers.
        seed: of the design and of the searches.
        after: called with budget and strategy when both are done.

    Returns:
        The design with its outcomes.
    """
    sobol = qmc.Sobol(1 + len(box), seed=seed)
    points = []
    outcomes: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    for n, count in searches.items():
        unit = sobol.random(count) * 2 - 1
        places = {
            k: jnp.asarray(x) for k, x in _scaled(unit, {"ability": ABILITIES, **box}).items()
        }
        points.append(np.insert(unit, 1, _budget(n), axis=1))
        key = jax.random.fold_in(jax.random.key(seed), n)
        for which, name in enumerate(rules):
            found = _searches(
                key, places, jnp.int32(which), base=base, rules=tuple(rules.values()), slots=n
            )
            outcomes[name].append(np.asarray(found, float))
            after(n, name)
    return Design(
        box, np.concatenate(points), {name: np.concatenate(y) for name, y in outcomes.items()}
    )


def _budget(n: int) -> float:
    low, high = np.log(BUDGETS)
    return float(2 * (np.log(n) - low) / (high - low) - 1)


def _scaled(points: np.ndarray, box: Box) -> dict[str, np.ndarray]:
    low, high = np.array(list(box.values())).T
    values = low + (points + 1) / 2 * (high - low)
    return dict(zip(box, values.T, strict=True))


@partial(jax.jit, static_argnames=("base", "rules", "slots"))
def _searches(
    key: Array,
    places: dict[str, Array],
    which: Int[Array, ""],
    *,
    base: Tree,
    rules: tuple[Rule, ...],
    slots: int,
) -> Float[Array, "n 2"]:
    """Accuracy of the weighted vote, and pass rate, of one search at each place."""
    count, rule = places["ability"].size, one_of(rules, which)

    def one(at: tuple[Array, dict[str, Array]]) -> Array:
        number, place = at
        own, made = jax.random.split(jax.random.fold_in(key, number))
        world = replace(base, **{"spread": 0.0, **place})  # type: ignore[arg-type]
        problem = jax.tree.map(lambda x: x[0], world.problems(made, 1))
        trace = search(own, world, problem, rule, slots, width="full", padding=True)
        m = measure(trace, base.answers, padding=True)
        return jnp.stack([m.weighted, m.pass_rate])

    return jax.lax.map(one, (jnp.arange(count), places), batch_size=64)


@dataclass(frozen=True)
class Emulator:
    """Mean accuracy and pass rate of a population of problems.

    Attributes:
        box: parameter → bounds, without the ability.
        strategies: in the order of the results.
        coefficients: of the logit, shape `(features, strategies, 2)`.
    """

    box: Box
    strategies: tuple[str, ...]
    coefficients: Float[np.ndarray, "f s 2"]

    def at(self, points: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "n s 2"]:
        """Means at points: ability, log N and the parameters, each in [-1, 1]."""
        return special.expit(np.tensordot(_features(points), self.coefficients, 1))

    def population(
        self,
        ability: float,
        spread: float,
        unit: Float[np.ndarray, " p"],
        budgets: tuple[int, ...],
    ) -> Float[np.ndarray, "n s 2"]:
        """Means over normal abilities, of each budget.

        Args:
            ability: mean.
            spread: standard deviation.
            unit: the other parameters, in [-1, 1].
            budgets: N.
        """
        low, high = ABILITIES
        quantiles = (np.arange(_NODES) + 0.5) / _NODES
        z = np.clip(ability + spread * special.ndtri(quantiles), low, high)
        n = np.repeat([_budget(n) for n in budgets], _NODES)
        own = np.broadcast_to(unit, (len(n), len(unit)))
        points = np.column_stack([np.tile(2 * (z - low) / (high - low) - 1, len(budgets)), n, own])
        found = self.at(points)
        return found.reshape(len(budgets), _NODES, *found.shape[1:]).mean(1)


def fit_emulator(design: Design) -> Emulator:
    """Logistic regression of every strategy and metric on a polynomial of the design's points.

    Args:
        design: with its outcomes.

    Returns:
        The emulator.
    """
    x, names = _features(design.points), tuple(design.outcomes)
    coefficients = np.zeros((x.shape[1], len(names), len(METRICS)))
    for m in range(len(METRICS)):
        start = np.zeros(x.shape[1])
        for i, name in enumerate(names):
            # One strategy is like the next.
            start = _logistic(x, design.outcomes[name][:, m], start)
            coefficients[:, i, m] = start
    return Emulator(design.box, names, coefficients)


def _features(points: np.ndarray) -> Float[np.ndarray, "n f"]:
    """Monomials up to the third degree, and of the ability alone up to the fifth."""
    columns = [np.ones(len(points))]
    for degree in range(1, _DEGREE + 1):
        for chosen in combinations_with_replacement(range(points.shape[1]), degree):
            columns.append(points[:, chosen].prod(-1))
    columns += [points[:, 0] ** degree for degree in range(_DEGREE + 1, _HIGHEST + 1)]
    return np.stack(columns, -1)


def _logistic(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Coefficients of the largest likelihood less a small ridge, by Newton's method."""
    beta = start
    ridge = _RIDGE * len(x) * np.eye(x.shape[1])
    ridge[0, 0] = 0

    def loss(b: np.ndarray) -> float:
        logit = x @ b
        return float(np.sum(np.logaddexp(0, logit) - y * logit) + 0.5 * b @ ridge @ b)

    now = loss(beta)
    for _ in range(_NEWTON):
        p = special.expit(x @ beta)
        gradient = x.T @ (p - y) + ridge @ beta
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while (then := loss(beta - size * step)) > now and size > 1e-4:
            size /= 2
        if now - then < 1e-6 * abs(now):
            break
        beta, now = beta - size * step, then
    return beta
