"""Draws against scipy's distributions: Kolmogorov and Smirnov, moments, tails, and the generator.

Error rate: each file run makes 40 Kolmogorov-Smirnov tests at level 1e-5 (critical value 2.47 of
√n D), so that a right sampler fails one run in 2,500 of fresh keys; the keys here are fixed, so it
fails none or all. A distribution function wrong by 0.01 is found with certainty.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from dora_theory.kernels import arithmetic, beta_sampler, random_words
from dora_theory.kernels.beta_sampler import sample_log_beta, sample_log_gamma

SAMPLES = 60_000
CRITICAL = 2.47
SHAPES = np.array(
    [
        (1e-6, 1.0),
        (1e-6, 1e-6),
        (1e-6, 1e6),
        (1e-3, 0.5),
        (0.016, 0.984),
        (0.3, 0.7),
        (1.0, 1.0),
        (5.0, 3.0),
        (0.02, 30.0),
        (1000.0, 500.0),
        (1e6, 1e6),
        (1e6, 2.0),
    ]
)
# Both orders of each pair.
PAIRS = np.concatenate([SHAPES, SHAPES[:, ::-1]])


def distance(uniforms):
    """√n D of numbers that ought to be uniform."""
    u = np.sort(np.asarray(uniforms))
    n = u.size
    steps = np.arange(n)
    return max((u - steps / n).max(), ((steps + 1) / n - u).max()) * np.sqrt(n)


def beta_cdf(a, b, log_p, log_q):
    """P(X ≤ p) from both logarithms: for p too small for a double, the first term of the series."""
    log_p, log_q = np.minimum(log_p, 0), np.minimum(log_q, 0)
    first = np.exp(np.minimum(a * log_p - np.log(a) - scipy.special.betaln(a, b), 0))
    last = 1 - np.exp(np.minimum(b * log_q - np.log(b) - scipy.special.betaln(a, b), 0))
    middle = np.where(
        log_p < log_q,
        scipy.special.betainc(a, b, np.exp(log_p)),
        1 - scipy.special.betainc(b, a, np.exp(log_q)),
    )
    return np.where(log_p < -650, first, np.where(log_q < -650, last, middle))


def test_beta_draws_follow_scipys_distribution_at_all_shapes(x64):
    dtype = np.float64 if x64 else np.float32
    draws = sample_log_beta(jax.random.key(1), *PAIRS.T.astype(dtype), SAMPLES)
    assert draws.log_p.dtype == draws.log_q.dtype == dtype
    for i, (a, b) in enumerate(PAIRS):
        u = beta_cdf(a, b, *(np.asarray(x[:, i], np.float64) for x in draws))
        assert distance(u) < CRITICAL, (a, b)


def test_the_distance_sees_a_small_error():
    """The critical value is of use: shapes that are off by 5% are seen."""
    draws = sample_log_beta(jax.random.key(1), np.float32([5.0]), np.float32([3.0]), SAMPLES)
    u = beta_cdf(5.25, 3.0, *(np.asarray(x[:, 0], np.float64) for x in draws))
    assert distance(u) > CRITICAL


def test_gamma_draws_are_independent_of_beta_draws_of_the_same_key():
    """A correlation of 4/√n would be seen; where both had the same words it was 0.94."""
    shapes = np.array([0.5, 3.0, 50.0])
    gamma = np.asarray(sample_log_gamma(jax.random.key(2), shapes, SAMPLES))
    draws = sample_log_beta(jax.random.key(2), shapes, shapes, SAMPLES)
    for one in draws:
        for i in range(3):
            found = scipy.stats.spearmanr(np.asarray(one)[:, i], gamma[:, i]).statistic
            assert abs(found) < 4 / np.sqrt(SAMPLES)


def test_gamma_draws_follow_scipys_distribution(x64):
    shapes = np.array([1e-6, 1e-3, 0.1, 1.0, 2.5, 40.0, 1e4, 1e6])
    draws = np.asarray(sample_log_gamma(jax.random.key(2), shapes, SAMPLES), np.float64)
    for a, x in zip(shapes, draws.T, strict=True):
        first = np.exp(np.minimum(a * x - scipy.special.gammaln(a + 1), 0))
        u = np.where(x < -650, first, scipy.special.gammainc(a, np.exp(x)))
        assert distance(u) < CRITICAL, a


def test_moments_of_both_logarithms_agree_with_digamma(x64):
    """E log p = ψ(a) - ψ(a + b) and its variance, to 5 standard errors."""
    draws = sample_log_beta(jax.random.key(3), *PAIRS.T, SAMPLES)
    psi = scipy.special.digamma
    for one, other, values in ((0, 1, draws.log_p), (1, 0, draws.log_q)):
        a, b = PAIRS[:, one], PAIRS[:, other]
        spread = scipy.special.polygamma(1, a) - scipy.special.polygamma(1, a + b)
        x = np.asarray(values, np.float64)
        error = x.mean(0) - (psi(a) - psi(a + b))
        # float32 words of 2^-32 and logarithms of 6e-8 add a bias far below the standard error.
        assert np.all(np.abs(error) < 5 * np.sqrt(spread / SAMPLES) + 1e-6 * np.abs(psi(a))), one


def test_p_and_q_are_complements_and_edges_are_exact(x64):
    draws = sample_log_beta(
        jax.random.key(4), np.array([0.3, 0.0, 2.0]), np.array([0.4, 1.0, 0.0]), 500
    )
    total = np.exp(np.asarray(draws.log_p)) + np.exp(np.asarray(draws.log_q))
    np.testing.assert_allclose(total, 1, rtol=1e-6)
    assert np.all(np.asarray(draws.log_p)[:, 1] == -np.inf)
    assert np.all(np.asarray(draws.log_q)[:, 1] == 0)
    assert np.all(np.asarray(draws.log_p)[:, 2] == 0)
    assert np.all(np.asarray(draws.log_q)[:, 2] == -np.inf)


def test_quantiles_of_the_gamma_are_scipys(float64):
    """The polynomial itself: error of the distribution function below 1e-6 at every shape."""
    z = np.linspace(-5.4, 5.4, 400)
    for a in [0.0, 1e-6, 0.01, 0.3, 1.0, 4.0, 30.0, 1e3, 1e6]:
        rows = beta_sampler._rows(jnp.asarray([a]))
        log_g = np.log(a + 1) + np.asarray(arithmetic.polynomial([*rows], jnp.asarray(z)))
        cdf = scipy.special.gammainc(a + 1, np.exp(log_g))
        np.testing.assert_allclose(cdf, scipy.special.ndtr(z), atol=1e-6)


def test_the_generator_gives_the_known_answers_of_its_authors():
    """Of Philox-4x32 with 10 rounds in Random123's `kat_vectors`: counter, key, answer."""
    known = """
        00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8
        ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd
        243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1
    """
    vectors = np.array([int(word, 16) for word in known.split()], np.uint32).reshape(3, 10).T
    found = random_words.philox(random_words.Stream(*vectors[4:6]), tuple(vectors[:4]))
    np.testing.assert_array_equal(np.stack(found), vectors[6:])


