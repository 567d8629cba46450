"""What kernels are given where they are measured: sizes, and random problems of each."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from dora_theory.kernels.divisor import largest_priorities
from dora_theory.kernels.random_words import stream

# Directions of a problem of Monte Carlo.
UNITS = 4


class Weights(NamedTuple):
    """Those of an allocation: candidates of a row, and what is special about them."""

    k: int
    ties: bool = False
    own: bool = False
    wide: bool = False
    masked: bool = False

    def __str__(self) -> str:
        """As predictions name a row."""
        special = ", own offsets" * self.own + ", masked" * self.masked + ", with ties" * self.ties
        return f"k = {self.k}{special} float{64 if self.wide else 32}"


class Sizes(NamedTuple):
    """How much each measurement takes; `DRY` is to see that it runs, in interpret mode."""

    copied: int  # float32 numbers
    side: int  # of the square product
    allocations: tuple[Weights, ...]  # ragged ones among them
    weights: int  # of all problems of an allocation
    shapes: tuple[tuple[int, int, int], ...]  # problems, k and d of γ
    strategies: tuple[int, ...]  # of Monte Carlo
    problems: int
    samples: int


FULL = Sizes(
    copied=1 << 28,
    side=8192,
    allocations=(
        Weights(1),
        Weights(5, own=True),
        Weights(8),
        Weights(64),
        Weights(64, masked=True),
        Weights(64, wide=True),
        Weights(100, own=True),
        Weights(1000),
        Weights(4096),
        Weights(8192),
        *(Weights(k, ties=True) for k in (8, 64, 1000, 4096, 8192)),
    ),
    weights=1 << 26,
    shapes=(
        (65536, 1, 16),
        (65536, 8, 384),
        (1024, 8, 384),
        (16384, 100, 16),
        (256, 1000, 384),
        (16, 1000, 384),
        (1, 8192, 1024),
    ),
    strategies=(1, 3, 11),
    problems=4096,
    samples=4096,
)
DRY = Sizes(
    1 << 16,
    64,
    (Weights(8, own=True), Weights(20, ties=True)),
    1 << 8,
    ((2, 20, 16),),
    (3,),
    3,
    300,
)


def of_shape(shape: tuple[int, int, int]) -> str:
    problems, k, d = shape
    return f"{problems} × k = {k}, d = {d}"


def of_allocation(weights: Weights, numbers: int) -> tuple[list[jax.Array | None], Any]:
    """Arguments of exact allocation for random weights, and a call for the right counts."""
    rng = np.random.default_rng(0)
    k, dtype = weights.k, np.float64 if weights.wide else np.float32
    rows = numbers // k
    shape = min(rows, 4096), k
    made = rng.dirichlet(np.full(k, 0.3), size=shape[0])
    if weights.ties:
        scores = rng.uniform(size=shape).round(1)
        made = np.asarray(dt.quality_weights(scores, quality_temperature=0.1))
    offsets = rng.uniform(0.5, 2, size=shape) if weights.own else np.ones((1, 1))
    repeats = -(-rows // shape[0])

    def all_rows(x: Any) -> Any:
        return np.tile(x, (repeats, 1))[:rows]

    def arguments(w: Any, c: Any) -> tuple[Any, ...]:
        mask = np.ones(w.shape, bool) if weights.masked else None
        return w, c, np.full(len(w), 4 * k, np.int32), mask

    made, offsets = made.astype(dtype), offsets.astype(dtype)
    with jax.enable_x64(weights.wide):
        whole = arguments(all_rows(made), all_rows(offsets) if weights.own else offsets)
        given = [None if x is None else jnp.asarray(x) for x in whole]

    def exact() -> Any:
        # A GPU does not round every float32 quotient correctly outside of the kernel, a CPU does.
        with jax.enable_x64(weights.wide), jax.default_device(jax.devices("cpu")[0]):
            return all_rows(np.asarray(jax.jit(largest_priorities)(*arguments(made, offsets))))

    return given, exact


def of_similarity(shape: tuple[int, int, int]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Arguments of sums over similarities of random directions."""
    e = jax.random.normal(jax.random.key(1), shape)
    unit = e / jnp.linalg.norm(e, axis=-1, keepdims=True)
    return unit, jnp.ones(shape[:2]), jnp.full(shape[0], 0.1)


def of_outcomes(strategies: int, sizes: Sizes) -> tuple[Any, ...]:
    """Arguments of expected outcomes of random priors of strength 1."""
    rng, problems, samples = np.random.default_rng(0), sizes.problems, sizes.samples
    alpha = rng.uniform(0.01, 1, size=(UNITS, problems)).astype(np.float32)
    return (
        stream(jax.random.key(0), jnp.arange(problems, dtype=jnp.uint32)[:, None]),
        jnp.asarray(alpha),
        jnp.asarray(1 - alpha),
        jnp.asarray(rng.integers(0, 32, size=(UNITS, strategies, problems)), jnp.int32),
        jnp.arange(samples, dtype=jnp.uint32),
        jnp.ones(samples, bool),
    )
