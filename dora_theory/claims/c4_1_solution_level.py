"""Counting candidates instead of directions: Proposition 2 and its model (theory 4.1, 4.2)."""

from collections.abc import Iterator
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory import bias
from dora_theory.allocation import certificate, hierarchical, optimal
from dora_theory.claims import c1_failure
from dora_theory.claims.check import drawing, rational, shrinking, splits
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import directions as pooling
from dora_theory.model import objective
from dora_theory.model.quality import quality_weights

_BUDGET = 12
# A divergence that is nothing but the square of a rounding.
_LEAST = 1e-28


def _draw_totals(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 5)
    quality = drawing.qualities(keys[0], n, 4) * jax.random.uniform(keys[1], (n, 1), minval=0.3)
    return {
        "quality": quality,
        "labels": drawing.whole(keys[2], (n, 6), 0, 3),
        "concentration": drawing.logarithmic(keys[3], n, 0.05, 50),
        "budget": drawing.whole(keys[4], (n,), 0, _BUDGET),
        # Of candidates, whatever the budget: up to 12 in all, 15 is what the rule can integrate.
        "given": drawing.whole(jax.random.fold_in(key, 1), (n, 6), 0, 2),
    }


def _margin_totals(x: Instances) -> Float[Array, " n"]:
    q, kappa, n = x["quality"], x["concentration"], x["budget"]
    given = hierarchical.direction_allocation(q, x["labels"], kappa, n)
    totals = pooling.direction_totals(given, x["labels"], q.shape[-1])
    table = _failures(jnp.where(drawing.sizes_of(x["labels"], 4) > 0, q, 0), kappa)
    used = jnp.take_along_axis(table, totals[..., None], -1)[..., 0].sum(-1)
    kept = -jnp.abs(given.sum(-1) - n).astype(q.dtype)
    best = jnp.minimum(splits.least_sum(table, n) - used, kept)
    return jnp.minimum(best, 1e-12 - _apart(x))


def _apart(x: Instances) -> Array:
    """How far failure by candidates, integrated over the p_j they share, is from that by total."""
    labels, given, kappa = x["labels"], x["given"], x["concentration"]
    # The first candidate's direction.
    mine = labels[:, :1]
    q = jnp.take_along_axis(x["quality"], mine, -1)
    p, mass = c1_failure.gauss_jacobi(kappa * q[:, 0], kappa * (1 - q[:, 0]))
    one = (1 - p)[:, None] ** given[..., None]
    fails = jnp.where((labels == mine)[..., None], one, 1).prod(1)
    totals = pooling.direction_totals(given, labels, x["quality"].shape[-1])
    found = objective.log_failure(q, kappa, jnp.take_along_axis(totals, mine, -1))
    return jnp.abs((mass * fails).sum(-1) - jnp.exp(found))


def _failures(quality: Array, kappa: Array) -> Array:
    """Log failure of each direction after 0 … 12 rollouts, by eq. 6 as written."""
    r = jnp.arange(_BUDGET)
    each = jnp.log1p(-(kappa[:, None] * quality)[..., None] / (kappa[:, None, None] + r))
    return jnp.pad(jnp.cumsum(each, -1), ((0, 0), (0, 0), (1, 0)))


_draw_parts = drawing.instances(
    parts=drawing.integers(1, 9, 3),
    sizes=drawing.integers(1, 9, 3),
    concentration=drawing.powers(-4, 6),
    budget=drawing.integers(1, 16),
)


def _draw_proportional(key: Array, n: int) -> Instances:
    drawn = _draw_parts(key, n)
    return {name: drawn[name] for name in ("parts", "concentration", "budget")}


def _share(parts: Array) -> Array:
    return parts / parts.sum(-1, keepdims=True)


def _margin_proportional(x: Instances) -> Float[Array, " n"]:
    q = _share(x["parts"])
    found = certificate.certificate(q, x["concentration"], optimal.apportion(q, x["budget"]))
    return found.smallest_last - found.largest_next


def _proportional(x: dict) -> tuple[list[Fraction], Fraction, list[int], list[int]]:
    q, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    used = rational.divisor_method(q, rational.HALF, x["budget"])
    return q, kappa, used, rational.divisor_method(q, kappa, x["budget"])


def _confirm_proportional(x: dict) -> bool:
    q, kappa, used, best = _proportional(x)
    return rational.joint_failure(q, kappa, used) > rational.joint_failure(q, kappa, best)


def _explain_proportional(x: dict) -> str:
    q, kappa, used, best = _proportional(x)
    fails = [rational.joint_failure(q, kappa, b) for b in (used, best)]
    return (
        f"Q = {rational.listed(q)}, κ = {kappa}, N = {x['budget']}: shares of Q give "
        f"{rational.listed(used)}, which fails with {fails[0]}; {rational.listed(best)} with "
        f"{fails[1]}"
    )


