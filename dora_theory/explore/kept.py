"""Programs as JAX traced them, kept from process to process: tracing takes longer than loading.

They lie beside what JAX compiles, one file for a function, its shapes, and the sources it is of.
"""

import hashlib
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import whole_output

# Its options are attributes that it does not declare.
_config: Any = jax.config


def kept(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """A function of arrays, compiled, as an earlier process traced it if one did.

    Args:
        function: of the package, with a name of its own; what it does hangs on its arguments only.
        arguments: pytrees of arrays.

    Returns:
        The function of the arguments' leaves.
    """
    leaves, tree = jax.tree.flatten(arguments)
    kinds = tuple((x.shape, str(jax.dtypes.canonicalize_dtype(x.dtype))) for x in leaves)
    compiled = _compiled(function, tree, kinds, _config.jax_compilation_cache_dir)
    return lambda *leaves: compiled(
        *(np.asarray(leaf, kind) for leaf, (_, kind) in zip(leaves, kinds, strict=True))
    )


@cache
def _compiled(
    function: Callable[..., Any], tree: Any, kinds: tuple, folder: str | None
) -> Callable[..., Any]:
    shapes = [jax.ShapeDtypeStruct(*kind) for kind in kinds]
    flat = jax.jit(lambda *leaves: function(*jax.tree.unflatten(tree, leaves)))
    if folder is not None and _config.jax_enable_compilation_cache:
        what = f"{function.__qualname__} {tree} {kinds} {jax.default_backend()} {_sources()}"
        name = f"traced-{hashlib.sha256(what.encode()).hexdigest()}"
        flat = _traced(Path(folder) / name, flat, shapes)
    return flat.lower(*shapes).compile()


def _traced(path: Path, function: Any, shapes: list[jax.ShapeDtypeStruct]) -> Any:
    """What a file holds of a function, or the function where there is no such file, yet."""
    if importlib.util.find_spec("flatbuffers") is None:
        # What JAX writes a program with.
        return function
    from jax import export

    try:
        traced = export.deserialize(bytearray(path.read_bytes()))
    except OSError:
        traced = export.export(function)(*shapes)
        # Without room for it, it is traced again the next time.
        with suppress(InputError), whole_output(str(path)) as file:
            file.write(traced.serialize())
    return jax.jit(traced.call)


@cache
def _sources() -> str:
    """A digest of the package and of JAX's version, with which another program may come out."""
    found = hashlib.sha256(jax.__version__.encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()
