"""One picture of a run: how many times faster than what, and how time grows."""

from math import ceil, floor, log10
from typing import IO, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw(result: dict[str, Any], out: IO[bytes]) -> None:
    """A PNG: ratios as points with their spread; one panel for each thing that grows."""
    bars = [
        (f"{name}: {other}", ratio)
        for found in result["jobs"].values()
        for name, race in found.get("races", {}).items()
        for other, ratio in race["times_faster_than"].items()
    ]
    curves = [
        (job.replace("_", " "), unit.removesuffix("_as_it_grows").replace("_", " "), name, points)
        for job, found in result["jobs"].items()
        for unit, grown in found.items()
        if unit.endswith("_as_it_grows")
        for name, points in grown.items()
        if all(key.isdigit() for key in points)
    ]
    columns = 4
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(12, 0.28 * len(bars) + 1.2 + 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subfigures(2, 1, height_ratios=[0.28 * len(bars) + 1.2, 2.4 * rows + 0.1])
    if bars:
        _ratios(top.subplots(), bars)
    if curves:
        axes = bottom.subplots(rows, columns, squeeze=False).ravel()
        for axis, (job, unit, name, points) in zip(axes, curves, strict=False):
            axis.loglog([int(x) for x in points], list(points.values()), "o-", color="#2b6cb0")
            axis.set(title=job, xlabel=name, ylabel=unit, xticks=[int(x) for x in points])
            axis.set_xticklabels(points)
            axis.minorticks_off()
            low, high = min(points.values()), max(points.values())
            # Whole decades, so that a tick is always seen.
            axis.set_ylim(10 ** floor(log10(low * 0.99)), 10 ** ceil(log10(high * 1.01)))
        for axis in axes[len(curves) :]:
            axis.set_axis_off()
    machine = result["machine"]
    figure.suptitle(
        f"{machine['device']}: {machine['processor']}, {machine['cores']} cores, "
        f"JAX {machine['packages']['jax']}"
    )
    figure.savefig(out, format="png", dpi=110)


def _ratios(axis: Any, bars: list[tuple[str, dict[str, float]]]) -> None:
    names, ratios = zip(*bars, strict=True)
    middle = [r["median"] for r in ratios]
    spread = [[r["median"] - r["low"] for r in ratios], [r["high"] - r["median"] for r in ratios]]
    place = range(len(bars))
    axis.errorbar(middle, place, xerr=spread, fmt="o", color="#2b6cb0", capsize=3)
    axis.axvline(1, color="#999999", linewidth=1)
    axis.set_yticks(place, names)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="times faster: median, minimum and maximum of the rounds")
    axis.grid(axis="x", alpha=0.3)
