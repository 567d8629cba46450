"""Theory 2: the divisor method is the optimum, its certificate decides, and ties are complete."""

import itertools
from fractions import Fraction
from math import comb, prod

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from oracles import greedy

from dora_theory.allocation.certificate import certificate, is_optimal, optimal_set
from dora_theory.allocation.optimal import apportion, optimal_allocation
from dora_theory.model.priors import BetaPrior

KAPPAS = [1e-6, 1e-3, 0.25, 0.5, 1.0, 2.0, 16.0, 1e3, 1e6]


def failure(a: list[Fraction], s: list[Fraction], counts: tuple[int, ...]) -> Fraction:
    """Joint failure in exact rationals, eq. 7, with κ w = a and κ = s."""
    return prod(
        (
            prod(((t - x + r) / (t + r) for r in range(b)), start=Fraction(1))
            for x, t, b in zip(a, s, counts, strict=True)
        ),
        start=Fraction(1),
    )


def allocations(k: int, n: int):
    """All ways to give n rollouts to k candidates."""
    for bars in itertools.combinations(range(n + k - 1), k - 1):
        edges = (-1, *bars, n + k - 1)
        yield tuple(b - a - 1 for a, b in itertools.pairwise(edges))


def optima(a: list[Fraction], s: list[Fraction], n: int) -> set[tuple[int, ...]]:
    """All optimal allocations, by trying every one."""
    found = {counts: failure(a, s, counts) for counts in allocations(len(a), n)}
    best = min(found.values())
    return {counts for counts, value in found.items() if value == best}


# Weights that floats hold exactly, with many ties; and weights of all sizes.
GRID = st.integers(0, 8).map(lambda x: x / 8)
ANY = (
    st.floats(0, 1, width=32)
    .map(lambda x: float(np.float32(x)))
    .filter(lambda x: x == 0 or x > 1e-30)
)


