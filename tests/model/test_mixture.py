"""The hierarchy by quadrature against 50-digit integrals, tables, and its own certificate."""

from collections import Counter

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dora_theory.allocation.hierarchical import correlated_allocation, hierarchical_log_failure
from dora_theory.model import mixture


def integral(log_density):
    """Log of the integral over θ of exp of a function with one mode, from around the mode."""
    low, high = mpmath.mpf(-200), mpmath.mpf(60)
    for _ in range(120):
        left, right = low + 0.382 * (high - low), low + 0.618 * (high - low)
        if log_density(left) < log_density(right):
            low = left
        else:
            high = right
    mode = (low + high) / 2
    peak = log_density(mode)
    nodes = []
    for side in (-1, 1):
        reach = mpmath.mpf("1e-6")
        while log_density(mode + side * reach) - peak > -80:
            reach *= 2
        nodes += [mode + side * reach * (mpmath.mpf(i) / 12) ** 2 for i in range(13)]
    value = mpmath.quad(lambda t: mpmath.exp(log_density(t) - peak), sorted(set(nodes)))
    return mpmath.log(value) + peak


def truth(q, kappa, nu, depths):
    """Log P(all fail), and E[m | all failed]/κ, as integrals, for κQ > 1/5."""
    with mpmath.workdps(50):
        q, kappa, nu = (mpmath.mpf(float(x)) for x in (q, kappa, nu))
        a, b = kappa * q, kappa * (1 - q)

        def of(power):
            def log_density(t):
                miss = 1 / (1 + mpmath.exp(t))
                s = nu * miss
                each = (
                    many * (mpmath.loggamma(s + n) - mpmath.loggamma(s))
                    - many * (mpmath.loggamma(nu + n) - mpmath.loggamma(nu))
                    for n, many in Counter(depths).items()
                    if n
                )
                m = 1 / (1 + mpmath.exp(-t))
                return power * mpmath.log(m) + b * mpmath.log(miss) + mpmath.fsum(each)

            return integral(log_density)

        failed, hit = of(a), of(a + 1)
        return failed - mpmath.log(mpmath.beta(a, b)), mpmath.exp(hit - failed) / kappa


