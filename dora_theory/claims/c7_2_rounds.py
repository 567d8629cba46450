"""One budget for many problems in R batches, each fixed and then seen (theory 7.2f to 7.2i)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import adaptive_value, fluid_rounds, rounds
from dora_theory.claims.check import drawing
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model.priors import BetaPrior

_N, _DEPTH, _R = 4, 6, 3


_draw_pairs = drawing.instances(
    alpha=lambda key, n: drawing.whole(key, (n, 2), 0, 6).astype(float) / 2,
    beta=lambda key, n: drawing.whole(key, (n, 2), 1, 9).astype(float) / 2,
    values=lambda key, n: drawing.whole(key, (n, 2), 1, 3).astype(float),
)


def _two_rounds(x: Instances) -> Float[Array, " n"]:
    """The best first batch of two problems, every outcome followed by the best second one."""
    f = many.unsolved(many.hazards(x["alpha"], x["beta"], _N))
    v, zero = x["values"], jnp.zeros(f.shape[0])

    def more(i: int, failed: int, rolled: int) -> Array:
        before = f[:, i, failed]
        after = f[:, i, failed + rolled]
        return v[:, i] * jnp.where(before > 0, 1 - after / jnp.where(before > 0, before, 1), 0)

    best = zero
    for s in range(_N + 1):
        for t in range(_N + 1 - s):
            left = _N - s - t
            both = zero
            for r in range(left + 1):
                both = jnp.maximum(both, more(0, s, r) + more(1, t, left - r))
            fail = f[:, 0, s], f[:, 1, t]
            gain = v[:, 0] * (1 - fail[0]) + v[:, 1] * (1 - fail[1]) + fail[0] * fail[1] * both
            gain += fail[0] * (1 - fail[1]) * more(0, s, left)
            gain += (1 - fail[0]) * fail[1] * more(1, t, left)
            best = jnp.maximum(best, gain)
    return best


def _margin_bound(x: Instances) -> Float[Array, " n"]:
    prior = BetaPrior(x["alpha"][..., None], x["beta"][..., None])
    bounds = [rounds.rounds_plan(x["values"], prior, _N, r, depth=_N).bound for r in (1, 2, 3)]
    looking = adaptive_value.adaptive_bound(x["values"], prior, _N).value
    steps = [bounds[1] - bounds[0], bounds[2] - bounds[1], looking - bounds[2]]
    return jnp.minimum(jnp.stack(steps).min(0), bounds[1] - _two_rounds(x))


_draw_depths = drawing.instances(
    scale=drawing.log_uniform(0.1, 100),
    budget=drawing.log_uniform(0.01, 1e3),
    split=lambda key, n: jax.random.dirichlet(key, jnp.ones(_R), (n,)),
)


def _margin_equal(x: Instances) -> Float[Array, " n"]:
    # f(s) = b/(b + s): a round that spends σn at f(s) goes on by σn/f(s).
    b, n = x["scale"], x["budget"]
    depth = jnp.zeros_like(b)
    for r in range(_R):
        depth = depth + x["split"][:, r] * n * (1 + depth / b)
    return -jnp.log1p(depth / b) + _R * jnp.log1p(n / (b * _R))


def _draw_hazards(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    scale = drawing.logarithmic(keys[0], n, 0.02, 1)[:, None]
    steps = jax.random.uniform(keys[1], (n, _DEPTH)) ** 4
    hazard = scale * jnp.cumprod(1 - steps, -1)
    return {"hazards": hazard, "depth": drawing.whole(keys[2], (n,), 1, _DEPTH)}


def _margin_kept(x: Instances) -> Float[Array, " n"]:
    f = many.unsolved(x["hazards"])
    cost = jnp.cumsum(f, -1)[:, :-1]
    at = (x["depth"] - 1)[:, None]
    spent = jnp.take_along_axis(cost, at, -1)[:, 0]
    solved = 1 - jnp.take_along_axis(f, at + 1, -1)[:, 0]
    one = jnp.ones((1,))
    margins = []
    for r in (1, 2, 4):

        def bound(price: Array, failure: Array, r: int = r) -> Array:
            return rounds._stages(one, failure[None], price, r)[0][0]

        def fluid(failure: Array, spent: Array) -> Array:
            """The best of R rounds at this cost on average over many copies: min over prices."""

            def shrink(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
                low, high = ends
                one, two = low + (high - low) / 3, high - (high - low) / 3
                left = one * spent + bound(one, failure) < two * spent + bound(two, failure)
                return jnp.where(left, low, one), jnp.where(left, two, high)

            low, high = jax.lax.fori_loop(0, 32, shrink, (jnp.zeros(()), jnp.ones(())))
            price = (low + high) / 2
            return price * spent + bound(price, failure)

        kept = 1 - fluid_rounds.identical_rounds(r, 1.0).unsolved
        margins.append(jax.vmap(fluid)(f, spent) - kept * solved)
    return jnp.stack(margins).min(0)


_draw_power = drawing.instances(
    tenths=drawing.integers(1, 9),
    budget=drawing.log_uniform(1e3, 1e9),
    split=lambda key, n: jax.random.dirichlet(key, jnp.full(_R, 2.0), (n,)),
)


def _margin_shares(x: Instances) -> Float[Array, " n"]:
    tenths = [t / 10 for t in range(1, 10)]
    best = jnp.array([fluid_rounds.split_shares(a, _R) for a in tenths])[x["tenths"] - 1]
    exponent = jnp.array([fluid_rounds.rounds_exponent(a, _R) for a in tenths])[x["tenths"] - 1]
    a, log_n = x["tenths"] / 10, jnp.log(x["budget"])

    def log_unsolved(split: Array) -> Array:
        # At depth s the share s^-a is left to roll.
        log_depth = jnp.zeros_like(log_n)
        for r in range(_R):
            log_depth = jnp.log(split[:, r]) + log_n + a * log_depth
        return -a * log_depth

    there = log_unsolved(best)
    # The unsolved fall with the exponent, so this factor of rollouts makes up for the split.
    dearer = (log_unsolved(x["split"]) - there) / exponent
    divergence = (best * jnp.log(best / x["split"])).sum(-1)
    return -jnp.abs(dearer - divergence)


CLAIMS = (
    Claim(
        id="7.2f",
        name="a bound of R rounds",
        statement="The bound of R rounds, a dynamic program over depths at each price, is above "
        "the best policy of R rounds, rises with R and stays below that of looking always.",
        latex=r"V_R\le\lambda N+\sum_m\max_{s_1\le\dots\le s_R}\Big[v(1-F(s_R))-\lambda\sum_r"
        r"(s_r-s_{r-1})F(s_{r-1})\Big]",
        source="new",
        expected="holds",
        assumptions="Independent problems, hazards that fall along failures.",
        proof="A policy that rolls a problem at most s_r times by round r pays for a round only "
        "where the ones before failed. Charging λ a rollout and adding λN, each problem can do no "
        "better than its own maximum. Another round may be left empty, and rounds of one rollout "
        "are looking. Checked against the best two rounds of two problems, all splits.",
        draw=_draw_pairs,
        margin=_margin_bound,
        # The price is bisected: the bound is flat at its minimum.
        tolerance=1e-9,
        chunk=512,
    ),
    Claim(
        id="7.2g",
        name="equal budgets for Beta(1, b)",
        statement="Where the share unsolved at depth s is b/(b + s), R rounds leave at least "
        "(1 + n/(bR))^-R, which equal budgets reach.",
        latex=r"f_R=\Big(1+\frac{n}{bR}\Big)^{-R}",
        source="new",
        expected="holds",
        assumptions="Many problems, shares and rollouts real; p ~ Beta(1, b).",
        proof="A round that spends σ_r n at the share f(s) multiplies 1 + s/b by 1 + σ_r n/b. The "
        "product over rounds with Σ σ = 1 is largest where all are equal.",
        draw=_draw_depths,
        margin=_margin_equal,
        # Logarithms up to 30.
        tolerance=1e-13,
    ),
    Claim(
        id="7.2h",
        name="what R rounds keep at least",
        statement="R rounds keep at least 1 - u_R of what looking at every outcome solves, 63, 74 "
        "and 82% for R = 1, 2, 4, with u_R the share that they leave of problems with one small p.",
        latex=r"\text{R rounds at the cost of depth }c\ \ge\ (1-u_R)\,(1-F(c))",
        source="new",
        expected="holds",
        assumptions="Many problems of one kind, so that costs are met on average; hazards fall.",
        proof="Proved where rollouts are real: with H = ∫ h the depth s(H) is convex, and the "
        "batched cost of the worst case is met at smaller H, where a rollout costs less. For "
        "integers it is checked here, and not proved.",
        draw=_draw_hazards,
        margin=_margin_kept,
        # The price is narrowed down to 3e-6; off its place the bound is a little higher.
        tolerance=1e-7,
        chunk=512,
    ),
    Claim(
        id="7.2i",
        name="the best split under a power law",
        statement="Where the share s^-a is unsolved at depth s, a < 1, R rounds leave least with "
        "budgets ∝ a^-r, and any other split σ costs exp KL(π‖σ) times the rollouts.",
        latex=r"\pi_r\propto a^{-r},\qquad f\sim n^{-(a+a^2+\dots+a^R)},\qquad "
        r"\frac{n_\sigma}{n_\pi}=e^{\mathrm{KL}(\pi\Vert\sigma)}",
        source="new",
        expected="holds",
        assumptions="Many problems, shares and rollouts real; the law is exact from depth 1 on, "
        "and a round's depth is what its budget buys of the unsolved, s_{r+1} = σ n s_r^a.",
        proof="log f = -a Σ a^{R-r} log σ_r - (a + … + a^R) log n: a weighted sum of log σ, whose "
        "weights over their sum are π. Gibbs' inequality gives the best split and the price.",
        draw=_draw_power,
        margin=_margin_shares,
        # A quotient by an exponent of 0.1 at least of logarithms up to 60.
        tolerance=1e-12,
    ),
)
