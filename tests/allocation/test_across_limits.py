"""Theory 7.1 at its limits: extreme priors, float32, bad arguments, what is traced."""

import inspect

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.model.priors import BetaPrior, KnownPrior

EXTREMES = [
    (1e-6, 1e6),
    (1e6, 1e-6),
    (1e-300, 1.0),
    (1.0, 1e-300),
    (0.0, 1.0),
    (1.0, 0.0),
    (3e5, 7e5),
    (1e-6, 1e-6),
    (0.3, 0.9),
    (2e15, 1e15),
]


@pytest.mark.slow
@pytest.mark.parametrize("total", [0, 1, 9, 1000, 10**6, 2**30])
def test_extreme_priors_pass_the_certificate(float64, total):
    a, b = (jnp.array(x)[:, None] for x in zip(*EXTREMES, strict=True))
    found = dt.allocate_problems(1.0, BetaPrior(a, b), total)
    assert found.rollouts.sum() == total
    assert dt.is_optimal_across(1.0, BetaPrior(a, b), found.rollouts)
    gained = dt.expected_value(1.0, BetaPrior(a, b), found.allocation)
    assert np.all(np.isfinite(gained))
    # One problem of all these as candidates.
    one = BetaPrior(a.T, b.T)
    assert dt.allocate_problems(1.0, one, total).rollouts.tolist() == [total]


@pytest.mark.slow
def test_single_precision_is_within_its_rounding_of_the_optimum():
    r = np.random.default_rng(7)
    a, b = (np.float32(r.gamma(x, size=(5, 3))) for x in (0.5, 1))
    for total in (10, 1000, 100_000):
        with jax.enable_x64(False):
            single = dt.allocate_problems(1.0, BetaPrior(jnp.asarray(a), jnp.asarray(b)), total)
        with jax.enable_x64(True):
            prior = BetaPrior(jnp.asarray(a, float), jnp.asarray(b, float))
            double = dt.allocate_problems(1.0, prior, total)
            best, got = (
                float(dt.expected_value(1.0, prior, np.asarray(x.allocation)).sum())
                for x in (double, single)
            )
        assert single.rollouts.sum() == total
        assert 0 <= best - got < 1e-6 * best


def test_marginals_keep_their_digits_far_out(float64):
    """Where differences of lgamma lose whole units of the logarithm (theory 7.1e)."""
    a, b, n = 2.0, 1e9, 10**9
    found = dt.problem_certificate(
        1.0, BetaPrior(jnp.array([[a]]), jnp.array([[b]])), np.array([n])
    )
    with mpmath.workdps(50):
        log = mpmath.log
        want = (
            mpmath.loggamma(b + n)
            - mpmath.loggamma(b)
            - mpmath.loggamma(a + b + n)
            + mpmath.loggamma(a + b)
            + log(a)
            - log(a + b + n)
        )
        assert abs(float(found.largest_next) / float(want) - 1) < 1e-14


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"values": np.array([1.0, -1.0])}, r"values\[1\] = -1.0"),
        ({"values": np.array([1.0, np.nan])}, r"values\[1\] = nan"),
        ({"values": np.ones(3)}, "shapes do not fit"),
        ({"total": -1}, "total = -1"),
        ({"total": 2.5}, "total = 2.5"),
        ({"min_rollouts": np.array([2, 0]), "max_rollouts": np.array([1, 1])}, "max_rollouts - "),
        ({"min_rollouts": np.array([9, 9])}, "floors exceed the total"),
        ({"costs": np.array([1.0, 0.0])}, r"costs\[1\] = 0.0"),
        ({"costs": np.array([1.0, 1e-9])}, "costs: the total pays for more than 1073741824"),
        ({"costs": np.array([1.0, 1e-320])}, "costs"),
    ],
)
def test_bad_arguments_are_named(change, match):
    arguments = {
        "values": np.ones(2),
        "prior": BetaPrior(jnp.ones((2, 1)), jnp.ones((2, 1))),
        "total": 5,
    }
    with pytest.raises(ValueError, match=match):
        dt.allocate_problems(**arguments | change)


