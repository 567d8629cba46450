"""The runner, on claims made up for it, and `dora-theory verify` as its users meet it."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import pytest

from dora_theory import claims as theorems
from dora_theory.claims.check import drawing, reporting, shrinking
from dora_theory.claims.check.claim import Claim
from dora_theory.claims.check.verifying import Result, smallest, verify
from dora_theory.cli.main import main


def below_ninety(expected: str = "refuted", **changes: object) -> Claim:
    """That integers from 0 to 99 are below 90."""

    def simpler(x: dict) -> Iterator[dict]:
        return shrinking.fewer(x, "number", 0)

    claim = Claim(
        id="2.1",
        name="below ninety",
        statement="Every number is below 90.",
        latex="n<90",
        source="paper",
        expected=expected,  # type: ignore[arg-type]
        assumptions="None.",
        proof="None: 90 is not.",
        draw=lambda key, n: {"number": drawing.whole(key, (n,), 0, 99)},
        margin=lambda x: 89.0 - x["number"],
        confirm=lambda x: x["number"] >= 90,
        simpler=simpler,
        explain=lambda x: f"{x['number']} is not below 90",
        min_instances=1,
    )
    return dataclasses.replace(claim, **changes)  # type: ignore[arg-type]


def run(*claims: Claim, instances: int = 256, **options: object) -> list[Result]:
    return list(verify(claims, instances=instances, **options))  # type: ignore[arg-type]


def test_a_refuted_claim_carries_its_smallest_confirmed_counterexample() -> None:
    [found] = run(below_ninety())
    assert found.decision.verdict == "refuted"
    assert found.as_expected
    assert found.counterexample is not None
    assert found.counterexample.instance == {"number": 90}
    assert found.counterexample.confirmed
    assert found.counterexample.explanation == "90 is not below 90"
    assert found.worst_margin == -10
    assert found.instances == 256


def test_a_violation_that_exact_arithmetic_does_not_confirm_is_none() -> None:
    [found] = run(below_ninety("holds", confirm=lambda x: False))
    assert found.decision.verdict == "undecided"
    assert found.violations > 0
    assert found.counterexample is None
    assert not found.as_expected


def test_without_exact_arithmetic_a_violation_counts_and_says_so() -> None:
    [found] = run(below_ninety("holds", confirm=None, simpler=None, explain=None))
    assert found.decision.verdict == "refuted"
    assert found.counterexample is not None
    assert not found.counterexample.confirmed
    assert "floating point only" in reporting.table([found])
    assert "NOT AS EXPECTED: 2.1 below ninety" in reporting.table([found])


def test_nan_is_a_violation_and_no_number_in_json() -> None:
    [found] = run(
        below_ninety(margin=lambda x: jnp.where(x["number"] == 3, jnp.nan, 1.0), confirm=None)
    )
    assert found.decision.verdict == "refuted"
    assert found.counterexample is not None
    assert found.counterexample.instance == {"number": 3}
    [entry] = reporting.document([found], seed=0, seconds=1.0)["claims"]
    assert entry["worst_margin"] is None


def test_a_margin_of_nothing_has_no_sign() -> None:
    [found] = run(below_ninety("holds", margin=lambda x: -0.0 * x["number"]))
    assert str(found.worst_margin) == "0.0"


def test_instances_come_in_whole_batches_and_do_not_depend_on_company() -> None:
    alone = run(below_ninety(chunk=100), instances=250)[0]
    other = below_ninety(name="another", chunk=100)
    both = {r.claim.name: r for r in run(other, below_ninety(chunk=100), instances=250, workers=2)}
    assert alone.instances == 300
    assert both["below ninety"].violations == alone.violations
    assert both["another"].violations != alone.violations
    assert run(below_ninety(chunk=100), instances=250, seed=1)[0].violations != alone.violations


def test_a_budget_leaves_each_claim_one_batch() -> None:
    [found] = run(below_ninety(chunk=64), instances=10**9, budget_seconds=1e-9)
    assert found.instances == 64
    for bad in ({"instances": 0}, {"budget_seconds": 0.0}):
        with pytest.raises(ValueError, match="= 0"):
            run(below_ninety(), **bad)  # type: ignore[arg-type]


def test_no_claim_is_judged_by_fewer_than_it_needs() -> None:
    claim = below_ninety(chunk=64, min_instances=150)
    assert run(claim, instances=1)[0].instances == 192
    assert run(claim, instances=200)[0].instances == 256
    assert run(claim, instances=1, budget_seconds=1e-9)[0].instances == 64


@pytest.mark.parametrize(
    ("bound", "verdict"), [(40, "refuted"), (49.5, "undecided"), (60, "holds")]
)
def test_a_mean_claim_may_stay_undecided(bound: float, verdict: str) -> None:
    claim = below_ninety(test="mean", margin=lambda x: (bound - x["number"]) / 100, chunk=4096)
    [found] = run(claim, instances=4096)
    assert found.decision.verdict == verdict
    with pytest.raises(ValueError, match="do not hold 0"):
        run(dataclasses.replace(claim, bounds=(0, 1)))


def test_shrinking_that_does_not_end_is_a_bug() -> None:
    endless = below_ninety(simpler=lambda x: iter([x]))
    with pytest.raises(RuntimeError, match="does not end"):
        smallest(endless, {"number": 95})


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def called(
        *arguments: str, claims: tuple[Claim, ...] = (below_ninety(),)
    ) -> tuple[int, str, str]:
        monkeypatch.setattr(theorems, "claims", lambda: claims)
        status = main(["verify", "--instances", "256", *arguments])
        return status, *capsys.readouterr()

    return called


def test_table_and_status(call: Callable) -> None:
    status, out, _ = call()
    assert status == 0
    assert re.search(r"^2\.1 +below ninety +paper +refuted +refuted +256 +-1.0e\+01", out, re.M)
    assert "2.1 below ninety, counterexample:\n    90 is not below 90" in out
    assert "corrected for 1 claim " in out
    status, out, _ = call(claims=(below_ninety("holds"),))
    assert status == 1
    assert "NOT AS EXPECTED" in out


def test_json_and_markdown(call: Callable) -> None:
    status, out, _ = call("--json", "--seed", "3")
    document = json.loads(out)
    assert status == 0
    assert (document["seed"], document["not_tried"]) == (3, [])
    [claim] = document["claims"]
    assert claim["counterexample"]["instance"] == {"number": 90}
    promised = "id name source verdict expected instances worst_margin counterexample seconds"
    assert list(claim)[:9] == promised.split()
    _, out, _ = call("--markdown")
    assert out.splitlines()[0] == "| id | claim | source | verdict |"
    assert "| refuted: 90 is not below 90 |" in out


def test_out_is_written_whole(call: Callable, tmp_path) -> None:
    path = tmp_path / "table.txt"
    status, out, _ = call("--out", str(path))
    assert (status, out) == (0, "")
    assert "below ninety" in path.read_text()


def test_claims_are_chosen_by_id(call: Callable) -> None:
    two = (below_ninety(), below_ninety(id="4.5", name="another"))
    _, out, _ = call("--claims", "4.5", claims=two)
    assert "another" in out
    assert "below ninety" not in out
    status, out, err = call("--claims", "4.5,9", claims=two)
    assert (status, out) == (2, "")
    assert err == "--claims: '9' is none of 2.1, 4.5\n"
    status, out, err = call("--claims", "2.1,", claims=two)
    assert (status, out) == (2, "")
    assert err == "--claims: '2.1,': an id is empty, a comma too many\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--instances", "0"), "--instances: 0: needs a number ≥ 1"),
        (("--instances", "many"), "argument --instances: invalid int value: 'many'"),
        (("--seed", "-1"), "--seed: -1: needs a number from 0"),
        (("--budget-seconds", "0"), "--budget-seconds: 0: needs a number > 0"),
        (("--budget-seconds", "nan"), "--budget-seconds: nan: needs a number > 0"),
        (("--json", "--markdown"), "not allowed with argument --json"),
    ],
)
def test_bad_options(call: Callable, arguments: tuple[str, ...], message: str) -> None:
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_interrupt_prints_what_was_decided(call: Callable, monkeypatch) -> None:
    found = run(below_ninety())
    monkeypatch.setattr(
        "dora_theory.claims.check.verifying.verify", lambda *a, **o: _then_interrupt(found)
    )
    status, out, err = call("--json", claims=(below_ninety(), below_ninety(name="another")))
    assert status == 130
    assert [c["name"] for c in json.loads(out)["claims"]] == ["below ninety"]
    assert json.loads(out)["not_tried"] == ["another"]
    assert "interrupted: 1 of 2 claims tried; not tried: 2.1" in err
    others = tuple(below_ninety(name=f"{i}", id=f"9.{i}") for i in range(8))
    _, out, err = call(claims=(below_ninety(), *others))
    assert out.startswith("interrupted: 1 of 9 claims tried\n\n")
    assert "not tried: 9.0, 9.1, 9.2, 9.3, 9.4, 9.5 and 2 more\n" in err


def test_an_interrupt_while_jax_loads_says_so(monkeypatch, capsys) -> None:
    def interrupted() -> tuple[Claim, ...]:
        raise KeyboardInterrupt

    # The claims' modules, and JAX with them, are loaded by this call.
    monkeypatch.setattr(theorems, "claims", interrupted)
    assert main(["verify"]) == 130
    assert capsys.readouterr() == ("", "interrupted: no claim tried\n")


def test_an_interrupt_leaves_a_file_as_it_was(call: Callable, monkeypatch, tmp_path) -> None:
    path = tmp_path / "table.txt"
    path.write_text("before")
    for found in (run(below_ninety()), []):
        monkeypatch.setattr(
            "dora_theory.claims.check.verifying.verify",
            lambda *a, found=found, **o: _then_interrupt(found),
        )
        two = (below_ninety(), below_ninety(name="another"))
        status, out, err = call("--out", str(path), claims=two)
        assert (status, out, path.read_text()) == (130, "", "before")
        assert err.startswith(f"interrupted: {len(found)} of 2 claims tried")


def test_formulas_are_text_and_raw() -> None:
    for claim in theorems.claims():
        for text in (claim.statement, claim.latex, claim.assumptions, claim.proof):
            assert text.isprintable(), (claim.name, text)


def test_formulas_can_be_set() -> None:
    convert = pytest.importorskip("latex2mathml.converter").convert
    for claim in theorems.claims():
        # The site writes \arg, which the converter does not know, as an operator.
        assert "<mi>\\" not in convert(claim.latex.replace(r"\arg", "")), claim.name


def _then_interrupt(results: list[Result]) -> Iterator[Result]:
    yield from results
    raise KeyboardInterrupt
