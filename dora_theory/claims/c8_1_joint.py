"""Any joint prior: what greedy reaches, and where it is optimal (theory 8.1.1-8.1.4)."""

from collections.abc import Iterator
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation import joint
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.claims.check.joint_priors import (
    EIGHTHS,
    FINITE_PRIOR,
    K,
    N,
    budget_of,
    draw_points,
    least,
    points,
    spent_in,
)
from dora_theory.model.joint import JointPrior


def _margin_submodular(x: Instances) -> Float[Array, " n"]:
    prior, b = points(x), spent_in(x)
    eye = jnp.eye(K, dtype=jnp.int32)

    def failure(given: Array) -> Array:
        return jnp.exp(joint.joint_log_failure(prior, given))

    def gain(given: Array, i: int) -> Array:
        return failure(given) - failure(given + eye[i])

    worst = [gain(b, i) for i in range(K)]
    worst += [gain(b, i) - gain(b + eye[j], i) for i in range(K) for j in range(K)]
    return jnp.stack(worst).min(0)


def _margin_convex(x: Instances) -> Float[Array, " n"]:
    # In the middle between two real allocations.
    rates = -jnp.log1p(-jnp.minimum(x["chances"], EIGHTHS - 1) / EIGHTHS)
    w = jnp.log(x["weights"] / x["weights"].sum(-1, keepdims=True))
    one, two = x["allocation"] + 0.5, jnp.roll(x["allocation"], 1, -1) * 1.25

    def log_failure(b: Array) -> Array:
        return jax.scipy.special.logsumexp(w - (rates * b[:, None]).sum(-1), -1)

    return 0.5 * (log_failure(one) + log_failure(two)) - log_failure(0.5 * (one + two))


def _margin_greedy(x: Instances) -> Float[Array, " n"]:
    prior = points(x)
    greedy = joint.joint_allocation(prior, budget_of(prior))
    reached = -jnp.expm1(joint.joint_log_failure(prior, greedy))
    return reached + (1 - (1 - 1 / N) ** N) * jnp.expm1(least(prior))


def _margin_adaptive(x: Instances) -> Float[Array, " n"]:
    p = x["chances"] / EIGHTHS
    steps = 3

    def value(belief: Array, left: int) -> Array:
        """Bellman's equation on beliefs: what comes after a failure is Bayes' rule alone."""
        if not left:
            return jnp.zeros(belief.shape[0])
        ways = []
        for i in range(K):
            hit = (belief * p[..., i]).sum(-1)
            after = belief * (1 - p[..., i])
            total = after.sum(-1, keepdims=True)
            after = jnp.where(total > 0, after / jnp.where(total > 0, total, 1), belief)
            ways.append(hit + (1 - hit) * value(after, left - 1))
        return jnp.stack(ways).max(0)

    best = value(x["weights"] / x["weights"].sum(-1, keepdims=True), steps)
    prior = points(x)
    given = [jnp.asarray(b, jnp.int32) for b in rational.allocations(steps, K)]
    planned = jnp.stack([joint.joint_log_failure(prior, b) for b in given]).min(0)
    return -jnp.abs(-jnp.expm1(planned) - best)


def _margin_exchangeable(x: Instances) -> Float[Array, " n"]:
    # Every order of the candidates is as likely.
    turns = [jnp.roll(x["chances"], i, -1) for i in range(K)]
    turns += [jnp.roll(x["chances"][..., ::-1], i, -1) for i in range(K)]
    chances = jnp.concatenate(turns, -2)
    weights = jnp.tile(x["weights"], (1, 2 * K))
    prior = points({"chances": chances, "weights": weights})
    greedy = joint.joint_allocation(prior, budget_of(prior))
    even = greedy.max(-1) - greedy.min(-1) <= 1
    short = least(prior) - joint.joint_log_failure(prior, greedy)
    short = jnp.where(jnp.isnan(short), 0, short)
    return jnp.where(even, short, -1)


def _draw_pair(key: Array, n: int) -> Instances:
    return {"chances": drawing.whole(key, (n, 2, 2), 0, 12)}


def _pair_prior(x: Instances) -> JointPrior:
    rates = -jnp.log1p(-x["chances"] / 12)
    return JointPrior.from_draws(rates, 2, sampled=False)


def _margin_pair(x: Instances) -> Float[Array, " n"]:
    prior = _pair_prior(x)
    n = jnp.full(prior.log_moments.shape[:-3], 2, jnp.int32)
    greedy = jnp.exp(joint.joint_log_failure(prior, joint.joint_allocation(prior, n)))
    given = [jnp.asarray(b, jnp.int32) for b in rational.allocations(2, 2)]
    best = jnp.stack([jnp.exp(joint.joint_log_failure(prior, b)) for b in given]).min(0)
    return best - greedy


