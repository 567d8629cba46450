"""How far similarity weights are from directions: the bias of γ (theory 4.5)."""

from collections.abc import Iterator
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory import bias
from dora_theory.claims.check import drawing, shrinking
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.model import similarity as directions


def _draw_block(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    inside, across = drawing.cosines(keys[2], n)
    return {
        "quality": drawing.qualities(keys[0], n, 3),
        "labels": drawing.whole(keys[1], (n, 8), 0, 2),
        "inside": inside,
        "across": across,
        "temperature": drawing.logarithmic(keys[3], n, 0.003, 30),
    }


def _uniqueness(x: Instances, temperature: Array) -> Array:
    similarity = drawing.block_similarity(x["labels"], x["inside"], x["across"])
    return directions.uniqueness_from_similarity(similarity, similarity_temperature=temperature)


def _mass(x: Instances, temperature: Array) -> tuple[Array, Array]:
    """Qualities of the directions that exist, and their shares under DORA's weights, `(n, 3)`."""
    of = jax.nn.one_hot(x["labels"], 3)
    q = drawing.present(x["quality"], of.sum(-2))
    mass = q * (of * _uniqueness(x, temperature)[..., None]).sum(-2)
    return q, mass / mass.sum(-1, keepdims=True)


def _divergence(x: Instances, temperature: Array) -> Array:
    return bias.kl_divergence(*_mass(x, temperature))


def _margin_mass(x: Instances) -> Float[Array, " n"]:
    t, k = x["temperature"], drawing.sizes_of(x["labels"], 3)
    q, mass = _mass(x, t)
    theta = bias.similarity_theta(8, x["inside"], x["across"], t)
    a, b = (jnp.exp(-(1 - x[s]) / t)[:, None] for s in ("inside", "across"))
    own = jnp.take_along_axis(k, x["labels"], -1)
    gamma = 1 / (1 + (own - 1) * a + (8 - own) * b)
    wrong = jnp.abs(gamma - _uniqueness(x, t)), jnp.abs(bias.direction_mass(q, k, theta) - mass)
    return -jnp.maximum(wrong[0].max(-1), wrong[1].max(-1))


def _draw_three(key: Array, n: int) -> Instances:
    keys = jax.random.split(key)
    drawn = _draw_block(keys[0], n)
    more = drawing.logarithmic(keys[1], 2 * n, 0.003, 30).reshape(2, n)
    three = jnp.sort(jnp.stack([drawn["temperature"], *more], -1), -1)
    return drawn | {"temperature": three}


def _margin_u_shape(x: Instances) -> Float[Array, " n"]:
    low, middle, high = (_divergence(x, x["temperature"][:, i]) for i in range(3))
    return jnp.maximum(low, high) - middle


def _margin_ends(x: Instances) -> Float[Array, " n"]:
    t, k = x["temperature"], drawing.sizes_of(x["labels"], 3)
    q, mass = _mass(x, t)
    rebase = bias.kl_divergence(q, bias.solution_level_shares(q, k))
    gap = rebase - bias.kl_divergence(q, mass)
    least = jnp.maximum(
        jnp.expm1((1 - x["inside"]) / t), 8 / jnp.expm1((x["inside"] - x["across"]) / t)
    )
    smallest = jnp.where(k > 0, k, 8).min(-1)
    reach = jnp.log1p((k.max(-1) - smallest) / (smallest + least))
    return jnp.minimum(gap, reach - gap)


def _draw_theta(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    two = drawing.logarithmic(keys[2], 2 * n, 1e-6, 1e6).reshape(n, 2)
    return {
        "quality": drawing.qualities(keys[0], n, 4),
        "sizes": drawing.whole(keys[1], (n, 4), 1, 64),
        "theta": jnp.sort(two, -1),
    }


def _margin_theta(x: Instances) -> Float[Array, " n"]:
    q = x["quality"]
    less, more = (
        bias.kl_divergence(q, bias.direction_mass(q, x["sizes"], x["theta"][:, i]))
        for i in range(2)
    )
    return more - less


def _draw_copies(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    copies = drawing.whole(keys[0], (n,), 3, 8)
    temperature = drawing.logarithmic(keys[1], n, 0.003, 0.3)
    edge = 1 - temperature * jnp.log(copies - 1)
    around = edge + temperature * jax.random.normal(keys[2], (n,))
    return {
        "copies": copies,
        "inside": jnp.clip(around, -1, 1),
        "temperature": temperature,
    }


def _margin_merging(x: Instances) -> Float[Array, " n"]:
    copies, t, s = x["copies"], x["temperature"], x["inside"]
    mask = jnp.arange(8) < copies[:, None]
    one = jnp.zeros(mask.shape, jnp.int32)
    similarity = drawing.block_similarity(one, s, s)
    gamma = directions.uniqueness_from_similarity(similarity, similarity_temperature=t, mask=mask)
    above = jnp.sign(s - (1 - t * jnp.log(copies - 1)))
    return above * (copies / 2 - gamma.sum(-1))


def _draw_cooling(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    two = 2.0 ** jnp.sort(jax.random.choice(keys[3], jnp.arange(-7, 1), (n, 2)), -1)
    return {
        "sizes": drawing.whole(keys[0], (n, 2), 1, 4),
        "inside": drawing.whole(keys[1], (n,), 26, 31) / 32,
        "across": drawing.whole(keys[2], (n,), 8, 24) / 32,
        "temperature": two,
    }


def _margin_cooling(x: Instances) -> Float[Array, " n"]:
    sizes = x["sizes"]
    place = jnp.arange(8)
    labels = jnp.where(place < sizes[:, :1], 0, 1)
    labels = jnp.where(place < sizes.sum(-1, keepdims=True), labels, 2)
    mask = labels < 2
    similarity = drawing.block_similarity(labels, x["inside"], x["across"])
    half = jnp.full(sizes.shape, 0.5)

    def divergence(temperature: Array) -> Array:
        gamma = directions.uniqueness_from_similarity(
            similarity, similarity_temperature=temperature, mask=mask
        )
        mass = (jax.nn.one_hot(labels, 2) * gamma[..., None]).sum(-2)
        return bias.kl_divergence(half, mass / mass.sum(-1, keepdims=True))

    cold, warm = (divergence(x["temperature"][:, i]) for i in range(2))
    return warm - cold


def _exact_divergence(x: dict, temperature: float) -> Decimal:
    """KL of two directions of equal quality, to 50 digits."""
    with localcontext(prec=50):
        t = Decimal(temperature)
        a, b = (((Decimal(x[s]) - 1) / t).exp() for s in ("inside", "across"))
        total = sum(x["sizes"])
        each = [k / (1 + (k - 1) * a + (total - k) * b) for k in map(Decimal, x["sizes"])]
        return -sum((2 * m / sum(each)).ln() for m in each) / 2


def _confirm_cooling(x: dict) -> bool:
    cold, warm = (_exact_divergence(x, t) for t in x["temperature"])
    return x["across"] < x["inside"] and x["temperature"][0] < x["temperature"][1] and cold > warm


def _simpler_cooling(x: dict) -> Iterator[dict]:
    yield from shrinking.fewer(x, "sizes")
    for name in ("inside", "across", "temperature"):
        yield from shrinking.rounder(x, name, (1 / 2, 1 / 4, 1 / 8, 1 / 16))


def _explain_cooling(x: dict) -> str:
    cold, warm = (_exact_divergence(x, t) for t in x["temperature"])
    return (
        f"equal qualities, sizes {x['sizes'][0]} and {x['sizes'][1]}, cosine {x['inside']:g} "
        f"inside and {x['across']:g} across: KL {warm:.6f} at T_s = {x['temperature'][1]:g}, but "
        f"{cold:.6f} at {x['temperature'][0]:g}"
    )


CLAIMS = (
    Claim(
        id="4.5",
        name="mass under similarity weights",
        statement="With cosine s_in inside and s_out across directions γ has a closed form, and "
        "the mass of a direction is ∝ Q_j k_j/(k_j + θ) with one θ for all.",
        latex=r"\gamma_i=\frac1{1+(k_j-1)a+(K-k_j)b},\quad\sum_{i\in E_j}w'_i\propto\frac{Q_jk_j}"
        r"{k_j+\theta},\quad\theta=\frac{1-a+Kb}{a-b},\ a=e^{-\frac{1-s_{in}}{T_s}},\ "
        r"b=e^{-\frac{1-s_{out}}{T_s}}",
        source="new",
        expected="holds",
        assumptions="s_out < s_in; all candidates of a direction share its score.",
        proof="Row i of the softmax has one 1, k_j - 1 times a and K - k_j times b. The sum of γ "
        "over j is k_j/(1 - a + Kb + k_j (a - b)): divide by a - b.",
        draw=_draw_block,
        margin=_margin_mass,
        # Exponents (1 - s)/T_s up to 600 lose their own rounding, 1e-13.
        tolerance=1e-12,
    ),
    Claim(
        id="4.5",
        name="θ is the distance from the aim",
        statement="KL(Q‖mass) rises with θ: from 0 at θ = 0 (Theorem 1) to that of REBASE at ∞.",
        latex=r"\frac{d}{d\theta}\mathrm{KL}(Q\,\|\,m_\theta)=\mathbb E_Q\frac1{k+\theta}-"
        r"\mathbb E_{m_\theta}\frac1{k+\theta}\ge0",
        source="new",
        expected="holds",
        assumptions="All k_j > 0.",
        proof="Differentiate -Σ Q log m_θ. m_θ weighs Q by k/(k+θ), which rises with k, so it "
        "makes the falling 1/(k+θ) smaller on average (Chebyshev's sum inequality).",
        draw=_draw_theta,
        margin=_margin_theta,
        # Divergences up to about 1, from shares with a few ulps each.
        tolerance=1e-14,
    ),
    Claim(
        id="4.5",
        name="bias is U-shaped in T_s",
        statement="Of any three similarity temperatures the middle one is not the worst: "
        "KL(Q‖mass) falls with T_s and then rises, once.",
        latex=r"T_1\le T_2\le T_3\ \Rightarrow\ \mathrm{KL}(T_2)\le\max(\mathrm{KL}(T_1),"
        r"\mathrm{KL}(T_3))",
        source="new",
        expected="holds",
        assumptions="Block model, as in the closed form.",
        proof="With z = e^{-(s_in - s_out)/T_s} and r = (1 - s_in)/(s_in - s_out), "
        "θ + 1 = (z^{-r} + (K-1) z)/(1 - z): convex and positive over linear and positive, so "
        "quasi-convex in z, which rises with T_s; and KL rises with θ.",
        draw=_draw_three,
        margin=_margin_u_shape,
        # As the closed form, of which it is a difference.
        tolerance=1e-12,
    ),
    Claim(
        id="4.5",
        name="both ends are REBASE",
        statement="KL(Q‖mass) is below that of REBASE by at most log((k_max + θ')/(k_min + θ')), "
        "where θ' = max(e^{(1-s_in)/T_s} - 1, K/(e^{(s_in-s_out)/T_s} - 1)) → ∞ as T_s → ∞ and, if "
        "s_in < 1, as T_s → 0.",
        latex=r"0\le\mathrm{KL}_{\mathrm{REBASE}}-\mathrm{KL}(T_s)\le\log\frac{k_{\max}+\theta'}"
        r"{k_{\min}+\theta'}",
        source="new",
        expected="holds",
        assumptions="Block model. A statement about two limits with an explicit bound at each T_s.",
        proof="θ = (e^{(1-s_in)/T_s} - 1 + Kz)/(1 - z) with z as before is at least θ'. The ratio "
        "of m_θ to Q̂ is ∝ θ/(k + θ), which varies by a factor (k_max + θ)/(k_min + θ) at most, a "
        "factor that falls with θ; so no logarithm of a share differs by more.",
        draw=_draw_block,
        margin=_margin_ends,
        # As the closed form; REBASE's own divergence is of the size of 1.
        tolerance=1e-12,
    ),
    Claim(
        id="4.5",
        name="when copies merge",
        statement="k copies of cosine s_in count for less than k/2 directions exactly if "
        "s_in > 1 - T_s log(k - 1).",
        latex=r"\sum_{i\in E}\gamma_i<\tfrac k2\iff s_{in}>1-T_s\ln(k-1)",
        source="new",
        expected="holds",
        assumptions="k ≥ 3, no other direction near. (1 - T_s log k is close to it for large k.)",
        proof="k γ = k/(1 + (k-1) a) < k/2 iff a > 1/(k-1), with a = e^{-(1-s_in)/T_s}.",
        draw=_draw_copies,
        margin=_margin_merging,
        heavy=True,
        # At the edge itself k γ is k/2 to rounding, of which the exponent loses up to 1e-13.
        tolerance=1e-12,
    ),
    Claim(
        id="4.5",
        name="T_s → 0 recovers directions",
        statement="One might conclude that the lower the similarity temperature, the nearer "
        "DORA's weights are to Q.",
        latex=r"T_1<T_2\ \Rightarrow\ \mathrm{KL}(Q\,\|\,m(T_1))\le\mathrm{KL}(Q\,\|\,m(T_2))",
        source="new",
        expected="refuted",
        assumptions="Block model with s_in < 1, two directions of equal quality.",
        proof="As T_s → 0 the softmax of a row sees only its largest entry, the candidate itself: "
        "γ → 1, which is REBASE. Theorem 1 needs s_in = 1.",
        draw=_draw_cooling,
        margin=_margin_cooling,
        # Equal sizes have KL 0 at all temperatures, to rounding.
        tolerance=1e-13,
        confirm=_confirm_cooling,
        simpler=_simpler_cooling,
        explain=_explain_cooling,
    ),
)
