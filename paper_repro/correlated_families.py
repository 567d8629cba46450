"""Families of correlated problems whose truth is known: U, E, H and D of theory 8.3.3.

U and E are copula priors of known length T: candidates' scores differ and mean it (U), or are equal
in a direction (E). H is the hierarchy of theory 5.1 and D DORA's model, one chance per direction;
in both the noise of scores is noise. All problems are padded to 32 candidates, so that one program
is compiled.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt

FAMILIES = ("U", "E", "H", "D")
K = 32
QUALITY_TEMPERATURE = 0.1
LENGTHS = (0.03, 0.1, 0.3, 1.0)
_DIMENSION = 32


class Instance(NamedTuple):
    """A problem, padded; what is NaN does not apply to its family.

    Attributes:
        weights: w that rules see, `(32,)`.
        similarity: cosines, `(32, 32)`.
        mask: false for padding.
        directions: labels.
        quality: true Q of the directions, `(32,)`; 0 beyond them.
        threshold: of similarity, half way between inside and across.
        concentration: κ.
        within_concentration: ν of H.
        length: T of U and E.
        budget: N.
    """

    weights: np.ndarray
    similarity: np.ndarray
    mask: np.ndarray
    directions: np.ndarray
    quality: np.ndarray
    threshold: float
    concentration: float
    within_concentration: float
    length: float
    budget: int


def draw(family: str, number: int, seed: int = 0) -> Instance:
    """Instance number `number` of a family, whatever others are drawn."""
    rng = np.random.default_rng([seed, FAMILIES.index(family), number])
    k = int(rng.choice([8, 16, 32]))
    g = int(rng.integers(2, k // 3 + 1))
    labels = np.concatenate([np.arange(g), rng.choice(g, k - g, p=rng.dirichlet(np.ones(g)))])
    scores = rng.uniform(-0.25, 0.25, g)
    within, between = rng.choice([0.8, 0.9, 0.97]), rng.choice([0.4, 0.7])
    similarity = _cosines(rng, labels, within, between)
    kappa, nu = rng.choice([0.25, 0.5, 1, 2, 4]), rng.choice([0.5, 2, 8])
    budget, length = int(rng.choice([8, 32, 128])), float(rng.choice(LENGTHS))
    noise = {"U": 0.05, "E": 0.0}.get(family, rng.choice([0, 0.05, 0.1]))
    own = scores[labels] + noise * rng.normal(size=k)
    weights = _softmax(own)
    if family in "UE":
        c = np.exp((similarity - 1) / length)
        weights = weights / float(dt.root_weights(*_padded(weights, c)).exponent)
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
        float(nu) if family == "H" else np.nan,
        length if family in "UE" else np.nan,
        budget,
    )


def truth(family: str, seed: int, problem: Instance, draws: int) -> jax.Array:
    """Draws of x = -log(1 - p) under what is true of a problem, `(draws, 32)`; 0 for padding."""
    if family in "UE":
        found = _copula(jax.random.key(seed), problem, draws)
    else:
        rng = np.random.default_rng([1, seed])
        q, kappa, nu = problem.quality, problem.concentration, problem.within_concentration
        some = q > 0
        m = np.zeros((draws, K))
        m[:, some] = rng.beta(kappa * q[some], kappa * (1 - q[some]), (draws, some.sum()))
        p = m[:, problem.directions]
        if family == "H":
            # A share that has underflowed is 0, and then stays so.
            p = rng.beta(np.maximum(nu * p, 1e-300), np.maximum(nu * (1 - p), 1e-300))
        with np.errstate(divide="ignore"):
            found = jnp.asarray(-np.log1p(-p))
    return jnp.where(problem.mask, found, 0)


def _copula(key: Any, problem: Instance, draws: int) -> jax.Array:
    w, kappa = jnp.asarray(problem.weights), jnp.asarray(problem.concentration)
    s, length = jnp.asarray(problem.similarity), jnp.asarray(problem.length)
    c = dt.copula_correlation(s, similarity_temperature=length, mask=problem.mask).correlation
    return dt.copula_draws(key, w, kappa, c, num_draws=draws)


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