def _exact_pair(x: dict, b: tuple[int, ...]) -> Fraction:
    """Failure under two equally likely pairs of chances, in twelfths."""
    total = Fraction(0)
    for row in x["chances"]:
        each = Fraction(1, 2)
        for p, n in zip(row, b, strict=True):
            each *= Fraction(12 - p, 12) ** n
        total += each
    return total


def _greedy_pair(x: dict) -> tuple[int, int]:
    first = min([(1, 0), (0, 1)], key=lambda b: (_exact_pair(x, b), -b[0]))
    ways = [(first[0] + 1, first[1]), (first[0], first[1] + 1)]
    return min(ways, key=lambda b: (_exact_pair(x, b), -b[0]))


def _confirm_pair(x: dict) -> bool:
    best = min(_exact_pair(x, b) for b in rational.allocations(2, 2))
    return _exact_pair(x, _greedy_pair(x)) > best


def _simpler_pair(x: dict) -> Iterator[dict]:
    for i in range(2):
        for row in shrinking.fewer({"row": x["chances"][i]}, "row", 0):
            yield {"chances": [row["row"] if j == i else x["chances"][j] for j in range(2)]}


def _explain_pair(x: dict) -> str:
    one, two = (rational.listed([Fraction(p, 12) for p in row]) for row in x["chances"])
    greedy = _greedy_pair(x)
    best = min(rational.allocations(2, 2), key=lambda b: _exact_pair(x, b))
    return (
        f"p = ({one}) or ({two}), each 1/2, N = 2: greedy {greedy} fails "
        f"{_exact_pair(x, greedy)}, {best} fails {_exact_pair(x, best)}"
    )


_TENTHS, _LONG = 10, 6


def _draw_unknown(key: Array, n: int) -> Instances:
    return {"weights": drawing.whole(key, (n, 3), 1, 6)}


def _margin_unknown(x: Instances) -> Float[Array, " n"]:
    w = x["weights"] / _TENTHS
    b = jnp.arange(_LONG + 1)
    known = jnp.log1p(-w)[..., None] * b
    r = jnp.arange(_LONG)
    unsure = jnp.log1p(-w[..., None] / 3 / (1 / 3 + r))
    unsure = jnp.pad(jnp.cumsum(unsure, -1), ((0, 0), (0, 0), (1, 0)))
    table = jnp.stack([unsure, known], 1)
    prior = JointPrior(table, jnp.broadcast_to(jnp.array([2.0, 1.0]), table.shape[:2]))
    n = jnp.full(w.shape[:1], _LONG, jnp.int32)
    greedy = joint.joint_log_failure(prior, joint.joint_allocation(prior, n))
    given = np.array(list(rational.allocations(_LONG, 3)), np.int32)
    best = jax.lax.map(lambda b: joint.joint_log_failure(prior, b), jnp.asarray(given)).min(0)
    return best - greedy


def _exact_unknown(x: dict, b: tuple[int, ...]) -> Fraction:
    w = [Fraction(p, _TENTHS) for p in x["weights"]]
    known = Fraction(1)
    for weight, n in zip(w, b, strict=True):
        known *= (1 - weight) ** n
    return (2 * rational.joint_failure(w, Fraction(1, 3), b) + known) / 3


def _greedy_unknown(x: dict) -> tuple[int, ...]:
    given = [0, 0, 0]
    for _ in range(_LONG):
        ways = [tuple(n + (i == j) for j, n in enumerate(given)) for i in range(3)]
        failures = [_exact_unknown(x, b) for b in ways]
        given = list(ways[failures.index(min(failures))])
    return tuple(given)


def _confirm_unknown(x: dict) -> bool:
    best = min(_exact_unknown(x, b) for b in rational.allocations(_LONG, 3))
    return _exact_unknown(x, _greedy_unknown(x)) > best


def _simpler_unknown(x: dict) -> Iterator[dict]:
    yield from shrinking.fewer(x, "weights", 1)


def _explain_unknown(x: dict) -> str:
    w = rational.listed([Fraction(p, _TENTHS) for p in x["weights"]])
    greedy = _greedy_unknown(x)
    best = min(rational.allocations(_LONG, 3), key=lambda b: _exact_unknown(x, b))
    return (
        f"w = {w}, κ = 1/3 with probability 2/3, else p = w known, N = 6: greedy {greedy} fails "
        f"{_exact_unknown(x, greedy)}, {best} fails {_exact_unknown(x, best)}"
    )


