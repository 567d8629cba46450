"""dora-theory: where should the next rollout go, and can it be proved?

`import dora_theory as dt` offers what `__init__.pyi` beside this file lists, to type checkers and
at run time alike, and nothing else is public. Names are loaded when they are first used, so that
the import itself costs nothing.

The dtype is JAX's own: unless `jax_enable_x64` is on, float64 arrays of NumPy are rounded to
float32 without a warning, as by `jax.numpy`, and what is returned is float32.
"""

# ruff: noqa: E402
import _signal
import os
import sys

_NAME = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
_COMMAND = _NAME == "dora-theory" or sys.orig_argv[1:3] == ["-m", "dora_theory"]
if _COMMAND and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    # Interrupted before it can say so, it ends without a traceback. (`signal` takes long to load.)
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from types import ModuleType
from typing import Any

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = sorted([*__all__, "__version__"])


class _Package(ModuleType):
    """Keeps `replay` and `search` the functions, where importing the rooms would set modules."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in ("replay", "search") and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
