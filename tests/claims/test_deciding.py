"""Verdicts against binomial tails summed term by term."""

from math import comb, log

import numpy as np
import pytest

from dora_theory.claims.check import deciding


def at_least(heads: int, n: int, p: float) -> float:
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(heads, n + 1))


@pytest.mark.parametrize(("heads", "n"), [(0, 5), (1, 5), (17, 40), (39, 40), (40, 40)])
@pytest.mark.parametrize("error", [0.2, 1e-3])
def test_bounds_leave_just_the_error_outside(heads: int, n: int, error: float) -> None:
    low, high = deciding.proportion_bounds(heads, n, error)
    assert low == 0 if heads == 0 else at_least(heads, n, low) == pytest.approx(error)
    assert high == 1 if heads == n else 1 - at_least(heads + 1, n, high) == pytest.approx(error)


def test_a_claim_that_holds_states_the_rule_of_three() -> None:
    held = deciding.decide_all(100_000, 0, False, confirms=True, error=0.05)
    assert held.verdict == "holds"
    assert held.violation_rate_below == pytest.approx(-log(0.05) / 100_000, rel=1e-4)
    assert "3.0e-05" in held.confidence


def test_only_a_counterexample_refutes() -> None:
    unsure = deciding.decide_all(100, 3, False, confirms=True, error=0.05)
    assert (unsure.verdict, unsure.violation_rate_below) == ("undecided", None)
    for confirms, told in ((True, "exact"), (False, "floating")):
        refuted = deciding.decide_all(100, 3, True, confirms=confirms, error=0.05)
        assert refuted.verdict == "refuted"
        assert told in refuted.confidence


@pytest.mark.parametrize(
    ("heads", "verdict"), [(250, "refuted"), (300, "undecided"), (360, "undecided"), (500, "holds")]
)
def test_a_mean_is_decided_only_clear_of_its_interval(heads: int, verdict: str) -> None:
    # Margins in [-1, 2]: an expected margin of 0 is a coin of chance 1/3.
    found = deciding.decide_mean(1000, heads, (-1, 2), error=1e-3)
    assert found.verdict == verdict
    assert found.mean_between is not None
    low, high = found.mean_between
    assert low < 3 * heads / 1000 - 1 < high


@pytest.mark.parametrize(("mean", "right"), [(-0.02, "refuted"), (0.02, "holds")])
def test_a_barely_true_or_false_mean_is_rarely_decided_wrongly(mean: float, right: str) -> None:
    rng, error = np.random.default_rng(0), 0.05
    heads = rng.binomial(2000, (1 + mean) / 2, size=2000)
    found = [deciding.decide_mean(2000, int(h), (-1, 1), error=error).verdict for h in heads]
    wrong = sum(v not in (right, "undecided") for v in found)
    # At most 100 in the mean; more than 140 has probability 1e-4.
    assert wrong <= 140
    assert found.count("undecided") > 0
    assert found.count(right) > 2000 * 0.05


def test_the_error_is_shared_by_all_claims_and_both_ends() -> None:
    assert 2 * 50 * deciding.error_of_one(50) == pytest.approx(deciding.FAMILY_ERROR)