def padded(rows: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows side by side, eight wide, and their mask: one compiled shape for all."""
    width = 8
    values, mask = np.full((len(rows), width), 0.7), np.zeros((len(rows), width), bool)
    for i, row in enumerate(rows):
        values[i, : len(row)], mask[i, : len(row)] = row, True
    return values, mask


@pytest.mark.usefixtures("float64")
class TestAgainstBruteForce:
    @settings(max_examples=40)
    @given(
        w=st.lists(GRID.filter(lambda x: x < 1), min_size=1, max_size=4).filter(any),
        kappa=st.sampled_from([0.25, 0.5, 1.0, 2.0, 16.0]),
        n=st.integers(0, 6),
    )
    def test_optimum_certificate_and_set_of_optima(self, w, kappa, n):
        a = [Fraction(x) * Fraction(kappa) for x in w]
        s = [Fraction(kappa)] * len(w)
        best = optima(a, s, n)
        values, mask = padded([w])
        got = optimal_allocation(values, kappa, n, mask=mask)[0]
        assert tuple(map(int, got[: len(w)])) in best
        assert not got[len(w) :].any()

        # 2.2: among all allocations the certificate picks out exactly the optima.
        every = list(allocations(len(w), n))
        table = np.zeros((len(every), 8), np.int32)
        table[:, : len(w)] = every
        table = np.pad(table, ((0, 128 - len(every)), (0, 0)))
        verdict = is_optimal(values, kappa, table, budget=n, mask=mask)
        chosen = {counts for counts, ok in zip(every, verdict, strict=False) if ok}
        assert chosen == best

        # The set of optima is base plus `spare` of the tied.
        base, tied, spare = optimal_set(values, kappa, n, mask=mask)
        members = [i for i in range(len(w)) if tied[0, i]]
        described = set()
        for extra in itertools.combinations(members, int(spare[0])):
            described.add(tuple(int(base[0, i]) + (i in extra) for i in range(len(w))))
        assert described == best
        assert len(best) == comb(len(members), int(spare[0]))

    @settings(max_examples=25)
    @given(
        ab=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=4),
        n=st.integers(0, 6),
    )
    def test_general_beta(self, ab, n):
        a = [Fraction(x, 4) for x, _ in ab]
        s = [Fraction(x + y, 4) for x, y in ab]
        alpha, mask = padded([[float(x) for x in a]])
        beta, _ = padded([[y / 4 for _, y in ab]])
        prior = BetaPrior(alpha, np.where(mask, beta, 1))
        got = optimal_allocation(prior, None, n, mask=mask)[0, : len(ab)]
        assert tuple(map(int, got)) in optima(a, s, n)


class TestAgainstGreedy:
    @settings(max_examples=60)
    @given(
        rows=st.lists(
            st.lists(st.one_of(GRID, ANY), min_size=1, max_size=8), min_size=4, max_size=4
        ),
        kappa=st.sampled_from(KAPPAS),
        n=st.lists(st.integers(0, 60), min_size=4, max_size=4),
    )
    def test_float64_rows_in_exact_rationals(self, rows, kappa, n):
        """Where no two different quotients round to one float, the result is the exact greedy."""
        values, mask = padded(rows)
        with jax.enable_x64(True):
            got = np.asarray(optimal_allocation(values, kappa, np.asarray(n), mask=mask))
        for row, counts, budget in zip(rows, got, n, strict=True):
            w, s = [Fraction(x) for x in row], [Fraction(kappa)] * len(row)
            expected = greedy(w, s, budget)
            if tuple(counts[: len(row)]) != expected:
                # A float tie of unequal rationals: then the two agree to the last digit.
                ours = failure([x * s[0] for x in w], s, tuple(int(x) for x in counts[: len(row)]))
                theirs = failure([x * s[0] for x in w], s, expected)
                assert abs(ours - theirs) <= Fraction(1, 2**50) * theirs

    def test_both_dtypes_equal_a_greedy_in_that_dtype(self, x64):
        dtype = np.float64 if x64 else np.float32
        rng = np.random.default_rng(5)
        w = rng.choice([0.0, 0.125, 0.25, 0.5, 0.9, *rng.uniform(size=4)], size=(300, 7)).astype(
            dtype
        )
        kappa = rng.choice(KAPPAS, size=300).astype(dtype)
        n = rng.integers(0, 50, size=300)
        got = np.asarray(optimal_allocation(w, kappa, n))
        counts = np.zeros_like(got)
        for _ in range(50):
            priority = w / (kappa[:, None] + counts.astype(dtype))
            best = priority.argmax(-1)
            counts[np.arange(300), best] += counts.sum(-1) < n
        np.testing.assert_array_equal(got, counts)

    @pytest.mark.parametrize("kind", ["equal", "uniform", "steep", "two levels"])
    @pytest.mark.parametrize("n", [0, 10, 4_999, 100_000, 1_000_000])
    @pytest.mark.parametrize("kappa", [1e-6, 1.0, 1e6])
    @pytest.mark.usefixtures("float64")
    def test_large(self, kind, n, kappa):
        k = 10_000
        rng = np.random.default_rng(1)
        w = {
            "equal": np.full(k, 0.3),
            "uniform": rng.uniform(size=k),
            "steep": np.exp(-20 * rng.uniform(size=k)),
            "two levels": np.where(np.arange(k) % 2, 0.5, 0.25),
        }[kind]
        got = optimal_allocation(w, kappa, n)
        assert int(got.sum()) == n
        assert bool(is_optimal(w, kappa, got, budget=n))
        if kind == "equal":
            assert np.array_equal(got, n // k + (np.arange(k) < n % k))
        if kind == "two levels":
            odd = np.asarray(got)[1::2]
            assert np.all(np.diff(odd) <= 0)


class TestEdges:
    def test_one_candidate_no_budget_no_weight(self, x64):
        assert optimal_allocation(np.ones((1,)), 1.0, 7).tolist() == [7]
        assert optimal_allocation(np.zeros((3,)), 1.0, 7).tolist() == [7, 0, 0]
        assert optimal_allocation(np.full((3,), 0.5), 1.0, 0).tolist() == [0, 0, 0]
        assert optimal_allocation(np.array([0.0, 1.0, 0.0]), 1e6, 9).tolist() == [0, 9, 0]

    def test_equal_weights_go_round_from_the_lowest_index(self, x64):
        for kappa in KAPPAS:
            assert optimal_allocation(np.full(4, 0.3), kappa, 6).tolist() == [2, 2, 1, 1]

    def test_winner_takes_all_from_the_stated_concentration(self, x64):
        """2.3: iff κ ≥ w_2 (N - 1)/(w_1 - w_2), here 0.25 · 8/0.25 = 8."""
        w = np.array([0.5, 0.25])
        assert optimal_allocation(w, 8.0, 9).tolist() == [9, 0]
        assert optimal_allocation(w, 7.5, 9).tolist() == [8, 1]
        assert optimal_allocation(np.array([0.5, 0.5]), 1e6, 9).tolist() == [5, 4]

    def test_padding_changes_nothing_wherever_it_is(self, x64):
        w = np.array([0.9, 0.5, 0.9, 0.125, 0.9])
        mask = np.array([False, True, True, True, False])
        got = optimal_allocation(w, 0.5, 12, mask=mask)
        inner = optimal_allocation(w[1:4], 0.5, 12)
        assert got.tolist() == [0, *inner.tolist(), 0]

    def test_certain_candidates(self):
        w = np.array([0.5, 1.0, 1.0])
        verdict = is_optimal(w, 1.0, np.array([[1, 1, 0], [2, 0, 0], [0, 0, 2], [0, 0, 0]]))
        assert verdict.tolist() == [True, False, True, True]

    def test_classical_methods_on_a_textbook_example(self, x64):
        """Ten seats for votes 560, 300, 140 under each rule (by hand, from the quotients)."""
        votes = np.array([560.0, 300.0, 140.0])
        assert apportion(votes, 10, divisor=1.0).tolist() == [6, 3, 1]
        assert apportion(votes, 10).tolist() == [6, 3, 1]
        assert apportion(votes, 10, divisor=0.0).tolist() == [5, 3, 2]
        assert apportion(votes, 2, divisor=0.0).tolist() == [1, 1, 0]

    @pytest.mark.parametrize("divisor", [0.0, 0.5, 1.0])
    def test_the_scale_of_weights_is_nothing(self, divisor):
        votes = np.array([56.0, 30.0, 14.0, 28.0], np.float32)
        seats = apportion(votes, 33, divisor=divisor)
        for scale in (2.0**-120, 2.0**120):
            scaled = apportion(votes * np.float32(scale), 33, divisor=divisor)
            np.testing.assert_array_equal(scaled, seats)

    def test_certificate_values(self):
        found = certificate(np.array([0.5, 0.25]), 1.0, np.array([3, 0]))
        assert float(found.largest_next) == 0.25
        assert float(found.smallest_last) == pytest.approx(0.5 / 3)


class TestTransformations:
    @pytest.mark.slow
    def test_jit_vmap_and_batch_axes(self):
        rng = np.random.default_rng(2)
        w = rng.uniform(size=(2, 3, 5)).astype(np.float32)
        kappa = rng.uniform(0.1, 5, size=(2, 3)).astype(np.float32)
        n = rng.integers(0, 30, size=(2, 3))
        plain = optimal_allocation(w, kappa, n)
        assert plain.shape == (2, 3, 5)
        np.testing.assert_array_equal(plain.sum(-1), n)
        np.testing.assert_array_equal(plain, jax.jit(optimal_allocation)(w, kappa, n))
        np.testing.assert_array_equal(
            plain, jax.vmap(jax.vmap(optimal_allocation))(w, kappa, jnp.asarray(n))
        )
        # Batch axes of any argument broadcast.
        np.testing.assert_array_equal(
            optimal_allocation(w[0, 0], kappa, n)[1, 2],
            optimal_allocation(w[0, 0], kappa[1, 2], n[1, 2]),
        )


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((np.array([0.5, np.nan]), 1.0, 3), r"weights\[1\] = nan"),
            ((np.array([0.5, -0.1]), 1.0, 3), r"weights\[1\] = -0.1"),
            ((np.array([0.5, 1.5]), 1.0, 3), r"weights\[1\] = 1.5"),
            ((np.zeros((2, 0)), 1.0, 3), "at least one candidate"),
            ((np.array([0.5]), 0.0, 3), "concentration = 0.0"),
            ((np.array([0.5]), np.inf, 3), "concentration = inf"),
            ((np.array([0.5]), 1.0, -1), "budget = -1"),
            ((np.array([0.5]), 1.0, 2.5), "budget = 2.5: needs an integer"),
            ((np.array([0.5]), 1.0, 2**23), "budget = 8388608: .* in float32"),
            ((np.array([0.5]), 2e7, 3), "concentration = 20000000.0: .* in float32"),
        ],
    )
    def test_names_argument_place_and_value(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            optimal_allocation(*arguments)

    def test_empty_problem_and_rollouts_for_padding(self):
        mask = np.array([False, False])
        with pytest.raises(ValueError, match="cannot spend"):
            optimal_allocation(np.array([0.5, 0.5]), 1.0, 3, mask=mask)
        assert optimal_allocation(np.array([0.5, 0.5]), 1.0, 0, mask=mask).tolist() == [0, 0]
        with pytest.raises(ValueError, match="padding"):
            is_optimal(np.array([0.5, 0.5]), 1.0, np.array([1, 1]), mask=np.array([True, False]))
        with pytest.raises(ValueError, match="all w < 1"):
            optimal_set(np.array([0.5, 1.0]), 1.0, 3)


def adams(weights, budget):
    """Adams' method in integers: a seat each by weight, then the largest w/r."""
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    seats = [0] * len(weights)
    for i in [i for i in order if weights[i] > 0][:budget]:
        seats[i] = 1
    for _ in range(budget - sum(seats)):
        ahead = [Fraction(w) / s if s else Fraction(0) for w, s in zip(weights, seats, strict=True)]
        seats[max(range(len(weights)), key=lambda i: (ahead[i], -i))] += 1
    return seats


def test_adams_seats_everyone_first_at_any_ratio(x64):
    assert apportion([1e35, 1e-2, 1.0], 3, divisor=0).tolist() == [1, 1, 1]
    assert apportion([1e35, 1e-2, 1.0], 2, divisor=0).tolist() == [1, 0, 1]
    rng = np.random.default_rng(29)
    low, high = (-300, 300) if x64 else (-37, 37)
    weights = 10 ** rng.uniform(low, high, (100, 5))
    weights[::2] = rng.integers(0, 4, (50, 5)) * 2.0 ** rng.integers(-100, 101, (50, 1))
    weights[:, 0] = np.maximum(weights[:, 0], 2.0**-100)
    weights = weights.astype(float if x64 else np.float32)
    budget = rng.integers(0, 40, 100)
    expected = [adams([float(x) for x in w], int(n)) for w, n in zip(weights, budget, strict=True)]
    assert apportion(weights, budget, divisor=0).tolist() == expected
