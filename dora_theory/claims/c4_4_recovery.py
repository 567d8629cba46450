"""What DORA recovers of directions: Theorem 1, its rounding, unequal scores (theory 4.4, 4.6)."""

from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory import bias
from dora_theory.allocation import hierarchical, rules
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import directions as pooling
from dora_theory.model.weights import dora_weights

# Where two embeddings are orthogonal, exp(-1/T_s) is what is left of the other directions: 1e-22.
_COLD = 0.02
# Gauss and Hermite for a standard normal: exact to rounding for e^{sz}, s ≤ 4.
_NODES, _MASSES = np.polynomial.hermite_e.hermegauss(64)
_MASSES = _MASSES / np.sqrt(2 * np.pi)


def _dora_mass(x: Instances) -> Array:
    """Weight of each direction under DORA when directions are orthogonal, `(n, 4)`."""
    labels = x["labels"]
    weights = dora_weights(
        x["scores"],
        jax.nn.one_hot(labels, 4),
        quality_temperature=x["temperature"],
        similarity_temperature=_COLD,
    )
    return pooling.direction_totals(weights, labels, 4)


def _draw_equal(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    labels = drawing.whole(keys[0], (n, 8), 0, 3)
    scores = jax.random.uniform(keys[1], (n, 4))
    return {
        "labels": labels,
        "scores": jnp.take_along_axis(scores, labels, -1),
        "temperature": drawing.logarithmic(keys[2], n, 0.05, 2),
    }


def _margin_equal(x: Instances) -> Float[Array, " n"]:
    # One candidate speaks for each direction: its score is that of all.
    first = (jnp.cumsum(jax.nn.one_hot(x["labels"], 4), -2) == 1) & (
        x["labels"][..., None] == jnp.arange(4)
    )
    each = jnp.where(first, jnp.exp(x["scores"] / x["temperature"][:, None])[..., None], 0).sum(-2)
    q = each / each.sum(-1, keepdims=True)
    return -jnp.abs(_dora_mass(x) - q).max(-1)


_draw_unequal = drawing.instances(
    labels=drawing.integers(0, 3, 8),
    scores=lambda key, n: drawing.whole(key, (n, 8), 0, 20) / 20,
    temperature=drawing.log_uniform(0.05, 2),
)


def _margin_mean_exp(x: Instances) -> Float[Array, " n"]:
    t, labels = x["temperature"], x["labels"]
    sizes = drawing.sizes_of(labels, 4)
    of = jax.nn.one_hot(labels, 4)
    each = (of * jnp.exp(x["scores"] / t[:, None])[..., None]).sum(-2) / jnp.maximum(sizes, 1)
    q = each / each.sum(-1, keepdims=True)
    pooled = pooling.direction_weights(
        x["scores"], labels, 4, pool="mean-exp", quality_temperature=t
    )
    return -jnp.maximum(jnp.abs(_dora_mass(x) - q).max(-1), jnp.abs(pooled - q).max(-1))


def _draw_two(key: Array, n: int) -> Instances:
    return {"scores": drawing.whole(key, (n, 4), 0, 20) / 20}


def _margin_mean_score(x: Instances) -> Float[Array, " n"]:
    scores = x["scores"]
    two = jnp.broadcast_to(jnp.array([0, 0, 1, 1]), scores.shape)
    temperature = jnp.full(scores.shape[:1], 0.1)
    mass = _dora_mass({"scores": scores, "labels": two, "temperature": temperature})[:, :2]
    mean = scores.reshape(-1, 2, 2).mean(-1)
    return -jnp.abs(mass - jax.nn.softmax(mean / 0.1, -1)).max(-1)


def _shares_of_two(x: dict) -> tuple[Decimal, Decimal]:
    """Share of the first direction under DORA and by mean score, to 50 digits; T_b = 1/10."""
    with localcontext(prec=50):
        a, b, c, d = (10 * Decimal(repr(s)) for s in x["scores"])
        weights = [(p.exp() + q.exp()) / 2 for p, q in ((a, b), (c, d))]
        means = [((p + q) / 2).exp() for p, q in ((a, b), (c, d))]
        return weights[0] / sum(weights), means[0] / sum(means)


def _confirm_mean_score(x: dict) -> bool:
    dora, mean = _shares_of_two(x)
    return abs(dora - mean) > Decimal("0.01")


def _simpler_scores(x: dict) -> Iterator[dict]:
    # Each step takes one score to a rounder value, and none back.
    rank = {0.5: 0, 1.0: 1, 0.0: 2}
    for value in rank:
        for i, score in enumerate(x["scores"]):
            if rank[value] < rank.get(score, 3):
                yield {"scores": [*x["scores"][:i], value, *x["scores"][i + 1 :]]}


def _explain_mean_score(x: dict) -> str:
    dora, mean = _shares_of_two(x)
    a, b, c, d = x["scores"]
    return (
        f"scores {a:g}, {b:g} in one direction and {c:g}, {d:g} in the other, T_b = 0.1: DORA "
        f"gives the first {dora:.4f}, the softmax of mean scores {mean:.4f}"
    )


def _draw_noise(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    temperature = drawing.logarithmic(keys[0], n, 0.05, 2)
    return {
        "noise": temperature * jax.random.uniform(keys[1], (n,), maxval=2),
        "temperature": temperature,
        "sizes": drawing.whole(keys[2], (n,), 1, 64),
    }


def _margin_noise(x: Instances) -> Float[Array, " n"]:
    s, t, k = x["noise"], x["temperature"], x["sizes"]
    factor, spread = bias.noise_inflation(s, t, k)
    values = jnp.exp((s / t)[:, None] * _NODES)
    mean = (values * _MASSES).sum(-1)
    deviation = jnp.sqrt((((values - mean[:, None]) ** 2) * _MASSES).sum(-1) / k) / mean
    return -jnp.maximum(jnp.abs(factor / mean - 1), jnp.abs(spread - deviation))


def _margin_pools(x: Instances) -> Float[Array, " n"]:
    t = x["temperature"]
    # Direction 4 is one candidate of score 0: the pooled score of j is T_b log(Q_j/Q_4).
    scores = jnp.pad(x["scores"], ((0, 0), (0, 1)))
    labels = jnp.pad(x["labels"], ((0, 0), (0, 1)), constant_values=4)
    sizes = drawing.sizes_of(x["labels"], 4)

    def pooled(pool: pooling.Pool) -> Array:
        q = pooling.direction_weights(scores, labels, 5, pool=pool, quality_temperature=t)
        there = jnp.where(sizes > 0, q[:, :4] / q[:, 4:], 1)
        return t[:, None] * jnp.log(there)

    mean, mean_exp, largest = pooled("mean"), pooled("mean-exp"), pooled("max")
    reach = t[:, None] * jnp.log(jnp.maximum(sizes, 1))
    gaps = jnp.stack([mean_exp - mean, largest - mean_exp, mean_exp + reach - largest])
    return jnp.where(sizes > 0, gaps, 0).min((0, -1))


_draw_rounding = drawing.instances(
    parts=drawing.integers(1, 8, 2),
    sizes=drawing.integers(1, 12, 2),
    budget=drawing.integers(1, 32),
)


def _two_directions(x: Instances) -> tuple[Array, Array, Array]:
    """Qualities `(n, 2)`, labels and mask `(n, 24)` of two directions."""
    q = x["parts"] / x["parts"].sum(-1, keepdims=True)
    place = jnp.arange(24)
    sizes = x["sizes"]
    labels = (place >= sizes[:, :1]).astype(jnp.int32)
    return q, labels, place < sizes.sum(-1, keepdims=True)


def _owed(q: Array, totals: Array, budget: Array) -> Array:
    """Rollouts above one of the directions that are due one or more."""
    due = q * budget[:, None] >= 1
    return jnp.where(due, totals - 1, totals).min(-1).astype(q.dtype)


def _margin_rounding(x: Instances) -> Float[Array, " n"]:
    q, labels, mask = _two_directions(x)
    given = rules.dora_allocation(
        jnp.where(mask, jnp.log(jnp.take_along_axis(q, labels, -1)), 0),
        jax.nn.one_hot(labels, 2),
        x["budget"],
        quality_temperature=1.0,
        similarity_temperature=_COLD,
        literal=True,
        mask=mask,
    )
    return _owed(q, pooling.direction_totals(given, labels, 2, mask=mask), x["budget"])


def _margin_totals_first(x: Instances) -> Float[Array, " n"]:
    q, labels, mask = _two_directions(x)
    given = hierarchical.direction_allocation(q, labels, 0.5, x["budget"], mask=mask)
    totals = pooling.direction_totals(given, labels, 2, mask=mask)
    each = jnp.take_along_axis(totals / x["sizes"], labels, -1)
    uneven = jnp.where(mask, jnp.abs(given - each), 0).max(-1)
    due = q * x["budget"][:, None]
    off = jnp.abs(totals - due).max(-1)
    kept = jnp.abs(given.sum(-1) - x["budget"])
    return jnp.minimum(
        jnp.minimum(_owed(q, totals, x["budget"]), -kept),
        jnp.minimum(0.5 - off, jnp.where(uneven < 1, 0, -uneven)),
    )


def _rounded(x: dict) -> tuple[list[Fraction], list[Fraction]]:
    """N Q_j, and N w'_i of each candidate of direction j."""
    due = [x["budget"] * q for q in rational.shares(x["parts"])]
    return due, [d / k for d, k in zip(due, x["sizes"], strict=True)]


def _confirm_rounding(x: dict) -> bool:
    due, each = _rounded(x)
    # Strictly below a half: no rule for ties decides it.
    return any(d >= 1 and e < rational.HALF for d, e in zip(due, each, strict=True))


def _simpler_rounding(x: dict) -> Iterator[dict]:
    if x["parts"] != [1, 1]:
        yield x | {"parts": [1, 1]}
    for name in ("budget", "sizes", "parts"):
        yield from shrinking.fewer(x, name)


def _explain_rounding(x: dict) -> str:
    due, each = _rounded(x)
    given = [round(e) for e in each]
    parts = "; ".join(
        f"direction {j + 1} is due {d} and each of its {k} candidates gets round({e}) = {b}"
        for j, (d, k, e, b) in enumerate(zip(due, x["sizes"], each, given, strict=True))
    )
    return f"Q = {rational.listed(rational.shares(x['parts']))}, N = {x['budget']}: {parts}"


CLAIMS = (
    Claim(
        id="4.4",
        name="Theorem 1",
        statement="If all candidates of a direction share its score and γ_i = 1/k_j, DORA's "
        "weights summed over a direction are Q_j.",
        latex=r"\gamma_i=\tfrac1{k_j},\ R_i=R_j\ (i\in E_j)\ \Rightarrow\ \sum_{i\in E_j}w'_i=Q_j",
        source="paper",
        expected="holds",
        assumptions="Cosine 1 within a direction, 0 between, T_s = 0.02: γ = 1/k_j to 1e-21.",
        proof="Direction j has k_j candidates of weight e^{R_j/T_b}/k_j: sizes cancel.",
        draw=_draw_equal,
        margin=_margin_equal,
        # A softmax of scores over T_b ≥ 0.05.
        tolerance=1e-13,
    ),
    Claim(
        id="4.4b",
        name="Theorem 1 after rounding",
        statement="When eq. 13 rounds candidate by candidate, no direction that is due a rollout "
        "(N Q_j ≥ 1) is left without one.",
        latex=r"NQ_j\ge1\ \Rightarrow\ \sum_{i\in E_j}\mathrm{round}(Nw'_i)\ge1",
        source="paper",
        expected="refuted",
        assumptions="γ_i = 1/k_j exactly, equal scores inside a direction.",
        proof="Each of k_j candidates is due N Q_j/k_j. Where that is below 1/2 all of them are "
        "rounded to 0, however much the direction is due.",
        draw=_draw_rounding,
        margin=_margin_rounding,
        confirm=_confirm_rounding,
        simpler=_simpler_rounding,
        explain=_explain_rounding,
    ),
    Claim(
        id="4.4b",
        name="totals first, then candidates",
        statement="With two directions, apportioning totals by Webster's method and then spreading "
        "each evenly gives a direction N Q_j to within 1/2, spends N, and leaves no direction out "
        "that is due a rollout.",
        latex=r"\Big|\sum_{i\in E_j}B_i-NQ_j\Big|\le\tfrac12,\quad\sum_iB_i=N,\quad"
        r"|B_i-B_{i'}|\le1\ (i,i'\in E_j)",
        source="corrected",
        expected="holds",
        assumptions="Two directions, κ = 1/2.",
        proof="N Q_1 and N Q_2 have sum N, so their fractions have sum 0 or 1, and rounding both "
        "keeps the sum unless both are 1/2: Webster's method is rounding then, and gives one of "
        "them the odd rollout. N Q_j ≥ 1 rounds to 1 or more.",
        draw=_draw_rounding,
        margin=_margin_totals_first,
        # Rounding of N Q_j ≤ 32 when it is a half.
        tolerance=1e-13,
    ),
    Claim(
        id="4.6",
        name="DORA pools by the mean of exponentials",
        statement="With unequal scores inside a direction DORA weighs it by the mean of e^{R/T_b} "
        "over its candidates.",
        latex=r"\sum_{i\in E_j}w'_i\ \propto\ \frac1{k_j}\sum_{i\in E_j}e^{R_i/T_b}",
        source="new",
        expected="holds",
        assumptions="γ_i = 1/k_j.",
        proof="Σ_i e^{R_i/T_b} γ_i over the direction is that mean.",
        draw=_draw_unequal,
        margin=_margin_mean_exp,
        # A softmax of scores over T_b ≥ 0.05.
        tolerance=1e-13,
    ),
    Claim(
        id="4.6",
        name="Theorem 1 with unequal scores",
        statement="One might conclude that with unequal scores inside a direction DORA still "
        "weighs it as the softmax of its mean score does.",
        latex=r"\sum_{i\in E_j}w'_i=\mathrm{softmax}_j\Big(\frac1{k_j}\sum_{i\in E_j}R_i/T_b\Big)",
        source="new",
        expected="refuted",
        assumptions="γ_i = 1/k_j, two directions of two candidates, T_b = 0.1; a share may be off "
        "by 0.01.",
        proof="The mean of e^{R/T_b} exceeds e to the mean (Jensen): of two directions of one mean "
        "score the one with more spread gets more.",
        draw=_draw_two,
        margin=_margin_mean_score,
        # Not rounding: what the claim allows.
        tolerance=0.01,
        confirm=_confirm_mean_score,
        simpler=_simpler_scores,
        explain=_explain_mean_score,
    ),
    Claim(
        id="4.6",
        name="noise inflates",
        statement="Normal noise of deviation σ in the scores multiplies the expected mean of "
        "e^{R/T_b} by e^{σ²/(2T_b²)}; the relative deviation of that mean is √((e^{σ²/T_b²}-1)/k).",
        latex=r"\mathbb E\,\tfrac1k\sum_i e^{(R+\varepsilon_i)/T_b}=e^{R/T_b}e^{\sigma^2/2T_b^2},"
        r"\qquad\frac{\mathrm{sd}}{\text{mean}}=\sqrt{\frac{e^{\sigma^2/T_b^2}-1}{k_j}}",
        source="new",
        expected="holds",
        assumptions="ε_i normal, independent; σ ≤ 2 T_b.",
        proof="Moments of the log-normal distribution; a mean of k independent copies has 1/k of "
        "the variance. Checked against Gauss-Hermite quadrature with 64 nodes.",
        draw=_draw_noise,
        margin=_margin_noise,
        # Sums of 64 terms, the largest of which are some hundred times the result.
        tolerance=1e-12,
    ),
    Claim(
        id="4.6",
        name="order of the pools",
        statement="Of one direction the mean score is at most the log mean exponential, that is at "
        "most the maximum, and that exceeds it by no more than T_b log k_j.",
        latex=r"\bar R\le T_b\log\tfrac1{k_j}\sum_ie^{R_i/T_b}\le\max_iR_i\le T_b\log\tfrac1{k_j}"
        r"\sum_ie^{R_i/T_b}+T_b\log k_j",
        source="new",
        expected="holds",
        assumptions="None.",
        proof="Jensen's inequality; a mean is below the maximum; a sum of positive terms is above "
        "its largest.",
        draw=_draw_unequal,
        margin=_margin_pools,
        # A logarithm of a ratio of weights with a few ulps each.
        tolerance=1e-13,
    ),
)
