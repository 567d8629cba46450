"""Fixtures of the two precisions, apart from `conftest.py`: `make gpu` has not what that needs."""

from collections.abc import Iterator

import jax
import pytest


# Each precision is a program of its own. Without `slow` float32 is tested, which is what JAX begins
# with, and float64 by the tests that need it.
@pytest.fixture(
    params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["float32", "float64"]
)
def x64(request: pytest.FixtureRequest) -> Iterator[bool]:
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield
