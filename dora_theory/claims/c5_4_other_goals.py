"""Other goals than one success, and where their optima differ (theory 5.4)."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from math import comb

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import optimal
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import objective

_LONGEST = 7


def _number_correct(weights: Array, kappa: Array) -> Array:
    """Chance of x of B right, `(n, k, B, x)` for B and x up to 7, by Pólya's urn step by step."""
    size = _LONGEST + 1
    x = jnp.arange(size)
    a, b = kappa * weights, kappa * (1 - weights)
    rows = [jnp.zeros((*weights.shape, size)).at[..., 0].set(1)]
    for drawn in range(_LONGEST):
        right = rows[-1] * (a[..., None] + x) / (kappa + drawn)[..., None]
        wrong = rows[-1] * (b[..., None] + drawn - x) / (kappa + drawn)[..., None]
        rows.append(wrong + jnp.pad(right[..., :-1], [(0, 0)] * (right.ndim - 1) + [(1, 0)]))
    return jnp.stack(rows, -2)


_draw_spent = drawing.instances(
    weights=drawing.uniform(4),
    concentration=drawing.log_uniform(0.05, 50),
    allocation=drawing.integers(0, _LONGEST, 4),
)


def _margin_expected(x: Instances) -> Float[Array, " n"]:
    w, b = x["weights"], x["allocation"]
    chances = _number_correct(w, x["concentration"][:, None])
    means = (chances * jnp.arange(_LONGEST + 1)).sum(-1)
    mean = jnp.take_along_axis(means, b[..., None], -1)[..., 0].sum(-1)
    linear = jnp.abs(mean - (w * b).sum(-1))
    return jnp.minimum(1e-12 - linear, b.sum(-1) * w.max(-1) - mean)


def _margin_bounds(x: Instances) -> Float[Array, " n"]:
    w, b = x["weights"], x["allocation"]
    success = objective.success_probability(w, x["concentration"], b)
    known = 1 - ((1 - w) ** b).prod(-1)
    return jnp.minimum(known - success, (w * b).sum(-1) - known)


def _draw_parts(key: Array, n: int, candidates: int) -> Instances:
    keys = jax.random.split(key, 3)
    return {
        "parts": drawing.whole(keys[0], (n, candidates), 1, 9),
        "concentration": drawing.powers_of_two(keys[1], n, -3, 5),
        "budget": drawing.whole(keys[2], (n,), 1, _LONGEST),
    }


def _draw_three(key: Array, n: int) -> Instances:
    return _draw_parts(key, n, 3)


def _draw_two(key: Array, n: int) -> Instances:
    return _draw_parts(key, n, 2)


def _shares(parts: Array) -> Array:
    return parts / parts.sum(-1, keepdims=True)


def _margin_both(x: Instances) -> Float[Array, " n"]:
    w = _shares(x["parts"])
    given = optimal.optimal_allocation(w, x["concentration"], x["budget"])
    return (w * given).sum(-1) - x["budget"] * w.max(-1)


def _best_for_success(x: dict) -> tuple[list[Fraction], Fraction, list[int]]:
    w, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    return w, kappa, rational.divisor_method(w, kappa, x["budget"])


def _confirm_both(x: dict) -> bool:
    w, kappa, best = _best_for_success(x)
    everything = [x["budget"] if i == w.index(max(w)) else 0 for i in range(len(w))]
    # Not a tie of success, which may be broken the other way.
    fails = (rational.joint_failure(w, kappa, b) for b in (best, everything))
    return next(fails) < next(fails) and _mean(w, best) < x["budget"] * max(w)


def _mean(weights: Sequence[Fraction], given: Sequence[int]) -> Fraction:
    return sum((w * b for w, b in zip(weights, given, strict=True)), Fraction(0))


def _simpler_parts(x: dict) -> Iterator[dict]:
    if len(x["parts"]) > 2:
        yield from shrinking.shorter(x, ["parts"])
    yield from shrinking.fewer(x, "budget")
    yield from shrinking.fewer(x, "parts")
    if x["concentration"] != 1:
        yield x | {"concentration": 1.0}
        yield x | {"concentration": x["concentration"] * (2 if x["concentration"] < 1 else 0.5)}


def _explain_both(x: dict) -> str:
    w, kappa, best = _best_for_success(x)
    n, top = x["budget"], max(w)
    return (
        f"w = {rational.listed(w)}, κ = {kappa}, N = {n}: {rational.listed(best)} succeeds most "
        f"often and has {_mean(w, best)} right on average; all to the best has {n * top}"
    )


