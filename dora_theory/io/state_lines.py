"""Reads the state of a benchmark, one problem per line, and says what is wrong in it and where.

NumPy only: a bad file is reported before JAX is loaded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from dora_theory._errors import InputError, amount
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
    short,
    shown,
)

# Sums of rollouts stay within int32.
MOST_ROLLOUTS = 2**30
# Smaller numbers may be lost where they are multiplied.
_LEAST, _MOST = 1e-290, 1e290


@dataclass(frozen=True, slots=True)
class StateLine:
    """What one line says of a problem.

    Attributes:
        place: `file:line`.
        id: any JSON value.
        right: s of each candidate or of the problem, shape `(k,)`, or None.
        attempts: n, of the same shape, or None.
        alpha: a of the prior, shape `(k,)`; None where the common prior holds.
        beta: b, of the same shape.
        weights: qualities in [0, 1], shape `(k,)`, or None.
        scores: scores in [0, 1], shape `(k,)`, or None.
        several: whether the line speaks of candidates, so that a split is to be given.
        value: of solving it.
        cost: of a rollout.
        floor: of the rollouts to come.
        cap: of the rollouts to come, None for none.
        solved: whether it receives nothing more.
    """

    place: str
    id: Any
    right: Float[np.ndarray, " k"] | None
    attempts: Float[np.ndarray, " k"] | None
    alpha: Float[np.ndarray, " k"] | None
    beta: Float[np.ndarray, " k"] | None
    weights: Float[np.ndarray, " k"] | None
    scores: Float[np.ndarray, " k"] | None
    several: bool
    value: float
    cost: float
    floor: int
    cap: int | None
    solved: bool

    @property
    def size(self) -> int:
        """Number of candidates, 1 for a problem without."""
        for x in (self.weights, self.scores, self.alpha, self.right):
            if x is not None:
                return x.size
        raise AssertionError("a line without anything known")


def read_state(path: str) -> list[StateLine]:
    """All problems of a file, in order.

    Args:
        path: a file, gzip-compressed or not, or `-` for standard input.

    Returns:
        One `StateLine` per line; blank lines at the end are no problems.

    Raises:
        InputError: the file cannot be read, is empty or has a line that cannot be used; one line,
            `file:line: field: what`.
    """
    lines: list[StateLine] = []
    seen: dict[str, str] = {}
    for place, state in parsed_lines(path, parse_state):
        line = replace(state, place=place)
        name = shown(line.id)
        if name in seen:
            raise InputError(f"{place}: id: {short(name)} is already in {seen[name]}")
        seen[name] = place
        lines.append(line)
    if not lines:
        raise InputError(f"{'<stdin>' if path == '-' else path}: is empty, needs a problem")
    return lines


def with_priors(lines: Sequence[StateLine], path: str) -> tuple[list[StateLine], str]:
    """The problems with the priors that a file has for those without one of their own.

    Args:
        lines: the problems.
        path: a file like theirs, of lines with `id`, `alpha` and `beta`.

    Returns:
        The problems, and what is to be said of priors that belong to none.

    Raises:
        InputError: as `read_state`; a line without alpha, a problem without a prior, or one with
            another number of candidates.
    """
    priors = {}
    for line in read_state(path):
        if line.alpha is None:
            raise InputError(f"{line.place}: alpha: missing, needs alpha and beta")
        priors[shown(line.id)] = line
    found = []
    for line in lines:
        own = any(x is not None for x in (line.alpha, line.weights, line.scores))
        prior = priors.pop(shown(line.id), None)
        if own:
            found.append(line)
            continue
        if prior is None:
            raise InputError(f"{line.place}: id: {short(shown(line.id))} has no prior in {path}")
        assert prior.alpha is not None
        assert prior.beta is not None
        if prior.size not in (1, line.size):
            raise InputError(
                f"{prior.place}: alpha: has {prior.size} candidates, but {line.place} {line.size}"
            )
        size = (line.size,)
        alpha, beta = np.broadcast_to(prior.alpha, size), np.broadcast_to(prior.beta, size)
        found.append(replace(line, alpha=alpha, beta=beta))
    return found, f"no problem for {amount(len(priors), 'prior')} of {path}" if priors else ""


def parse_state(text: bytes) -> StateLine:
    """The problem that a line states; `FieldError` for the first thing that is wrong.

    Args:
        text: a JSON object in UTF-8.

    Returns:
        The problem, with every value checked and without a place.
    """
    record = json_object(text)
    field = {name: record.get(name) for name in ("right", "attempts", "alpha", "beta")}
    weights, scores = record.get("weights"), record.get("scores")
    if record.get("id") is None:
        raise FieldError("id", "missing")
    if isinstance(record["id"], dict | list | float | bool):
        raise FieldError("id", f"is {short(shown(record['id']))}: needs a string or an integer")
    for one, other in (("right", "attempts"), ("alpha", "beta")):
        for name, partner in ((one, other), (other, one)):
            if field[name] is None and field[partner] is not None:
                raise FieldError(name, f"missing, beside {partner}")
    not_both("weights", weights, "scores", scores)
    for name, value in (("weights", weights), ("scores", scores)):
        if value is not None and field["alpha"] is not None:
            raise FieldError(name, "given beside alpha and beta: needs one of the two")
    if field["right"] is None and field["alpha"] is None and weights is None and scores is None:
        found = short(", ".join(map(key_name, record)))
        raise FieldError(
            "right", f"missing: needs right and attempts, alpha and beta, or weights; found {found}"
        )
    several = any(isinstance(x, list) for x in (weights, scores, *field.values()))
    size = None
    lists = [("weights", weights), ("scores", scores), *field.items()]
    first = ""
    for name, value in lists:
        if value is None:
            continue
        if name in ("weights", "scores") or several:
            check_list(name, value, "candidate")
            if size is not None:
                check_length(name, value, first, size)
            first, size = first or name, len(value)
    right, attempts = (_counts(name, field[name]) for name in ("right", "attempts"))
    if right is not None and attempts is not None and np.any(right > attempts):
        i = int(np.argmax(right > attempts))
        where = f"[{i}] is " if several else ""
        raise FieldError("right", f"{where}{right[i]:g}, more than the attempts, {attempts[i]:g}")
    alpha, beta = (_positive(name, field[name]) for name in ("alpha", "beta"))
    if alpha is not None and beta is not None and np.any(alpha + beta < _LEAST):
        i = int(np.argmax(alpha + beta < _LEAST))
        place = f"[{i}]" if several else ""
        raise FieldError(
            "alpha",
            f"{place} + beta{place} is {alpha[i] + beta[i]:g}: needs at least {_LEAST:g}".lstrip(),
        )
    floor, cap = _integer("floor", record.get("floor"), 0), _integer("cap", record.get("cap"), None)
    if cap is not None and cap < (floor or 0):
        raise FieldError("cap", f"is {cap}, below the floor, {floor}")
    solved = record.get("solved")
    if solved is not None and not isinstance(solved, bool):
        raise FieldError("solved", f"is {short(shown(solved))}: needs true or false")
    return StateLine(
        place="",
        id=record["id"],
        right=right,
        attempts=attempts,
        alpha=alpha,
        beta=beta,
        weights=None if weights is None else numbers("weights", weights, 0, 1),
        scores=None if scores is None else numbers("scores", scores, 0, 1),
        several=several,
        value=_amount("value", record.get("value")),
        cost=_amount("cost", record.get("cost")),
        floor=floor or 0,
        cap=cap,
        solved=bool(solved),
    )


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _counts(field: str, value: Any) -> Float[np.ndarray, " k"] | None:
    """Integers ≥ 0."""
    if value is None:
        return None
    for i, x in enumerate(_listed(value)):
        whole = type(x) is int or (type(x) is float and math.isfinite(x) and x == int(x))
        if not whole or not 0 <= x <= MOST_ROLLOUTS:
            where = f"[{i}] is" if isinstance(value, list) else "is"
            raise FieldError(
                field, f"{where} {short(shown(x))}: needs an integer in [0, {MOST_ROLLOUTS}]"
            )
    return np.array(_listed(value), dtype=np.float64)


def _positive(field: str, value: Any) -> Float[np.ndarray, " k"] | None:
    """Real numbers ≥ 0."""
    if value is None:
        return None
    if isinstance(value, list):
        return numbers(field, value, 0, 2.0**51)
    if type(value) not in (int, float) or not 0 <= value <= 2.0**51:
        raise FieldError(field, f"is {short(shown(value))}: needs a number in [0, {2.0**51:g}]")
    return np.array([value], dtype=np.float64)


def _integer(field: str, value: Any, default: int | None) -> int | None:
    if value is None:
        return default
    if isinstance(value, list):
        raise FieldError(field, f"needs an integer, got {kind(value)}")
    found = _counts(field, value)
    assert found is not None
    return int(found[0])


def _amount(field: str, value: Any) -> float:
    """A real number above 0, 1 if absent."""
    if value is None:
        return 1.0
    if type(value) not in (int, float) or not _LEAST <= value <= _MOST:
        raise FieldError(
            field, f"is {short(shown(value))}: needs a number in [{_LEAST:g}, {_MOST:g}]"
        )
    return float(value)
