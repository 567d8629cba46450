"""Where the kernels can run, and the one place that picks between a kernel and its reference.

The kernels are written for Pallas's Triton backend: what they need (reductions, scans, loops that
end when a row is done) it has, for every NVIDIA GPU since Ampere, and the same kernel can be
interpreted on a CPU. JAX 0.11 deprecates that backend in favor of Mosaic GPU. Sums over
similarities and Monte Carlo have a second form there, which is taken where the first backend is
gone, or was measured to be slower; exact allocation, whose running counts Mosaic GPU has not, takes
its reference then.

Nothing of Pallas is loaded before a kernel is used.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, get_args

import jax

Implementation = Literal["auto", "reference", "pallas"]

# Triton compiles for this compute capability and later.
_CAPABILITY = 8.0
# The first JAX whose Mosaic GPU has what the other forms are made of.
MOSAIC = 0, 11, 2
_DEPRECATED = "The Pallas Triton backend is deprecated"


class Mosaic(NamedTuple):
    """A kernel's form for Mosaic GPU: what the Triton form takes and returns, and for which GPUs.

    Attributes:
        kernel: the kernel.
        capability: the least compute capability.
        below: the least that is too new, for instructions that one generation has.
        faster: taken before the Triton form too, where it was measured to be faster.
    """

    kernel: Callable[..., Any]
    capability: float = _CAPABILITY
    below: float = float("inf")
    faster: bool = False


def choose(
    implementation: Implementation,
    kernel: Callable[..., Any],
    reference: Callable[..., Any],
    *arguments: Any,
    obstacle: str | None = None,
    mosaic: Mosaic | None = None,
) -> Any:
    """Calls a kernel or its reference, two functions of the same arguments and meaning.

    Args:
        implementation: `"pallas"` for the kernel, `"reference"`, or `"auto"`: the kernel where it
            is compiled for a GPU that can run it, so that a computation that is placed on the CPU
            of a machine with a GPU takes the reference.
        kernel: the kernel.
        reference: the same in `jax.numpy`.
        *arguments: of both, arrays or pytrees of arrays.
        obstacle: why the kernel cannot take these arguments, if so.
        mosaic: the kernel's other form, for a JAX without a Triton backend and where it is faster.

    Returns:
        What the chosen one returns.

    Raises:
        ValueError: an unknown implementation; `"pallas"` where the kernel cannot run.
    """
    if implementation not in get_args(Implementation):
        names = ", ".join(map(repr, get_args(Implementation)))
        raise ValueError(f"implementation = {implementation!r}: needs one of {names}")
    if implementation == "reference":
        return reference(*arguments)
    obstacle = obstacle or unavailable()
    if not obstacle:
        why = _not_by(mosaic)
        if not _has("triton"):
            obstacle = why and f"JAX {jax.__version__} has no Triton backend for Pallas, and {why}"
        if mosaic and not why and (mosaic.faster or not _has("triton")):
            kernel = mosaic.kernel
    if implementation == "pallas":
        if obstacle:
            raise ValueError(f"implementation='pallas': {obstacle}; use 'auto' or 'reference'")
        return with_slope(kernel, reference)(*arguments)
    if obstacle:
        return reference(*arguments)
    kernel = with_slope(kernel, reference)
    return jax.lax.platform_dependent(*arguments, cuda=kernel, default=reference)


def with_slope(kernel: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel, with the derivatives of its reference: it has none of its own."""
    function = jax.custom_jvp(kernel)

    @function.defjvp
    def slope(values: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        return kernel(*values), jax.jvp(reference, values, tangents)[1]

    return function


@lru_cache
def unavailable() -> str | None:
    """Why no kernel can run in this process, if so.

    Devices come first: the search for the backend loads Pallas, which is of no use without a GPU.
    """
    gpus = _gpus()
    if not gpus:
        kinds = ", ".join(sorted({d.platform for d in jax.local_devices()}))
        return f"kernels need an NVIDIA GPU, and this process has only: {kinds}"
    if not (_has("triton") or _has("mosaic_gpu")):
        return f"JAX {jax.__version__} has no backend of Pallas for GPUs"
    for kind, capability in gpus:
        if capability < _CAPABILITY:
            return f"kernels need compute capability {_CAPABILITY}, and {kind} has {capability}"
    return None


def _gpus() -> list[tuple[str, float]]:
    """Names and compute capabilities of this process's NVIDIA GPUs."""
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError:
        return []
    return [(device.device_kind, float(device.compute_capability)) for device in devices]


def quiet() -> None:
    """Keeps from users what JAX says to who writes kernels: that the Triton backend will go.

    It is said while a program is compiled, outside of any block that a kernel could open.
    """
    warnings.filterwarnings("ignore", _DEPRECATED, DeprecationWarning)


def _not_by(mosaic: Mosaic | None) -> str | None:
    """Why a kernel's other form cannot run on the GPUs of this process."""
    if mosaic is None:
        return "this kernel has no other form"
    if not _has("mosaic_gpu") or jax.__version_info__ < MOSAIC:
        return f"JAX {jax.__version__} has not what the form for Mosaic GPU is made of"
    for kind, capability in _gpus():
        if not mosaic.capability <= capability < mosaic.below:
            return f"the form for Mosaic GPU is not for {kind}"
    return None


def all_hopper() -> bool:
    """Whether the GPUs of this process, if there are any, are of the Hopper generation."""
    return all(9 <= capability < 10 for _, capability in _gpus())


def _has(backend: str) -> bool:
    try:
        return find_spec(f"jax.experimental.pallas.{backend}") is not None
    except ModuleNotFoundError:  # of what it would be in: Pallas itself, or what that needs
        return False
