"""Joint priors against all allocations in exact rationals, and every bound against the optimum."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.claims.check import rational

pytestmark = pytest.mark.usefixtures("float64")

K, N, M = 3, 5, 4
ALL = np.array(list(rational.allocations(N, K)))
ROWS = 200


def points(seed, rows=ROWS, high=8):
    """Finite priors: quarters of p, sometimes 0 and 1, and integer weights."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, high + 1, (rows, M, K)) / high
    return p, rng.integers(1, 5, (rows, M)).astype(float)


def rates(p):
    with np.errstate(divide="ignore"):
        return -np.log1p(-p)


def exact_failure(p, weights, b):
    """Σ_y w_y Π_i (1 - p_i)^B_i / Σ w, in rationals."""
    total = Fraction(0)
    for w, row in zip(weights, p, strict=True):
        each = Fraction(int(w))
        for chance, n in zip(row, b, strict=True):
            each *= (1 - Fraction(float(chance))) ** int(n)
        total += each
    return total / Fraction(int(sum(weights)))


@pytest.fixture(scope="module")
def finite():
    with jax.enable_x64(True):
        p, w = points(0)
        return p, w, dt.JointPrior.from_draws(rates(p), N, weights=w, sampled=False)


@pytest.fixture(scope="module")
def mixture():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        a, b = rng.uniform(0.02, 2, (2, ROWS, M, K))
        w = rng.uniform(0.1, 1, (ROWS, M))
        return dt.JointPrior.from_betas(dt.BetaPrior(a, b), N, weights=w)


def all_failures(prior):
    """Log failure of every allocation, shape `(rows, allocations)`."""
    return np.stack([np.asarray(dt.joint_log_failure(prior, b)) for b in ALL], -1)


def test_failure_is_that_of_exact_rationals(finite):
    p, w, prior = finite
    found = np.exp(all_failures(prior))[:20]
    for i, j in np.ndindex(found.shape):
        expected = exact_failure(p[i], w[i], ALL[j])
        assert found[i, j] == pytest.approx(float(expected), rel=1e-13, abs=1e-300)
    drawn = dt.draws_failure(rates(p), np.broadcast_to(ALL[3], (ROWS, K)), weights=w)
    np.testing.assert_allclose(np.exp(drawn.log_failure), np.exp(all_failures(prior))[:, 3])


def test_moments_of_a_beta_mixture_are_the_closed_form(mixture):
    a, b = np.random.default_rng(1).uniform(0.02, 2, (2, ROWS, M, K))
    found = dt.log_failure(dt.BetaPrior(a[0, 0], b[0, 0]), None, ALL[7])
    table = np.asarray(mixture.log_moments)[0, 0]
    assert table[np.arange(K), ALL[7]].sum() == pytest.approx(float(found), rel=1e-13)


