"""`verify` from Python: claims tried on random instances, with their verdicts as an object."""

import time
from collections.abc import Sequence
from typing import Any

from dora_theory._errors import amount
from dora_theory.claims import claims as all_claims
from dora_theory.claims.check import reporting
from dora_theory.claims.check.claim import Claim
from dora_theory.claims.check.verifying import verify as run
from dora_theory.io.documents import Document


class Verdicts(Document):
    """Verdicts on claims, see `verify`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each claim."""
        names = ("id", "name", "source", "expected", "verdict", "instances", "worst_margin")
        return [{name: claim[name] for name in names} for claim in self.data["claims"]]

    @property
    def as_expected(self) -> bool:
        """Whether every verdict is the one that its claim expects."""
        return all(claim["verdict"] == claim["expected"] for claim in self.data["claims"])

    def _title(self) -> str:
        count = len(self.data["claims"])
        surprises = sum(c["verdict"] != c["expected"] for c in self.data["claims"])
        return f"{amount(count, 'claim')} tried, {surprises} against expectation"


def verify(
    claims: Sequence[Claim | str] | None = None, *, instances: int = 100_000, seed: int = 0
) -> Verdicts:
    """Tries claims on random instances, in float64.

    Args:
        claims: ids of the theory, such as `"2.1"`, or claims of your own; all of the theory if
            None.
        instances: at least this many of each claim.
        seed: of all random numbers.

    Returns:
        A verdict for each claim, with the smallest counterexample found of a refuted one.

    Raises:
        ValueError: an unknown id, instances < 1.

    Examples:
        >>> found = dt.verify(["4.7"], instances=4096)
        >>> sorted({row["verdict"] for row in found.rows()})
        ['holds']
    """
    known = all_claims()
    chosen: list[Claim] = []
    for each in known if claims is None else claims:
        found = [each] if isinstance(each, Claim) else [c for c in known if c.id == each]
        if not found:
            ids = ", ".join(dict.fromkeys(claim.id for claim in known))
            raise ValueError(f"claims: {each!r} is none of {ids}")
        chosen += found
    start = time.monotonic()
    place = {claim.name: i for i, claim in enumerate(chosen)}
    results = sorted(run(chosen, instances=instances, seed=seed), key=lambda r: place[r.claim.name])
    seconds = time.monotonic() - start
    return Verdicts(reporting.document(results, seed=seed, seconds=seconds))