CLAIMS = (
    Claim(
        id="8.1.1",
        name="success is monotone and submodular",
        statement="Under any joint prior a rollout never hurts, and gains no more after another.",
        latex=r"J(B+e_i)\ge J(B),\qquad J(B+e_i)-J(B)\ge J(B+e_j+e_i)-J(B+e_j)",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR,
        proof="For one p let f = Π q^B. A rollout of i gains f p_i ≥ 0; after one of j it gains "
        "q_j f p_i ≤ f p_i. Both survive averaging over p.",
        draw=draw_points,
        margin=_margin_submodular,
        # Differences of sums of four products.
        tolerance=1e-14,
        proved="Coq: Priors.success_submodular",
    ),
    Claim(
        id="8.1.1",
        name="log failure is convex",
        statement="Log failure is convex in real allocations under any joint prior.",
        latex=r"\log F(\tfrac12(B+B'))\le\tfrac12(\log F(B)+\log F(B'))",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR,
        proof="e^{-B·x} is log-linear in B, so log F is a log-sum-exp.",
        draw=draw_points,
        margin=_margin_convex,
        # Logarithms up to 20.
        tolerance=1e-13,
    ),
    Claim(
        id="8.1.2",
        name="what greedy reaches",
        statement="Greedy reaches at least 1 - (1 - 1/N)^N of the best success.",
        latex=r"J_{\mathrm{greedy}}\ge\left(1-(1-1/N)^N\right)J^*",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR + " Known elsewhere, for DR-submodular functions on a lattice.",
        proof="By 8.1.1 each greedy step closes at least 1/N of what is missing to J*.",
        draw=draw_points,
        margin=_margin_greedy,
        tolerance=1e-14,
    ),
    Claim(
        id="8.1.3",
        name="adaptivity is free under any joint prior",
        statement="No adaptive policy does better than the best allocation made in advance.",
        latex=r"\max_\pi\Pr(\text{success within }N)=\max_BJ(B)",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR + " The search ends at the first success.",
        proof="It goes on only after a failure, so a policy is one path, whose value is J of it. "
        "Checked by Bellman's equation on beliefs.",
        draw=draw_points,
        margin=_margin_adaptive,
        tolerance=1e-13,
    ),
    Claim(
        id="8.1.4",
        name="exchangeable candidates: balanced is best",
        statement="If the prior is exchangeable, the balanced allocation is optimal, and greedy "
        "stays balanced.",
        latex=r"F\text{ symmetric}\ \Rightarrow\ \max_iB^*_i-\min_iB^*_i\le1",
        source="new",
        expected="holds",
        assumptions=FINITE_PRIOR,
        proof="A symmetric convex function is Schur-convex, and the balanced vector is majorized "
        "by every other.",
        draw=draw_points,
        margin=_margin_exchangeable,
        # Log failures up to 20; -∞ on both sides is no shortfall.
        tolerance=1e-12,
    ),
    Claim(
        id="8.1.4",
        name="greedy is optimal for two candidates",
        statement="With two candidates and two rollouts greedy is optimal under any joint prior.",
        latex=r"k=N=2\ \Rightarrow\ J_{\mathrm{greedy}}=J^*",
        source="new",
        expected="refuted",
        assumptions="Two equally likely pairs of success probabilities, in twelfths.",
        proof="A first rollout that is best alone may be worth little beside the best pair. The "
        "largest loss is 1/16, by a linear program over all priors on a grid of 49 × 49.",
        draw=_draw_pair,
        margin=_margin_pair,
        # Sums of two products; exact violations are at least 1/12^4.
        tolerance=1e-12,
        confirm=_confirm_pair,
        simpler=_simpler_pair,
        explain=_explain_pair,
    ),
    Claim(
        id="8.1.4",
        name="greedy is optimal for one κ shared by all",
        statement="If candidates are independent given one κ, greedy is optimal.",
        latex=r"p_i\mid\kappa\sim\mathrm{Beta}(\kappa w_i,\kappa(1-w_i))\ \Rightarrow\ "
        r"J_{\mathrm{greedy}}=J^*",
        source="new",
        expected="refuted",
        assumptions="κ = 1/3 with probability 2/3, else p = w is known; w in tenths, N = 6; ties "
        "go to the lowest index. That no smaller case fails was found by search, not proved; the "
        "largest loss seen is 0.0009.",
        proof="A mixture over one κ does not separate (5.3): what a failure says of κ changes what "
        "the others are worth.",
        draw=_draw_unknown,
        margin=_margin_unknown,
        tolerance=1e-12,
        confirm=_confirm_unknown,
        simpler=_simpler_unknown,
        explain=_explain_unknown,
    ),
)
