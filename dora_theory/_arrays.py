"""What becomes an array: lists, arrays of NumPy and JAX, and tensors that speak DLPack."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.backend import get_default_device

try:
    from jaxlib.xla_client import batched_device_put
except ImportError:
    batched_device_put = None

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    # At run time jaxtyping looks into the union.
    from jax.typing import ArrayLike

__all__ = [
    "ArrayLike",
    "array_of",
    "host_array",
    "is_array",
    "is_foreign",
    "is_host",
    "near",
    "put",
]

# The CPU, as DLPack numbers devices.
_CPU = 1

_ARRAYS = (np.ndarray, jax.Array)
# The types of most arguments, which a look at nothing but the type tells to be on the host.
_PLAIN = frozenset({np.ndarray, float, int, list, tuple, type(None)})


def is_array(x: Any) -> bool:
    """Whether `x` is an array of NumPy or JAX, traced or not."""
    return isinstance(x, _ARRAYS)


def is_host(x: Any) -> bool:
    """Whether the values of `x` may be looked at: it is no `jax.Array`, and not on a device."""
    if type(x) in _PLAIN:
        return True
    return not isinstance(x, jax.Array) and not (is_foreign(x) and x.__dlpack_device__()[0] != _CPU)


def near(x: Any) -> Any:
    """An array of JAX in the memory of one CPU as NumPy's, without a copy; anything else as it is.

    It waits for what is still being computed. What was put on a device other than the default one
    stays there, so that results do too.
    """
    if not isinstance(x, jax.Array) or isinstance(x, jax.core.Tracer):
        return x
    device, *others = x.devices()
    elsewhere = x.committed and device != get_default_device()
    return x if others or elsewhere or device.platform != "cpu" else np.asarray(x)


def put(x: np.ndarray) -> jax.Array:
    """`jax.device_put` of one array whose dtype is one of JAX's, by its last step alone.

    All that comes before settles what may be given there and is not here. It takes most of the
    time that a search loop waits for one small problem.
    """
    device = get_default_device()
    try:
        return batched_device_put(*_placed(x.shape, x.dtype, device), [x], [device], False)
    # Another JAX may take other arguments, and a guard against transfers is for `device_put`.
    except (AttributeError, TypeError, jax.errors.JaxRuntimeError):
        return jax.device_put(x)


@lru_cache(1024)
def _placed(shape: tuple[int, ...], dtype: np.dtype, device: jax.Device) -> tuple[Any, Any]:
    return jax.core.ShapedArray(shape, dtype), jax.sharding.SingleDeviceSharding(device)


def is_foreign(x: Any) -> bool:
    """Whether `x` is a tensor of another library, which speaks DLPack."""
    return hasattr(x, "__dlpack__") and not is_array(x)


def array_of(x: Any) -> Any:
    """`x` as an array of NumPy or JAX, a tensor of another library without a copy where it can be.

    One on the CPU becomes NumPy's; one on a device, or of a dtype that NumPy does not know, such as
    bfloat16, JAX's, and the latter NumPy's again if it is on the CPU.
    """
    if isinstance(x, _ARRAYS):
        return x
    if isinstance(x, float | int):
        return np.asarray(x)
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
