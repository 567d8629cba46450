"""Fits the tree's few parameters to curves of four strategies, and foretells DORA's.

The population of a benchmark and policy model has six free parameters: mean and spread of the
problems' abilities, how much directions differ, the PRM's noise of a path and of a direction, and
how often wrong answers agree. Least squares in units of the curves' own scatter. How alike two
paths of one direction look, s_in, moves none of the four strategies: nothing but an assumption can
say what it is, so what is foretold of DORA is the mean over a stated range, and the interval
covers it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from dora_theory.search.emulator import ABILITIES, Box, Emulator
from dora_theory.search.published import BASELINES, Panel
from dora_theory.search.rules import Strategy

# Parameters of the tree that are fitted, beside ability and spread; and the one that is assumed.
FITTED: Box = {
    "direction_spread": (0.0, 3.5),
    "noise": (0.3, 3.5),
    "direction_noise": (0.0, 5.0),
    "trap": (0.0, 0.95),
}
ASSUMED: Box = {"similarity_inside": (0.9, 0.99)}
SPREADS = (0.3, 9.0)
FORETOLD = "dora"
STRATEGIES = (*BASELINES.values(), FORETOLD)
# By the letter, as the authors' code runs them.
RULES: Mapping[str, Strategy] = {name: Strategy(name, literal=True) for name in STRATEGIES}
# A fit counts as failed if it misses the points by more than twice their scatter.
FAILS = 2.0
_STARTS = 8
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class Fit:
    """A fitted panel.

    Attributes:
        panel: what was fitted.
        parameters: name → value, lower and upper end of a 90% interval.
        at_bound: parameters that lie at an end of their range.
        fitted: percent, as in the panel, shape `(budgets, 4, 2)`.
        misfit: root mean square of the residuals in units of the scatter, by degrees of freedom.
        rms: root mean square of the residuals by metric, in points.
        foretold: DORA's percent, lower and upper end, shape `(budgets, 2, 3)`.
    """

    panel: Panel
    parameters: Mapping[str, tuple[float, float, float]]
    at_bound: tuple[str, ...]
    fitted: Float[np.ndarray, "n 4 2"]
    misfit: float
    rms: Float[np.ndarray, "2"]
    foretold: Float[np.ndarray, "n 2 3"]

    @property
    def fails(self) -> bool:
        """Whether the population cannot have the curves."""
        return self.misfit > FAILS


def fit_panel(panel: Panel, emulator: Emulator, *, draws: int = 40, seed: int = 0) -> Fit:
    """Fits one panel and foretells DORA on it.

    Args:
        panel: the curves.
        emulator: of the strategies `STRATEGIES` over the boxes `FITTED` and `ASSUMED`, in order.
        draws: of the bootstrap.
        seed: of starts and draws.

    Returns:
        The fit. Intervals come from fits to curves with their scatter added once more,
         enlarged by the misfit if that is above 1; those of DORA also from s_in drawn from
        its range and from errors as large as the fit's own.
    """
    generator = np.random.default_rng(seed)
    low, high = _bounds()
    starts = low + (high - low) * generator.uniform(0.1, 0.9, (_STARTS, len(low)))
    found = [_solve(panel, emulator, panel.percent, start) for start in starts]
    best, residuals = min(found, key=lambda f: float(np.sum(f[1] ** 2)))
    misfit = float(np.sqrt(np.sum(residuals**2) / max(residuals.size - len(best), 1)))
    fitted = _curves(emulator, best, panel)[:, : len(BASELINES)]
    scatter = panel.deviation * max(misfit, 1.0)
    off = fitted - panel.percent
    rms = np.sqrt(np.nanmean(off**2, axis=(0, 1)))

    thrown, foretold = [], []
    for _ in range(draws):
        again = panel.percent + scatter * generator.standard_normal(fitted.shape)
        one, _ = _solve(panel, emulator, again, best)
        thrown.append(one)
        assumed = generator.uniform(-1, 1, len(ASSUMED))
        error = rms * generator.standard_normal((len(panel.budgets), 2))
        foretold.append(_curves(emulator, one, panel, assumed)[:, -1] + error)
    return Fit(
        panel,
        _intervals(best, np.array(thrown)),
        tuple(n for n, x, a, b in zip(_names(), best, low, high, strict=True)
              if min(x - a, b - x) < 1e-3 * (b - a)),
        fitted,
        misfit,
        rms,
        _foretold(emulator, best, panel, np.array(foretold)),
    )  # fmt: skip


def _names() -> tuple[str, ...]:
    return "ability", "spread", *FITTED


def _bounds() -> tuple[np.ndarray, np.ndarray]:
    ones = np.ones(len(FITTED))
    return np.array([ABILITIES[0], SPREADS[0], *-ones]), np.array([ABILITIES[1], SPREADS[1], *ones])


def _curves(
    emulator: Emulator, at: np.ndarray, panel: Panel, assumed: np.ndarray | None = None
) -> Float[np.ndarray, "n s 2"]:
    rest = np.zeros(len(ASSUMED)) if assumed is None else assumed
    unit = np.concatenate([at[2:], rest])
    return 100 * emulator.population(at[0], at[1], unit, panel.budgets)


def _solve(
    panel: Panel, emulator: Emulator, percent: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(percent)

    def residuals(at: np.ndarray) -> np.ndarray:
        off = (_curves(emulator, at, panel)[:, : len(BASELINES)] - percent) / panel.deviation
        return off[there]

    low, high = _bounds()
    inside = np.clip(start, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
    found = least_squares(
        residuals, inside, bounds=(low, high), x_scale=(high - low) / 4, max_nfev=40
    )
    return found.x, found.fun


def _intervals(best: np.ndarray, thrown: np.ndarray) -> dict[str, tuple[float, float, float]]:
    tail = (1 - _CONFIDENCE) / 2
    ends = np.quantile(thrown, [tail, 1 - tail], axis=0)
    found = {}
    for i, name in enumerate(_names()):
        values = np.array([best[i], *ends[:, i]])
        if name in FITTED:
            low, high = FITTED[name]
            values = low + (values + 1) / 2 * (high - low)
        found[name] = (float(values[0]), float(values[1]), float(values[2]))
    return found


def _foretold(
    emulator: Emulator, best: np.ndarray, panel: Panel, draws: np.ndarray
) -> Float[np.ndarray, "n 2 3"]:
    tail = (1 - _CONFIDENCE) / 2
    range_ = np.linspace(-1, 1, 9)
    mean = np.mean(
        [_curves(emulator, best, panel, np.full(len(ASSUMED), x))[:, -1] for x in range_], 0
    )
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return np.stack([mean, np.clip(low, 0, 100), np.clip(high, 0, 100)], -1)
