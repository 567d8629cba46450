"""What a claim is: a statement, random instances of it, and a margin for each instance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Array, Float

# Arrays by name, each with a leading axis of n instances; "mask" where they are ragged.
Instances = dict[str, Array]
# One instance: plain Python numbers and lists.
Instance = dict[str, Any]

Source = Literal["paper", "corrected", "new"]
Verdict = Literal["holds", "refuted", "undecided"]


@dataclass(frozen=True)
class Claim:
    """A claim of the theory, as a program that can fail.

    Attributes:
        id: place in the theory; several claims may share one.
        name: a few words, unique.
        statement: in words, one or two sentences.
        latex: in symbols.
        source: the paper, a correction of it, or new here.
        expected: verdict to expect, "holds" or "refuted".
        assumptions: under which the claim is made.
        proof: a few lines that a reader can follow; for a refuted claim, why it fails.
        draw: key and static count n to n random instances, traceable.
        margin: instances to a margin each, traceable. An instance obeys iff margin ≥ -tolerance.
        tolerance: for rounding only; a comment beside it gives the reason.
        chunk: most instances drawn at once.
        heavy: whether 100,000 instances run for longer than LLVM takes to optimize the program a
            little.
        min_instances: instances below which there is no verdict; fewer are not drawn.
        test: "all": every instance obeys. "mean": the expected margin is ≥ 0, which is decided
            by an exact binomial test.
        bounds: between which the margin lies, for "mean" only.
        confirm: whether one instance violates the claim in exact or 50-digit arithmetic, without
            JAX. An instance that is not confirmed is not a counterexample.
        simpler: smaller instances to try in its place, the most drastic first.
        explain: one line with which a reader can check a counterexample by hand.
        proved: what a machine has proved of it: "Coq: Optimum.greedy_optimal" names a theorem of
            `proofs/`, for all k and N; "SMT: …" says for which small case a solver proves it. Empty
            where random instances are all there is.

    Examples:
        >>> from dora_theory.claims import claims
        >>> claims()[0].id, claims()[0].expected
        ('1', 'holds')
    """

    id: str
    name: str
    statement: str
    latex: str
    source: Source
    expected: Verdict
    assumptions: str
    proof: str
    draw: Callable[[Array, int], Instances]
    margin: Callable[[Instances], Float[Array, " n"]]
    tolerance: float = 0.0
    chunk: int = 4096
    heavy: bool = False
    min_instances: int = 4096
    test: Literal["all", "mean"] = "all"
    bounds: tuple[float, float] = (-1.0, 1.0)
    confirm: Callable[[Instance], bool] | None = None
    simpler: Callable[[Instance], Iterator[Instance]] | None = None
    explain: Callable[[Instance], str] | None = None
    proved: str = ""
