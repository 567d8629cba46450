"""Rules of the literature for many problems, and what they are optimal for (theory 7.3)."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import literature
from dora_theory.claims.check import drawing, shrinking
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instance, Instances

_M, _N = 3, 8


_draw_chances = drawing.instances(tenths=drawing.integers(1, 9, _M), total=drawing.integers(_M, _N))


def _best(x: Instances, gain: Float[Array, "n m depth"], least: int) -> Float[Array, " n"]:
    low = jnp.full((x["total"].shape[0], _M), least)
    return many.best_committed(gain, x["total"], low, jnp.full_like(low, _N))


def _at(gain: Float[Array, "n m depth"], rollouts: Array) -> Float[Array, " n"]:
    return jnp.take_along_axis(gain, rollouts[..., None], -1)[..., 0].sum(-1)


def _margin_neyman(x: Instances) -> Float[Array, " n"]:
    p, n = x["tenths"] / 10, jnp.arange(_N + 1)
    gain = -(p * (1 - p))[..., None] / jnp.maximum(n, 1)
    found = literature.neyman_allocation(p, x["total"])
    spent = (found.sum(-1) == x["total"]) & (found.min(-1) >= 1)
    return jnp.where(spent, _at(gain, found) - _best(x, gain, 1), -jnp.inf)


def _mixed(p: Array) -> Float[Array, "n m depth"]:
    """Knapsack RL's Σ p q² (1 - p^n - q^n)."""
    n, q = jnp.arange(_N + 1), 1 - p
    return (p * q**2)[..., None] * jnp.where(n > 0, 1 - p[..., None] ** n - q[..., None] ** n, 0)


def _margin_knapsack(x: Instances) -> Float[Array, " n"]:
    p = x["tenths"] / 10
    gain = _mixed(p)
    found = literature.knapsack_rl_allocation(p, x["total"], min_rollouts=1)
    spent = found.sum(-1) == x["total"]
    return jnp.where(spent, _at(gain, found) - _best(x, gain, 1), -jnp.inf)


def _margin_singles(x: Instances) -> Float[Array, " n"]:
    gain = _mixed(x["tenths"] / 10)
    step = jnp.diff(gain, axis=-1)

    def serve(r: int, given: Array) -> Array:
        following = jnp.take_along_axis(step, given[..., None], -1)[..., 0]
        chosen = jax.nn.one_hot(following.argmax(-1), _M, dtype=given.dtype)
        return given + chosen * (r < x["total"])[:, None]

    given = jax.lax.fori_loop(0, _N, serve, jnp.zeros_like(x["tenths"]))
    return _at(gain, given) - _best(x, gain, 0)


def _exact_singles(x: Instance) -> tuple[list[int], Fraction, list[int], Fraction]:
    p = [Fraction(t, 10) for t in x["tenths"]]

    def value(n: list[int]) -> Fraction:
        return sum(
            (q * (1 - q) ** 2 * (1 - q**k - (1 - q) ** k) for q, k in zip(p, n, strict=True) if k),
            Fraction(0),
        )

    given = [0] * len(p)
    for _ in range(x["total"]):
        ways = [[k + (i == m) for i, k in enumerate(given)] for m in range(len(p))]
        given = max(ways, key=value)
    every = (list(n) for n in product(range(x["total"] + 1), repeat=len(p)))
    best = max((n for n in every if sum(n) == x["total"]), key=value)
    return given, value(given), best, value(best)


def _confirm_singles(x: Instance) -> bool:
    _, found, _, best = _exact_singles(x)
    return found < best


def _explain_singles(x: Instance) -> str:
    given, found, best, most = _exact_singles(x)
    p = ", ".join(f"{t}/10" for t in x["tenths"])
    return f"p = ({p}), N = {x['total']}: singles give {given}, worth {found}; {best} is {most}"


