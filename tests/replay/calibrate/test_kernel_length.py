"""The length of the kernel that made outcomes is found; what a log cannot tell is said."""

from dataclasses import astuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.replay.calibrate.kernel_length import LENGTHS, fitted_length, pair_losses

pytestmark = pytest.mark.usefixtures("float64")

N, K = 100, 12


def problems(seed, length, rollouts=4):
    """Outcomes under the copula prior of a known length: directions of like candidates."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (N, K))
    e = rng.normal(size=(N, 4, 16))
    e = np.take_along_axis(e, labels[..., None], 1) + 0.35 * rng.normal(size=(N, K, 16))
    s = np.asarray(dt.cosine_similarity(e))
    w = rng.uniform(0.1, 0.6, (N, K))
    c = dt.copula_correlation(s, similarity_temperature=length).correlation
    # Problems of one call share their normals, so each is called by itself.
    keys = jax.random.split(jax.random.key(seed), N)
    draw = jax.vmap(lambda key, w, c: dt.copula_draws(key, w, 1.0, c, num_draws=2)[0])
    x = draw(keys, jnp.asarray(w), c)
    right = rng.binomial(rollouts, -np.expm1(-np.asarray(x)))
    return s, right, np.full((N, K), rollouts), w


@pytest.mark.slow
@pytest.mark.parametrize("length", [0.1, 0.3])
def test_the_length_that_made_the_outcomes_is_found(length):
    found = dt.fit_similarity_temperature(*problems(0, length), 1.0)
    assert found.low <= found.lower_quartile <= found.upper_quartile <= found.high
    assert found.low < length < found.high
    assert length / 2.5 < found.similarity_temperature < 2.5 * length
    assert found.num_problems == N
    assert found.num_pairs == N * K * (K - 1) // 2


def test_independent_outcomes_support_no_length():
    s, right, rollouts, w = problems(1, 1e-4)
    found = dt.fit_similarity_temperature(s, right, rollouts, w, 1.0)
    assert not found.supported
    assert found.similarity_temperature < 0.05


@pytest.mark.slow
def test_the_loss_is_that_of_moments_by_draws():
    s, right, rollouts, w = (x[:1, :4] for x in problems(2, 0.2))
    s = s[..., :4]
    counted = np.ones((1, 4), bool)
    given = (jnp.asarray(x) for x in (s, right, rollouts, w, np.ones(1), counted))
    found = np.asarray(pair_losses(*given))[0]
    place = 30
    c = dt.copula_correlation(s[0], similarity_temperature=LENGTHS[place]).correlation
    p = -np.expm1(-np.asarray(dt.copula_draws(jax.random.key(5), w[0], 1.0, c, num_draws=400_000)))
    moments = p.T @ p / len(p)
    share = right[0] / rollouts[0]
    each = (np.outer(share, share) - moments) ** 2 / np.outer(w[0], w[0])
    assert found[place] == pytest.approx(each[np.tril_indices(4, -1)].sum(), rel=0.02)


def test_padding_and_untried_candidates_tell_nothing():
    s, right, rollouts, w = problems(3, 0.2)
    mask = np.ones((N, K), bool)
    mask[:, 9:] = False
    alone = dt.fit_similarity_temperature(
        s[:, :9, :9], right[:, :9], rollouts[:, :9], w[:, :9], 1.0
    )
    masked = dt.fit_similarity_temperature(s, right, rollouts, w, 1.0, mask=mask)
    untried = np.where(mask, rollouts, 0)
    tried = dt.fit_similarity_temperature(s, right * mask, untried, w, 1.0)
    for found in (masked, tried):
        assert astuple(found) == pytest.approx(astuple(alone), rel=1e-6)


def test_bad_input_is_named():
    s, right, rollouts, w = problems(4, 0.2)
    with pytest.raises(ValueError, match="rollouts - successes"):
        dt.fit_similarity_temperature(s, right + 9, rollouts, w, 1.0)
    with pytest.raises(ValueError, match="two candidates that were tried"):
        dt.fit_similarity_temperature(s, 0 * right, 0 * rollouts, w, 1.0)
    with pytest.raises(ValueError, match="symmetric"):
        dt.fit_similarity_temperature(np.triu(s), right, rollouts, w, 1.0)


def test_no_order_of_problems_changes_the_interval():
    losses = np.random.default_rng(3).random((40, LENGTHS.size))
    assert fitted_length(losses, 40) == fitted_length(losses[::-1], 40)