@pytest.mark.parametrize("kind", ["finite", "mixture"])
def test_no_bound_cuts_off_the_optimum(kind, request):
    prior = request.getfixturevalue(kind)
    prior = prior[-1] if isinstance(prior, tuple) else prior
    failures = all_failures(prior)
    best = failures.min(-1)
    greedy = dt.joint_allocation(prior, N)
    assert np.all(np.asarray(greedy).sum(-1) == N)
    at_greedy = np.asarray(dt.joint_log_failure(prior, greedy))
    assert np.mean(at_greedy <= best + 1e-12) > 0.9
    above = 1 - np.exp(best)
    tight = []
    for b in [*ALL[:: len(ALL) // 5], greedy, np.array([1, 0, 1])]:
        found = dt.joint_certificate(prior, b, N)
        low = np.asarray(found.log_failure - found.gap)
        assert np.all(low <= best + 1e-11)
        assert np.all(np.asarray(found.slope_gap) >= np.asarray(found.gap) - 1e-11)
        optimal = np.asarray(found.optimal)
        assert np.all(np.asarray(found.log_failure)[optimal] <= best[optimal] + 1e-11)
        bound = dt.lattice_bound(prior, b, N)
        assert np.all(np.asarray(bound.lattice) >= above - 1e-12)
        assert np.all(np.asarray(bound.naive) >= np.asarray(bound.lattice) - 1e-12)
        tight.append(optimal.mean())
    # Greedy's own certificate proves most mixtures; points of a prior leave it little to say.
    assert tight[-2] > (0.5 if kind == "mixture" else 0.1)
    assert np.all(np.asarray(dt.prefix_bound(prior, N)) >= above - 1e-12)
    relaxed = np.asarray(dt.relaxed_bound(prior, greedy, N, steps=8))
    first = dt.joint_certificate(prior, greedy, N)
    assert np.all(relaxed <= best + 1e-11)
    assert np.all(relaxed >= np.asarray(first.log_failure - first.gap))


def test_the_gap_of_the_real_relaxation_bounds_too(finite):
    p, w, prior = finite
    best = all_failures(prior).min(-1)
    base = np.array([1.5, 2.25, 1.25])
    gap = np.asarray(dt.frank_wolfe_gap(rates(p), base, N, weights=w))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(base > 0, rates(p) * base, 0).sum(-1)
        at = np.log((w * np.exp(-own)).sum(-1) / w.sum(-1))
    sound = np.isfinite(gap) & np.isfinite(at)
    assert sound.sum() > 10
    assert np.all((at - gap)[sound] <= best[sound] + 1e-11)


def test_independent_candidates_are_bounded_by_their_optimum_from_any_base():
    rng = np.random.default_rng(2)
    weights = rng.dirichlet(np.ones(K), 50)
    prior = dt.JointPrior.independent(dt.BetaPrior.from_quality(weights, 0.7), N)
    best = dt.optimal_allocation(weights, 0.7, N)
    optimum = np.asarray(dt.log_failure(weights, 0.7, best))
    np.testing.assert_array_equal(dt.joint_allocation(prior, N), best)
    for b in ALL[::4]:
        found = dt.joint_certificate(prior, b)
        np.testing.assert_allclose(found.log_failure - found.gap, optimum, atol=1e-12)
    assert np.all(dt.joint_certificate(prior, best).optimal)


def test_padding_receives_nothing_and_changes_nothing():
    p, w = points(11, rows=1)
    p, w = np.minimum(p[0], 0.75), w[0]
    # Padding first, where ties would go, and last, with numbers that are none.
    mask = np.array([False, True, True, True, False])
    wide = np.full((M, 5), np.nan)
    wide[:, mask] = rates(p)
    plain = dt.JointPrior.from_draws(rates(p), N, weights=w, sampled=False)
    padded = dt.JointPrior.from_draws(wide, N, weights=w, sampled=False, mask=mask)

    def wider(b, padding=0):
        return np.insert(np.asarray(b), [0, 3], padding)

    base = dt.joint_allocation(plain, N)
    np.testing.assert_array_equal(dt.joint_allocation(padded, N), wider(base))
    given = wider(base, 10**6)
    for bound in (dt.lattice_bound, dt.joint_certificate, dt.relaxed_bound):
        ours, theirs = bound(plain, base), bound(padded, given)
        if bound is dt.joint_certificate:
            np.testing.assert_array_equal(theirs.rival, wider(ours.rival))
            ours, theirs = (x._replace(rival=0) for x in (ours, theirs))
        np.testing.assert_allclose(theirs, ours, rtol=1e-12)
    np.testing.assert_allclose(dt.prefix_bound(padded, N), dt.prefix_bound(plain, N), rtol=1e-12)
    best = dt.exact_allocation(padded, N)
    assert best.proved
    assert best.allocation.tolist() == wider(dt.exact_allocation(plain, N).allocation).tolist()
    drawn = dt.draws_failure(wide, given, weights=w, mask=mask)
    np.testing.assert_allclose(drawn, dt.draws_failure(rates(p), base, weights=w), rtol=1e-12)
    spent = dt.draws_allocation(wide, N, weights=w, mask=mask)
    np.testing.assert_array_equal(spent, wider(dt.draws_allocation(rates(p), N, weights=w)))
    gap = dt.frank_wolfe_gap(wide, given, N, weights=w, mask=mask)
    expected = dt.frank_wolfe_gap(rates(p), base, N, weights=w)
    np.testing.assert_allclose(gap, expected, rtol=1e-12)


def test_where_nothing_can_succeed_padding_still_receives_nothing():
    mask = np.array([False, True])
    prior = dt.JointPrior.from_draws(np.zeros((2, 2)), N, mask=mask, sampled=False)
    assert dt.joint_allocation(prior, 2).tolist() == [0, 2]
    assert dt.joint_certificate(prior, [0, 2]).rival.tolist() == [0, 2]
    assert dt.exact_allocation(prior, 2).allocation.tolist() == [0, 2]
    assert dt.draws_allocation(np.zeros((2, 2)), 2, mask=mask).tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"start = \[1, 1\]"):
        dt.exact_allocation(prior, 2, start=[1, 1])
    nobody = dt.JointPrior.from_draws(np.zeros((2, 2)), N, mask=~mask & mask, sampled=False)
    with pytest.raises(ValueError, match="a problem without candidates cannot spend a budget"):
        dt.joint_allocation(nobody, 2)
    with pytest.raises(ValueError, match="a problem without candidates"):
        dt.exact_allocation(nobody, 2)
    unseen = jax.jit(lambda n: dt.joint_allocation(nobody, n))(2)
    assert unseen.tolist() == [-1, -1]
    with pytest.raises(ValueError, match=r"mask: shape \(3,\)"):
        dt.JointPrior(np.zeros((1, 2, 3)), np.ones(1), mask=np.ones(3, bool))


def test_greedy_fails_where_the_theory_says():
    # (a) p = (1, 2/3) or (0, 1/4): greedy (1, 1) fails 108/288, the optimum (0, 2) 97/288.
    p = np.array([[1, 2 / 3], [0, 1 / 4]])
    prior = dt.JointPrior.from_draws(rates(p), 2, sampled=False)
    assert dt.joint_allocation(prior, 2).tolist() == [1, 1]
    found = dt.exact_allocation(prior, 2)
    assert found.allocation.tolist() == [0, 2]
    assert found.proved
    assert np.exp(found.log_failure) == pytest.approx(97 / 288)
    assert dt.draws_allocation(rates(p), 2).tolist() == [1, 1]
    # (b) one κ shared by all: greedy (3, 2, 1) fails 387/4000, (2, 2, 2) fails 1917/20000.
    w = np.array([1 / 2, 2 / 5, 2 / 5])
    unknown = dt.JointPrior.independent(dt.BetaPrior.from_quality(w, 1 / 3), 6)
    known = dt.JointPrior.from_draws(rates(w[None]), 6, sampled=False)
    both = np.concatenate([unknown.log_moments, known.log_moments])
    prior = dt.JointPrior(both, [2, 1])
    assert dt.joint_allocation(prior, 6).tolist() == [3, 2, 1]
    found = dt.exact_allocation(prior, 6)
    assert found.allocation.tolist() == [2, 2, 2]
    assert np.exp(found.log_failure) == pytest.approx(1917 / 20000)


def test_branch_and_bound_finds_the_optimum(finite, mixture):
    for prior in (finite[-1], mixture):
        best = all_failures(prior).min(-1)
        for i in range(60):
            one = dt.JointPrior(prior.log_moments[i], prior.weights[i])
            found = dt.exact_allocation(one, N)
            assert found.proved
            assert found.allocation.sum() == N
            same = found.log_failure == best[i]
            assert same or found.log_failure == pytest.approx(best[i], abs=1e-11)
    stopped = dt.exact_allocation(one, N, max_nodes=1, start=[N, 0, 0])
    assert stopped.bound <= best[59] + 1e-12
    with pytest.raises(ValueError, match=r"start = \[1, 0, 0\]"):
        dt.exact_allocation(one, N, start=[1, 0, 0])


def test_the_sampling_error_of_a_bound_is_that_of_repeated_samples():
    rng = np.random.default_rng(3)
    weights, m, n = np.array([0.5, 0.3, 0.2]), 300, 4
    b = np.array([2, 1, 1])

    def certificate():
        # One p shared by the first two, as far as the latent goes.
        y = rng.beta(1.0, 1.0, (m, 1))
        a = 2 * np.clip(weights * (0.3 + y), 0.01, 0.99)
        return dt.JointPrior.from_betas(dt.BetaPrior(a, 2 - a), n, sampled=True)

    found = [dt.joint_certificate(certificate(), b) for _ in range(60)]
    regrets = np.array([float(c.regret) for c in found])
    errors = np.array([float(c.standard_error) for c in found])
    assert errors.mean() == pytest.approx(regrets.std(), rel=0.35)


@pytest.mark.slow
def test_certify_says_what_is_proved():
    prior = dt.BetaPrior.from_quality(np.array([0.5, 0.3, 0.2]), 1.0)
    best = dt.optimal_allocation([0.5, 0.3, 0.2], 1.0, 8)
    found = dt.certify(best, prior)
    assert bool(found.optimal)
    assert str(found).startswith("proved optimal; success ")
    worse = dt.certify([8, 0, 0], prior)
    lost = float(found.success - worse.success)
    # Exact for independent candidates.
    assert float(worse.epsilon) == pytest.approx(lost, abs=1e-12)
    assert "of optimal, proved" in str(worse)
    # What spends less is compared with what spends all.
    less = dt.certify([0, 0, 0], prior, budget=8)
    assert float(less.epsilon) == pytest.approx(float(found.success), abs=1e-12)
    many = dt.certify(np.array([[2, 1, 0], [4, 2, 2]]), prior, budget=np.array([4, 8]))
    assert many.epsilon.shape == (2,)
    assert len(str(many).splitlines()) == 2
    few = dt.JointPrior.from_draws(np.ones((29, 2)), 4)
    with pytest.raises(ValueError, match="29 draws are too few for a limit of 95% confidence"):
        dt.certify([2, 2], few)
    with pytest.raises(TypeError, match="needs a JointPrior"):
        dt.certify([1, 1], "prior")  # type: ignore[arg-type]


def test_what_is_certain_or_impossible_breaks_nothing():
    p = np.array([[1.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
    prior = dt.JointPrior.from_draws(rates(p), 4, sampled=False)
    found = dt.certify([4, 0, 0], prior)
    assert bool(found.optimal)
    assert float(found.success) == 1
    other = dt.certify([0, 4, 0], prior)
    assert not bool(other.optimal)
    assert float(other.epsilon) == pytest.approx(float(1 - other.success))
    nothing = dt.certify([0, 0, 0], prior)
    assert bool(nothing.optimal)
    hopeless = dt.JointPrior.from_draws(np.zeros((2, 3)), 4, sampled=False)
    assert bool(dt.certify([1, 3, 0], hopeless).optimal)
    assert dt.joint_allocation(hopeless, 4).tolist() == [4, 0, 0]


def test_draws_agree_with_the_table_of_moments_and_batch(x64):
    p, w = points(5, rows=6)
    x = rates(np.minimum(p, 0.9)).astype(np.float64 if x64 else np.float32)
    prior = dt.JointPrior.from_draws(x, N, weights=w)
    budgets = np.array([0, 1, 2, 3, 4, 5])
    given = dt.draws_allocation(x, budgets, weights=w)
    np.testing.assert_array_equal(np.asarray(given).sum(-1), budgets)
    ahead = dt.joint_log_failure(prior, dt.joint_allocation(prior, budgets))
    drawn = dt.draws_failure(x, given, weights=w)
    np.testing.assert_allclose(drawn.log_failure, ahead, rtol=1e-12 if x64 else 1e-5)
    for i, n in enumerate(budgets):
        alone = dt.draws_allocation(x[i], n, weights=w[i])
        np.testing.assert_array_equal(given[i], alone)
    jitted = jax.jit(lambda x, n: dt.draws_allocation(x, n))(jnp.asarray(x), jnp.asarray(budgets))
    assert jitted.shape == (6, K)


@pytest.mark.parametrize(
    ("table", "weights", "message"),
    [
        (np.zeros((2, 3)), np.ones(2), "need"),
        (np.zeros((2, 3, 4)), np.ones(3), "3 latent values, where log_moments has 2"),
        (np.zeros((2, 3, 4)), np.array([0.0, -1.0]), r"weights\[1\] = -1.0"),
        (np.zeros((2, 3, 4)), np.zeros(2), "positive sum"),
        (np.full((1, 1, 2), -1.0), np.ones(1), r"log_moments\[0, 0, 0\] = -1.0: needs 0"),
        (np.array([[[0.0, -2.0, -1.0]]]), np.ones(1), r"log_moments\[0, 0, 2\] = -1.0: needs mom"),
        (np.array([[[0.0, np.nan]]]), np.ones(1), r"log_moments\[0, 0, 1\] = nan"),
    ],
)
def test_bad_priors_are_named(table, weights, message):
    with pytest.raises(ValueError, match=message):
        dt.JointPrior(table, weights)


def test_bad_allocations_and_budgets_are_named(mixture):
    with pytest.raises(ValueError, match=r"allocation\[0\] = 6: .*depth of the log moments"):
        dt.joint_certificate(mixture, [6, 0, 0])
    with pytest.raises(ValueError, match="budget = 9"):
        dt.joint_allocation(mixture, 9)
    with pytest.raises(ValueError, match="3 candidates"):
        dt.joint_log_failure(mixture, [1, 2])
    with pytest.raises(ValueError, match=r"rates\[0, 1\] = -1.0"):
        dt.draws_allocation([[0.5, -1.0]], 3)
    with pytest.raises(ValueError, match="log_moments: needs shape"):
        dt.exact_allocation(mixture, 3)


@pytest.mark.slow
def test_the_certificate_never_cuts_off_the_optimum_of_many():
    """Points and mixtures of random sizes, by all allocations of each."""
    rows = 5000
    rng = np.random.default_rng(7)
    p = rng.integers(0, 9, (rows, M, K)) / 8
    a, b = np.exp(rng.uniform(-4, 1, (2, rows, M, K)))
    w = rng.uniform(0.05, 1, (rows, M))
    for prior in (
        dt.JointPrior.from_draws(rates(p), N, weights=w, sampled=False),
        dt.JointPrior.from_betas(dt.BetaPrior(a, b), N, weights=w),
    ):
        best = all_failures(prior).min(-1)
        bases = [dt.joint_allocation(prior, N), rng.multinomial(N, [1 / K] * K, rows)]
        for base in bases:
            found = dt.joint_certificate(prior, base)
            low = np.asarray(found.log_failure - found.gap)
            assert np.all((low <= best + 1e-11) | (low == -np.inf))
            proved = np.asarray(found.optimal)
            assert np.all(np.asarray(found.log_failure)[proved] <= best[proved] + 1e-11)


def test_an_allocation_of_another_length_is_refused():
    p, _ = points(8, rows=4)
    for wrong in (np.ones(K + 1), 3.0):
        with pytest.raises(ValueError, match="allocation: shape"):
            dt.frank_wolfe_gap(rates(p), wrong, N)


def test_everything_runs_in_float32():
    with jax.enable_x64(False):
        p, w = points(8, rows=4)
        prior = dt.JointPrior.from_draws(rates(p).astype(np.float32), N, weights=w, sampled=False)
        assert prior.log_moments.dtype == np.float32
        found = dt.certify(dt.joint_allocation(prior, N), prior)
        assert np.all((found.epsilon >= 0) & (found.epsilon <= 1))
        assert not np.isnan(found.standard_error).any()
        certificate = dt.joint_certificate(prior, [5, 0, 0])
        assert not np.isnan(certificate.standard_error).any()
