"""Theory 2.5: water-filling with its active set, the paper's finite-κ rule, and rounding."""

from fractions import Fraction

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import brentq, minimize

from dora_theory.allocation.optimal import apportion, optimal_allocation
from dora_theory.allocation.waterfill import (
    _steep_then_even,
    rounded_waterfill_allocation,
    shifted_linear_allocation,
    waterfill_allocation,
)

WIDTH = 8


def reference(w: list[Fraction], c: Fraction, n: int) -> list[Fraction]:
    """Water-filling in exact rationals, by trying active sets; theory 2.5.

    The optimum is the set whose members are all non-negative and whose outsiders do not want any:
    w_i/c ≤ λ.
    """
    live = [i for i, x in enumerate(w) if x > 0]
    if not live:
        return [Fraction(n) if i == 0 else Fraction(0) for i in range(len(w))]
    c = max(c, -Fraction(n, len(live)))
    # By symmetry a set of given size can be taken from the top, but equal weights go together.
    for cut in sorted({w[i] for i in live}):
        active = [i for i in live if w[i] >= cut]
        level = (n + len(active) * c) / sum(w[i] for i in active)
        filled = {i: level * w[i] - c for i in active}
        outside = [i for i in live if i not in filled]
        if min(filled.values()) >= 0 and all(level * w[i] <= c for i in outside):
            return [filled.get(i, Fraction(0)) for i in range(len(w))]
    raise AssertionError("no active set fits")


