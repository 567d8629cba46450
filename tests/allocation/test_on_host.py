"""What NumPy answers of one small problem is what the compiled functions answer."""

from fractions import Fraction
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_table import greedy, rows

import dora_theory as dt
from dora_theory.allocation import on_host, shared_on_host


def single(x64):
    return np.float64 if x64 else np.float32


@pytest.fixture
def never(monkeypatch):
    """Programs of JAX, which a problem that is answered on the host does not need."""

    def refuse(*arguments, **options):
        raise AssertionError("compiled")

    for module, name in (
        ("allocation.optimal", "_largest"),
        ("allocation.optimal", "_apportion"),
        ("allocation.shared_divisors", "_shared"),
        ("model.quality", "_softmax"),
        ("model.similarity", "_uniqueness"),
    ):
        monkeypatch.setattr(import_module(f"dora_theory.{module}"), name, refuse)


def test_integers_are_the_greedy_s_ties_included(x64):
    answered = 0
    for row in rows():
        w, kappa = np.array(row.weights, single(x64)), single(x64)(row.kappa)
        found = on_host.optimal_allocation(w, kappa, row.budget)
        if found is not None:
            answered += 1
            if row.budget <= 64:
                some = np.ones((1, w.size), bool)
                expected = greedy(w[None], kappa[None, None], np.array([row.budget]), some)[0]
            else:
                expected = jax.jit(dt.optimal_allocation)(w, kappa, row.budget)
            np.testing.assert_array_equal(found, expected)
    assert answered > 0.75 * len(rows())


def test_many_random_problems_with_ties_and_padding(x64):
    rng = np.random.default_rng(7)
    answered = 0
    for i in range(400):
        k, budget = int(rng.integers(1, 80)), int(rng.integers(0, 300))
        w = rng.uniform(size=k) if i % 2 else rng.choice([0.1, 0.2, 0.25, 0.7], size=k)
        w = w.astype(single(x64))
        mask = rng.uniform(size=k) < 0.8
        mask[0] = True
        kappa = single(x64)(rng.choice([0.3, 0.5, 1, 20]))
        found = on_host.optimal_allocation(w, kappa, budget, mask=mask)
        if found is not None:
            answered += 1
            one = greedy(w[None], kappa[None, None], np.array([budget]), mask[None])
            np.testing.assert_array_equal(found, one[0])
    assert answered > 390


