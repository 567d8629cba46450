"""Every test sees shapes checked at run time; `x64` is float32, and float64 if slow tests run."""

import gc
import importlib.metadata
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
from jaxtyping import install_import_hook
from packaging.version import Version

if os.environ.get("UNOPTIMIZED"):
    # To compile is most of a test's time, and half of that is optimizing. What rounds by the order
    # of its operations is tested within its bounds, so that no result may depend on it.
    flags = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
    # XLA ends the process at a flag that it does not know.
    if Version(importlib.metadata.version("jaxlib")) < Version("0.11"):
        flags.append("--xla_cpu_use_fusion_emitters=false")
    os.environ.setdefault("XLA_FLAGS", " ".join(flags))

with install_import_hook("dora_theory", "beartype.beartype"):
    import dora_theory  # noqa: F401

import jax
import pytest
from precisions import float64, x64  # noqa: F401

# Traced programs are many objects that stay: to look through them all again and again takes a tenth
# of the time.
gc.set_threshold(200_000, 50, 50)

hypothesis.settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, max_examples=60
)
hypothesis.settings.load_profile("default")


# In seconds since 1970. Hosts differ in speed by a factor of three. What is stopped from outside
# reports nothing; what begins no more tests says which failed, passed and were left out.
_UNTIL = float(os.environ.get("TESTS_UNTIL", "inf"))


def pytest_runtest_setup() -> None:
    if time.time() > _UNTIL:
        pytest.skip("no time left (TESTS_UNTIL)")


@pytest.fixture(autouse=True)
def _modes_stay() -> Iterator[None]:
    """Commands and examples turn x64 on for their process, which here is that of other tests."""
    before = jax.config.read("jax_enable_x64")
    yield
    jax.config.update("jax_enable_x64", before)


_COUNT = itertools.count(1)
_MAPS = Path("/proc/self/maps")
# Of the 65,530 that Linux grants a process; a compiled program takes several, and one too many
# ends the process.
_MOST_MAPS = 35_000


@pytest.fixture(autouse=True)
def _programs_fit() -> Iterator[None]:
    yield
    if next(_COUNT) % 20 == 0 and _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MOST_MAPS:
        jax.clear_caches()
