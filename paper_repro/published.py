"""The paper's curves as data to fit: the four strategies other than DORA, and how far they scatter.

DORA's rows are dropped where they are read, so nothing that fits can see them.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Float

from dora_theory._errors import InputError
from paper_repro.emulator import BUDGETS, METRICS

# As the file calls them → as this package does.
BASELINES = {
    "temperature": "temperature",
    "beam_search": "beam",
    "dvts": "dvts",
    "rebase": "rebase",
}
_BLIND = "dora"
_FIELDS = ("metric", "benchmark", "policy_model", "strategy", "budget", "percent")
# No curve is known better than to half a point: it comes of a few runs.
_LEAST = 0.5


@dataclass(frozen=True)
class Panel:
    """One benchmark and policy model.

    Attributes:
        benchmark: its name.
        model: the policy model.
        budgets: N, ascending.
        percent: accuracy and pass rate in percent, strategies in the order of `BASELINES`, NaN
            where the file has none, shape `(budgets, 4, 2)`.
        deviation: half-width of the drawn bands by metric, in points, their root mean square.
    """

    benchmark: str
    model: str
    budgets: tuple[int, ...]
    percent: Float[np.ndarray, "n 4 2"]
    deviation: Float[np.ndarray, "2"]


def read_panels(path: str) -> list[Panel]:
    """Panels of a file like the paper's Figure 3.

    Args:
        path: CSV with metric, benchmark, policy_model, strategy, budget, percent, and if there
            band_low and band_high.

    Returns:
        A panel for each benchmark and model, in the file's order. DORA's rows are not looked at.

    Raises:
        InputError: the file cannot be read or used.
    """
    values: dict[tuple[str, str], dict[tuple[int, str, str], float]] = {}
    widths: dict[tuple[str, str], dict[str, list[float]]] = {}
    for place, row in _rows(path):
        if row["strategy"] == _BLIND:
            continue
        if row["strategy"] not in BASELINES:
            raise InputError(f"{place}: strategy: {row['strategy']!r}, needs one of Figure 3's")
        if row["metric"] not in METRICS:
            raise InputError(f"{place}: metric: {row['metric']!r}, needs {' or '.join(METRICS)}")
        panel = row["benchmark"], row["policy_model"]
        # Beyond these the emulator knows nothing.
        n = int(_number(place, row, "budget", *BUDGETS))
        if float(row["budget"]) != n:
            raise InputError(f"{place}: budget: {row['budget']!r}, needs an integer")
        key = n, row["strategy"], row["metric"]
        if key in values.setdefault(panel, {}):
            raise InputError(f"{place}: budget: {n} comes twice for {row['strategy']}")
        values[panel][key] = _number(place, row, "percent", -1, 101)
        ends = [row.get(name) or "" for name in ("band_low", "band_high")]
        if all(ends):
            low, high = (_number(place, row, f"band_{e}", -1e3, 1e3) for e in ("low", "high"))
            widths.setdefault(panel, {}).setdefault(row["metric"], []).append((high - low) / 2)
    if not values:
        raise InputError(f"{path}: no rows of {', '.join(BASELINES)}")
    return [_panel(name, points, widths.get(name, {})) for name, points in values.items()]


def _panel(
    name: tuple[str, str], points: dict[tuple[int, str, str], float], widths: dict[str, list[float]]
) -> Panel:
    budgets = tuple(sorted({n for n, _, _ in points}))
    nothing = float("nan")
    percent = [
        [[points.get((n, s, m), nothing) for m in METRICS] for s in BASELINES] for n in budgets
    ]
    # A band that the frame cuts off is drawn with no width.
    bands = [[w for w in widths.get(m, []) if w > 0] for m in METRICS]
    deviation = [max(_LEAST, float(np.sqrt(np.mean(np.square(w)))) if w else 0.0) for w in bands]
    return Panel(*name, budgets, np.array(percent), np.array(deviation))


def _rows(path: str) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [f for f in _FIELDS if f not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}:1: {missing[0]}: no such column")
            for row in reader:
                place = f"{path}:{reader.line_num}"
                if any(row[f] is None for f in _FIELDS):
                    raise InputError(f"{place}: too few fields")
                yield place, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not CSV text: {error}") from None


def _number(place: str, row: dict[str, str], field: str, low: float, high: float) -> float:
    try:
        value = float(row[field])
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and low <= value <= high):
        raise InputError(
            f"{place}: {field}: {row[field]!r}, needs a number from {low:g} to {high:g}"
        )
    return value