def _simpler_parts(x: dict) -> Iterator[dict]:
    names = [name for name in ("parts", "sizes") if name in x]
    yield from shrinking.shorter(x, names)
    yield from shrinking.fewer(x, "budget")
    for name in names:
        yield from shrinking.fewer(x, name)
    if x["concentration"] != 1:
        yield x | {"concentration": 1.0}
        yield x | {"concentration": x["concentration"] * (2 if x["concentration"] < 1 else 0.5)}


_draw_scores = drawing.instances(
    scores=drawing.uniform(4),
    labels=drawing.integers(0, 3, 8),
    temperature=drawing.log_uniform(0.05, 2),
)


def _margin_divergence(x: Instances) -> Float[Array, " n"]:
    t, labels = x["temperature"], x["labels"]
    scores = jnp.take_along_axis(x["scores"], labels, -1)
    solution = pooling.direction_totals(quality_weights(scores, quality_temperature=t), labels, 4)
    sizes = drawing.sizes_of(labels, 4)
    q = drawing.present(jax.nn.softmax(x["scores"] / t[:, None], -1), sizes)
    shares = bias.solution_level_shares(q, sizes)
    there = sizes > 0
    # Utilities at B = N Q and B = N Q̂; log N drops out.
    gap = jnp.where(there, q * jnp.log(jnp.where(there, q / solution, 1)), 0).sum(-1)
    wrong = jnp.abs(shares - solution).max(-1), jnp.abs(bias.kl_divergence(q, shares) - gap)
    return -jnp.maximum(*wrong)


