"""Compiled programs that outlive their process: JAX's persistent cache, in the user's cache folder.

The command line turns it on, unless the environment says otherwise: `JAX_COMPILATION_CACHE_DIR`
names another folder, and `JAX_ENABLE_COMPILATION_CACHE=false` or `DORA_THEORY_CACHE=off` says no.
"""

import os
import sys
from pathlib import Path

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
# Programs that compile fast are many, and together take most of the time.
_LEAST = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}
_NO = "0", "false", "no", "off"


def cache_compiled(folder: str | os.PathLike[str] | None = None) -> Path:
    """Keeps compiled programs on disk, so that the next process need not compile them.

    Args:
        folder: where; by default `dora-theory/compiled` in the user's cache folder. It is made if
            it is not there, and may be deleted at any time.

    Returns:
        The folder.

    Raises:
        OSError: the folder cannot be made.
    """
    import jax

    path = _default() if folder is None else Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    for name, value in _LEAST.items():
        jax.config.update(name.lower(), float(value))
    return path


def cache_for_commands() -> None:
    """Has JAX, which is not loaded yet, do so too, unless the environment speaks of it already."""
    said = (_FOLDER, "JAX_ENABLE_COMPILATION_CACHE")
    off = os.environ.get("DORA_THEORY_CACHE", "").lower() in _NO
    if off or "jax" in sys.modules or any(name in os.environ for name in said):
        return
    path = _default()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        # No place for it, such as in a container without a home: then everything compiles anew.
        return
    os.environ[_FOLDER] = str(path)
    for name, value in _LEAST.items():
        os.environ.setdefault(name, value)


def _default() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("dora-theory", appauthor=False) / "compiled"
