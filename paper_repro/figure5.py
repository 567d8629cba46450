"""Figure 5: the prior of a candidate of quality 0.7, for four concentrations.

Each curve is the density of p ~ Beta(κ·0.7, κ·0.3). The mean stays at 0.7; κ says how sure the
score is: at κ = 1 the candidate is almost surely good or almost surely bad, at κ = 50 its success
probability is known to about ±0.06.
"""

from pathlib import Path

import jax
import numpy as np
from scipy import integrate, stats
from script import Row, row, run

import dora_theory as dt
from dora_theory.plots import density_curves, save

QUALITY = 0.7
CONCENTRATIONS = (1, 3, 10, 50)


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        prior = dt.BetaPrior.from_quality([[QUALITY]] * 4, np.array(CONCENTRATIONS, float))
        a, b, mean = (np.asarray(x)[:, 0] for x in (prior.alpha, prior.beta, prior.mean))
    p = np.linspace(0, 1, 1001)[1:-1]
    densities = {
        f"κ = {kappa}": stats.beta.pdf(p, *ab)
        for kappa, ab in zip(CONCENTRATIONS, zip(a, b, strict=True), strict=True)
    }
    save(density_curves(p, densities, mean=QUALITY, top=6.6), out / "figure5")
    rows = []
    for kappa, *ab, m in zip(CONCENTRATIONS, a, b, mean, strict=True):
        spread = stats.beta.std(*ab)
        area = integrate.quad(stats.beta(*ab).pdf, 0, 1)[0]
        rows += [
            row("Figure 5", f"κ = {kappa}: mean of p", QUALITY, m),
            row("Figure 5", f"κ = {kappa}: area under the curve", 1.0, area),
            row("Figure 5", f"κ = {kappa}: standard deviation of p", None, spread),
        ]
    return rows


if __name__ == "__main__":
    run(main, __doc__)
