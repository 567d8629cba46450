"""Every test sees shapes checked at run time; `x64` runs a test in float32 and in float64."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import hypothesis
from jaxtyping import install_import_hook

with install_import_hook("dora_theory", "beartype.beartype"):
    import dora_theory  # noqa: F401

import jax
import pytest

hypothesis.settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, max_examples=60
)
hypothesis.settings.load_profile("default")


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
_MOST_MAPS = 25_000


@pytest.fixture(autouse=True)
def _programs_fit() -> Iterator[None]:
    yield
    if next(_COUNT) % 20 == 0 and _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def x64(request: pytest.FixtureRequest) -> Iterator[bool]:
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield
