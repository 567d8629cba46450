"""Runs marimo with its own arguments, and meanwhile loads what the page needs.

The page runs in a thread of this process, a second or two after the server: a browser first fetches
marimo's part of the page.
"""

import gc
import os
import runpy
import sys
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
    loading = Thread(target=_load_undisturbed, daemon=True)
    loading.start()
    try:
        runpy.run_module("marimo", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if loading.is_alive() and isinstance(end.code, int | None):
            # Python aborts where it ends while another thread is in compiled code.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code or 0)
        raise
