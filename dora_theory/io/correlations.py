"""Whether a similarity can be read as a correlation, said without loading JAX."""

import numpy as np
from jaxtyping import Bool, Float

# What rounding in float32 may add.
_ROUNDING = 1e-5


def correlation_fault(
    similarity: Float[np.ndarray, "*batch k k"], mask: Bool[np.ndarray, "*batch k"] | None = None
) -> str | None:
    """What is wrong with a matrix as a correlation, of numbers that are known.

    Args:
        similarity: shape `(..., k, k)`.
        mask: false for padding, which is not looked at.

    Returns:
        None, or the first entry that is at fault and what is needed, as `[0, 1] = 0.5: needs …`.
    """
    if mask is None and _sound(np.asarray(similarity)):
        return None
    x = np.asarray(similarity, np.float64)
    there = np.ones(x.shape[-1], bool) if mask is None else np.asarray(mask)
    both = there[..., :, None] & there[..., None, :]
    eye = np.eye(x.shape[-1], dtype=bool)
    for wrong, needs in (
        (~(np.abs(x) <= 1 + _ROUNDING), "a number in [-1, 1]"),
        (~(np.abs(x - np.swapaxes(x, -1, -2)) <= _ROUNDING), "a symmetric matrix"),
        (~(np.abs(x - 1) <= _ROUNDING) & eye, "1 on the diagonal"),
    ):
        wrong = wrong & both
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            value = np.broadcast_to(x, wrong.shape)[place]
            return f"[{', '.join(map(str, place))}] = {value}: needs {needs}"
    return None


def _sound(x: np.ndarray) -> bool:
    """Whether nothing is wrong, in few passes over the matrix."""
    # Of a small integer type a difference would wrap around.
    if x.dtype.kind != "f" or x.size == 0:
        return False
    other = np.swapaxes(x, -1, -2)
    diagonal = np.diagonal(x, axis1=-2, axis2=-1)
    # Half of what the rest allows: this is in the matrix's own precision. NaN is never near.
    near = 0.5 * _ROUNDING
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(
            max(x.max(), -x.min()) <= 1 + near
            and np.abs(diagonal - 1).max() <= near
            and np.abs(x - other).max() <= near
        )
