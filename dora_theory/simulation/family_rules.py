"""What the rules for correlated candidates reach on one problem of a family (theory 8.3.3).

Rules are called by a name and, after a blank, what they are given for the length of the kernel: a
fixed T_s, or T, T/2 and T/4 of the true one, which nobody knows outside a simulation.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from dora_theory.allocation import shared_divisors as divisors
from dora_theory.allocation.joint import draws_allocation
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.spread import spread_evenly
from dora_theory.model.clustering import hard_directions
from dora_theory.model.copula import copula_kernel
from dora_theory.model.magnitude import magnitude_weighting_from_similarity
from dora_theory.model.similarity import uniqueness_from_similarity
from dora_theory.simulation.families import FAMILIES, Instance, K, draw_instance, draw_truth
from dora_theory.strategies.allocate import allocate
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import DORA, MAGNITUDE, REBASE, Strategy

TEMPERATURES = (0.01, 0.03, 0.1, 0.3, 1.0)
# Draws of the truth that rules are judged by, and others that greedy searches on.
_JUDGED, _SEARCHED = 40_000, 8192

LABELS = {
    REBASE: "REBASE",
    DORA: "DORA's γ",
    MAGNITUDE: "magnitude",
    "clusters": "hard clusters, direction optimum",
    "shared": "shared divisors",
    "smooth": "smoothed scores, shared divisors",
    "determinantal": "determinantal",
    "root": "root weights",
    "moment": "moment divisors",
    "pair": "pair divisors",
    "greedy": "greedy on 8,192 draws of the truth",
}


@jax.jit
def blind_rules(w: Any, s: Any, mask: Any, kappa: Any, n: Any) -> dict[str, Array]:
    """Rules that do not know the true correlation, at every T_s."""

    def spent(weights: Any) -> Any:
        return optimal_allocation(jnp.minimum(weights / weights.sum(), 1), kappa, n, mask=mask)

    found = {REBASE: spent(w)}
    for t in TEMPERATURES:
        c = copula_kernel(s, t, mask=mask)
        gamma = uniqueness_from_similarity(s, similarity_temperature=t, mask=mask)
        found[f"{DORA} {t:g}"] = spent(w * gamma)
        v = magnitude_weighting_from_similarity(s, similarity_temperature=t, mask=mask)
        found[f"{MAGNITUDE} {t:g}"] = spent(w * v)
        for name, smooth in (("shared", False), ("smooth", True)):
            found[f"{name} {t:g}"] = divisors.shared_divisor_allocation(
                w, c, kappa, n, smooth=smooth, mask=mask
            )
    return found


@jax.jit
def informed_rules(w: Any, s: Any, mask: Any, kappa: Any, n: Any, length: Any) -> dict[str, Array]:
    """Rules that are given the true length of the kernel, or half and a quarter of it."""

    def spent(weights: Any) -> Any:
        return optimal_allocation(weights / weights.sum(), kappa, n, mask=mask)

    def by(name: str, c: Any) -> Any:
        return getattr(divisors, f"{name}_allocation")(w, c, kappa, n, mask=mask)

    found = {}
    for name, t in (("T", length), ("T/2", length / 2), ("T/4", length / 4)):
        c = copula_kernel(s, t, mask=mask)
        gamma = uniqueness_from_similarity(s, similarity_temperature=t, mask=mask)
        found[f"{DORA} {name}"] = spent(w * gamma)
        v = magnitude_weighting_from_similarity(s, similarity_temperature=t, mask=mask)
        found[f"{MAGNITUDE} {name}"] = spent(w * v)
        if name != "T/4":
            found[f"root {name}"] = by("root_weight", c)
            found[f"shared {name}"] = by("shared_divisor", c)
        if name == "T":
            found[f"determinantal {name}"] = by("determinantal", c)
            found[f"moment {name}"] = by("copula_moment", c)
            found[f"pair {name}"] = by("pair_divisor", c)
    return found


@jax.jit
def successes(x: Any, allocations: Any) -> Array:
    """Success of each allocation, as the mean over draws."""
    x = jnp.minimum(x, 1e30)
    return 1 - jnp.exp(-(x @ allocations.T.astype(x.dtype))).mean(0)


def clusters(problem: Instance) -> Int[np.ndarray, " k"]:
    """Directions of the candidates, cut half way between the similarities inside and across."""
    k = int(problem.mask.sum())
    # Vectors whose cosines these are.
    values, vectors = np.linalg.eigh(problem.similarity[:k, :k])
    embeddings = vectors * np.sqrt(np.maximum(values, 0))
    return hard_directions(embeddings, threshold=1 - problem.threshold)


def by_clusters(problem: Instance) -> Int[np.ndarray, " k"]:
    """The exact optimum over those directions, whose quality is the mean (theory 4.1)."""
    labels = clusters(problem)
    q = np.bincount(labels, problem.weights[: labels.size]) / np.bincount(labels)
    totals = optimal_allocation(q / q.sum(), problem.concentration, problem.budget)
    return np.pad(np.asarray(spread_evenly(totals, labels)), (0, K - labels.size))


def by_strategy(
    strategy: Strategy, problem: Instance, similarity_temperature: float
) -> Int[np.ndarray, " k"]:
    """A rule of a user's own, on the problem without its padding.

    Args:
        strategy: the rule; directions are what it finds itself, or `clusters`.
        problem: of a family.
        similarity_temperature: T_s of its options.

    Returns:
        Rollouts, padded.

    Raises:
        ValueError: the rule made no allocation of the whole budget.
    """
    labels = clusters(problem)
    k = labels.size
    row = {
        "weights": problem.weights[:k],
        "similarity": problem.similarity[:k, :k],
        "directions": labels,
    }
    options = Options(
        concentration=problem.own_concentration, similarity_temperature=similarity_temperature
    )
    spent = np.asarray(allocate(Problems.from_rows([row]), strategy, problem.budget, options))[0]
    if not (np.all(spent >= 0) and spent.sum() == problem.budget):
        raise ValueError(
            f"strategy {strategy}: needs finite weights, or non-negative rollouts that spend "
            f"N = {problem.budget}"
        )
    return np.pad(spent, (0, K - k))


def evaluate(name: str, number: int, seed: int = 0) -> dict[str, float]:
    """Success of every rule on one problem, by fresh draws of its truth.

    Args:
        name: of the family.
        number: of the problem.
        seed: of the family's problems.

    Returns:
        Success by rule; rules that do not apply to the family are left out.
    """
    problem = draw_instance(name, number, seed)
    given = [jnp.asarray(x) for x in problem[:3]]
    kappa, n = jnp.asarray(problem.own_concentration), jnp.asarray(problem.budget)
    found = dict(blind_rules(*given, kappa, n))
    if FAMILIES[name].truth == "copula":
        found |= informed_rules(*given, kappa, n, jnp.asarray(problem.length))
    found["clusters"] = by_clusters(problem)
    drawn = draw_truth(name, (1 + seed, 2 * number), problem, _SEARCHED)
    found["greedy"] = draws_allocation(drawn, n)
    return judged(name, number, found, problem, seed)


def evaluate_own(
    name: str,
    number: int,
    strategies: Sequence[Strategy],
    seed: int = 0,
    *,
    similarity_temperature: float = 0.03,
) -> dict[str, float]:
    """Success of a user's own rules on the same problem, by the same draws.

    Args:
        name: of the family.
        number: of the problem.
        strategies: the rules.
        seed: of the family's problems.
        similarity_temperature: T_s of their options.

    Returns:
        Success by rule, named `"own NAME"`.

    Raises:
        ValueError: a rule that made no allocation of the whole budget.
    """
    problem = draw_instance(name, number, seed)
    given = {f"own {s}": by_strategy(s, problem, similarity_temperature) for s in strategies}
    return judged(name, number, given, problem, seed)


def judged(
    name: str, number: int, given: dict[str, Any], problem: Instance, seed: int
) -> dict[str, float]:
    """Success of each allocation on fresh draws of the truth."""
    fresh = draw_truth(name, (1 + seed, 2 * number + 1), problem, _JUDGED)
    table = np.stack([np.asarray(b) for b in given.values()])
    return dict(zip(given, successes(fresh, jnp.asarray(table)).tolist(), strict=True))
