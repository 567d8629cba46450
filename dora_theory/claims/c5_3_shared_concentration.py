"""Planning with one κ that is unknown and shared by all candidates (theory 5.3)."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from math import gcd, prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.claims.c5_3_unknown_concentration import failures
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instance, Instances

_SHORT = 8  # all splits of it are tried
# All ways to spend at most 8 on three candidates, (3, 165).
_SPLITS = np.indices(3 * (_SHORT + 1,)).reshape(3, -1)
_SPLITS = _SPLITS[:, _SPLITS.sum(0) <= _SHORT]


_draw_shared = drawing.instances(
    # Close together: there greedy errs, in one of a hundred instances.
    parts=drawing.integers(3, 6, 3),
    low=drawing.powers(-8, -1),
    high=drawing.powers(1, 8),
    prior=drawing.integers(1, 9, 2),
    budget=drawing.integers(6, _SHORT),
)


def _margin_shared(x: Instances) -> Float[Array, " n"]:
    w = x["parts"] / x["parts"].sum(-1, keepdims=True)
    p = x["prior"] / x["prior"].sum(-1, keepdims=True)
    each = jnp.stack([jnp.exp(failures(w, x[name][:, None])) for name in ("low", "high")])

    def fails(given: Array) -> Array:
        taken = jnp.take_along_axis(each, given[None, ..., None], -1)[..., 0]
        return (p.T * taken.prod(-1)).sum(0)

    def spend(step: Array, given: Array) -> Array:
        ways = jnp.stack([fails(given + unit[i]) for i in range(3)], -1)
        more = unit[jnp.argmin(ways, -1)]
        return given + jnp.where(step < x["budget"][:, None], more, 0)

    unit = jnp.eye(3, dtype=jnp.int32)
    given = jax.lax.fori_loop(0, _SHORT, spend, jnp.zeros(w.shape, jnp.int32))
    joint = each[:, :, 0, _SPLITS[0]] * each[:, :, 1, _SPLITS[1]] * each[:, :, 2, _SPLITS[2]]
    every = (p.T[..., None] * joint).sum(0)
    best = jnp.where(_SPLITS.sum(0) == x["budget"][:, None], every, jnp.inf).min(-1)
    return best / fails(given) - 1


def _shared_failure(x: dict) -> Callable[[Sequence[int]], Fraction]:
    """Failure of an allocation, each candidate's own being worked out once for all of them."""
    weights, most = rational.shares(x["parts"]), x["budget"] + 1
    tables = [
        [[rational.failure(w, Fraction(x[name]), b) for b in range(most)] for w in weights]
        for name in ("low", "high")
    ]

    def failure(given: Sequence[int]) -> Fraction:
        out = Fraction(0)
        for p, table in zip(rational.shares(x["prior"]), tables, strict=True):
            own = (fails[b] for fails, b in zip(table, given, strict=True))
            out += p * prod(own, start=Fraction(1))
        return out

    return failure


class _Compared(NamedTuple):
    """Rollouts one by one, the best of all allocations, and the failure of each."""

    greedy: Sequence[int]
    best: Sequence[int]
    fails: tuple[Fraction, Fraction]


def _compared(x: dict) -> _Compared:
    failure = _shared_failure(x)
    given = [0] * len(x["parts"])
    for _ in range(x["budget"]):
        ways = [[b + (i == j) for j, b in enumerate(given)] for i in range(len(given))]
        given = min(ways, key=failure)
    best = min(rational.allocations(x["budget"], len(given)), key=failure)
    return _Compared(given, best, (failure(given), failure(best)))


def _confirm_shared(x: dict) -> bool:
    if not 0 < x["low"] < x["high"]:
        return False
    greedy, best = _compared(x).fails
    return best < greedy


