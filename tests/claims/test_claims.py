"""Every claim on a few instances, by the command that its readers run."""

import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from math import isfinite

import jax
import pytest

from dora_theory.claims import claims
from dora_theory.claims.check import rational
from dora_theory.claims.check.claim import Claim
from dora_theory.cli.main import main

pytestmark = pytest.mark.slow

# Sections 1 to 9 of the theory.
IDS = [
    "1",
    *("2.1", "2.2", "2.3", "2.4", "2.5", "2.5b", "2.6"),
    *("3.1", "3.1b", "3.2", "3.3", "3.4", "3.5"),
    *("4.1", "4.2", "4.3", "4.4", "4.4b", "4.5", "4.6", "4.7"),
    *("5.1", "5.2", "5.3", "5.4", "5.5", "5.6"),
    "6.1",
    *("7.1", "7.1b", "7.1c", "7.1f"),
    *("7.2", "7.2b", "7.2c", "7.2d", "7.2e", "7.2f", "7.2g", "7.2h", "7.2i"),
    *("7.3", "7.4b", "7.4c", "7.4d", "7.4e"),
    *(f"8.1.{n}" for n in range(1, 12)),
    *(f"8.2.{n}" for n in range(1, 7)),
    *("8.3.1", "8.3.2"),
    *("9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.2.2", "9.3.1", "9.3.2", "9.3.3", "9.3.4", "9.3.5"),
    *("9.4.1", "9.4.2", "9.4.3"),
]
# Each claim takes as many as its verdict needs, whatever is asked.
INSTANCES = 1
CLAIMS = {claim.name: claim for claim in claims()}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    path = tmp_path_factory.mktemp("verify") / "verify.json"
    status = main(["verify", "--json", "--instances", str(INSTANCES), "--out", str(path)])
    yield json.loads(path.read_text()) | {"status": status}
    jax.clear_caches()


def test_every_id_of_the_theory_is_there_in_order(document: dict) -> None:
    assert list(dict.fromkeys(c["id"] for c in document["claims"])) == IDS


def test_names_are_unique_and_nothing_is_left_unsaid() -> None:
    assert len(CLAIMS) == len(claims())
    for claim in CLAIMS.values():
        said = (claim.statement, claim.latex, claim.assumptions, claim.proof)
        assert all(text.strip() for text in said), claim.name
        assert claim.statement.endswith("."), claim.name


def test_every_verdict_is_the_expected_one(document: dict) -> None:
    assert [c["name"] for c in document["claims"] if c["verdict"] != c["expected"]] == []
    assert document["status"] == 0
    for claim in document["claims"]:
        assert isfinite(claim["worst_margin"]), claim["name"]
        assert claim["instances"] >= CLAIMS[claim["name"]].min_instances
        assert claim["confidence"]


def test_refuted_claims_carry_a_confirmed_smallest_counterexample(document: dict) -> None:
    refuted = [c for c in document["claims"] if c["verdict"] == "refuted"]
    assert len(refuted) >= 10
    for entry in refuted:
        claim, found = CLAIMS[entry["name"]], entry["counterexample"]
        assert found["confirmed"]
        assert found["explanation"]
        assert claim.confirm is not None
        assert claim.simpler is not None
        # It went through JSON and is still one; and no simpler one is.
        assert claim.confirm(found["instance"]), entry["name"]
        assert not any(map(claim.confirm, claim.simpler(found["instance"]))), entry["name"]
    assert all(c["counterexample"] is None for c in document["claims"] if c not in refuted)


def test_a_claim_of_the_paper_that_fails_is_confirmed_in_exact_arithmetic() -> None:
    def certain(claim: Claim) -> bool:
        return claim.confirm is not None and claim.explain is not None

    assert all(certain(c) for c in CLAIMS.values() if c.expected == "refuted")


@pytest.mark.parametrize("kappa", [Fraction(1, 8), Fraction(1, 2), Fraction(3)])
def test_largest_priorities_are_the_best_of_all_in_exact_rationals(kappa: Fraction) -> None:
    for parts in combinations(range(1, 9), 3):
        # One tie in three: two candidates of one quality.
        w = [Fraction(p, 9) for p in (parts[0], parts[1], parts[parts[2] % 3])]
        for budget in range(6):
            served = rational.divisor_method(w, kappa, budget)
            least = min(
                rational.joint_failure(w, kappa, b) for b in rational.allocations(budget, 3)
            )
            assert rational.joint_failure(w, kappa, served) == least
