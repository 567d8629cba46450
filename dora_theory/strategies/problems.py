"""A batch of problems, padded to one shape: what every strategy sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dora_theory.strategies.options import NUMBERS, STATIC, Options

# Axes of a row's fields: k candidates, d dimensions, g directions.
_AXES = {
    "scores": "k",
    "weights": "k",
    "embeddings": "kd",
    "similarity": "kk",
    "directions": "k",
    "direction_weights": "g",
    "quality": "g",
    "concentration": "",
    "within_concentration": "",
    "concentrations": "k",
    "costs": "k",
}

# Here, since the options themselves are read before JAX is loaded.
jax.tree_util.register_dataclass(Options, data_fields=NUMBERS, meta_fields=STATIC)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[*_AXES, "mask"],
    meta_fields=["num_directions"],
)
# Any stands for None, so that what is known to be there can be used without asking.
@dataclass(frozen=True)
class Problems:
    """Problems padded to k candidates and g directions; what a strategy does not need may be None.

    Attributes:
        scores: PRM scores R, shape `(n, k)`; or instead of them
        weights: qualities w ≥ 0, shape `(n, k)`.
        embeddings: of the partial solutions, shape `(n, k, d)`; or instead of them
        similarity: cosines, shape `(n, k, k)`.
        directions: label in [0, g) of each candidate, shape `(n, k)`.
        direction_weights: qualities Q of the directions, shape `(n, g)`; from scores if None.
        quality: true Q of the directions, shape `(n, g)`, which the oracle alone sees.
        concentration: κ of each problem, shape `(n,)`; that of the options if None.
        within_concentration: ν of each problem, shape `(n,)`, likewise.
        concentrations: κ of each candidate, shape `(n, k)`, which comes before that of a problem.
        costs: > 0, of a rollout of each candidate, shape `(n, k)`.
        mask: false for padding, shape `(n, k)`.
        num_directions: g, where no array says it; k if None.

    Examples:
        >>> problems = dt.Problems(scores=np.array([[0.9, 0.8, 0.8, 0.5]]), mask=np.ones((1,
        ...     4), bool))
        >>> dt.allocate(problems, "rebase", 16)
        Array([[10,  3,  3,  0]], dtype=int32)
    """

    scores: Float[Array, "n k"] | Any = None
    weights: Float[Array, "n k"] | Any = None
    embeddings: Float[Array, "n k d"] | Any = None
    similarity: Float[Array, "n k k"] | Any = None
    directions: Int[Array, "n k"] | Any = None
    direction_weights: Float[Array, "n g"] | Any = None
    quality: Float[Array, "n g"] | Any = None
    concentration: Float[Array, " n"] | Any = None
    within_concentration: Float[Array, " n"] | Any = None
    concentrations: Float[Array, "n k"] | Any = None
    costs: Float[Array, "n k"] | Any = None
    mask: Bool[Array, "n k"] | Any = None
    num_directions: int | None = None

    @classmethod
    def from_rows(cls, rows: Sequence[Any], *, at_least: Mapping[str, int] | None = None) -> Any:
        """One batch of ragged problems.

        Args:
            rows: a problem each: a mapping from field names to values of the problem's own size
                (lists or arrays; fields that are None are left out), or the scores alone. All rows
                have the same fields.
            at_least: smallest padded sizes of `"k"`, `"d"` and `"g"`, for batches of one shape.

        Returns:
            `Problems` with NumPy arrays, zero at padding.

        Raises:
            ValueError: no row, a row of other fields or sizes, an unknown field; rows and fields
                are named.
        """
        given = [_fields(i, row) for i, row in enumerate(rows)]
        if not given:
            raise ValueError("rows: needs at least one problem")
        sizes = [_sizes(i, row) for i, row in enumerate(given)]
        least = at_least or {}
        size = {axis: max(least.get(axis, 0), *(s.get(axis, 0) for s in sizes)) for axis in "kdg"}
        padded: dict[str, Any] = {}
        for name, first in given[0].items():
            shape = tuple(size[axis] for axis in _AXES[name])
            array = padded[name] = np.zeros((len(given), *shape), first.dtype)
            for i, row in enumerate(given):
                if row.keys() != given[0].keys():
                    other = ", ".join(sorted(row.keys() ^ given[0].keys()))
                    raise ValueError(f"rows[{i}]: has other fields than rows[0]: {other}")
                place: Any = (i, *map(slice, row[name].shape))
                array[place] = row[name]
        mask = np.arange(size["k"]) < np.array([[s["k"]] for s in sizes])
        return cls(**padded, mask=mask, num_directions=size["g"] or None)

    def to_rows(self) -> list[dict[str, np.ndarray]]:
        """The problems without their padding, a mapping each; the inverse of `from_rows`.

        Directions that no candidate has, such as padding, are left out at the end.
        """
        mask = np.asarray(self.mask)
        found = []
        for i, alive in enumerate(mask):
            of: dict[str, int | None] = {"k": int(alive.sum()), "d": None, "g": None}
            if self.directions is not None:
                of["g"] = int(np.asarray(self.directions[i])[alive].max(initial=-1)) + 1
            row: dict[str, np.ndarray] = {}
            for name, axes in _AXES.items():
                value = getattr(self, name)
                if value is not None:
                    inside: Any = tuple(slice(of[axis]) for axis in axes)
                    row[name] = np.asarray(value[i])[inside]
            found.append(row)
        return found

    @property
    def directions_bound(self) -> int:
        """g, the number of directions that labels stay below."""
        for known in (self.quality, self.direction_weights):
            if known is not None:
                return known.shape[-1]
        return self.num_directions or self.mask.shape[-1]

    def replace(self, **changes: Any) -> "Problems":
        """The same problems with other arrays."""
        return replace(self, **changes)


def _fields(place: int, row: Any) -> dict[str, np.ndarray]:
    if not isinstance(row, Mapping):
        row = {"scores": row}
    unknown = [name for name in row if name not in _AXES]
    if unknown:
        raise ValueError(f"rows[{place}]: {unknown[0]}: unknown, needs some of {', '.join(_AXES)}")
    found = {}
    for name, value in row.items():
        if value is None:
            continue
        array = np.asarray(value)
        if array.ndim != len(_AXES[name]) or array.dtype.kind not in "iuf":
            raise ValueError(
                f"rows[{place}]: {name}: needs numbers with {len(_AXES[name])} axes, "
                f"got {array.dtype} of shape {array.shape}"
            )
        # Counts stay integers, everything else is real.
        found[name] = array if name == "directions" else array.astype(np.result_type(array, "f4"))
    return found


def _sizes(place: int, row: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Sizes of the axes of one problem; `ValueError` where two fields disagree."""
    found: dict[str, tuple[str, int]] = {}
    for name, value in row.items():
        for axis, size in zip(_AXES[name], value.shape, strict=True):
            other, before = found.setdefault(axis, (name, size))
            if size != before:
                entries = f"{size} entr{'y' if size == 1 else 'ies'}"
                raise ValueError(f"rows[{place}]: {name} has {entries} where {other} has {before}")
    if found.get("k", ("", 0))[1] == 0:
        raise ValueError(f"rows[{place}]: needs at least one candidate")
    sizes = {axis: size for axis, (_, size) in found.items()}
    if "directions" in row:
        labels = row["directions"]
        if labels.dtype.kind not in "iu" or labels.min() < 0:
            raise ValueError(f"rows[{place}]: directions: needs integers from 0 on")
        bound = int(labels.max()) + 1
        if bound > sizes.setdefault("g", bound):
            raise ValueError(f"rows[{place}]: directions: {bound - 1} is beyond its weights")
    return sizes
