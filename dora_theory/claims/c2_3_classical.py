"""Classical apportionment as points on one line of confidence (theory 2.3)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dora_theory.allocation import certificate, optimal
from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances

# κ, and how far below B a share may lie that the method rounds to B: up, to the nearest, down.
_POINTS = jnp.array([2.0**-40, 0.5, 1.0])
_MANY = 24
# κ over its threshold.
_OVER = jnp.array([0.5, 1 - 2.0**-10, 1, 1 + 2.0**-10, 2])
_BELOW = jnp.array([1.0, 0.5, 0.0])


def _draw_shares(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 4)
    # Half of them with many ties; the other half so fine that 1% of κ shows.
    coarse = jax.random.bernoulli(keys[0], 0.5, (n,))
    tied = drawing.shares(drawing.whole(keys[1], (n, _MANY), 1, 12))
    return {
        "weights": jnp.where(coarse[:, None], tied, drawing.qualities(keys[2], n, _MANY)),
        "budget": drawing.whole(keys[3], (n,), 0, jnp.where(coarse, 64, 256)),
    }


def _margin_points(x: Instances) -> Float[Array, " n"]:
    w = x["weights"][:, None]
    given = optimal.optimal_allocation(w, _POINTS, x["budget"][:, None])
    # Divisors s at which every share s w is rounded to B: from the largest low to the least high.
    low = ((given - _BELOW[:, None]) / w).max(-1)
    high = ((given + 1 - _BELOW[:, None]) / w).min(-1)
    spent = (given.sum(-1) == x["budget"][:, None]).all(-1)
    # In relation to the scale, which is about N + 12.
    return jnp.where(spent, (high - low).min(-1) / (x["budget"] + 12), -1)


def _draw_winner(key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 5)
    # w_1 - w_2 is 0 or a power of two, so that the threshold is a binary fraction.
    lead = jnp.array([0, 1, 2, 4, 8, 16])[drawing.whole(keys[1], (n,), 0, 5)]
    second = drawing.whole(keys[0], (n,), 1, 15)
    return {
        "parts": jnp.stack([second + lead, second, jnp.ones_like(second)], -1),
        "budget": drawing.whole(keys[2], (n,), 2, 32),
        "over": _OVER[drawing.whole(keys[3], (n,), 0, 4)],
        "any": drawing.powers_of_two(keys[4], n, -10, 20),
    }


def _margin_winner(x: Instances) -> Float[Array, " n"]:
    w, n = x["parts"] / 32, x["budget"]
    lead = w[:, 0] - w[:, 1]
    threshold = jnp.where(lead > 0, w[:, 1] * (n - 1) / jnp.where(lead > 0, lead, 1), jnp.inf)
    kappa = jnp.where(lead > 0, threshold * x["over"], x["any"])
    alone = n[:, None] * jnp.array([1, 0, 0])
    takes_all = kappa >= threshold
    given = optimal.optimal_allocation(w, kappa, n)
    certified = certificate.is_optimal(w, kappa, alone) == takes_all
    computed = (given == alone).all(-1) == takes_all
    return jnp.where(certified & computed, 0.0, -1.0)


CLAIMS = (
    Claim(
        id="2.3",
        name="Adams, Webster, Jefferson",
        statement="The optimum is Adams' method as κ → 0, Webster's at κ = 1/2 and Jefferson's at "
        "κ = 1: shares rounded up, to the nearest, down, at one common scale.",
        latex=r"\kappa\to0:\ B_i=\lceil sw_i\rceil;\quad\kappa=\tfrac12:\ B_i=[sw_i];\quad"
        r"\kappa=1:\ B_i=\lfloor sw_i\rfloor",
        source="new",
        expected="holds",
        assumptions="24 candidates, N up to 256. κ = 2^-40 stands for 0. A share on the edge "
        "may go either way.",
        proof="Divisors κ + r. Rounding with a threshold t, that is B = ⌊sw + 1 - t⌋, is the "
        "divisor method with divisors t + r. Checked by whether such a scale exists.",
        draw=_draw_shares,
        margin=_margin_points,
        # At an edge low and high are one quotient, each rounded; 2^-40 is not 0.
        tolerance=1e-11,
    ),
    Claim(
        id="2.3",
        name="winner takes all",
        statement="The best candidate takes all N ≥ 2 rollouts if and only if "
        "κ ≥ w_2(N-1)/(w_1-w_2); with a tie at the top it never does.",
        latex=r"B^*=(N,0,\dots)\iff\frac{w_1}{\kappa+N-1}\ge\frac{w_2}\kappa\iff"
        r"\kappa\ge\frac{w_2(N-1)}{w_1-w_2}",
        source="new",
        expected="holds",
        assumptions="Ties to the lowest index, which is the best here. At the threshold exactly, "
        "to either side of it, and for tied ones κ from 2^-10 to 2^20.",
        proof="The certificate of 2.2 for (N, 0, …): its last priority served against the largest "
        "left, which is that of the second.",
        proved="Coq: Optimum.winner_takes_all",
        draw=_draw_winner,
        margin=_margin_winner,
    ),
)
