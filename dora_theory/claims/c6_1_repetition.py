"""Rounds of allocation in which copies keep the score of their origin (theory 6.1)."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory import bias
from dora_theory.allocation import optimal, rules
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import directions as pooling
from dora_theory.model.quality import quality_weights
from dora_theory.model.weights import dora_weights

_MOST = 16
# Places of copies, of which three rounds fill 27.
_PLACES = 27


def _draw_rounds(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    return {
        "scores": jax.random.uniform(keys[0], (n, 4)),
        "temperature": drawing.logarithmic(keys[1], n, 0.05, 2),
        "rounds": drawing.whole(keys[2], (n,), 1, 8),
        "parts": drawing.whole(jax.random.fold_in(key, 1), (n, 3), 1, 3),
    }


def _quality(x: Instances) -> Array:
    return jax.nn.softmax(x["scores"] / x["temperature"][:, None], -1)


def _copied(
    rule: Callable[[Array, Array, Array], Array], budgets: tuple[Array, ...]
) -> Iterator[Array]:
    """Copies of three directions after each round, one each at the start.

    `rule` is given whose copy is in each place, where there is one, and the budget.
    """
    copies = jnp.ones((*budgets[0].shape, 3), jnp.int32)
    for budget in budgets:
        places = jnp.arange(_PLACES)
        there = places < copies.sum(-1, keepdims=True)
        owner = (places >= jnp.cumsum(copies, -1)[:, :, None]).sum(1)
        owner = jnp.minimum(owner, 2)
        given = rule(owner, there, budget)
        copies = pooling.direction_totals(given, owner, 3, mask=there)
        yield copies


def _scores_of(x: Instances, owner: Array) -> Array:
    """Scores of copies for which qualities are as their directions' parts."""
    return x["temperature"][:, None] * jnp.log(jnp.take_along_axis(x["parts"], owner, -1))


def _margin_power(x: Instances) -> Float[Array, " n"]:
    q, t, parts = _quality(x), x["rounds"], x["parts"]

    def rebase(owner: Array, there: Array, budget: Array) -> Array:
        return rules.rebase_allocation(
            _scores_of(x, owner),
            budget,
            quality_temperature=x["temperature"],
            literal=True,
            mask=there,
        )

    # Each copy is due an integer number of rollouts, the parts of its direction.
    powers = [parts**s for s in (1, 2, 3)]
    run = _copied(rebase, tuple(p.sum(-1) for p in powers))
    off = [
        jnp.abs(copies / p.sum(-1, keepdims=True) - bias.sharpened_quality(parts, s)).max(-1)
        for s, (copies, p) in enumerate(zip(run, powers, strict=True), 1)
    ]

    def count(step: Array, mass: Array) -> Array:
        after = bias.solution_level_shares(q, mass)
        return jnp.where((step < t)[:, None], after, mass)

    # One candidate each at the start; then as many copies as rollouts.
    mass = jax.lax.fori_loop(0, 8, count, jnp.full(q.shape, 1.0))
    real = jnp.abs(bias.sharpened_quality(q, t) - mass).max(-1)
    return -jnp.stack([real, *off]).max(0)


def _margin_colder(x: Instances) -> Float[Array, " n"]:
    colder = quality_weights(x["scores"], quality_temperature=x["temperature"] / x["rounds"])
    return -jnp.abs(bias.sharpened_quality(_quality(x), x["rounds"]) - colder).max(-1)


def _margin_price(x: Instances) -> Float[Array, " n"]:
    q, t = _quality(x), x["rounds"]
    now, later = (bias.kl_divergence(q, bias.sharpened_quality(q, t + more)) for more in (0, 1))
    return later - now


