"""Reads allocation problems, one JSON object a line, and says what is wrong with a line and where.

Every field that the format defines is checked wherever it occurs, needed or not, so that a file is
well formed or not whatever is done with it. Fields that the format does not define are ignored.
NumPy only: a bad file is reported before JAX is loaded.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dora_theory._errors import short
from dora_theory.io.jsonl import (
    FieldError,
    check_length,
    check_list,
    json_object,
    key_name,
    kind,
    not_both,
    numbers,
    parsed_lines,
    shown,
)

# Cosines computed in bfloat16 leave [-1, 1] by up to 2^-8 a factor.
_COSINE_SLACK = 0.01
# As for κ of the options, and for what is divided by.
_CONCENTRATIONS, _COSTS = (1e-290, 2.0**52), (1e-290, 1e290)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem as its line states it, k candidates in g directions.

    Attributes:
        id: whatever JSON value the line gave, None if none.
        size: k ≥ 1.
        scores: PRM scores in [0, 1], shape `(k,)`; None if `weights` are given.
        weights: qualities in [0, 1], shape `(k,)`; None if `scores` are given.
        embeddings: shape `(k, d)`, each row finite and not zero, or None.
        similarity: cosines, shape `(k, k)`, or None.
        directions: direction of each candidate, shape `(k,)`, numbered from 0 in the order in
            which the labels first appear, or None.
        direction_weights: qualities in [0, 1] of the directions, shape `(g,)`, or None.
        concentrations: κ > 0 of each candidate, shape `(k,)`, or None.
        costs: > 0, of a rollout of each candidate, shape `(k,)`, or None.
    """

    id: Any
    size: int
    scores: Float[np.ndarray, " k"] | None
    weights: Float[np.ndarray, " k"] | None
    embeddings: Float[np.ndarray, "k d"] | None
    similarity: Float[np.ndarray, "k k"] | None
    directions: Int[np.ndarray, " k"] | None
    direction_weights: Float[np.ndarray, " g"] | None
    concentrations: Float[np.ndarray, " k"] | None = None
    costs: Float[np.ndarray, " k"] | None = None


def read_problems(path: str) -> Iterator[tuple[str, Problem]]:
    """Problems of a JSON-lines file, in order, each with its place.

    Args:
        path: a file, gzip-compressed or not (by its first bytes), or `-` for standard input.

    Yields:
        `("file:line", Problem)`, see `parsed_lines`.

    Raises:
        InputError: the file cannot be read or a line cannot be used; the message is one line,
            `file:line: field: what`.
    """
    yield from parsed_lines(path, parse_problem)


def parse_problem(line: bytes) -> Problem:
    """The problem that a line states; `FieldError` if it states none.

    Args:
        line: a JSON object in UTF-8, see design of the command line for its fields.

    Returns:
        The problem, with every value checked.

    Raises:
        FieldError: the first thing that is wrong.
    """
    record = json_object(line)
    if "id" in record:
        try:
            json.dumps(record["id"], allow_nan=False)
        except ValueError:
            raise FieldError("id", "holds a number that JSON cannot write") from None
    # null is what many writers put for a field that they do not have.
    scores, weights, embeddings, similarity, labels, qualities, own, costs, alpha, beta = (
        record.get(field)
        for field in (
            "scores",
            "weights",
            "embeddings",
            "similarity",
            "directions",
            "direction_weights",
            "concentrations",
            "costs",
            "alpha",
            "beta",
        )
    )
    if alpha is not None or beta is not None:
        weights, own = _of_beta(alpha, beta, scores, weights, own)
    not_both("scores", scores, "weights", weights)
    not_both("embeddings", embeddings, "similarity", similarity)
    sized = [
        (field, value)
        for field, value in (("scores", scores), ("weights", weights), ("directions", labels))
        if value is not None
    ]
    if not sized or (scores is None and weights is None and qualities is None):
        found = short(", ".join(map(key_name, record)) or "nothing")
        raise FieldError("scores", f"missing: needs scores or weights, found {found}")
    for field, value in sized:
        check_list(field, value, "candidate")
    first, size = sized[0][0], len(sized[0][1])
    for field, value in sized[1:]:
        check_length(field, value, first, size)
    directions = direction_weights = None
    if labels is not None:
        directions, names = _number_labels(labels)
        if qualities is not None:
            direction_weights = _direction_weights(qualities, names)
    elif qualities is not None:
        raise FieldError("directions", "missing: direction_weights need the candidates' labels")
    for field, value in (("concentrations", own), ("costs", costs)):
        if value is not None:
            check_list(field, value, "candidate")
            check_length(field, value, first, size)
    return Problem(
        id=record.get("id"),
        size=size,
        scores=None if scores is None else numbers("scores", scores, 0, 1),
        weights=None if weights is None else numbers("weights", weights, 0, 1),
        embeddings=None if embeddings is None else _embeddings(embeddings, first, size),
        similarity=None if similarity is None else _similarity(similarity, first, size),
        directions=directions,
        direction_weights=direction_weights,
        concentrations=None if own is None else numbers("concentrations", own, *_CONCENTRATIONS),
        costs=None if costs is None else numbers("costs", costs, *_COSTS),
    )