def _margin_vote(x: Instances, *, weighted: bool = False) -> Float[Array, " n"]:
    w, n = _shares(x["parts"]), x["budget"]
    chances = _number_correct(w, x["concentration"][:, None])
    given = optimal.optimal_allocation(w, x["concentration"], n)
    rows, first = jnp.arange(n.shape[0])[:, None], jnp.arange(_LONGEST + 1)
    rest = jnp.clip(n[:, None] - first, 0)
    # Of every split: how many of N are right, and whether they have more than half of the votes.
    one, two = chances[rows, 0, first[None]], chances[rows, 1, rest]
    votes = x["parts"] if weighted else jnp.ones_like(x["parts"])
    mine, other = votes[:, :1, None, None], votes[:, 1:, None, None]
    right = mine * first[:, None] + other * first
    cast = mine * first[:, None, None] + other * rest[..., None, None]
    won = (jnp.sign(2 * right - cast) + 1) / 2
    elected = jnp.einsum("nbx,nby,nbxy->nb", one, two, won)
    best = jnp.where(first <= n[:, None], elected, -jnp.inf).max(-1)
    return jnp.take_along_axis(elected, given[:, :1], -1)[:, 0] - best


def _elected(x: dict, given: Sequence[int], *, weighted: bool = False) -> Fraction:
    """Chance that more than half of the votes are right, and a half of that of a tie.

    A rollout has one vote, or as many as its candidate has parts of the quality. The number of
    right rollouts of a candidate is beta-binomial.
    """
    kappa, parts = Fraction(x["concentration"]), x["parts"]
    each = parts if weighted else [1] * len(parts)
    chances = {0: Fraction(1)}  # of so many votes for the right answer
    for w, votes, b in zip(rational.shares(parts), each, given, strict=True):
        longer: dict[int, Fraction] = {}
        for right in range(b + 1):
            own = comb(b, right) * _run(kappa, w, right, b - right)
            for had, p in chances.items():
                longer[had + votes * right] = longer.get(had + votes * right, 0) + p * own
        chances = longer
    cast = sum(votes * b for votes, b in zip(each, given, strict=True))
    return sum(
        (p * Fraction((2 * had > cast) + (2 * had >= cast), 2) for had, p in chances.items()),
        Fraction(0),
    )


def _run(kappa: Fraction, w: Fraction, right: int, wrong: int) -> Fraction:
    """Chance that so many succeed and then so many fail."""
    out = Fraction(1)
    for i in range(right):
        out *= (kappa * w + i) / (kappa + i)
    for i in range(wrong):
        out *= (kappa * (1 - w) + i) / (kappa + right + i)
    return out


def _best_vote(x: dict, *, weighted: bool = False) -> tuple[int, ...]:
    every = rational.allocations(x["budget"], len(x["parts"]))
    return max(every, key=lambda given: _elected(x, given, weighted=weighted))


def _confirm_vote(x: dict, *, weighted: bool = False) -> bool:
    # Of all allocations of the same, least failure, whichever a tie may choose.
    w, kappa, best = _best_for_success(x)
    least = rational.joint_failure(w, kappa, best)
    most = _elected(x, _best_vote(x, weighted=weighted), weighted=weighted)
    return all(
        rational.joint_failure(w, kappa, given) > least
        or _elected(x, given, weighted=weighted) < most
        for given in rational.allocations(x["budget"], len(w))
    )


def _explain_vote(x: dict, *, weighted: bool = False) -> str:
    w, kappa, best = _best_for_success(x)
    vote = _best_vote(x, weighted=weighted)
    votes = f", votes {rational.listed(x['parts'])}" if weighted else ""
    chances = [_elected(x, given, weighted=weighted) for given in (best, vote)]
    return (
        f"w = {rational.listed(w)}, κ = {kappa}, N = {x['budget']}{votes}: "
        f"{rational.listed(best)} succeeds most often and elects the right answer with "
        f"{chances[0]}; {rational.listed(vote)} with {chances[1]}"
    )


_confirm_weighted = partial(_confirm_vote, weighted=True)


