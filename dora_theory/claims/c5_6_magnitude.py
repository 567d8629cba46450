"""Magnitude weighting in place of γ: no upper branch (theory 5.6)."""

from collections.abc import Iterator
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory import bias
from dora_theory.claims.check import drawing, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import magnitude


def _draw_block(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    inside, across = drawing.cosines(keys[2], n)
    return {
        "quality": drawing.qualities(keys[0], n, 3),
        "labels": drawing.whole(keys[1], (n, 6), 0, 2),
        # At 1 copies are one to rounding, which the closed form is not about.
        "inside": jnp.minimum(inside, 0.99),
        "across": jnp.minimum(across, 0.94),
        "temperature": drawing.logarithmic(keys[3], n, 0.01, 10),
    }


def _margin_mass(x: Instances) -> Float[Array, " n"]:
    t = x["temperature"]
    similarity = drawing.block_similarity(x["labels"], x["inside"], x["across"])
    v = magnitude.magnitude_weighting_from_similarity(similarity, similarity_temperature=t)
    z = jnp.exp((similarity - 1) / t[:, None, None])
    off = jnp.abs((z * v[:, None, :]).sum(-1) - 1).max(-1)
    of = jax.nn.one_hot(x["labels"], 3)
    sizes = of.sum(-2)
    q = drawing.present(x["quality"], sizes)
    mass = q * (of * v[..., None]).sum(-2)
    mass = mass / mass.sum(-1, keepdims=True)
    theta = bias.magnitude_theta(x["inside"], x["across"], t)
    wrong = jnp.abs(bias.direction_mass(q, sizes, theta) - mass).max(-1)
    return -jnp.maximum(off, wrong)


def _draw_cosines(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    inside, across = drawing.cosines(keys[0], n)
    two = drawing.logarithmic(keys[2], 2 * n, 0.003, 1e3).reshape(n, 2)
    return {
        "sizes": drawing.whole(keys[1], (n, 3), 1, 21),
        "quality": drawing.qualities(jax.random.fold_in(key, 1), n, 3),
        "inside": inside,
        "across": across,
        "temperature": jnp.sort(two, -1),
    }


def _margin_below(x: Instances) -> Float[Array, " n"]:
    t = x["temperature"][:, 0]
    own = bias.magnitude_theta(x["inside"], x["across"], t)
    candidates = x["sizes"].sum(-1)
    dora = bias.similarity_theta(candidates, x["inside"], x["across"], t)
    more = candidates / jnp.expm1((x["inside"] - x["across"]) / t)
    above = jnp.where(dora > 1e300, 0, dora - own)
    off = jnp.where(dora > 1e300, 0, jnp.abs(above - more))
    # In relation to θ, which may be 1e100; both are ∞ where it overflows.
    smaller = jnp.minimum(above, -off) / jnp.maximum(dora, 1)
    q = x["quality"]
    nearer, farther = (
        bias.kl_divergence(q, bias.direction_mass(q, x["sizes"], theta)) for theta in (own, dora)
    )
    return jnp.minimum(smaller, farther - nearer)


def _margin_falling(x: Instances) -> Float[Array, " n"]:
    s, o = x["inside"], x["across"]
    cold, warm = (bias.magnitude_theta(s, o, x["temperature"][:, i]) for i in range(2))
    least = (1 - s) / (s - o)
    most = least * jnp.exp((1 - o) / x["temperature"][:, 1])
    gaps = cold - warm, warm - least, most - warm
    # In relation to θ, which may be 1e100; both are ∞ where it overflows.
    relative = [
        jnp.where(cold > 1e300, 0, g) / jnp.maximum(jnp.where(cold > 1e300, 1, cold), 1e-300)
        for g in gaps
    ]
    return jnp.minimum(jnp.minimum(relative[0], relative[1]), relative[2])


_draw_angles = drawing.instances(
    positions=lambda key, n: jnp.sort(drawing.whole(key, (n, 3), 0, 12), -1),
    temperature=drawing.powers(-3, 3),
)


def _margin_positive(x: Instances) -> Float[Array, " n"]:
    # Directions (1, t) in the plane, t = position/4, and Cramer's rule for the middle one.
    t = x["positions"] / 4
    unit = jnp.stack([jnp.ones_like(t), t], -1) / jnp.sqrt(1 + t**2)[..., None]
    cosine = (unit[:, :, None] * unit[:, None]).sum(-1)
    z = jnp.exp((cosine - 1) / x["temperature"][:, None, None])
    a, b, c = z[:, 0, 1], z[:, 1, 2], z[:, 0, 2]
    return _middle(a, b, c)


def _middle(a: Array, b: Array, c: Array) -> Array:
    """Weight of the middle candidate times det Z ≥ 0, kernel values a and b to it, c across it."""
    return (1 - c) * (1 + c - a - b)


def _exact_middle(x: dict) -> Decimal:
    with localcontext(prec=50):
        t = [Decimal(p) / 4 for p in x["positions"]]
        temperature = Decimal(x["temperature"])

        def near(i: int, j: int) -> Decimal:
            norm = ((1 + t[i] ** 2) * (1 + t[j] ** 2)).sqrt()
            return (((1 + t[i] * t[j]) / norm - 1) / temperature).exp()

        a, b, c = near(0, 1), near(1, 2), near(0, 2)
        determinant = 1 + 2 * a * b * c - a * a - b * b - c * c
        return (1 - c) * (1 + c - a - b) / determinant


def _confirm_positive(x: dict) -> bool:
    # Of two embeddings in one place Z knows no weights.
    return len(set(x["positions"])) == 3 and _exact_middle(x) < 0


def _simpler_angles(x: dict) -> Iterator[dict]:
    least = min(x["positions"])
    if least > 0:
        yield x | {"positions": [p - least for p in x["positions"]]}
    yield from shrinking.fewer(x, "positions", 0)
    if x["temperature"] != 1:
        yield x | {"temperature": 1.0}


def _explain_positive(x: dict) -> str:
    points = ", ".join(f"(1, {p / 4:g})" for p in x["positions"])
    return (
        f"embeddings {points} at T_s = {x['temperature']:g}: Z v = 1 gives the middle one "
        f"v = {_exact_middle(x):.4f}"
    )


CLAIMS = (
    Claim(
        id="5.6",
        name="mass under magnitude weighting",
        statement="With v from Z v = 1 in place of γ the mass of a direction in the block model is "
        "again ∝ Q_j k_j/(k_j + θ), now with θ = (1 - a)/(a - b).",
        latex=r"Zv=\mathbf 1,\ Z_{ij}=e^{-(1-S_{ij})/T_s}\ \Rightarrow\ \sum_{i\in E_j}w_iv_i"
        r"\propto\frac{Q_jk_j}{k_j+\theta},\quad\theta=\frac{1-a}{a-b}",
        source="new",
        expected="holds",
        assumptions="s_out < s_in < 1; a and b as in 4.5; all candidates of a direction share its "
        "score.",
        proof="By symmetry v is the same inside a direction: (1 - a) v_j + k_j (a - b) v_j + b Σ k "
        "v = 1. The last term is the same for all, so v_j ∝ 1/(k_j + θ). Z v = 1 itself is "
        "checked too.",
        draw=_draw_block,
        margin=_margin_mass,
        # Z has condition number up to k T_s/(1 - s_in) = 1e4, and its diagonal is raised by 1e-14.
        tolerance=1e-9,
    ),
    Claim(
        id="5.6",
        name="magnitude is nearer than γ",
        statement="θ of magnitude weighting is below DORA's by K b/(a - b), and its mass is no "
        "farther from Q.",
        latex=r"\theta_\gamma-\theta_v=\frac{Kb}{a-b}>0,\qquad\mathrm{KL}(Q\,\|\,m_v)\le"
        r"\mathrm{KL}(Q\,\|\,m_\gamma)",
        source="new",
        expected="holds",
        assumptions="s_out < s_in.",
        proof="Subtract the closed forms of 4.5 and 5.6; KL rises with θ (4.5).",
        draw=_draw_cosines,
        margin=_margin_below,
        # A difference of two θ, relative to them; the exponents (1 - s)/T_s lose up to 1e-13.
        tolerance=1e-12,
    ),
    Claim(
        id="5.6",
        name="no upper branch",
        statement="θ of magnitude weighting falls with T_s, and lies between its limit "
        "(1-s_in)/(s_in-s_out) and e^{(1-s_out)/T_s} times that.",
        latex=r"\frac{1-s_{in}}{s_{in}-s_{out}}\le\theta_v(T_s)\le\frac{1-s_{in}}{s_{in}-s_{out}}"
        r"\,e^{(1-s_{out})/T_s},\qquad\theta_v\text{ falls with }T_s",
        source="new",
        expected="holds",
        assumptions="s_out < s_in. A statement about a limit with an explicit bound at each T_s.",
        proof="With φ(x) = (e^x - 1)/x, which rises from φ(-∞) = 0 through φ(0) = 1: θ = (1-s_in)/"
        "(s_in-s_out) · φ((1-s_in)/T_s)/φ(-(s_in-s_out)/T_s). The numerator falls with T_s and "
        "the denominator rises; both tend to 1; φ(x) ≤ e^x and φ(-y) ≥ e^{-y}.",
        draw=_draw_cosines,
        margin=_margin_falling,
        # Relative to θ; the exponents (1 - s)/T_s lose up to 1e-13.
        tolerance=1e-12,
    ),
    Claim(
        id="5.6",
        name="Z⁻¹1 is a weighting",
        statement="The solution of Z v = 1 is non-negative, so that a budget can follow it.",
        latex=r"Z^{-1}\mathbf 1\ge0",
        source="new",
        expected="refuted",
        assumptions="Three different embeddings in the plane.",
        proof="For three embeddings the middle one has v ∝ (1 - c)(1 + c - a - b), with a and b "
        "its kernel values to the others and c theirs. Near 1 they fall as the square of an angle, "
        "so for equal steps 1 - c is about twice (1-a) + (1-b), and the middle is negative. The "
        "package maximizes 2Σv - v'Zv over v ≥ 0 instead.",
        draw=_draw_angles,
        margin=_margin_positive,
        # Coinciding embeddings have exactly 0, to rounding.
        tolerance=1e-9,
        confirm=_confirm_positive,
        simpler=_simpler_angles,
        explain=_explain_positive,
    ),
)
