"""The copula prior against SciPy's quantiles, closed forms and quadrature; root weights too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import dora_theory as dt
from dora_theory.model import beta_quantiles
from dora_theory.model.copula_moments import pair_series, series_divisors

Z = beta_quantiles.grid()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kappa", [0.05, 0.25, 1.0, 4.0, 100.0])
def test_quantiles_are_scipys(kappa):
    w = np.array([0.05, 0.3, 0.5, 0.9])
    theta = np.asarray(beta_quantiles.quantiles(jnp.asarray(w), jnp.full(4, kappa)).value)
    for weight, values in zip(w, theta, strict=True):
        a, b = kappa * weight, kappa * (1 - weight)
        inside = np.abs(Z) <= 6
        below = (Z <= 0) & inside & (values > -600) & (values < 30)
        p = special.expit(values)
        np.testing.assert_allclose(special.betainc(a, b, p[below]), special.ndtr(Z[below]), 2e-5)
        # The complement as a quantile of its own: 1 - p would lose its digits.
        above = (Z >= 0) & inside & (values < 600) & (values > -30)
        q = special.expit(-values[above])
        np.testing.assert_allclose(special.betainc(b, a, q), special.ndtr(-Z[above]), 2e-5)
        assert np.all(np.diff(values) > 0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kappa", [0.25, 1.0, 4.0])
def test_failure_of_one_candidate_is_the_closed_form(kappa):
    w = np.array([0.02, 0.3, 0.7])
    theta = np.asarray(beta_quantiles.quantiles(jnp.asarray(w), jnp.full(3, kappa)).value)
    x = np.logaddexp(0, theta)
    share = stats.norm.pdf(Z) * (Z[1] - Z[0])
    for b in (1, 7, 64):
        expected = np.exp(np.asarray(dt.candidate_log_failure(w, kappa, np.full(3, b))))
        np.testing.assert_allclose((np.exp(-b * x) * share).sum(-1), expected, rtol=1e-6)


@pytest.mark.parametrize("kappa", [1e-6, 1e-3, 1e3, 1e6])
def test_extreme_quantiles_are_numbers(kappa, x64):
    w = jnp.array([1e-6, 0.5, 0.999])
    found = beta_quantiles.quantiles(w, jnp.full(3, kappa, w.dtype))
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.slope).all()


def test_correlation_of_cosines_needs_no_lift_and_any_other_matrix_what_it_lacks(x64):
    rng = np.random.default_rng(0)
    e = rng.normal(size=(5, 6, 4))
    s = np.asarray(dt.cosine_similarity(e))
    for temperature in (0.01, 0.1, 3.0):
        found = dt.copula_correlation(s, similarity_temperature=temperature)
        assert np.all(np.asarray(found.lift) == 0)
        np.testing.assert_allclose(found.correlation, np.exp((s - 1) / temperature), atol=1e-5)
    bad = np.array([[1, 0.99, -1], [0.99, 1, 0.99], [-1, 0.99, 1.0]])
    found = dt.copula_correlation(bad, similarity_temperature=0.1)
    c = np.exp((bad - 1) / 0.1)
    lowest = np.linalg.eigvalsh(c)[0]
    assert float(found.lift) == pytest.approx(-lowest, rel=1e-4)
    assert np.linalg.eigvalsh(np.asarray(found.correlation))[0] > -1e-6


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], r"similarity\[0, 1\] = 0.5: needs a symmetric matrix"),
        ([[0.9, 0.5], [0.5, 1.0]], r"similarity\[0, 0\] = 0.9: needs 1 on the diagonal"),
        ([[1.0, 2.0], [2.0, 1.0]], r"similarity\[0, 1\] = 2.0"),
        ([[1.0, np.nan], [np.nan, 1.0]], r"similarity\[0, 1\] = nan"),
    ],
)
def test_bad_similarities_are_named(matrix, message):
    with pytest.raises(ValueError, match=message):
        dt.copula_correlation(matrix)


def test_what_is_far_from_a_correlation_is_refused_and_says_how_far():
    far = np.full((3, 3), -0.9) + 1.9 * np.eye(3)
    with pytest.raises(ValueError, match=r"has the eigenvalue -0.8, needs a positive semi-def"):
        dt.copula_draws(jax.random.key(0), [0.3, 0.3, 0.3], 1.0, far)
    with pytest.raises(ValueError, match="draws = 3: needs an even number"):
        dt.copula_draws(jax.random.key(0), [0.3], 1.0, [[1.0]], num_draws=3)


@pytest.mark.usefixtures("float64")
def test_draws_have_their_margins_and_correlations():
    w, c = np.array([0.5, 0.3, 0.2]), np.array([[1, 0.6, 0], [0.6, 1, 0.2], [0, 0.2, 1]])
    x = np.asarray(dt.copula_draws(jax.random.key(1), w, 1.5, c, num_draws=40_000))
    p = -np.expm1(-x)
    np.testing.assert_allclose(p.mean(0), w, atol=0.006)
    np.testing.assert_allclose(p.var(0), w * (1 - w) / 2.5, rtol=0.03)
    z = np.stack(
        [special.ndtri(stats.beta.cdf(p[:, i], 1.5 * w[i], 1.5 * (1 - w[i]))) for i in range(3)]
    )
    np.testing.assert_allclose(np.corrcoef(z), c, atol=0.015)


def test_padding_of_a_copula_never_succeeds(x64):
    mask = np.array([True, True, False])
    w = np.array([0.5, 0.3, np.nan])
    c = np.array([[1, 0.6, 7], [0.6, 1, np.nan], [0, 3, 1]])
    with pytest.raises(ValueError, match=r"weights\[2\] = nan"):
        dt.copula_draws(jax.random.key(1), w, 1.5, c)
    x = np.asarray(dt.copula_draws(jax.random.key(1), w, 1.5, c, num_draws=2000, mask=mask))
    assert np.all(x[:, 2] == 0)
    np.testing.assert_allclose((-np.expm1(-x)).mean(0), [0.5, 0.3, 0], atol=0.03)
    prior = dt.copula_prior(jax.random.key(0), w, 1.0, c, 6, num_draws=64, mask=mask)
    assert dt.joint_allocation(prior, 6).tolist()[2] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_log_moments_are_a_prior_whose_failure_is_that_of_draws():
    w, c = np.array([0.5, 0.3, 0.2]), np.array([[1, 0.6, 0.1], [0.6, 1, 0.2], [0.1, 0.2, 1]])
    prior = dt.copula_prior(jax.random.key(2), w, 0.5, c, 12, num_draws=20_000)
    x = dt.copula_draws(jax.random.key(3), w, 0.5, c, num_draws=200_000)
    for b in ([4, 4, 4], [12, 0, 0], [0, 1, 0]):
        drawn = dt.draws_failure(x, b)
        smooth = np.exp(float(dt.joint_log_failure(prior, b)))
        error = float(drawn.standard_error) + 0.005 * smooth
        assert smooth == pytest.approx(float(np.exp(drawn.log_failure)), abs=4 * error)
    found = dt.certify(dt.joint_allocation(prior, 12), prior)
    assert float(found.limit) < 0.01
    assert "optimal" in str(found)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("depth", [1.0, 6.0])
def test_pair_divisors_are_those_of_quadrature(depth):
    w, kappa, rho = np.array([0.6, 0.3]), 1.0, 0.5
    # p as a function of z by SciPy, and the second normal given the first.
    z, weight = np.polynomial.hermite_e.hermegauss(160)
    weight = weight / weight.sum()

    def chance(i, at):
        return stats.beta.ppf(special.ndtr(at), kappa * w[i], kappa * (1 - w[i]))

    first = chance(0, z)
    second = chance(1, rho * z[:, None] + np.sqrt(1 - rho**2) * z[None, :])
    both = (weight[:, None] * weight * first[:, None] * (1 - second) ** depth).sum()
    alone = np.exp(float(dt.candidate_log_failure(w[1:], kappa, [int(depth)])[0]))
    expected = w[0] * alone / both - 1
    series = pair_series(jnp.asarray(w), jnp.asarray(kappa))
    c = jnp.array([[1, rho], [rho, 1]])
    found = series_divisors(series, c, series.right(jnp.full(2, depth)))
    assert float(found[1, 0]) == pytest.approx(expected, rel=2e-3)


@pytest.mark.usefixtures("float64")
def test_root_weights_of_a_pair_and_of_independence():
    # Theory 8.2.5: C = 1/2, w = 0.6, 0.4: share 0.3040, exponent 0.680.
    found = dt.root_weights([0.6, 0.4], [[1, 0.5], [0.5, 1]])
    assert float(found.weights[1] / found.exponent) == pytest.approx(0.3040, abs=5e-5)
    assert float(found.exponent) == pytest.approx(0.680, abs=5e-4)
    # The second counts for nothing once w_2/w_1 ≤ C².
    assert float(dt.root_weights([0.6, 0.2], [[1, 0.6], [0.6, 1]]).weights[1]) == 0
    assert float(dt.root_weights([0.6, 0.2], [[1, 0.5], [0.5, 1]]).weights[1]) > 0
    # The limit 0.047 of the theory's three candidates is that of C_13 = 0.1, C_23 = 0.3, which it
    # leaves out; with these 0 it is 0.146.
    for c_13, c_23, share in ((0.1, 0.3, 0.0470), (0, 0, 0.1460)):
        c = [[1, 0.6, c_13], [0.6, 1, c_23], [c_13, c_23, 1]]
        found = dt.root_weights([0.5, 0.3, 0.2], c)
        assert float(found.weights[1] / found.exponent) == pytest.approx(share, abs=5e-5)
    w = np.random.default_rng(0).dirichlet(np.ones(5), 4)
    np.testing.assert_allclose(dt.root_weights(w, np.eye(5)).weights, w, rtol=1e-12)
    copies = dt.root_weights([0.3, 0.3, 0.4], [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(copies.weights, [0.15, 0.15, 0.4], rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_root_weights_solve_their_program():
    rng = np.random.default_rng(1)
    e = rng.normal(size=(20, 6, 3))
    c = np.asarray(
        dt.copula_correlation(dt.cosine_similarity(e), similarity_temperature=0.5).correlation
    )
    w = rng.dirichlet(np.ones(6), 20)
    found = dt.root_weights(w, c)
    v = np.asarray(found.weights) / np.sqrt(w)
    slope = np.sqrt(w) - np.einsum("rij,rj->ri", c, v)
    assert np.all(v >= 0)
    assert np.all(slope <= 1e-9)
    assert np.all(np.abs(slope * v) <= 1e-9)
    value = 2 * (np.sqrt(w) * v).sum(-1) - np.einsum("ri,rij,rj->r", v, c, v)
    np.testing.assert_allclose(found.exponent, value, rtol=1e-9)
    # Equal weights: magnitude weighting.
    same = dt.root_weights(np.full(6, 0.3), c)
    v = dt.magnitude_weighting_from_similarity(
        np.asarray(dt.cosine_similarity(e)), similarity_temperature=0.5
    )
    np.testing.assert_allclose(same.weights, 0.3 * np.asarray(v), atol=1e-9)
