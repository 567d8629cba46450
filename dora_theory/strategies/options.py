"""What strategies are given besides the problems: temperatures, κ, ν, beam width, pooling."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

Pool = Literal["mean-exp", "max", "mean"]
POOLS: tuple[str, ...] = get_args(Pool)

MAX_BUDGET = 2**31 - 1
# Beyond these a quotient such as w/κ or R/T may leave the range of a double, or κ(1-w) fall among
# the subnormal numbers, which count as 0. Above 2^52 κ + 1 is no double of its own.
_LEAST, _MOST, _MOST_CONCENTRATION = 1e-290, 1e290, 2.0**52
NUMBERS = "quality_temperature", "similarity_temperature", "concentration", "within_concentration"
STATIC = "beam_width", "pool", "literal", "smooth", "max_budget"


@dataclass(frozen=True)
class Options:
    """How to allocate, the same for every problem; the paper's values by default.

    A pytree whose numbers may be traced; hashable, and so static under `jit`, while they are not.

    Attributes:
        quality_temperature: T_b > 0 of the softmax that turns scores into qualities (eq. 4).
        similarity_temperature: T_s > 0 of the similarity softmax (eq. 11).
        concentration: κ > 0 of the Beta prior, for problems that do not state their own.
        within_concentration: ν > 0 of candidates around their direction, likewise; None for one
            success probability per direction.
        beam_width: M ≥ 1 of beam search and DVTS.
        pool: how the scores of a direction become one score.
        literal: the paper's own rounding, whose sum may miss N.
        smooth: shared divisors take the mean score of like candidates in place of each one's own,
            as if their differences were noise.
        max_budget: an integer ≥ N that is known when tracing, for strategies that keep an account
            as long as the budget; taken from the budget itself if None.

    Examples:
        >>> dt.Options().quality_temperature
        0.1
    """

    quality_temperature: Any = 0.1
    similarity_temperature: Any = 0.01
    concentration: Any = None
    within_concentration: Any = None
    beam_width: int = 4
    pool: Pool = "mean-exp"
    literal: bool = False
    smooth: bool = False
    max_budget: int | None = None

    def checked(self) -> "Options":
        """The options themselves, if every value that is known is in its range.

        Raises:
            ValueError: a value out of its range, as `name = value: needs …`.
        """
        for name in NUMBERS:
            value = getattr(self, name)
            if value is None and name.endswith("concentration"):
                continue
            _check_number(name, value)
        width = self.beam_width
        whole = isinstance(width, int) or (isinstance(width, float) and width.is_integer())
        if not whole or isinstance(width, bool) or not 1 <= width <= MAX_BUDGET:
            raise ValueError(f"beam_width = {width!r}: needs an integer in [1, {MAX_BUDGET}]")
        if self.pool not in POOLS:
            raise ValueError(f"pool = {self.pool!r}: needs one of {', '.join(POOLS)}")
        return self

    def with_changes(self, **changes: Any) -> "Options":
        """The same options except for the named ones, checked."""
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise ValueError(f"{name}: unknown option, needs one of {', '.join(sorted(known))}")
        return replace(self, **changes).checked()


def _check_number(name: str, value: Any) -> None:
    """Of a traced number nothing is known; a JAX scalar is checked without loading JAX here."""
    most = _MOST_CONCENTRATION if name.endswith("concentration") else _MOST
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        from dora_theory._checks import check_number

        return check_number(name, value, _LEAST, most)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not _LEAST <= number <= most:
        needs = "a number" if number > 0 else "a positive number"
        shown = f"{value:g}" if isinstance(value, int | float) else repr(value)
        raise ValueError(f"{name} = {shown}: needs {needs} in [{_LEAST:g}, {most:g}]")
    return None
