"""Synthetic problems: directions, candidates, true success, PRM scores, similarities.

A population says how problems are made; `draw_problems` makes problem number n of it from the key
and n alone. What is true of a problem is the hierarchy of theory 5.1: a direction j of quality Q_j
has m_j ~ Beta(κQ_j, κ(1 - Q_j)), its candidates p_i ~ Beta(νm_j, ν(1 - m_j)), or all m_j itself.
What a strategy sees of it are scores and similarities, each as wrong as one says.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt32

from dora_theory._checks import check_key, check_number, check_range, check_type, check_whole, named
from dora_theory._pytrees import checked_pytree
from dora_theory.allocation.optimal import apportion
from dora_theory.model.quality import masked_softmax
from dora_theory.strategies.problems import Problems

Sizes = Literal["equal", "zipf", "crp"]

# Ranges of what is traced. Ratios and products of two such numbers are in that of float32.
_LEAST, _MOST = 1e-12, 1e12
_POSITIVE = "skew", "quality_temperature", "concentration", "within_concentration"
_NOT_NEGATIVE = "spread", "difficulty", "noise", "direction_noise"
_ANY = "level", "slope", "offset"
_OPTIONAL = "within_concentration", "level"


_STATIC = "num_candidates", "num_directions", "sizes", "min_candidates", "quality", "dimension"


@partial(checked_pytree, static=_STATIC)
@dataclass(frozen=True)
class Population:
    """How problems are made. Numbers may be traced; what decides shapes is static.

    What is positive is from 1e-12 to 1e12, what may be 0 or negative at most 1e12 in size.

    Attributes:
        num_candidates: k ≥ 1, the most candidates of a problem.
        num_directions: g from 1 to k, the most directions of a problem.
        sizes: how candidates are shared among directions: `"equal"`; `"zipf"`, in proportion to
            j^-skew with at least one each; `"crp"`, the Chinese restaurant process of concentration
            `skew`, which opens no table beyond g; or the sizes themselves, g positive integers
            of sum k.
        skew: positive: exponent of `"zipf"`, concentration of `"crp"`.
        discount: of `"crp"`, in [0, 1): above 0 it is Pitman and Yor's process, with more of the
            smallest tables beside the same large ones.
        min_candidates: the fewest candidates of a problem, from 1 to k; their number is uniform
            from here to k, and the candidates beyond it are padding. None for k.
        quality: Q of the directions, g numbers in [0, 1], the same in every problem; None for
            qualities made of latent scores r_j uniform in [0, spread].
        level: None for Q = softmax(r/T), which sums to 1 in a problem. A number for problems whose
            directions may all be good or all bad: Q_j = sigmoid(level + difficulty ε + r_j/T), ε
            standard normal and one for a problem.
        difficulty: standard deviation ≥ 0 of that shift, which strategies do not see: all that they
            do with scores stays the same if a number is added to all scores of a problem.
        quality_temperature: T > 0 of either; scores are right when it is the strategies' T_b.
        spread: range ≥ 0 of the latent scores.
        concentration: κ > 0 of the directions. From about 1e6 on p_j is Q_j, "given".
        within_concentration: ν > 0 of candidates around their direction; None for one shared p.
        slope: PRM scores are R_i = offset + slope r_j + direction_noise ε_j + noise ε_i, ε standard
            normal. (1, 0, 0, 0) is a calibrated PRM; a slope below 1 is one that hedges.
        offset: the same error for all, which softmax does not see.
        noise: standard deviation ≥ 0 of a candidate's own error.
        direction_noise: standard deviation ≥ 0 of an error that a direction's candidates share.
        similarity_within: s_in, expected cosine of two candidates of one direction.
        similarity_between: s_out, expected cosine of two of different ones, 0 ≤ s_out ≤ s_in ≤ 1.
        cost_spread: standard deviation ≥ 0 of the logarithm of what a rollout of a candidate costs,
            which is log-normal of mean 1, known to strategies, and independent of all else; at most
            3. None for a cost of 1 each.
        dimension: d ≥ 0; 0 for the expected similarities themselves, else embeddings of 1 + 2d
            numbers, whose cosines scatter about them by about 1/sqrt(d).

    Raises:
        ValueError: a value out of its range.

    Examples:
        >>> population = dt.Population(num_candidates=8, num_directions=2)
        >>> dt.draw_problems(jax.random.key(0), population, 4).scores.shape
        (4, 8)
    """

    num_candidates: int = 16
    num_directions: int = 4
    sizes: Sizes | tuple[int, ...] = "zipf"
    skew: Any = 1.0
    discount: Any = 0.0
    min_candidates: int | None = None
    quality: tuple[float, ...] | None = None
    quality_temperature: Any = 0.1
    spread: Any = 0.3
    level: Any = None
    difficulty: Any = 0.0
    concentration: Any = 1.0
    within_concentration: Any = None
    slope: Any = 1.0
    offset: Any = 0.0
    noise: Any = 0.0
    direction_noise: Any = 0.0
    similarity_within: Any = 0.95
    similarity_between: Any = 0.7
    dimension: int = 0
    cost_spread: Any = None

    def __post_init__(self) -> None:
        """Checks the values."""
        self.checked()

    def checked(self) -> "Population":
        """The population itself, if its values are in their ranges; else `ValueError`."""
        _check_shapes(self)
        for names, least in ((_POSITIVE, _LEAST), (_NOT_NEGATIVE, 0), (_ANY, -_MOST)):
            for name in names:
                value = getattr(self, name)
                if value is not None or name not in _OPTIONAL:
                    check_number(name, value, least, _MOST)
        if self.cost_spread is not None:
            # Far beyond it costs leave float32.
            check_number("cost_spread", self.cost_spread, 0, 3)
        check_number("discount", self.discount, 0, 1, high_open=True)
        if self.level is None:
            # Softmax does not see it: a number that does nothing is a mistake.
            check_range("difficulty without a level", self.difficulty, 0, 0)
        inside, across = self.similarity_within, self.similarity_between
        check_number("similarity_within", inside, 0, 1)
        check_number("similarity_between", across, 0, 1)
        check_range("similarity_within - similarity_between", inside - across, 0, 1)
        return self

    def with_changes(self, **changes: Any) -> "Population":
        """The same population but for the named attributes, checked."""
        return replace(self, **changes)


def draw_problems(
    key: Key[Array, ""] | UInt32[Array, "2"],
    population: Population,
    num_problems: int,
    *,
    first: int = 0,
) -> Problems:
    """Problems number `first` to `first + num_problems - 1` of a population.

    Args:
        key: JAX random key.
        population: how they are made.
        num_problems: how many, at least one.
        first: number of the first; problem n is the same whatever else is drawn.

    Returns:
        The problems, of JAX's default float dtype.

    Raises:
        ValueError: a value of the population out of its range, a count below one, a number that is
            not of 32 bits.
        TypeError: not a JAX key, or not a `Population`.

    Examples:
        >>> population = dt.Population(num_candidates=8, num_directions=2)
        >>> dt.draw_problems(jax.random.key(0), population, 4).scores.shape
        (4, 8)
    """
    check_key("key", key)
    check_type("population", population, Population)
    population.checked()
    num_problems = check_whole("num_problems", num_problems, 1, 2**32 - 1)
    first = check_whole("first", first, 0, 2**32 - num_problems)
    return problems_at(
        key, population, jnp.arange(num_problems, dtype=jnp.uint32) + np.uint32(first)
    )


@jax.jit
def problems_at(key: Array, population: Population, numbers: UInt32[Array, " n"]) -> Problems:
    """The problems of the given numbers, unchecked, for use under `jit`."""
    return jax.vmap(_problem, (None, None, 0))(key, population, numbers)


def _problem(key: Array, population: Population, number: Array) -> Problems:
    k, g = population.num_candidates, population.num_directions
    keys = jax.random.split(jax.random.fold_in(key, number), 7)
    # In random order, so that neither padding nor contiguous groups see directions.
    labels = jax.random.permutation(keys[0], _labels(keys[1], population))
    fewest = k if population.min_candidates is None else population.min_candidates
    mask = jnp.arange(k) < jax.random.randint(keys[2], (), fewest, k + 1)
    exists = jnp.zeros(g, bool).at[labels].max(mask)

    latent, quality = _quality(keys[3], keys[6], population, exists)
    noise = jax.random.normal(keys[4], (g + k,))
    of_direction = population.slope * latent + population.direction_noise * noise[:g]
    scores = population.offset + of_direction[labels] + population.noise * noise[g:]

    similarity = embeddings = None
    if population.dimension:
        embeddings = _embeddings(keys[5], population, labels)
    else:
        same = labels[:, None] == labels[None, :]
        similarity = jnp.where(same, population.similarity_within, population.similarity_between)
        similarity = jnp.where(jnp.eye(k, dtype=bool), 1.0, similarity)
    nu, costs = population.within_concentration, None
    if (s := population.cost_spread) is not None:
        # By a key of its own: all else is as without costs.
        normal = jax.random.normal(jax.random.fold_in(keys[6], 1), (k,))
        costs = jnp.exp(s * normal - s**2 / 2)
    return Problems(
        scores=jnp.where(mask, scores, 0.0),
        directions=labels,
        mask=mask,
        quality=quality,
        concentration=jnp.asarray(population.concentration, scores.dtype),
        within_concentration=None if nu is None else jnp.asarray(nu, scores.dtype),
        similarity=similarity,
        embeddings=embeddings,
        costs=costs,
    )


def _labels(key: Array, population: Population) -> Int[Array, " k"]:
    """The direction of each candidate, before they are shuffled."""
    k, g = population.num_candidates, population.num_directions
    place = jnp.arange(k, dtype=jnp.int32)
    if population.sizes == "equal":
        return place % g
    if population.sizes == "crp":
        return _restaurant(key, k, g, population.skew, population.discount)
    if population.sizes == "zipf":
        # Adams' method gives each direction its first candidate before any a second one.
        shares = jnp.arange(1.0, g + 1) ** -jnp.asarray(population.skew, float)
        # A share that underflows is still one.
        shares = jnp.maximum(shares, 1e-30)
        sizes = apportion(shares / shares.sum(), k, divisor=0)
    else:
        sizes = jnp.asarray(population.sizes, jnp.int32)
    return jnp.searchsorted(jnp.cumsum(sizes), place, side="right").astype(jnp.int32)


def _restaurant(
    key: Array, k: int, g: int, skew: Array | float, discount: Array | float
) -> Int[Array, " k"]:
    """Each guest joins a table in proportion to its guests, or opens one in proportion to skew.

    Every table gives its discount to the one that is not open yet (Pitman and Yor 1997).
    """

    def seat(guests: Array, key: Array) -> tuple[Array, Array]:
        tables = (guests > 0).sum()
        joins = jnp.where(guests > 0, guests - discount, 0)
        opens = (jnp.arange(g) == tables) * (skew + discount * tables)
        table = jax.random.categorical(key, jnp.log(joins + opens)).astype(jnp.int32)
        return guests.at[table].add(1), table

    return jax.lax.scan(seat, jnp.zeros(g), jax.random.split(key, k))[1]


def _quality(
    key: Array, shift: Array, population: Population, exists: Array
) -> tuple[Array, Array]:
    """Latent scores and qualities of the directions."""
    if population.quality is not None:
        quality = jnp.asarray(population.quality, float)
        latent = population.quality_temperature * jnp.log(jnp.maximum(quality, 1e-30))
        return latent, jnp.where(exists, quality, 0)
    latent = population.spread * jax.random.uniform(key, exists.shape)
    if population.level is not None:
        logits = latent / population.quality_temperature
        logits += population.level + population.difficulty * jax.random.normal(shift)
        return latent, jnp.where(exists, jax.nn.sigmoid(logits), 0)
    return latent, masked_softmax(latent, exists, population.quality_temperature)


def _embeddings(key: Array, population: Population, labels: Array) -> Float[Array, "k d"]:
    """Unit vectors of exactly the stated expected cosines.

    Three orthogonal parts: one coordinate in common, whose square is s_out; a random direction of
    each direction, s_in - s_out; a random direction of each candidate, 1 - s_in.
    """
    g, d = population.num_directions, population.dimension
    inside, across = population.similarity_within, population.similarity_between
    parts = jax.random.normal(key, (g + labels.size, d))
    parts = parts / jnp.linalg.norm(parts, axis=-1, keepdims=True)
    common = jnp.full((labels.size, 1), jnp.sqrt(across))
    shared = jnp.sqrt(inside - across) * parts[:g][labels]
    own = jnp.sqrt(1 - jnp.asarray(inside, parts.dtype)) * parts[g:]
    return jnp.concatenate([common.astype(parts.dtype), shared, own], -1)


def _check_shapes(population: Population) -> None:
    k = check_whole("num_candidates", population.num_candidates, 1)
    g = check_whole("num_directions", population.num_directions, 1)
    if g > k:
        raise ValueError(f"num_directions = {g}: needs 1 to {k}, num_candidates")
    if (
        population.min_candidates is not None
        and check_whole("min_candidates", population.min_candidates, 1) > k
    ):
        raise ValueError(
            f"min_candidates = {population.min_candidates}: needs 1 to {k}, num_candidates"
        )
    check_whole("dimension", population.dimension)
    sizes, quality = population.sizes, population.quality
    if isinstance(sizes, str):
        if sizes not in get_args(Sizes):
            wants = ", ".join(get_args(Sizes))
            raise ValueError(f"sizes = {sizes!r}: needs one of {wants}, or {g} sizes")
    elif not isinstance(sizes, tuple) or len(sizes) != g:
        raise ValueError(
            f"sizes = {named(sizes)}: needs a tuple of {g} positive numbers of sum {k}"
        )
    elif sum(check_whole(f"sizes[{i}]", x, 1) for i, x in enumerate(sizes)) != k:
        raise ValueError(f"sizes = {named(sizes)}: needs {g} positive numbers of sum {k}")
    if quality is not None:
        if population.level is not None:
            raise ValueError(f"level = {population.level}: quality is given, which needs None")
        if not isinstance(quality, tuple) or len(quality) != g:
            raise ValueError(f"quality = {named(quality)}: needs a tuple of {g} numbers")
        for i, value in enumerate(quality):
            check_number(f"quality[{i}]", value, 0, 1)
