"""Figure 5: the prior of a candidate of quality 0.7, for four concentrations.

Each curve is the density of p ~ Beta(κ·0.7, κ·0.3). The mean stays at 0.7; κ says how sure the
score is: at κ = 1 success is likeliest to be near certain or near impossible, at κ = 50 it is
likeliest to be what the score says.
"""

from pathlib import Path

import jax
import numpy as np
from scipy import integrate, stats

import dora_theory as dt
from dora_theory.plots import save
from paper_repro.panels import density_curves
from paper_repro.script import Row, row, run

QUALITY = 0.7
CONCENTRATIONS = (1, 3, 10, 50)


def main(
    out: Path, *, quality: float = QUALITY, concentrations: tuple[float, ...] = CONCENTRATIONS
) -> list[Row]:
    """Draws `out/figure5`, the prior of a quality for each κ."""
    with jax.enable_x64(True):
        prior = dt.BetaPrior.from_quality(
            [[quality]] * len(concentrations), np.array(concentrations, float)
        )
        a, b = np.asarray(prior.alpha)[:, 0], np.asarray(prior.beta)[:, 0]
    # Dense at both ends, where the density of κ = 1 is infinite.
    p = np.sin(np.linspace(0, np.pi / 2, 2001)[1:-1]) ** 2
    densities = {
        f"κ = {kappa:g}": stats.beta.pdf(p, *ab)
        for kappa, ab in zip(concentrations, zip(a, b, strict=True), strict=True)
    }
    save(density_curves(p, densities, mean=quality, top=6.6), out / "figure5")
    rows = []
    for kappa, *ab in zip(concentrations, a, b, strict=True):
        density = stats.beta(*ab)
        area = integrate.quad(density.pdf, 0, 1)[0]
        mean = integrate.quad(lambda x, f=density.pdf: x * f(x), 0, 1)[0]
        rows += [
            row("Figure 5", f"κ = {kappa:g}: area under the curve", 1.0, area),
            row("Figure 5", f"κ = {kappa:g}: mean of p, integrated", quality, mean),
            row("Figure 5", f"κ = {kappa:g}: standard deviation of p", None, density.std()),
        ]
    return rows


if __name__ == "__main__":
    run(main, __doc__)
