"""Divisor rules for correlated candidates against plain loops, exact cases and their limits."""

import jax
import numpy as np
import pytest

import dora_theory as dt

RULES = {
    "shared": dt.shared_divisor_allocation,
    "moment": dt.copula_moment_allocation,
    "pair": dt.pair_divisor_allocation,
    "root": dt.root_weight_allocation,
    "determinantal": dt.determinantal_allocation,
}
each = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def problems(seed, rows, k, temperature=0.1):
    """Qualities and correlations of random embeddings."""
    rng = np.random.default_rng(seed)
    w = rng.dirichlet(np.ones(k), rows)
    e = rng.normal(size=(rows, k, 6))
    e[:, 1::2] = e[:, ::2][:, : k // 2] + 0.3 * e[:, 1::2]
    e /= np.linalg.norm(e, axis=-1, keepdims=True)
    s = np.clip(e @ np.swapaxes(e, -1, -2), -1, 1)
    return w, np.asarray(dt.copula_correlation(s, similarity_temperature=temperature).correlation)


def plainly(w, c, kappa, n, smooth=False):
    """Theory 8.3.1 as it is written."""
    if smooth:
        w = c @ w / c.sum(-1)
    spent = np.zeros(len(w), int)
    for _ in range(n):
        den = kappa + (c * np.sqrt(w[:, None] / w[None, :])) @ spent
        spent[np.argmax(w / den)] += 1
    return spent


@pytest.mark.parametrize("smooth", [False, True])
def test_shared_divisors_are_what_the_formula_says(smooth, x64):
    w, c = problems(0, 20, 8)
    kind = np.float64 if x64 else np.float32
    found = dt.shared_divisor_allocation(w.astype(kind), c.astype(kind), 0.6, 25, smooth=smooth)
    expected = np.stack([plainly(*row, 0.6, 25, smooth) for row in zip(w, c, strict=True)])
    same = (np.asarray(found) == expected).all(-1)
    assert same.all() if x64 else same.mean() > 0.9


@each
def test_independent_candidates_get_their_exact_optimum(rule, x64):
    rng = np.random.default_rng(1)
    w = rng.dirichlet(np.ones(7), 40).astype(np.float64 if x64 else np.float32)
    kappa = rng.uniform(0.2, 4, 40).astype(w.dtype)
    n = rng.integers(0, 40, 40)
    found = np.asarray(rule(w, np.eye(7), kappa, n))
    expected = np.asarray(dt.optimal_allocation(w, kappa, n))
    np.testing.assert_array_equal(found.sum(-1), n)
    same = (found == expected).all(-1)
    assert same.all() if x64 else same.mean() >= 0.97


@each
@pytest.mark.usefixtures("float64")
def test_one_chance_per_direction_is_the_optimum_over_totals_spread_evenly(rule):
    quality, sizes, kappa = np.array([0.45, 0.35, 0.2]), [4, 1, 3], 0.8
    labels = np.repeat(np.arange(3), sizes)
    same = (labels[:, None] == labels).astype(float)
    for n in (0, 1, 5, 17, 40):
        found = np.asarray(rule(quality[labels], same, kappa, n))
        totals = np.asarray(dt.optimal_allocation(quality, kappa, n))
        np.testing.assert_array_equal(np.bincount(labels, found, 3), totals)
        np.testing.assert_array_equal(found, dt.spread_evenly(totals, labels))


@pytest.mark.usefixtures("float64")
def test_shares_tend_to_the_root_weights():
    w, c = problems(2, 6, 5, temperature=0.5)
    target = dt.root_weights(w, c)
    shares = np.asarray(target.weights / target.exponent[:, None])
    off = []
    for n in (100, 1000, 10000):
        given = np.asarray(dt.shared_divisor_allocation(w, c, 1.0, n)) / n
        off.append(np.abs(given - shares).max())
    assert off[2] < off[1] < off[0] < 0.05
    assert off[2] < 1e-3


@pytest.mark.usefixtures("float64")
def test_moment_divisors_are_greedy_for_two_rollouts_under_any_prior():
    rng = np.random.default_rng(3)
    rows, m, k = 300, 5, 4
    p = rng.uniform(0, 1, (rows, m, k)) ** 2
    w = rng.dirichlet(np.ones(m), rows)
    means = (w[..., None] * p).sum(1)
    second = np.einsum("rm,rmi,rmj->rij", w, p, p)
    for n in (1, 2):
        prior = dt.JointPrior.from_draws(-np.log1p(-p), n, weights=w, sampled=False)
        np.testing.assert_array_equal(
            dt.moment_divisor_allocation(means, second, n), dt.joint_allocation(prior, n)
        )


@pytest.mark.usefixtures("float64")
def test_a_candidate_that_leaves_nothing_is_not_tried_again():
    # p = (1, 0) or (0, 1): after a failure of the first the second is certain.
    second = np.array([[0.6, 0.0], [0.0, 0.4]])
    found = dt.moment_divisor_allocation([0.6, 0.4], second, 2)
    assert found.tolist() == [1, 1]
    # All used up: still the whole budget.
    one = dt.moment_divisor_allocation([0.5], [[0.5]], 5)
    assert one.tolist() == [5]


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_moment_divisors_of_the_copula_are_those_of_its_moments():
    w, c = problems(4, 3, 4, temperature=0.3)
    x = dt.copula_draws(jax.random.key(0), w, 1.0, c, num_draws=200_000)
    p = -np.expm1(-np.asarray(x))
    second = np.einsum("rmi,rmj->rij", p, p) / p.shape[1]
    second[:, range(4), range(4)] = w * (w + 1) / 2
    found = np.asarray(dt.copula_moment_allocation(w, c, 1.0, 30))
    sampled = np.asarray(dt.moment_divisor_allocation(w, second, 30))
    assert np.abs(found - sampled).max() <= 1


@each
@pytest.mark.usefixtures("float64")
def test_weights_of_zero_get_nothing_and_ties_go_to_the_first(rule):
    c = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    found = np.asarray(rule(np.array([0.0, 0.5, 0.5, 0.0]), c, 1.0, 7))
    assert found.tolist() == [0, 4, 3, 0]
    assert np.asarray(rule(np.zeros(4), c, 1.0, 3)).tolist() == [3, 0, 0, 0]
    sure = np.asarray(rule(np.array([0.2, 1.0, 0.2, 0.0]), np.eye(4), 1.0, 1))
    assert sure.tolist() == [0, 1, 0, 0]


@pytest.mark.slow
@each
@pytest.mark.parametrize("kappa", [1e-6, 1e6])
def test_extreme_concentrations_spend_the_budget(rule, kappa, x64):
    w, c = problems(5, 4, 6)
    for n in (1, 30):
        found = np.asarray(rule(w, c, kappa, n))
        assert (found >= 0).all()
        np.testing.assert_array_equal(found.sum(-1), n)


@each
@pytest.mark.usefixtures("float64")
def test_padding_changes_nothing(rule):
    w, c = problems(6, 3, 5)
    wide = np.full((3, 8), np.nan)
    wide[:, 1:6] = w
    matrix = np.full((3, 8, 8), np.nan)
    matrix[:, 1:6, 1:6] = c
    mask = np.zeros(8, bool)
    mask[1:6] = True
    found = np.asarray(rule(wide, matrix, 0.5, 19, mask=mask))
    np.testing.assert_array_equal(found[:, 1:6], rule(w, c, 0.5, 19))
    assert found[:, [0, 6, 7]].sum() == 0


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], r"correlation\[0, 1\] = 0.5: needs a symmetric matrix"),
        ([[1.0, 0.5], [0.5, 0.9]], r"correlation\[1, 1\] = 0.9: needs 1 on the diagonal"),
        ([[1.0, 1.5], [1.5, 1.0]], r"correlation\[0, 1\] = 1.5"),
        ([[1.0, np.nan], [0.5, 1.0]], r"correlation\[0, 1\] = nan"),
    ],
)
def test_bad_correlations_are_named(matrix, message):
    with pytest.raises(ValueError, match=message):
        dt.shared_divisor_allocation([0.5, 0.5], matrix, 1.0, 4)