def _simpler_shared(x: dict) -> Iterator[dict]:
    yield from shrinking.shorter(x, ["parts"])
    yield from shrinking.fewer(x, "budget", 2)
    if x["prior"] != [1, 1]:
        yield x | {"prior": [1, 1]}
    yield from shrinking.fewer(x, "parts")
    yield from shrinking.fewer(x, "prior")
    for name, simplest in (("low", 0.5), ("high", 2.0)):
        if x[name] != simplest:
            yield x | {name: x[name] * 2 if x[name] < simplest else x[name] / 2}


def _small_shared(most: int = 24) -> Iterator[dict]:
    """Up to three candidates and κ = 2^-a or 2^b where greedy errs, as floating point has it.

    In the order of 2N + Σ parts + Σ prior + a + b.
    """
    for size in range(8, most + 1):
        for budget in range(2, _SHORT + 1):
            for total in range(2, size - 2 * budget - 3):
                rest = size - 2 * budget - total
                for parts in shrinking.partitions(total):
                    for powers in range(2, rest - 1) if len(parts) <= 3 else ():
                        for low, first in product(range(1, powers), range(1, rest - powers)):
                            second = rest - powers - first
                            x: Instance = {
                                "parts": parts,
                                "low": 2.0**-low,
                                "high": 2.0 ** (powers - low),
                                "prior": [first, second],
                                "budget": budget,
                            }
                            if gcd(first, second) == 1 and _errs(x):
                                yield x


def _errs(x: dict) -> bool:
    """Whether greedy is not exact, without the cost of rationals."""
    parts, budget = tuple(x["parts"]), x["budget"]
    low, high = (_failures_of(parts, x[name], budget) for name in ("low", "high"))
    one, two = x["prior"]

    def fails(given: tuple[int, ...]) -> float:
        return one * low[given] + two * high[given]

    given = (0,) * len(parts)
    for _ in range(budget):
        given = min(((*given[:i], b + 1, *given[i + 1 :]) for i, b in enumerate(given)), key=fails)
    best = min(fails(every) for every in low if sum(every) == budget)
    return best < (1 - 1e-9) * fails(given)


@cache
def _failures_of(
    parts: tuple[int, ...], concentration: float, budget: int
) -> dict[tuple[int, ...], float]:
    """Failure of every allocation of at most so many rollouts."""
    r = np.arange(budget)
    steps = [1 - concentration * p / sum(parts) / (concentration + r) for p in parts]
    own = [[1.0, *np.cumprod(each).tolist()] for each in steps]
    return {
        given: prod(fails[b] for fails, b in zip(own, given, strict=True))
        for n in range(budget + 1)
        for given in rational.allocations(n, len(parts))
    }


def _explain_shared(x: dict) -> str:
    greedy, best, fails = _compared(x)
    low, high = (Fraction(x[name]) for name in ("low", "high"))
    return (
        f"w = {rational.listed(rational.shares(x['parts']))}, κ = {low} or {high} with chances "
        f"{rational.listed(rational.shares(x['prior']))}, N = {x['budget']}: one by one gives "
        f"{rational.listed(greedy)}, failure {float(fails[0]):.6g}; "
        f"{rational.listed(best)} has {float(fails[1]):.6g}"
    )


CLAIMS = (
    Claim(
        id="5.3",
        name="greedy with one κ shared by all",
        statement="Taking rollouts one by one by the largest drop in failure is exact too if one "
        "unknown κ is shared by all candidates.",
        latex=r"B^{\text{greedy}}\in\arg\min_{\sum B_i=N}\sum_m\pi_m\prod_iF(B_i;w_i,\kappa_m)",
        source="new",
        expected="refuted",
        assumptions="Two values of κ; ties to the lowest index; three candidates, N ≤ 8.",
        proof="What is mixed is a product over candidates, so it does not separate: each rollout "
        "changes what a later one is worth. Optima for N and N + 1 need not contain each other.",
        draw=_draw_shared,
        margin=_margin_shared,
        # A ratio of two sums of products of eight factors.
        tolerance=1e-13,
        confirm=_confirm_shared,
        simpler=shrinking.from_below(_simpler_shared, _confirm_shared, _small_shared),
        explain=_explain_shared,
    ),
)