@pytest.mark.parametrize("smooth", [False, True])
def test_shared_divisors_with_ties_copies_and_padding(smooth, x64):
    rng = np.random.default_rng(9)
    rows, k = 120, 12
    w = rng.choice([0.0, 0.1, 0.25, 0.25, 0.7], (rows, k))
    w[::2] = rng.uniform(size=(rows // 2, k))
    labels = rng.integers(0, 8, (rows, k))
    e = rng.normal(size=(rows, 8, 5))
    e = np.take_along_axis(e, labels[..., None], 1) / 3
    # Cosines of equal labels are 1, and so are copies; others may be negative.
    c = np.tanh(np.einsum("rid,rjd->rij", e, e))
    # Smoothed by a kernel, which has no negative entries, or some weights would be negative.
    c = np.abs(c) if smooth else c
    c[labels[:, :, None] == labels[:, None, :]] = 1
    w[::3] = np.take_along_axis(w[::3], labels[::3], -1)
    w, c = w.astype(single(x64)), c.astype(single(x64))
    mask = rng.uniform(size=(rows, k)) < 0.8
    mask[:, 0] = True
    kappa, n = rng.choice([0.3, 1.0, 20.0], rows).astype(w.dtype), rng.integers(0, 60, rows)
    compiled = dt.shared_divisor_allocation(w, c, kappa, n, smooth=smooth, mask=mask)
    answered = same = 0
    for i, given in enumerate(zip(w, c, kappa, n, strict=True)):
        found = shared_on_host.shared_divisor_allocation(*given, smooth=smooth, mask=mask[i])
        if found is not None:
            answered += 1
            assert found.sum() == n[i]
            same += (found == compiled[i]).all()
    assert answered > 0.8 * rows
    # Sums of the smoothed weights are in another order, and their ties are to rounding.
    assert same == answered if not smooth else same >= 0.98 * answered


@pytest.mark.parametrize("roots", [(3, 1), (1, 3), (1, 3, 2, 6), (6, 2, 3, 2, 1)])
def test_ties_of_shared_divisors_are_those_of_rational_numbers(roots, x64):
    # Qualities are squares, so that what a rollout takes of others is rational. Their levels are
    # rounded, so that which of two equal ones is smaller would be left to chance.
    kind, budgets, found_ties = single(x64), np.arange(30), 0
    w = np.array(roots, kind) ** 2 / 100
    for share in (Fraction(0), Fraction(1, 4), Fraction(1, 2)):
        c = np.full((w.size, w.size), float(share), kind)
        np.fill_diagonal(c, 1)
        for kappa in (Fraction(1, 2), Fraction(3, 2), Fraction(3)):
            expected, ties = rationally(roots, share, kappa, budgets[-1])
            found_ties += ties
            given = w, c, kind(kappa)
            for n in budgets:
                one = shared_on_host.shared_divisor_allocation(*given, int(n))
                np.testing.assert_array_equal(one, expected[n])
            compiled = dt.shared_divisor_allocation(*given, budgets)
            np.testing.assert_array_equal(compiled, expected)
    assert found_ties > 5


def rationally(roots, share, kappa, budget):
    """Theory 8.3.1 in fractions, each tie to the lowest index; what is spent, and the ties."""
    spent = [[0] * len(roots)]
    ties = 0
    for _ in range(budget):
        last = spent[-1]
        levels = [
            (kappa + sum((1 if i == j else share) * Fraction(a, b) * last[j]
                         for j, b in enumerate(roots))) / a**2
            for i, a in enumerate(roots)
        ]  # fmt: skip
        ties += levels.count(min(levels)) - 1
        best = levels.index(min(levels))
        spent.append([n + (i == best) for i, n in enumerate(last)])
    return np.array(spent), ties


@pytest.mark.usefixtures("never")
def test_a_loop_compiles_nothing(x64):
    rng = np.random.default_rng(3)
    for k in (1, 2, 9, 33, 100, 256):
        scores, e = rng.uniform(size=k), rng.normal(size=(k, 16))
        for found in (
            dt.dora_allocation(scores, e, 64),
            dt.rebase_allocation(scores.tolist(), 64),
            dt.optimal_allocation(dt.quality_weights(scores), 0.5, 64),
            dt.shared_divisor_allocation(dt.quality_weights(scores), np.eye(k), 0.5, 64),
        ):
            assert isinstance(found, jax.Array)
            assert found.dtype == jnp.int32
            assert found.sum() == 64


@pytest.mark.slow
def test_weights_are_those_of_the_compiled_functions(x64):
    rng = np.random.default_rng(5)
    exact = {"rtol": 1e-9 if x64 else 2e-3, "atol": 1e-12 if x64 else 1e-7}
    for k in (1, 3, 17, 64):
        scores, e = (x.astype(single(x64)) for x in (rng.uniform(size=k), rng.normal(size=(k, 8))))
        e[k // 2 :] = e[: k - k // 2]
        e[0] *= 1e-25
        mask = rng.uniform(size=k) < 0.8
        mask[0] = True
        for name, arguments in (
            ("quality_weights", (scores,)),
            ("uniqueness", (e,)),
            ("dora_weights", (scores, e)),
        ):
            for there in (None, mask):
                ours = getattr(dt, name)(*arguments, mask=there)
                theirs = jax.jit(getattr(dt, name))(*arguments, mask=there)
                assert ours.dtype == theirs.dtype
                np.testing.assert_allclose(ours, theirs, **exact)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dt.dora_allocation([0.1, np.nan], np.eye(2), 3), r"scores\[1\] = nan"),
        (lambda: dt.dora_allocation([0.1, 0.2], np.zeros((2, 2)), 3), r"embeddings\[0\] is zero"),
        (lambda: dt.dora_allocation([0.1, 0.2], np.eye(3), 3), "candidates"),
        (lambda: dt.rebase_allocation([0.1], -1), "budget = -1"),
        (lambda: dt.rebase_allocation([0.1], 1, mask=np.array([False])), "without candidates"),
        (lambda: dt.apportion([0.1], 2, divisor=1e30), "divisor"),
    ],
)
def test_bad_values_are_named_as_always(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_bad_value_of_jax_gives_minus_one_and_raises_nothing():
    given = dt.rebase_allocation(jnp.array([0.1, jnp.nan]), 3)
    np.testing.assert_array_equal(given, [-1, -1])
    assert np.isnan(dt.quality_weights(jnp.array([jnp.inf, 0.2]))).all()
    with pytest.raises(ValueError, match="at least one candidate"):
        dt.rebase_allocation(jnp.zeros(0), 3)


def test_arrays_under_a_transformation_are_traced():
    slope = jax.grad(lambda r: dt.quality_weights(r)[0])(jnp.array([0.3, 0.2]))
    assert slope[0] > 0
    given = jax.vmap(lambda w: dt.optimal_allocation(w, 1.0, 4))(jnp.eye(3))
    np.testing.assert_array_equal(given, 4 * np.eye(3))


def test_what_is_no_array_is_for_the_function_to_refuse():
    ragged = [[1, 0.5], [0.5]]
    assert shared_on_host.shared_divisor_allocation([0.5, 0.5], ragged, 1.0, 3) is None
    assert on_host.rebase_allocation([0.5, 0.5], 3, quality_temperature=ragged) is None
