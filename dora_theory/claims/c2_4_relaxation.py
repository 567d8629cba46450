"""The paper's surrogate and its real-valued rules, against the exact optimum (theory 2.4, 2.5)."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation import optimal, waterfill
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances

# Every allocation of up to six rollouts to three candidates, (84, 3).
_MOST = 6
_EVERY = np.argwhere(np.indices((_MOST + 1,) * 3).sum(0) <= _MOST)
# Of these allocations two are equally good, or differ by more.
_APART = 1e-9


_draw_ties = drawing.instances(
    weights=lambda key, n: drawing.whole(key, (n, 3), 1, 15) / 16,
    concentration=drawing.powers(-3, 3),
    budget=drawing.integers(0, _MOST),
)


def _sums(each: Array, given: Array) -> Array:
    """Sum of what the first B_i rollouts of each candidate add; B `(n or 1, m, 3)`."""
    table = jnp.pad(jnp.cumsum(each, -1), ((0, 0), (0, 0), (1, 0)))
    rows = jnp.arange(each.shape[0])[:, None]
    return table[rows[..., None], jnp.arange(3), given].sum(-1)


def _margin_maximizers(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentration"], x["budget"]
    mean = (kappa[:, None] * w)[..., None] / (kappa[:, None, None] + jnp.arange(_MOST))
    every = jnp.asarray(_EVERY)[None]
    spends = every.sum(-1) == n[:, None]

    def best(each: Array) -> Array:
        value = jnp.where(spends, _sums(each, every), -jnp.inf)
        return value >= value.max(-1, keepdims=True) - _APART

    same = best(mean) == best(-jnp.log1p(-mean))
    given = optimal.optimal_allocation(w, kappa, n)
    reached = (best(mean) & (every == given[:, None]).all(-1)).any(-1)
    return -(~same).sum(-1).astype(w.dtype) - jnp.where(reached, 0, 1)


def _draw_pairs(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    allocation = drawing.whole(keys[1], (n, 3), 0, 3)
    return {
        "parts": drawing.whole(keys[0], (n, 3), 1, 9),
        "concentration": drawing.powers_of_two(keys[2], n, -2, 2),
        "allocation": allocation,
        "other": jnp.roll(allocation, 1, -1),
    }


def _margin_order(x: Instances) -> Float[Array, " n"]:
    w, kappa = drawing.shares(x["parts"]), x["concentration"]
    mean = (kappa[:, None] * w)[..., None] / (kappa[:, None, None] + jnp.arange(_MOST))
    pair = jnp.stack([x["allocation"], x["other"]], 1)
    surrogate, objective = (
        jnp.diff(_sums(each, pair), axis=-1)[:, 0] for each in (mean, -jnp.log1p(-mean))
    )
    equal = (jnp.abs(surrogate) < _APART) | (jnp.abs(objective) < _APART)
    agree = jnp.sign(surrogate) == jnp.sign(objective)
    return jnp.where(equal | agree, 1.0, -1.0)


def _surrogate(w: Sequence[Fraction], kappa: Fraction, given: Sequence[int]) -> Fraction:
    """Σ κ w_i Σ_{r<B_i} 1/(κ + r)."""
    steps = (kappa * q / (kappa + r) for q, b in zip(w, given, strict=True) for r in range(b))
    return sum(steps, Fraction(0))


def _of_pair(x: dict) -> tuple[list[Fraction], Fraction, list[Fraction], list[Fraction]]:
    """Qualities, κ, and of both allocations the surrogate and the failure."""
    w, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    pair = x["allocation"], x["other"]
    return (
        w,
        kappa,
        [_surrogate(w, kappa, b) for b in pair],
        [rational.joint_failure(w, kappa, b) for b in pair],
    )


def _confirm_order(x: dict) -> bool:
    if sum(x["allocation"]) != sum(x["other"]) or len(x["parts"]) < 2:
        return False
    _, _, surrogate, failure = _of_pair(x)
    return (surrogate[0] - surrogate[1]) * (failure[0] - failure[1]) > 0


def _simpler_order(x: dict) -> Iterator[dict]:
    yield from shrinking.shorter(x, ["parts", "allocation", "other"])
    for i in range(len(x["parts"])):
        for j in range(len(x["parts"])):
            # One rollout less on either side.
            one, two = list(x["allocation"]), list(x["other"])
            one[i], two[j] = one[i] - 1, two[j] - 1
            if min(one[i], two[j]) >= 0:
                yield x | {"allocation": one, "other": two}
    yield from shrinking.fewer(x, "parts")
    yield from _rounder_confidence(x)


def _small_pairs() -> Iterator[dict]:
    """Allocations of up to three candidates in another order by surrogate than by failure."""
    for x in shrinking.small_problems(14):
        w, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
        if len(w) > 3:
            continue
        every = [list(b) for b in rational.allocations(x["budget"], len(w))]
        worth = [(_surrogate(w, kappa, b), rational.joint_failure(w, kappa, b)) for b in every]
        for (one, first), (other, second) in combinations(zip(every, worth, strict=True), 2):
            if (first[0] - second[0]) * (first[1] - second[1]) > 0:
                pair = {"allocation": one, "other": other}
                yield {"parts": x["parts"], "concentration": x["concentration"], **pair}


def _rounder_confidence(x: dict) -> Iterator[dict]:
    if x["concentration"] != 1:
        yield x | {"concentration": 1.0}
        yield x | {"concentration": x["concentration"] * (2 if x["concentration"] < 1 else 0.5)}


def _explain_order(x: dict) -> str:
    w, kappa, surrogate, failure = _of_pair(x)
    first, second = (rational.listed(x[name]) for name in ("allocation", "other"))
    return (
        f"w = {rational.listed(w)}, κ = {kappa}: {first} has surrogate {surrogate[0]} and fails "
        f"with {failure[0]}; {second} has {surrogate[1]} and fails with {failure[1]}"
    )


_draw_parts = drawing.instances(
    parts=drawing.integers(1, 9, 5),
    concentration=drawing.powers(-3, 5),
    budget=drawing.integers(1, 64),
)


def _margin_sign(x: Instances) -> Float[Array, " n"]:
    w = drawing.shares(x["parts"])
    return waterfill.shifted_linear_allocation(w, x["concentration"], x["budget"]).min(-1)


def _linear(x: dict) -> tuple[list[Fraction], list[Fraction]]:
    """Qualities, and (N + kκ) w - κ."""
    w, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    return w, [(x["budget"] + len(w) * kappa) * q - kappa for q in w]


def _confirm_sign(x: dict) -> bool:
    return min(_linear(x)[1]) < 0


def _simpler_sign(x: dict) -> Iterator[dict]:
    yield from shrinking.shorter(x, ["parts"])
    yield from shrinking.fewer(x, "budget")
    yield from shrinking.fewer(x, "parts")
    yield from _rounder_confidence(x)


def _explain_sign(x: dict) -> str:
    w, given = _linear(x)
    return (
        f"w = {rational.listed(w)}, κ = {Fraction(x['concentration'])}, N = {x['budget']}: "
        f"(N + {len(w)}κ) w - κ = {rational.listed(given)}"
    )


def _margin_water(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = drawing.shares(x["parts"]), x["concentration"][:, None], x["budget"][:, None]
    given = waterfill.waterfill_allocation(w, x["concentration"], x["budget"])
    linear = waterfill.shifted_linear_allocation(w, x["concentration"], x["budget"])
    # Kuhn and Tucker: one level among those that receive, and none above it.
    level = w / (kappa + given)
    most = level.max(-1, keepdims=True)
    uneven = jnp.where(given > 0, most / level - 1, 0).max(-1)
    kept = jnp.abs(given.sum(-1, keepdims=True) - n)[:, 0] / x["budget"]
    same = jnp.where((linear >= 0).all(-1, keepdims=True), jnp.abs(given - linear), 0).max(-1)
    scale = (n + 5 * kappa)[:, 0]
    return jnp.minimum(given.min(-1), -jnp.maximum(jnp.maximum(uneven, kept), same / scale))


_draw_halves = drawing.instances(weights=drawing.simplex(5), budget=drawing.integers(0, 256))


def _margin_half(x: Instances) -> Float[Array, " n"]:
    w, n = x["weights"], x["budget"]
    given = waterfill.waterfill_allocation(w, 0.5, n, shift=0.5)
    share = n[:, None] * w / w.sum(-1, keepdims=True)
    off = jnp.abs(given - share).max(-1) / jnp.maximum(n, 1)
    moved = jnp.abs(
        waterfill.rounded_waterfill_allocation(w, 0.5, n) - optimal.optimal_allocation(w, 0.5, n)
    ).max(-1)
    return -(off + moved)


_draw_rounded = drawing.instances(
    weights=drawing.simplex(8),
    concentration=drawing.log_uniform(0.01, 100),
    budget=drawing.integers(1, 256),
)


def _moved(one: Array, other: Array) -> Array:
    """How many rollouts stand elsewhere."""
    return jnp.abs(one - other).sum(-1) / 2


def _margin_near(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentration"], x["budget"]
    rounded = waterfill.rounded_waterfill_allocation(w, kappa, n)
    moved = _moved(rounded, optimal.optimal_allocation(w, kappa, n))
    real = waterfill.waterfill_allocation(w, kappa, n, shift=0.5)
    missed = jnp.abs(jnp.floor(real + 0.5).sum(-1) - n)
    # Below κ = 1/2 the real solution that is rounded is another one (`_steep_then_even`).
    most = jnp.minimum(jnp.where(kappa >= 0.5, missed, jnp.inf), w.shape[-1] // 2)
    return jnp.where(rounded.sum(-1) == n, most - moved, -1)


def _margin_nearer(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentration"], x["budget"]
    best = optimal.optimal_allocation(w, kappa, n)
    ours, papers = (
        _moved(given, best)
        for given in (
            waterfill.waterfill_allocation(w, kappa, n, shift=0.5),
            waterfill.shifted_linear_allocation(w, kappa, n),
        )
    )
    return jnp.clip((papers - ours) / n, -1, 1)


CLAIMS = (
    Claim(
        id="2.4",
        name="same maximizers as the surrogate",
        statement="If every w_i < 1, the paper's surrogate Σ κw_i [ψ(κ+B_i) - ψ(κ)] has the "
        "integer maximizers of the objective, all of them and no others.",
        latex=r"\arg\max_{\sum B_i=N}\sum_i\kappa w_i\,[\psi(\kappa+B_i)-\psi(\kappa)]="
        r"\arg\max_{\sum B_i=N}J(B)",
        source="new",
        expected="holds",
        assumptions="w < 1. Three candidates, up to six rollouts, all allocations; qualities n/16 "
        "and κ = 2^e, so that ties are common.",
        proof="It replaces -log(1-x) by x for x = κw/(κ+r). Both rise with x, so increments are in "
        "one order and the N largest are the same; both are concave in B_i.",
        proved="Coq: Optimum.surrogate_same_optima",
        draw=_draw_ties,
        margin=_margin_maximizers,
        chunk=1024,
        heavy=True,
    ),
    Claim(
        id="2.4",
        name="the surrogate ranks as the objective",
        statement="Of two allocations of one budget the one with the larger surrogate succeeds "
        "more often.",
        latex=r"L(B)>L(B')\ \Rightarrow\ J(B)>J(B')",
        source="new",
        expected="refuted",
        assumptions="The surrogate of 2.4, which the paper optimizes in place of the objective.",
        proof="-log(1-x) > x, and by more for large x: away from the optimum sums of increments "
        "may be in another order.",
        draw=_draw_pairs,
        margin=_margin_order,
        confirm=_confirm_order,
        simpler=shrinking.from_below(_simpler_order, _confirm_order, _small_pairs),
        explain=_explain_order,
    ),
    Claim(
        id="2.5",
        name="Proposition 1's rule is an allocation",
        statement="(N + kκ) w_i - κ, the rule for finite κ, is an allocation: none of its numbers "
        "is negative.",
        latex=r"(N+k\kappa)\,w_i-\kappa\ge0",
        source="paper",
        expected="refuted",
        assumptions="Weights with sum 1.",
        proof="It is negative for every w_i < κ/(N + kκ): it comes from stationarity without the "
        "constraint B_i ≥ 0.",
        draw=_draw_parts,
        margin=_margin_sign,
        # (N + kκ) w and κ may be equal, up to rounding of numbers up to 64.
        tolerance=1e-12,
        confirm=_confirm_sign,
        simpler=shrinking.from_below(
            _simpler_sign, _confirm_sign, lambda: shrinking.small_problems(8)
        ),
        explain=_explain_sign,
    ),
    Claim(
        id="2.5",
        name="water-filling",
        statement="B_i = max(0, w_i/λ - κ) with Σ B_i = N satisfies the conditions of Kuhn and "
        "Tucker for Σ w_i log(κ+B_i), and is Proposition 1's rule wherever that is not negative.",
        latex=r"\frac{w_i}{\kappa+B_i}=\lambda\ (B_i>0),\quad\frac{w_i}\kappa\le\lambda\ (B_i=0),"
        r"\quad\sum_iB_i=N",
        source="corrected",
        expected="holds",
        assumptions="Real-valued allocations.",
        proof="The utility is concave, so these conditions suffice. With all active, "
        "1/λ = N + kκ for weights of sum 1.",
        draw=_draw_parts,
        margin=_margin_water,
        # All relative; a level is a quotient of sums with a few ulps of N.
        tolerance=1e-12,
    ),
    Claim(
        id="2.5b",
        name="shifted by a half, N w at κ = 1/2",
        statement="At κ = 1/2 water-filling shifted by a half gives N w_i exactly, and rounded by "
        "Webster's method the exact optimum.",
        latex=r"\kappa=\tfrac12:\quad\max(0,w_i/\lambda-(\kappa-\tfrac12))=Nw_i,\quad[Nw]=B^*",
        source="new",
        expected="holds",
        assumptions="Weights with sum 1.",
        proof="The shift leaves w_i/λ, with λ = 1/N. Webster's method is the optimum there (2.3).",
        draw=_draw_halves,
        margin=_margin_half,
        # N w relative to N.
        tolerance=1e-14,
    ),
    Claim(
        id="2.5b",
        name="at most half of k elsewhere",
        statement="Shifted water-filling, rounded by Webster's method, spends N and places at most "
        "half as many rollouts otherwise than the optimum as there are candidates; for κ ≥ 1/2 at "
        "most as many as rounding the real solution number by number misses N by.",
        latex=r"\tfrac12\sum_i|B_i-B_i^*|\le\Big|\sum_i[x_i]-N\Big|\le\Big\lfloor\frac k2"
        r"\Big\rfloor,\quad x_i=\max(0,w_i/\lambda-\kappa+\tfrac12)",
        source="new",
        expected="holds",
        assumptions="κ from 0.01 to 100, N up to 256, eight candidates.",
        proof="[w_i/λ - κ + 1/2] = ⌊w_i/λ - κ⌋ + 1: rounded number by number the real solution is "
        "the set of all priorities ≥ λ (2.6), the optimum of its own sum M. Webster's method and "
        "the optimum both go on from there by M - N rollouts one by one, all taken or all given, "
        "so at most |M - N| differ; and |M - N| ≤ Σ |[x_i] - x_i| ≤ k/2.",
        draw=_draw_rounded,
        margin=_margin_near,
    ),
    Claim(
        id="2.5b",
        name="nearer than Proposition 1",
        statement="On average the real solution shifted by a half is nearer to the integer "
        "optimum than Proposition 1's rule.",
        latex=r"\mathbb E\,\tfrac12\sum_i|B_i^{\text{shifted}}-B_i^*|\le\mathbb E\,\tfrac12\sum_i"
        r"|(N+k\kappa)w_i-\kappa-B_i^*|",
        source="new",
        expected="holds",
        assumptions="Distance as a share of N, cut off at 1; qualities, κ and N as drawn.",
        proof="None: a measurement. The optimum rounds up as often as down, and w_i/λ - κ only up.",
        draw=_draw_rounded,
        margin=_margin_nearer,
        test="mean",
        min_instances=65536,
    ),
)
