"""Bias against the similarity temperature: DORA's is U-shaped, magnitude weighting's is not.

Directions of 12, 3 and 1 candidates and equal quality, cosine s_in inside and s_out across. Theorem
1 has the mass of a direction equal to its quality; the distance from there is KL(Q‖mass). Above,
DORA: too cold, and near-copies with s_in < 1 count as ideas of their own; too hot, and all
directions look alike. Both ends are REBASE (theory 4.5); the vertical line is the paper's T_s.
Below, magnitude weighting v of Z v = 1 (dashed) in place of γ has no hot end (theory 5.6). Marks
are means over 32 draws of noisy embeddings, weighted by the package: × by DORA, + by magnitude. An
embedding is √0.7 of a normal vector that all share, √0.25 of one that its direction shares and
√0.05 of its own, in 384 dimensions, so that cosines are 0.95 inside and 0.7 across on average.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from paper_repro.drawing import ORDER, curves, level, mark, panels
from paper_repro.script import Row, row, run

SIZES = np.array([12, 3, 1])
QUALITY = np.full(3, 1 / 3)
OWNER = np.repeat(np.arange(3), SIZES)
PAPER = 0.01
COSINES = ((1.0, 0.7), (0.98, 0.7), (0.95, 0.7), (0.9, 0.6))
SHOWN = (0.95, 0.7)
TEMPERATURES = np.logspace(-3, 1, 241)
TABLE = np.array([0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
FEW = np.array([0.01, 0.03, 0.1, 0.3, 1.0])
DRAWS, DIMENSIONS = 32, 384


def bias(theta: np.ndarray) -> np.ndarray:
    """KL(Q‖mass) of a similarity model with this θ."""
    return np.asarray(dt.kl_divergence(QUALITY, dt.direction_mass(QUALITY, SIZES, theta)))


def dora(cosines: tuple[float, float], temperature: np.ndarray) -> np.ndarray:
    return bias(dt.similarity_theta(SIZES.sum(), *cosines, temperature))


def magnitude(cosines: tuple[float, float], temperature: np.ndarray) -> np.ndarray:
    return bias(dt.magnitude_theta(*cosines, temperature))


def noisy(temperature: float) -> tuple[float, float]:
    """Mean KL(Q‖mass) of DORA and of magnitude weighting over draws of noisy embeddings."""
    inside, across = SHOWN
    keys = jax.random.split(jax.random.key(0), 3)
    shape = (DRAWS, OWNER.size, DIMENSIONS)
    common = jax.random.normal(keys[0], (DRAWS, 1, DIMENSIONS))
    idea = jax.random.normal(keys[1], (DRAWS, SIZES.size, DIMENSIONS))[:, OWNER]
    own = jax.random.normal(keys[2], shape)
    # Variances that add up to 1: what all share, what a direction shares, what is one's own.
    embeddings = across**0.5 * common + (inside - across) ** 0.5 * idea + (1 - inside) ** 0.5 * own
    found = []
    for weighting in (dt.uniqueness, dt.magnitude_weighting):
        v = weighting(embeddings, temperature)
        mass = jnp.stack([v[:, j == OWNER].sum(-1) for j in range(3)], -1) / v.sum(-1)[:, None]
        found.append(float(jnp.mean(dt.kl_divergence(QUALITY, mass))))
    return found[0], found[1]


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        rebase = float(bias(np.inf))
        lines = {c: dora(c, TEMPERATURES) for c in COSINES}
        table = {c: dora(c, TABLE) for c in COSINES[1:]}
        beside = {c: magnitude(c, TEMPERATURES) for c in COSINES}
        few = np.array([noisy(float(t)) for t in FEW])
        hot = dora(SHOWN, np.array([0.1, 5])), magnitude(SHOWN, np.array([0.1, 5]))
    with panels(out / "similarity_temperature", 2, height=2.2) as (top, bottom):
        names = {c: f"{c[0]:g}, {c[1]:g}" for c in COSINES}
        curves(top, TEMPERATURES, {names[c]: x for c, x in lines.items()})
        mark(top, PAPER, "paper's $T_s$", y=0.09, left=True)
        top.figure.legend(
            title="cosine inside, across", loc="outside lower center", ncols=4, handlelength=1.4
        )
        color = dict(zip(COSINES, ORDER, strict=False))
        for c in COSINES[1:]:
            bottom.plot(TEMPERATURES, lines[c], color=color[c], linewidth=0.8)
            bottom.plot(TEMPERATURES, beside[c], color=color[c], linestyle="--")
        for x, marker in zip(few.T, "x+", strict=True):
            bottom.plot(FEW, x, marker, color=color[SHOWN], markersize=4.5, markeredgewidth=1)
        mark(bottom, PAPER, "paper's $T_s$", y=0.09, left=True)
        bottom.annotate("DORA", (1.5, 0.38), color="#444444", fontsize=7)
        bottom.annotate("magnitude", (0.9, 0.035), color="#444444", fontsize=7)
        for axes in (top, bottom):
            level(axes, rebase, "REBASE", x=0.98)
            axes.set(xscale="log", xlim=(1e-3, 10), ylim=(0, 0.54))
            axes.set(xlabel="similarity temperature $T_s$", ylabel="bias KL(Q‖mass) (nats)")
    name = "Similarity temperature"
    return [
        row(name, "REBASE", None, rebase, 4),
        row(name, "T_s", None, TABLE, 3),
        *(
            row(name, f"DORA, s_in, s_out = {c[0]:g}, {c[1]:g}", None, x, 4)
            for c, x in table.items()
        ),
        row(name, "DORA at T_s = 0.1, 5 (0.95, 0.7)", None, hot[0], 4),
        row(name, "magnitude at T_s = 0.1, 5 (0.95, 0.7)", None, hot[1], 4),
        row(name, "noisy embeddings at T_s = 0.3: DORA, magnitude", None, few[3], 4),
    ]


if __name__ == "__main__":
    run(main, __doc__)