def _of_beta(alpha: Any, beta: Any, *others: Any) -> tuple[list[float], list[float]]:
    """Weights and concentrations of Beta(a, b), a = κw and b = κ(1 - w)."""
    for field, value, other in (("alpha", alpha, "beta"), ("beta", beta, "alpha")):
        if value is None:
            raise FieldError(field, f"missing: needs {field} beside {other}")
        check_list(field, value, "candidate")
    check_length("beta", beta, "alpha", len(alpha))
    for field, other in zip(("scores", "weights", "concentrations"), others, strict=True):
        not_both(field, other, "alpha", alpha)
    a, b = numbers("alpha", alpha, 0, _COSTS[1]), numbers("beta", beta, 0, _COSTS[1])
    total = a + b
    low, high = _CONCENTRATIONS
    for i in np.flatnonzero(~((total >= low) & (total <= high))):
        raise FieldError("alpha", f"[{i}] + beta[{i}] is {total[i]:g}: needs {low:g} to {high:g}")
    return (a / total).tolist(), total.tolist()


def _rows(field: str, value: Any, first: str, size: int, high: float) -> Float[np.ndarray, "k d"]:
    check_list(field, value, "row")
    check_length(field, value, first, size)
    for i, row in enumerate(value):
        if not isinstance(row, list):
            raise FieldError(field, f"[{i}] is {kind(row)}: needs a list of numbers")
        if not row:
            raise FieldError(field, f"[{i}] is empty")
        if len(row) != len(value[0]):
            raise FieldError(
                field, f"[{i}] has length {len(row)}, but [0] has length {len(value[0])}"
            )
    return np.stack([numbers(field, row, -high, high, row=i) for i, row in enumerate(value)])


def _embeddings(value: Any, first: str, size: int) -> Float[np.ndarray, "k d"]:
    rows = _rows("embeddings", value, first, size, math.inf)
    largest = np.abs(rows).max(-1)
    if not largest.all():
        raise FieldError(
            "embeddings", f"[{np.flatnonzero(largest == 0)[0]}] is zero, which has no direction"
        )
    # A power of two changes no cosine, and keeps squares from overflow and underflow.
    return np.ldexp(rows, -np.frexp(largest)[1][:, None])


def _similarity(value: Any, first: str, size: int) -> Float[np.ndarray, "k k"]:
    rows = _rows("similarity", value, first, size, 1 + _COSINE_SLACK)
    if rows.shape[1] != size:
        raise FieldError("similarity", f"is {size} × {rows.shape[1]}, needs {size} × {size}")
    return rows


def _number_labels(labels: list) -> tuple[Int[np.ndarray, " k"], dict[str, int]]:
    numbers: dict[str, int] = {}
    for i, label in enumerate(labels):
        if label is None or isinstance(label, list | dict) or label != label:
            raise FieldError("directions", f"[{i}] is {short(shown(label))}: needs a label")
        numbers.setdefault(_label(label), len(numbers))
    return np.array([numbers[_label(label)] for label in labels], dtype=np.int32), numbers


def _label(label: Any) -> str:
    """Labels are compared as text, because the keys of `direction_weights` are text."""
    if isinstance(label, str):
        return label
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return json.dumps(label)


def _direction_weights(value: Any, names: dict[str, int]) -> Float[np.ndarray, " g"]:
    """Qualities in the order of `names`. A label that no candidate carries only has to be valid."""
    field = "direction_weights"
    if not isinstance(value, dict):
        raise FieldError(field, f"needs an object label → quality, got {kind(value)}")
    if value:
        numbers(field, list(value.values()), 0, 1, keys=list(map(key_name, value)))
    for name in names:
        if name not in value:
            raise FieldError(field, f"has no quality for direction {key_name(name)}")
    return np.array([value[name] for name in names], dtype=np.float64)
