"""Runs one strategy on many problems of different sizes, in a few padded batches.

Sizes are rounded up to few values, so that few shapes are compiled whatever the file holds. Rows
are filled up with copies of the last problem, and candidates with masked padding.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dora_theory.allocation.hierarchical import (
    correlated_allocation,
    direction_allocation,
    hierarchical_log_failure,
)
from dora_theory.allocation.optimal import apportion, optimal_allocation
from dora_theory.allocation.rules import (
    beam_allocation,
    dvts_allocation,
    rebase_sequential_allocation,
    round_allocation,
    sequential_ceiling_allocation,
    temperature_allocation,
)
from dora_theory.allocation.waterfill import waterfill_allocation
from dora_theory.io.problem_lines import Problem
from dora_theory.model.directions import Pool, direction_totals, direction_weights, pooled_weights
from dora_theory.model.magnitude import magnitude_weighting, magnitude_weighting_from_similarity
from dora_theory.model.objective import log_failure
from dora_theory.model.similarity import (
    normalised,
    quality_weights,
    uniqueness,
    uniqueness_from_similarity,
)
from dora_theory.strategies.registry import STRATEGIES, Options

# Smallest padded number of candidates, and of directions.
_LEAST = 8


class Answer(NamedTuple):
    """Attributes: allocation and weights of each candidate; log failure, None if κ is not given."""

    allocation: list[int] | list[float]
    weights: list[float]
    log_failure: float | None


def answer(problems: Sequence[Problem], options: Options) -> list[Answer]:
    """Allocates the budget of each problem, in float64.

    Args:
        problems: problems that have what the strategy needs.
        options: strategy, budget and the rest, the same for all.

    Returns:
        An answer for each problem, in order.
    """
    groups: dict[tuple, list[int]] = {}
    for i, problem in enumerate(problems):
        groups.setdefault(_shape(problem, options), []).append(i)
    answers: list[Answer | None] = [None] * len(problems)
    with jax.enable_x64(True):
        for shape, members in groups.items():
            found = _answer_group([problems[i] for i in members], shape, options)
            for i, each in zip(members, found, strict=True):
                answers[i] = each
    return [each for each in answers if each is not None]


class _Program(NamedTuple):
    """What is compiled in. Numbers are not: a budget or κ more is no program more."""

    strategy: str
    literal: bool
    beam_width: int
    pool: Pool
    points: int


# The fields of a padded problem with their padded shapes: what decides which program runs.
_Shape = tuple[tuple[str, tuple[int, ...]], ...]


def _shape(problem: Problem, options: Options) -> _Shape:
    """The fields that are used, with their padded shapes."""
    strategy = STRATEGIES[options.strategy]
    k = _round_up(problem.size, _LEAST)
    fields: dict[str, tuple[int, ...]] = {"mask": (k,)}
    if problem.scores is not None:
        fields["scores"] = (k,)
    if problem.weights is not None:
        fields["weights"] = (k,)
    if strategy.geometry and problem.embeddings is not None:
        fields["embeddings"] = (k, _round_up(problem.embeddings.shape[1], 1))
    if strategy.geometry and problem.similarity is not None:
        fields["similarity"] = (k, k)
    if problem.directions is not None and (strategy.directions or options.kappa is not None):
        fields["directions"] = (k,)
        g = _round_up(_num_directions(problem), _LEAST)
        fields["exists"] = (g,)
        if problem.direction_weights is not None:
            fields["direction_weights"] = (g,)
    return tuple(fields.items())


def _num_directions(problem: Problem) -> int:
    return 0 if problem.directions is None else int(problem.directions.max()) + 1


def _round_up(size: int, least: int) -> int:
    """The next power of two, or of many thousands the next thousand, so that little is padding."""
    return max(least, 1 << (size - 1).bit_length()) if size <= 1024 else -(-size // 1024) * 1024


def _pad(problems: Sequence[Problem], shape: _Shape) -> dict[str, np.ndarray]:
    """The fields of `shape`, zero beyond each problem's own, with a leading axis of problems."""
    rows = 4 ** ((len(problems) - 1).bit_length() + 1 >> 1)
    padded = {}
    for field, inner in shape:
        if field == "mask":
            values = [np.ones(problem.size, bool) for problem in problems]
        elif field == "exists":
            values = [np.ones(_num_directions(problem), bool) for problem in problems]
        else:
            values = [getattr(problem, field) for problem in problems]
        array = np.zeros((rows, *inner), dtype=values[0].dtype)
        for row, value in zip(array, values, strict=False):
            row[tuple(map(slice, value.shape))] = value
        array[len(problems) :] = array[len(problems) - 1]
        padded[field] = array
    return padded


def _answer_group(problems: Sequence[Problem], shape: _Shape, options: Options) -> list[Answer]:
    # The account of the correlated optimum is as long as the budget, in powers of two.
    points = _round_up(options.budget, _LEAST) if options.strategy == "correlated" else 0
    pool = cast(Pool, options.pool)
    program = _Program(options.strategy, options.literal, options.beam_width, pool, points)
    names = ("budget", "quality_temperature", "similarity_temperature", "kappa", "nu")
    numbers = {name: getattr(options, name) for name in names}
    arrays = _pad(problems, shape)
    arrays |= {name: np.asarray(x) for name, x in numbers.items() if x is not None}
    computed = _compute(arrays, program)
    allocations, weights, log_failures = (
        None if x is None else np.asarray(x)[: len(problems)] for x in computed
    )
    assert allocations is not None
    assert weights is not None
    return [
        Answer(
            allocations[i, : problem.size].tolist(),
            weights[i, : problem.size].tolist(),
            # Adding 0 makes -0 the 0 that a reader expects.
            None if log_failures is None else float(log_failures[i]) + 0.0,
        )
        for i, problem in enumerate(problems)
    ]


