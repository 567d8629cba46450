"""Three levels of randomness against exact rationals, problem by problem.

What strategies spend is taken as it is; what becomes of it is worked out in rational arithmetic
from the hierarchy itself, and sampled outcomes are held against that in standard errors.
"""

from fractions import Fraction
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from dora_theory.kernels.random_words import stream
from dora_theory.simulation import outcomes
from dora_theory.simulation.arguments import contenders
from dora_theory.simulation.outcomes import Job, chunk
from dora_theory.simulation.populations import Population, problems_at
from dora_theory.strategies.allocate import spend
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import STRATEGIES as REGISTRY

pytestmark = pytest.mark.slow

KEY = jax.random.key(21)
STRATEGIES = "temperature", "rebase", "oracle"
PROBLEMS, SAMPLES, BUDGET = 24, 4096, 11
POPULATION = Population(
    num_candidates=7,
    num_directions=3,
    min_candidates=4,
    noise=0.1,
    concentration=0.75,
    sizes="crp",
    skew=2.0,
)
# Of 24 × 3 × 2 numbers one of a right sampler is beyond this once in 10,000 keys.
SIGMAS = 5.2


def exact_failure(quality, labels, kappa, nu, spent):
    """Every rollout fails: given m each is a polynomial in 1 - m, whose moments are known."""
    failure = Fraction(1)
    for j, q in enumerate(quality):
        polynomial = [Fraction(1)]
        for b in spent[labels == j]:
            for r in range(int(b)):
                # A fresh draw of m fails with 1 - m; ν → ∞ draws afresh every time.
                fresh = Fraction(1) if nu is None else nu / (nu + r)
                padded = [Fraction(0), *polynomial, Fraction(0)]
                polynomial = [(1 - fresh) * b + fresh * a for a, b in pairwise(padded)]
        moment, expected = Fraction(1), Fraction(0)
        for t, c in enumerate(polynomial):
            expected += c * moment
            moment *= (kappa * (1 - q) + t) / (kappa + t)
        failure *= expected
    return failure


def truth(made):
    """Success and expected number correct of each strategy on each problem, `(2, m, n)`."""
    numbers = jnp.arange(PROBLEMS, dtype=jnp.uint32)
    problems = problems_at(jax.random.split(KEY)[0], made, numbers)
    nu = None if made.within_concentration is None else Fraction(made.within_concentration)
    kappa, quality = Fraction(made.concentration), np.asarray(problems.quality, np.float64)
    found = np.zeros((2, len(STRATEGIES), PROBLEMS))
    spent = np.asarray(spent_on(problems))
    for s, i in np.ndindex(len(STRATEGIES), PROBLEMS):
        q, labels = [Fraction(float(x)) for x in quality[i]], np.asarray(problems.directions[i])
        found[0, s, i] = 1 - exact_failure(q, labels, kappa, nu, spent[s, i])
        found[1, s, i] = spent[s, i] @ quality[i, labels]
    return found


@jax.jit
def spent_on(problems):
    n = jnp.int32(BUDGET)
    options = Options(max_budget=16)
    return jnp.stack([spend(REGISTRY[s], problems, n, options)[0] for s in STRATEGIES])


def sampled(made, level, first=0, samples=SAMPLES):
    """Sums over samples `first` to `samples - 1`, `(2, m, n)`."""
    job = Job(contenders(STRATEGIES), level, 1024, 16)
    numbers = jnp.arange(PROBLEMS, dtype=jnp.uint32)
    total = 0
    for start in range(first, 1 if level == "closed" else samples, job.samples):
        counts = jnp.uint32(start), jnp.uint32(samples), jnp.int32(BUDGET)
        sums = chunk(KEY, made, Options(), numbers, *counts, job)
        total = total + np.stack([np.asarray(x, np.float64) for x in sums])
    return total


def spread(expected):
    """Standard errors: success varies as a coin at most, the number correct as N times one."""
    p, share = expected[0], expected[1] / BUDGET
    variance = np.stack([p * (1 - p), BUDGET**2 * share * (1 - share)])
    # A problem of one direction of quality 1 does not vary: there float32's rounding is the error.
    return np.sqrt(np.maximum(variance, 1e-9) / SAMPLES)


@pytest.mark.parametrize("nu", [None, 0.5], ids=["shared", "correlated"])
def test_the_three_levels_agree_with_exact_rationals(nu):
    made = POPULATION.with_changes(within_concentration=nu)
    expected = truth(made)
    np.testing.assert_allclose(sampled(made, "closed"), expected, rtol=2e-5)
    gaps = {}
    for level in ("rollouts", "conditional"):
        gaps[level] = (sampled(made, level) / SAMPLES - expected) / spread(expected)
        assert np.abs(gaps[level]).max() < SIGMAS, level
    # A coin has all the spread there is; without the coins less is left.
    assert 0.75 < gaps["rollouts"][0][expected[0] < 0.999].std() < 1.25
    assert gaps["conditional"].std() < gaps["rollouts"].std()


