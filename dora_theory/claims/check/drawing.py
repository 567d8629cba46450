"""Random directions, sizes, concentrations and similarities that the claims are tried on."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from dora_theory.claims.check.claim import Instances

# From a key and a static count n to n random values, traceable.
Draw = Callable[[Array, int], Array]


def instances(**fields: Draw) -> Callable[[Array, int], Instances]:
    """Instances whose fields are drawn independently, each by a key of its own, in their order."""

    def draw(key: Array, n: int) -> Instances:
        keys = jax.random.split(key, len(fields))
        return {name: of(k, n) for (name, of), k in zip(fields.items(), keys, strict=True)}

    return draw


def integers(low: int, high: int | Array, *shape: int) -> Draw:
    """Draws of integers from low to high, both included, shape `(n, *shape)`."""
    return lambda key, n: whole(key, (n, *shape), low, high)


def uniform(*shape: int, minval: float = 0.0, maxval: float = 1.0) -> Draw:
    """Draws of numbers in [minval, maxval), shape `(n, *shape)`."""
    return lambda key, n: jax.random.uniform(key, (n, *shape), minval=minval, maxval=maxval)


def log_uniform(low: float, high: float) -> Draw:
    """Draws by `logarithmic`."""
    return lambda key, n: logarithmic(key, n, low, high)


def powers(low: int, high: int) -> Draw:
    """Draws by `powers_of_two`."""
    return lambda key, n: powers_of_two(key, n, low, high)


def simplex(directions: int, spread: float = 3.0) -> Draw:
    """Draws by `qualities`."""
    return lambda key, n: qualities(key, n, directions, spread)


def qualities(key: Array, n: int, directions: int, spread: float = 3.0) -> Array:
    """Qualities with sum 1, from nearly equal to far apart, shape `(n, directions)`."""
    one, two = jax.random.split(key)
    scale = jax.random.uniform(one, (n, 1), maxval=spread)
    return jax.nn.softmax(scale * jax.random.normal(two, (n, directions)), -1)


def logarithmic(key: Array, n: int, low: float, high: float) -> Array:
    """Numbers in [low, high], uniform in their logarithm, shape `(n,)`."""
    ends = jnp.log(jnp.array([low, high]))
    return jnp.exp(jax.random.uniform(key, (n,), minval=ends[0], maxval=ends[1]))


def powers_of_two(key: Array, n: int, low: int, high: int) -> Array:
    """2^e with e from low to high: binary fractions, exact as rationals; shape `(n,)`."""
    return 2.0 ** jax.random.randint(key, (n,), low, high + 1)


def whole(key: Array, shape: tuple[int, ...], low: int, high: int | Array) -> Array:
    """Integers from low to high, both included."""
    return jax.random.randint(key, shape, low, high + 1)


def shares(parts: Array) -> Array:
    """Whole parts over their sum."""
    return parts / parts.sum(-1, keepdims=True)


def sizes_of(labels: Array, directions: int) -> Array:
    """Number of candidates of each direction, shape `(n, directions)`."""
    return jax.nn.one_hot(labels, directions).sum(-2)


def present(quality: Array, sizes: Array) -> Array:
    """Qualities of the directions that have candidates, with sum 1."""
    there = jnp.where(sizes > 0, quality, 0)
    return there / there.sum(-1, keepdims=True)


def block_similarity(labels: Array, inside: Array, across: Array) -> Array:
    """Cosines of candidates: 1 with itself, s_in inside a direction, s_out across; `(n, k, k)`."""
    same = labels[:, :, None] == labels[:, None, :]
    cosine = jnp.where(same, inside[:, None, None], across[:, None, None])
    return jnp.where(jnp.eye(labels.shape[-1], dtype=bool), 1, cosine)


def cosines(key: Array, n: int) -> tuple[Array, Array]:
    """s_in in (0.3, 1] and s_out below it by 0.05 to 1, each of shape `(n,)`."""
    one, two = jax.random.split(key)
    inside = 1 - 0.7 * jax.random.uniform(one, (n,)) ** 3
    return inside, inside - jax.random.uniform(two, (n,), minval=0.05)
