"""The price of counting candidates, in log failure and in rollouts (theory 4.3, 4.7)."""

from math import expm1, log

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory import bias
from dora_theory.allocation import regret
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import objective

_draw_many_rollouts = drawing.instances(
    quality=drawing.simplex(4),
    sizes=drawing.integers(1, 16, 4),
    concentration=drawing.log_uniform(0.05, 50),
    budget=lambda key, n: jnp.ceil(drawing.logarithmic(key, n, 1, 1e5)),
)


def _margin_loss(x: Instances) -> Float[Array, " n"]:
    q, kappa, n = x["quality"], x["concentration"], x["budget"]
    shares = bias.solution_level_shares(q, x["sizes"])
    by_direction, by_solution = (
        objective.log_failure(q, kappa, n[:, None] * s) for s in (q, shares)
    )
    error = (by_solution - by_direction) / kappa - bias.kl_divergence(q, shares)
    # The step of the proof, for each direction: a log B - a/B and a log B + aκ/B around it.
    a, given = kappa[:, None] * q, n[:, None] * shares
    lgamma = jax.lax.lgamma
    step = lgamma(kappa)[:, None] - lgamma(kappa[:, None] - a)
    step -= objective.candidate_log_failure(q, kappa, given)
    within = jnp.minimum(
        step - a * (jnp.log(given) - 1 / given),
        a * (jnp.log(given) + kappa[:, None] / given) - step,
    ).min(-1)
    # Σ Q/Q̂, with Q/Q̂ = mean size/k_j.
    ratio = ((q * x["sizes"]).sum(-1, keepdims=True) / x["sizes"]).sum(-1)
    directions_ = q.shape[-1]
    above = (kappa * directions_ + ratio) / n
    below = (directions_ + kappa * ratio) / n
    return jnp.minimum(jnp.minimum(above - error, below + error), within)


