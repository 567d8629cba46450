"""Bias against the similarity temperature: DORA's is U-shaped, magnitude weighting's is not.

Directions of 12, 3 and 1 candidates and equal quality, cosine s_in within and s_out between. The
mass of a direction is the share of all rollouts that its candidates get together. Theorem 1 has it
equal to the direction's quality Q; the distance from there is KL(Q‖mass). Above, DORA: too cold,
and near-copies with s_in < 1 count as ideas of their own; too hot, and all directions look alike.
Both ends are REBASE (theory 4.5); the vertical line is the paper's T_s. Below, magnitude weighting
v of Z v = 1 (dashed) in place of γ has no hot end (theory 5.6). Marks are means over 32 draws of
noisy embeddings, weighted by the package: × by DORA, + by magnitude. An embedding is √0.7 of a
normal vector that all share, √0.25 of one that its direction shares and √0.05 of its own, in 384
dimensions, so that cosines are 0.95 within and 0.7 between directions on average.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from paper_repro.drawing import ORDER, curves, level, mark, panels
from paper_repro.script import Row, row, run

SIZES = (12, 3, 1)
PAPER = 0.01
COSINES = ((1.0, 0.7), (0.98, 0.7), (0.95, 0.7), (0.9, 0.6))
SHOWN = (0.95, 0.7)
TEMPERATURES = np.logspace(-3, 1, 241)
TABLE = np.array([0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
FEW = np.array([0.01, 0.03, 0.1, 0.3, 1.0])
DRAWS, DIMENSIONS = 32, 384


def bias(theta: np.ndarray, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """KL(Q‖mass) of a similarity model with this θ, all Q being equal."""
    quality = np.full(len(sizes), 1 / len(sizes))
    return np.asarray(dt.kl_divergence(quality, dt.direction_mass(quality, np.array(sizes), theta)))


def dora(
    cosines: tuple[float, float], temperature: np.ndarray, sizes: tuple[int, ...] = SIZES
) -> np.ndarray:
    return bias(dt.similarity_theta(sum(sizes), *cosines, temperature), sizes)


def magnitude(
    cosines: tuple[float, float], temperature: np.ndarray, sizes: tuple[int, ...] = SIZES
) -> np.ndarray:
    return bias(dt.magnitude_theta(*cosines, temperature), sizes)


def noisy(temperature: float, sizes: tuple[int, ...] = SIZES) -> tuple[float, float]:
    """Mean KL(Q‖mass) of DORA and of magnitude weighting over draws of noisy embeddings."""
    inside, across = SHOWN
    count = len(sizes)
    owner, quality = np.repeat(np.arange(count), sizes), np.full(count, 1 / count)
    keys = jax.random.split(jax.random.key(0), 3)
    shape = (DRAWS, owner.size, DIMENSIONS)
    common = jax.random.normal(keys[0], (DRAWS, 1, DIMENSIONS))
    idea = jax.random.normal(keys[1], (DRAWS, count, DIMENSIONS))[:, owner]
    own = jax.random.normal(keys[2], shape)
    # Variances that add up to 1: what all share, what a direction shares, what is one's own.
    embeddings = across**0.5 * common + (inside - across) ** 0.5 * idea + (1 - inside) ** 0.5 * own
    found = []
    for weighting in (dt.uniqueness, dt.magnitude_weighting):
        v = weighting(embeddings, similarity_temperature=temperature)
        mass = jnp.stack([v[:, j == owner].sum(-1) for j in range(count)], -1)
        mass = mass / v.sum(-1)[:, None]
        found.append(float(jnp.mean(dt.kl_divergence(quality, mass))))
    return found[0], found[1]


def main(out: Path, *, sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """Draws `out/similarity_temperature`, for directions of equal quality and these sizes."""
    with jax.enable_x64(True):
        rebase = float(bias(np.inf, sizes))
        lines = {c: dora(c, TEMPERATURES, sizes) for c in COSINES}
        table = {c: dora(c, TABLE, sizes) for c in COSINES[1:]}
        beside = {c: magnitude(c, TEMPERATURES, sizes) for c in COSINES}
        few = np.array([noisy(float(t), sizes) for t in FEW])
        hot = [f(SHOWN, np.array([0.1, 5]), sizes) for f in (dora, magnitude)]
    with panels(out / "similarity_temperature", 2, height=2.2) as (top, bottom):
        names = {c: f"{c[0]:g}, {c[1]:g}" for c in COSINES}
        curves(top, TEMPERATURES, {names[c]: x for c, x in lines.items()})
        mark(top, PAPER, "paper's $T_s$", y=0.09, left=True)
        color = dict(zip(COSINES, ORDER, strict=False))
        for c in COSINES[1:]:
            bottom.plot(TEMPERATURES, lines[c], color=color[c], linewidth=0.8)
            bottom.plot(TEMPERATURES, beside[c], color=color[c], linestyle="--")
        for x, marker in zip(few.T, "x+", strict=True):
            bottom.plot(FEW, x, marker, color=color[SHOWN], markersize=4.5, markeredgewidth=1)
        mark(bottom, PAPER, "paper's $T_s$", y=0.09, left=True)
        for text, mark_style in (
            ("DORA", "-"), ("magnitude", "--"), ("DORA, noisy", "x"), ("magnitude, noisy", "+"),
        ):  # fmt: skip
            bottom.plot([], [], mark_style, color="#444444", markersize=4.5, label=text)
        handles, names_ = (
            a + b
            for a, b in zip(
                top.get_legend_handles_labels(), bottom.get_legend_handles_labels(), strict=True
            )
        )
        top.figure.legend(
            handles, names_, loc="outside lower center", ncols=2, handlelength=1.8,
            title="color: cosine within, between; line and mark: rule",
        )  # fmt: skip
        for axes in (top, bottom):
            level(axes, rebase, "REBASE", x=0.98)
            axes.set(xscale="log", xlim=(1e-3, 10), ylim=(0, 1.13 * rebase or None))
            axes.set(xlabel="similarity temperature $T_s$", ylabel="bias KL(Q‖mass), nats")
        top.set_title("mass: a direction's share of the rollouts", fontsize=7)
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
