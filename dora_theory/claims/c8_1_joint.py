"""Any joint prior: what greedy reaches, and what bounds every allocation (theory 8.1)."""

from collections.abc import Iterator
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation import joint, joint_certificate
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model.joint import JointPrior
from dora_theory.model.priors import BetaPrior

_K, _N, _M = 3, 4, 4
_ALL = np.array(list(rational.allocations(_N, _K)))
_EIGHTHS = 8


def _draw_points(key: Array, n: int, k: int = _K) -> Instances:
    """Finite priors: p in eighths, and whole weights."""
    keys = jax.random.split(key, 3)
    return {
        "chances": drawing.whole(keys[0], (n, _M, k), 0, _EIGHTHS),
        "weights": drawing.whole(keys[1], (n, _M), 1, 4),
        "allocation": drawing.whole(keys[2], (n, k), 0, 2),
    }


def _points(x: Instances, most: int = _N) -> JointPrior:
    rates = -jnp.log1p(-x["chances"] / _EIGHTHS)
    weights = x["weights"].astype(rates.dtype)
    return JointPrior.from_draws(rates, most, weights=weights, sampled=False)


def _draw_mixtures(key: Array, n: int) -> Instances:
    """Mixtures of independent Betas."""
    keys = jax.random.split(key, 4)
    return {
        "alpha": jnp.exp(jax.random.uniform(keys[0], (n, _M, _K), minval=-4, maxval=1)),
        "beta": jnp.exp(jax.random.uniform(keys[1], (n, _M, _K), minval=-4, maxval=1)),
        "weights": jax.random.uniform(keys[2], (n, _M), minval=0.05),
        "allocation": drawing.whole(keys[3], (n, _K), 0, 2),
    }


def _mixture(x: Instances) -> JointPrior:
    betas = BetaPrior(x["alpha"], x["beta"])
    return JointPrior.from_betas(betas, _N, weights=x["weights"])


def _least(prior: JointPrior) -> Array:
    """The least log failure of all allocations of the budget."""
    found = [joint.joint_log_failure(prior, jnp.asarray(b, jnp.int32)) for b in _ALL]
    return jnp.stack(found, -1).min(-1)


def _budget(prior: JointPrior) -> Array:
    return jnp.full(prior.log_moments.shape[:-3], _N, jnp.int32)


def _spent(x: Instances) -> Array:
    return x["allocation"].astype(jnp.int32)


def _margin_submodular(x: Instances) -> Float[Array, " n"]:
    prior, b = _points(x), _spent(x)
    eye = jnp.eye(_K, dtype=jnp.int32)

    def failure(given: Array) -> Array:
        return jnp.exp(joint.joint_log_failure(prior, given))

    def gain(given: Array, i: int) -> Array:
        return failure(given) - failure(given + eye[i])

    worst = [gain(b, i) for i in range(_K)]
    worst += [gain(b, i) - gain(b + eye[j], i) for i in range(_K) for j in range(_K)]
    return jnp.stack(worst).min(0)


def _margin_convex(x: Instances) -> Float[Array, " n"]:
    # In the middle between two real allocations.
    rates = -jnp.log1p(-jnp.minimum(x["chances"], _EIGHTHS - 1) / _EIGHTHS)
    w = jnp.log(x["weights"] / x["weights"].sum(-1, keepdims=True))
    one, two = x["allocation"] + 0.5, jnp.roll(x["allocation"], 1, -1) * 1.25

    def log_failure(b: Array) -> Array:
        return jax.scipy.special.logsumexp(w - (rates * b[:, None]).sum(-1), -1)

    return 0.5 * (log_failure(one) + log_failure(two)) - log_failure(0.5 * (one + two))


def _margin_greedy(x: Instances) -> Float[Array, " n"]:
    prior = _points(x)
    greedy = joint.joint_allocation(prior, _budget(prior))
    reached = -jnp.expm1(joint.joint_log_failure(prior, greedy))
    return reached + (1 - (1 - 1 / _N) ** _N) * jnp.expm1(_least(prior))


def _margin_adaptive(x: Instances) -> Float[Array, " n"]:
    p = x["chances"] / _EIGHTHS
    steps = 3

    def value(belief: Array, left: int) -> Array:
        """Bellman's equation on beliefs: what comes after a failure is Bayes' rule alone."""
        if not left:
            return jnp.zeros(belief.shape[0])
        ways = []
        for i in range(_K):
            hit = (belief * p[..., i]).sum(-1)
            after = belief * (1 - p[..., i])
            total = after.sum(-1, keepdims=True)
            after = jnp.where(total > 0, after / jnp.where(total > 0, total, 1), belief)
            ways.append(hit + (1 - hit) * value(after, left - 1))
        return jnp.stack(ways).max(0)

    best = value(x["weights"] / x["weights"].sum(-1, keepdims=True), steps)
    prior = _points(x)
    given = [jnp.asarray(b, jnp.int32) for b in rational.allocations(steps, _K)]
    planned = jnp.stack([joint.joint_log_failure(prior, b) for b in given]).min(0)
    return -jnp.abs(-jnp.expm1(planned) - best)


