"""Which of a kernel and its reference is called, and what is said where a kernel cannot run."""

import importlib.machinery
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory import optimal_allocation
from dora_theory.kernels import dispatch

ON_GPU = dispatch.unavailable() is None


def kernel(x):
    return x + 1


def reference(x):
    return x - 1


def test_the_name_decides_and_auto_takes_what_can_run():
    x = jnp.zeros(3)
    assert dispatch.choose("reference", kernel, reference, x)[0] == -1
    assert dispatch.choose("auto", kernel, reference, x)[0] == (1 if ON_GPU else -1)
    assert dispatch.choose("auto", kernel, reference, x, obstacle="too wide")[0] == -1
    with pytest.raises(ValueError, match="'cuda': needs one of 'auto', 'reference', 'pallas'"):
        dispatch.choose("cuda", kernel, reference, x)
    with pytest.raises(ValueError, match="implementation='pallas': too wide; use 'auto' or"):
        dispatch.choose("pallas", kernel, reference, x, obstacle="too wide")


@pytest.mark.skipif(ON_GPU, reason="has an NVIDIA GPU")
def test_a_kernel_that_is_asked_for_by_name_on_a_cpu_is_refused():
    with pytest.raises(ValueError, match="kernels need an NVIDIA GPU, and this process has only: "):
        optimal_allocation(np.ones(3), 1, 2, implementation="pallas")


@pytest.mark.skipif(ON_GPU, reason="has an NVIDIA GPU")
def test_without_a_gpu_pallas_is_not_loaded():
    code = (
        "import sys, dora_theory.kernels.dispatch as choice\n"
        "import dora_theory.kernels.outcomes, dora_theory.kernels.divisor_pallas\n"
        "import dora_theory.model.streamed_magnitude\n"
        "assert choice.unavailable()\n"
        "assert 'jax.experimental.pallas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def without(monkeypatch, *lacks):
    """As in a JAX that has not these modules."""
    for name in [n for n in sys.modules if any(f"{n}.".startswith(f"{x}.") for x in lacks)]:
        monkeypatch.delitem(sys.modules, name)
    found = importlib.machinery.PathFinder.find_spec

    def find(name, path=None, target=None):
        return None if name in lacks else found(name, path, target)

    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", find)
    dispatch.unavailable.cache_clear()


PALLAS = "jax.experimental.pallas"


@pytest.mark.parametrize("lacks", [[PALLAS], [f"{PALLAS}.triton", f"{PALLAS}.mosaic_gpu"]])
def test_a_jax_without_a_backend_is_named(monkeypatch, lacks):
    """Of a module in a package that is missing too, the search raises instead of finding None."""
    monkeypatch.setattr(dispatch, "_gpus", lambda: [("a GPU", 9.0)])
    without(monkeypatch, *lacks)
    assert dispatch.unavailable().endswith("has no backend of Pallas for GPUs")
    dispatch.unavailable.cache_clear()


@pytest.mark.parametrize(("capability", "taken"), [("8.0", False), ("9.0", True), ("10.0", False)])
def test_where_triton_is_gone_the_other_form_is_taken(monkeypatch, capability, taken):
    """Where its instructions are; a kernel without one falls back, and says why if asked for."""

    class Device:
        device_kind, compute_capability = "a GPU", capability

    other = dispatch.Mosaic(lambda x: x + 2, 9.0, 10.0)
    monkeypatch.setattr(dispatch.jax, "local_devices", lambda backend: [Device()])
    monkeypatch.setattr(dispatch.jax, "__version_info__", (0, 12, 0))
    without(monkeypatch, f"{PALLAS}.triton")
    x = jnp.zeros(3)
    try:
        if taken:
            assert dispatch.choose("pallas", kernel, reference, x, mosaic=other)[0] == 2
        else:
            with pytest.raises(ValueError, match="form for Mosaic GPU is not for a GPU"):
                dispatch.choose("pallas", kernel, reference, x, mosaic=other)
        with pytest.raises(ValueError, match=r"has no Triton backend .* has no other form"):
            dispatch.choose("pallas", kernel, reference, x)
        assert dispatch.choose("auto", kernel, reference, x)[0] == -1
    finally:
        dispatch.unavailable.cache_clear()


@pytest.mark.parametrize(("capability", "found"), [("8.0", 1), ("9.0", 2), ("10.0", 1)])
@pytest.mark.parametrize("faster", [False, True])
def test_a_form_that_is_faster_is_taken_before_triton_s(monkeypatch, capability, found, faster):
    """Where its instructions are, and JAX has what it is made of."""

    class Device:
        device_kind, compute_capability = "a GPU", capability

    other = dispatch.Mosaic(lambda x: x + 2, 9.0, 10.0, faster)
    monkeypatch.setattr(dispatch.jax, "local_devices", lambda backend: [Device()])
    dispatch.unavailable.cache_clear()
    x = jnp.zeros(3)
    try:
        for version, here in (((0, 11, 2), found if faster else 1), ((0, 10, 2), 1)):
            monkeypatch.setattr(dispatch.jax, "__version_info__", version)
            assert dispatch.choose("pallas", kernel, reference, x, mosaic=other)[0] == here
    finally:
        dispatch.unavailable.cache_clear()


class _Device:
    device_kind, compute_capability = "Tesla T4", "7.5"


def test_a_gpu_that_is_too_old_is_named(monkeypatch):
    dispatch.unavailable.cache_clear()
    monkeypatch.setattr(dispatch.jax, "local_devices", lambda backend: [_Device()])
    assert dispatch.unavailable() == "kernels need compute capability 8.0, and Tesla T4 has 7.5"
    dispatch.unavailable.cache_clear()
