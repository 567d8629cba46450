"""Candidates with their own κ (theory 9.2): exact by brute force, and apart from a batch."""

from fractions import Fraction
from math import prod

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import dora_theory as dt
from dora_theory.claims.check.rational import allocations, failure


def joint(w, kappas, given):
    return prod(
        (failure(x, kappa, b) for x, kappa, b in zip(w, kappas, given, strict=True)),
        start=Fraction(1),
    )


problems = st.integers(1, 4).flatmap(
    lambda k: st.tuples(
        st.lists(st.integers(0, 15).map(lambda x: Fraction(x, 16)), min_size=k, max_size=k),
        st.lists(
            st.sampled_from([Fraction(1, 4), Fraction(1), Fraction(9)]), min_size=k, max_size=k
        ),
        st.integers(0, 6),
    )
)


@given(problems)
def test_the_optimum_and_its_certificate_are_those_of_brute_force(problem):
    w, kappas, n = problem
    best = min(joint(w, kappas, b) for b in allocations(n, len(w)))
    with jax.enable_x64(True):
        given_w, given_kappa = (np.array(x, np.float64) for x in (w, kappas))
        found = dt.optimal_allocation(given_w, given_kappa, n)
        chance = dt.log_failure(given_w, given_kappa, found)
        # Products κw of different rounding may tie; the failure is what has to be least.
        exact = joint(w, kappas, np.asarray(found).tolist())
        assert int(found.sum()) == n
        assert float(exact / best) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(np.exp(chance), float(exact), rtol=1e-13)
        assert bool(dt.is_optimal(given_w, given_kappa, found))
        beta = dt.BetaPrior.from_quality(given_w, given_kappa)
        np.testing.assert_allclose(dt.log_failure(beta, None, found), chance)


def test_one_uncertain_candidate_gets_its_first_try_and_fewer_repeats(x64):
    w, kappas = [0.5, 0.5], [1.0, 9.0]
    assert dt.optimal_allocation(w, kappas, 3).tolist() == [1, 2]
    np.testing.assert_allclose(1 - dt.success_probability(w, kappas, [1, 2]), 11 / 80, rtol=1e-6)
    np.testing.assert_allclose(1 - dt.success_probability(w, kappas, [2, 1]), 3 / 16, rtol=1e-6)
    assert not dt.is_optimal(w, kappas, [2, 1])
    assert dt.optimal_set(w, kappas, 1).tied.tolist() == [True, True]
    np.testing.assert_allclose(dt.priorities(w, kappas, [1, 2]), [0.25, 4.5 / 11], rtol=1e-6)


@pytest.mark.slow
def test_a_batch_of_one_number_is_no_list_of_candidates(x64):
    w, sweep = np.array([0.5, 0.3, 0.2]), np.array([0.25, 1.0, 4.0])
    # As many values as candidates: of each candidate, unless the weights have an axis before.
    assert dt.optimal_allocation(w, sweep, 9).shape == (3,)
    swept = dt.optimal_allocation(w[None], sweep, 9)
    assert swept.tolist() == [dt.optimal_allocation(w, x, 9).tolist() for x in sweep]
    assert dt.optimal_allocation(w, sweep[:2], 9).shape == (2, 3)
    rows = dt.optimal_allocation(np.stack([w, w[::-1]]), sweep[None], 9)
    assert rows[0].tolist() == dt.optimal_allocation(w, sweep, 9).tolist()
    assert rows[1].tolist() == dt.optimal_allocation(w[::-1], sweep, 9).tolist()
    mapped = jax.jit(jax.vmap(lambda x: dt.optimal_allocation(w, x, 9)))
    assert mapped(jnp.stack([sweep, sweep[::-1]])).shape == (2, 3)


def test_padding_may_hold_anything_and_a_bad_one_is_named(x64):
    w, kappas, mask = [0.5, 0.3, np.nan], [1.0, 2.0, np.nan], [True, True, False]
    short = dt.optimal_allocation(w[:2], kappas[:2], 9)
    for like in (np.asarray, jnp.asarray):
        x, y, m = like(w), like(kappas), like(mask)
        assert dt.optimal_allocation(x, y, 9, mask=m).tolist() == [*short.tolist(), 0]
        spent = like([*short.tolist(), 0])
        for of in (dt.log_failure, dt.success_probability):
            full, part = of(x, y, spent, mask=m), of(w[:2], kappas[:2], short)
            np.testing.assert_allclose(full, part, rtol=1e-6)
        assert bool(dt.is_optimal(x, y, spent, mask=m))
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"concentration\[1\]"):
            dt.optimal_allocation([0.5, 0.3], [1.0, bad], 3)
        assert dt.optimal_allocation([0.5, 0.3], jnp.array([1.0, bad]), 3).tolist() == [-1, -1]
        assert np.isnan(dt.log_failure([0.5, 0.3], jnp.array([1.0, bad]), [1, 1]))


def test_water_filling_levels_the_marginals(float64):
    w, kappas = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.2, 3.0, 1.0, 40.0])
    for n in (0, 1, 5, 200):
        b = dt.waterfill_allocation(w, kappas, n)
        level = w * kappas / (kappas + b)
        active = b > 0
        assert float(b.sum()) == pytest.approx(n, abs=1e-9)
        assert np.ptp(level[active]) < 1e-12 if active.any() else n == 0
        assert level[active].min(initial=1) >= level[~active].max(initial=0) - 1e-12
        np.testing.assert_allclose(
            dt.waterfill_allocation(w, [2.0] * 4, n), dt.waterfill_allocation(w, 2.0, n), atol=1e-9
        )
    with pytest.raises(ValueError, match="one for all candidates"):
        dt.rounded_waterfill_allocation(w, kappas, 4)


def test_one_wrong_concentration_costs_success(float64):
    w, kappas = np.array([0.5, 0.5]), np.array([1.0, 9.0])
    lost = dt.regret_of_concentration(w, [9.0, 1.0], kappas, 3)
    assert float(lost) == pytest.approx(3 / 16 - 11 / 80)
    assert float(dt.regret_of_concentration(w, kappas, kappas, 3)) == 0


def test_derivatives_reach_each_concentration(float64):
    w, b = jnp.array([0.5, 0.3]), jnp.array([4, 7])
    slope = jax.grad(lambda x: dt.log_failure(w, x, b))(jnp.array([1.0, 9.0]))
    for i in range(2):
        step = 1e-5 * np.eye(2)[i]
        ends = [float(dt.log_failure(w, np.array([1.0, 9.0]) + s * step, b)) for s in (-1, 1)]
        assert float(slope[i]) == pytest.approx((ends[1] - ends[0]) / 2e-5, rel=1e-6)
