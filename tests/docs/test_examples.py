"""Every public docstring has an example, and every example gives what it shows."""

import doctest
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pages
import pytest

import dora_theory as dt

# Constants, what needs more than a line, and what is newer than the examples.
WITHOUT = {
    "BenchmarkSimulation",
    "BiasReport",
    "Difficulty",
    "ExactAllocation",
    "FAMILIES",
    "FamilySimulation",
    "JointCertificate",
    "KernelLength",
    "PRESETS",
    "STRATEGIES",
    "StoredSweep",
    "VerifierOutcome",
    "VerifierPlan",
    "best_of_n_accuracy",
    "bias_report",
    "cache_compiled",
    "confidence_bound_allocation",
    "copula_log_moments",
    "exact_allocation",
    "expectation_allocation",
    "fit_similarity_temperature",
    "g_pass",
    "joint_certificate",
    "majority_at",
    "moment_divisor_allocation",
    "pass_at",
    "pass_hat",
    "plots",
    "read_sweep_results",
    "rule_claim",
    "simulate_benchmark",
    "simulate_families",
    "thompson_failure",
    "verifier_ceiling",
    "verifier_order",
    "verifier_outcome",
}
GIVEN = {"dt": dt, "jax": jax, "jnp": jnp, "np": np}


def docstring(name):
    module = importlib.import_module(f"dora_theory.{pages.public()[name]}")
    return (module if name == "plots" else getattr(module, name)).__doc__ or ""


WITH = sorted(name for name in pages.public() if ">>>" in docstring(name))


def test_every_public_name_has_an_example():
    # What a function returns has its example there.
    given = (getattr(dt, name).__annotations__.get("return") for name in WITH if name.islower())
    results = {getattr(of, "__name__", str(of).strip("'")) for of in given}
    assert set(pages.public()) - set(WITH) <= WITHOUT | results


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH)
def test_an_example_gives_what_it_shows(name):
    test = doctest.DocTestParser().get_doctest(docstring(name), dict(GIVEN), name, name, 0)
    assert test.examples
    with jax.enable_x64(False):
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
