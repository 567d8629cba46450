"""Verdicts as a table to read, a table for documents, and one JSON document."""

import math
from collections.abc import Sequence
from typing import Any

from dora_theory._errors import amount
from dora_theory.claims.check import deciding
from dora_theory.claims.check.verifying import Counterexample, Result
from dora_theory.io.tables import aligned


def document(
    results: Sequence[Result], *, seed: int, seconds: float, not_tried: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything about a run, of plain numbers, strings and lists.

    Args:
        results: in the order of the theory.
        seed: of the run.
        seconds: wall time of the run.
        not_tried: names of claims that were to be tried and were not.

    Returns:
        `{"claims": […], "seed", "seconds", "family_error", "not_tried"}`; of each claim what it
        says and what was found. A margin that is no finite number is null.
    """
    return {
        "claims": [_entry(result) for result in results],
        "seed": seed,
        "seconds": round(seconds, 3),
        "family_error": deciding.FAMILY_ERROR,
        "not_tried": list(not_tried),
    }


def _entry(result: Result) -> dict[str, Any]:
    claim, decision, example = result.claim, result.decision, result.counterexample
    return {
        "id": claim.id,
        "name": claim.name,
        "source": claim.source,
        "verdict": decision.verdict,
        "expected": claim.expected,
        "instances": result.instances,
        "worst_margin": result.worst_margin if math.isfinite(result.worst_margin) else None,
        "counterexample": None if example is None else _example(example),
        "seconds": round(result.seconds, 3),
        "violations": result.violations,
        "tolerance": claim.tolerance,
        "test": claim.test,
        "confidence": decision.confidence,
        "violation_rate_below": decision.violation_rate_below,
        "mean_between": decision.mean_between,
        "statement": claim.statement,
        "latex": claim.latex,
        "assumptions": claim.assumptions,
        "proof": claim.proof,
    }


def _example(example: Counterexample) -> dict[str, Any]:
    return {
        "instance": example.instance,
        "confirmed": example.confirmed,
        "explanation": example.explanation,
    }


_HEADS = ("id", "name", "source", "expected", "verdict", "instances", "worst margin", "seconds")
# Numbers, which come last, are aligned on the right.
_LEFT = range(5)


def table(results: Sequence[Result]) -> str:
    """Verdicts line by line, then every counterexample, then what may be wrong by chance."""
    rows = [_HEADS, *map(_row, results)]
    lines = aligned(rows, _LEFT)
    examples = [_counterexample(r) for r in results if r.counterexample is not None]
    wrong = [f"NOT AS EXPECTED: {r.claim.id} {r.claim.name}" for r in results if not r.as_expected]
    return "\n".join([*lines, "", *examples, *wrong, _confidence(results)])


def markdown(results: Sequence[Result]) -> str:
    """The claims, what they say and their verdicts, as a table in Markdown."""
    lines = ["| id | claim | source | verdict |", "|---|---|---|---|"]
    for r in results:
        cells = (r.claim.id, f"**{r.claim.name}.** {r.claim.statement}", r.claim.source)
        verdict: str = r.decision.verdict
        if r.counterexample is not None and r.counterexample.explanation:
            verdict += f": {r.counterexample.explanation}"
        lines.append(
            "| " + " | ".join(cell.replace("|", r"\|") for cell in (*cells, verdict)) + " |"
        )
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    claim = result.claim
    mark = "" if result.as_expected else " (!)"
    return (
        claim.id,
        claim.name,
        claim.source,
        claim.expected,
        result.decision.verdict + mark,
        str(result.instances),
        f"{result.worst_margin:.1e}",
        f"{result.seconds:.1f}",
    )


def _counterexample(result: Result) -> str:
    example = result.counterexample
    assert example is not None
    said = example.explanation or ", ".join(f"{k} = {v}" for k, v in example.instance.items())
    unsure = "" if example.confirmed else " (floating point only)"
    return f"{result.claim.id} {result.claim.name}, counterexample{unsure}:\n    {said}\n"


def _confidence(results: Sequence[Result]) -> str:
    unseen = [d.violation_rate_below for d in (r.decision for r in results)]
    bounds = [bound for bound in unseen if bound is not None]
    most = (
        f" Claims that hold are violated by less than {max(bounds):.1e} of instances."
        if bounds
        else ""
    )
    tried = amount(len(results), "claim")
    return (
        f"{tried}, {sum(r.as_expected for r in results)} as expected.{most} "
        f"Chance makes any of these statements wrong with probability {deciding.FAMILY_ERROR:g} at "
        f"most, corrected for {tried} (Bonferroni); confirmed counterexamples are "
        "certain."
    )