def test_words_of_neighboring_counters_are_independent_and_uniform():
    """Bits that flip when a key, problem, lane, sample or purpose moves by one: half of them."""
    sample = jnp.arange(4096, dtype=jnp.uint32)

    def words(key=0, problem=0, lane=0, purpose=0, sample=sample):
        keys = random_words.stream(jax.random.key(key), jnp.uint32(problem), purpose)
        return np.stack(random_words.words(keys, jnp.uint32(lane), sample))

    here = words()
    others = [words(key=1), words(problem=1), words(lane=1), words(purpose=1)]
    others += [words(sample=sample + 4096), np.roll(here, 1, axis=0), np.roll(here, 1, axis=1)]
    shift = np.arange(32, dtype=np.uint32)
    for other in others:
        flipped = ((here ^ other)[..., None] >> shift & 1).mean(1)
        # 128 bits, each of 4096 flips: five standard errors.
        assert np.abs(flipped - 0.5).max() < 5 * 0.5 / np.sqrt(4096)
    for word in here:
        assert distance((word + 0.5) / 2**32) < CRITICAL


def test_the_logarithm_is_relatively_exact():
    """Of all powers of two that words have, of numbers near 1, and of random ones: two ulps."""
    rng = np.random.default_rng(5)
    x = np.concatenate(
        [2.0 ** -np.arange(34), 1 - 2.0 ** -np.arange(2, 25), rng.uniform(size=20_000)]
    ).astype(np.float32)
    found = np.asarray(arithmetic.PLAIN.log_of_unit(jnp.asarray(x), 1), float)
    np.testing.assert_allclose(found, np.log(x.astype(float)), rtol=2 * 2.0**-23)


