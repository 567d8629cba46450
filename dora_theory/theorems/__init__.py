"""Every claim of the theory as a program that can fail, in the order of the theory."""

from importlib import import_module

from dora_theory.theorems.claim import Claim

# Modules with claims, one idea each.
_FAMILIES: tuple[str, ...] = (
    "failing",
    "optimum",
    "classical",
    "relaxing",
    "rules",
    "rounding",
    "limits",
    "solution_level",
    "price",
    "recovery",
    "similarity",
    "correlation",
    "adaptivity",
    "unknown_concentration",
    "other_goals",
    "replaying",
    "magnitude_weights",
    "repetition",
)


def claims() -> tuple[Claim, ...]:
    """All claims, sorted by id. Loads JAX, which importing this package does not."""
    found = [
        claim
        for family in _FAMILIES
        for claim in import_module(f"dora_theory.theorems.{family}").CLAIMS
    ]
    return tuple(sorted(found, key=lambda claim: _place(claim.id)))


def _place(name: str) -> tuple[int, int, str]:
    """2.5b as (2, 5, "b"), so that 2.10 would follow 2.9."""
    chapter, _, rest = name.partition(".")
    number = rest.rstrip("abcdefgh")
    return int(chapter), int(number or 0), rest[len(number) :]