def padded(rows: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows side by side, padded with a value that must not matter."""
    values, mask = np.full((len(rows), WIDTH), 0.7), np.zeros((len(rows), WIDTH), bool)
    for i, row in enumerate(rows):
        values[i, : len(row)], mask[i, : len(row)] = row, True
    return values, mask


WEIGHT = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 1.0, 1e-9]), st.floats(1e-30, 1, allow_subnormal=False)
)
KAPPA = st.one_of(st.sampled_from([0.5, 1.0, 1e6]), st.floats(-6, 6).map(lambda x: 10.0**x))


def random_problems(rng: np.random.Generator, kind: str, rows: int, k: int) -> np.ndarray:
    """Normalized weights of ragged problems, 0 where padded."""
    w = {
        "uniform": rng.uniform(size=(rows, k)),
        "softmax": np.exp(rng.uniform(size=(rows, k)) / 0.1),
        "heavy": np.exp(5 * rng.standard_normal((rows, k))),
    }[kind]
    w = np.where(np.arange(k) < rng.integers(1, k + 1, size=(rows, 1)), w, 0)
    return w / w.sum(-1, keepdims=True)


class TestWaterfill:
    @settings(max_examples=80)
    @given(
        rows=st.lists(st.lists(WEIGHT, min_size=1, max_size=WIDTH), min_size=4, max_size=4),
        kappa=st.lists(KAPPA, min_size=4, max_size=4),
        n=st.lists(st.integers(0, 4) | st.integers(0, 2000), min_size=4, max_size=4),
        shift=st.sampled_from([0.0, 0.5]),
        double=st.booleans(),
    )
    def test_equals_the_active_set_in_exact_rationals(self, rows, kappa, n, shift, double):
        """The stated error, (k + 8) u N, for inputs as they are in the working dtype."""
        dtype, unit = (np.float64, 2.0**-53) if double else (np.float32, 2.0**-24)
        values, mask = padded(rows)
        values, kappas = values.astype(dtype), np.asarray(kappa, dtype)
        with jax.enable_x64(double):
            got = np.asarray(
                waterfill_allocation(values, kappas, np.asarray(n), shift=shift, mask=mask)
            )
        assert got.dtype == dtype
        assert (got >= 0).all()
        assert not got[~mask].any()
        for i, row in enumerate(rows):
            w = [Fraction(float(x)) for x in values[i, : len(row)]]
            c = Fraction(float(kappas[i] - dtype(shift)))
            exact = reference(w, c, n[i])
            bound = (len(row) + 8) * Fraction(unit) * n[i]
            for x, y in zip(got[i], exact, strict=False):
                assert abs(Fraction(float(x)) - y) <= bound
            assert abs(sum(Fraction(float(x)) for x in got[i]) - n[i]) <= bound

    @pytest.mark.usefixtures("float64")
    def test_maximizes_the_surrogate(self):
        """A second method: SLSQP on Σ w log(κ + B) finds nothing better."""
        rng = np.random.default_rng(3)
        for kappa in (0.05, 1.0, 30.0):
            w = rng.dirichlet(np.full(5, 0.5))
            ours = np.asarray(waterfill_allocation(w, kappa, 12))
            found = minimize(
                lambda b, w=w, kappa=kappa: -np.dot(w, np.log(kappa + b)),
                np.full(5, 12 / 5),
                jac=lambda b, w=w, kappa=kappa: -w / (kappa + b),
                bounds=[(0, None)] * 5,
                constraints={"type": "eq", "fun": lambda b: b.sum() - 12},
                method="SLSQP",
                options={"ftol": 1e-15, "maxiter": 500},
            )
            assert np.dot(w, np.log(kappa + ours)) >= -found.fun - 1e-13
            np.testing.assert_allclose(ours, found.x, atol=1e-4)

    def test_edges(self, x64):
        tight = {"rtol": 1e-6, "atol": 0}
        assert waterfill_allocation(np.ones(1), 1e6, 7).tolist() == [7]
        assert waterfill_allocation(np.zeros(3), 1.0, 7).tolist() == [7, 0, 0]
        padded_zeros = waterfill_allocation(np.zeros(3), 1.0, 7, mask=np.array([False, True, True]))
        assert padded_zeros.tolist() == [0, 7, 0]
        assert waterfill_allocation(np.array([0.5, 0.2]), 1e-6, 0, shift=0.5).tolist() == [0, 0]
        nobody = np.array([False, False])
        assert waterfill_allocation(np.array([0.5, 0.2]), 1.0, 0, mask=nobody).tolist() == [0, 0]
        assert waterfill_allocation(np.array([0.0, 1.0, 0.0]), 1e-6, 9).tolist() == [0, 9, 0]
        for kappa in (1e-6, 0.5, 1e6):
            np.testing.assert_allclose(
                waterfill_allocation(np.full(4, 0.3), kappa, 6), np.full(4, 1.5), **tight
            )

    def test_shift_below_zero_offset(self, x64):
        """c = 1/4 - 1/2: each positive weight has 1/4 first, the rest goes by weight."""
        w = np.array([0.5, 0.25, 0.0])
        tight = {"rtol": 1e-6}
        got = waterfill_allocation(w, 0.25, 2, shift=0.5)
        np.testing.assert_allclose(got, [1.25, 0.75, 0], **tight)
        # 4 such quarters are more than nothing left of N = 1: shared equally, and no jump to it.
        got = waterfill_allocation(np.array([0.5, 0.25, 0.2, 0.1, 0.01]), 0.25, 1, shift=0.5)
        np.testing.assert_allclose(got, np.full(5, 0.2), **tight)
        # κ = shift: proportional.
        np.testing.assert_allclose(waterfill_allocation(w, 0.5, 3, shift=0.5), [2, 1, 0], **tight)

    @pytest.mark.usefixtures("float64")
    @pytest.mark.parametrize("shift", [0.0, 0.5])
    def test_gradients(self, shift):
        """Against central differences, away from the edges of active sets; finite on them."""
        rng = np.random.default_rng(0)
        w = rng.dirichlet(np.ones(6))
        probe = rng.standard_normal(6)

        @jax.jit
        def value(w, kappa):
            return jnp.dot(probe, waterfill_allocation(w, kappa, 20, shift=shift))

        slope = jax.jit(jax.grad(value, argnums=(0, 1)))
        for kappa in (1e-3, 0.7, 8.0, 200.0):
            by_w, by_kappa = slope(w, kappa)
            for i in range(6):
                step = 1e-6 * w[i] * np.eye(6)[i]
                rise = (value(w + step, kappa) - value(w - step, kappa)) / (2e-6 * w[i])
                assert by_w[i] == pytest.approx(float(rise), rel=1e-5, abs=1e-5)
            rise = (value(w, kappa * (1 + 1e-6)) - value(w, kappa * (1 - 1e-6))) / (2e-6 * kappa)
            assert by_kappa == pytest.approx(float(rise), rel=1e-5, abs=1e-5)
            # By homogeneity of degree 0 the derivative along w is 0.
            assert abs(np.dot(by_w, w)) < 1e-13
        for edge in (np.zeros(6), np.full(6, 0.2), np.eye(6)[2]):
            for kappa in (1e-6, 0.5, 1e6):
                by_w, by_kappa = slope(edge, kappa)
                assert np.isfinite(by_w).all()
                assert np.isfinite(by_kappa)

    def test_jit_vmap_broadcast_and_padding(self):
        rng = np.random.default_rng(2)
        w = rng.uniform(size=(2, 3, 5)).astype(np.float32)
        kappa = rng.uniform(0.1, 5, size=(2, 3)).astype(np.float32)
        n = rng.integers(0, 30, size=(2, 3))
        plain = waterfill_allocation(w, kappa, n)
        np.testing.assert_allclose(plain, jax.jit(waterfill_allocation)(w, kappa, n), rtol=1e-6)
        np.testing.assert_allclose(
            plain, jax.vmap(jax.vmap(waterfill_allocation))(w, kappa, jnp.asarray(n)), rtol=1e-6
        )
        np.testing.assert_allclose(
            waterfill_allocation(w[0, 0], kappa, n)[1, 2],
            waterfill_allocation(w[0, 0], kappa[1, 2], n[1, 2]),
            rtol=1e-6,
        )
        mask = np.array([True, False, True, True, False])
        holes = np.where(mask, w, np.nan).astype(np.float32)
        got = waterfill_allocation(holes, kappa, n, mask=mask)
        np.testing.assert_array_equal(got[..., mask], waterfill_allocation(w[..., mask], kappa, n))
        assert not got[..., ~mask].any()


class TestShiftedLinear:
    @settings(max_examples=40)
    @given(
        parts=st.lists(st.integers(0, 50), min_size=1, max_size=WIDTH).filter(any),
        kappa=KAPPA,
        n=st.integers(0, 500),
    )
    def test_is_the_formula_and_keeps_the_budget(self, parts, kappa, n):
        values, mask = padded([[x / sum(parts) for x in parts]])
        with jax.enable_x64(True):
            got = np.asarray(shifted_linear_allocation(values, kappa, n, mask=mask))[0]
        k, s = len(parts), Fraction(kappa)
        for x, w in zip(got, values[0, :k], strict=False):
            exact = (n + k * s) * Fraction(w) - s
            assert abs(Fraction(float(x)) - exact) <= 4 * Fraction(2) ** -53 * (
                n * Fraction(w) + s * (k * Fraction(w) + 1)
            )
        assert not got[k:].any()
        assert got.sum() == pytest.approx(n, abs=1e-15 * 40 * (n + k * kappa))

    def test_is_negative_where_water_does_not_reach(self, x64):
        w = np.array([0.5, 0.3, 0.2])
        got = shifted_linear_allocation(w, 10.0, 6)
        np.testing.assert_allclose(got, [8, 0.8, -2.8], rtol=1e-5)
        # Where it is nowhere negative it is water-filling.
        np.testing.assert_allclose(
            shifted_linear_allocation(w, 1.0, 6), waterfill_allocation(w, 1.0, 6), rtol=1e-5
        )


class TestRounded:
    def test_at_a_half_it_is_webster(self, x64):
        rng = np.random.default_rng(4)
        w = rng.choice([0.0, 0.125, 0.25, *rng.uniform(size=4)], size=(300, 9))
        n = rng.integers(0, 60, size=300)
        np.testing.assert_array_equal(rounded_waterfill_allocation(w, 0.5, n), apportion(w, n))

    @pytest.mark.usefixtures("float64")
    @pytest.mark.parametrize("kind", ["uniform", "softmax", "heavy"])
    def test_spends_the_budget_near_the_optimum(self, kind):
        """At most k₊ are moved, as proved; at most 2 of them from κ = 1/2 on, as measured.

        The measured bound is of these instances: an instance made for it may need more.
        """
        rng = np.random.default_rng(1)
        for low, high, most in ((-6, -0.302, None), (-0.301, 6, 2)):
            w = random_problems(rng, kind, 3000, 40)
            kappa = 10 ** rng.uniform(low, high, 3000)
            n = rng.choice([0, 1, 4, 16, 64, 256, 1000], 3000)
            got = np.asarray(rounded_waterfill_allocation(w, kappa, n))
            np.testing.assert_array_equal(got.sum(-1), n)
            assert (got >= 0).all()
            best = np.asarray(optimal_allocation(w, kappa, n))
            moved = np.abs(got - best).sum(-1) // 2
            assert np.all(moved <= (w > 0).sum(-1))
            if most is not None:
                assert moved.max() <= most
                # The paper's rule, kept non-negative and rounded, is much farther off.
                paper = np.rint(np.maximum(shifted_linear_allocation(w, kappa, n), 0))
                assert np.abs(paper - best).sum(-1).max() // 2 > 10

    @pytest.mark.usefixtures("float64")
    def test_little_confidence_is_solved_on_both_pieces(self):
        """The real solution that is rounded for κ < 1/2, against a root search for its level."""
        rng = np.random.default_rng(11)
        for _ in range(200):
            k = int(rng.integers(1, 7))
            w = rng.exponential(size=k) ** 2
            kappa = rng.uniform(0.001, 0.49)

            def spent(level, w=w, kappa=kappa):
                return np.minimum(level * w / (2 * kappa), level * w + 0.5 - kappa)

            # A little to either side of where a candidate goes from one piece to the other.
            beside = kappa / rng.choice(w) * rng.choice([0.999, 1.001])
            n = rng.choice([spent(beside).sum(), float(rng.integers(1, 40))])
            level = brentq(lambda s, n=n, f=spent: f(s).sum() - n, 0, n / w.max() + 1e3, xtol=1e-15)
            problem = (jnp.asarray(x) for x in (w, [kappa], [n], np.ones(k, bool)))
            np.testing.assert_allclose(_steep_then_even(*problem), spent(level), atol=1e-9)

    def test_edges_and_padding(self, x64):
        for kappa in (1e-6, 0.3, 0.5, 1e6):
            assert rounded_waterfill_allocation(np.ones(1), kappa, 7).tolist() == [7]
            assert rounded_waterfill_allocation(np.zeros(3), kappa, 7).tolist() == [7, 0, 0]
            assert rounded_waterfill_allocation(np.full(3, 0.5), kappa, 0).tolist() == [0, 0, 0]
            assert rounded_waterfill_allocation(np.full(4, 0.3), kappa, 6).tolist() == [2, 2, 1, 1]
            w = np.array([0.9, 0.5, np.nan, 0.125, 0.9])
            mask = np.array([False, True, False, True, False])
            got = rounded_waterfill_allocation(w, kappa, 12, mask=mask)
            inner = rounded_waterfill_allocation(w[mask], kappa, 12)
            assert got[mask].tolist() == inner.tolist()
            assert not got[~mask].any()

    def test_few_rollouts_and_little_confidence_go_to_the_best(self, x64):
        """κ → 0, theory 3.4: one each for the top N, wherever they stand."""
        w = np.array([0.01, 0.3, 0.02, 0.4, 0.05, 0.06, 0.07, 0.09])
        assert rounded_waterfill_allocation(w, 1e-6, 1).tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
        assert rounded_waterfill_allocation(w, 1e-6, 3).tolist() == [0, 1, 0, 1, 0, 0, 0, 1]


class TestErrors:
    def test_names_argument_place_and_value(self):
        rules = (waterfill_allocation, shifted_linear_allocation, rounded_waterfill_allocation)
        for rule in rules:
            with pytest.raises(ValueError, match=r"weights\[1\] = nan"):
                rule(np.array([0.5, np.nan]), 1.0, 3)
            with pytest.raises(ValueError, match=r"concentration = 0\.0"):
                rule(np.array([0.5]), 0.0, 3)
            with pytest.raises(ValueError, match="cannot spend"):
                rule(np.array([0.5]), 1.0, 3, mask=np.array([False]))
        with pytest.raises(ValueError, match="shift = nan"):
            waterfill_allocation(np.array([0.5]), 1.0, 3, shift=float("nan"))
