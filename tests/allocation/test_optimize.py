"""The general optimizer against closed forms, SLSQP, and every whole allocation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.optimize import optimize_allocation
from dora_theory.allocation.waterfill import waterfill_allocation
from dora_theory.model.objective import log_failure

K = 8


def instances(rows: int, k: int = K, *, budgets=(0, 1, 16, 64, 1000)):
    """Ragged problems of every steepness and concentration: weights, κ, N and mask."""
    rng = np.random.default_rng(7)
    w = np.exp(rng.choice([0.5, 2.0, 8.0], (rows, 1)) * rng.standard_normal((rows, k)))
    mask = np.arange(k) < rng.integers(1, k + 1, size=(rows, 1))
    w = np.where(mask, w, 0)
    w /= w.sum(-1, keepdims=True)
    return w, 10.0 ** rng.uniform(-6, 6, rows), rng.choice(budgets, rows), mask


def shifts(counts: np.ndarray):
    """Every allocation that one exchange makes of this one."""
    for donor, receiver in itertools.permutations(range(len(counts)), 2):
        if counts[donor] > 0:
            move = np.zeros(len(counts), int)
            move[donor], move[receiver] = -1, 1
            yield counts + move


@pytest.mark.usefixtures("float64")
class TestSeparable:
    @pytest.mark.parametrize(("separable", "steps"), [(True, 100), (False, 0)])
    def test_recovers_water_filling(self, separable, steps):
        """Required: 1e-6 of N. Stated: 1e-9. Zeros of the solution included."""
        w, kappa, n, mask = instances(120)

        def surrogate(b):
            return (w * jnp.log(kappa[:, None] + b)).sum(-1)

        found = optimize_allocation(surrogate, n, K, mask=mask, separable=separable, steps=steps)
        exact = np.asarray(waterfill_allocation(w, kappa, n, mask=mask))
        assert np.all(np.abs(found.real - exact) <= 1e-9 * n[:, None])
        # The active set is found: there are hundreds of zeros, and they are zeros.
        dry = mask & (exact == 0) & (n[:, None] > 0)
        assert dry.sum() > 100
        assert not np.asarray(found.real)[dry].any()
        assert found.converged.all()
        assert found.locally_optimal.all()
        assert not np.asarray(found.allocation)[~mask].any()
        np.testing.assert_array_equal(found.allocation.sum(-1), n)
        np.testing.assert_allclose(found.real_value, surrogate(exact), rtol=1e-13, atol=1e-13)

    @pytest.mark.slow
    def test_rounding_of_log_failure_is_the_exact_optimum(self):
        w, kappa, n, mask = instances(60, budgets=(0, 1, 16, 64))
        w = np.where(mask.sum(-1, keepdims=True) == 1, 0.9 * w, w)

        def success(b):
            return -log_failure(w, kappa, b)

        found = optimize_allocation(
            success, n, K, mask=mask, separable=True, steps=20, refinements=60
        )
        best = optimal_allocation(w, kappa, n, mask=mask)
        np.testing.assert_array_equal(found.allocation.sum(-1), n)
        np.testing.assert_allclose(found.value, success(best), rtol=1e-13, atol=0)
        assert found.locally_optimal.all()
        assert found.converged.all()
        # A relaxation: the real optimum is no worse than the best whole one.
        assert np.all(found.real_value >= found.value * (1 - 1e-13))

    @pytest.mark.slow
    @pytest.mark.parametrize("separable", [True, False])
    def test_exchanges_go_on_where_rounding_ends(self, separable):
        """The real optimum is `at`; Webster's method rounds two of it the wrong way."""
        at = np.array([1.9, 0.55, 0.55, 4.0])
        steep = np.array([1.0, 1.0, 100.0, 50.0])

        def objective(b):
            return -(steep * (b - at) ** 2).sum(-1)

        rounded = optimize_allocation(objective, 7, 4, separable=separable, max_exchanges=0)
        found = optimize_allocation(objective, 7, 4, separable=separable)
        np.testing.assert_allclose(found.real, at, rtol=1e-6)
        assert rounded.allocation.tolist() == [2, 1, 0, 4]
        assert not rounded.locally_optimal
        assert found.allocation.tolist() == [2, 0, 1, 4]
        assert bool(found.locally_optimal)

    def test_a_start_is_shares_on_any_scale(self):
        for scale in (1e-12, 1.0, 1e12):
            found = optimize_allocation(
                lambda b: jnp.log(1 + b).sum(-1),
                8,
                2,
                initial=scale * np.array([1.0, 3.0]),
                steps=0,
                refinements=0,
            )
            np.testing.assert_allclose(found.real, [2, 6], rtol=1e-12)

    def test_infinite_slope_at_zero(self):
        """The log utility of theory 4.2: its optimum is N Q."""
        q = np.array([0.6, 0.3, 0.09, 0.01])
        found = optimize_allocation(lambda b: (q * jnp.log(b)).sum(-1), 50, 4, separable=True)
        np.testing.assert_allclose(found.real, 50 * q, rtol=1e-9)
        assert bool(found.converged)


