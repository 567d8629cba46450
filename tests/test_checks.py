"""Bad arguments are named with their place and value; traced ones pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory.checks import as_count, as_float, as_mask, check_candidates, check_range


def test_as_float_keeps_float_dtypes_and_promotes_the_rest(x64):
    default = jnp.float64 if x64 else jnp.float32
    assert as_float("x", np.ones(2, np.float32)).dtype == jnp.float32
    assert as_float("x", np.ones(2)).dtype == default
    assert as_float("x", np.ones(2, np.int8)).dtype == default
    assert as_float("x", jnp.ones(2, jnp.bfloat16)).dtype == default
    assert as_float("x", 3).dtype == default


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.array([True]), None])
def test_as_float_refuses_what_is_not_a_real_number(bad):
    with pytest.raises(ValueError, match="scores: needs real numbers"):
        as_float("scores", bad)


def test_check_range_names_the_first_place():
    x = np.array([[0.5, 0.1], [2.0, np.nan]])
    with pytest.raises(ValueError, match=r"w\[1, 0\] = 2.0: needs a finite number in \[0, 1\]"):
        check_range("w", x, 0, 1)
    with pytest.raises(ValueError, match=r"w\[1, 1\] = nan"):
        check_range("w", x, 0, 2)
    check_range("w", x, 0, 2, mask=np.array([[True, True], [True, False]]))
    with pytest.raises(ValueError, match=r"kappa = 0: needs a finite number in \(0, inf\)"):
        check_range("kappa", 0, 0, low_open=True)


def test_traced_values_pass():
    jax.jit(lambda x: check_range("x", x, 0, 1) or x)(jnp.array([-1.0]))


def test_counts():
    assert as_count("budget", 16.0).dtype == jnp.int32
    assert as_count("budget", np.array([1, 2])).tolist() == [1, 2]
    for bad in (1.5, -1, np.nan, np.inf, 2**31, np.array([True]), np.array(["3"])):
        with pytest.raises(ValueError, match="budget"):
            as_count("budget", bad)


def test_mask_and_candidates():
    assert as_mask(None, (2, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="needs booleans"):
        as_mask(np.array([0, 1]), (2,))
    with pytest.raises(ValueError, match="does not fit"):
        as_mask(np.array([True, False, True]), (2, 2))
    for bad in (np.float32(1), np.zeros((3, 0))):
        with pytest.raises(ValueError, match="at least one candidate"):
            check_candidates("scores", bad)
