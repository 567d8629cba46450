"""Priors are pytrees with the moments of their distributions."""

import jax
import numpy as np
import pytest
import scipy.stats

from dora_theory.model.objective import log_failure, priorities
from dora_theory.model.priors import BetaPrior


def test_beta_prior_has_scipys_mean_and_survives_a_tree_map(x64):
    w, kappa = np.array([[0.2, 0.7], [0.5, 0.01]]), np.array([3.0, 0.5])
    prior = jax.tree.map(lambda x: x * 1, BetaPrior.from_quality(w, kappa))
    assert isinstance(prior, BetaPrior)
    np.testing.assert_allclose(
        prior.mean, scipy.stats.beta(prior.alpha, prior.beta).mean(), rtol=1e-6
    )
    np.testing.assert_allclose(prior.mean, w, rtol=1e-6)
    np.testing.assert_allclose(prior.concentration, kappa[:, None] * np.ones(2), rtol=1e-6)


def test_posterior_mean_is_the_next_priority_and_failures_chain():
    """Theory 5.2, and failure over B1 + B2 rollouts in two stages."""
    w, kappa = np.array([0.2, 0.7]), 3.0
    first, second = np.array([2, 5]), np.array([4, 1])
    prior = BetaPrior.from_quality(w, kappa)
    after = prior.after_failures(first)
    np.testing.assert_allclose(after.mean, kappa * priorities(w, kappa, first), rtol=1e-6)
    chained = log_failure(w, kappa, first) + log_failure(after, None, second)
    np.testing.assert_allclose(chained, log_failure(w, kappa, first + second), rtol=1e-6)


def test_bad_values_are_named():
    with pytest.raises(ValueError, match=r"weights\[0\] = 2.0"):
        BetaPrior.from_quality(np.array([2.0]), 1.0)
    with pytest.raises(ValueError, match="concentration = 0"):
        BetaPrior.from_quality(np.array([0.5]), 0)
    with pytest.raises(ValueError, match=r"allocation\[0\] = -1"):
        BetaPrior.from_quality(np.array([0.5]), 1.0).after_failures(np.array([-1.0]))


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ([np.nan], [1.0], r"alpha\[0\] = nan"),
        ([1.0, 2.0], [1.0, -0.5], r"beta\[1\] = -0.5"),
        ([1.0], [np.inf], r"beta\[0\] = inf"),
        ([0.0], [0.0], r"alpha \+ beta\[0\] = 0.0"),
        ([1.0, 2.0], [1.0, 1.0, 1.0], "beta: 3 candidates, where alpha has 2"),
        (1.0, [1.0], "alpha: needs at least one candidate"),
    ],
)
def test_a_prior_is_checked_when_it_is_made(a, b, says):
    with pytest.raises(ValueError, match=says):
        BetaPrior(np.asarray(a), np.asarray(b))


def test_padding_is_not_checked_and_priors_are_mapped():
    masked = BetaPrior.from_quality(np.array([[0.3, np.nan]]), 2.0, mask=np.array([[True, False]]))
    np.testing.assert_allclose(masked.mean, [[0.3, 0.0]], rtol=1e-6)
    many = BetaPrior(np.ones((5, 2)), np.full((5, 2), 3.0))
    mean = jax.vmap(lambda prior: prior.after_failures(np.ones(2)).mean)(many)
    np.testing.assert_allclose(mean, 0.2, rtol=1e-6)
    assert jax.tree.map(lambda _: None, many).alpha is None
