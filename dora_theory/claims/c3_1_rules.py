"""What the field's rules give, to the letter and to the budget (theory 3.1, 3.1b)."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import rounding, rules
from dora_theory.claims.check import drawing, rational
from dora_theory.claims.check.claim import Claim, Instances

_CANDIDATES, _WIDTH = 8, 4


_draw_whole_beams = drawing.instances(
    scores=drawing.uniform(_CANDIDATES),
    # N/M is 1, 2, 4 or 8: it divides k = 8.
    beams=lambda key, n: 2 ** drawing.whole(key, (n,), 0, 3),
)


def _margin_shapes(x: Instances) -> Float[Array, " n"]:
    scores, beams = x["scores"], x["beams"]
    budget = _WIDTH * beams
    each, beam, dvts = (
        rule(scores, budget, literal=True)
        for rule in (
            rules.temperature_allocation,
            rules.beam_allocation,
            rules.dvts_allocation,
        )
    )
    rank = (scores[:, None, :] > scores[:, :, None]).sum(-1)
    expected_beam = jnp.where(rank < beams[:, None], _WIDTH, 0)
    # Group of candidate i: 8/beams neighbors.
    group = jnp.arange(_CANDIDATES) * beams[:, None] // _CANDIDATES
    rival = group[:, None, :] == group[:, :, None]
    beaten = (rival & (scores[:, None, :] > scores[:, :, None])).any(-1)
    expected_dvts = jnp.where(beaten, 0, _WIDTH)
    wrong = (
        jnp.abs(given - expected).max(-1)
        for given, expected in ((each, 1), (beam, expected_beam), (dvts, expected_dvts))
    )
    return -sum(wrong, jnp.zeros(())).astype(scores.dtype)


_draw_embedded = drawing.instances(
    scores=drawing.uniform(_CANDIDATES),
    embeddings=lambda key, n: jax.random.normal(key, (n, _CANDIDATES, 3)),
    temperature=drawing.log_uniform(0.05, 2),
    similarity_temperature=drawing.log_uniform(0.01, 2),
    budget=drawing.integers(0, 64),
)


def _softmax_shares(x: Instances) -> tuple[Array, Array]:
    """Shares w of eq. 4 and w' ∝ wγ of eq. 10-13, as the paper writes them."""
    power = jnp.exp((x["scores"] - 1) / x["temperature"][:, None])
    e = x["embeddings"]
    e = e / jnp.sqrt((e * e).sum(-1, keepdims=True))
    affinity = jnp.exp(
        ((e[:, :, None] * e[:, None]).sum(-1) - 1) / x["similarity_temperature"][:, None, None]
    )
    gamma = jnp.diagonal(affinity, axis1=1, axis2=2) / affinity.sum(-1)
    weighed = power * gamma
    return tuple(p / p.sum(-1, keepdims=True) for p in (power, weighed))  # type: ignore[return-value]


def _all_by_softmax(x: Instances, literal: bool) -> tuple[Array, Array, Array]:
    """REBASE, DORA and magnitude."""
    rebase = rules.rebase_allocation(
        x["scores"], x["budget"], quality_temperature=x["temperature"], literal=literal
    )
    dora, magnitude = (
        rule(
            x["scores"],
            x["embeddings"],
            x["budget"],
            quality_temperature=x["temperature"],
            similarity_temperature=x["similarity_temperature"],
            literal=literal,
        )
        for rule in (rules.dora_allocation, rules.magnitude_allocation)
    )
    return rebase, dora, magnitude


def _margin_rounded(x: Instances) -> Float[Array, " n"]:
    n = x["budget"][:, None]
    off = [
        jnp.abs(given - n * share).max(-1)
        for given, share in zip(
            _all_by_softmax(x, literal=True)[:2], _softmax_shares(x), strict=True
        )
    ]
    return 0.5 - jnp.maximum(*off)


def _margin_exact(x: Instances) -> Float[Array, " n"]:
    scores, n = x["scores"], x["budget"]
    by_scores = (
        rules.temperature_allocation,
        rules.beam_allocation,
        rules.dvts_allocation,
    )
    exact = [rule(scores, n) for rule in by_scores] + list(_all_by_softmax(x, literal=False))
    literal = [rule(scores, n, literal=True) for rule in by_scores]
    literal += list(_all_by_softmax(x, literal=True))
    # This one has no other form.
    ordered = rules.rebase_sequential_allocation(scores, n, quality_temperature=x["temperature"])
    wrong = jnp.abs(ordered.sum(-1) - n) + (ordered < 0).any(-1)
    for given, letter in zip(exact, literal, strict=True):
        differs = jnp.abs(given - letter).max(-1)
        wrong += jnp.abs(given.sum(-1) - n) + (given < 0).any(-1)
        wrong += jnp.where(letter.sum(-1) == n, differs, 0)
    return -wrong.astype(scores.dtype)


