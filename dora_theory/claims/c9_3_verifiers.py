"""Verifiers that err: their order, their ceiling, and best of N by a noisy score (theory 9.3)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import best_of_n, verifiers
from dora_theory.claims.check import drawing, rational
from dora_theory.claims.check.claim import Claim, Instances

_K, _N = 3, 4
_NODES, _WEIGHTS = 64, 400


def _draw(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 6)
    f = jax.random.uniform(keys[2], (n,), maxval=0.8)
    return {
        "weights": jax.random.uniform(keys[0], (n, _K), minval=0.02, maxval=0.98),
        "concentration": drawing.logarithmic(keys[1], n, 0.1, 20),
        "false_positive": f,
        "true_positive": f + (1 - f) * jax.random.uniform(keys[3], (n,), minval=0.05),
        "penalty": 3 * jax.random.uniform(keys[4], (n,)),
        "no_answer": jnp.maximum(0, 2 * jax.random.uniform(keys[5], (n,)) - 1),
    }


def _moments(x: Instances, most: int) -> Array:
    """E[p^m] of each candidate, m = 0 … most, shape `(n, k, most + 1)`."""
    w, kappa = x["weights"][..., None], x["concentration"][:, None, None]
    r = jnp.arange(most)
    steps = jnp.cumprod((kappa * w + r) / (kappa + r), -1)
    return jnp.concatenate([jnp.ones_like(steps[..., :1]), steps], -1)


def _means(x: Instances, most: int) -> Array:
    """E[p ρ^r]/E[ρ^r], r = 0 … most, by the alternating sum; shape `(n, k, most + 1)`."""
    p = _moments(x, most + 1)
    t, f = (x[name][:, None] for name in ("true_positive", "false_positive"))
    found = []
    for r in range(most + 1):
        binomial = [1.0]
        for m in range(r):
            binomial.append(binomial[-1] * (r - m) / (m + 1))
        terms = [c * (1 - f) ** (r - m) * (f - t) ** m for m, c in enumerate(binomial)]
        whole = sum(c * p[..., m] for m, c in enumerate(terms))
        found.append(sum(c * p[..., m + 1] for m, c in enumerate(terms)) / whole)
    return jnp.stack(found, -1)


def _margin_thinning(x: Instances) -> Float[Array, " n"]:
    t, f = (jnp.broadcast_to(x[n][:, None], x["weights"].shape) for n in _RATES)
    kappa = x["concentration"][:, None]
    means = jax.vmap(lambda w, kappa, t, f: verifiers.rejection_means(w, kappa, t, f, _N + 1))
    found = means(x["weights"], kappa, t, f)
    return -jnp.abs(jnp.swapaxes(found, 1, 2) - _means(x, _N)).max((-1, -2))


_RATES = "true_positive", "false_positive"


def _bellman(mu: Array, x: Instances, rates: tuple[Array, Array]) -> Array:
    """The best value of any policy of `_N` rollouts, over all counts of rejections."""
    t, f = (y[..., None] for y in rates)
    accept = f + (t - f) * mu
    reward = t * mu - x["penalty"][:, None, None] * f * (1 - mu)
    none = x["no_answer"][:, None, None, None]
    size = _N + 1
    value = jnp.broadcast_to(none, (mu.shape[0], size, size, size))
    spent = sum(
        jnp.arange(size).reshape([-1 if a == i else 1 for a in range(_K)]) for i in range(_K)
    )
    shape = [[-1, *(size if a == i else 1 for a in range(_K))] for i in range(_K)]
    for _ in range(_N):
        ways = [jnp.broadcast_to(none, value.shape)]
        for i in range(_K):
            a, r = (y[:, i].reshape(shape[i]) for y in (accept, reward))
            ways.append(r + (1 - a) * jnp.roll(value, -1, i + 1))
        value = jnp.where(spent < _N, jnp.stack(ways).max(0), none)
    return value[:, 0, 0, 0]


def _planned(x: Instances, rates: tuple[Array, Array], method: verifiers.Method) -> Array:
    given = x["weights"], x["concentration"], *rates
    more = {"penalty": x["penalty"], "no_answer": x["no_answer"]}
    plan = verifiers.verifier_order(*given, _N, **more, method=method)
    return verifiers.verifier_outcome(*given, plan.order, **more).value


def _margin_order(x: Instances) -> Float[Array, " n"]:
    rates = x["true_positive"], x["false_positive"]
    true, false = (jnp.broadcast_to(y[:, None], x["weights"].shape) for y in rates)
    return -jnp.abs(_planned(x, rates, "auto") - _bellman(_means(x, _N), x, (true, false)))


def _draw_own(key: Array, n: int) -> Instances:
    one, two, three = jax.random.split(key, 3)
    # Quarters, so that a reader can check a counterexample by hand.
    f = drawing.whole(two, (n, 2), 0, 2)
    t = jnp.minimum(f + drawing.whole(three, (n, 2), 1, 4), 4)
    return {"chances": drawing.whole(one, (n, 2), 1, 3), "t": t, "f": f}


def _margin_capped(x: Instances) -> Float[Array, " n"]:
    reward = x["t"] * x["chances"]
    index = reward / (4 * x["f"] + (x["t"] - x["f"]) * x["chances"])
    chosen = jnp.take_along_axis(reward, index.argmax(-1)[:, None], -1)[:, 0]
    return (chosen - reward.max(-1)).astype(float)


def _capped(x: dict) -> tuple[list[Fraction], list[Fraction]]:
    """Rewards R and indices R/A of the two."""
    rewards, indices = [], []
    for quarters in zip(x["chances"], x["t"], x["f"], strict=True):
        p, t, f = (Fraction(y, 4) for y in quarters)
        rewards.append(t * p)
        indices.append(t * p / (f + (t - f) * p))
    return rewards, indices


def _confirm_capped(x: dict) -> bool:
    rewards, indices = _capped(x)
    return indices[0] != indices[1] and rewards[indices.index(max(indices))] < max(rewards)


def _simpler_capped(x: dict) -> Iterator[dict]:
    for name in ("chances", "t", "f"):
        for i, now in enumerate(x[name]):
            least = {"chances": 1, "t": x["f"][i] + 1, "f": 0}[name]
            for less in range(least, now):
                yield {**x, name: [less if j == i else y for j, y in enumerate(x[name])]}


def _explain_capped(x: dict) -> str:
    p, t, f = ([Fraction(y, 4) for y in x[name]] for name in ("chances", "t", "f"))
    rewards, indices = _capped(x)
    return (
        f"p = {rational.listed(p)}, t = {rational.listed(t)}, f = {rational.listed(f)}: R = "
        f"{rational.listed(rewards)}, R/A = {rational.listed(indices)}"
    )


def _draw_own_rates(key: Array, n: int) -> Instances:
    one, two, three = jax.random.split(key, 3)
    x = _draw(one, n)
    f = jax.random.uniform(two, (n, _K), maxval=0.8)
    t = f + (1 - f) * jax.random.uniform(three, (n, _K), minval=0.05)
    return x | {"true_positive": t, "false_positive": f}


def _margin_own(x: Instances) -> Float[Array, " n"]:
    rates = x["true_positive"], x["false_positive"]
    means = []
    for i in range(_K):
        one = {**x, "true_positive": rates[0][:, i], "false_positive": rates[1][:, i]}
        means.append(_means(one, _N)[:, i])
    best = _bellman(jnp.stack(means, 1), x, rates)
    return -jnp.abs(_planned(x, rates, "auto") - best)


def _margin_ceiling(x: Instances) -> Float[Array, " n"]:
    w, kappa = x["weights"][:, :1], x["concentration"]
    rates = x["true_positive"], x["false_positive"] + 0.01
    rates = jnp.maximum(rates[0], rates[1] + 0.05), rates[1]
    top = verifiers.verifier_ceiling(w, kappa, *rates)[:, 0]
    plan = verifiers.verifier_order(w, kappa, *rates, _WEIGHTS)
    # What is still open may all be right; precision falls on the way.
    done = plan.right[:, -1] + plan.wrong[:, -1]
    precision = plan.right / (plan.right + plan.wrong)
    falls = -jnp.diff(precision, axis=-1).max(-1)
    between = jnp.minimum(top - plan.right[:, -1], plan.right[:, -1] + (1 - done) - top)
    return jnp.minimum(between, falls)


_draw_scores = drawing.instances(
    chance=drawing.uniform(1, minval=0.02, maxval=0.9),
    separation=lambda key, n: 3 * jax.random.uniform(key, (n,), minval=0.05),
    scale=lambda key, n: jnp.exp(jax.random.uniform(key, (n,), minval=-1, maxval=1)),
    rollouts=drawing.integers(1, 200),
)


def _margin_rises(x: Instances) -> Float[Array, " n"]:
    def at(n: Array) -> Array:
        return best_of_n.best_of_n_accuracy(
            x["chance"], None, n[:, None], x["separation"] * x["scale"],
            right_scale=x["scale"], wrong_scale=x["scale"], nodes=_WEIGHTS,
        )  # fmt: skip

    return at(x["rollouts"] + 1) - at(x["rollouts"])


def _margin_always_rises(x: Instances) -> Float[Array, " n"]:
    def at(n: int) -> Array:
        given = jnp.full(x["chance"].shape, n)
        wide = 1 + x["scale"]
        return best_of_n.best_of_n_accuracy(
            x["chance"], None, given, x["separation"], wrong_scale=wide, nodes=_WEIGHTS
        )

    return at(1 << 16) - at(64)


def _accuracy(x: dict, n: int) -> Any:
    """Best of n for known p in 30 digits, right scores N(d, 1), wrong ones N(0, σ²)."""
    import mpmath

    with mpmath.workdps(30):
        p, d, wide = (mpmath.mpf(y) for y in (x["chance"][0], x["separation"], 1 + x["scale"]))

        def density(s: Any) -> Any:
            below = p * mpmath.ncdf(s - d) + (1 - p) * mpmath.ncdf(s / wide)
            return n * p * mpmath.npdf(s - d) * below ** (n - 1)

        ends = [d - 9, *(d + i for i in range(-3, 6)), d + 9]
        return mpmath.quad(density, ends)


def _confirm_rises(x: dict) -> bool:
    return bool(_accuracy(x, 1 << 16) < _accuracy(x, 64))


def _no_simpler(x: dict) -> Iterator[dict]:
    return iter(())


def _explain_rises(x: dict) -> str:
    few, many = (float(_accuracy(x, n)) for n in (64, 1 << 16))
    return (
        f"p = {x['chance'][0]:.4g}, d = {x['separation']:.4g}, σ_1 = 1, σ_0 = "
        f"{1 + x['scale']:.4g}: P = {few:.4f} at N = 64, {many:.4f} at N = 65536"
    )


_draw_allocations = drawing.instances(
    weights=drawing.uniform(_K, minval=0.02, maxval=0.9),
    concentration=drawing.log_uniform(0.2, 10),
    allocation=lambda key, n: drawing.whole(key, (n, _K), 0, 4).at[:, 0].add(1),
)


def _margin_ends(x: Instances) -> Float[Array, " n"]:
    from dora_theory.model.objective import success_probability

    given = x["weights"], x["concentration"], x["allocation"]

    def at(d: float) -> Array:
        return best_of_n.best_of_n_accuracy(*given, d, nodes=_NODES * 8, max_rollouts=5)

    blind = (x["weights"] * x["allocation"]).sum(-1) / x["allocation"].sum(-1)
    perfect = success_probability(*given)
    return -jnp.maximum(jnp.abs(at(0.0) - blind), jnp.abs(at(30.0) - perfect))


CLAIMS = (
    Claim(
        id="9.3.1",
        name="a rejection is a failure known with probability v",
        statement="The posterior mean after r rejections follows from a recursion of positive "
        "terms.",
        latex=r"W'_j=(1-v)W_j+vW_{j-1}\frac{b+j-1}{a+b+j-1},\quad v=\frac{t-f}{1-f}",
        source="new",
        expected="holds",
        assumptions="p ~ Beta(a, b), up to four rejections.",
        proof="A wrong answer is rejected with 1 - f, a right one with 1 - t: as if a failure were "
        "seen with probability v and nothing else. Checked against the alternating sum of moments.",
        draw=_draw,
        margin=_margin_thinning,
        # Four terms of alternating sign up to 1, over a sum that may be 1e-3.
        tolerance=1e-9,
    ),
    Claim(
        id="9.3.2",
        name="largest posterior mean, until the risk is not worth it",
        statement="With one t and f the largest mean after the rejections so far, until R ≤ A D, "
        "is optimal for every N, price of a wrong answer and value of none.",
        latex=r"\max_\pi P(\text{right})-\lambda P(\text{wrong})+D\,P(\text{none})",
        source="new",
        expected="holds",
        assumptions="Stops at the first acceptance; three candidates, N = 4.",
        proof="i before j iff R_i/A_i ≥ R_j/A_j, which rises in μ; means fall, so the N largest "
        "come in order. Checked against Bellman's equation.",
        draw=_draw,
        margin=_margin_order,
        tolerance=1e-9,
        chunk=1024,
    ),
    Claim(
        id="9.3.2",
        name="the program over counts for rates of their own",
        statement="Where candidates have their own rates, the program over counts of rejections is "
        "worth what the best policy is.",
        latex=r"V(r)=\max\{D,\ \max_i R_i+(1-A_i)V(r+e_i)\}",
        source="new",
        expected="holds",
        assumptions="Three candidates, N = 4.",
        proof="Only rejections are ever learned, so their counts are the state. Checked with means "
        "by the alternating sum.",
        draw=_draw_own_rates,
        margin=_margin_own,
        tolerance=1e-9,
        chunk=1024,
    ),
    Claim(
        id="9.3.2",
        name="an index for rates of their own under a cap",
        statement="With one rollout the largest R/A is the best one, where rates differ.",
        latex=r"\arg\max_i R_i/A_i=\arg\max_i R_i",
        source="new",
        expected="refuted",
        assumptions="N = 1, known chances, λ = D = 0.",
        proof="p = 1/2: t = 1/2, f = 0 has R = 1/4 and R/A = 1; t = 1, f = 1/2 has R = 1/2 and "
        "R/A = 2/3.",
        draw=_draw_own,
        margin=_margin_capped,
        confirm=_confirm_capped,
        simpler=_simpler_capped,
        explain=_explain_capped,
    ),
    Claim(
        id="9.3.3",
        name="the ceiling of a verifier that errs",
        statement="With false acceptances P(right) of one candidate tends to a ceiling below 1, "
        "and precision falls at every step.",
        latex=r"P(\text{right})\to\mathbb E\frac{tp}{f+(t-f)p}",
        source="new",
        expected="holds",
        assumptions="One candidate, f ≥ 0.01, t ≥ f + 0.05, 400 rollouts.",
        proof="Given p the first acceptance is right with tp/(f + (t-f)p), whenever it comes. "
        "Checked: the ceiling lies between P(right) after 400 rollouts and that with all that is "
        "open.",
        draw=_draw,
        margin=_margin_ceiling,
        # 1e-11 of the continued fraction.
        tolerance=1e-10,
        chunk=128,
        min_instances=128,
    ),
    Claim(
        id="9.3.4",
        name="best of N rises where scores spread alike",
        statement="With scores of one spread and right ones higher, best of N is more often right "
        "the larger N is.",
        latex=r"\sigma_1=\sigma_0,\ d>0\ \Rightarrow\ P_{N+1}\ge P_N",
        source="new",
        expected="holds",
        assumptions="Normal scores, known p, N up to 200.",
        proof="P = E π(S_(N)) with π(s) = P(right | score s), which rises in s, and the top score "
        "rises with N.",
        draw=_draw_scores,
        margin=_margin_rises,
        # Quadrature by 400 nodes.
        tolerance=1e-9,
        chunk=512,
    ),
    Claim(
        id="9.3.4",
        name="best of N always rises",
        statement="Best of N is never worse for a larger N, whatever the spreads are.",
        latex=r"P_{2^{16}}\ge P_{64}",
        source="new",
        expected="refuted",
        assumptions="Wrong scores spread more widely than right ones.",
        proof="Above some score π falls: the highest scores are wrong ones'. P peaks and tends to "
        "0.",
        draw=_draw_scores,
        margin=_margin_always_rises,
        tolerance=1e-6,
        chunk=512,
        confirm=_confirm_rises,
        simpler=_no_simpler,
        explain=_explain_rises,
    ),
    Claim(
        id="9.3.5",
        name="best of N between a blind choice and a perfect one",
        statement="Over candidates best of N is Σ B w/N without separation and J with all of it.",
        latex=r"P_{d=0}=\sum_iB_iw_i/N,\qquad P_{d\to\infty}=J(B)",
        source="new",
        expected="holds",
        assumptions="Three candidates, up to five rollouts of each; d = 30 stands for ∞.",
        proof="Without separation the best is any of the N; with all of it any right one beats "
        "every wrong one. Both ends are checked of the integral, by 512 nodes.",
        draw=_draw_allocations,
        margin=_margin_ends,
        tolerance=1e-7,
        chunk=256,
        min_instances=256,
    ),
)
