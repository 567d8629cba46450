"""Fits the tree's few parameters to curves of four strategies, and predicts DORA's.

The population of a benchmark and policy model has six free parameters: mean and spread of the
problems' abilities, how much directions differ, the PRM's noise of a path and of a direction, and
how often wrong answers agree. Least squares in units of the curves' own scatter. How alike two
paths of one direction look, s_in, moves none of the four strategies: nothing but an assumption can
say what it is, so what is predicted of DORA is for the middle of a stated range, and the
interval covers it. The emulator finds the parameters; what counts as fitted, and where DORA's
interval lies, is what searches of that population then give.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from dora_theory.search.measures import run_searches
from dora_theory.search.rules import SearchRule, as_rule
from dora_theory.search.tree import Tree
from paper_repro.emulator import ABILITIES, Box, Emulator
from paper_repro.published import BASELINES, Panel

# Parameters of the tree that are fitted, beside ability and spread; and the one that is assumed.
FITTED: Box = {
    "direction_spread": (0.0, 3.5),
    "noise": (0.3, 3.5),
    "direction_noise": (0.0, 5.0),
    "trap": (0.0, 0.95),
}
ASSUMED: Box = {"similarity_within": (0.9, 0.99)}
SPREADS = (0.3, 9.0)
PREDICTED = "dora"
STRATEGIES = (*BASELINES.values(), PREDICTED)
# By the letter, as the authors' code runs them.
RULES: Mapping[str, SearchRule] = {name: as_rule(name, literal=True) for name in STRATEGIES}
# A fit counts as failed if it misses the points by more than twice their scatter.
FAILS = 2.0
_STARTS = 8
# Standard deviations to either side of a 90% interval.
_WIDTH = 1.645

# Percent of strategies and metrics at each budget, for values of the tree's parameters.
Simulate = Callable[[Mapping[str, float], Panel], Float[np.ndarray, "n s 2"]]


@dataclass(frozen=True)
class Fit:
    """A fitted panel.

    Attributes:
        panel: what was fitted.
        parameters: name → value, lower and upper end of a 90% interval.
        at_bound: parameters that lie at an end of their range.
        fitted: percent that searches of the population give, shape `(budgets, 4, 2)`.
        emulated: percent by the emulator, DORA last, shape `(budgets, 5, 2)`.
        misfit: root mean square of the residuals in units of the scatter, by degrees of freedom.
        rms: root mean square of the residuals by metric, in points.
        predicted: DORA's percent, lower and upper end, shape `(budgets, 2, 3)`.
    """

    panel: Panel
    parameters: Mapping[str, tuple[float, float, float]]
    at_bound: tuple[str, ...]
    fitted: Float[np.ndarray, "n 4 2"]
    emulated: Float[np.ndarray, "n 5 2"]
    misfit: float
    rms: Float[np.ndarray, "2"]
    predicted: Float[np.ndarray, "n 2 3"]

    @property
    def fails(self) -> bool:
        """Whether the population cannot have the curves."""
        return self.misfit > FAILS


def simulate_panel(
    parameters: Mapping[str, float], panel: Panel, *, problems: int = 500, seed: int = 0
) -> Float[np.ndarray, "n s 2"]:
    """Percent that every strategy reaches on a population, by one search of each problem.

    Args:
        parameters: of the tree.
        panel: whose budgets.
        problems: how many, quantiles of the ability.
        seed: of problems and searches.

    Returns:
        Accuracy and pass rate, strategies in the order of `STRATEGIES`, shape `(budgets, 5, 2)`.
    """
    world, key = Tree().with_changes(**parameters), jax.random.key(seed)
    found = np.zeros((len(panel.budgets), len(STRATEGIES), 2))
    for i, n in enumerate(panel.budgets):
        for which in range(len(STRATEGIES)):
            m = run_searches(
                key, world, world.problems(key, problems), rule=tuple(RULES.values()),
                which=jnp.int32(which), slots=n, width="full", padding=True,
            )  # fmt: skip
            # In float64, so that the sum's order does not show in the last printed digit.
            found[i, which] = [100 * np.mean(x, dtype=float) for x in (m.weighted, m.pass_rate)]
    return found


def fit_panel(
    panel: Panel,
    emulator: Emulator,
    *,
    draws: int = 16,
    seed: int = 0,
    simulate: Simulate = simulate_panel,
) -> Fit:
    """Fits one panel and predicts DORA on it.

    Args:
        panel: the curves.
        emulator: of the strategies `STRATEGIES` over the boxes `FITTED` and `ASSUMED`, in order.
        draws: of the bootstrap.
        seed: of starts and draws.
        simulate: searches of a population, against which the emulator is corrected.

    Returns:
        The fit. Intervals come from fits to curves with their scatter added once more, enlarged by
        the misfit if that is above 1; those of DORA also from s_in drawn from its range and from
        errors as large as the fit's own.
    """
    generator = np.random.default_rng(seed)
    low, high = _bounds()
    starts = low + (high - low) * generator.uniform(0.1, 0.9, (_STARTS, len(low)))
    found = [_solve(panel, emulator, panel.percent, start) for start in starts]
    best, _ = min(found, key=lambda f: float(np.sum(f[1] ** 2)))
    emulated = _curves(emulator, best, panel)
    middle = {name: sum(ends) / 2 for name, ends in ASSUMED.items()}
    simulated = simulate({**_values(best), **middle}, panel)
    fitted = simulated[:, : len(BASELINES)]
    off = fitted - panel.percent
    residuals = (off / panel.deviation)[~np.isnan(off)]
    misfit = float(np.sqrt(np.sum(residuals**2) / max(residuals.size - len(best), 1)))
    rms = np.sqrt(np.nanmean(off**2, axis=(0, 1)))

    thrown, spread = [], []
    for _ in range(draws):
        error = panel.deviation * max(misfit, 1.0) * generator.standard_normal(fitted.shape)
        one, _ = _solve(panel, emulator, panel.percent + error, best)
        thrown.append(list(_values(one).values()))
        assumed = generator.uniform(-1, 1, len(ASSUMED))
        own = rms * generator.standard_normal((len(panel.budgets), 2))
        spread.append(_curves(emulator, one, panel, assumed)[:, -1] + own)
    values = _values(best).items()
    return Fit(
        panel,
        _inside(_values(best), _WIDTH * np.std(thrown, axis=0, ddof=1)),
        tuple(
            name
            for (name, _), x, a, b in zip(values, best, low, high, strict=True)
            if min(x - a, b - x) < 1e-3 * (b - a)
        ),
        fitted,
        emulated,
        misfit,
        rms,
        _interval(simulated[:, -1], _WIDTH * np.std(spread, axis=0, ddof=1)),
    )


def _inside(
    values: Mapping[str, float], widths: np.ndarray
) -> dict[str, tuple[float, float, float]]:
    """Value and interval of each parameter, cut where its range ends."""
    least, most = map(_values, _bounds())
    return {
        name: (x, max(x - w, least[name]), min(x + w, most[name]))
        for (name, x), w in zip(values.items(), widths.tolist(), strict=True)
    }


def _interval(middle: np.ndarray, width: np.ndarray) -> Float[np.ndarray, "n 2 3"]:
    ends = np.clip([middle - width, middle + width], 0, 100)
    return np.stack([middle, *ends], -1)


def _values(at: np.ndarray) -> dict[str, float]:
    """The tree's parameters at a point of the search."""
    low, high = np.array(list(FITTED.values())).T
    own = low + (at[2:] + 1) / 2 * (high - low)
    names = ("ability", "spread", *FITTED)
    return dict(zip(names, [*at[:2].tolist(), *own.tolist()], strict=True))


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