def _draw_copies(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    return {
        "labels": drawing.whole(keys[0], (n, 8), 0, 3),
        "scores": jax.random.uniform(keys[1], (n, 4)),
        "temperature": drawing.logarithmic(keys[2], n, 0.05, 2),
        "parts": drawing.whole(jax.random.fold_in(key, 1), (n, 3), 1, 9),
    }


def _margin_copies(x: Instances) -> Float[Array, " n"]:
    labels, t, parts = x["labels"], x["temperature"], x["parts"]

    def dora(owner: Array, there: Array, budget: Array) -> Array:
        return rules.dora_allocation(
            _scores_of(x, owner),
            jax.nn.one_hot(owner, 3),
            budget,
            quality_temperature=t,
            similarity_temperature=0.02,
            literal=True,
            mask=there,
        )

    # N Q_j is an integer: of its parts in the first round, and then it is one rollout a copy.
    run = _copied(dora, 3 * (parts.sum(-1),))
    moved = jnp.stack([jnp.abs(copies - parts).max(-1) for copies in run]).max(0)
    weights = dora_weights(
        jnp.take_along_axis(x["scores"], labels, -1),
        jax.nn.one_hot(labels, 4),
        quality_temperature=t,
        similarity_temperature=0.02,
    )
    mass = pooling.direction_totals(weights, labels, 4)
    q = drawing.present(_quality(x), drawing.sizes_of(labels, 4))
    return -jnp.maximum(jnp.abs(mass - q).max(-1), moved)


_draw_whole = drawing.instances(parts=drawing.integers(1, 9, 3), budget=drawing.integers(1, _MOST))


def _margin_whole(x: Instances) -> Float[Array, " n"]:
    q, n = x["parts"] / x["parts"].sum(-1, keepdims=True), x["budget"]
    first = optimal.apportion(q, n)
    # Copies in the order of their origins, 16 places for N of them.
    owner = (jnp.arange(_MOST) >= jnp.cumsum(first, -1)[:, :, None]).sum(1)
    there = jnp.arange(_MOST) < n[:, None]
    owner = jnp.minimum(owner, 2)
    second = optimal.apportion(jnp.take_along_axis(q, owner, -1), n, mask=there)
    totals = pooling.direction_totals(second, owner, 3, mask=there)
    aim = n[:, None] * bias.sharpened_quality(q, 2)
    return 1 - jnp.abs(totals - aim).max(-1)


def _two_rounds(x: dict) -> tuple[list[Fraction], list[int], list[int], list[Fraction]]:
    """Q, rollouts of directions after one and two rounds, and N times the sharpened shares."""
    q, n = rational.shares(x["parts"]), x["budget"]
    first = rational.divisor_method(q, rational.HALF, n)
    owner = [j for j, b in enumerate(first) for _ in range(b)]
    given = rational.divisor_method([q[j] for j in owner], rational.HALF, n)
    second = [sum(b for j, b in zip(owner, given, strict=True) if j == d) for d in range(len(q))]
    return q, first, second, [n * s for s in rational.shares([p * p for p in x["parts"]])]


def _confirm_whole(x: dict) -> bool:
    q, _, second, aim = _two_rounds(x)
    # No direction is due half of an integer: no rule for ties decides it.
    tied = any((2 * x["budget"] * p) % 2 == 1 for p in q)
    return not tied and any(abs(b - a) > 1 for b, a in zip(second, aim, strict=True))


def _explain_whole(x: dict) -> str:
    q, first, second, aim = _two_rounds(x)
    return (
        f"Q = {rational.listed(q)}, N = {x['budget']}: {rational.listed(first)} copies after one "
        f"round, {rational.listed(second)} after two; N Q²/ΣQ² is {rational.listed(aim)}"
    )


CLAIMS = (
    Claim(
        id="6.1",
        name="repetition sharpens",
        statement="If copies keep the score of their origin, t rounds of REBASE give directions "
        "shares ∝ Q_j^t.",
        latex=r"m_j^{(0)}=1,\ m_j^{(s)}\propto m_j^{(s-1)}Q_j\ \Rightarrow\ m_j^{(t)}\propto Q_j^t",
        source="new",
        expected="holds",
        assumptions="One candidate of each direction at the start; real-valued allocations, or "
        "budgets for which all that a copy is due is whole.",
        proof="A direction of m copies of quality Q_j is given a share ∝ m Q_j (4.2), and has that "
        "many copies in the next round. REBASE itself is run too, for three rounds, on all copies, "
        "with N_t = Σ n_j^t and Q ∝ n for small integers n.",
        draw=_draw_rounds,
        margin=_margin_power,
        # t |log Q| up to 160 ulps.
        tolerance=1e-13,
    ),
    Claim(
        id="6.1",
        name="effective temperature",
        statement="t rounds are one round at the temperature T_b/t.",
        latex=r"Q^t/\textstyle\sum Q^t=\mathrm{softmax}\big(R/(T_b/t)\big)",
        source="new",
        expected="holds",
        assumptions="Q = softmax(R/T_b).",
        proof="(e^{R/T_b})^t = e^{R/(T_b/t)}.",
        draw=_draw_rounds,
        margin=_margin_colder,
        # t |log Q| up to 160 ulps.
        tolerance=1e-13,
    ),
    Claim(
        id="6.1",
        name="the price grows",
        statement="The price exp KL(Q‖Q^t) does not fall from round to round.",
        latex=r"\mathrm{KL}\Big(Q\,\Big\|\,\frac{Q^{t+1}}{\sum Q^{t+1}}\Big)\ge"
        r"\mathrm{KL}\Big(Q\,\Big\|\,\frac{Q^t}{\sum Q^t}\Big),\quad t\ge1",
        source="new",
        expected="holds",
        assumptions="Q > 0.",
        proof="Its derivative in t is the mean of log Q under Q^t/ΣQ^t less that under Q, and the "
        "former rises with t, its derivative being a variance: it is 0 at t = 1.",
        draw=_draw_rounds,
        margin=_margin_price,
        # Divergences up to 200, to 1e-13 of themselves.
        tolerance=1e-11,
    ),
    Claim(
        id="6.1",
        name="copies seen as one direction",
        statement="A method that sees copies as one direction stays at Q, however many copies of "
        "each there are.",
        latex=r"\gamma_i=\tfrac1{m_j}\ \Rightarrow\ \sum_{i\in E_j}w'_i=Q_j\quad\text{for every }m",
        source="new",
        expected="holds",
        assumptions="Cosine 1 between copies, 0 otherwise, T_s = 0.02; each direction has a copy.",
        proof="Theorem 1 (4.4): sizes cancel. DORA itself is run too, for three rounds from one "
        "candidate of each direction, with N Q integers: copies become N Q_j and stay so, where "
        "those of REBASE go as Q_j^t.",
        draw=_draw_copies,
        margin=_margin_copies,
        # A softmax of scores over T_b ≥ 0.05.
        tolerance=1e-13,
    ),
    Claim(
        id="6.1",
        name="integer copies sharpen too",
        statement="In integer rollouts, each round apportioned over N copies, two rounds give each "
        "direction its sharpened share of N to within one rollout.",
        latex=r"\Big|B_j^{(2)}-N\frac{Q_j^2}{\sum_lQ_l^2}\Big|\le1",
        source="new",
        expected="refuted",
        assumptions="Webster's method over candidates; three directions.",
        proof="A copy that is due between 1/2 and 3/2 rollouts gets one, so where qualities differ "
        "little nothing sharpens; one that is due less than 1/2 gets none, and its direction dies "
        "out at once.",
        draw=_draw_whole,
        margin=_margin_whole,
        # N ≤ 16 times the rounding of a share.
        tolerance=1e-13,
        confirm=_confirm_whole,
        simpler=shrinking.steps("budget", "parts", without=["parts"]),
        explain=_explain_whole,
    ),
)