def _margin_exchangeable(x: Instances) -> Float[Array, " n"]:
    # Every order of the candidates is as likely.
    turns = [jnp.roll(x["chances"], i, -1) for i in range(_K)]
    turns += [jnp.roll(x["chances"][..., ::-1], i, -1) for i in range(_K)]
    chances = jnp.concatenate(turns, -2)
    weights = jnp.tile(x["weights"], (1, 2 * _K))
    prior = _points({"chances": chances, "weights": weights})
    greedy = joint.joint_allocation(prior, _budget(prior))
    even = greedy.max(-1) - greedy.min(-1) <= 1
    short = _least(prior) - joint.joint_log_failure(prior, greedy)
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


def _margin_lattice(x: Instances) -> Float[Array, " n"]:
    prior = _points(x)
    best = -jnp.expm1(_least(prior))
    bound = joint.lattice_bound(prior, _spent(x), _budget(prior))
    prefix = joint.prefix_bound(prior, _budget(prior))
    nearer = bound.naive - bound.lattice
    return jnp.stack([bound.lattice - best, prefix - best, nearer]).min(0)


def _margin_gap(x: Instances) -> Float[Array, " n"]:
    chances = jnp.minimum(x["chances"], _EIGHTHS - 1)
    prior = _points(x | {"chances": chances})
    rates, w = -jnp.log1p(-chances / _EIGHTHS), x["weights"].astype(float)
    base = x["allocation"] * 1.5
    n = _budget(prior)
    gap = joint.frank_wolfe_gap(rates, base, n, weights=w)
    each = jnp.log(w / w.sum(-1, keepdims=True)) - (rates * base[:, None]).sum(-1)
    here = jax.scipy.special.logsumexp(each, -1)
    best = _least(prior)
    linear = jnp.exp(best) - jnp.exp(here) * (1 - gap)
    return jnp.minimum(best - (here - gap), linear)


def _margin_certificate(x: Instances) -> Float[Array, " n"]:
    prior = _mixture(x)
    found = joint_certificate.joint_certificate(prior, _spent(x), _budget(prior))
    slopes = found.slope_gap - found.gap
    return jnp.minimum(_least(prior) - (found.log_failure - found.gap), slopes)


def _margin_product(x: Instances) -> Float[Array, " n"]:
    prior = JointPrior.independent(BetaPrior(x["alpha"][:, 0], x["beta"][:, 0]), _N)
    found = joint_certificate.joint_certificate(prior, _spent(x), _budget(prior))
    return -jnp.abs(_least(prior) - (found.log_failure - found.gap))


def _margin_optimal(x: Instances) -> Float[Array, " n"]:
    prior = _mixture(x)
    greedy = joint.joint_allocation(prior, _budget(prior))
    found = joint_certificate.joint_certificate(prior, greedy)
    proved = found.largest_next <= found.smallest_last
    return jnp.where(proved, _least(prior) - found.log_failure, 0)


def _margin_relaxed(x: Instances) -> Float[Array, " n"]:
    prior = _mixture(x)
    greedy = joint.joint_allocation(prior, _budget(prior))
    bound = joint_certificate.relaxed_bound(prior, greedy, steps=4)
    return _least(prior) - bound


def _draw_samples(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 2)
    return {
        "chances": drawing.whole(keys[0], (n, 8, _K), 0, _EIGHTHS - 1),
        "drawn": drawing.whole(keys[1], (n, 4), 0, 7),
    }


def _margin_sampling(x: Instances) -> Float[Array, " n"]:
    rates = -jnp.log1p(-x["chances"] / _EIGHTHS)
    sample = jnp.take_along_axis(rates, x["drawn"][..., None], -2)
    n = jnp.full(rates.shape[:1], _N, jnp.int32)
    greedy = joint.draws_allocation(sample, n)
    seen, true = (jnp.exp(joint.draws_failure(r, greedy).log_failure) for r in (sample, rates))
    return true - seen


