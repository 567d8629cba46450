"""Families of correlated problems whose truth is known: U, E, H and D of theory 8.3.3.

U and E are copula priors of known length T: candidates' scores differ and mean it (U), or are equal
in a direction (E). H is the hierarchy of theory 5.1 and D DORA's model, one chance per direction;
in both the noise of scores is noise. All problems are padded to 32 candidates, so that one program
is compiled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.model.copula import copula_correlation, copula_draws
from dora_theory.model.root_weights import root_weights

K = 32
QUALITY_TEMPERATURE = 0.1
_DIMENSION = 8


@dataclass(frozen=True)
class Family:
    """How the problems of a family are made; each draws one of every list, equally likely.

    Attributes:
        about: one line.
        truth: `"copula"` (theory 8.2.1), `"hierarchy"` (5.1) or `"directions"`, one p for each.
        noise: standard deviation of a candidate's score about its direction's; None for a draw of
            `noises`.
        noises: see there.
        candidates: k ≤ 32; directions are 2 to k/3, of sizes by Dirichlet(1).
        spread: scores of directions are uniform in ± this.
        similarity_within: expected cosine within a direction; cosines scatter as those of
            embeddings of 8 dimensions do.
        similarity_between: expected cosine between directions.
        concentrations: κ, of H and D that of directions.
        within_concentrations: ν of the hierarchy.
        budgets: N.
        lengths: T of the copula.

    Examples:
        >>> dt.FAMILIES["U"].truth
        'copula'
    """

    about: str
    truth: Literal["copula", "hierarchy", "directions"]
    noise: float | None = None
    noises: tuple[float, ...] = (0, 0.05, 0.1)
    candidates: tuple[int, ...] = (8, 16, 32)
    spread: float = 0.25
    similarity_within: tuple[float, ...] = (0.8, 0.9, 0.97)
    similarity_between: tuple[float, ...] = (0.4, 0.7)
    concentrations: tuple[float, ...] = (0.25, 0.5, 1, 2, 4)
    within_concentrations: tuple[float, ...] = (0.5, 2, 8)
    budgets: tuple[int, ...] = (8, 32, 128)
    lengths: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)


# Populations of correlated problems by name, U, E, H and D.
FAMILIES: Mapping[str, Family] = {
    "U": Family("copula, scores of like candidates differ and mean it", "copula", noise=0.05),
    "E": Family("copula, equal scores in a direction", "copula", noise=0.0),
    "H": Family("hierarchy, score noise is noise", "hierarchy"),
    "D": Family("one chance per direction, score noise is noise", "directions"),
}


class Instance(NamedTuple):
    """A problem, padded; what is NaN does not apply to its family.

    Attributes:
        weights: w that rules see, `(32,)`.
        similarity: cosines, `(32, 32)`.
        mask: false for padding.
        directions: labels.
        quality: true Q of the directions, `(32,)`; 0 beyond them.
        threshold: of similarity, half way between inside and across.
        concentration: κ, in H and D of directions.
        within_concentration: ν of H.
        length: T of U and E.
        budget: N.
    """

    weights: Float[np.ndarray, " k"]
    similarity: Float[np.ndarray, "k k"]
    mask: Bool[np.ndarray, " k"]
    directions: Int[np.ndarray, " k"]
    quality: Float[np.ndarray, " k"]
    threshold: float
    concentration: float
    within_concentration: float
    length: float
    budget: int

    @property
    def own_concentration(self) -> float:
        """κ of each candidate's own chance, by its variance; of H between κ and ν of theory 5.1."""
        kappa, nu = self.concentration, self.within_concentration
        return kappa if np.isnan(nu) else kappa * nu / (kappa + nu + 1)


