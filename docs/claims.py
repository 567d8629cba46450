"""Claims as documents show them, from what the package says of them.

`python docs/claims.py` prints the tables of the README.
"""

import re
from collections.abc import Iterable

import formulas

from dora_theory.claims import claims
from dora_theory.claims.check.claim import Claim

_SOURCES = {
    "paper": "the paper's",
    "corrected": "the paper's, corrected",
    "new": "not in the paper",
}
_COQ, _SMT, _TRIED, _REFUTED = _KNOWN = (
    "proved (Coq)",
    "proved (SMT, small k)",
    "tried on 100,000 instances",
    "refuted",
)


def chapter(claim: Claim) -> str:
    """The page of the theory on which a claim stands."""
    return claim.id.partition(".")[0]


def boxes(number: str) -> str:
    """All claims of a chapter, each under a heading: statement, formula, proof, how it is tried."""
    return "\n\n".join(_box(claim) for claim in claims() if chapter(claim) == number)


def said_by_the_paper() -> str:
    """What the paper says, what becomes of it, and how that is known, as a table."""
    rows = [
        f"| {claim.id} | {formulas.tex(claim.statement)} | {claim.expected} | {known(claim)} |"
        for claim in claims()
        if claim.source == "paper"
    ]
    head = "| theory | the paper's claim | verdict | how it is known |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def proved() -> str:
    """What Coq has proved, as a table with links to the theorems."""
    rows = [
        f"| {claim.id} | {formulas.tex(claim.statement)} | {_theorem(claim, 'proofs/', '.v')} |"
        for claim in claims()
        if known(claim) == _COQ
    ]
    return "\n".join(["| theory | proved for all k and N | theorem |", "|---|---|---|", *rows])


def counts() -> str:
    """How many claims there are of each source, by how they are known, as a table."""
    every = claims()
    rows = [
        f"| {what} | " + " | ".join(str(_count(every, source, how)) for how in _KNOWN) + " |"
        for source, what in _SOURCES.items()
    ]
    return "\n".join([f"| claims | {' | '.join(_KNOWN)} |", "|---" * 5 + "|", *rows])


def known(claim: Claim) -> str:
    """How a claim is known to hold, or that it does not."""
    if claim.expected == "refuted":
        return _REFUTED
    return {"Coq": _COQ, "SMT": _SMT, "": _TRIED}[claim.proved.partition(":")[0]]


def _count(found: Iterable[Claim], source: str, how: str) -> int:
    return sum((claim.source, known(claim)) == (source, how) for claim in found)


def _theorem(claim: Claim, folder: str, suffix: str) -> str:
    module, _, name = claim.proved.partition(": ")[2].partition(".")
    return f"[`{name}`]({folder}{module}{suffix})"


def _box(claim: Claim) -> str:
    why = "Proof" if claim.expected == "holds" else "Why not"
    verdict = f'<span class="claim-verdict {claim.expected}">{claim.expected}</span>'
    paragraphs = [
        f"{verdict} {_SOURCES[claim.source]}",
        formulas.tex(claim.statement),
        rf"\[ {claim.latex} \]",
        f"**Assumed.** {formulas.tex(claim.assumptions)}",
        f"**{why}.** {formulas.tex(claim.proof)}",
        *_proved(claim),
        f"**Tried.** `dora-theory verify --claims {claim.id}`: {_tried(claim)}",
    ]
    title = f"### {claim.id} · {claim.name} {{ #{anchor(claim)} }}"
    return "\n\n".join([title, *paragraphs])


def anchor(claim: Claim) -> str:
    """What leads to a claim on its page."""
    return f"claim-{claim.id}-" + re.sub(r"\W+", "-", claim.name.lower()).strip("-")


def _proved(claim: Claim) -> list[str]:
    if known(claim) == _COQ:
        name = claim.proved.rpartition(".")[2]
        return [
            f"**Proved for all k and N (Coq).** {_theorem(claim, '../proofs/', f'.md#{name}')}."
        ]
    if known(claim) == _SMT:
        return [f"**Proved by a solver.** {claim.proved.partition(': ')[2].capitalize()}."]
    return []


def _tried(claim: Claim) -> str:
    if claim.test == "mean":
        how = "the expected margin of random instances is at least 0, by an exact binomial test"
    elif claim.expected == "refuted":
        how = "an instance violates it; the command shows the smallest that it finds"
    else:
        how = f"every random instance obeys, to within {claim.tolerance:g} of rounding"
        if claim.tolerance == 0:
            how = "every random instance obeys, without any tolerance"
    if claim.confirm is not None:
        how += "; whatever violates it is confirmed in exact or 50-digit arithmetic"
    return how + "."


if __name__ == "__main__":
    print(said_by_the_paper(), counts(), proved(), sep="\n\n")
