"""Every test sees shapes checked at run time; `x64` runs a test in float32 and in float64."""

from collections.abc import Iterator

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


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def x64(request: pytest.FixtureRequest) -> Iterator[bool]:
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield
