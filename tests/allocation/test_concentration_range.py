"""One range of κ and ν for every function: an error for host values, -1 or NaN for others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory.allocation.hierarchical import (
    correlated_allocation,
    direction_allocation,
    hierarchical_log_failure,
)
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.waterfill import waterfill_allocation
from dora_theory.model.objective import candidate_log_failure, log_failure, success_probability
from dora_theory.strategies.options import _LEAST, _MOST_CONCENTRATION

W, LABELS, GIVEN = np.array([0.5, 0.3]), np.array([0, 1]), np.array([3, 1])
OF_KAPPA = {
    "optimal": lambda kappa: optimal_allocation(W, kappa, 5),
    "waterfill": lambda kappa: waterfill_allocation(W, kappa, 5),
    "direction": lambda kappa: direction_allocation(W, LABELS, kappa, 5),
    "correlated": lambda kappa: correlated_allocation(W, LABELS, kappa, 1.0, 5, points=8),
    "quadrature": lambda kappa: correlated_allocation(
        W, LABELS, kappa, 1.0, 5, method="quadrature"
    ),
    "within": lambda nu: correlated_allocation(W, LABELS, 1.0, nu, 5, points=8),
    "log failure": lambda kappa: log_failure(W, kappa, GIVEN),
    "success": lambda kappa: success_probability(W, kappa, GIVEN),
    "each": lambda kappa: candidate_log_failure(W, kappa, GIVEN),
    "hierarchy": lambda kappa: hierarchical_log_failure(W, LABELS, kappa, 1.0, GIVEN, points=8),
    "hierarchy within": lambda nu: hierarchical_log_failure(W, LABELS, 1.0, nu, GIVEN, points=8),
}


def ends(x64):
    return (1e-290, 2.0**52) if x64 else (1e-30, 2.0**23)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_KAPPA)
def test_beyond_the_range_is_an_error_of_host_values_and_poison_of_others(name, x64):
    of, (least, most) = OF_KAPPA[name], ends(x64)
    dtype = float if x64 else np.float32
    outside = [0.0, -1.0, np.nan, np.inf, least / 2, most * 1.001, 1e25]
    for bad in outside:
        with pytest.raises(ValueError, match=r"concentration.* = .*: needs"):
            of(np.array(bad, dtype))
    found = np.asarray(jax.jit(of)(jnp.array([2.0, *outside, 3.0], dtype)))
    inside = [np.asarray(of(np.array(kappa, dtype))) for kappa in (2.0, 3.0)]
    np.testing.assert_allclose(found[[0, -1]], inside, rtol=1e-14 if x64 else 1e-6)
    poisoned = found[1:-1]
    assert np.all(poisoned == -1 if poisoned.dtype == np.int32 else np.isnan(poisoned))


@pytest.mark.parametrize("name", OF_KAPPA)
def test_the_ends_of_the_range_have_an_answer(name, x64):
    for kappa in ends(x64):
        found = np.asarray(OF_KAPPA[name](kappa))
        assert not np.isnan(found).any()
        if found.dtype == np.int32:
            assert found.sum() == 5
            assert (found >= 0).all()
        elif name not in ("waterfill", "success"):
            assert (found <= 0).all()
            assert np.isfinite(found).all()


def test_the_command_line_has_the_same_range():
    assert ends(True) == (_LEAST, _MOST_CONCENTRATION)


def test_labels_that_a_program_of_the_other_mode_holds_are_taken_in_this_one():
    labels = np.arange(7) % 2
    # The program keeps JAX's int64 copy of them alive, which JAX 0.10.2 gives out again.
    with jax.enable_x64(True):
        held = jax.make_jaxpr(lambda x: x + labels)(1.0)
    with jax.enable_x64(False):
        found = direction_allocation(W, labels, 1.0, 5)
    assert found.sum() == 5
    del held
