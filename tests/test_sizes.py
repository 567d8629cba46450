"""Eager calls of ragged sizes share programs, and are answered as if they had their own."""

import inspect
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory import _arrays, _sizes

BATCH = np.random.default_rng(0)
COMPILED: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **more: COMPILED.append(event) if "backend_compile" in event else None
)


def batch(problems, k):
    scores = BATCH.uniform(size=(problems, k)).astype(np.float32)
    return scores, BATCH.normal(size=(problems, k, 4)).astype(np.float32)


def calls(problems, k):
    """Batches as a search over several problems has them, and one problem too large for NumPy."""
    scores, e = batch(problems, k)
    given = dt.dora_allocation(scores, e, np.full(problems, 9))
    assert (given.shape, np.asarray(given).sum()) == ((problems, k), 9 * problems)
    w = dt.quality_weights(jax.device_put(scores))
    np.testing.assert_allclose(np.asarray(w).sum(-1), 1, rtol=1e-6)
    assert dt.cosine_similarity(e).shape == (problems, k, k)
    assert dt.quality_weights(np.resize(scores, 1100 + k)).shape == (1100 + k,)


def test_a_new_size_of_a_bucket_compiles_nothing():
    calls(3, 12)
    COMPILED.clear()
    calls(4, 9)
    calls(3, 16)
    assert COMPILED == []
    dt.quality_weights(batch(3, 17)[0])
    assert COMPILED


def test_problems_of_a_batch_are_answered_as_alone():
    scores, e = batch(3, 12)
    there = BATCH.uniform(size=(3, 12)) < 0.7
    there[:, 0] = True
    n = np.array([5, 9, 30])
    for mask in (None, there):
        given = dt.dora_allocation(scores.round(1), e, n, mask=mask)
        for i in range(3):
            own = None if mask is None else mask[i]
            alone = dt.dora_allocation(scores[i].round(1), e[i], n[i], mask=own)
            np.testing.assert_array_equal(given[i], alone)


def test_what_is_bad_is_named_and_stays_where_it_is():
    scores, _ = batch(3, 12)
    scores[1, 11] = np.nan
    with pytest.raises(ValueError, match=r"scores\[1, 11\] = nan"):
        dt.rebase_allocation(scores, 9)
    given = dt.rebase_allocation(jnp.asarray(scores), 9)
    assert np.asarray(given).sum(-1).tolist() == [9, -12, 9]
    plain = inspect.unwrap(dt.rebase_allocation)
    for mask in (np.ones((3, 12), int), np.ones((3, 12)), np.ones((3, 11), bool)):
        with pytest.raises(ValueError, match="mask"):
            _sizes.rounded(plain)(scores, 9, mask=mask)
    with pytest.raises(TypeError, match="positional"):
        _sizes.rounded(plain)(scores, 9, 0.1)


def test_a_kappa_of_each_problem_is_not_taken_for_one_of_each_candidate():
    w, kappa = np.full(5, 0.2, np.float32), np.full(8, 0.5, np.float32)
    assert dt.log_failure(w, kappa, np.ones(5)).shape == (8,)
    own = dt.log_failure(np.resize(w, (3, 5)), np.resize(kappa, (3, 5)), np.ones((3, 5)))
    np.testing.assert_allclose(own, 5 * np.log(0.8), rtol=1e-6)


def test_what_was_put_on_another_device_stays_there(monkeypatch):
    x = jax.device_put(np.ones(3, np.float32), jax.devices()[0])
    assert isinstance(_arrays.near(x), np.ndarray)
    monkeypatch.setattr(_arrays, "get_default_device", lambda: None)
    assert _arrays.near(x) is x
    assert isinstance(_arrays.near(jax.device_put(np.ones(3))), np.ndarray)


TWO_DEVICES = """
import jax, numpy as np, dora_theory as dt
first, second = jax.devices()
scores = np.float32([0.9, 0.5])
with jax.default_device(second):
    for found in (dt.rebase_allocation(scores, 4), dt.rebase_allocation(scores[None], 4)):
        assert found.devices() == {second} and not found.committed
    for device in (first, second):
        found = dt.rebase_allocation(jax.device_put(scores, device), 4)
        assert found.devices() == {device}, (found.devices(), device)
"""


def test_results_are_on_the_default_device_or_where_arrays_were_put():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", TWO_DEVICES]
    subprocess.run(command, check=True, env=os.environ | flags)


@pytest.mark.parametrize("last_step", ["there", "not there", "of another JAX"])
def test_what_is_put_is_what_jax_puts(last_step, monkeypatch, x64):
    if last_step != "there":
        other = None if last_step == "not there" else lambda x: x
        monkeypatch.setattr(_arrays, "batched_device_put", other)
    for x in (np.arange(3, dtype=np.int32), np.ones(5, float if x64 else np.float32)):
        expected = jax.device_put(x)
        # A guard is against what nobody asked for; device_put is asked for.
        for guard in ("allow", "disallow"):
            with jax.transfer_guard(guard):
                found = _arrays.put(x)
            assert type(found) is type(expected)
            assert found.aval == expected.aval
            assert found.sharding == expected.sharding
            assert found.committed == expected.committed
            np.testing.assert_array_equal(found, x)


def test_sizes_are_a_power_of_two_or_some_thousands():
    assert [_sizes.round_up(n) for n in (1, 9, 1024, 1025, 5000)] == [8, 16, 1024, 2048, 5120]
    assert _sizes.round_up(3, 1) == 4
