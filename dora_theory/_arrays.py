"""What becomes an array: lists, arrays of NumPy and JAX, and tensors that speak DLPack."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    # At run time jaxtyping looks into the union.
    from jax.typing import ArrayLike

__all__ = ["ArrayLike", "array_of", "host_array", "is_array", "is_foreign", "is_host", "near"]

# The CPU, as DLPack numbers devices.
_CPU = 1


def is_array(x: Any) -> bool:
    """Whether `x` is an array of NumPy or JAX, traced or not."""
    return isinstance(x, np.ndarray | jax.Array)


def is_host(x: Any) -> bool:
    """Whether the values of `x` may be looked at: it is no `jax.Array`, and not on a device."""
    return not isinstance(x, jax.Array) and not (is_foreign(x) and x.__dlpack_device__()[0] != _CPU)


def near(x: Any) -> Any:
    """An array of JAX in the memory of one CPU as NumPy's, without a copy; anything else as it is.

    It waits for what is still being computed. What was put on a device other than the first stays
    there, so that results do too.
    """
    if not isinstance(x, jax.Array) or isinstance(x, jax.core.Tracer):
        return x
    device, *others = x.devices()
    elsewhere = x.committed and device != jax.local_devices()[0]
    return x if others or elsewhere or device.platform != "cpu" else np.asarray(x)


def is_foreign(x: Any) -> bool:
    """Whether `x` is a tensor of another library, which speaks DLPack."""
    return hasattr(x, "__dlpack__") and not is_array(x)


def array_of(x: Any) -> Any:
    """`x` as an array of NumPy or JAX, a tensor of another library without a copy where it can be.

    One on the CPU becomes NumPy's; one on a device, or of a dtype that NumPy does not know, such as
    bfloat16, JAX's, and the latter NumPy's again if it is on the CPU.
    """
    if isinstance(x, np.ndarray | jax.Array):
        return x
    if isinstance(x, list | tuple) and x and is_foreign(x[0]):
        return np.stack([np.asarray(array_of(part)) for part in x])
    if not is_foreign(x):
        return np.asarray(x)
    # Torch exports no tensor of which it keeps a gradient, and negative views as if they were not.
    for settle in ("detach", "resolve_neg"):
        x = getattr(x, settle)() if hasattr(x, settle) else x
    if is_host(x):
        try:
            return np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError):
            # JAX takes no strides.
            x = x.contiguous() if hasattr(x, "contiguous") else x
            return np.asarray(jnp.from_dlpack(x))
    return jnp.from_dlpack(x.contiguous() if hasattr(x, "contiguous") else x)


def host_array(x: Any, dtype: Any = None) -> Any:
    """`x` as an array of NumPy: what `array_of` takes, of which NumPy itself refuses some."""
    return np.asarray(array_of(x), dtype)
