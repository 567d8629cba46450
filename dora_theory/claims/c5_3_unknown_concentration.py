"""Planning with a wrong κ, or with several (theory 5.3)."""

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

from dora_theory.allocation import optimal, regret
from dora_theory.claims.check import drawing, rational, shrinking, splits
from dora_theory.claims.check.claim import Claim, Instance, Instances
from dora_theory.model import objective
from dora_theory.model.quality import quality_weights

_LONGEST = 12
_SHORT = 8  # of the claim about one shared κ: all splits of it are tried
_COSTS = 0.0025
# All ways to spend at most 8 on three candidates, (3, 165).
_SPLITS = np.indices(3 * (_SHORT + 1,)).reshape(3, -1)
_SPLITS = _SPLITS[:, _SPLITS.sum(0) <= _SHORT]


def _draw_wrong(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    return {
        "weights": jax.random.uniform(keys[0], (n, 4), maxval=0.99),
        "concentration": drawing.logarithmic(keys[1], n, 0.05, 50),
        "assumed": drawing.logarithmic(keys[2], n, 0.01, 200),
        "budget": drawing.whole(keys[3], (n,), 0, _LONGEST),
    }


def _failures(weights: Array, kappa: Array) -> Array:
    """Log failure of each candidate after 0 … 12 rollouts, by eq. 6 as it stands."""
    r = jnp.arange(_LONGEST)
    each = jnp.log1p(-kappa[..., None] * weights[..., None] / (kappa[..., None] + r))
    return jnp.pad(jnp.cumsum(each, -1), [(0, 0)] * (each.ndim - 1) + [(1, 0)])


def _margin_regret(x: Instances) -> Float[Array, " n"]:
    w, kappa, n = x["weights"], x["concentration"], x["budget"]

    def spend(step: Array, given: Array) -> Array:
        best = jnp.argmax(w / (x["assumed"][:, None] + given), -1)
        return given + jax.nn.one_hot(best, 4, dtype=given.dtype) * (step < n)[:, None]

    used = jax.lax.fori_loop(0, _LONGEST, spend, jnp.zeros(w.shape, jnp.int32))
    table = _failures(w, kappa[:, None])

    def fails(given: Array) -> Array:
        return jnp.exp(jnp.take_along_axis(table, given[..., None], -1)[..., 0].sum(-1))

    # The package's regret is cut at 0. Here it is not: what it plans with must be the better one.
    right, wrong = (optimal.optimal_allocation(w, c, n) for c in (kappa, x["assumed"]))
    worse = fails(wrong) - fails(right)
    lost = fails(used) - jnp.exp(splits.least_sum(table, n))
    found = regret.regret_of_concentration(w, x["assumed"], kappa, n)
    off = jnp.maximum(jnp.abs(found - lost), jnp.abs(worse - lost))
    return jnp.minimum(worse, 1e-13 - off)


def _draw_farther(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 5)
    ratio = drawing.logarithmic(keys[1], n, 1, 30), drawing.logarithmic(keys[2], n, 1, 30)
    up = jax.random.bernoulli(keys[3], 0.5, (n,))
    kappa = drawing.logarithmic(keys[0], n, 0.1, 50)
    near = jnp.where(up, kappa * ratio[0], kappa / ratio[0])
    rest = jax.random.split(keys[4])
    return {
        "weights": jax.random.uniform(rest[0], (n, 6), maxval=0.99),
        "concentration": kappa,
        "near": near,
        "far": jnp.where(up, near * ratio[1], near / ratio[1]),
        "budget": drawing.whole(rest[1], (n,), 0, 48),
    }


def _margin_farther(x: Instances) -> Float[Array, " n"]:
    w, kappa = x["weights"], x["concentration"]
    both = jnp.stack([x["near"], x["far"]])
    near, far = objective.log_failure(w, kappa, optimal.optimal_allocation(w, both, x["budget"]))
    return far - near


def _draw_sample(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    return {
        "scores": jax.random.uniform(keys[0], (n, 39)),
        "mask": jnp.arange(39) < drawing.whole(keys[1], (n, 1), 2, 39),
        "concentration": drawing.logarithmic(keys[2], n, 0.01, 100),
    }


def _margin_half(x: Instances) -> Float[Array, " n"]:
    mask, kappa = x["mask"], x["concentration"]
    w = quality_weights(x["scores"], mask=mask)
    both = jnp.stack([kappa, jnp.full_like(kappa, 0.5)])
    given = optimal.optimal_allocation(w, both, 64, mask=mask)
    best, used = objective.log_failure(w, kappa, given, mask=mask)
    return _COSTS + jnp.exp(used) * jnp.expm1(jnp.minimum(best - used, 0))


def _draw_mixed(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    every = drawing.logarithmic(keys[1], n * 9, 0.02, 200).reshape(n, 3, 3)
    return {
        "quality": jax.random.uniform(keys[0], (n, 3), maxval=0.99),
        "concentrations": every,
        "prior": jax.nn.softmax(2 * jax.random.normal(keys[2], (n, 3, 3)), -1),
        "budget": drawing.whole(keys[3], (n,), 0, _LONGEST),
    }


def _mixed(x: Instances) -> Array:
    """Log failure of each direction after 0 … 12 rollouts, its κ being one of three."""
    each = _failures(x["quality"][..., None], x["concentrations"])
    return jax.nn.logsumexp(each + jnp.log(x["prior"])[..., None], axis=2)


def _margin_convex(x: Instances) -> Float[Array, " n"]:
    return jnp.diff(_mixed(x), n=2, axis=-1).min((-2, -1))


def _margin_greedy(x: Instances) -> Float[Array, " n"]:
    table, n = _mixed(x), x["budget"]

    def spend(step: Array, given: Array) -> Array:
        after, before = (
            jnp.take_along_axis(table, jnp.minimum(given + more, _LONGEST)[..., None], -1)[..., 0]
            for more in (1, 0)
        )
        best = jnp.argmin(after - before, -1)
        return given + jax.nn.one_hot(best, 3, dtype=given.dtype) * (step < n)[:, None]

    given = jax.lax.fori_loop(0, _LONGEST, spend, jnp.zeros(x["quality"].shape, jnp.int32))
    reached = jnp.take_along_axis(table, given[..., None], -1)[..., 0].sum(-1)
    return splits.least_sum(table, n) - reached


def _draw_shared(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 5)
    return {
        # Close together: there greedy errs, in one of a hundred instances.
        "parts": drawing.whole(keys[0], (n, 3), 3, 6),
        "low": drawing.powers_of_two(keys[1], n, -8, -1),
        "high": drawing.powers_of_two(keys[2], n, 1, 8),
        "prior": drawing.whole(keys[3], (n, 2), 1, 9),
        "budget": drawing.whole(keys[4], (n,), 6, _SHORT),
    }


def _margin_shared(x: Instances) -> Float[Array, " n"]:
    w = x["parts"] / x["parts"].sum(-1, keepdims=True)
    p = x["prior"] / x["prior"].sum(-1, keepdims=True)
    each = jnp.stack([jnp.exp(_failures(w, x[name][:, None])) for name in ("low", "high")])

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
    yield from shrinking.without(x, ["parts"])
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
        name="regret of a wrong κ",
        statement="The success lost by planning with κ' where κ is true is never negative, and is "
        "what brute force says.",
        latex=r"J_\kappa(B^*_\kappa)-J_\kappa(B^*_{\kappa'})\ge0",
        source="new",
        expected="holds",
        assumptions="Four candidates, N ≤ 12.",
        proof="B*_κ is the best of all allocations of N. Checked against all splits, by dynamic "
        "programming over eq. 6, and for κ' against priorities served one by one.",
        draw=_draw_wrong,
        margin=_margin_regret,
        # Two equal failures, each a sum of 48 logarithms. What regret and brute force may differ
        # by stands in the margin: 1e-13 of a probability.
        tolerance=1e-14,
    ),
    Claim(
        id="5.3",
        name="a worse guess of κ costs more",
        statement="On either side of the true κ the regret does not fall as κ' goes away from it. "
        "So the minimax κ' over an interval lies in the interval.",
        latex=r"\kappa\le\kappa'\le\kappa''\ \text{or}\ \kappa\ge\kappa'\ge\kappa''\ \Rightarrow\ "
        r"J_\kappa(B^*_{\kappa'})\ge J_\kappa(B^*_{\kappa''})",
        source="new",
        expected="holds",
        assumptions="w < 1, which no two random candidates share.",
        proof="As κ' rises past c, rollouts go over from a candidate i to one of higher quality j, "
        "where w_j(c + B_i - 1) = w_i(c + B_j). Under κ that move gains iff w_j(κ + B_i - 1) > "
        "w_i(κ + B_j), linear in κ with slope w_j - w_i > 0: iff κ > c. Moves away from κ lose. "
        "For κ' outside [a, b] the nearer end loses no more under any κ in [a, b].",
        draw=_draw_farther,
        margin=_margin_farther,
        # Two log failures of up to 200, each to 1e-14.
        tolerance=1e-12,
    ),
    Claim(
        id="5.3",
        name="κ' = 1/2 costs little",
        statement="Planning with κ' = 1/2 costs less than a quarter of a percentage point of "
        "success in the mean.",
        latex=r"\mathbb E\big[J_\kappa(B^*_\kappa)-J_\kappa(B^*_{1/2})\big]\le0.0025",
        source="new",
        expected="holds",
        assumptions="Softmax of uniform scores at T_b = 0.1, k uniform in 2 … 39, N = 64; log κ "
        "uniform between those of 0.01 and 100. At κ = 0.01 alone it costs more.",
        proof="Measured, not proved: the mean of a bounded loss, by an exact binomial test.",
        draw=_draw_sample,
        margin=_margin_half,
        heavy=True,
        test="mean",
        least=65536,
        bounds=(_COSTS - 1, _COSTS),
    ),
    Claim(
        id="5.3",
        name="a mixture over κ_j is log-convex",
        statement="If each direction has a prior of its own over its κ_j, its failure is "
        "log-convex in its total.",
        latex=r"F_j(T)=\sum_m\pi_{jm}F(T;Q_j,\kappa_{jm}),\qquad F_j(T)^2\le F_j(T-1)F_j(T+1)",
        source="new",
        expected="holds",
        assumptions="Three values of κ for each direction, with any chances.",
        proof="Each F(T; Q, κ) is log-convex, for its factors rise (2.1). A mixture of log-convex "
        "sequences is log-convex, by the inequality of Cauchy and Schwarz.",
        proved="Coq: LogConvex.mixed_log_convex",
        draw=_draw_mixed,
        margin=_margin_convex,
        heavy=True,
        # A second difference of log failures up to 60.
        tolerance=1e-12,
    ),
    Claim(
        id="5.3",
        name="greedy under a mixture over κ_j",
        statement="Taking rollouts one by one by the largest drop in log failure is then exact.",
        latex=r"B^{\text{greedy}}\in\arg\min_{\sum T_j=N}\prod_jF_j(T_j)",
        source="new",
        expected="holds",
        assumptions="Priors over κ_j independent over directions; N ≤ 12.",
        proof="The objective is a sum of convex sequences, one a direction: the exchange argument "
        "of 2.1. Checked against all splits, by dynamic programming.",
        proved="Coq: LogConvex.mixed_greedy",
        draw=_draw_mixed,
        margin=_margin_greedy,
        heavy=True,
        # Sums of log failures up to 60.
        tolerance=1e-12,
    ),
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
