"""What a GPU rounds otherwise than a CPU moves no allocation, and sums by what is stated."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_table import greedy, table
from device_numerics import APPROXIMATE, EXACT, ULPS, on_device
from test_outcome_kernel import given

from dora_theory.kernels.arithmetic import PLAIN
from dora_theory.kernels.divisor import largest_in_block
from dora_theory.kernels.outcomes import expected_outcomes_reference
from dora_theory.kernels.similarities import similarity_reference
from dora_theory.kernels.triton_instructions import as_interpreted

DIRECTIONS = 1, -1, 0


def quotient(x, y):
    return x / y


quotient.__name__ = EXACT


def allocated(divide):
    """What the kernel does of rows that lie in registers."""
    weights, kappa, budgets, mask = table(np.float32)
    emulated = jax.jit(on_device(lambda n, m, c, b: largest_in_block(n, m, c, b, divide)))
    counts = [np.asarray(emulated(i, weights, mask, kappa, budgets[:, None])) for i in DIRECTIONS]
    few = budgets <= 64
    return [c[few] for c in counts], greedy(weights[few], kappa[few], budgets[few], mask[few])


def test_allocation_is_exact_however_its_level_is_rounded():
    """The search divides by div.full and takes approximate roots; the certificate does not."""
    counts, expected = allocated(jax.jit(quotient))
    for each in counts:
        np.testing.assert_array_equal(each, expected)


@pytest.mark.slow
def test_a_certificate_that_divides_approximately_would_be_seen():
    counts, expected = allocated(jnp.divide)
    assert any((each != expected).any() for each in counts)


@pytest.mark.parametrize("precision", ["full", "bfloat16"])
def test_uniqueness_stays_within_its_stated_error(precision):
    """Exponents off by (d + 4)/T ulps; beside that an exponential, and a sum of k numbers."""
    rng = np.random.default_rng(2)
    k, d = 30, 24
    e = rng.normal(size=(2, 5, d))[:, rng.integers(5, size=k)]
    e += 0.1 * rng.normal(size=e.shape)
    e[:, 7:11] = e[:, 3:4]
    unit = (e / np.linalg.norm(e, axis=-1, keepdims=True)).astype(np.float32)
    temperature = np.array([0.01, 0.1], np.float32)
    problem = unit, np.ones((2, k), np.float32), temperature

    def function(*arguments):
        return similarity_reference(*arguments, precision=precision)

    emulated = jax.jit(on_device(function))
    y = np.asarray(function(*problem), float)
    bound = np.expm1((d + 4) * 2.0**-23 / temperature.astype(float))[:, None] + (k + 8) * 2.0**-23
    found = [np.asarray(emulated(i, *problem)) / y - 1 for i in DIRECTIONS]
    assert all((np.abs(off) <= bound).all() for off in found)
    # It is moved, and either way.
    assert found[0].max() > 2.0**-22
    assert found[1].min() < -(2.0**-22)


@pytest.mark.parametrize("form", ["triton", "mosaic"])
def test_monte_carlo_stays_within_a_hundred_thousandth(monkeypatch, form):
    """Roots, quotients and exponentials of every draw; the words are integers.

    The Triton form also takes logarithms, sines and cosines by single instructions.
    """
    # The exponential of both is a power of two, of a product that is rounded: half a unit for each
    # unit of x, until it is 0.
    monkeypatch.setitem(ULPS, "exp", lambda x: 2 + jnp.minimum(jnp.abs(x), 104) / 2)
    arguments, by = jax.tree.map(jnp.asarray, given(300, 290)), PLAIN
    if form == "triton":
        by = as_interpreted()
        for name, bound in APPROXIMATE.items():
            monkeypatch.setitem(ULPS, name, bound)
    emulated = jax.jit(on_device(partial(expected_outcomes_reference, by=by)))
    exact = jax.jit(expected_outcomes_reference)(*arguments)
    for direction in DIRECTIONS:
        found = emulated(direction, *arguments)
        for x, y in zip(found, exact, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5)
            assert (np.asarray(x) != np.asarray(y)).any()


def test_approximations_move_draws_by_what_they_are_off():
    """A thousand times the documented errors are seen; the bound above is no matter of luck."""
    arguments = jax.tree.map(jnp.asarray, given(300, 290))
    exact = jax.jit(expected_outcomes_reference)(*arguments)
    wrong = {name: (lambda x, f=bound: 1000 * f(x)) for name, bound in APPROXIMATE.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, bound in wrong.items():
            patch.setitem(ULPS, name, bound)
        emulated = jax.jit(on_device(partial(expected_outcomes_reference, by=as_interpreted())))
        found = emulated(1, *arguments)
    assert np.abs(np.asarray(found.success) / np.asarray(exact.success) - 1).max() > 1e-5
