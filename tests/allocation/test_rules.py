"""The field's rules: examples worked by hand, plain Python, and budget-exactness."""

import inspect
import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_theory.allocation.certificate import is_optimal
from dora_theory.allocation.optimal import apportion
from dora_theory.allocation.rounding import round_allocation, sequential_ceiling_allocation
from dora_theory.allocation.rules import (
    beam_allocation,
    dora_allocation,
    dvts_allocation,
    magnitude_allocation,
    rebase_allocation,
    rebase_sequential_allocation,
    temperature_allocation,
)
from dora_theory.model.quality import quality_weights

SCORES = np.array([0.2, 0.9, 0.5, 0.9, 0.1])
# Few shapes to compile: five candidates, of which some may be padding.
rows = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.9, 1.0]), min_size=5, max_size=5)
masks = st.lists(st.booleans(), min_size=5, max_size=5).filter(any)
budgets = st.integers(0, 70)
widths = st.integers(1, 9)


def plain_beam(scores, n, m):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    given = [0] * len(scores)
    place = 0
    while n:
        given[order[place % len(order)]] += min(m, n)
        n -= min(m, n)
        place += 1
    return given


def plain_dvts(scores, n, groups, shares):
    given = [0] * len(scores)
    if groups:
        parts = np.array_split(np.arange(len(scores)), groups)
        for part, share in zip(parts, shares, strict=True):
            given[max(part, key=lambda i: scores[i])] = share
    return given


def plain_sequential(weights, n):
    given = [0] * len(weights)
    left = math.fsum(weights)
    for i in sorted(range(len(weights)), key=lambda i: -weights[i]):
        exact = n * weights[i] / left if left > 0 else n
        whole = round(exact)
        given[i] = whole if abs(exact - whole) < 1e-9 else math.ceil(exact)
        given[i] = min(given[i], n)
        n -= given[i]
        left = math.fsum(w for w, g in zip(weights, given, strict=True) if g == 0) if n else 0
    return given


def on(rule, scores, mask, *arguments, **options):
    """`rule` with padding; checks that padding receives nothing."""
    got = np.asarray(
        rule(np.where(mask, scores, np.nan), *arguments, mask=np.array(mask), **options)
    )
    assert not got[~np.array(mask)].any()
    return got[np.array(mask)].tolist()


def test_examples_worked_by_hand(x64):
    s = SCORES.astype(float if x64 else np.float32)
    assert temperature_allocation(s, 12).tolist() == [3, 3, 2, 2, 2]
    assert temperature_allocation(s, 12, literal=True).tolist() == [1] * 5
    assert beam_allocation(s, 10).tolist() == [0, 4, 2, 4, 0]
    assert beam_allocation(s, 10, literal=True).tolist() == [0, 4, 0, 4, 0]
    assert beam_allocation(s, 26).tolist() == [4, 8, 4, 6, 4]
    assert dvts_allocation(s, 8).tolist() == [0, 4, 0, 4, 0]
    assert dvts_allocation(s, 10).tolist() == [0, 4, 0, 3, 3]
    assert dvts_allocation(s, 10, literal=True).tolist() == [0, 4, 0, 4, 0]
    assert dvts_allocation(s, 3, literal=True).tolist() == [0] * 5
    assert rebase_allocation(s, 10).tolist() == [0, 5, 0, 5, 0]
    assert rebase_sequential_allocation(s, 10, quality_temperature=0.2).tolist() == [0, 5, 0, 5, 0]
    assert sequential_ceiling_allocation(np.array([0.5, 0.3, 0.2]), 4).tolist() == [2, 2, 0]