def test_normals_are_normal_and_independent():
    words = jax.random.bits(jax.random.key(6), (2, SAMPLES), jnp.uint32)
    x, y = (np.asarray(z, np.float64) for z in random_words.normals(*words, jnp.dtype("float32")))
    for z in (x, y, (x + y) / np.sqrt(2), (x - y) / np.sqrt(2)):
        assert distance(scipy.special.ndtr(z)) < CRITICAL


@pytest.mark.slow
def test_a_draw_depends_on_its_own_numbers_alone():
    """Not on other candidates, nor on how many problems or samples there are, or in what parts."""
    key = jax.random.key(7)
    a = np.linspace(0.1, 2, 12, dtype=np.float32).reshape(3, 4)
    whole = sample_log_beta(key, a, 1 + a, 40).log_p
    np.testing.assert_array_equal(sample_log_beta(key, a[:2], 1 + a[:2], 40).log_p, whole[:, :2])
    np.testing.assert_array_equal(
        sample_log_beta(key, a[:, :3], 1 + a[:, :3], 40).log_p, whole[..., :3]
    )
    part = sample_log_beta(key, a, 1 + a, 15, first=20).log_p
    np.testing.assert_array_equal(part, whole[20:35])
    # Three batch axes are one long one.
    deep = sample_log_beta(key, a.reshape(3, 1, 2, 2), 1 + a.reshape(3, 1, 2, 2), 40).log_p
    flat = sample_log_beta(key, a.reshape(6, 2), 1 + a.reshape(6, 2), 40).log_p
    np.testing.assert_array_equal(deep, flat.reshape(40, 3, 1, 2, 2))
    other = sample_log_beta(jax.random.key(8), a, 1 + a, 40).log_p
    assert np.all(np.asarray(other) != np.asarray(whole))


def test_bad_values_are_named():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"alpha\[1\] = -1.0"):
        sample_log_beta(key, np.array([0.5, -1.0]), np.array([0.5, 1.0]), 3)
    with pytest.raises(ValueError, match=r"alpha \+ beta\[0\] = 0.0"):
        sample_log_beta(key, np.array([0.0]), np.array([0.0]), 3)
    # A device takes subnormal numbers for 0; a sum may be too large for the dtype.
    for shape, total in ((1e-45, "0.0"), (3e38, "inf")):
        with pytest.raises(ValueError, match=rf"alpha \+ beta\[0\] = {total}"):
            sample_log_beta(key, np.float32([shape]), np.float32([shape]), 3)
    with pytest.raises(ValueError, match="beta: 4 candidates, where alpha has 3"):
        sample_log_beta(key, np.ones(3), np.ones(4), 3)
    with pytest.raises(ValueError, match=r"alpha: needs at least one candidate, got shape \(\)"):
        sample_log_beta(key, 1.0, 1.0, 3)
    with pytest.raises(ValueError, match=r"shape: needs at least one candidate, got shape \(\)"):
        sample_log_gamma(key, 1.0, 3)
    with pytest.raises(TypeError, match="key = 0: needs one JAX random key"):
        sample_log_gamma(0, np.ones(3), 3)
    for samples in (-1, 2.5, "x", None, True, 2**32):
        with pytest.raises(ValueError, match=f"samples = {samples!r}: needs an integer in "):
            sample_log_gamma(key, np.array([1.0]), samples)
    with pytest.raises(ValueError, match="first = 'x': needs an integer"):
        sample_log_beta(key, np.ones(3), np.ones(3), 3, first="x")


def test_a_logarithm_with_the_other_sign_next_to_0_spoils_no_draw():
    """The instruction of a GPU may be off by 2^-22, also where log U is nearer to 0 than that."""
    log = arithmetic.PLAIN.log_of_unit
    off = arithmetic.PLAIN._replace(log_of_unit=lambda x, y: log(x, y) + y * np.float32(2.0**-22))
    words = jnp.array([2**32 - 1, 2**32 - 200, 2**31, 1], jnp.uint32)
    z = random_words.normals(words, words[::-1], np.dtype("float32"), off)
    exact = random_words.normals(words, words[::-1], np.dtype("float32"))
    np.testing.assert_allclose(z, exact, atol=1e-3)
    assert off.log_of_unit(jnp.float32(1), 1) > 0
