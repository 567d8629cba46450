"""Times of kernels on GPUs as a roofline predicts them: from datasheets and instruction counts.

A prediction is not a measurement. It is the least time that the device's units need, each kept busy
throughout at the boost clock; the longest of them is the time, and names what binds. Latency, what
waits at a barrier, and traffic between the caches are not in it, so a device will be slower.

Rates a multiprocessor and cycle, from NVIDIA's whitepapers on A100, H100 and Blackwell and the
table of arithmetic throughput in the CUDA C++ Programming Guide: four instructions of a warp begin,
`Device.lanes` floats, 64 integers, comparisons or choices, 16 reciprocals, roots or exponentials,
and 128 bytes of shared memory.
"""

from collections import Counter
from typing import Any

from compiled.devices import DEVICES, H200, Device

ISSUED, INTEGER, SPECIAL, SHARED, WARP = 4, 64, 16, 32, 32
# Instructions of a correctly rounded quotient besides its reciprocal.
_DIVISION = 10
# What the bars ask for, by kernel.
BARS = {
    "largest_priorities": "at most 2 times a copy",
    "similarity_sums": "at least 0.6 of the plain product",
    "expected_outcomes": "at least 10 times the jitted estimator",
}


def _working(row: dict[str, Any]) -> list[dict[str, int]]:
    """What is outside of loops, and loops that do more than wait."""
    first, *loops = row["loops"]
    return [first, *(loop for loop in loops if loop.keys() > {"depth"})]


def counts(row: dict[str, Any], *, tied: bool = False) -> Counter[str]:
    """Instructions that a thread executes, by kind."""
    turns = row["work"]["tied_turns" if tied else "turns"]
    first, *loops = _working(row)
    outside = first if tied or not row["clear"] else row["clear"]
    total = Counter[str]()
    for loop, turn in zip((outside, *loops), (1, *turns), strict=True):
        for kind, count in loop.items():
            if kind != "depth":
                total[kind] += count * turn
    return total


def limits_of(row: dict[str, Any], device: Device, *, tied: bool = False) -> dict[str, float]:
    """Seconds that each unit of a device needs."""
    work, each = row["work"], counts(row, tied=tied)
    # The multiprocessor with most programs decides.
    programs = -(-work["programs"] // device.cores)
    warps = programs * row["threads"] / WARP
    share = programs * device.cores / work["programs"]
    cycles = {
        "floats": (each["float"] + _DIVISION * each["division"]) * WARP / device.lanes[0],
        "doubles": each["double"] * WARP / device.lanes[1],
        "integers": each["integer"] * WARP / INTEGER,
        "special functions": (each["special"] + each["division"]) * WARP / SPECIAL,
        "shared memory": each["shared"] * WARP / SHARED,
        "instructions": each.total() / ISSUED,
    }
    seconds = {unit: count * warps / device.clock for unit, count in cycles.items()}
    seconds["memory"] = (row["read"] + row["written"]) / device.bandwidth
    if work["product"] and row["tensor"]:
        rate = device.matrix["bfloat16" if row["precision"] == "full" else row["precision"]]
        seconds["matrix unit"] = work["product"] * share / rate
    return seconds


def _against_bar(row: dict[str, Any], device: Device, seconds: float) -> float:
    """The figure that the kernel's bar is about."""
    work = row["work"]
    if row["kernel"] == "largest_priorities":
        return seconds / (work["copied"] / device.bandwidth)
    if row["kernel"] == "similarity_sums":
        plain = 2 * device.lanes[0] * device.cores * device.clock
        product = work["useful"] / device.matrix.get(row["precision"], plain)
        return max(product, work["copied"] / device.bandwidth) / seconds
    # The reference draws as the kernel does, and writes and reads what the kernel keeps.
    return (seconds + work["copied"] / device.bandwidth) / seconds


def predicted(row: dict[str, Any], device: Device, *, tied: bool = False) -> dict[str, Any]:
    """The prediction of a row: time, what binds, the bar's figure, operations a byte."""
    seconds = limits_of(row, device, tied=tied)
    binds = max(seconds, key=lambda unit: seconds[unit])
    most = seconds[binds]
    figure = _against_bar(row, device, most)
    least = _LEAST.get(row["kernel"])
    meets = figure <= 2 if least is None else figure >= least
    case = row["case"] + (", with ties" if tied else "")
    return {
        "device": device.name,
        "kernel": row["kernel"],
        "case": case,
        "precision": row["precision"],
        "backend": row["backend"],
        "milliseconds": float(f"{most * 1e3:.4g}"),
        "binds": binds,
        "figure": float(f"{figure:.3g}"),
        "meets": meets,
    }


_LEAST = {"similarity_sums": 0.6, "expected_outcomes": 10}


def operations_a_byte(row: dict[str, Any]) -> float:
    """Operations of all threads, and of matrix units, a byte read or written."""
    work, each = row["work"], counts(row)
    executed = sum(each[kind] for kind in ("float", "double", "integer", "special"))
    executed += _DIVISION * each["division"]
    total = executed * work["programs"] * row["threads"]
    if row["tensor"]:
        total += work["product"]
    return total / (row["read"] + row["written"])


def predictable(row: dict[str, Any]) -> bool:
    """Whether the kernel has the loops that a prediction counts on."""
    return bool(
        row["work"]
        and row.get("in_program")
        and len(_working(row)) == 1 + len(row["work"]["turns"])
    )


def all_predicted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Predictions of all kernels by the newest JAX; an H200 is an H100 with other memory."""
    newest = [row for row in rows if row["jax"] == rows[-1]["jax"] and predictable(row)]
    found = []
    for name, device in (*DEVICES.items(), ("H100", H200)):
        for row in newest:
            if row["device"] == name:
                found.append(predicted(row, device))
                if row["work"]["tied_turns"]:
                    found.append(predicted(row, device, tied=True))
    return found