def _draw_imbalance(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    sizes = drawing.whole(keys[1], (n, 4), 1, 8)
    equal = jax.random.bernoulli(keys[2], 0.2, (n, 1))
    return {
        "quality": drawing.qualities(keys[0], n, 4),
        "sizes": jnp.where(equal, sizes[:, :1], sizes),
    }


def _margin_zero(x: Instances) -> Float[Array, " n"]:
    found = bias.kl_divergence(x["quality"], bias.solution_level_shares(x["quality"], x["sizes"]))
    equal = (x["sizes"] == x["sizes"][:, :1]).all(-1)
    return jnp.where(equal, -jnp.abs(found), jnp.where(found > _LEAST, 0, -1))


def _margin_pinsker(x: Instances) -> Float[Array, " n"]:
    q, sizes = x["quality"], x["sizes"]
    found = bias.kl_divergence(q, bias.solution_level_shares(q, sizes))
    mean = (q * sizes).sum(-1, keepdims=True)
    distance = (q * jnp.abs(sizes / mean - 1)).sum(-1)
    return found - distance**2 / 2


def _margin_success(x: Instances) -> Float[Array, " n"]:
    q, kappa = _share(x["parts"]), x["concentration"]
    shares = bias.solution_level_shares(q, x["sizes"])
    by_direction, by_solution = (
        objective.log_failure(q, kappa, optimal.apportion(s, x["budget"])) for s in (q, shares)
    )
    return by_solution - by_direction


def _two_levels(x: dict) -> tuple[list[Fraction], Fraction, list[int], list[int]]:
    q, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    counted = [part * size for part, size in zip(x["parts"], x["sizes"], strict=True)]
    by_direction, by_solution = (
        rational.divisor_method(s, rational.HALF, x["budget"])
        for s in (q, rational.shares(counted))
    )
    return q, kappa, by_direction, by_solution


def _confirm_success(x: dict) -> bool:
    q, kappa, by_direction, by_solution = _two_levels(x)
    fails = (rational.joint_failure(q, kappa, b) for b in (by_solution, by_direction))
    return next(fails) < next(fails)


def _explain_success(x: dict) -> str:
    q, kappa, by_direction, by_solution = _two_levels(x)
    fails = [rational.joint_failure(q, kappa, b) for b in (by_direction, by_solution)]
    return (
        f"Q = {rational.listed(q)}, sizes {rational.listed(x['sizes'])}, κ = {kappa}, "
        f"N = {x['budget']}: shares of Q give {rational.listed(by_direction)} and fail with "
        f"{fails[0]}, shares of kQ give {rational.listed(by_solution)} and fail with {fails[1]}"
    )


CLAIMS = (
    Claim(
        id="4.1",
        name="direction totals",
        statement="If all candidates of a direction share one success probability, only the totals "
        "of directions matter, and the divisor method with Q in place of w is the exact optimum.",
        latex=r"\arg\max_{B:\sum B_i=N} J(B)=\{B: T_j=\sum_{i\in E_j}B_i\ \text{are the } N "
        r"\text{ largest of } Q_j/(\kappa+r)\}",
        source="new",
        expected="holds",
        assumptions="p_j ~ Beta(κQ_j, κ(1-Q_j)) independent, one for all candidates of direction "
        "j.",
        proof="Given p_j, all rollouts of j fail with (1-p_j)^{T_j}, whoever they went to: the "
        "failure is that of one candidate of quality Q_j with T_j rollouts, and 2.1 applies. "
        "Checked against the integral over p_j of what any rollouts of six candidates leave, and "
        "against the best of all splits of N over directions, found by dynamic programming.",
        draw=_draw_totals,
        margin=_margin_totals,
        # Sums of at most 12 logarithms of size below 10.
        tolerance=1e-12,
    ),
    Claim(
        id="4.1",
        name="shares of Q maximize success",
        statement="One might conclude that giving directions rollouts in proportion to Q, "
        "rounded, maximizes the probability of a success whatever κ is.",
        latex=r"B_j=\mathrm{round}(N Q_j)\ \text{maximizes}\ J\ \text{for all}\ \kappa",
        source="new",
        expected="refuted",
        assumptions="Eq. 9 rounded by Webster's method; the model of 4.1.",
        proof="The optimum is the divisor method with divisors κ + r, and rounding that with "
        "divisors 1/2 + r: they are the same for κ = 1/2. With more confidence the best direction "
        "deserves more than its share.",
        draw=_draw_proportional,
        margin=_margin_proportional,
        confirm=_confirm_proportional,
        simpler=shrinking.from_below(
            _simpler_parts, _confirm_proportional, lambda: shrinking.small_problems(8)
        ),
        explain=_explain_proportional,
    ),
    Claim(
        id="4.2",
        name="loss of counting candidates is KL",
        statement="Allocation over candidates spends the share k_j e^{R_j}/Σ k_l e^{R_l} on "
        "direction j; under the utility Σ Q_j log B_j that loses KL(Q‖Q̂).",
        latex=r"U(NQ)-U(N\hat Q)=\sum_j Q_j\log\frac{Q_j}{\hat Q_j}=\mathrm{KL}(Q\,\|\,\hat Q),"
        r"\quad \hat Q_j=\frac{k_je^{R_j/T_b}}{\sum_l k_le^{R_l/T_b}}",
        source="paper",
        expected="holds",
        assumptions="All candidates of a direction share its score; real-valued allocations.",
        proof="A direction has k_j candidates of weight e^{R_j/T_b} each. In the difference of "
        "utilities log N drops out.",
        draw=_draw_scores,
        margin=_margin_divergence,
        # |log Q| is at most 20, of which a few ulps are lost.
        tolerance=1e-13,
    ),
    Claim(
        id="4.2",
        name="no loss iff sizes are equal",
        statement="The loss KL(Q‖Q̂) is 0 if all k_j are equal, and else positive.",
        latex=r"\mathrm{KL}(Q\,\|\,\hat Q)\ge0,\quad\mathrm{KL}(Q\,\|\,\hat Q)=0\iff "
        r"k_1=\dots=k_g",
        source="paper",
        expected="holds",
        assumptions="All Q_j > 0.",
        proof="Q̂_j = Q_j k_j/k̄. Equal sizes give Q̂ = Q, and the divergence of different shares is "
        "positive (Gibbs' inequality).",
        proved="SMT: for two directions",
        draw=_draw_imbalance,
        margin=_margin_zero,
        # The square of a rounding of Q̂.
        tolerance=_LEAST,
    ),
    Claim(
        id="4.2",
        name="loss from different sizes",
        statement="The loss KL(Q‖Q̂) is at least half the squared distance Σ |Q_j - Q̂_j|.",
        latex=r"\mathrm{KL}(Q\,\|\,\hat Q)\ge\tfrac12\Big(\sum_jQ_j\Big|\frac{k_j}{\bar k}-1\Big|"
        r"\Big)^2,\quad \bar k=\sum_lQ_lk_l",
        source="new",
        expected="holds",
        assumptions="All Q_j > 0.",
        proof="Pinsker's inequality; Q̂_j = Q_j k_j/k̄.",
        draw=_draw_imbalance,
        margin=_margin_pinsker,
        # The square of a rounding of Q̂.
        tolerance=_LEAST,
    ),
    Claim(
        id="4.2",
        name="shares of Q succeed at least as often",
        statement="One might conclude from the log utility that spending in proportion to Q has at "
        "least the success of spending in proportion to Q̂, which counts candidates.",
        latex=r"J(\mathrm{round}(NQ))\ge J(\mathrm{round}(N\hat Q))",
        source="new",
        expected="refuted",
        assumptions="Both rounded by Webster's method; success under one p_j for each direction.",
        proof="Proposition 2 compares log utilities, which Q maximizes; success it does not. For "
        "large κ the best direction deserves more than its share, and if it has the most "
        "candidates, counting them gives it more.",
        draw=_draw_parts,
        margin=_margin_success,
        # Two allocations of one failure may differ by its rounding.
        tolerance=1e-13,
        confirm=_confirm_success,
        simpler=_simpler_parts,
        explain=_explain_success,
    ),
)
