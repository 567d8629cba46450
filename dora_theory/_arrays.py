"""What becomes an array: to type checkers lists too, which all functions take."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    # At run time jaxtyping looks into the union.
    from jax.typing import ArrayLike

__all__ = ["ArrayLike"]
