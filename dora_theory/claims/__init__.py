"""Every claim of the theory as a program that can fail, in the order of the theory.

`c2_1_optimum` holds the claims of theory 2.1 and so on; `check` says how a claim is tried
(`check.verifying`), decided (`check.deciding`), shrunk and printed; `own` makes a claim of a rule
of yours. May import everything but the page and the commands.
"""

from importlib import import_module

from dora_theory.claims.check.claim import Claim

# Modules with claims, one idea each.
_FAMILIES: tuple[str, ...] = (
    "c1_failure",
    "c2_1_optimum",
    "c2_3_classical",
    "c2_4_relaxation",
    "c3_1_rules",
    "c3_2_rounding",
    "c3_4_limits",
    "c4_1_solution_level",
    "c4_3_price",
    "c4_4_recovery",
    "c4_5_similarity",
    "c5_1_correlation",
    "c5_2_adaptivity",
    "c5_3_unknown_concentration",
    "c5_3_shared_concentration",
    "c5_4_other_goals",
    "c5_5_replay",
    "c5_6_magnitude",
    "c6_1_repetition",
    "c7_1_committed",
    "c7_2_adaptive",
    "c7_2_value",
    "c7_2_rounds",
    "c7_3_literature",
    "c7_4_scaling",
    "c8_1_joint",
    "c8_1_certificates",
    "c8_1_tightness",
    "c8_2_copula",
    "c8_3_divisors",
    "c9_1_costs",
    "c9_3_verifiers",
    "c9_4_estimators",
)


def claims() -> tuple[Claim, ...]:
    """All claims, sorted by id. Loads JAX, which importing this package does not."""
    found = [
        claim
        for family in _FAMILIES
        for claim in import_module(f"dora_theory.claims.{family}").CLAIMS
    ]
    return tuple(sorted(found, key=lambda claim: _place(claim.id)))


def _place(name: str) -> tuple[tuple[int, ...], str]:
    """2.5b as ((2, 5), "b"), so that 2.10 would follow 2.9, and 8.1.10 8.1.9."""
    numbers = name.rstrip("abcdefghi")
    return tuple(map(int, numbers.split("."))), name[len(numbers) :]
