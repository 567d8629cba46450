"""Theory 9.2.2: what confidence bounds and Thompson sampling lose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt


def test_no_deviation_is_the_optimum(float64):
    rng = np.random.default_rng(0)
    w, kappa = rng.dirichlet(np.ones(6), 20), np.exp(rng.uniform(-2, 2, (20, 6)))
    given = dt.confidence_bound_allocation(w, kappa, 17, 0.0)
    assert given.tolist() == dt.optimal_allocation(w, kappa, 17).tolist()


def test_ucb1_by_hand(float64):
    rng = np.random.default_rng(2)
    w, kappa = rng.dirichlet(np.ones(5)), np.exp(rng.uniform(-2, 2, 5))
    given = np.zeros(5)
    for t in range(17):
        bound = kappa * w / (kappa + given) + np.sqrt(2 * np.log(1 + t) / (1 + given))
        given[bound.argmax()] += 1
    assert dt.ucb1_allocation(w, kappa, 17).tolist() == given.tolist()
    assert dt.ucb1_allocation([0.5, np.nan], 1.0, 3, mask=[True, False]).tolist() == [3, 0]


@pytest.mark.slow
def test_the_losses_are_those_of_the_theory(float64):
    """A few cells of table 9.2.2 on fewer problems, within its own noise."""
    rng = np.random.default_rng(1)
    lost = {name: [] for name in ("ucb 1", "ucb 2", "ucb1", "lcb 1/2", "lcb 1", "thompson")}
    n = 32
    for k in (4, 8, 16):
        w = rng.dirichlet(np.ones(k), 40)
        kappa = np.exp(rng.uniform(np.log(0.1), np.log(10), (40, k)))
        best = np.exp(dt.log_failure(w, kappa, dt.optimal_allocation(w, kappa, n)))
        for name, c in (("ucb 1", 1.0), ("ucb 2", 2.0), ("lcb 1/2", -0.5), ("lcb 1", -1.0)):
            given = dt.confidence_bound_allocation(w, kappa, n, c)
            lost[name].append(np.exp(dt.log_failure(w, kappa, given)) - best)
        given = dt.ucb1_allocation(w, kappa, n)
        lost["ucb1"].append(np.exp(dt.log_failure(w, kappa, given)) - best)
        found = dt.thompson_failure(jax.random.key(0), w, kappa, n, num_runs=16)
        lost["thompson"].append(np.asarray(found) - best)
    mean = {name: float(np.mean(np.concatenate(x))) for name, x in lost.items()}
    table = {"ucb 1": 0.0037, "ucb 2": 0.0059, "lcb 1/2": 0.029, "lcb 1": 0.140, "thompson": 0.010}
    table["ucb1"] = 0.047
    for name, want in table.items():
        assert 0.5 * want < mean[name] < 1.6 * want, (name, mean[name])
    assert all(np.min(np.concatenate(x)) > -1e-12 for x in lost.values())


def test_thompson_on_what_is_known_and_what_is_padding(x64):
    key = jax.random.key(3)
    sure = dt.thompson_failure(key, [0.5, 1.0], 1.0, 2)
    assert float(sure) == 0
    assert float(dt.thompson_failure(key, [0.0, 0.0], 1.0, 4)) == 1
    one = dt.thompson_failure(key, [0.5, np.nan], 0.5, 5, mask=[True, False])
    assert float(one) == pytest.approx(float(1 - dt.success_probability([0.5], 0.5, [5])), rel=1e-5)
    with pytest.raises(TypeError, match="key"):
        dt.thompson_failure(0, [0.5], 1.0, 2)
    with pytest.raises(ValueError, match="runs = 0"):
        dt.thompson_failure(key, [0.5], 1.0, 2, num_runs=0)
    assert np.isnan(dt.thompson_failure(key, jnp.array([0.5, 2.0]), 1.0, 2))
    given = dt.confidence_bound_allocation([0.5, np.nan], 1.0, 3, 1.0, mask=[True, False])
    assert given.tolist() == [3, 0]