def even(total, copies):
    return [total // copies + (i < total % copies) for i in range(copies)]


@jax.jit
def found(q, kappa, nu, total, copies):
    rollouts = mixture.evenly(total, copies)
    fresh = mixture.fresh_failures(q, kappa, nu, rollouts, 128)
    return mixture.log_failure(q, kappa, nu, rollouts, 128), q / (kappa + fresh)


def check(q, kappa, nu, total, copies, x64):
    dtype = float if x64 else np.float32
    numbers = [dtype(x) for x in (q, kappa, nu)]
    want = truth(*numbers, even(total, copies))
    arguments = (jnp.array([x], dtype) for x in (*numbers, total, copies))
    tight = (1e-10, 1e-12) if x64 else (1e-4, 3e-5)
    for got, value, bound in zip(found(*arguments), want, tight, strict=True):
        assert abs(float(got[0]) / float(value) - 1) < bound, (q, kappa, nu, total, copies)


# Corners of κ, ν and N, where nodes that do not follow the posterior see nothing of it.
CORNERS = [
    (0.3, 1e6, 1e6, 10**6, 4),
    (2e-6, 1e6, 1e6, 10**6, 4),
    (0.7, 1e6, 1e-6, 500, 2),
    (0.3, 1.0, 1e6, 10**6, 5),
    (0.2, 1e3, 1e3, 500, 4),
    (0.9, 1.0, 1.0, 10, 4),
]


@pytest.mark.parametrize(
    "case", [CORNERS[0], *(pytest.param(x, marks=pytest.mark.slow) for x in CORNERS[1:])]
)
def test_priorities_and_failure_have_their_stated_error(case, x64):
    check(*case, x64)


@pytest.mark.slow
def test_random_priorities_and_failures_have_their_stated_error(x64):
    rng = np.random.default_rng(5)
    for _ in range(40):
        kappa, nu = 10 ** rng.uniform(-1, 6), 10 ** rng.uniform(-6, 6)
        q = rng.uniform(min(0.2 / kappa, 0.5), 1) if rng.uniform() < 0.5 else 0.3 / kappa
        total, copies = int(10 ** rng.uniform(0, 6)), int(rng.integers(1, 6))
        check(min(q, 0.99), kappa, nu, total, copies, x64)


def random_rows(seed, rows=100):
    """Problems of three directions and six candidates, where tables take no time."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (rows, 6))
    labels[:, :3] = [0, 1, 2]
    kappa, nu = 10 ** rng.uniform(-6, 6, rows), 10 ** rng.uniform(-6, 6, rows)
    return rng.uniform(size=(rows, 3)), labels, kappa, nu, rng.integers(0, 120, rows)


@pytest.mark.slow
def test_quadrature_is_what_tables_are(x64):
    *problems, budget = random_rows(1)
    with jax.enable_x64(True):
        best = np.asarray(correlated_allocation(*problems, budget, points=128))
        least = np.asarray(hierarchical_log_failure(*problems, best, points=128))
    got = np.asarray(correlated_allocation(*problems, budget, method="quadrature"))
    assert got.sum(1).tolist() == budget.tolist()
    with jax.enable_x64(True):
        mine = np.asarray(hierarchical_log_failure(*problems, got, points=128))
    tight = 1e-12 if x64 else 1e-6
    assert np.all(mine <= least * (1 - tight) + 1e-300)
    # Uneven ones too: any allocation has a failure.
    other = np.asarray(budget)[:, None] * np.array([1, 0, 2, 0, 1, 3]) // 7
    with jax.enable_x64(True):
        exact = np.asarray(hierarchical_log_failure(*problems, other, points=128))
    value = hierarchical_log_failure(*problems, other, method="quadrature")
    np.testing.assert_allclose(value, exact, rtol=1e-10 if x64 else 1e-4)


def test_equal_directions_share_what_certainty_is_left(x64):
    """κ and ν of hundreds once sent rollouts to a direction of a ninth of the quality."""
    q, labels = [0.9, 0.1], [0, 0, 1, 1]
    got = correlated_allocation(q, labels, 50, 100, 60, method="quadrature", points=128)
    assert got.tolist() == [30, 30, 0, 0]
    # Ties go to the lowest label.
    tie = correlated_allocation([0.5, 0.5], labels, 50, 100, 7, method="quadrature")
    assert tie.tolist() == [2, 2, 2, 1]


@pytest.mark.slow
@pytest.mark.parametrize("quality", [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.0]])
def test_edges_of_quality(quality, x64):
    labels = np.array([0, 1, 0])
    for n in (0, 1, 2**20):
        got = correlated_allocation(quality, labels, 1e-6, 1e6, n, method="quadrature")
        assert got.sum() == n
        problem = quality, labels, 1e-6, 1e6, got
        value = float(hierarchical_log_failure(*problem, method="quadrature"))
        hit = any(quality[j] == 1 and np.asarray(got)[labels == j].sum() for j in (0, 1))
        assert value <= 0
        assert (value == -np.inf) == hit
        assert (value == 0) == (n == 0 or not any(quality))


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_a_million_rollouts_pass_their_certificate():
    """No priority that is not served exceeds one that is, in 50 digits."""
    q, kappa, nu, copies = [0.9, 0.1, 0.3], 5.0, 100.0, [2, 2, 1]
    got = correlated_allocation(q, [0, 0, 1, 1, 2], kappa, nu, 10**6, method="quadrature")
    totals = [int(got[:2].sum()), int(got[2:4].sum()), int(got[4])]
    assert sum(totals) == 10**6

    def priority(j, total):
        return truth(q[j], kappa, nu, even(total, copies[j]))[1] * nu / (nu + total // copies[j])

    following = [priority(j, t) for j, t in enumerate(totals)]
    last = [priority(j, t - 1) for j, t in enumerate(totals)]
    assert max(following) <= min(last) * (1 + mpmath.mpf("1e-12"))


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_the_gradient_is_that_of_tables():
    problem = np.array([0, 0, 1]), 2.0, 5.0, np.array([3, 4, 2])

    def slope(**how):
        def value(q, kappa, nu):
            return hierarchical_log_failure(q, problem[0], kappa, nu, problem[3], **how)

        return jax.grad(value, (0, 1, 2))(jnp.array([0.3, 0.5]), 2.0, 5.0)

    for mine, theirs in zip(slope(method="quadrature"), slope(points=8), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)


def test_few_nodes_are_refused():
    with pytest.raises(ValueError, match="points = 8: quadrature needs at least 128"):
        correlated_allocation([0.5], [0], 1.0, 1.0, 3, method="quadrature", points=8)
