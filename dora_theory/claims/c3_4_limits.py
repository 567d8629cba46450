"""Proposition 1 at its ends: no confidence and full confidence (theory 3.4, 3.5)."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import certificate, optimal
from dora_theory.claims.check import drawing, rational, shrinking, splits
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import objective

_LONGEST = 24
_SHORT = 12  # of the claim that all ways to spend N are tried for
_EPS = 2.0**-40
# What stopping short of the threshold by 1e-6 loses at least is 25 times as much.
_SEEN = 2e-12


def _harmonic(given: Array) -> Array:
    """H_{B-1}, 0 for B = 0 or 1, B ≤ 24."""
    r = jnp.arange(1, _LONGEST)
    return jnp.where(r < given[..., None], 1 / r, 0).sum(-1)


_draw_rest = drawing.instances(
    parts=drawing.integers(1, 9, 3),
    allocation=drawing.integers(1, 6, 3),
)


def _margin_rest(x: Instances) -> Float[Array, " n"]:
    w, given = _shares(x["parts"]), x["allocation"]
    adams = optimal.apportion(w, given.sum(-1), divisor=0)
    return (w * (_harmonic(given) - _harmonic(adams))).sum(-1)


def _shares(parts: Array) -> Array:
    return parts / parts.sum(-1, keepdims=True)


def _order(weights: Sequence[Fraction], given: Sequence[int]) -> Fraction:
    """Σ w_i H_{B_i-1}, which the log failure falls by for each κ."""
    return sum(
        (w * Fraction(1, r) for w, b in zip(weights, given, strict=True) for r in range(1, b)),
        Fraction(0),
    )


def _best_rest(x: dict) -> tuple[list[Fraction], tuple[int, ...]]:
    """Qualities, and by search over all that give one each, the best in the next order."""
    w = rational.shares(x["parts"])
    spare = sum(x["allocation"]) - len(w)
    every = (tuple(b + 1 for b in a) for a in rational.allocations(spare, len(w)))
    return w, max(every, key=lambda a: _order(w, a))


def _confirm_rest(x: dict) -> bool:
    w, best = _best_rest(x)
    return _order(w, x["allocation"]) < _order(w, best)


def _explain_rest(x: dict) -> str:
    w, best = _best_rest(x)
    given = x["allocation"]
    return (
        f"w = {rational.listed(w)}: both {rational.listed(given)} and {rational.listed(best)} give "
        f"one each; log failure falls by κ times {_order(w, given)} with the first and by κ times "
        f"{_order(w, best)} with the second"
    )


_draw_expansion = drawing.instances(
    weights=lambda key, n: 0.99 * jax.random.uniform(key, (n, 5)),
    concentration=drawing.log_uniform(1e-5, 10),
    allocation=drawing.integers(0, _LONGEST, 5),
)


def _margin_expansion(x: Instances) -> Float[Array, " n"]:
    w, kappa, b = x["weights"], x["concentration"], x["allocation"]
    first = jnp.where(b > 0, jnp.log1p(-w), 0) - kappa[:, None] * w * _harmonic(b)
    rest = (objective.candidate_log_failure(w, kappa, b) - first).sum(-1)
    return jnp.minimum(rest, kappa**2 * jnp.pi**2 / 6 * w.sum(-1) - rest)


_draw_adams = drawing.instances(parts=drawing.integers(1, 9, 4), budget=drawing.integers(0, 16))


def _margin_adams(x: Instances) -> Float[Array, " n"]:
    w, n = _shares(x["parts"]), x["budget"]
    k = w.shape[-1]
    given = optimal.optimal_allocation(w, _EPS, n)
    # Once all have one, the most that the next order in κ can be.
    steps = jnp.arange(17)
    table = jnp.where(steps > 0, -w[..., None] * _harmonic(steps), jnp.inf)
    enough = n >= k
    most = -splits.least_sum(table, jnp.where(enough, n, k))
    reached = (w * _harmonic(given)).sum(-1)
    # Before that, one each to the best: none served is worse than one not served.
    served = jnp.where(given == 1, w, jnp.inf).min(-1)
    idle = jnp.where(given == 0, w, 0).max(-1)
    single = jnp.where(given.max(-1) <= 1, served - idle, -1)
    return jnp.where(enough, reached - most, single)


_draw_many = drawing.instances(
    weights=drawing.simplex(6),
    budget=lambda key, n: jnp.ceil(drawing.logarithmic(key, n, 6, 1e5)).astype(jnp.int32),
)


def _margin_share(x: Instances) -> Float[Array, " n"]:
    w, n = x["weights"], x["budget"][:, None]
    more = optimal.apportion(w, x["budget"], divisor=0) - n * w
    return (jnp.minimum(1 - more, more + w.shape[-1] * w) / n).min(-1)


_draw_winner = drawing.instances(
    parts=drawing.integers(1, 9, 3),
    concentration=drawing.powers(20, 30),
    budget=drawing.integers(1, 16),
)


def _winner_takes(w: Array, budget: Array) -> Array:
    return jax.nn.one_hot(jnp.argmax(w, -1), w.shape[-1], dtype=jnp.int32) * budget[:, None]


def _margin_winner(x: Instances) -> Float[Array, " n"]:
    w, kappa = _shares(x["parts"]), x["concentration"]
    found = certificate.certificate(w, kappa, _winner_takes(w, x["budget"]))
    return found.smallest_last / found.largest_next - 1


def _best_and_all(x: dict) -> tuple[list[Fraction], Fraction, list[int], list[int]]:
    w, kappa, n = rational.shares(x["parts"]), Fraction(x["concentration"]), x["budget"]
    everything = [0] * len(w)
    everything[w.index(max(w))] = n
    return w, kappa, everything, rational.divisor_method(w, kappa, n)


def _confirm_winner(x: dict) -> bool:
    w, kappa, everything, best = _best_and_all(x)
    return rational.joint_failure(w, kappa, everything) > rational.joint_failure(w, kappa, best)


def _simpler_winner(x: dict) -> Iterator[dict]:
    yield from shrinking.shorter(x, ["parts"])
    yield from shrinking.fewer(x, "budget")
    yield from shrinking.fewer(x, "parts")
    if x["concentration"] > 2.0**20:
        yield x | {"concentration": 2.0**20}


def _explain_winner(x: dict) -> str:
    w, kappa, everything, best = _best_and_all(x)
    fails = [rational.joint_failure(w, kappa, b) for b in (everything, best)]
    return (
        f"w = {rational.listed(w)}, κ = {kappa}, N = {x['budget']}: {rational.listed(everything)} "
        f"fails with {fails[0]}, {rational.listed(best)} with {fails[1]}, which is less, and so it "
        "is for every κ"
    )


def _draw_threshold(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    top = jax.random.uniform(keys[0], (n, 1), minval=0.05, maxval=0.95)
    others = top * jax.random.uniform(keys[1], (n, 4), minval=0.05, maxval=0.999)
    return {
        "weights": jnp.concatenate([others, top], -1),
        "factor": 1 + drawing.logarithmic(keys[2], n, 1e-6, 100),
        "budget": drawing.whole(keys[3], (n,), 2, _SHORT),
    }


def _margin_threshold(x: Instances) -> Float[Array, " n"]:
    w, n = x["weights"], x["budget"]
    second, first = jnp.moveaxis(jnp.sort(w, -1)[:, -2:], -1, 0)
    at = second * (n - 1) / (first - second)
    everything = _winner_takes(w, n)

    # Either side of it.
    kappa = jnp.stack([at * x["factor"], at / x["factor"]], -1)
    twice = w[:, None], kappa, everything[:, None]
    chosen = (optimal.optimal_allocation(*twice[:2], n[:, None]) == twice[2]).all(-1)
    takes_all = jnp.array([True, False])
    said = (certificate.is_optimal(*twice) == takes_all) & (chosen == takes_all)
    # What all other ways to spend N lose against it, by eq. 6 as written.
    r = jnp.arange(_SHORT)
    each = jnp.log1p(-kappa[..., None, None] * w[:, None, :, None] / (kappa[..., None, None] + r))
    table = jnp.pad(jnp.cumsum(each, -1), ((0, 0), (0, 0), (0, 0), (1, 0)))
    alone = jnp.take_along_axis(table[:, :, -1], jnp.stack([n, n], -1)[..., None], -1)[..., 0]
    best = splits.least_sum(table.reshape(-1, *table.shape[2:]), jnp.repeat(n, 2)).reshape(-1, 2)
    lost = jnp.minimum(best[:, 0] - alone[:, 0], alone[:, 1] - best[:, 1] - _SEEN)
    return jnp.where(said.all(-1), lost, -1)


CLAIMS = (
    Claim(
        id="3.4",
        name="the rest arbitrarily",
        statement="As κ → 0, once each candidate has a rollout the rest may go anywhere.",
        latex=r"B_i\ge1\ \forall i\ \Rightarrow\ B\ \text{is optimal as}\ \kappa\to0",
        source="paper",
        expected="refuted",
        assumptions="N ≥ k; w > 0.",
        proof="What all such allocations share is only the limit of log failure. The next order, "
        "-κ Σ w_i H_{B_i-1}, tells them apart for every κ > 0 that is small enough.",
        draw=_draw_rest,
        margin=_margin_rest,
        # Harmonic numbers below 3.
        tolerance=1e-13,
        confirm=_confirm_rest,
        simpler=shrinking.steps("allocation", "parts", without=["parts", "allocation"]),
        explain=_explain_rest,
    ),
    Claim(
        id="3.4",
        name="log failure to the next order in κ",
        statement="Log failure is Σ_S log(1-w_i) - κ Σ w_i H_{B_i-1}, S the candidates with a "
        "rollout, and more than that by at most κ²π²/6 times Σ w_i.",
        latex=r"0\le\log F(B)-\sum_{i:B_i\ge1}\log(1-w_i)+\kappa\sum_iw_iH_{B_i-1}\le"
        r"\frac{\pi^2}6\kappa^2\sum_iw_i",
        source="corrected",
        expected="holds",
        assumptions="w < 1, any κ > 0 and B ≤ 24; a statement about κ → 0 with an explicit bound.",
        proof="With x = κw/(κ+r), -x/(1-x) ≤ log(1-x) ≤ -x: for r ≥ 1 the left is "
        "-κw/(κ(1-w)+r) ≥ -κw/r, and -x exceeds -κw/r by κ²w/(r(κ+r)) ≤ κ²w/r². Sum over r.",
        draw=_draw_expansion,
        margin=_margin_expansion,
        # Five log failures up to 100, of which 1e-14 are lost.
        tolerance=1e-12,
    ),
    Claim(
        id="3.4",
        name="κ → 0 is Adams' method",
        statement="For small κ the optimum gives one each to the best N, and from N = k on it "
        "makes Σ w_i H_{B_i-1} as large as any allocation can: Adams' method.",
        latex=r"B^*(\kappa\to0)\in\arg\max_{B_i\ge1,\ \sum B_i=N}\sum_iw_iH_{B_i-1}",
        source="corrected",
        expected="holds",
        assumptions="κ = 2⁻⁴⁰, w a ratio of integers up to 9, N ≤ 16; checked against all "
        "splits of N, by dynamic programming.",
        proof="The gain of the r-th further rollout is w_i/r and falls with r: the N - k largest "
        "quotients w_i/r make the largest sum, and they are those of Adams' method.",
        draw=_draw_adams,
        margin=_margin_adams,
        # Sums of harmonic numbers below 4, and shares.
        tolerance=1e-13,
    ),
    Claim(
        id="3.4",
        name="κ → 0 shares by quality",
        statement="Adams' method gives at most one rollout more than N w_i and at most k w_i less: "
        "B_i/N → w_i.",
        latex=r"-kw_i\le B_i-Nw_i\le1",
        source="corrected",
        expected="holds",
        assumptions="Σ w = 1, N ≥ k.",
        proof="There is a level s with w_i s ≤ B_i ≤ w_i s + 1. Sum over i: s ≤ N ≤ s + k.",
        draw=_draw_many,
        margin=_margin_share,
        # Relative to N: rounding of w.
        tolerance=1e-14,
    ),
    Claim(
        id="3.5",
        name="κ → ∞ is beam search with M = N",
        statement="For large κ all N rollouts to one best candidate are optimal.",
        latex=r"\kappa\to\infty\ \Rightarrow\ B^*=N\,e_{\arg\max w}",
        source="paper",
        expected="refuted",
        assumptions="κ ≥ 2²⁰, N ≤ 16, w a ratio of integers up to 9.",
        proof="With w_1 = w_2 the first rollout of the second has the priority w_1/κ, the second "
        "of the first only w_1/(κ+1): with a tie at the top the winner never takes all.",
        draw=_draw_winner,
        margin=_margin_winner,
        # A ratio of two quotients; a tie falls short of 1 by 1/κ > 9e-10.
        tolerance=1e-14,
        confirm=_confirm_winner,
        simpler=_simpler_winner,
        explain=_explain_winner,
    ),
    Claim(
        id="3.5",
        name="how confident the winner must be",
        statement="With a unique best candidate all N rollouts to it are optimal if and only if "
        "κ ≥ w_2(N-1)/(w_1-w_2).",
        latex=r"Ne_1\ \text{optimal}\iff\kappa\ge\frac{w_2(N-1)}{w_1-w_2}",
        source="corrected",
        expected="holds",
        assumptions="w_1 > w_2, N ≥ 2; κ off the threshold by a factor from 1 + 10⁻⁶ to 101, on "
        "either side.",
        proof="The certificate 2.2 reads w_1/(κ+N-1) ≥ w_2/κ; solve for κ. Checked against all "
        "splits of N, by dynamic programming; N ≤ 12.",
        draw=_draw_threshold,
        margin=_margin_threshold,
        chunk=1024,
        # Two sums of 12 logarithms below 3.
        tolerance=1e-12,
    ),
)
