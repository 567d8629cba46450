"""Races: calls timed in turn, compared as ratios with their spread, and where that was done."""

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

import dora_theory

Call = Callable[[], object]
# A measurement of something fast is a median of calls that take about this long together.
_ENOUGH, _MOST_CALLS = 0.03, 20
_PACKAGES = "jax", "jaxlib", "numpy", "scipy", "apportionment"


def seconds(call: Call) -> float:
    """One call, with its result on hand."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def race(
    calls: Mapping[str, Call], rounds: int, *, does: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Times the first call against the others.

    Args:
        calls: of which the first is ours.
        rounds: in each of which every call is timed, in turn, so that a machine that slows down
            slows all of them.
        does: the share of the work that a call does, where it would take too long to do all; its
            time is scaled up.

    Returns:
        Median milliseconds of each, and how many times faster the first is than the others: median,
        least and greatest of the rounds.
    """
    repeats = {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        repeats[name] = max(1, min(_MOST_CALLS, int(_ENOUGH / seconds(call))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            once = statistics.median(seconds(call) for _ in range(repeats[name]))
            times[name].append(once / (does or {}).get(name, 1))
    first, *others = calls
    return {
        "milliseconds": {name: statistics.median(t) * 1e3 for name, t in times.items()},
        "times_faster_than": {name: _ratios(times[name], times[first]) for name in others},
    }


def _ratios(theirs: list[float], ours: list[float]) -> dict[str, float]:
    ratios = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    return {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]}


def growth(calls: Mapping[str, Call]) -> dict[str, float]:
    """Median milliseconds of three calls of each, after one that compiles."""
    found = {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        found[name] = statistics.median(seconds(call) for _ in range(3)) * 1e3
    return found


def missing(*packages: str) -> list[str]:
    """Those that are not installed: what needs them is left out, and said to be."""
    return [name for name in packages if _version(name) is None]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """The device and versions that figures hold for."""
    return {
        "device": jax.devices()[0].device_kind,
        "devices": len(jax.devices()),
        "processor": processor(),
        "cores": os.cpu_count(),
        # Others at work on the machine slow what uses all cores more than what uses one.
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {"dora-theory": dora_theory.__version__}
        | {name: _version(name) for name in _PACKAGES},
    }


def processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()
