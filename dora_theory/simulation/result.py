"""What a simulation found: moments over problems, and the estimates that follow from them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dora_theory._errors import InputError, amount
from dora_theory.io.documents import Tabular, read_json, write_json
from dora_theory.simulation.intervals import Estimate, paired, student, wilson
from dora_theory.simulation.outcomes import Level
from dora_theory.strategies.registry import ORACLE


@dataclass(frozen=True, repr=False)
class Simulation(Tabular):
    """Moments over problems, and the estimates that follow from them.

    Attributes:
        strategies: m names.
        budget: N, or a cost.
        num_problems: n, how many.
        num_samples: of each problem.
        level: of randomness.
        mean: mean over problems of success and of the number correct, shape `(2, m)`.
        scatter: sums over problems of products of deviations, shape `(2, m, m)`.
        gains: sums over problems of how much the success of one strategy is above that of another,
            where it is, and of the squares of that, shape `(2, m, m)`.
        by_cost: whether `budget` is one of cost.
    """

    strategies: tuple[str, ...]
    budget: float
    num_problems: int
    num_samples: int
    level: Level
    mean: Float[np.ndarray, "2 m"]
    scatter: Float[np.ndarray, "2 m m"]
    gains: Float[np.ndarray, "2 m m"]
    by_cost: bool = False

    def success(self, strategy: str, *, level: float = 0.95) -> Estimate:
        """Probability that at least one rollout is correct, with Wilson's interval."""
        i = self._index(strategy)
        return wilson(self.mean[0, i], self._error(0, i), self.num_problems, level=level)

    def correct(self, strategy: str, *, level: float = 0.95) -> Estimate:
        """Expected number of correct rollouts of a problem."""
        i = self._index(strategy)
        return student(self.mean[1, i], self._error(1, i), self.num_problems, level=level)

    def pass_rate(self, strategy: str, *, level: float = 0.95) -> Estimate:
        """Share of correct rollouts among all, with Wilson's interval; not for a budget of cost."""
        if self.by_cost:
            raise ValueError("pass_rate: is a share of N, and the budget is one of cost")
        i = self._index(strategy)
        mean, error = self.mean[1, i] / self.budget, self._error(1, i) / self.budget
        return wilson(mean, error, self.num_problems, level=level)

    def difference(self, strategy: str, other: str, *, level: float = 0.95) -> Estimate:
        """Success of one strategy less that of another, paired: on the same problems and draws.

        The interval is that of `difference_interval`: where no problem has shown a difference it
        is not empty.
        """
        i, j = self._index(strategy), self._index(other)
        mean, error = self.mean[0, i] - self.mean[0, j], self._error(0, i, j)
        if i == j:
            return Estimate(*map(np.asarray, (mean, mean, mean, error)))
        gains, losses = self.gains[:, i, j], self.gains[:, j, i]
        return paired(mean, error, self.num_problems, gains, losses, level=level)

    def regret(self, strategy: str, *, level: float = 0.95) -> Estimate:
        """Success of the exact optimum, which knows what is true, less that of a strategy."""
        return self.difference(ORACLE, strategy, level=level)

    def _index(self, strategy: str) -> int:
        if strategy not in self.strategies:
            raise ValueError(f"{strategy!r} was not simulated; {', '.join(self.strategies)} were")
        return self.strategies.index(strategy)

    def _error(self, metric: int, i: int, j: int | None = None) -> float:
        s = self.scatter[metric]
        total = s[i, i] if j is None else s[i, i] + s[j, j] - 2 * s[i, j]
        return float(np.sqrt(max(total, 0.0) / (self.num_problems - 1) / self.num_problems))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each strategy and metric: estimate, 95% interval, standard error."""
        metrics = {"success": self.success, "correct": self.correct}
        if not self.by_cost:
            metrics["pass_rate"] = self.pass_rate
        if ORACLE in self.strategies:
            metrics["regret"] = self.regret
        found = []
        for strategy in self.strategies:
            for metric, estimate in metrics.items():
                numbers = {f"{name}": float(x) for name, x in estimate(strategy)._asdict().items()}
                found.append(
                    {"strategy": strategy, "budget": self.budget, "metric": metric, **numbers}
                )
        return found

    def to_xarray(self) -> Any:
        """The estimates as an `xarray.Dataset` over strategy, budget and metric.

        Returns:
            Variables `value`, `low`, `high` and `error`; attributes `num_problems`, `num_samples`
            and `level`.

        Raises:
            ImportError: xarray is not installed; it comes with `dora-theory[xarray]`.
        """
        axes = "strategy", "budget", "metric"
        counts = {"num_problems": self.num_problems, "num_samples": self.num_samples}
        return self._dataset(axes, **counts, level=self.level)

    def save(self, path: str | Path) -> None:
        """Writes the simulation as JSON, whole or not at all; `load` reads it back."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        write_json(path, {name: getattr(x, "tolist", lambda x=x: x)() for name, x in data.items()})

    @classmethod
    def load(cls, path: str | Path) -> "Simulation":
        """A simulation that `save` wrote; `InputError` if the file holds none."""
        data = {"by_cost": False} | read_json(path)
        names = [f.name for f in fields(cls)]
        if sorted(data) != sorted(names):
            raise InputError(f"{path}: needs the fields {', '.join(names)}")
        arrays = {name: np.array(data[name], float) for name in ("mean", "scatter", "gains")}
        return cls(**{**data, **arrays, "strategies": tuple(data["strategies"])})

    def _title(self) -> str:
        spent = f"cost {self.budget:g}" if self.by_cost else f"N = {self.budget}"
        return f"simulation of {amount(self.num_problems, 'problem')}, {spent}, level {self.level}"
