"""The Monte Carlo kernel draws what its reference draws, and adds it up to rounding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from lowering import for_cuda

from dora_theory.kernels.dispatch import unavailable
from dora_theory.kernels.outcome_parts import drawn_by, success_of
from dora_theory.kernels.outcomes import (
    Tiling,
    expected_outcomes,
    expected_outcomes_kernel,
    expected_outcomes_reference,
    outcomes_of_logits,
)
from dora_theory.kernels.random_words import stream
from dora_theory.model.objective import log_failure
from dora_theory.model.priors import BetaPrior

ON_GPU = unavailable() is None
UNITS, STRATEGIES, PROBLEMS = 3, 3, 5


def given(samples, wanted):
    """Five problems with a p of 0 and a p of 1 among them, from sample 5 on."""
    rng = np.random.default_rng(3)
    alpha = rng.uniform(size=(UNITS, PROBLEMS)).astype(np.float32)
    alpha[0, 0], alpha[0, 1] = 0, 1
    beta = 1 - alpha
    alpha[:, 3], beta[:, 3] = 400 * alpha[:, 3], 400 * beta[:, 3]
    spent = rng.integers(0, 9, size=(UNITS, STRATEGIES, PROBLEMS)).astype(np.int32)
    spent[0, :, 1] = 0, 1, 0  # nothing spent on the p of 1, and something
    keys = stream(jax.random.key(0), jnp.arange(PROBLEMS, dtype=jnp.uint32)[:, None])
    sample = jnp.arange(samples, dtype=jnp.uint32) + 5
    return keys, alpha, beta, spent, sample, sample < 5 + wanted


@pytest.fixture(scope="module")
def results():
    """Of 300 samples 290 count, and programs of 128 need a third that is not full."""
    arguments = given(300, 290)
    tile = Tiling(128, 4)
    kernel = partial(expected_outcomes_kernel, tile=tile, interpret=not ON_GPU)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        theirs = jax.jit(expected_outcomes_reference)(*arguments)
    return jax.jit(kernel)(*arguments), theirs


def test_it_equals_the_reference(results):
    ours, theirs = results
    for x, y in zip(ours, theirs, strict=True):
        assert x.shape == (STRATEGIES, PROBLEMS)
        np.testing.assert_allclose(x, y, rtol=1e-6)


def test_it_estimates_the_objective(results):
    """E[1 - Π (1 - p)^B] in closed form, within five standard errors of 290 samples."""
    _, alpha, beta, spent, *_ = given(300, 290)
    total = np.stack(
        [log_failure(BetaPrior(alpha.T, beta.T), None, s.T) for s in spent.swapaxes(0, 1)]
    )
    truth = -np.expm1(total)
    mean = np.asarray(results[0].success) / 290
    assert np.all(np.abs(mean - truth) <= 5 * np.sqrt(truth * (1 - truth) / 290) + 1e-6)
    expected = (spent * (alpha / (alpha + beta))[:, None]).sum(0)
    bound = 5 * np.sqrt((spent**2).sum(0) / 4 / 290) + 1e-6
    assert np.all(np.abs(np.asarray(results[0].correct) / 290 - expected) <= bound)


def test_draws_that_are_made_are_added_up():
    """Against products of (1 - p)^B written out, of samples that count."""
    *_, spent, _, counts = given(40, 30)
    logits = np.random.default_rng(4).normal(size=(UNITS, PROBLEMS, 40)).astype(np.float32)
    logits[0, 0], logits[0, 1] = -np.inf, np.inf
    found = outcomes_of_logits(jnp.asarray(logits), jnp.asarray(spent), counts)
    p = scipy.special.expit(logits.astype(float))[:, None]
    each = spent[..., None]
    success = 1 - ((1 - p) ** each).prod(0)
    correct = (each * p).sum(0)
    np.testing.assert_allclose(found.success, success[..., :30].sum(-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.correct, correct[..., :30].sum(-1), rtol=1e-5)


def test_success_and_failure_of_a_draw_are_relatively_exact():
    """From p and 1 - p of 1e-30 to certainty; a p of 1 leaves the least logarithm, not -inf."""
    logits = np.concatenate([np.linspace(-70, 70, 3001), [-np.inf, 1e-3]]).astype(np.float32)
    drawn = drawn_by(jnp.asarray(logits))
    exact = logits.astype(float)
    np.testing.assert_allclose(drawn.p, scipy.special.expit(exact), rtol=5e-7)
    np.testing.assert_allclose(drawn.log_q, scipy.special.log_expit(-exact), rtol=5e-7)
    assert np.isfinite(drawn_by(jnp.float32(np.inf)).log_q)
    failure = -np.geomspace(1e-30, 1e4, 4001).astype(np.float32)
    found = success_of(jnp.asarray(failure))
    np.testing.assert_allclose(found, -np.expm1(failure.astype(float)), rtol=5e-7)
    assert success_of(jnp.float32(0)) == 0


def test_nothing_to_do_is_nothing():
    keys, alpha, beta, spent, sample, counts = given(4, 4)
    none = expected_outcomes_kernel(keys, alpha, beta, spent, sample[:0], counts[:0])
    assert none.success.shape == (STRATEGIES, PROBLEMS)
    assert not none.success.any()


def test_float64_is_refused_by_name():
    keys, alpha, beta, *rest = given(4, 4)
    with jax.enable_x64(True):
        wide = jnp.asarray(alpha, float), jnp.asarray(beta, float)
        with pytest.raises(ValueError, match="implementation='pallas': the kernel has no float64"):
            expected_outcomes(keys, *wide, *rest, implementation="pallas")


@pytest.mark.parametrize("wide", [False, True], ids=["x32", "x64"])
def test_it_lowers_for_cuda(wide):
    arguments = given(300, 290)
    with jax.enable_x64(wide):
        text = for_cuda(expected_outcomes_kernel, *arguments)
    assert "__gpu$xla.gpu.triton" in text
    # Of an array that all samples and units share there is none.
    assert f"{UNITS}x{PROBLEMS}x300" not in text


@pytest.mark.skipif(not ON_GPU, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("samples", [1, 1000, 4096])
def test_sizes_on_a_gpu(samples):
    arguments = given(samples, samples)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        theirs = jax.jit(expected_outcomes_reference)(*arguments)
    for x, y in zip(jax.jit(expected_outcomes_kernel)(*arguments), theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