def _draw_counts(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    attempts = drawing.whole(keys[0], (n, 2), 1, 4)
    return {
        "attempts": attempts,
        "right": jnp.minimum(drawing.whole(keys[1], (n, 2), 0, 4), attempts),
        "total": drawing.whole(keys[2], (n,), 1, 4),
    }


def _margin_hora(x: Instances) -> Float[Array, " n"]:
    s, n = x["right"], x["attempts"]
    found = literature.hora_allocation(s, n, x["total"])
    h = many.hazards(1.0 + s, 1.0 + n - s, 4)
    gain = jnp.where((s == 0)[..., None], 1 - many.unsolved(h), 0)
    low = jnp.zeros_like(s)
    return _at(gain, found) - many.best_committed(gain, x["total"], low, jnp.full_like(s, 4))


def _exact_hora(x: Instance) -> tuple[list[int], Fraction, Fraction]:
    beliefs = [
        (Fraction(1 + s), Fraction(1 + n - s))
        for s, n in zip(x["right"], x["attempts"], strict=True)
    ]

    def unsolved(m: int, n: int) -> Fraction:
        a, b = beliefs[m]
        f = Fraction(1)
        for r in range(n):
            f *= (b + r) / (a + b + r)
        return f

    given = [0, 0]
    for _ in range(x["total"]):
        gains = [unsolved(m, given[m]) - unsolved(m, given[m] + 1) for m in (0, 1)]
        given[gains.index(max(gains))] += 1

    def covered(n: list[int]) -> Fraction:
        return sum((1 - unsolved(m, n[m]) for m in (0, 1) if x["right"][m] == 0), Fraction(0))

    return given, covered(given), max(covered([r, x["total"] - r]) for r in range(x["total"] + 1))


def _confirm_hora(x: Instance) -> bool:
    legal = all(s <= n for s, n in zip(x["right"], x["attempts"], strict=True))
    _, found, best = _exact_hora(x)
    return legal and found < best


def _simpler_hora(x: Instance) -> Iterator[Instance]:
    yield from shrinking.fewer(x, "total")
    yield from shrinking.fewer(x, "attempts")
    yield from shrinking.fewer(x, "right", least=0)


def _explain_hora(x: Instance) -> str:
    given, found, best = _exact_hora(x)
    return (
        f"{x['right']} of {x['attempts']} right so far, N = {x['total']}: HORA gives {given} and "
        f"solves {found} more, the best is {best}"
    )


CLAIMS = (
    Claim(
        id="7.3",
        name="least variance is Huntington and Hill's",
        statement="Integers for n ∝ √(p(1-p)), the least variance Σ p(1-p)/n, are the divisor "
        "method with divisors √(n(n+1)): another one than that of solving.",
        latex=r"\min_{\sum n_m=N,\ n_m\ge1}\sum_m\frac{p_m(1-p_m)}{n_m}",
        source="new",
        expected="holds",
        assumptions="0 < p < 1, at least one rollout each. Source: Wright (2012).",
        proof="A rollout more of a problem that has n takes off p(1-p)/(n(n+1)), which falls in n: "
        "the largest of these are best, in the order of their roots.",
        draw=_draw_chances,
        margin=_margin_neyman,
        # Sums of three values below 1.
        tolerance=1e-13,
        chunk=1024,
    ),
    Claim(
        id="7.3",
        name="Knapsack RL by greedy",
        statement="From one rollout each, Knapsack RL's objective is maximized by its largest "
        "increments: no dynamic program is needed.",
        latex=r"\max\sum_mp_mq_m^2\,(1-p_m^n-q_m^n),\quad n_m\ge1",
        source="new",
        expected="holds",
        assumptions="0 < p < 1. The formula is quoted from memory of arXiv 2509.25849.",
        proof="The increment w(p^n q + q^n p) falls for n ≥ 1, so the objective is a sum of "
        "concave functions.",
        draw=_draw_chances,
        margin=_margin_knapsack,
        # Sums of three values below 1.
        tolerance=1e-13,
        chunk=1024,
    ),
    Claim(
        id="7.3",
        name="Knapsack RL by singles from nothing",
        statement="From no rollouts, single increments maximize Knapsack RL's objective too.",
        latex=r"0,\ 2pq\,w,\ pq\,w,\ pq(p^2+q^2)\,w,\dots",
        source="new",
        expected="refuted",
        assumptions="Ties go to the lowest problem, so that a first one is opened.",
        proof="One rollout alone is worth nothing, so a problem that is not open is never opened. "
        "Opening with two at once, at density pq w each, repairs it wherever all is spent.",
        draw=_draw_chances,
        margin=_margin_singles,
        tolerance=1e-12,
        confirm=_confirm_singles,
        simpler=shrinking.steps("total", "tenths", without=["tenths"]),
        explain=_explain_singles,
    ),
    Claim(
        id="7.3",
        name="HORA for coverage",
        statement="HORA's allocation, the optimum on posteriors Beta(1 + s, 1 + n - s), solves as "
        "many more problems as any.",
        latex=r"h_1=\frac{1+s}{2+n}\ \text{is larger where}\ s>0",
        source="new",
        expected="refuted",
        assumptions="Coverage: a problem with s > 0 is solved already.",
        proof="Its utility counts hits on solved problems too, whose first marginal is the larger. "
        "It aims at training, where that is no waste.",
        draw=_draw_counts,
        margin=_margin_hora,
        tolerance=1e-12,
        confirm=_confirm_hora,
        simpler=_simpler_hora,
        explain=_explain_hora,
    ),
)