CLAIMS = (
    Claim(
        id="5.4",
        name="expected number of correct rollouts",
        statement="The expected number of correct rollouts is Σ B_i w_i whatever κ is; all to the "
        "largest w maximize it.",
        latex=r"\mathbb E\,\#\text{correct}=\sum_iB_iw_i\le N\max_iw_i",
        source="new",
        expected="holds",
        assumptions="B ≤ 7; checked against the distribution of the number, by Pólya's urn.",
        proof="Each rollout of i is right with probability E p_i = w_i: what is expected is linear "
        "in B, and largest at a corner.",
        draw=_draw_spent,
        margin=_margin_expected,
        # A sum of 8 chances; 28 rollouts.
        tolerance=1e-13,
    ),
    Claim(
        id="5.4",
        name="success between goals",
        statement="Success, pass@N of the whole allocation, is at most that of chances known to be "
        "w, and that at most the expected number of correct rollouts.",
        latex=r"J(B)\le1-\prod_i(1-w_i)^{B_i}\le\sum_iB_iw_i",
        source="new",
        expected="holds",
        assumptions="p_i ~ Beta(κw_i, κ(1-w_i)) independent.",
        proof="(1-p)^B is convex in p, so its mean is at least (1-w)^B (Jensen). The second is the "
        "union bound.",
        draw=_draw_spent,
        margin=_margin_bounds,
        # Chances below 1.
        tolerance=1e-14,
    ),
    Claim(
        id="5.4",
        name="most successes by the same allocation",
        statement="The allocation with the largest probability of a success also has the largest "
        "expected number of correct rollouts, and so the largest pass rate.",
        latex=r"\arg\max_BJ(B)\subseteq\arg\max_B\sum_iB_iw_i",
        source="new",
        expected="refuted",
        assumptions="w > 0 with sum 1.",
        proof="The number is largest with all rollouts on the best candidate; a success is "
        "likelier if one goes elsewhere as soon as κ < w_2(N-1)/(w_1-w_2) (3.5).",
        draw=_draw_three,
        margin=_margin_both,
        # Products of integers up to 7 and shares.
        tolerance=1e-13,
        confirm=_confirm_both,
        simpler=shrinking.from_below(
            _simpler_parts, _confirm_both, lambda: shrinking.small_problems(10)
        ),
        explain=_explain_both,
    ),
    Claim(
        id="5.4",
        name="the vote by the same allocation",
        statement="The allocation with the largest probability of a success is also the one whose "
        "majority is right most often.",
        latex=r"\arg\max_BJ(B)\subseteq\arg\max_BP\Big(\#\text{correct}>\tfrac N2\Big)+\tfrac12"
        r"P\Big(\#\text{correct}=\tfrac N2\Big)",
        source="new",
        expected="refuted",
        assumptions="Equal weights of votes, all wrong rollouts agree, a tie is broken by a coin; "
        "two candidates.",
        proof="A vote needs a margin, not a hit: it gains by rollouts of the better candidate "
        "where one success already suffices.",
        draw=_draw_two,
        margin=_margin_vote,
        # A sum of 64 products of chances.
        tolerance=1e-13,
        confirm=_confirm_vote,
        simpler=shrinking.from_below(
            _simpler_parts, _confirm_vote, lambda: shrinking.small_problems(10)
        ),
        explain=_explain_vote,
    ),
    Claim(
        id="5.4",
        name="the weighted vote by the same allocation",
        statement="The allocation with the largest probability of a success is also the one whose "
        "weighted majority is right most often, a rollout voting with its candidate's quality.",
        latex=r"\arg\max_BJ(B)\subseteq\arg\max_BP\Big(\sum_iw_iX_i>\tfrac12\sum_iw_iB_i\Big)+"
        r"\tfrac12P\Big(\sum_iw_iX_i=\tfrac12\sum_iw_iB_i\Big)",
        source="new",
        expected="refuted",
        assumptions="X_i of the B_i rollouts of candidate i are right; all wrong rollouts agree, a "
        "tie is broken by a coin; two candidates.",
        proof="Weights do not change that a vote needs a margin: the better candidate outvotes "
        "the other, whose rollouts then help a success and no election.",
        draw=_draw_two,
        margin=partial(_margin_vote, weighted=True),
        # A sum of 64 products of chances.
        tolerance=1e-13,
        confirm=_confirm_weighted,
        simpler=shrinking.from_below(
            _simpler_parts, _confirm_weighted, lambda: shrinking.small_problems(10)
        ),
        explain=partial(_explain_vote, weighted=True),
    ),
)
