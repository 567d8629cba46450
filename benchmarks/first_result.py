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
from typing import Any

JOBS = {
    "import jax": "import jax; jax.devices()",
    "import dora_theory": "import dora_theory",
    "dora-theory --help": "import sys; from dora_theory.cli import main\n"
    "try: main(['--help'])\nexcept SystemExit: pass",
    "optimal_allocation": "import numpy as np, dora_theory as dt\n"
    "np.asarray(dt.optimal_allocation(np.full((64, 16), 0.5), 1.0, 32))",
    "uniqueness": "import numpy as np, dora_theory as dt\nnp.asarray(dt.uniqueness(np.eye(16)))",
    "simulate": "import jax, dora_theory as dt\n"
    "population = dt.Population(candidates=8, directions=2)\n"
    "dt.simulate(jax.random.key(0), population, ('dora',), 16, problems=64)",
}
# What compiles nothing needs no second look.
_COMPILES = "optimal_allocation", "uniqueness", "simulate"


def _seconds(code: str, cache: str) -> float:
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def run(rounds: int) -> dict[str, Any]:
    found = {}
    for name, code in JOBS.items():
        with tempfile.TemporaryDirectory() as cache:
            found[name] = {"cold": _seconds(code, cache)}
            warm = [_seconds(code, cache) for _ in range(min(rounds, 3))]
            found[name]["warm" if name in _COMPILES else "again"] = statistics.median(warm)
    return {"seconds_to_first_result": found}