_FINITE = "A prior of finitely many points, which any other is a limit of."
_LATENT = "Independent candidates given a latent of finitely many values."
CLAIMS = (
    Claim(
        id="8.1.1",
        name="success is monotone and submodular",
        statement="Under any joint prior a rollout never hurts, and gains no more after another.",
        latex=r"J(B+e_i)\ge J(B),\qquad J(B+e_i)-J(B)\ge J(B+e_j+e_i)-J(B+e_j)",
        source="new",
        expected="holds",
        assumptions=_FINITE,
        proof="For one p let f = Π q^B. A rollout of i gains f p_i ≥ 0; after one of j it gains "
        "q_j f p_i ≤ f p_i. Both survive averaging over p.",
        draw=_draw_points,
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
        assumptions=_FINITE,
        proof="e^{-B·x} is log-linear in B, so log F is a log-sum-exp.",
        draw=_draw_points,
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
        assumptions=_FINITE + " Known elsewhere, for DR-submodular functions on a lattice.",
        proof="By 8.1.1 each greedy step closes at least 1/N of what is missing to J*.",
        draw=_draw_points,
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
        assumptions=_FINITE + " The search ends at the first success.",
        proof="It goes on only after a failure, so a policy is one path, whose value is J of it. "
        "Checked by Bellman's equation on beliefs.",
        draw=_draw_points,
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
        assumptions=_FINITE,
        proof="A symmetric convex function is Schur-convex, and the balanced vector is majorized "
        "by every other.",
        draw=_draw_points,
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
    Claim(
        id="8.1.5",
        name="bounds from marginal gains",
        statement="From any allocation, J* is at most J plus the N largest gains along candidates, "
        "which is never above N times the largest gain; so is the least over greedy's prefixes.",
        latex=r"J^*\le J(B)+\sum_{N\text{ largest}}\Delta_i(B;r)\le J(B)+N\max_i\Delta_i(B;0)",
        source="new",
        expected="holds",
        assumptions=_FINITE,
        proof="J(B*) ≤ J(B ∨ B*) ≤ J(B) + Σ_i [J(B + d_i e_i) - J(B)] by 8.1.1.",
        draw=_draw_points,
        margin=_margin_lattice,
        tolerance=1e-13,
    ),
    Claim(
        id="8.1.6",
        name="bounds from convexity",
        statement="From any real allocation, F* is at least F e^{-g}, and so at least F (1 - g), "
        "with g the Frank-Wolfe gap of log F.",
        latex=r"F^*\ge F(B)e^{-g}\ge F(B)(1-g),\qquad g=N\max_it_i-B\cdot t",
        source="new",
        expected="holds",
        assumptions=_FINITE + " All p < 1.",
        proof="log F is convex (8.1.1), and -t is its gradient.",
        draw=_draw_points,
        margin=_margin_gap,
        tolerance=1e-12,
    ),
    Claim(
        id="8.1.7",
        name="the certificate",
        statement="From any allocation, log F* is at least log F - G, and the slopes next to it "
        "bound G from above.",
        latex=r"\log F^*\ge\log F(B)-G(B),\qquad G(B)=\max_{\sum B'_i=N}\sum_i(e_i(B_i)-e_i(B'_i))",
        source="new",
        expected="holds",
        assumptions=_LATENT,
        proof="F(B')/F(B) = E_Q Π m_i(B'_i)/m_i(B_i), and Jensen.",
        draw=_draw_mixtures,
        margin=_margin_certificate,
        # Log failures and moments up to 50.
        tolerance=1e-11,
        proved="Coq: Latent.certificate_bound",
    ),
    Claim(
        id="8.1.7",
        name="exact for independent candidates",
        statement="For a product prior the bound is the optimum itself, from any allocation.",
        latex=r"\log F(B)-G(B)=\log F^*\quad\text{for every }B",
        source="new",
        expected="holds",
        assumptions="Independent Betas.",
        proof="e_i is then log m_i, and the maximum in G is over all allocations.",
        draw=_draw_mixtures,
        margin=_margin_product,
        tolerance=1e-11,
    ),
    Claim(
        id="8.1.8",
        name="a proof of optimality in O(k)",
        statement="If no tilted gain that is not taken exceeds one that is, B is optimal.",
        latex=r"\max_i\tau^+_i\le\min_{B_i>0}\tau^-_i\ \Rightarrow\ F(B)=F^*",
        source="new",
        expected="holds",
        assumptions=_LATENT + " Sufficient, not necessary.",
        proof="Then the N largest increments of e are those of B itself, and G = 0.",
        draw=_draw_mixtures,
        margin=_margin_optimal,
        tolerance=1e-11,
        proved="Coq: Latent.latent_optimal",
    ),
    Claim(
        id="8.1.9",
        name="the certificate at real bases",
        statement="With log moments interpolated between integers the certificate at a real base "
        "bounds F* too.",
        latex=r"\log F^*\ge\max_B\left[\log\hat F(B)-\hat G(B)\right]",
        source="new",
        expected="holds",
        assumptions=_LATENT,
        proof="Interpolation leaves log m_i convex in b and equal at integers; Jensen as in 8.1.7.",
        draw=_draw_mixtures,
        margin=_margin_relaxed,
        tolerance=1e-11,
        chunk=1024,
    ),
    Claim(
        id="8.1.11",
        name="greedy flatters its own draws",
        statement="On the draws it was chosen on, greedy's success is too high in the mean.",
        latex=r"\mathbb E\left[\hat J(B_{\hat J})-J(B_{\hat J})\right]\ge0",
        source="new",
        expected="holds",
        assumptions="Four draws of eight points. Its size, about 0.5/M, was measured only.",
        proof="The best on a sample is the best of several noisy means; so judge on fresh draws.",
        draw=_draw_samples,
        margin=_margin_sampling,
        test="mean",
        least=32768,
    ),
)
