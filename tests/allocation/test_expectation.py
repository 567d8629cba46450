"""Greedy by expectation propagation against draws, and against exact optima."""

import jax
import numpy as np
import pytest

import dora_theory as dt


def problems(seed, rows, k, temperature):
    rng = np.random.default_rng(seed)
    w = rng.dirichlet(np.ones(k), rows)
    e = rng.normal(size=(rows, k, 4))
    s = np.asarray(dt.cosine_similarity(e))
    return w, np.asarray(dt.copula_correlation(s, similarity_temperature=temperature).correlation)


def test_independent_candidates_get_their_exact_optimum(x64):
    w = np.random.default_rng(0).dirichlet(np.ones(5), 20)
    w = w.astype(np.float64 if x64 else np.float32)
    found = np.asarray(dt.expectation_allocation(w, np.eye(5), 0.7, 12))
    best = np.asarray(dt.optimal_allocation(w, 0.7, 12))
    np.testing.assert_array_equal(found.sum(-1), 12)
    assert (found == best).all(-1).mean() >= (0.95 if x64 else 0.8)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kappa", [0.5, 2.0])
def test_it_loses_next_to_nothing_against_greedy_on_draws(kappa):
    w, c = problems(1, 12, 6, 0.4)
    budgets = np.resize([4, 12, 24], 12)
    found = dt.expectation_allocation(w, c, kappa, budgets)
    np.testing.assert_array_equal(np.asarray(found).sum(-1), budgets)
    x = dt.copula_draws(jax.random.key(0), w, kappa, c, num_draws=8192)
    greedy = dt.draws_allocation(x, budgets)
    fresh = dt.copula_draws(jax.random.key(1), w, kappa, c, num_draws=40_000)
    mine, theirs = (np.exp(dt.draws_failure(fresh, b).log_failure) for b in (found, greedy))
    assert (mine - theirs).mean() < 2e-4
    # Not by chance: a rule without correlation loses more.
    alone = dt.optimal_allocation(w, kappa, budgets)
    independent = np.exp(dt.draws_failure(fresh, alone).log_failure)
    assert (independent - theirs).mean() > 5 * max((mine - theirs).mean(), 1e-5)


@pytest.mark.usefixtures("float64")
def test_copies_and_nothing_to_gain():
    c = np.array([[1, 1, 0.2], [1, 1, 0.2], [0.2, 0.2, 1]])
    found = dt.expectation_allocation([0.4, 0.4, 0.3], c, 1.0, 7)
    assert int(found.sum()) == 7
    assert abs(int(found[0]) - int(found[1])) <= 1
    assert dt.expectation_allocation([0.0, 0.5, 0.0], np.eye(3), 1.0, 3).tolist() == [0, 3, 0]
    assert int(dt.expectation_allocation(np.zeros(3), np.eye(3), 1.0, 3).sum()) == 3
    with pytest.raises(ValueError, match="sweeps = 0"):
        dt.expectation_allocation([0.5], [[1.0]], 1.0, 3, sweeps=0)
