"""Bad arguments are named with their place and value; traced ones pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory._checks import (
    Argument,
    as_mask,
    check_key,
    check_number,
    check_range,
    check_type,
    check_whole,
    checked,
    fit,
    host_count,
    host_float,
)
from dora_theory._domains import NOT_NEGATIVE, SHARE


def test_host_float_keeps_float_dtypes_and_promotes_the_rest(x64):
    default = jnp.float64 if x64 else jnp.float32
    assert host_float("x", np.ones(2, np.float32)).dtype == jnp.float32
    assert host_float("x", np.ones(2)).dtype == default
    assert host_float("x", np.ones(2, np.int8)).dtype == default
    assert host_float("x", jnp.ones(2, jnp.bfloat16)).dtype == default
    assert host_float("x", 3).dtype == default


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.array([True]), None])
def test_host_float_refuses_what_is_not_a_real_number(bad):
    with pytest.raises(ValueError, match="scores: needs real numbers"):
        host_float("scores", bad)


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
    assert host_count("budget", 16.0).dtype == jnp.int32
    assert host_count("budget", np.array([1, 2])).tolist() == [1, 2]
    for bad in (1.5, -1, np.nan, np.inf, 2**31, np.array([True]), np.array(["3"])):
        with pytest.raises(ValueError, match="budget"):
            host_count("budget", bad)


def test_mask_and_candidates():
    assert as_mask(None, (2, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="needs booleans"):
        as_mask(np.array([0, 1]), (2,))
    with pytest.raises(ValueError, match="does not fit"):
        as_mask(np.array([True, False, True]), (2, 2))


def test_own_axes_match_exactly_and_batches_broadcast():
    assert fit(w=((2, 1, 3), "k"), kappa=((5,), ""), e=((3, 7), "k d")) == (
        (2, 5),
        {"k": 3, "d": 7},
    )
    for bad, message in (
        ({"w": ((), "k")}, r"w: needs at least one candidate, got shape \(\)"),
        ({"w": ((3, 0), "k")}, "w: needs at least one candidate"),
        ({"w": ((3,), "k"), "mask": ((1,), "k")}, "mask: 1 candidate, where w has 3"),
        ({"w": ((1,), "k"), "e": ((3, 2), "k d")}, "e: 3 candidates, where w has 1"),
        ({"s": ((3, 2), "k k")}, "s: needs a square matrix"),
        ({"e": ((3,), "k d")}, "e: needs a vector for each candidate"),
        ({"w": ((2, 3), "k"), "n": ((3,), "")}, r"shapes do not fit: w \(2, 3\), n \(3,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(**bad)


def test_what_is_on_a_device_is_not_looked_at():
    x, m = checked(jnp.array([True, False]), w=Argument(np.array([np.nan, 0.5]), domain=SHARE))
    assert np.isnan(x[0])
    assert m.tolist() == [True, False]
    NOT_NEGATIVE.check("x", jnp.array(np.nan))
    assert host_count("n", jnp.array([2.0, 2.5, np.nan, 2.0**31, -1])).tolist() == [
        2,
        -1,
        -1,
        -1,
        -1,
    ]


def test_an_open_end_is_not_in_the_range():
    check_range("d", 0.0, 0, 1, high_open=True)
    with pytest.raises(ValueError, match=r"d = 1.0: needs a finite number in \[0, 1\)"):
        check_range("d", 1.0, 0, 1, high_open=True)


@pytest.mark.parametrize("x", [4, 4.0, np.int64(4), np.float32(4), np.array(4), jnp.array(4)])
def test_a_whole_number_may_be_of_any_type(x):
    whole = check_whole("n", x)
    assert whole == 4
    assert type(whole) is int


@pytest.mark.parametrize(
    "x", [float("nan"), float("inf"), "4", 2.5, True, None, [4], np.array([4]), np.True_, -1, 2**31]
)
def test_what_is_no_whole_number_is_named(x):
    with pytest.raises(ValueError, match=r"n = .*: needs an integer in \[0, 2147483647\]"):
        check_whole("n", x)


@pytest.mark.parametrize("x", ["4", True, None, [4.0], np.ones(2), 1j, np.True_, 10**400, {}])
def test_what_is_no_number_is_named(x):
    with pytest.raises(ValueError, match=r"x = .*: needs a number$"):
        check_number("x", x)


def test_a_number_may_be_traced_and_of_any_type():
    for x in (4, 4.5, np.float32(4), jnp.bfloat16(4), jnp.array(4), np.array(4.0)):
        check_number("x", x, 0)
    jax.jit(lambda x: check_number("x", x, 0, 1))(7.0)
    with pytest.raises(ValueError, match=r"x = .*Tracer.*: needs a number"):
        jax.jit(lambda x: check_number("x", x))(jnp.ones(2))
    with pytest.raises(ValueError, match="x = nan: needs a finite number"):
        check_number("x", np.nan)


@pytest.mark.parametrize(
    "key", [None, 0, "k", [1, 2], np.zeros(2), jax.random.split(jax.random.key(0))]
)
def test_what_is_no_key_is_named(key):
    for good in (jax.random.key(0), jax.random.PRNGKey(0), np.array([0, 3], np.uint32)):
        check_key("key", good)
    with pytest.raises(TypeError, match=r"key = .*: needs one JAX random key"):
        check_key("key", key)


def test_a_value_of_another_type_is_named_and_cut_short():
    with pytest.raises(TypeError, match=r"p = 'x+…: needs a float") as error:
        check_type("p", "x" * 1000, float)
    assert len(str(error.value)) < 100
