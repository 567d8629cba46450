"""From margins to a verdict, and with which confidence.

Two kinds of claims, two ways to decide. "Every instance obeys" is refuted by one counterexample,
for certain once exact arithmetic confirms it; without one it holds as far as was sampled, and the
rate at which it might still fail is bounded. "The expected margin is ≥ 0" is decided by an exact
interval for it, or left undecided. Every interval is at the level that makes the whole table
wrong with probability `FAMILY_ERROR` at most (Bonferroni), however the claims depend on each other.
"""

from typing import NamedTuple

import scipy.stats

from dora_theory.claims.check.claim import Claim, Verdict

# Probability that chance makes any verdict of a table wrong.
FAMILY_ERROR = 1e-3


class Decision(NamedTuple):
    """A verdict and the evidence for it.

    Attributes:
        verdict: "holds", "refuted" or "undecided".
        confidence: in a sentence.
        violation_rate_below: if an "all" claim holds, an upper bound on the probability that an
            instance violates it, else None.
        mean_between: of a "mean" claim the interval of the expected margin, else None.
    """

    verdict: Verdict
    confidence: str
    violation_rate_below: float | None = None
    mean_between: tuple[float, float] | None = None


def decide_all(n: int, violations: int, found: bool, *, confirms: bool, error: float) -> Decision:
    """Decides a claim about every instance.

    Args:
        n: instances seen, ≥ 1.
        violations: how many have a margin below -tolerance.
        found: whether a counterexample was found, confirmed if the claim can confirm.
        confirms: whether the claim can confirm in exact arithmetic.
        error: probability with which the bound of the violation rate may be wrong.

    Returns:
        "refuted" iff there is a counterexample; "undecided" if margins violate the claim but exact
        arithmetic confirms none; else "holds", with the largest rate of violations at which none
        would be seen in n with probability `error`: 1 - error^(1/n) ≈ ln(1/error)/n.

    Source: Clopper and Pearson (1934), at no success.
    """
    if found:
        how = "confirmed in exact arithmetic" if confirms else "in floating point"
        return Decision("refuted", f"counterexample, {how}")
    if violations:
        return Decision("undecided", f"{violations} of {n} violate it, none in exact arithmetic")
    bound = proportion_bounds(0, n, error)[1]
    return Decision("holds", f"violated with probability below {bound:.1e}", bound)


def decide_mean(n: int, heads: int, bounds: tuple[float, float], *, error: float) -> Decision:
    """Decides a claim about the expected margin.

    Args:
        n: instances seen, ≥ 1.
        heads: of n coins, of which the i-th fell heads with probability (m_i - low)/(high - low):
            independent coins whose chance of heads is exactly that of the expected margin.
        bounds: low < 0 < high, between which every margin lies.
        error: probability with which either end of the interval may be wrong.

    Returns:
        "holds" if the interval of the expected margin lies at or above 0, "refuted" if it lies
        below, else "undecided".

    Source: Clopper and Pearson (1934).
    """
    low, high = bounds
    ends = proportion_bounds(heads, n, error)
    least, most = (low + (high - low) * p for p in ends)
    verdict: Verdict = "holds" if least >= 0 else "refuted" if most < 0 else "undecided"
    return Decision(
        verdict,
        f"expected margin in [{least:.2g}, {most:.2g}]",
        mean_between=(least, most),
    )


def proportion_bounds(heads: int, n: int, error: float) -> tuple[float, float]:
    """Lower and upper bound of a coin's chance, each wrong with probability `error` at most."""
    low = scipy.stats.beta.ppf(error, heads, n - heads + 1) if heads > 0 else 0.0
    high = scipy.stats.beta.isf(error, heads + 1, n - heads) if heads < n else 1.0
    return float(low), float(high)


def error_of_one(claims: int) -> float:
    """What one claim of so many may err for the whole table to err by `FAMILY_ERROR` at most.

    Half of a claim's share for either end of an interval.
    """
    return FAMILY_ERROR / (2 * claims)


def coin_bounds(claim: Claim) -> tuple[float, float]:
    """Bounds of a "mean" claim's margin; `ValueError` unless 0 lies between them."""
    low, high = claim.bounds
    if not low < 0 < high:
        raise ValueError(f"{claim.name}: bounds {claim.bounds} do not hold 0 between them")
    return low, high