_draw_scores = drawing.instances(
    scores=drawing.uniform(_CANDIDATES),
    temperature=drawing.log_uniform(0.05, 2),
    budget=drawing.integers(0, 64),
)


def _margin_sequential(x: Instances) -> Float[Array, " n"]:
    scores, t, n = x["scores"], x["temperature"], x["budget"]
    given = rules.rebase_sequential_allocation(scores, n, quality_temperature=t)
    order = jnp.argsort(-scores, -1)
    served = jnp.take_along_axis(given, order, -1)
    power = jnp.exp((jnp.take_along_axis(scores, order, -1) - 1) / t[:, None])
    share = power / jnp.flip(jnp.cumsum(jnp.flip(power, -1), -1), -1)
    left = n[:, None] - jnp.cumsum(served, -1) + served
    due = left * share
    # ⌈x⌉ is the integer in [x, x + 1).
    ceiling = jnp.minimum(served - due, due + 1 - served).min(-1)
    return jnp.minimum(ceiling, -jnp.abs(given.sum(-1) - n).astype(scores.dtype))


_draw_parts = drawing.instances(parts=drawing.integers(1, 9, 3), budget=drawing.integers(1, 16))


def _margin_divisor(x: Instances) -> Float[Array, " n"]:
    w = x["parts"].astype(jnp.result_type(float))
    b = rounding.sequential_ceiling_allocation(w, x["budget"])
    # The last of i before the next of j (2.2): κ (w_i - w_j) ≥ w_j (B_i - 1) - w_i B_j.
    slope = w[:, :, None] - w[:, None, :]
    level = w[:, None, :] * (b[:, :, None] - 1) - w[:, :, None] * b[:, None, :]
    binds = (b[:, :, None] > 0) & ~jnp.eye(3, dtype=bool)
    ends = level / jnp.where(slope == 0, 1, slope)
    low = jnp.where(binds & (slope > 0), ends, 0).max((1, 2))
    high = jnp.where(binds & (slope < 0), ends, jnp.inf).min((1, 2))
    equal = jnp.where(binds & (slope == 0), -level, jnp.inf).min((1, 2))
    return jnp.minimum(high - low, equal)


def _sequential(x: dict) -> list[int]:
    parts = x["parts"]
    given, left, rest = [0] * len(parts), x["budget"], sum(parts)
    for i in sorted(range(len(parts)), key=lambda i: (-parts[i], i)):
        given[i] = min(ceil(Fraction(left * parts[i], rest)), left)
        left, rest = left - given[i], rest - parts[i]
    return given


def _concentrations(x: dict) -> tuple[Fraction, Fraction | None, bool]:
    """Least and largest κ that the rollouts are optimal for, and whether equals get alike."""
    w, b = x["parts"], _sequential(x)
    low, high, alike = Fraction(0), None, True
    for i in range(len(w)):
        for j in range(len(w)):
            if i == j or b[i] == 0:
                continue
            level = w[j] * (b[i] - 1) - w[i] * b[j]
            if w[i] > w[j]:
                low = max(low, Fraction(level, w[i] - w[j]))
            elif w[i] < w[j]:
                end = Fraction(level, w[i] - w[j])
                high = end if high is None else min(high, end)
            else:
                alike = alike and level <= 0
    return low, high, alike


def _confirm_divisor(x: dict) -> bool:
    low, high, alike = _concentrations(x)
    return not alike or (high is not None and high < low)


def _simpler_divisor(x: dict) -> Iterator[dict]:
    # All that are smaller, the smallest first: taking one from a part alone leads nowhere.
    size = sum(x["parts"]) + x["budget"]
    for smaller in range(4, size):
        for budget in range(1, smaller - 2):
            for first in range(smaller - budget, 0, -1):
                for second in range(smaller - budget - first - 1, 0, -1):
                    third = smaller - budget - first - second
                    yield {"parts": [first, second, third], "budget": budget}


