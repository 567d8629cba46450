"""Runs marimo with its own arguments, and meanwhile loads what the page needs.

The page runs in a thread of this process, a second or two after the server: a browser first fetches
marimo's part of the page.
"""

import gc
import runpy
from threading import Thread


def _load() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)

    from dora_theory.explore import charts, logged, words  # noqa: F401
    from dora_theory.explore.scene import PRESETS
    from dora_theory.explore.view import look, subject

    scene = next(iter(PRESETS.values())).scene
    look(subject(scene), scene)


def _load_undisturbed() -> None:
    # All that is loaded stays, and need not be looked through for garbage.
    gc.disable()
    try:
        _load()
    finally:
        gc.enable()


if __name__ == "__main__":
    # Not a daemon: Python aborts where it ends amid another thread's imports of compiled modules.
    Thread(target=_load_undisturbed).start()
    runpy.run_module("marimo", run_name="__main__", alter_sys=True)
