"""Claims about rules, limits, goals, replay and repetition: counterexamples by hand, and teeth."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory import bias, claims
from dora_theory.allocation import rules
from dora_theory.claims import (
    c3_1_rules,
    c3_2_rounding,
    c3_4_limits,
    c5_3_shared_concentration,
    c5_3_unknown_concentration,
    c5_4_other_goals,
    c5_5_replay,
    c6_1_repetition,
)
from dora_theory.claims.check import rational, shrinking, splits
from dora_theory.claims.check.claim import Claim, Instance
from dora_theory.replay.estimate import estimator

pytestmark = pytest.mark.usefixtures("float64")

FAMILIES = (
    c3_1_rules,
    c3_2_rounding,
    c3_4_limits,
    c5_3_shared_concentration,
    c5_3_unknown_concentration,
    c5_4_other_goals,
    c5_5_replay,
    c6_1_repetition,
)
CLAIMS = {claim.name: claim for family in FAMILIES for claim in family.CLAIMS}

# Refuted claim → its counterexample, one beside it that is none, and what a reader sees.
BY_HAND = {
    "REBASE in order of score is optimal for some κ": (
        {"parts": [5, 3, 2], "budget": 4},
        {"parts": [5, 3, 2], "budget": 3},
        "2, 2, 0, which is optimal (2.2) only for κ ≥ 2 and at the same time κ ≤ 1/2",
    ),
    "rounding keeps the budget": (
        {"parts": [1, 1, 1], "budget": 1},
        {"parts": [1, 1], "budget": 1},  # halves, which a rule for ties decides
        "shares 1/3, 1/3, 1/3 are rounded to 0, 0, 0, 0 in all",
    ),
    "the rest arbitrarily": (
        {"parts": [2, 1], "allocation": [1, 2]},
        {"parts": [2, 1], "allocation": [2, 1]},
        "by κ times 1/3 with the first and by κ times 2/3 with the second",
    ),
    "κ → ∞ is beam search with M = N": (
        {"parts": [1, 1], "concentration": 2.0**20, "budget": 2},
        {"parts": [2, 1], "concentration": 2.0**20, "budget": 2},
        "2, 0 fails with 524289/2097154, 1, 1 with 1/4",
    ),
    "greedy with one κ shared by all": (
        {"parts": [3, 3, 4], "low": 0.125, "high": 128.0, "prior": [1, 1], "budget": 8},
        {"parts": [3, 3, 4], "low": 0.125, "high": 128.0, "prior": [1, 1], "budget": 2},
        "one by one gives 2, 1, 5, failure 0.14296; 2, 2, 4 has 0.142266",
    ),
    "most successes by the same allocation": (
        {"parts": [2, 3], "concentration": 1.0, "budget": 2},
        {"parts": [1, 3], "concentration": 1.0, "budget": 2},
        "1, 1 succeeds most often and has 1 right on average; all to the best has 6/5",
    ),
    "the vote by the same allocation": (
        {"parts": [3, 2], "concentration": 1.0, "budget": 2},
        {"parts": [3, 2], "concentration": 1.0, "budget": 1},
        "1, 1 succeeds most often and elects the right answer with 1/2; 2, 0 with 3/5",
    ),
    "the weighted vote by the same allocation": (
        # 5/9 + 2/9 · 1/3 against (40 + 15)/81: with votes 2 and 1 the two need one right of each.
        {"parts": [2, 1], "concentration": 1.0, "budget": 3},
        {"parts": [2, 1], "concentration": 1.0, "budget": 1},
        "votes 2, 1: 2, 1 succeeds most often and elects the right answer with 17/27; 3, 0 with "
        "55/81",
    ),
    "the plug-in estimate": (
        {"logged": 2, "rollouts": 2, "sixteenths": 8},
        {"logged": 2, "rollouts": 1, "sixteenths": 8},
        "the mean of (1 - c/n)^B is 3/8, the failure 1/4",
    ),
    "integer copies sharpen too": (
        {"parts": [1, 3], "budget": 7},
        {"parts": [1, 3], "budget": 3},
        "2, 5 copies after one round, 2, 5 after two; N Q²/ΣQ² is 7/10, 63/10",
    ),
}


def test_each_refuted_claim_has_its_counterexample_here() -> None:
    assert set(BY_HAND) == {c.name for c in CLAIMS.values() if c.expected == "refuted"}


@pytest.mark.parametrize("name", BY_HAND)
def test_counterexamples_by_hand(name: str) -> None:
    claim, (counterexample, none, told) = CLAIMS[name], BY_HAND[name]
    assert claim.confirm is not None
    assert claim.explain is not None
    assert claim.confirm(counterexample)
    assert not claim.confirm(none)
    assert told in claim.explain(counterexample)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_simpler_is_another_instance_of_the_same_kind(name: str) -> None:
    claim, (counterexample, _, _) = CLAIMS[name], BY_HAND[name]
    assert claim.simpler is not None
    assert claim.confirm is not None
    for simpler in claim.simpler(counterexample):
        assert simpler.keys() == counterexample.keys()
        assert simpler != counterexample
        claim.confirm(simpler)  # judges all of them, and fails on none


# Refuted claim → its smallest counterexample, found by hand, and two others to begin from.
SMALLEST = {
    "the surrogate ranks as the objective": (
        {"parts": [3, 2, 1], "concentration": 4, "allocation": [0, 3, 0], "other": [1, 0, 2]},
        {"parts": [7, 3, 5], "concentration": 2, "allocation": [1, 3, 0], "other": [0, 1, 3]},
        {"parts": [1, 8, 5], "concentration": 2, "allocation": [0, 0, 3], "other": [2, 1, 0]},
    ),
    "shares of Q maximize success": (
        {"parts": [2, 1], "concentration": 2, "budget": 2},
        {"parts": [1, 4], "concentration": 0.25, "budget": 2},
        {"parts": [2, 9], "concentration": 0.25, "budget": 13},
    ),
    "greedy with one κ shared by all": (
        {"parts": [3, 2, 2], "low": 0.5, "high": 2, "prior": [2, 1], "budget": 6},
        {"parts": [3, 3, 4], "low": 0.125, "high": 128, "prior": [1, 1], "budget": 8},
        {"parts": [2, 2, 3], "low": 0.5, "high": 16, "prior": [7, 1], "budget": 6},
    ),
}


def _end(claim: Claim, instance: Instance) -> Instance:
    assert claim.simpler is not None
    assert claim.confirm is not None
    while smaller := next(filter(claim.confirm, claim.simpler(instance)), None):
        instance = smaller
    return instance


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_is_found_wherever_the_search_begins(name: str) -> None:
    [claim] = (c for c in claims.claims() if c.name == name)
    smallest, *others = SMALLEST[name]
    assert claim.confirm is not None
    for other in others:
        assert claim.confirm(other)
        assert _end(claim, other) == smallest


@pytest.mark.parametrize(("most", "end"), [(20, 9), (8, 25)])
def test_a_ladder_without_a_counterexample_leaves_the_steps(most: int, end: int) -> None:
    def confirm(x: Instance) -> bool:
        return x["number"] > 8 and x["number"] % 2 == 1

    claim = dataclasses.replace(
        CLAIMS["rounding keeps the budget"],
        confirm=confirm,
        simpler=shrinking.from_below(
            lambda x: shrinking.fewer(x, "number", 0),
            confirm,
            lambda: ({"number": n} for n in range(most)),
        ),
    )
    # Half of 51 is 25; neither 12 nor 24 is odd.
    assert _end(claim, {"number": 51}) == {"number": end}


def test_small_problems_come_in_the_order_of_their_size() -> None:
    sizes = []
    for x in shrinking.small_problems(9):
        assert x["parts"] == sorted(x["parts"], reverse=True)
        sizes.append(2 * x["budget"] + sum(x["parts"]) + abs(np.log2(x["concentration"])))
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (4, 9)
    assert [list(p) for p in shrinking.partitions(4)] == [[3, 1], [2, 2], [2, 1, 1], [1, 1, 1, 1]]


def test_counterexamples_end_at_the_smallest() -> None:
    found = _end(CLAIMS["rounding keeps the budget"], {"parts": [7, 2, 5, 9], "budget": 15})
    assert found == {"parts": [1, 1, 1], "budget": 1}
    found = _end(
        CLAIMS["REBASE in order of score is optimal for some κ"],
        {"parts": [7, 9, 6], "budget": 7},
    )
    assert found == {"parts": [5, 3, 2], "budget": 4}


def test_least_sum_is_the_least_of_all_splits() -> None:
    table = np.random.default_rng(0).normal(size=(20, 3, 6))
    table[:, 1, 0] = np.inf
    budget = np.arange(20) % 6
    found = splits.least_sum(jnp.asarray(table), jnp.asarray(budget))
    for rows, n, least in zip(table, budget, found, strict=True):
        every = (rows[range(3), list(b)].sum() for b in rational.allocations(int(n), 3))
        assert float(least) == min(every)


def test_pólyas_urn_is_the_beta_binomial() -> None:
    w, kappa = Fraction(1, 3), Fraction(3, 2)
    found = c5_4_other_goals._number_correct(jnp.full((1, 1), 1 / 3), jnp.full((1, 1), 1.5))[0, 0]
    for b in range(8):
        for right in range(8):
            ways = [s for s in product((0, 1), repeat=b) if sum(s) == right]
            chance = Fraction(0)
            for outcome in ways:
                a, c, one = kappa * w, kappa * (1 - w), Fraction(1)
                for success in outcome:
                    one *= (a if success else c) / (a + c)
                    a, c = a + success, c + 1 - success
                chance += one
            assert float(found[b, right]) == pytest.approx(float(chance), abs=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_margins_of_votes_are_the_exact_ones(weighted: bool) -> None:
    x = c5_4_other_goals._draw_two(jax.random.key(0), 16)
    found = c5_4_other_goals._margin_vote(x, weighted=weighted)
    for i in range(16):
        one = {name: np.asarray(values)[i].tolist() for name, values in x.items()}
        best = c5_4_other_goals.optimal.optimal_allocation(
            np.array(one["parts"]) / sum(one["parts"]), one["concentration"], one["budget"]
        )
        chances = [
            c5_4_other_goals._elected(one, given, weighted=weighted)
            for given in (np.asarray(best).tolist(), *rational.allocations(one["budget"], 2))
        ]
        assert float(found[i]) == pytest.approx(float(chances[0] - max(chances)), abs=1e-13)


def worst(name: str, n: int = 256) -> float:
    """Least margin of a claim on a few instances, above its tolerance."""
    claim = CLAIMS[name]

    def margins(key: jax.Array) -> jax.Array:
        return claim.margin(claim.draw(key, n))

    return float(jax.jit(margins)(jax.random.key(1)).min()) + claim.tolerance


def off_by_one(function: Callable, **changes: Callable) -> Callable:
    """The function with one argument, by its name or place, put through another first."""

    def wrong(*arguments: object, **options: object) -> object:
        places = dict(enumerate(arguments))
        for name, change in changes.items():
            place = int(name[1:])
            places[place] = change(places[place])
        return function(*places.values(), **options)

    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "home", "name", "wrong"),
    [
        (
            "rounding that keeps the budget is Webster's method",
            c3_2_rounding.optimal,
            "apportion",
            lambda f: lambda w, n, **options: f(w, n, divisor=1, **options),  # Jefferson's
        ),
        (
            "REBASE in order of score",
            rules,
            "rebase_sequential_allocation",
            lambda f: (
                lambda scores, n, *, quality_temperature: rules.rebase_allocation(
                    scores, n, quality_temperature=quality_temperature
                )
            ),
        ),
        (
            "log failure to the next order in κ",
            c3_4_limits,
            "_harmonic",
            lambda f: off_by_one(f, _0=lambda b: b + 1),  # H_B
        ),
        (
            "the estimate is without bias",
            estimator,
            "hypergeometric_log_failure",
            lambda f: lambda n, c, b: b * jnp.log1p(-c / n * (1 - 1e-9)),  # the plug-in estimate
        ),
        (
            "repetition sharpens",
            bias,
            "sharpened_quality",
            lambda f: off_by_one(f, _1=lambda t: t + 1),
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_planted_errors_are_caught(
    monkeypatch: pytest.MonkeyPatch, claim: str, home: object, name: str, wrong: Callable
) -> None:
    assert worst(claim) >= 0
    monkeypatch.setattr(home, name, wrong(getattr(home, name)))
    assert worst(claim) < 0