def _explain_divisor(x: dict) -> str:
    low, high, _ = _concentrations(x)
    return (
        f"w = {rational.listed(rational.shares(x['parts']))}, N = {x['budget']}: the rule gives "
        f"{rational.listed(_sequential(x))}, which is optimal (2.2) only for κ ≥ {low} and at the "
        f"same time κ ≤ {high}"
    )


CLAIMS = (
    Claim(
        id="3.1",
        name="shapes of temperature, beam and DVTS",
        statement="Taken literally, temperature sampling gives one rollout each, beam search of "
        "width M gives M to each of the best N/M, and DVTS M to the best of each of N/M groups.",
        latex=r"B_i=1;\quad B_i=M\,[\mathrm{rank}_i\le N/M];\quad B_i=M\,[R_i=\max_{l\in G(i)}R_l]",
        source="paper",
        expected="holds",
        assumptions="k = 8, M = 4, N/M in {1, 2, 4, 8}; different scores; contiguous groups.",
        proof="Definitions (eq. 1-3). Checked by counting better candidates, without sorting.",
        draw=_draw_whole_beams,
        margin=_margin_shapes,
    ),
    Claim(
        id="3.1",
        name="REBASE and DORA round",
        statement="Taken literally, REBASE gives round(N w_i) and DORA round(N w'_i), w' ∝ wγ.",
        latex=r"|B_i-Nw_i|\le\tfrac12,\ w=\mathrm{softmax}(R/T_b);\qquad |B_i-Nw'_i|\le\tfrac12,\ "
        r"w'_i\propto w_i\gamma_i",
        source="paper",
        expected="holds",
        assumptions="Embeddings of three dimensions, any similarities.",
        proof="Definitions (eq. 4, 10-13), written out here once more.",
        draw=_draw_embedded,
        margin=_margin_rounded,
        # N times the rounding of two softmaxes at temperatures above 0.01.
        tolerance=1e-11,
    ),
    Claim(
        id="3.1",
        name="budget-exact forms",
        statement="The budget-exact form of every rule spends N to the last rollout, and equals "
        "the literal form wherever that does.",
        latex=r"\sum_iB^{\text{exact}}_i=N;\qquad\sum_iB^{\text{literal}}_i=N\Rightarrow "
        r"B^{\text{exact}}=B^{\text{literal}}",
        source="corrected",
        expected="holds",
        assumptions="Temperature, beam, DVTS, REBASE, DORA and magnitude. REBASE in order of score "
        "(3.1b) has this form only. No N w_i is exactly a half plus an integer, which is a "
        "tie.",
        proof="Temperature, beam and DVTS hand out what division leaves over, and there is "
        "none where the letter spends N. Rounding that keeps N is Webster's method (3.3).",
        draw=_draw_embedded,
        margin=_margin_exact,
    ),
    Claim(
        id="3.1b",
        name="REBASE in order of score",
        statement="REBASE as its authors run it gives each candidate, from the best down, the "
        "ceiling of its share of what is left, and spends N.",
        latex=r"B_{(i)}=\Big\lceil\Big(N-\sum_{l<i}B_{(l)}\Big)\frac{w_{(i)}}{\sum_{l\ge i}w_{(l)}}"
        r"\Big\rceil,\qquad\sum_iB_i=N",
        source="new",
        expected="holds",
        assumptions="Different scores.",
        proof="A ceiling of a share of what is left never exceeds it, and the last candidate's "
        "share is all of it.",
        draw=_draw_scores,
        margin=_margin_sequential,
        # What counts as an integer: 16 ulps of a product up to 64, doubled.
        tolerance=1e-12,
    ),
    Claim(
        id="3.1b",
        name="REBASE in order of score is optimal for some κ",
        statement="What REBASE gives in order of score is the divisor method with divisors κ + r, "
        "and so an exact optimum, for some κ ≥ 0.",
        latex=r"\exists\,\kappa\ge0:\ \max_j\frac{w_j}{\kappa+B_j}\le\min_{i:B_i>0}"
        r"\frac{w_i}{\kappa+B_i-1}",
        source="new",
        expected="refuted",
        assumptions="Three candidates; κ may differ from problem to problem.",
        proof="Each pair of candidates bounds κ from one side. Ceilings favor who comes first, as "
        "a large κ does, but only over those who come later: between the first two candidates the "
        "shares may ask for a small κ at the same time.",
        draw=_draw_parts,
        margin=_margin_divisor,
        # A quotient of integers below 1,000.
        tolerance=1e-12,
        confirm=_confirm_divisor,
        simpler=_simpler_divisor,
        explain=_explain_divisor,
    ),
)
