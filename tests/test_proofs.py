"""The proofs go through, rest on nothing but the reals, and speak of what the package computes.

Skipped where there is no Coq; building them takes half a minute of a core.
"""

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import dora_theory as dt
from dora_theory.allocation.across import allocate_problems, expected_value
from dora_theory.allocation.across_certificate import is_optimal_across
from dora_theory.allocation.adaptive_value import adaptive_value
from dora_theory.claims import claims
from dora_theory.model.priors import BetaPrior, KnownPrior

PROOFS = Path(__file__).parent.parent / "proofs"
SOURCES = sorted(PROOFS.glob("*.v"))
# Of the standard library's real numbers, which only the certificate for any latent uses.
OF_THE_REALS = {
    "ClassicalDedekindReals.sig_not_dec",
    "ClassicalDedekindReals.sig_forall_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
    "Classical_Prop.classic",
}
INSTANCES = 100

pytestmark = pytest.mark.slow


def coqc(*arguments):
    command = ["coqc", "-q", "-w", "none", "-Q", str(PROOFS), "Dora", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def log():
    """What `make proofs` prints."""
    if shutil.which("coqc") is None:
        pytest.skip("no Coq (Debian: apt-get install coq libcoq-mathcomp-algebra)")
    where = subprocess.run(["coqc", "-where"], capture_output=True, text=True, check=True)
    if not Path(where.stdout.strip(), "user-contrib/mathcomp/algebra").exists():
        pytest.skip("no mathcomp (Debian: apt-get install libcoq-mathcomp-algebra)")
    done = subprocess.run(
        ["make", "-C", str(PROOFS)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_theorems_rest_on_nothing_but_the_reals(log):
    asked = re.findall(
        r"^Print Assumptions (\S+)\.$", (PROOFS / "Assumptions.v").read_text(), re.MULTILINE
    )
    assert len(asked) >= 30
    answers = re.findall(r"^(Closed under the global context|Axioms:)$", log, re.MULTILINE)
    assert len(answers) == len(asked)
    for name, answer in zip(asked, answers, strict=True):
        assert (answer == "Axioms:") == name.startswith("Latent."), name
    axioms = re.findall(r"^Axioms:\n((?:\S.*\n(?:  .*\n)*)*?)(?=\S+\n     :|\Z)", log, re.MULTILINE)
    used = {name for found in axioms for name in re.findall(r"^(\S+)", found, re.MULTILINE)}
    assert used == OF_THE_REALS


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nothing_is_taken_for_granted(source):
    text = re.sub(r"\(\*.*?\*\)", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"\b(Admitted|admit|Axioms?|Parameters?|Conjecture|Abort)\b", text)


def test_what_a_theorem_assumes_of_the_weights_is_said_where_it_is_stated():
    """The README prints statements without what they assume, and at w = 1 these two are false."""
    needed = [c for c in claims() if c.proved.startswith("Coq") and c.assumptions[:6] == "w < 1."]
    assert {c.id for c in needed} == {"2.2", "2.4"}
    assert all("every w_i < 1" in c.statement for c in needed)


def test_every_theorem_is_listed():
    listed = (PROOFS / "Assumptions.v").read_text(encoding="utf-8")
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for name in re.findall(r"^(?:Theorem|Corollary) (\w+)", text, re.MULTILINE):
            assert f"Print Assumptions {source.stem}.{name}.\n" in listed, name


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # Divisors one larger, in the priorities and so in the certificate.
        ("R := w i / (kappa + r%:R).", "R := w i / (kappa + r.+1%:R)."),
        # The last priority served is that of rollout B - 1, not B.
        ("priority j (B j).-1.\n\nLet a", "priority j (B j).\n\nLet a"),
        # Where some w is 1, not only what passes is optimal.
        ("certificate_decides N B : (forall i, w i < 1) ->", "certificate_decides N B :"),
    ],
)
def test_a_wrong_statement_does_not_go_through(log, tmp_path, right, wrong):
    text = (PROOFS / "Optimum.v").read_text(encoding="utf-8")
    assert text.count(right) == 1
    copy = tmp_path / "Copy.v"
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    refused = coqc(copy)
    assert refused.returncode == 1
    # It is read, all it needs is found, and a step of a proof fails.
    assert not re.search("Syntax error|not found|[Cc]annot find|Unable to", refused.stderr)
    line = int(re.search(r"line (\d+), characters .*:\nError:", refused.stderr)[1])
    assert line > text[: text.index(right)].count("\n") + 1


def instances():
    """Qualities n/16 (0 and 1 among them), κ = 2^e and budgets, with some allocation of each."""
    rng = np.random.default_rng(0)
    for _ in range(INSTANCES):
        k = rng.integers(1, 6)
        parts = rng.integers(0, 17, k)
        eighths = 2 ** int(rng.integers(0, 7))
        budget = int(rng.integers(0, 13))
        yield parts, eighths, budget, rng.multinomial(budget, np.full(k, 1 / k))


def listed(numbers):
    return "[:: " + "; ".join(map(str, numbers)) + "]"


PREAMBLE = """
From Coq Require Import ZArith QArith Qcanon.
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Executable ExecutableProblems ExecutableAdaptive Rational.
Definition q (d : positive) (n : nat) : Qc := Q2Qc (Qmake (Z.of_nat n) d).
Definition pair (x : Qc) := (Qnum x, Qden x).
Local Open Scope nat_scope.
"""


def evaluated(tmp_path, terms):
    """Words of what Coq computes of each term: true, false and naturals, in order."""
    source = tmp_path / "Instances.v"
    lines = [f"Eval vm_compute in ({term})." for term in terms]
    source.write_text(PREAMBLE + "\n".join(lines) + "\n", encoding="utf-8")
    done = coqc(source)
    assert done.returncode == 0, done.stderr
    answers = re.findall(r"^     = (.*?)^     :", done.stdout, re.MULTILINE | re.DOTALL)
    assert len(answers) == len(terms)
    # %N, %Z and the like say in which numbers a result stands.
    return [re.findall(r"true|false|\d+", re.sub(r"%\w+", "", answer)) for answer in answers]


def term(parts, eighths, budget, given):
    """What Coq is to compute of an instance, by definitions that the theorems are about."""
    w, kappa, b = f"(map (q 16) {listed(parts)})", f"(q 8 {eighths})", listed(given)
    rounded = listed(np.rint(budget * parts / 16).astype(int))
    return (
        f"run_greedy {kappa} {w} {budget}, run_optimal {kappa} {w} {b}, "
        f"pair (run_failure {kappa} {w} {b}), run_rounded {w} {budget} {rounded}, "
        f"run_certificate (q 2 1) {w} {rounded}"
    )


def test_one_problem_is_what_the_package_computes(log, tmp_path, float64):
    found = list(instances())
    kept = optimal = 0
    answers = evaluated(tmp_path, [term(*instance) for instance in found])
    for (parts, eighths, budget, given), words in zip(found, answers, strict=True):
        k, w, kappa = len(parts), parts / 16, eighths / 8
        assert [int(x) for x in words[:k]] == dt.optimal_allocation(w, kappa, budget).tolist()
        assert (words[k] == "true") == bool(dt.is_optimal(w, kappa, given))
        failure = Fraction(int(words[k + 1]), int(words[k + 2]))
        assert np.exp(dt.log_failure(w, kappa, given)) == pytest.approx(float(failure), rel=1e-13)
        rounded = dt.round_allocation(w, budget)
        assert words[k + 3] == "true"
        assert len(words) == k + 5
        if rounded.sum() == budget:
            # 3.3, in Coq and here.
            assert words[k + 4] == "true"
            assert dt.is_optimal(w, 0.5, rounded)
            kept += 1
        optimal += words[k] == "true"
    assert kept >= 10
    assert 10 <= optimal <= INSTANCES - 10


def problems():
    """Values and priors of up to four problems, floors, caps, and an allocation between them."""
    rng = np.random.default_rng(1)
    for i in range(INSTANCES):
        m = rng.integers(1, 5)
        values, a, b = (rng.integers(1, 9, m) for _ in range(3))
        low = rng.integers(0, 3, m)
        high = low + rng.integers(0, 4, m)
        given = rng.integers(low, high + 1)
        prior = BetaPrior(a[:, None] / 4, b[:, None] / 4) if i % 2 else KnownPrior(a / 8)
        beta = f"(beta_hazard (map (q 4) {listed(a)}) (map (q 4) {listed(b)}))"
        hazards = beta if i % 2 else f"(known_hazard (map (q 8) {listed(a)}))"
        yield values, prior, low, high, given, hazards


def test_many_problems_are_what_the_package_computes(log, tmp_path, float64):
    found, terms, best = list(problems()), [], []
    for values, prior, low, high, given, hazards in found:
        limits = {"min_rollouts": low, "max_rollouts": high}
        best.append(allocate_problems(values / 8, prior, given.sum(), **limits).rollouts)
        v = f"(map (q 8) {listed(values)})"
        lists = [f"{listed(low)} {listed(high)} {listed(b)}" for b in (given, best[-1])]
        terms.append(
            f"run_committed {v} {hazards} {lists[0]}, run_committed {v} {hazards} {lists[1]}, "
            f"pair (run_value {v} {hazards} {listed(given)})"
        )
    optimal = 0
    for (values, prior, low, high, given, _), words, most in zip(
        found, evaluated(tmp_path, terms), best, strict=True
    ):
        limits = {"min_rollouts": low, "max_rollouts": high}
        assert most.sum() == given.sum()
        assert (words[0] == "true") == bool(is_optimal_across(values / 8, prior, given, **limits))
        assert words[1] == "true"
        value = float(expected_value(values / 8, prior, given[:, None]).sum())
        assert float(Fraction(int(words[2]), int(words[3]))) == pytest.approx(value, rel=1e-13)
        assert len(words) == 4
        optimal += words[0] == "true"
    assert 10 <= optimal <= INSTANCES - 10


def test_the_adaptive_value_is_what_the_package_computes(log, tmp_path, float64):
    # The program looks at every policy: (2 m)^N leaves.
    found = [x for x in problems() if len(x[0]) <= 3]
    budgets = [i % 5 for i in range(len(found))]
    terms = []
    for (values, *_, hazards), budget in zip(found, budgets, strict=True):
        start = "[:: " + "; ".join(["Some 0"] * len(values)) + "]"
        terms.append(f"pair (run_best (map (q 8) {listed(values)}) {hazards} {budget} {start})")
    assert len(found) >= 50
    answers = evaluated(tmp_path, terms)
    for (values, prior, *_), budget, (over, under) in zip(found, budgets, answers, strict=True):
        value = adaptive_value(values / 8, prior, budget)
        assert float(Fraction(int(over), int(under))) == pytest.approx(value, rel=1e-13)
