"""One budget for populations of problems: against closed forms, and against the table of 7.3."""

import jax
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.simulation.benchmark import RULES


def solved(difficulty, rules, budgets=(8, 32), **options):
    found = dt.simulate_benchmark(
        jax.random.key(0), difficulty, rules=rules, budgets=budgets, **options
    )
    return {(r["rule"], r["rollouts_per_problem"]): (r["solved"], r["error"]) for r in found.rows()}


# Share unsolved, %, at n = 8 and 32 for Beta(0.42, 0.55): theory 7.3, standard errors ≤ 0.5.
TABLE = {
    "uniform": (25.9, 14.7),
    "neyman": (26.9, 17.8),
    "knapsack-rl": (37.7, 18.9),
    "committed": (19.6, 8.4),
    "committed-noisy": (22.5, 11.2),
    "hora": (24.3, 11.3),
    "hora-dropping": (19.6, 9.7),
    "rounds-2": (19.9, 9.1),
    "rounds-4": (17.1, 7.0),
    "rounds-8": (15.7, 6.1),
    "round-robin": (15.0, 5.5),
    "index": (10.1, 3.6),
}


@pytest.mark.slow
def test_the_rules_leave_what_the_table_says():
    found = solved(dt.Difficulty(0.42, 0.55), None)
    assert set(TABLE) == set(RULES)
    for rule, want in TABLE.items():
        for n, share in zip((8, 32), want, strict=True):
            mean, error = found[rule, n]
            assert error < 0.006
            # Four standard errors of both.
            assert 100 * (1 - mean) == pytest.approx(share, abs=4 * np.hypot(100 * error, 0.5))


def test_uniform_and_round_robin_have_closed_forms():
    a, b = 0.5, 1.5
    found = solved(dt.Difficulty(a, b), ["uniform", "round-robin"], num_problems=2000)
    depth = np.arange(2000)
    f = np.cumprod(np.concatenate([[1.0], (b + depth) / (a + b + depth)]))
    spent = np.concatenate([[0.0], np.cumsum(f)[:-1]])
    for n in (8, 32):
        mean, error = found["uniform", n]
        assert mean == pytest.approx(1 - f[n], abs=4 * error)
        mean, error = found["round-robin", n]
        assert mean == pytest.approx(1 - np.interp(n, spent, f), abs=4 * error + 1e-3)


def test_rules_are_compared_on_the_same_outcomes():
    every = {}

    def kept(name):
        def rule(p, total, generator):
            every[name] = RULES[name](p, total, generator)
            return every[name]

        return rule

    names = "uniform", "rounds-2", "round-robin"
    rules = {name: kept(name) for name in names}
    difficulty = dt.Difficulty(0.5, 0.7)
    found = dt.simulate_benchmark(
        jax.random.key(0), difficulty, rules=rules, budgets=(8,), num_draws=20
    ).data
    assert list(found["paired"]) == ["rounds-2-uniform", "round-robin-uniform"]
    for name in names[1:]:
        # Whoever rolls a solved problem no more gives every other at least as many, in each draw.
        more = every[name] - every["uniform"]
        assert np.all(more >= 0)
        of = found["paired"][f"{name}-uniform"]["8"]
        assert of["difference"] == pytest.approx(more.mean(), rel=1e-12)
        assert of["error"] == pytest.approx(more.std(ddof=1) / 20**0.5, rel=1e-12)
    with pytest.raises(ValueError, match="rules: needs at least one"):
        dt.simulate_benchmark(jax.random.key(0), difficulty, rules={})


def test_levels_and_unsolvable_problems():
    mixed = dt.Difficulty([2, 0.2], [1, 5], shares=[0.25, 0.75], unsolvable=0.3)
    p = mixed.draw(np.random.default_rng(0), (400, 1000))
    assert (p == 0).mean() == pytest.approx(0.3, abs=0.005)
    mean = 0.7 * (0.25 * 2 / 3 + 0.75 * 0.2 / 5.2)
    assert p.mean() == pytest.approx(mean, abs=0.003)
    found = solved(mixed, ["round-robin", "index"], num_draws=10)
    assert all(share < 0.7 for share, _ in found.values())


def test_sure_and_hopeless_problems():
    def none(p, total, generator):
        return np.zeros(len(p))

    easy = dt.Difficulty(1e3, 1e-6)
    # For these two a problem without variance is worth nothing.
    rules = [r for r in RULES if r not in ("neyman", "knapsack-rl")]
    found = solved(easy, rules, (2,), num_problems=20, num_draws=3)
    assert all(share == 1 for share, _ in found.values())
    assert solved(easy, {"none": none}, (2,), num_draws=2)["none", 2] == (0, 0)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: dt.Difficulty(0, 1), "alpha = 0"),
        (lambda: dt.Difficulty([1, 2], 1), "beta: has 1 part, but alpha has 2"),
        (lambda: dt.Difficulty([1, 2], [1, 1], [0.5, 0.6]), "shares: sum to 1.1"),
        (lambda: dt.Difficulty(1, 1, unsolvable=1), "unsolvable = 1"),
        (lambda: solved(dt.Difficulty(1, 1), ["best"]), "rules: 'best' is none of uniform"),
        (lambda: solved(dt.Difficulty(1, 1), None, (0,)), "budgets = 0"),
    ],
)
def test_bad_arguments_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
