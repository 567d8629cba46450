"""A sweep's store as a tidy table and as a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dora_theory import plots
from dora_theory._errors import InputError
from dora_theory.io.documents import Tabular
from dora_theory.io.store import read_store

# Panels that are read at a glance; more cells than these would be drawn over one another.
_PANELS = 6
_METRICS = "success", "correct", "regret", "lost"
# Of a 95% interval, for what is stored with a standard error.
_WIDE = 1.959963984540054


@dataclass(frozen=True, repr=False)
class StoredSweep(Tabular):
    """What is in the store of a sweep.

    Attributes:
        path: the store.
        definition: what was simulated.
        cells: a mapping from column to value for each cell that is done, in their order.
    """

    path: str
    definition: Mapping[str, Any]
    cells: tuple[Mapping[str, Any], ...]

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the grid's axes; the last varies fastest."""
        return tuple(name for name, _ in self.definition["axes"])

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, in their order."""
        ends = (n.removesuffix(".success") for n in self.definition["columns"])
        return tuple(n for n in ends if f"{n}.success" in self.definition["columns"])

    def rows(self) -> list[dict[str, Any]]:
        """A row for each cell, strategy and metric: its parameters, estimate and 95% interval."""
        found = []
        for cell in self.cells:
            place = {name: cell[name] for name in self.axes}
            place.setdefault("budget", self.definition["budget"])
            for strategy in self.strategies:
                for metric in _METRICS:
                    name = f"{strategy}.{metric}"
                    if name in cell:
                        low, high = _interval(cell, name)
                        found.append(
                            {"cell": cell["cell"], **place, "strategy": strategy, "metric": metric}
                            | {"value": cell[name], "low": low, "high": high}
                        )
        return found

    def to_xarray(self) -> Any:
        """The estimates as an `xarray.Dataset` over the grid's axes, strategy and metric.

        Returns:
            Variables `value`, `low` and `high`, NaN in cells that are not done.

        Raises:
            ImportError: xarray is not installed; it comes with `dora-theory[xarray]`.
        """
        axes = dict.fromkeys((*self.axes, "budget", "strategy", "metric"))
        return self._dataset(tuple(axes), store=self.path).drop_vars("cell")

    def plot(self, axis: str | None = None) -> Figure:
        """Success of the strategies along an axis, a panel for each choice of the other axes.

        Args:
            axis: whose values are numbers; the last such axis of more than one value if None.

        Returns:
            The picture.

        Raises:
            InputError: no such axis, nothing in the store, more than six panels.
        """
        x = self._axis(axis)
        others = [name for name in self.axes if name != x]
        panels: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for cell in self.cells:
            panels.setdefault(tuple(cell[name] for name in others), []).append(cell)
        if len(panels) > _PANELS:
            raise InputError(
                f"{self.path}: {len(panels)} panels along {x}, at most {_PANELS} can be read; "
                "--csv has all numbers"
            )
        with plots.style():
            figure, axes = plots.column(len(panels))
            for drawn, (place, cells) in zip(axes, panels.items(), strict=True):
                cells = sorted(cells, key=lambda cell: cell[x])
                values = np.array([cell[x] for cell in cells], float)
                for name in self.strategies:
                    y = [cell[f"{name}.success"] for cell in cells]
                    band = np.array([_interval(cell, f"{name}.success") for cell in cells])
                    plots.draw_strategy(drawn, values, y, name, band=band)
                if values[0] > 0 and values[-1] > 20 * values[0]:
                    drawn.set_xscale("log")
                by_cost = x == "budget" and self.definition.get("by_cost")
                drawn.set_xlabel("cost of a problem's rollouts" if by_cost else x)
                drawn.set_ylabel("success")
                at = zip(others, place, strict=True)
                drawn.set_title(", ".join(f"{n.rpartition('.')[2]} = {v}" for n, v in at))
            axes[0].legend()
        return figure

    def _axis(self, axis: str | None) -> str:
        if not self.cells:
            raise InputError(f"{self.path}: holds no cell yet")
        numeric = [
            name
            for name in self.axes
            if all(isinstance(cell[name], int | float) for cell in self.cells)
            and len({cell[name] for cell in self.cells}) > 1
        ]
        if axis is None and numeric:
            return numeric[-1]
        if axis not in numeric:
            raise InputError(f"{self.path}: no axis of numbers to draw along but {numeric}")
        return axis

    def _title(self) -> str:
        return f"{self.path}: {len(self.cells)} of {self.definition['rows']} cells"


def read_sweep_results(path: str | Path) -> StoredSweep:
    """The store of a sweep, also while a run is adding to it.

    Args:
        path: the folder.

    Returns:
        A `StoredSweep` with `rows()`, `to_dataframe()` with one row per cell, strategy and metric,
        a table in a terminal and in notebooks, and `plot()`.

    Raises:
        InputError: it is not a store, or damaged.
    """
    definition, table = read_store(path)
    return StoredSweep(str(path), definition, tuple(table.to_pylist()))


def _interval(cell: Mapping[str, Any], name: str) -> tuple[float, float]:
    if f"{name}_low" in cell:
        return cell[f"{name}_low"], cell[f"{name}_high"]
    half = _WIDE * cell[f"{name}_error"]
    return cell[name] - half, cell[name] + half
