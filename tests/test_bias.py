"""Closed forms of bias against plain 50-digit arithmetic, brute force and the tables of theory."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from test_similarity import block_similarity

from dora_theory.allocation.optimal import apportion, optimal_allocation
from dora_theory.allocation.regret import regret_of_concentration, rollouts_to_match
from dora_theory.bias import (
    direction_mass,
    kl_divergence,
    magnitude_theta,
    noise_inflation,
    sharpened_quality,
    similarity_theta,
    solution_level_shares,
    specht_ratio,
)
from dora_theory.model.objective import log_failure, success_probability
from dora_theory.model.similarity import uniqueness_from_similarity

pytestmark = pytest.mark.usefixtures("float64")

SIZES = np.array([12, 3, 1])
EQUAL = np.full(3, 1 / 3)


def relative(got, truth):
    return abs(mpmath.mpf(float(got)) / truth - 1)


def test_counting_candidates_multiplies_by_their_number():
    got = solution_level_shares([[0.5, 0.3, 0.2], [1, 2, 0]], [1, 4, 10])
    assert np.allclose(got, [[5 / 37, 12 / 37, 20 / 37], [1 / 9, 8 / 9, 0]], rtol=1e-15)


@pytest.mark.parametrize("theta", [0, 1e-300, 1e-9, 0.5, 1, 3, 1e9, 1e300])
def test_mass_is_its_formula_from_nought_to_infinity(theta):
    with mpmath.workdps(50):
        parts = [mpmath.mpf(int(k)) / 3 / (int(k) + mpmath.mpf(theta)) for k in SIZES]
        truth = [x / sum(parts) for x in parts]
        for got, want in zip(direction_mass(EQUAL, SIZES, theta), truth, strict=True):
            assert relative(got, want) < 1e-15


def test_mass_at_both_ends():
    q = np.array([0.2, 0.3, 0.5])
    assert np.allclose(direction_mass(q, SIZES, 0), q, rtol=1e-15)
    assert np.allclose(
        direction_mass(q, SIZES, np.inf), solution_level_shares(q, SIZES), rtol=1e-15
    )
    assert direction_mass(q, [3, 0, 2], 0).tolist()[1] == 0
    assert direction_mass(q, [0, 0, 0], np.inf).tolist() == [0, 0, 0]


def test_divergence_has_its_digits_also_near_nought():
    rng = np.random.default_rng(1)
    with mpmath.workdps(50):
        for distance in (1e-12, 1e-7, 1e-3, 0.2, 0.3, 10):
            p = rng.dirichlet(np.ones(4))
            q = p * np.exp(distance * rng.normal(size=4))
            q /= q.sum()
            pairs = [
                (mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(p, q, strict=True)
            ]
            truth = sum(a * mpmath.log(a / b) - a + b for a, b in pairs)
            assert relative(kl_divergence(p, q), truth) < 1e-13


def test_divergence_of_what_lacks_support():
    assert float(kl_divergence([0.5, 0.5, 0], [0.5, 0.5, 0])) == 0
    assert float(kl_divergence([1, 0], [0.5, 0.5])) == pytest.approx(np.log(2), rel=1e-15)
    assert float(kl_divergence([0.5, 0.5], [1, 0])) == np.inf
    assert float(kl_divergence([1e-300, 1], [0.5, 0.5])) == pytest.approx(np.log(2), rel=1e-15)
    batch = kl_divergence(np.array([[0.25, 0.75], [0.5, 0.5]]), [0.5, 0.5])
    assert batch.tolist()[1] == 0


@pytest.mark.parametrize("temperature", [1e-4, 0.003, 0.01, 0.1, 1, 1e3, 1e12])
@pytest.mark.parametrize(("inside", "across"), [(1.0, 0.5), (0.98, 0.7), (0.95, 0.949), (0.1, -1)])
def test_theta_is_its_formula(inside, across, temperature):
    with mpmath.workdps(50):
        t = mpmath.mpf(temperature)
        a = mpmath.exp(-(1 - mpmath.mpf(inside)) / t)
        b = mpmath.exp(-(1 - mpmath.mpf(across)) / t)
        dora, magnitude = (1 - a + 16 * b) / (a - b), (1 - a) / (a - b)
        slack = 1e-15 * (8 + 2 * (1 - across) / temperature)
        for got, truth in (
            (similarity_theta(16, inside, across, temperature), dora),
            (magnitude_theta(inside, across, temperature), magnitude),
        ):
            if truth > 1e308:
                assert float(got) == np.inf
            elif truth < 1e-300:
                assert float(got) <= 1e-300
            else:
                assert relative(got, truth) < slack


def test_theta_at_its_ends():
    assert float(similarity_theta(16, 1.0, 0.5, 1e-9)) == 0
    assert float(similarity_theta(16, 0.9, 0.5, 1e-9)) == np.inf
    assert float(similarity_theta(16, 1.0, 0.5, 1e30)) == pytest.approx(32e30)
    assert float(magnitude_theta(0.95, 0.7, 1e30)) == pytest.approx(0.05 / 0.25, rel=1e-14)
    assert float(magnitude_theta(0.95, 0.7, 1e-9)) == np.inf
    assert float(magnitude_theta(1.0, 0.7, 0.01)) == 0


def test_theta_gives_the_mass_of_dora_s_weights():
    similarity, labels = block_similarity(SIZES, 0.95, 0.7)
    for t in (0.01, 0.05, 0.2, 2.0):
        gamma = uniqueness_from_similarity(similarity, similarity_temperature=t)
        mass = np.bincount(labels, gamma) / np.sum(gamma)
        got = direction_mass(EQUAL, SIZES, similarity_theta(16, 0.95, 0.7, t))
        assert np.allclose(got, mass, rtol=1e-12)


@pytest.mark.parametrize(
    ("inside", "across", "golden"),
    [
        (0.98, 0.7, "0.4741 0.1927 0.0607 0.0133 0.0425 0.1715 0.3369"),
        (0.95, 0.7, "0.4795 0.4520 0.2628 0.0655 0.0769 0.2009 0.3519"),
        (0.90, 0.6, "0.4795 0.4793 0.4520 0.1938 0.0953 0.1728 0.3296"),
    ],
)
def test_the_table_of_4_5(inside, across, golden):
    t = np.array([0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
    mass = direction_mass(EQUAL, SIZES, similarity_theta(16, inside, across, t))
    assert [f"{x:.4f}" for x in kl_divergence(EQUAL, mass)] == golden.split()
    assert f"{kl_divergence(EQUAL, solution_level_shares(EQUAL, SIZES)):.4f}" == "0.4795"


def test_the_table_of_5_6():
    t = np.array([0.01, 0.05, 0.1, 0.5, 5])
    dora, magnitude = (
        kl_divergence(EQUAL, direction_mass(EQUAL, SIZES, theta))
        for theta in (similarity_theta(16, 0.95, 0.7, t), magnitude_theta(0.95, 0.7, t))
    )
    # Theory prints 0.066 at 0.05: its own 0.0655, rounded once more.
    assert [f"{x:.3f}" for x in dora] == ["0.452", "0.065", "0.077", "0.352", "0.466"]
    assert [f"{x:.3f}" for x in magnitude[:4]] == ["0.452", "0.061", "0.019", "0.004"]
    assert f"{magnitude[4]:.4f}" == "0.0025"


def test_specht_s_ratio():
    with mpmath.workdps(50):
        for h in (1 + 2**-52, 1 + 1e-9, 1.01, 4, 16, 64, 1e6, 1e300):
            x = mpmath.mpf(h)
            truth = (x - 1) * x ** (1 / (x - 1)) / (mpmath.e * mpmath.log(x))
            assert relative(specht_ratio(h), truth) < 2e-15
    assert float(specht_ratio(1)) == 1
    assert [f"{x:.2f}" for x in specht_ratio([4, 16, 64])] == ["1.26", "2.39", "5.95"]
    # Theory 4.7: a saving of 2 and of 4 times.
    assert float(specht_ratio(11.5)) < 2 + 0.005
    assert float(specht_ratio(11.4)) < 2 < float(specht_ratio(11.6))
    assert float(specht_ratio(36.2)) < 4 < float(specht_ratio(36.4))


def test_specht_s_ratio_is_the_largest_price_of_two_directions():
    q = np.linspace(0, 1, 200_001)
    pairs = np.stack([q, 1 - q], -1)
    price = np.exp(kl_divergence(pairs, solution_level_shares(pairs, [16, 1])))
    # The grid misses the top by less than half a step times the slope there, which is 0.
    assert float(price.max()) == pytest.approx(float(specht_ratio(16)), rel=1e-9)


@pytest.mark.slow
def test_rollouts_to_match_against_a_walk_through_all_budgets():
    rng = np.random.default_rng(3)
    quality = rng.dirichlet(np.ones(3), size=12) * 0.9
    shares = np.asarray(solution_level_shares(quality, rng.integers(1, 9, (12, 3))))
    kappa, budget = rng.choice([0.1, 1.0, 7.0], 12), rng.integers(1, 25, 12)
    got = np.asarray(rollouts_to_match(quality, shares, kappa, budget))
    assert (got >= budget).all()
    target = np.asarray(log_failure(quality, kappa, optimal_allocation(quality, kappa, budget)))
    walk = apportion(shares, np.arange(400)[:, None])
    curve = np.asarray(log_failure(quality, kappa, walk))
    enough = np.argmax(curve <= target, 0)
    assert (enough > 0).all()
    before, at = (np.take_along_axis(curve, x[None], 0)[0] for x in (enough - 1, enough))
    assert np.allclose(got, enough - 1 + (before - target) / (before - at), rtol=1e-12)


@pytest.mark.slow
def test_rollouts_to_match_at_its_ends():
    q = np.array([[0.5, 0.3], [0.5, 0.3], [0.8, 0.1], [1, 0.5], [0, 0]])
    shares = np.array([[5, 3], [5, 3], [0, 1], [1, 20], [1, 2]])
    kappa, budget = np.array([0.5, 0.5, 1, 1, 1]), np.array([37, 0, 300, 3, 3])
    # Webster's shares of Q itself are the optimum for κ = 1/2; the worse of two alone never gets
    # there; a sure candidate needs one rollout, its eleventh by 1 to 20; no hope, no loss.
    got = rollouts_to_match(q, shares, kappa, budget)
    assert np.allclose(got, [37, 0, np.inf, 11, 3], rtol=1e-12)


@pytest.mark.slow
def test_the_price_is_the_exponential_of_the_divergence():
    """Theory 4.7: sizes 16, 1, 1, 1 of equal quality."""
    sizes, q = np.array([16, 1, 1, 1]), np.full(4, 0.25)
    shares = solution_level_shares(q, sizes)
    price = np.exp(float(kl_divergence(q, shares)))
    assert f"{price:.3f}" == "2.375"
    kappa = np.array([0.2, 1, 4])
    ratio = np.asarray(rollouts_to_match(q, shares, kappa, 100_000)) / 100_000
    assert np.allclose(ratio, price, rtol=1e-3)


def test_regret_of_a_wrong_concentration():
    rng = np.random.default_rng(4)
    w = rng.dirichlet(np.ones(6), size=20)
    best, used = (
        success_probability(w, 20.0, optimal_allocation(w, kappa, 32)) for kappa in (20.0, 0.5)
    )
    got = regret_of_concentration(w, 0.5, 20.0, 32)
    assert np.allclose(got, best - used, atol=1e-15)
    assert float(got.max()) > 1e-4
    assert np.asarray(regret_of_concentration(w, 20.0, 20.0, 32)).tolist() == [0] * 20
    # One sure candidate: the assumed κ sees it too, or has nothing to spend.
    assert float(regret_of_concentration([1, 0.5], 1.0, 2.0, 1)) == 0
    assert float(regret_of_concentration([1, 0.5], 1.0, 2.0, 0)) == 0


def test_regret_has_digits_where_both_successes_round_to_one():
    w = np.array([0.5, 0.3, 0.1])
    a, b = (optimal_allocation(w, kappa, 4000) for kappa in (900.0, 0.01))
    x, y = (mpmath.mpf(float(log_failure(w, 900.0, c))) for c in (a, b))
    truth = mpmath.exp(y) - mpmath.exp(x)
    assert 0 < truth < 1e-17
    assert float(regret_of_concentration(w, 0.01, 900.0, 4000)) == pytest.approx(
        float(truth), rel=1e-9
    )


def test_sharpening_by_repetition():
    q = np.array([0.5, 0.3, 0.2])
    for t in (0, 1, 2, 3.5, 40):
        assert np.allclose(sharpened_quality(q, t), q**t / np.sum(q**t), rtol=1e-13)
    assert sharpened_quality([0.5, 0, 0.25], 2).tolist()[1] == 0
    assert sharpened_quality([0.5, 0.0, 0.5], 0).tolist() == [0.5, 0, 0.5]
    assert sharpened_quality([0.0, 0.0], 3).tolist() == [0, 0]
    assert np.allclose(sharpened_quality(1e-200 * q, 9), q**9 / np.sum(q**9), rtol=1e-12)
    # Theory 6.1: the price after 2, 4 and 6 rounds.
    shares = sharpened_quality(q, np.array([2, 4, 6]))
    price = np.exp(kl_divergence(q, shares))
    assert [f"{x:.2f}" for x in price] == ["1.06", "1.59", "2.83"]


def test_noise_inflates_the_mean_of_exponentials():
    factor, spread = noise_inflation(0.1, 0.1, 1)
    assert float(factor) == pytest.approx(np.exp(0.5), rel=1e-15)
    x = np.exp(np.random.default_rng(5).normal(size=(400_000, 4))).mean(-1)
    factor, spread = noise_inflation(0.1, 0.1, 4)
    # Five standard errors of the mean, and of a standard deviation of such long tails.
    assert x.mean() == pytest.approx(float(factor), abs=5 * x.std() / np.sqrt(len(x)))
    assert x.std() / x.mean() == pytest.approx(float(spread), rel=0.05)
    assert [float(y) for y in noise_inflation(0.0, 0.1, 3)] == [1, 0]


@pytest.mark.slow
def test_float32_and_tracing():
    q, sizes = np.float32([0.2, 0.3, 0.5]), np.float32([12, 3, 1])

    @jax.jit
    def all_of(q, sizes):
        theta = similarity_theta(np.float32(16), np.float32(0.95), np.float32(0.7), np.float32(0.1))
        shares = direction_mass(q, sizes, theta)
        return kl_divergence(q, shares), rollouts_to_match(q, shares, 1.0, 64)

    with jax.enable_x64(False):
        small = all_of(q, sizes)
        slope = jax.grad(lambda q: kl_divergence(q, solution_level_shares(q, sizes)))(jnp.array(q))
        assert float(specht_ratio(np.float32(1))) == 1
    assert all(x.dtype == np.float32 for x in small)
    large = all_of(q.astype(float), sizes.astype(float))
    assert np.allclose(small, large, rtol=1e-3)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solution_level_shares([0.5, -0.1], [1, 1]), r"direction_weights\[1\] = -0.1"),
        (lambda: direction_mass([1.0], [1], np.nan), "theta = nan"),
        (lambda: direction_mass([1.0], [1], -1.0), "theta = -1"),
        (lambda: kl_divergence([0.5, 0.5], [np.nan, 1]), r"q\[0\] = nan"),
        (lambda: similarity_theta(0, 0.9, 0.5, 0.1), "num_candidates = 0"),
        (lambda: similarity_theta(4, 0.5, 0.5, 0.1), "similarity_within - similarity_between = 0"),
        (lambda: magnitude_theta(1.5, 0.5, 0.1), "similarity_within = 1.5"),
        (lambda: magnitude_theta(0.9, 0.5, 0.0), "temperature = 0"),
        (lambda: specht_ratio([2, 0.5]), r"imbalance\[1\] = 0.5"),
        (lambda: rollouts_to_match([0.5, 0.5], [1, -1], 1.0, 4), r"shares\[1\] = -1"),
        (lambda: rollouts_to_match([0.5, 1.5], [1, 1], 1.0, 4), r"direction_weights\[1\] = 1.5"),
        (lambda: regret_of_concentration([0.5], 0.0, 1.0, 4), "assumed = 0"),
        (lambda: sharpened_quality([0.5], -1), "rounds = -1"),
        (lambda: noise_inflation(-0.1, 0.1, 1), "noise = -0.1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
