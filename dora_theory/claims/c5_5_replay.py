"""What a log says about other allocations, without bias (theory 5.5)."""

from collections.abc import Iterator
from fractions import Fraction
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.replay.estimate import estimator

_LOGGED = 24
# All outcomes of six continuations, and all choices among them, (64, 6).
_EVERY = np.array(list(np.ndindex(*6 * (2,))), bool)


def _draw_log(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    logged = drawing.whole(keys[0], (n,), 1, _LOGGED)
    return {
        "logged": logged,
        "rollouts": jnp.floor(jax.random.uniform(keys[1], (n,)) * (logged + 1)).astype(jnp.int32),
        "chance": jax.random.uniform(keys[2], (n,)),
    }


def _outcomes(logged: Array, chance: Array) -> Array:
    """Chance of c right of n logged, `(n, 25)`, one continuation after the other."""
    rows = jnp.eye(_LOGGED + 1)[0] * jnp.ones_like(chance)[:, None]

    def log(step: Array, rows: Array) -> Array:
        more = jnp.pad(rows[:, :-1], ((0, 0), (1, 0)))
        longer = (1 - chance)[:, None] * rows + chance[:, None] * more
        return jnp.where((step < logged)[:, None], longer, rows)

    return jax.lax.fori_loop(0, _LOGGED, log, rows)


def _margin_unbiased(x: Instances) -> Float[Array, " n"]:
    logged, p = x["logged"][:, None], x["chance"]
    correct = jnp.minimum(jnp.arange(_LOGGED + 1), logged)
    found = jnp.exp(estimator.hypergeometric_log_failure(logged, correct, x["rollouts"][:, None]))
    mean = (_outcomes(x["logged"], p) * found).sum(-1)
    return -jnp.abs(mean - (1 - p) ** x["rollouts"])


def _draw_outcomes(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    logged = drawing.whole(keys[0], (n,), 1, 6)
    return {
        "correct": jax.random.bernoulli(keys[1], 0.4, (n, 6)) & (jnp.arange(6) < logged[:, None]),
        "logged": logged,
        "rollouts": jnp.floor(jax.random.uniform(keys[2], (n,)) * (logged + 1)).astype(jnp.int32),
    }


def _margin_subsets(x: Instances) -> Float[Array, " n"]:
    there = jnp.arange(6) < x["logged"][:, None]
    chosen = (there[:, None] | ~_EVERY).all(-1) & (_EVERY.sum(-1) == x["rollouts"][:, None])
    fails = chosen & ~(_EVERY & x["correct"][:, None]).any(-1)
    found = estimator.hypergeometric_log_failure(x["logged"], x["correct"].sum(-1), x["rollouts"])
    return -jnp.abs(jnp.exp(found) - fails.sum(-1) / chosen.sum(-1))


_draw_prefixes = drawing.instances(allocation=drawing.integers(0, 1, 5), chances=drawing.uniform(2))


def _margin_product(x: Instances) -> Float[Array, " n"]:
    # Every second outcome of six is every outcome of the first five.
    prefix, outcomes = jnp.array([0, 0, 0, 1, 1]), _EVERY[::2, :5]
    given, p = x["allocation"], x["chances"]
    found = estimator.replayed_success(given[:, None], prefix, outcomes, 2)
    each = jnp.where(outcomes, p[:, None, prefix], 1 - p[:, None, prefix]).prod(-1)
    spent = jnp.stack([given[:, :3].sum(-1), given[:, 3:].sum(-1)], -1)
    truth = 1 - ((1 - p) ** spent).prod(-1)
    wrong = jnp.abs((each * found.lower).sum(-1) - truth)
    return -jnp.where(found.clipped.any(-1), 1, wrong)


_draw_plug_in = drawing.instances(
    logged=drawing.integers(8, _LOGGED),
    rollouts=drawing.integers(1, 8),
    sixteenths=drawing.integers(0, 16),
)


def _margin_plug_in(x: Instances) -> Float[Array, " n"]:
    n, p = x["logged"], x["sixteenths"] / 16
    share = jnp.arange(_LOGGED + 1) / n[:, None]
    found = jnp.where(share <= 1, 1 - share, 0) ** x["rollouts"][:, None]
    return -jnp.abs((_outcomes(n, p) * found).sum(-1) - (1 - p) ** x["rollouts"])


def _plug_in(x: dict) -> tuple[Fraction, Fraction, Fraction]:
    """The chance p, the mean of the plug-in estimate, and the failure that it estimates."""
    n, b, p = x["logged"], x["rollouts"], Fraction(x["sixteenths"], 16)
    mean = sum(
        (comb(n, c) * p**c * (1 - p) ** (n - c) * Fraction(n - c, n) ** b for c in range(n + 1)),
        Fraction(0),
    )
    return p, mean, (1 - p) ** b


def _confirm_plug_in(x: dict) -> bool:
    _, mean, truth = _plug_in(x)
    return mean != truth


def _simpler_plug_in(x: dict) -> Iterator[dict]:
    yield from shrinking.fewer(x, "rollouts")
    # A log of as many as are asked for: with fewer no estimate is without bias.
    yield from shrinking.fewer(x, "logged", x["rollouts"])
    if x["sixteenths"] != 8:
        yield x | {"sixteenths": 8}


def _explain_plug_in(x: dict) -> str:
    p, mean, truth = _plug_in(x)
    return (
        f"n = {x['logged']}, B = {x['rollouts']}, p = {p}: the mean of (1 - c/n)^B is {mean}, "
        f"the failure {rational.listed([truth])}"
    )


CLAIMS = (
    Claim(
        id="5.5",
        name="the estimate is without bias",
        statement="Over logs of n continuations the mean of C(n-c, B)/C(n, B) is the failure of B "
        "further rollouts, for every chance p.",
        latex=r"\mathbb E_{c\sim\mathrm{Bin}(n,p)}\binom{n-c}B\Big/\binom nB=(1-p)^B,\ B\le n",
        source="new",
        expected="holds",
        assumptions="Continuations independent, of one chance p; n ≤ 24.",
        proof="It is the share of B-subsets of the n that are all wrong (below), and each subset "
        "is all wrong with probability (1-p)^B. Checked by summing over all c.",
        draw=_draw_log,
        margin=_margin_unbiased,
        heavy=True,
        # A sum of 25 products of chances.
        tolerance=1e-13,
    ),
    Claim(
        id="5.5",
        name="the estimate counts subsets",
        statement="C(n-c, B)/C(n, B) is the share of the B-subsets of the log that are all wrong.",
        latex=r"\frac{\binom{n-c}B}{\binom nB}=\frac{\#\{S:|S|=B,\ S\ \text{all wrong}\}}"
        r"{\#\{S:|S|=B\}}",
        source="new",
        expected="holds",
        assumptions="n ≤ 6; all subsets are counted.",
        proof="n - c of the n are wrong, and B of them are chosen.",
        draw=_draw_outcomes,
        margin=_margin_subsets,
        # An exponential of a logarithm.
        tolerance=1e-14,
    ),
    Claim(
        id="5.5",
        name="the product over prefixes is without bias",
        statement="The product of the estimates of all prefixes has the joint failure as its mean.",
        latex=r"\mathbb E\prod_j\frac{\binom{n_j-c_j}{B_j}}{\binom{n_j}{B_j}}=\prod_j(1-p_j)^{B_j}",
        source="new",
        expected="holds",
        assumptions="Logs of prefixes are independent; the allocation does not look at outcomes. "
        "Prefixes of three and of two continuations, all 32 outcomes.",
        proof="The mean of a product of independent factors is the product of their means.",
        draw=_draw_prefixes,
        margin=_margin_product,
        heavy=True,
        # A sum of 32 products of chances.
        tolerance=1e-13,
    ),
    Claim(
        id="5.5",
        name="the plug-in estimate",
        statement="(1 - c/n)^B, with the share of correct continuations put in for p, estimates "
        "the failure without bias too.",
        latex=r"\mathbb E_{c\sim\mathrm{Bin}(n,p)}\Big(1-\frac cn\Big)^B=(1-p)^B",
        source="new",
        expected="refuted",
        assumptions="B ≤ n, p a multiple of 1/16.",
        proof="The power is convex, so its mean exceeds the power of the mean (Jensen) for B ≥ 2 "
        "and 0 < p < 1: it draws with replacement.",
        draw=_draw_plug_in,
        margin=_margin_plug_in,
        # A sum of 25 products of chances.
        tolerance=1e-13,
        confirm=_confirm_plug_in,
        simpler=_simpler_plug_in,
        explain=_explain_plug_in,
    ),
)
