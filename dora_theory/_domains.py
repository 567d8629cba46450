"""Which numbers an argument may hold, and what others give where they cannot be looked at.

A bad value in a `jax.Array`, eager or under `jit`, raises nothing. The problem that it belongs to
becomes -1 throughout where a function returns integers, NaN where it returns floats, and false
where it returns booleans; its neighbors in the batch are as they are without it. Padding may hold
anything. A `Domain` states a range once for both ways: `Domain.check` looks at host values,
`Domain.fails` is the flag that can be traced, and `spoiled` is what the flag does.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool


class Domain(NamedTuple):
    """The numbers that an argument may hold.

    Attributes:
        low: the least.
        high: the largest.
        low_open: whether `low` itself is outside.
        high_open: whether `high` itself is outside.
        infinite: whether an end that is infinite is inside.
        hint: what a message adds.
    """

    low: float = -np.inf
    high: float = np.inf
    low_open: bool = False
    high_open: bool = False
    infinite: bool = False
    hint: str = ""

    def holds(self, x: Any) -> Any:
        """Whether each number of an array, NumPy's or JAX's, is in the domain; NaN is not."""
        if jnp.issubdtype(x.dtype, jnp.integer):
            least, most = np.iinfo(x.dtype).min, np.iinfo(x.dtype).max
            # A bound that no number of the dtype passes is none, and may be no number of it.
            low, high = math.ceil(max(self.low, least)), math.floor(min(self.high, most))
            above = x > low if self._low_open and low == self.low else x >= low
            return above & (x < high if self._high_open and high == self.high else x <= high)
        above = x > self.low if self._low_open else x >= self.low
        return above & (x < self.high if self._high_open else x <= self.high)

    def fails(self, x: Array, axes: int = 0, mask: Array | None = None) -> Bool[Array, "..."]:
        """Whether any number of the last `axes` axes, where `mask` is true, is outside."""
        bad = ~self.holds(x)
        if mask is not None:
            bad &= mask
        return bad.any(tuple(range(-axes, 0))) if axes else bad

    def check(self, name: str, x: Any, mask: Any = None) -> None:
        """`ValueError`, which names the first place, unless all of `x` where `mask` is inside.

        `x` and `mask` are broadcast against each other. A `jax.Array` passes, and so does what a
        mask that is one may hide.
        """
        if isinstance(x, jax.Array) or isinstance(mask, jax.Array):
            return
        values = np.asarray(x)
        if values.size and self._holds_ends(values):
            return
        with np.errstate(invalid="ignore"):
            bad = ~self.holds(values)
        if mask is not None:
            bad = bad & np.asarray(mask)
            values = np.broadcast_to(values, bad.shape)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{at(name, place)} = {values[place]}: needs {self}")

    def _holds_ends(self, values: np.ndarray) -> bool:
        """Whether the least and the largest are inside, and so all: NaN is both.

        No array as large as the values is made. Of bounds that the dtype rounds nothing outside
        passes; what they are rounded to may fail here, and is for `holds` to tell.
        """
        if not values.ndim:
            return self._holds_number(values.item())
        with np.errstate(invalid="ignore"):
            least, most = values.min().item(), values.max().item()
        return self._holds_number(least) and self._holds_number(most)

    def _holds_number(self, x: float) -> bool:
        if self.low < x < self.high:
            return True
        return (x == self.low and not self._low_open) or (x == self.high and not self._high_open)

    @property
    def _low_open(self) -> bool:
        return self.low_open or (self.low == -np.inf and not self.infinite)

    @property
    def _high_open(self) -> bool:
        return self.high_open or (self.high == np.inf and not self.infinite)

    def __str__(self) -> str:
        if self.low == -np.inf and self.high == np.inf:
            return f"a finite number{self.hint}"
        left, right = "(" if self._low_open else "[", ")" if self._high_open else "]"
        kind = "a number" if self.infinite else "a finite number"
        return f"{kind} in {left}{self.low:.10g}, {self.high:.10g}{right}{self.hint}"


class Labels(Domain):
    """The domain of labels, which are integers."""


FINITE = Domain()
SHARE = Domain(0, 1)
POSITIVE = Domain(0, low_open=True)
NOT_NEGATIVE = Domain(0)
COUNT = Domain(0, 2**31 - 1)

# Dtypes are compared with NumPy's float32, for a comparison with JAX's takes 20 times as long.
_FLOAT32 = " in float32 (turn on jax_enable_x64 for more)"
_BUDGETS_OF_FLOAT32 = Domain(0, 2**22, hint=_FLOAT32)


def offset_domain(dtype: np.dtype) -> Domain:
    """Of κ, ν and other first divisors, for functions and for the command line alike."""
    # Below the least κ(1-w) may be subnormal, which counts as 0, or w/κ infinite. Above the largest
    # κ + r and κ + r + 1 may round to one number, and divisors would repeat.
    if dtype == np.float32:
        return Domain(1e-30, 2**23, hint=_FLOAT32)
    return Domain(1e-290, 2**52)


def budget_domain(dtype: np.dtype) -> Domain:
    """Of N."""
    # As for offsets: their sum stays below 2^24.
    return _BUDGETS_OF_FLOAT32 if dtype == np.float32 else COUNT


def offset_fails(kappa: Array, mask: Array | None = None) -> Bool[Array, "..."]:
    """Where a κ of shape `(..., 1)`, or `(..., k)` under a mask, is none."""
    own = mask is not None and kappa.shape[-1] == mask.shape[-1]
    return offset_domain(kappa.dtype).fails(kappa, 1, mask if own else None)


def at(name: str, place: Sequence[int]) -> str:
    """An entry of an argument, as messages name it."""
    return f"{name}[{', '.join(map(str, place))}]" if place else name


def spoiled(x: Array, bad: Array, axes: int = 1) -> Array:
    """`x` with -1, NaN or false throughout the last `axes` axes of each problem that is bad."""
    fill: float = False
    if jnp.issubdtype(x.dtype, jnp.floating):
        fill = np.nan
    elif jnp.issubdtype(x.dtype, jnp.integer):
        fill = -1
    return jnp.where(bad[(..., *(None,) * axes)], jnp.asarray(fill, x.dtype), x)


def cannot_spend(budget: Array, mask: Array) -> Bool[Array, "..."]:
    """Whether a budget is no count, or all candidates that could take it are padding."""
    return (budget < 0) | ((budget > 0) & ~mask.any(-1))
