"""Claims about rules of one's own are decided rightly, with counterexamples that can be read."""

import jax.numpy as jnp
import pytest

import dora_theory as dt
from dora_theory.claims.check.verifying import smallest


def webster(w, kappa, n):
    return dt.apportion(w, n)


def rounded(w, kappa, n):
    return dt.round_allocation(w, n)


def all_to_the_best(w, kappa, n):
    best = jnp.arange(w.shape[-1]) == jnp.argmax(w, -1)[..., None]
    return jnp.where(best, jnp.asarray(n)[..., None], 0)


def the_best(w, kappa, n):
    return dt.optimal_allocation(w, kappa, n)


def decided(*claims):
    return {c["name"]: c for c in dt.verify(claims, instances=4096).data["claims"]}


@pytest.mark.slow
def test_rules_are_judged_by_what_they_give():
    found = decided(
        dt.rule_claim(the_best, "optimal", name="best"),
        dt.rule_claim(webster, "budget", name="webster spends"),
        dt.rule_claim(webster, "optimal", name="webster", expected="refuted"),
        dt.rule_claim(webster, "within", ratio=4, name="webster near"),
        dt.rule_claim(rounded, "budget", name="rounded spends", expected="refuted"),
        dt.rule_claim(all_to_the_best, "within", ratio=1.2, name="one", expected="refuted"),
    )
    verdicts = {name: c["verdict"] for name, c in found.items()}
    assert verdicts == {
        "best": "holds",
        "webster spends": "holds",
        "webster": "refuted",
        "webster near": "holds",
        "rounded spends": "refuted",
        "one": "refuted",
    }
    example = found["rounded spends"]["counterexample"]
    assert example["confirmed"]
    # The smallest there is: two halves of one rollout are rounded to none.
    assert (example["instance"]["parts"], example["instance"]["budget"]) == ([1, 1], 1)
    assert "the rule gives 0, 0, 0 in all" in example["explanation"]
    shown = found["one"]["counterexample"]["explanation"]
    assert "the rule gives 2, 0 and fails with 3/8; 1, 1 fails with 1/4" in shown


def test_a_counterexample_is_made_small_and_confirmed_exactly():
    claim = dt.rule_claim(all_to_the_best, "optimal")
    big = {"parts": [5, 4, 3, 1], "concentration": 4.0, "budget": 12}
    assert claim.confirm(big)
    small = smallest(claim, big)
    assert small == {"parts": [1, 1], "concentration": 1.0, "budget": 2}
    assert not claim.confirm({"parts": [2, 1], "concentration": 1.0, "budget": 1})


@pytest.mark.parametrize(
    ("says", "more", "message"),
    [
        ("best", {}, "says = 'best'"),
        ("within", {"ratio": 0.5}, "ratio = 0.5"),
        ("optimal", {"num_candidates": 1}, "num_candidates = 1"),
    ],
)
def test_bad_arguments_are_named(says, more, message):
    with pytest.raises(ValueError, match=message):
        dt.rule_claim(webster, says, **more)