@partial(jax.jit, static_argnames="program")
def _compute(arrays: dict[str, Array], program: _Program) -> tuple[Array, Array, Array | None]:
    """Allocation and weights, `(rows, k)`, and log failure, `(rows)`, of padded problems."""
    quality = _quality(arrays, program)
    by_direction = _direction_quality(arrays, program) if "directions" in arrays else None
    weights = _shares(arrays, program, quality, by_direction)
    allocation = _allocation(arrays, program, weights, by_direction)
    if "kappa" not in arrays:
        return allocation, weights, None
    if by_direction is None:
        assert quality is not None
        chance = log_failure(quality, arrays["kappa"], allocation, mask=arrays["mask"])
    elif program.strategy == "correlated":
        chance = hierarchical_log_failure(
            by_direction,
            arrays["directions"],
            arrays["kappa"],
            arrays["nu"],
            allocation,
            points=program.points,
            mask=arrays["mask"],
        )
    else:
        totals = direction_totals(allocation, arrays["directions"], by_direction.shape[-1])
        chance = log_failure(by_direction, arrays["kappa"], totals, mask=arrays["exists"])
    return allocation, weights, chance


def _quality(arrays: dict[str, Array], program: _Program) -> Array | None:
    """w: as given, or the softmax of the scores; None if only directions have a quality."""
    if "scores" in arrays:
        return quality_weights(arrays["scores"], arrays["quality_temperature"], mask=arrays["mask"])
    return arrays.get("weights")


def _direction_quality(arrays: dict[str, Array], program: _Program) -> Array:
    """Q: as given, or from the pooled scores of each direction."""
    if "direction_weights" in arrays:
        return arrays["direction_weights"]
    labels, g = arrays["directions"], arrays["exists"].shape[-1]
    if "scores" not in arrays:
        return pooled_weights(arrays["weights"], labels, g, pool=program.pool, mask=arrays["mask"])
    return direction_weights(
        arrays["scores"],
        labels,
        g,
        pool=program.pool,
        temperature=arrays["quality_temperature"],
        mask=arrays["mask"],
    )


def _shares(
    arrays: dict[str, Array], program: _Program, quality: Array | None, by_direction: Array | None
) -> Array:
    """What the strategy shares the budget by, for each candidate."""
    mask = arrays["mask"]
    if STRATEGIES[program.strategy].directions:
        assert by_direction is not None
        members = direction_totals(
            mask.astype(jnp.int32), arrays["directions"], by_direction.shape[-1]
        )
        each = by_direction / jnp.maximum(members, 1)
        return jnp.where(mask, jnp.take_along_axis(each, arrays["directions"], -1), 0)
    assert quality is not None
    if not STRATEGIES[program.strategy].geometry:
        return quality
    alike = "similarity" if "similarity" in arrays else "embeddings"
    measures: dict[tuple[str, str], Callable[..., Array]] = {
        ("dora", "embeddings"): uniqueness,
        ("dora", "similarity"): uniqueness_from_similarity,
        ("magnitude", "embeddings"): magnitude_weighting,
        ("magnitude", "similarity"): magnitude_weighting_from_similarity,
    }
    measure = measures[program.strategy, alike]
    shares = quality * measure(arrays[alike], arrays["similarity_temperature"], mask=mask)
    return normalised(shares)


def _allocation(
    arrays: dict[str, Array], program: _Program, weights: Array, by_direction: Array | None
) -> Array:
    n, literal, mask = arrays["budget"], program.literal, arrays["mask"]
    ranked = arrays.get("scores", weights)
    match program.strategy:
        case "temperature":
            return temperature_allocation(ranked, n, literal=literal, mask=mask)
        case "beam" | "dvts":
            rule = beam_allocation if program.strategy == "beam" else dvts_allocation
            return rule(ranked, n, beam_width=program.beam_width, literal=literal, mask=mask)
        case "rebase" | "dora" | "magnitude":
            return round_allocation(weights, n) if literal else apportion(weights, n, mask=mask)
        case "rebase-sequential":
            if "scores" in arrays:
                return rebase_sequential_allocation(
                    ranked, n, temperature=arrays["quality_temperature"], mask=mask
                )
            return sequential_ceiling_allocation(weights, n, mask=mask)
        case "optimal":
            return optimal_allocation(weights, arrays["kappa"], n, mask=mask)
        case "waterfill":
            return waterfill_allocation(weights, arrays["kappa"], n, mask=mask)
        case "direction-optimal" | "correlated":
            assert by_direction is not None
            labels, kappa = arrays["directions"], arrays["kappa"]
            if program.strategy == "direction-optimal":
                return direction_allocation(by_direction, labels, kappa, n, mask=mask)
            nu, points = arrays["nu"], program.points
            return correlated_allocation(
                by_direction, labels, kappa, nu, n, points=points, mask=mask
            )
    raise AssertionError(f"unreachable: {program.strategy}")
