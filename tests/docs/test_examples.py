"""Every public docstring has an example, and every example gives what it shows."""

import doctest
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pages
import pytest

import dora_theory as dt

# What is no function and no class, and what takes minutes or more data than an example has.
WITHOUT = {
    "PRESETS",
    "STRATEGIES",
    "plots",
    "KernelLength",
    "fit_similarity_temperature",
    "JointCertificate",
    "joint_certificate",
}
GIVEN = {"dt": dt, "jax": jax, "jnp": jnp, "np": np}


def docstring(name):
    module = importlib.import_module(f"dora_theory.{pages.public()[name]}")
    return (module if name == "plots" else getattr(module, name)).__doc__ or ""


def test_every_public_name_has_an_example():
    assert {name for name in pages.public() if ">>>" not in docstring(name)} <= WITHOUT


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(pages.public()) - WITHOUT))
def test_an_example_gives_what_it_shows(name):
    test = doctest.DocTestParser().get_doctest(docstring(name), dict(GIVEN), name, name, 0)
    assert test.examples
    with jax.enable_x64(False):
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