@given(rows, masks, budgets, widths)
def test_beam_and_dvts_are_what_plain_python_says(scores, mask, n, m):
    there = [s for s, exists in zip(scores, mask, strict=True) if exists]
    k = len(there)
    assert on(beam_allocation, scores, mask, n, beam_width=m) == plain_beam(there, n, m)
    literal = plain_beam(there, min(k, n // m) * m, m)
    assert on(beam_allocation, scores, mask, n, beam_width=m, literal=True) == literal
    groups = min(k, -(-n // m))
    shares = [n // groups + (i < n % groups) for i in range(groups)] if groups else []
    exact = plain_dvts(there, n, groups, shares)
    assert on(dvts_allocation, scores, mask, n, beam_width=m) == exact
    groups = min(k, n // m)
    literal = plain_dvts(there, n, groups, [m] * groups)
    assert on(dvts_allocation, scores, mask, n, beam_width=m, literal=True) == literal
    even = [n // k + (i < n % k) for i in range(k)]
    assert on(temperature_allocation, scores, mask, n) == even


@pytest.mark.usefixtures("float64")
@given(rows, masks, budgets)
def test_sequential_rounding_is_what_plain_python_says(scores, mask, n):
    there = [s for s, exists in zip(scores, mask, strict=True) if exists]
    with jax.enable_x64(True):
        got = on(sequential_ceiling_allocation, scores, mask, n)
        assert got == plain_sequential(there, n)
        assert sum(got) == n
        quality = np.exp(np.array(there) / 0.2)
        got = on(rebase_sequential_allocation, scores, mask, n, quality_temperature=0.2)
        assert got == plain_sequential(quality.tolist(), n)


@given(rows, masks, budgets)
def test_every_budget_exact_rule_spends_the_budget(scores, mask, n):
    embeddings = np.random.default_rng(n).normal(size=(5, 2))
    for rule in (rebase_allocation, rebase_sequential_allocation):
        assert sum(on(rule, scores, mask, n)) == n
    for rule in (dora_allocation, magnitude_allocation):
        assert sum(on(rule, scores, mask, embeddings, n, similarity_temperature=0.1)) == n


@pytest.mark.usefixtures("float64")
def test_rebase_is_bayes_optimal_at_one_half_whenever_rounding_keeps_the_budget():
    """Theory 3.2 and 3.3, on the distribution of instances that theory names."""
    rng = np.random.default_rng(33)
    size = 4000
    k, n = rng.integers(2, 40, size), rng.choice([16, 32, 64], size)
    mask = np.arange(39) < k[:, None]
    scores = rng.random((size, 39))
    literal = np.asarray(rebase_allocation(scores, n, literal=True, mask=mask))
    exact = np.asarray(rebase_allocation(scores, n, mask=mask))
    assert np.array_equal(exact.sum(-1), n)
    kept = literal.sum(-1) == n
    assert 0.5 < 1 - kept.mean() < 0.75
    assert np.array_equal(literal[kept], exact[kept])
    w = quality_weights(scores, mask=mask)
    assert np.asarray(is_optimal(w, 0.5, literal, mask=mask))[kept].all()
    missed = literal.sum(-1) - n
    assert missed.min() < -1
    assert missed.max() > 0


@pytest.mark.usefixtures("float64")
def test_literal_rounding_can_lose_a_direction():
    """Theory 4.4b: one candidate against 33, and against 31, copies."""
    for copies, literal in ((33, [16] + [0] * 33), (31, [16] + [1] * 31)):
        embeddings = np.eye(2)[[0] + [1] * copies]
        scores = np.full(copies + 1, 0.6)
        got = dora_allocation(scores, embeddings, 32, literal=True)
        assert got.tolist() == literal
        exact = np.asarray(dora_allocation(scores, embeddings, 32))
        assert exact.sum() == 32
        assert abs(int(exact[0]) - 16) <= 1


@pytest.mark.usefixtures("float64")
def test_halves_round_to_even():
    assert round_allocation(np.array([0.125, 0.375, 0.5]), 4).tolist() == [0, 2, 2]
    assert round_allocation(np.array([0.625, 0.375]), 4).tolist() == [2, 2]


@pytest.mark.usefixtures("float64")
def test_magnitude_and_dora_agree_when_copies_are_perfect():
    scores = np.array([0.8, 0.8, 0.8, 0.5, 0.5])
    embeddings = np.eye(2)[[0, 0, 0, 1, 1]]
    rules = (dora_allocation, magnitude_allocation)
    got = [np.asarray(rule(scores, embeddings, 40, quality_temperature=0.5)) for rule in rules]
    assert np.array_equal(*got)
    q = np.exp(np.array([0.8, 0.5]) / 0.5)
    shares = np.repeat(q / [3, 2], [3, 2])
    assert np.array_equal(got[0], apportion(shares, 40))


@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("scores", [[0.3], [0.0, 0.0], [1.0, 1.0, 1.0]])
def test_edges(scores, n, x64):
    s = np.array(scores, float if x64 else np.float32)
    e = np.ones((len(scores), 2), s.dtype)
    even = [n // len(s) + (i < n % len(s)) for i in range(len(s))]
    for rule in (temperature_allocation, rebase_allocation, rebase_sequential_allocation):
        assert rule(s, n).tolist() == even
    for rule in (dora_allocation, magnitude_allocation):
        assert rule(s, e, n).tolist() == even
    assert beam_allocation(s, n, beam_width=100).tolist() == [n] + [0] * (len(s) - 1)
    assert dvts_allocation(s, n, beam_width=100).tolist() == [n] + [0] * (len(s) - 1)
    assert sequential_ceiling_allocation(s * 0, n).tolist() == [n] + [0] * (len(s) - 1)


@pytest.mark.slow
def test_batches_traces_and_large_budgets():
    rng = np.random.default_rng(9)
    s, n = rng.random((2, 3, 6)), np.array([[1], [20]])
    for rule in (temperature_allocation, beam_allocation, dvts_allocation, rebase_allocation,
                 rebase_sequential_allocation):  # fmt: skip
        batch = np.asarray(rule(s, n))
        assert batch.shape == (2, 3, 6)
        assert batch.dtype == np.int32
        for i in np.ndindex(2, 3):
            assert np.array_equal(batch[i], rule(s[i], n[i[0], 0]))
        assert np.array_equal(jax.jit(rule)(s, n), batch)
        assert np.array_equal(jax.vmap(rule)(s, np.broadcast_to(n, (2, 3))), batch)
    most = 2**31 - 1
    for rule in (temperature_allocation, beam_allocation, dvts_allocation):
        assert np.asarray(rule(s[0, 0], most)).astype(np.int64).sum() == most
    assert beam_allocation(s[0, 0], 10, beam_width=most).max() == 10


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"scores\[0\] = nan"):
        beam_allocation(np.array([np.nan, 1]), 4)
    with pytest.raises(ValueError, match="budget = -1"):
        temperature_allocation(SCORES, -1)
    with pytest.raises(ValueError, match="beam_width = 0"):
        dvts_allocation(SCORES, 4, beam_width=0)
    with pytest.raises(ValueError, match=r"weights\[1\] = -0\.5"):
        sequential_ceiling_allocation(np.array([0.5, -0.5]), 4)
    with pytest.raises(ValueError, match="without candidates"):
        beam_allocation(SCORES, 4, mask=np.zeros(5, bool))


def test_rounding_noise_is_no_rollout(x64):
    """Equal scores share evenly, although sums of 1/k are off by rounding."""
    s, k = np.full((39, 39), 0.7, float if x64 else np.float32), np.arange(1, 40)
    mask = np.arange(39) < k[:, None]
    for each in (1, 3, 10):
        got = np.asarray(rebase_sequential_allocation(s, each * k, mask=mask))
        assert np.array_equal(got, each * mask)


@pytest.mark.parametrize("temperature", [1e-3, 1e-10, 1e-20, 1e-37])
def test_a_temperature_near_0_gives_all_to_the_best(temperature):
    """Every rule that takes a softmax; and where scores tie, to each of the best alike."""
    scores, embeddings = [0.2, 0.7, 0.5], np.eye(3)
    for rule in (rebase_allocation, rebase_sequential_allocation):
        assert rule(scores, 16, quality_temperature=temperature).tolist() == [0, 16, 0]
        assert jax.jit(rule)(np.array(scores), 16, quality_temperature=temperature).tolist() == [
            0,
            16,
            0,
        ]
    for rule in (dora_allocation, magnitude_allocation):
        found = rule(
            scores,
            embeddings,
            16,
            quality_temperature=temperature,
            similarity_temperature=temperature,
        )
        assert found.tolist() == [0, 16, 0]
    assert rebase_allocation([0.7, 0.2, 0.7], 16, quality_temperature=temperature).tolist() == [
        8,
        0,
        8,
    ]


def test_temperatures_are_the_paper_s_unless_others_are_given():
    """T_b = 0.1 and T_s = 0.01."""
    for rule in (rebase_allocation, dora_allocation, magnitude_allocation):
        parameters = inspect.signature(rule).parameters
        assert parameters["quality_temperature"].default == 0.1
        if rule is not rebase_allocation:
            assert parameters["similarity_temperature"].default == 0.01
