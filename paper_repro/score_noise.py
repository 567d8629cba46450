"""Bias from noise in the scores: what three ways to pool a direction make of it.

A direction of k_j candidates of one true score, each read with normal noise of deviation σ. Its
quality is e^{R/T_b} pooled over them, against a direction without noise. Above, the factor by which
the mean of exponentials, which is DORA's pool, exaggerates it: e^{σ²/2T_b²} whatever k_j is (theory
4.6); the exponential of the mean score nearly not, the maximum the more the larger k_j is. Below,
the relative deviation of the pooled quality at σ = T_b, which falls as 1/√k_j. Lines are closed
forms and quadrature, points are measured on random scores.
"""

from pathlib import Path

import jax
import numpy as np
from scipy import stats

import dora_theory as dt
from paper_repro.drawing import ORDER, panels
from paper_repro.script import Row, row, run

POOLS = {"mean-exp": "mean of exponentials", "mean": "exponential of mean", "max": "maximum"}
TEMPERATURE, DRAWS = 0.1, 20_000
NOISE = np.linspace(0, 2, 41)  # σ/T_b
FEW_NOISE, COPIES = np.array([0.5, 1.0, 1.5, 2.0]), 8
SIZES, FEW_SIZES = np.arange(1, 65), np.array([1, 2, 4, 8, 16, 32, 64])
_Z = np.linspace(-12, 16, 4001)


def moment(pool: str, power: float, noise: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """E[pooled^power], the pooled quality being 1 without noise; noise is σ/T_b."""
    s, k = np.broadcast_arrays(power * np.asarray(noise, float), np.asarray(copies, float))
    if pool == "mean":
        return np.exp(s**2 / (2 * k))
    # The largest of k normal numbers has the density k φ Φ^{k-1}.
    density = np.log(k)[..., None] + stats.norm.logpdf(_Z)
    density = density + (k - 1)[..., None] * stats.norm.logcdf(_Z)
    return np.trapezoid(np.exp(density + s[..., None] * _Z), _Z)


def expected(pool: str, noise: np.ndarray, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor and relative deviation of the pooled quality."""
    if pool == "mean-exp":
        factor, spread = dt.noise_inflation(noise, 1.0, copies)
        return np.asarray(factor), np.asarray(spread)
    first, second = (moment(pool, power, noise, copies) for power in (1.0, 2.0))
    return first, np.sqrt(np.maximum(second / first**2 - 1, 0))


def measured(pool: str, noise: float, copies: int) -> tuple[float, float]:
    """The same over random scores, by the package's pooling."""
    scores = TEMPERATURE * noise * jax.random.normal(jax.random.key(copies), (DRAWS, copies))
    scores = np.pad(scores, ((0, 0), (0, 1)))  # the last is a direction of its own, without noise
    owner = np.repeat([0, 1], [copies, 1])
    q = np.asarray(
        dt.direction_weights(scores, owner, 2, pool=pool, quality_temperature=TEMPERATURE)
    )
    ratio = q[:, 0] / q[:, 1]
    return float(ratio.mean()), float(ratio.std() / ratio.mean())


def main(out: Path, *, copies: int = COPIES) -> list[Row]:
    """Draws `out/score_noise`; above and in the table for a direction of so many candidates."""
    with jax.enable_x64(True):
        by_noise = {p: expected(p, NOISE, np.full(NOISE.shape, copies))[0] for p in POOLS}
        by_size = {p: expected(p, np.ones(SIZES.shape), SIZES)[1] for p in POOLS}
        factors = {p: [measured(p, s, copies)[0] for s in FEW_NOISE] for p in POOLS}
        one = {p: [x[0] for x in expected(p, np.ones(1), np.array([copies]))] for p in POOLS}
        one_measured = {p: measured(p, 1.0, copies) for p in POOLS}
        spreads = {p: [measured(p, 1.0, k)[1] for k in FEW_SIZES] for p in POOLS}
        root_e = float(dt.noise_inflation(0.1, 0.1, 1)[0])
    with panels(out / "score_noise", 2) as (top, bottom):
        for (pool, name), color in zip(POOLS.items(), ORDER, strict=False):
            top.plot(NOISE, by_noise[pool], color=color, label=name)
            top.plot(FEW_NOISE, factors[pool], "o", color=color)
            bottom.plot(SIZES, by_size[pool], color=color)
            bottom.plot(FEW_SIZES, spreads[pool], "o", color=color)
        top.set(xlabel="noise $σ/T_b$", ylabel="inflation of the quality", yscale="log")
        top.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        top.set_title(f"$k_j$ = {copies}")
        bottom.set(xscale="log", yscale="log", xlabel="candidates of the direction $k_j$")
        bottom.set(ylabel="relative deviation", title="$σ = T_b$")
        bottom.set_xticks(FEW_SIZES, [str(k) for k in FEW_SIZES])
        bottom.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
        for axes in (top, bottom):
            axes.minorticks_off()
        top.figure.legend(loc="outside lower center", ncols=2)
    return [
        row("Score noise", "inflation at σ = T_b, mean of exponentials: √e", None, root_e, 4),
        *(
            row(
                "Score noise",
                f"{name}, k_j = {copies}, σ = T_b: inflation expected, measured",
                None,
                [one[p][0], one_measured[p][0]],
                3,
            )
            for p, name in POOLS.items()
        ),
        *(
            row(
                "Score noise",
                f"{name}, k_j = {copies}, σ = T_b: deviation expected, measured",
                None,
                [one[p][1], one_measured[p][1]],
                3,
            )
            for p, name in POOLS.items()
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
