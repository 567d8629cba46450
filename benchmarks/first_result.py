"""Seconds from starting Python to the first result, with a cold and with a warm compilation cache.

Each job is a process of its own. JAX keeps compiled programs in the folder that the environment
variable JAX_COMPILATION_CACHE_DIR names; the second run finds there what the first one left.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dora_theory

JOBS = {
    "import jax": "import jax; jax.devices()",
    "import dora_theory": "import dora_theory",
    "dora-theory --help": "import sys; from dora_theory.cli.main import main\n"
    "try: main(['--help'])\nexcept SystemExit: pass",
    "optimal_allocation": "import numpy as np, dora_theory as dt\n"
    "np.asarray(dt.optimal_allocation(np.full((64, 16), 0.5), 1.0, 32))",
    "uniqueness": "import numpy as np, dora_theory as dt\nnp.asarray(dt.uniqueness(np.eye(16)))",
    "simulate": "import jax, dora_theory as dt\n"
    "population = dt.Population(num_candidates=8, num_directions=2)\n"
    "dt.simulate(jax.random.key(0), population, ('dora',), 16, num_problems=64)",
}
# What compiles nothing starts neither cold nor warm.
_COMPILES = "optimal_allocation", "uniqueness", "simulate"
_STARTS = 3


def _seconds(code: str, cache: str, folder: str) -> float:
    """In an empty folder: whatever lies in the current one could be imported instead."""
    package = str(Path(dora_theory.__file__).parent.parent)
    paths = package, os.environ.get("PYTHONPATH", "")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, check=True,
        # A terminal's Ctrl-C is for the one who waits, who ends this one without a traceback.
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    return time.perf_counter() - start


def run(rounds: int) -> dict[str, Any]:
    """Medians with least and greatest of three starts, or of as many as there are rounds."""
    found = {}
    for name, code in JOBS.items():
        # The second start finds in the cache what the first one left there.
        times: dict[str, list[float]] = {}
        for _ in range(min(rounds, _STARTS)):
            with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
                for state in ("cold", "warm") if name in _COMPILES else ("start",):
                    times.setdefault(state, []).append(_seconds(code, cache, folder))
        found[name] = {
            state: {"median": statistics.median(t), "low": min(t), "high": max(t)}
            for state, t in times.items()
        }
    return {"seconds_to_first_result": found}
