"""What predictions assume of the data."""

# Passes of the search for a level, by k: means of programs as counted on a CPU with the weights of
# `make gpu`, all different and tied.
PASSES = {8: (6.5, 11.9), 64: (6.1, 8.2), 1000: (3.5, 5.5), 4096: (4.2, 5.7)}
# Share of programs of tied rows that one step does not settle: counted in the same way, at most.
OPEN = 0.1


def passes(k: int, *, tied: bool = False) -> float:
    """Those of the next smaller k that was counted."""
    return PASSES[max((known for known in PASSES if known <= k), default=min(PASSES))][tied]