def _draw_price(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    quality = drawing.qualities(keys[0], n, 4, spread=1.0)
    sizes = drawing.whole(keys[1], (n, 4), 1, 8)
    # So many that each direction has several rollouts on either side.
    least = 8 * sizes.max(-1) / quality.min(-1)
    return {
        "quality": quality,
        "sizes": sizes,
        "concentration": drawing.logarithmic(keys[2], n, 0.1, 20),
        "budget": jnp.ceil(least * drawing.logarithmic(keys[3], n, 1, 30)).astype(jnp.int32),
    }


def _margin_price(x: Instances) -> Float[Array, " n"]:
    q, sizes, kappa, n = x["quality"], x["sizes"], x["concentration"], x["budget"]
    g = q.shape[-1]
    shares = bias.solution_level_shares(q, sizes)
    enough = jnp.ceil(regret.rollouts_to_match(q, shares, kappa, n))
    divergence = (q * jnp.log((q * sizes).sum(-1, keepdims=True) / sizes)).sum(-1)
    spare = 0.5 + g * shares / 2
    short = ((enough - 1)[:, None] * shares) - spare
    above = g * kappa / n + (q * (spare + 1) / short).sum(-1)
    below = (2 * q / (n[:, None] * q - 1)).sum(-1)
    below += (q * (kappa[:, None] + spare) / (enough[:, None] * shares)).sum(-1)
    return jnp.minimum(
        divergence + above - jnp.log((enough - 1) / n), jnp.log(enough / n) - divergence + below
    )


_draw_imbalance = drawing.instances(quality=drawing.simplex(4), sizes=drawing.integers(1, 64, 4))


def _margin_specht(x: Instances) -> Float[Array, " n"]:
    q, sizes = x["quality"], x["sizes"]
    price = bias.kl_divergence(q, bias.solution_level_shares(q, sizes))
    return jnp.log(bias.specht_ratio(sizes.max(-1) / sizes.min(-1))) - price


def _draw_specht(key: Array, n: int) -> Instances:
    return {"imbalance": 1 + drawing.logarithmic(key, n, 1e-3, 1e4)}


def _margin_attained(x: Instances) -> Float[Array, " n"]:
    h = x["imbalance"]
    first = 1 / jnp.log(h) - 1 / (h - 1)
    q = jnp.stack([first, 1 - first], -1)
    sizes = jnp.stack([h, jnp.ones_like(h)], -1)
    price = jnp.exp(bias.kl_divergence(q, bias.solution_level_shares(q, sizes)))
    return -jnp.abs(price / bias.specht_ratio(h) - 1)


def _threshold(saving: float) -> float:
    """Where (h - 1) h^{1/(h-1)}/(e ln h) reaches a saving, by halving the range of u = ln h."""
    low, high = 1.0, 10.0
    for _ in range(60):
        u = (low + high) / 2
        short = log(expm1(u)) + u / expm1(u) - 1 - log(u) < log(saving)
        low, high = (u, high) if short else (low, u)
    return expm1(high) + 1


_SAVINGS = {saving: _threshold(saving) for saving in (2.0, 4.0)}


def _draw_savings(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    saving = jax.random.randint(keys[0], (n,), 0, len(_SAVINGS))
    # From next to the threshold to three times as far.
    off = drawing.logarithmic(keys[1], n, 1e-12, 2)
    at = jnp.array([*_SAVINGS.values()])[saving]
    below = jax.random.bernoulli(keys[2], 0.5, (n,))
    return {
        "saving": jnp.array([*_SAVINGS])[saving],
        "imbalance": jnp.where(below, at / (1 + off), at * (1 + off)),
        "below": below,
        "sizes": jax.random.uniform(keys[3], (n, 4)),
        "quality": drawing.qualities(jax.random.fold_in(keys[3], 1), n, 4),
    }


def _margin_savings(x: Instances) -> Float[Array, " n"]:
    h = x["imbalance"]
    # Four directions, among them one of size 1 and one of size h; then two, at their worst.
    sizes = (h[:, None] ** x["sizes"]).at[:, 0].set(1).at[:, 1].set(h)
    some = bias.kl_divergence(x["quality"], bias.solution_level_shares(x["quality"], sizes))
    first = 1 / jnp.log(h) - 1 / (h - 1)
    q = jnp.stack([first, 1 - first], -1)
    worst = bias.kl_divergence(q, bias.solution_level_shares(q, sizes[:, 1::-1]))
    wanted = jnp.log(x["saving"])
    return jnp.where(x["below"], wanted - jnp.maximum(some, worst), worst - wanted)


CLAIMS = (
    Claim(
        id="4.3",
        name="loss of log failure over κ",
        statement="The log failure that counting candidates loses, over κ, is KL(Q‖Q̂) to within "
        "(gκ + Σ Q/Q̂)/N above and (g + κ Σ Q/Q̂)/N below: for every fixed κ it tends to KL.",
        latex=r"-\frac{g+\kappa\sum_jQ_j/\hat Q_j}{N}\le\frac{\log F(N\hat Q)-\log F(NQ)}{\kappa}"
        r"-\mathrm{KL}(Q\,\|\,\hat Q)\le\frac{g\kappa+\sum_jQ_j/\hat Q_j}{N}",
        source="new",
        expected="holds",
        assumptions="Q_j > 0 with sum 1; real allocations, F by the gamma function; any N > 0.",
        proof="With a = κQ, b = κ - a, -log F_j(B) is log Γ(κ+B)/Γ(b+B) less log Γ(κ)/Γ(b): "
        "∫ ψ(b+B+t) dt over t < a, less a constant. As log x - 1/x < ψ(x) < log x, that integral "
        "lies between a(log B - 1/B) and a(log B + κ/B). Take it at B = N Q_j and N Q̂_j, divide "
        "by κ and sum: the logarithms make KL, and the rest is the bound. A statement about the "
        "limit with an explicit bound at finite N. The bounds of the integral are checked too.",
        draw=_draw_many_rollouts,
        margin=_margin_loss,
        # 1e-14 of log failures over κ, up to a hundred.
        tolerance=1e-11,
    ),
    Claim(
        id="4.7",
        name="price in rollouts",
        statement="Counting candidates needs exp KL(Q‖Q̂) times the rollouts of the optimum for "
        "the same success, whatever κ is, up to a factor that tends to 1 as 1/N.",
        latex=r"\log\frac{M-1}{N}\le\mathrm{KL}+\frac{g\kappa}{N}+\sum_j\frac{Q_j(c_j+1)}"
        r"{(M-1)\hat Q_j-c_j},\quad \log\frac{M}{N}\ge\mathrm{KL}-\sum_j\frac{2Q_j}{NQ_j-1}"
        r"-\sum_j\frac{Q_j(\kappa+c_j)}{M\hat Q_j},\quad c_j=\tfrac12+\tfrac g2\hat Q_j",
        source="new",
        expected="holds",
        assumptions="Q_j > 0 with sum 1, N Q_j > 1, (M-1) Q̂_j > c_j; M the fewest "
        "rollouts that, apportioned by Q̂, match the optimum of N.",
        proof="Write -log F_j(B)/a_j = G_j(B) + const. As in 4.3, log B - 1/B ≤ G_j(B) ≤ "
        "log(B + κ). The optimum has Σ Q G ≤ log(N + gκ) + Σ Q log Q (Gibbs' inequality), and at "
        "least that of some B_j ≥ N Q_j - 1. Webster's method keeps |B_j - M Q̂_j| ≤ c_j. M "
        "matches and M - 1 does not: two inequalities in log(M/N), with log(1+x) ≤ x.",
        draw=_draw_price,
        margin=_margin_price,
        heavy=True,
        # 1e-14 of log failures over κ; the bound itself is above 1e-6.
        tolerance=1e-11,
    ),
    Claim(
        id="4.7",
        name="Specht's bound",
        statement="For sizes with k_max/k_min = h the price exp KL(Q‖Q̂) is at most Specht's "
        "ratio, whatever Q is.",
        latex=r"e^{\mathrm{KL}(Q\|\hat Q)}=\frac{\sum_jQ_jk_j}{\prod_jk_j^{Q_j}}\le"
        r"\frac{(h-1)\,h^{1/(h-1)}}{e\ln h}",
        source="new",
        expected="holds",
        assumptions="All Q_j > 0 with sum 1.",
        proof="The price is a weighted arithmetic mean of the sizes over their geometric mean. "
        "With k_j = k_min h^{t_j}, t in [0, 1], convexity of h^t puts the arithmetic mean below "
        "1 + s(h-1) with s = Σ Q t, the geometric being h^s; s = 1/ln h - 1/(h-1) maximizes.",
        draw=_draw_imbalance,
        margin=_margin_specht,
        # Rounding of two logarithms.
        tolerance=1e-14,
    ),
    Claim(
        id="4.7",
        name="Specht's bound is attained",
        statement="Two directions of sizes h and 1 with Q_1 = 1/ln h - 1/(h-1) have exactly "
        "Specht's price.",
        latex=r"Q_1=\frac1{\ln h}-\frac1{h-1}\ \Rightarrow\ e^{\mathrm{KL}}=\frac{(h-1)\,"
        r"h^{1/(h-1)}}{e\ln h}",
        source="new",
        expected="holds",
        assumptions="h > 1.",
        proof="The derivative of (1 + s(h-1)) h^{-s} in s is 0 there.",
        draw=_draw_specht,
        margin=_margin_attained,
        # Q_1 is a difference that loses three digits at h = 1.001, where the price is flat in it.
        tolerance=1e-11,
    ),
    Claim(
        id="4.7",
        name="imbalance that a saving needs",
        statement="Half of the rollouts can be saved for some Q iff h is at least 11.5465…, three "
        "quarters iff it is at least 36.2632….",
        latex=r"\exists Q:e^{\mathrm{KL}(Q\|\hat Q)}\ge2\iff h\ge11.5465\ldots,\qquad "
        r"\exists Q:e^{\mathrm{KL}(Q\|\hat Q)}\ge4\iff h\ge36.2632\ldots",
        source="new",
        expected="holds",
        assumptions="Many rollouts, where the price is exp KL; h = k_max/k_min, any real "
        "number at least a relative 1e-12 away from its threshold.",
        proof="The largest price for h is Specht's ratio, and attained. It rises with h: sizes "
        "between 1 and h lie between 1 and any larger h too. So each saving has one threshold, "
        "where Specht's ratio is 2, or 4; it is found by bisection.",
        draw=_draw_savings,
        margin=_margin_savings,
        # Rounding of logarithms; 1e-12 beside the threshold the margin is 5e-13.
        tolerance=1e-13,
    ),
)