def test_a_wrong_concentration_is_refuted():
    """The comparison is of use: rollouts under κ = 0.6 are not those of κ = 0.75."""
    expected = truth(POPULATION)
    found = sampled(POPULATION.with_changes(concentration=0.6), "rollouts") / SAMPLES
    assert np.abs((found - expected) / spread(expected)).max() > SIGMAS


def test_rollouts_and_expectations_belong_to_the_same_draws():
    """Given p, sampled success deviates from its expectation by coins alone, not by draws of p."""
    made = POPULATION.with_changes(concentration=0.02)
    coins, given = (sampled(made, level)[0] for level in ("rollouts", "conditional"))
    # At κ = 0.02 nearly all p are 0 or 1: next to nothing is left to the coins.
    apart = spread(truth(made))[0] * SAMPLES
    assert np.abs(coins - given).mean() < 0.3 * apart.mean()


def test_units_follow_the_hierarchy():
    """Success of a direction is Beta(κQ, κ(1-Q)); of its candidates, Beta(νm, ν(1-m)) around it."""
    made = Population(
        num_candidates=4, num_directions=2, sizes=(2, 2), quality=(0.7, 0.3),
        within_concentration=15.0, concentration=20.0,
    )  # fmt: skip
    numbers = jnp.arange(1, dtype=jnp.uint32)
    problems = problems_at(KEY, made, numbers)
    samples = jnp.arange(40_000, dtype=jnp.uint32)
    spent = jnp.ones((1, 1, 4), jnp.int32)
    units = outcomes._units(KEY, problems, numbers, spent, samples)
    p = scipy.special.expit(np.asarray(units.logits[:, 0], np.float64))
    labels = np.asarray(problems.directions[0])
    shared = outcomes._units(
        KEY, problems_at(KEY, made.with_changes(within_concentration=None), numbers), numbers,
        spent, samples,
    )  # fmt: skip
    m = scipy.special.expit(np.asarray(shared.logits[:, 0], np.float64))
    for j, q in enumerate((0.7, 0.3)):
        assert scipy.stats.kstest(m[j], scipy.stats.beta(20 * q, 20 * (1 - q)).cdf).pvalue > 1e-5
    for i, j in enumerate(labels):
        uniform = scipy.stats.beta.cdf(p[i], 15 * m[j], 15 * (1 - m[j]))
        assert scipy.stats.kstest(uniform, "uniform").pvalue > 1e-5
    # Candidates are independent given m: Cov = Var m inside a direction, 0 across.
    inside = np.flatnonzero(labels == labels[0])
    across = [0, int(np.flatnonzero(labels != labels[0])[0])]
    variance = 0.21 / 21
    for (a, b), expected in ((inside, variance), (across, 0.0)):
        products = (p[a] - p[a].mean()) * (p[b] - p[b].mean())
        assert abs(products.mean() - expected) < 5 * products.std() / np.sqrt(products.size)


def test_a_rollout_has_one_outcome_whoever_spends_it():
    """Common random numbers: more rollouts of the same candidates never lose a success."""
    made = POPULATION.with_changes(within_concentration=1.0)
    numbers = jnp.arange(4, dtype=jnp.uint32)
    samples = jnp.arange(40, dtype=jnp.uint32)
    problems = problems_at(KEY, made, numbers)
    less = jnp.broadcast_to(jnp.arange(7), (1, 4, 7)).astype(jnp.int32)
    spent = jnp.concatenate([less, less + 1, less])
    units = outcomes._units(KEY, problems, numbers, spent, samples)
    keys = stream(KEY, numbers, 2)
    one_by_one = jax.jit(jax.vmap(lambda s: outcomes._rollouts(keys, units, samples, samples == s)))
    success, correct = map(np.asarray, one_by_one(samples))
    assert np.all(success == (correct > 0))
    assert np.all(correct[:, 1] >= correct[:, 0])
    assert np.all(correct[:, 1] <= correct[:, 0] + 7)
    assert np.all(correct[:, 2] == correct[:, 0])


@pytest.mark.parametrize("level", ["rollouts", "conditional"])
def test_samples_in_parts_add_up(level):
    """Samples have numbers: the first 300, and those from 300 to 1,500, are the first 1,500."""
    whole = sampled(POPULATION, level, samples=1500)
    parts = sampled(POPULATION, level, samples=300), sampled(POPULATION, level, 300, 1500)
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-5)


@pytest.mark.parametrize("level", ["rollouts", "conditional", "closed"])
def test_certain_and_impossible_directions(level):
    """Q = 1 always succeeds, Q = 0 never, and 0 rollouts of a sure thing are no NaN."""
    made = Population(num_candidates=2, num_directions=2, sizes="equal", quality=(1.0, 0.0))
    job = Job(contenders(("temperature", "oracle")), level, 8, 4)
    numbers = jnp.arange(3, dtype=jnp.uint32)
    counts = jnp.uint32(0), jnp.uint32(8)
    found = chunk(KEY, made, Options(), numbers, *counts, jnp.int32(4), job)
    many = 1 if level == "closed" else 8
    assert np.all(np.asarray(found.success) == many)
    np.testing.assert_array_equal(found.correct, many * np.array([[2] * 3, [4] * 3]))