@pytest.mark.usefixtures("float64")
class TestCoupled:
    def test_against_slsqp_and_all_exchanges(self):
        """Concave and not separable: log surrogate less a quadratic form."""
        rng = np.random.default_rng(1)
        rows, k, n = 6, 4, 9
        w = rng.dirichlet(np.ones(k), size=rows)
        root = rng.standard_normal((rows, k, k))

        def objective(b):
            return (w * jnp.log(0.3 + b)).sum(-1) - 0.02 * jnp.square(
                jnp.einsum("...j,...jl->...l", b, root)
            ).sum(-1)

        def one(b, i):
            return w[i] @ np.log(0.3 + b) - 0.02 * ((b @ root[i]) ** 2).sum()

        found = optimize_allocation(objective, n, k)
        assert found.converged.all()
        assert found.locally_optimal.all()
        for i in range(rows):
            other = minimize(
                lambda b, i=i: -one(b, i),
                np.full(k, n / k),
                bounds=[(0, None)] * k,
                constraints={"type": "eq", "fun": lambda b: b.sum() - n},
                method="SLSQP",
                options={"ftol": 1e-13, "maxiter": 500},
            )
            assert found.real_value[i] == pytest.approx(-other.fun, abs=1e-9)
            np.testing.assert_allclose(found.real[i], other.x, atol=1e-3)
            counts = np.asarray(found.allocation[i])
            assert counts.sum() == n
            assert found.value[i] == pytest.approx(one(counts, i), abs=1e-12)
            assert all(one(other, i) <= one(counts, i) + 1e-12 for other in shifts(counts))

    def test_says_so_when_it_has_not_converged(self):
        w = np.random.default_rng(2).dirichlet(np.ones(6), size=5)

        def surrogate(b):
            return (w * jnp.log(0.01 + b)).sum(-1)

        found = optimize_allocation(surrogate, 40, 6, steps=0, refinements=0, max_exchanges=0)
        assert not found.converged.any()
        assert not found.locally_optimal.any()
        np.testing.assert_allclose(found.real, np.full((5, 6), 40 / 6))
        # The gap bounds what is missing, for the objective is concave.
        slope = np.abs(w / (0.01 + np.asarray(found.real))).max(-1)
        missing = surrogate(waterfill_allocation(w, 0.01, 40)) - found.real_value
        assert np.all(missing > 0)
        assert np.all(missing <= found.gap * 40 * slope)


class TestUse:
    def test_float32_and_float64(self, x64):
        w = np.array([0.5, 0.3, 0.15, 0.05])
        found = optimize_allocation(
            lambda b: (w.astype(b.dtype) * jnp.log(1 + b)).sum(-1), 10, 4, separable=True
        )
        assert found.real.dtype == (jnp.float64 if x64 else jnp.float32)
        np.testing.assert_allclose(
            found.real, waterfill_allocation(w, 1.0, 10), atol=1e-8 if x64 else 1e-4
        )
        assert bool(found.converged)

    def test_linear_objective_start_and_other_optimizer(self):
        """The expected number of correct rollouts: all to the best (theory 5.4)."""
        w = np.array([0.2, 0.5, 0.3], np.float32)
        found = optimize_allocation(
            lambda b: (w * b).sum(-1),
            7,
            3,
            initial=np.array([1.0, 0.0, 0.0], np.float32),
            optimizer=optax.sgd(1e-3),
            steps=3,
        )
        assert found.allocation.tolist() == [0, 7, 0]
        assert bool(found.converged)

    def test_one_candidate_nothing_to_spend_and_padding(self):
        mask = np.array([[True, False], [True, True], [False, False]])
        found = optimize_allocation(
            lambda b: jnp.log(1 + b).sum(-1), np.array([5, 0, 0]), 2, mask=mask, steps=2
        )
        assert found.allocation.tolist() == [[5, 0], [0, 0], [0, 0]]
        assert found.converged.all()
        assert np.isfinite(found.real).all()

    def test_inside_jit_with_a_batch_from_the_objective(self):
        @jax.jit
        def solve(w, n):
            return optimize_allocation(
                lambda b: (w * jnp.log(1 + b)).sum(-1), n, 3, separable=True, steps=5
            ).allocation

        w = jnp.asarray([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
        assert solve(w, 4).shape == (2, 3)
        np.testing.assert_array_equal(solve(w, 4).sum(-1), 4)


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [
            ((-1, 3), {}, "budget = -1"),
            ((4, 0), {}, "num_candidates = 0"),
            ((4, 3), {"initial": np.ones(2)}, "num_candidates"),
            ((4, 3), {"initial": np.array([1.0, -1.0, 0.0])}, r"initial\[1\] = -1"),
            ((4, 3), {"mask": np.zeros(3, bool)}, "cannot spend"),
        ],
    )
    def test_names_argument_and_value(self, arguments, options, message):
        with pytest.raises(ValueError, match=message):
            optimize_allocation(lambda b: b.sum(-1), *arguments, **options)

    def test_objective_of_the_wrong_shape(self):
        with pytest.raises(ValueError, match="objective"):
            optimize_allocation(lambda b: b, 4, 3)