def test_what_nothing_is_gained_by_goes_to_the_lowest_with_room(x64):
    prior = BetaPrior(jnp.array([[0.0], [1.0], [1.0]]), jnp.array([[1.0], [0.0], [0.0]]))
    found = dt.allocate_problems(1.0, prior, 9, max_rollouts=np.array([4, 9, 9]))
    assert found.rollouts.tolist() == [4, 4, 1]
    assert float(found.log_price) == -np.inf
    capped = dt.allocate_problems(1.0, prior, 9, max_rollouts=1)
    assert (capped.rollouts.tolist(), int(capped.unspent)) == ([1, 1, 1], 6)


def on_device(*rows):
    return BetaPrior(*(jnp.array(x)[..., None] for x in rows))


def test_a_bad_problem_of_a_set_is_alone_where_each_is_its_own(x64):
    sound, bad = on_device([1.0, 2.0], [3.0, 1.0]), on_device([1.0, jnp.nan], [3.0, 1.0])
    counts = np.array([[2], [1]])
    want, got = (dt.expected_value(1.0, prior, counts) for prior in (sound, bad))
    assert got[0] == want[0]
    assert np.isnan(got[1])
    assert dt.count_at_price(1.0, bad, -3.0).tolist()[1] == -1
    # What shares a budget is bad as a whole.
    assert dt.allocate_problems(1.0, bad, 5).rollouts.tolist() == [-1, -1]


def test_floors_and_caps_that_are_traced_are_held_to_one_another(x64):
    prior = on_device([1.0, 2.0], [3.0, 1.0])

    @jax.jit
    def run(low, high, total):
        return dt.allocate_problems(1.0, prior, total, min_rollouts=low, max_rollouts=high).rollouts

    two = jnp.array
    assert run(two([1, 0]), two([2, 9]), 5).sum() == 5
    for low, high, total in (
        ([3, 0], [2, 9], 5),
        ([3, 3], [9, 9], 5),
        ([2**30, 2**30], [2**30, 2**30], 5),
        ([0, 0], [9, 9], 2**30 + 1),
    ):
        assert run(two(low), two(high), total).tolist() == [-1, -1]


@pytest.mark.slow
def test_too_many_rollouts_of_a_problem_are_no_float32():
    prior = on_device([1.0, 1e-3], [1.0, 1.0])
    assert jnp.result_type(float) == jnp.float32
    with pytest.raises(ValueError, match="total: a problem receives"):
        dt.allocate_problems(1.0, prior, 2**24)
    found = jax.jit(lambda n: dt.allocate_problems(1.0, prior, n).rollouts)(2**24)
    assert found.tolist() == [-1, -1]
    # The index has one row of all candidates, whose sum is N.
    for total in (2**22 - 1, 2**22):
        assert dt.index_allocation(1.0, prior, total).sum() == total
    with pytest.raises(ValueError, match=r"total = 4194305: needs .* in float32"):
        dt.index_allocation(1.0, prior, 2**22 + 1)
    found = jax.jit(lambda n: dt.index_allocation(1.0, prior, n))(2**24)
    assert found.tolist() == [[-1], [-1]]


def test_what_is_no_prior_is_said():
    with pytest.raises(TypeError, match="prior: needs a BetaPrior or KnownPrior, got tuple"):
        inspect.unwrap(dt.allocate_problems)(1.0, (1.0, 1.0), 3)


def test_a_price_of_nothing_buys_all_there_is(x64):
    prior = on_device([1.0, 0.0, 1.0], [3.0, 1.0, 0.0])
    values = np.array([2.0, 5.0, 1.0])
    assert dt.count_at_price(values, prior, -np.inf).tolist() == [2**31 - 1, 0, 1]
    assert dt.dual_bound(values, prior, 7, -np.inf) == 3
    assert dt.dual_bound(values, prior, 0, np.inf) == 0
    with pytest.raises(ValueError, match=r"target = 3.5: no rollouts reach it.* is 3.0"):
        dt.fewest_rollouts(values, prior, 3.5)


def test_known_chances_have_slopes_at_their_ends(x64):
    def value(p):
        return dt.expected_value(1.0, KnownPrior(p), np.array([[0], [1], [2]])).sum()

    assert jax.grad(value)(jnp.ones(3)).tolist() == [0, 1, 0]
    assert jax.grad(value)(jnp.zeros(3)).tolist() == [0, 1, 2]