def draw_instance(name: str, number: int, seed: int = 0) -> Instance:
    """Problem number `number` of a family, whatever others are drawn.

    Args:
        name: of `FAMILIES`.
        number: ≥ 0.
        seed: of all of them.

    Returns:
        The problem, float64 on the host.
    """
    family = FAMILIES[name]
    rng = np.random.default_rng([seed, list(FAMILIES).index(name), number])
    k = int(rng.choice(family.candidates))
    g = int(rng.integers(2, k // 3 + 1))
    labels = np.concatenate([np.arange(g), rng.choice(g, k - g, p=rng.dirichlet(np.ones(g)))])
    scores = rng.uniform(-family.spread, family.spread, g)
    within, between = rng.choice(family.similarity_within), rng.choice(family.similarity_between)
    similarity = _cosines(rng, labels, within, between)
    kappa, nu = rng.choice(family.concentrations), rng.choice(family.within_concentrations)
    budget, length = int(rng.choice(family.budgets)), float(rng.choice(family.lengths))
    drawn = rng.choice(family.noises)
    noise = drawn if family.noise is None else family.noise
    own = scores[labels] + noise * rng.normal(size=k)
    weights = _softmax(own)
    if family.truth == "copula":
        # Failure of all of these problems falls like N^-κ.
        c = np.exp((similarity - 1) / length)
        weights = weights / float(root_weights(*_padded(weights, c)).exponent)
    wide, cosines = _padded(weights, similarity)
    quality = np.zeros(K)
    quality[:g] = _softmax(scores)
    return Instance(
        np.minimum(wide, 1),
        cosines,
        np.arange(K) < k,
        np.pad(labels, (0, K - k)).astype(np.int32),
        quality,
        (within + between) / 2,
        float(kappa),
        float(nu) if family.truth == "hierarchy" else np.nan,
        length if family.truth == "copula" else np.nan,
        budget,
    )


def draw_truth(
    name: str, key: tuple[int, ...], problem: Instance, draws: int
) -> Float[Array, "draws k"]:
    """Draws of x = -log(1 - p) under what is true of a problem; 0 for padding."""
    truth = FAMILIES[name].truth
    if truth == "copula":
        found = _copula(jax.random.key(key[-1]), problem, draws)
    else:
        rng = np.random.default_rng(key)
        q, kappa, nu = problem.quality, problem.concentration, problem.within_concentration
        some = q > 0
        m = np.zeros((draws, K))
        m[:, some] = rng.beta(kappa * q[some], kappa * (1 - q[some]), (draws, some.sum()))
        p = m[:, problem.directions]
        if truth == "hierarchy":
            # A share that has underflowed is 0, and then stays so.
            p = rng.beta(np.maximum(nu * p, 1e-300), np.maximum(nu * (1 - p), 1e-300))
        with np.errstate(divide="ignore"):
            found = jnp.asarray(-np.log1p(-p))
    return jnp.where(problem.mask, found, 0)


def _copula(key: Any, problem: Instance, draws: int) -> Array:
    w, kappa = jnp.asarray(problem.weights), jnp.asarray(problem.concentration)
    s, length = jnp.asarray(problem.similarity), jnp.asarray(problem.length)
    c = copula_correlation(s, similarity_temperature=length, mask=problem.mask).correlation
    return copula_draws(key, w, kappa, c, num_draws=draws)


def _softmax(scores: np.ndarray) -> np.ndarray:
    each = np.exp((scores - scores.max()) / QUALITY_TEMPERATURE)
    return each / each.sum()


def _cosines(
    rng: np.random.Generator, labels: np.ndarray, within: float, between: float
) -> np.ndarray:
    """Unit vectors of a common, a direction's and an own part, whose cosines scatter."""
    g, k = labels.max() + 1, labels.size
    parts = rng.normal(size=(g + k, _DIMENSION))
    parts /= np.linalg.norm(parts, axis=-1, keepdims=True)
    shared, own = np.sqrt(within - between) * parts[:g][labels], np.sqrt(1 - within) * parts[g:]
    e = np.concatenate([np.full((k, 1), np.sqrt(between)), shared, own], -1)
    s = np.clip(e @ e.T, -1, 1)
    np.fill_diagonal(s, 1)
    return (s + s.T) / 2


def _padded(weights: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    k = weights.size
    wide = np.eye(K)
    wide[:k, :k] = matrix
    return np.pad(weights, (0, K - k)), wide
