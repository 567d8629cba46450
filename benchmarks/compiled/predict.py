"""Times of kernels on GPUs as a roofline predicts them: from datasheets and instruction counts.

A prediction is not a measurement. It is the least time that the device's units need, each kept busy
throughout at the boost clock; the longest of them is the time, and names what binds. What is laid
out for a kernel is written and read before it, and added. Latency, what waits at a barrier, and
traffic between the caches are not in it, so a device will be slower.

Rates a multiprocessor and cycle, from NVIDIA's whitepapers on A100, H100 and Blackwell and the
table of arithmetic throughput in the CUDA C++ Programming Guide: four instructions of a warp begin,
`Device.lanes` floats, 64 integers, comparisons or choices, 16 reciprocals, roots, exponentials or
conversions, and 128 bytes of shared memory or of a cache.
"""

from collections import Counter
from typing import Any

from compiled.assumed import MOVES, Course
from compiled.devices import DEVICES, H200, Device

ISSUED, INTEGER, SPECIAL, SHARED, WARP = 4, 64, 16, 32, 32
# Share of the matrix rate that `mma.sync` reaches from Hopper on, where other instructions reach
# nearly all: measured by others on a Hopper GPU (Luo et al. 2025, arXiv 2501.12084, tensor cores).
OLDER = 0.629
# Of a program of the reference.
_THREADS = 128
# Instructions of a correctly rounded quotient besides its reciprocal.
_DIVISION = 10
# Seconds under which launching a kernel, about five millionths, counts as much as what it does.
LATENCY = 1e-5
# Programs a multiprocessor under which some of them wait for others, however good a program is.
BUSY = 2
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
    first, *loops = _working(row)
    executed, turns = [(first, 1.0)], row["work"]["turns"]
    if row["work"]["courses"]:
        passes, step, search, searched = Course(*row["work"]["courses"][tied])
        executed = [
            (row["clear"], 1 - step), (row["settled"], step - search), (first, search)
        ]  # fmt: skip
        turns = passes, searched, *[MOVES * search] * (len(loops) - 2)
    total = Counter[str]()
    for counted, times in (*executed, *zip(loops, turns, strict=True)):
        for kind, count in counted.items():
            if kind != "depth":
                total[kind] += count * times
    # One instruction does two logical operations of three words.
    total["integer"] += total.pop("logic", 0) / 2
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
        "special functions": (each["special"] + each["division"] + each["conversion"])
        * WARP
        / SPECIAL,
        "shared memory": (each["shared"] + each["global"]) * WARP / SHARED,
        "instructions": each.total() / ISSUED,
    }
    seconds = {unit: count * warps / device.clock for unit, count in cycles.items()}
    seconds["memory"] = (row["read"] + row["written"]) / device.bandwidth
    if work["product"] and row["tensor"]:
        rate = device.matrix["bfloat16" if row["precision"] == "full" else row["precision"]]
        if device.capability >= (9, 0) and set(row["tensor"]) == {"mma.sync"}:
            rate *= OLDER
        seconds["matrix unit"] = work["product"] * share / rate
    return seconds


def _against_bar(row: dict[str, Any], device: Device, seconds: float, reference: Any) -> float:
    """The figure that the kernel's bar is about."""
    work = row["work"]
    if row["kernel"] == "largest_priorities":
        return seconds / (work["copied"] / device.bandwidth)
    if row["kernel"] == "similarity_sums":
        plain = 2 * device.lanes[0] * device.cores * device.clock
        product = work["useful"] / device.matrix.get(row["precision"], plain)
        return max(product, work["copied"] / device.bandwidth) / seconds
    # The reference draws one number a thread, and writes and reads what the kernel keeps.
    draws = limits_of(reference | {"work": reference_work(work)}, device)
    return (max(draws.values()) + work["copied"] / device.bandwidth) / seconds


def reference_work(work: dict[str, Any]) -> dict[str, Any]:
    """That of a program which draws, of threads of the reference."""
    return work | {"programs": work["draws"] // _THREADS, "turns": (), "product": 0}


def predicted(
    row: dict[str, Any], device: Device, *, tied: bool = False, reference: Any = None
) -> dict[str, Any]:
    """The prediction of a row: time, what binds, the bar's figure, operations per byte.

    Args:
        row: what was compiled.
        device: on which.
        tied: of rows with ties.
        reference: what the kernel of expected outcomes is compared with, as it was compiled.

    Returns:
        A row of the table.
    """
    seconds = limits_of(row, device, tied=tied)
    binds = max(seconds, key=lambda unit: seconds[unit])
    # What the program keeps besides is laid out before the kernel, or added up after it.
    most = seconds[binds] + 2 * row["kept"] / device.bandwidth
    figure = _against_bar(row, device, most, reference)
    least = _LEAST.get(row["kernel"])
    meets = figure <= 2 if least is None else figure >= least
    bar = "met" if meets else "missed"
    if not row["work"]["asked"]:
        bar = "not asked of this size"
    elif most < LATENCY:
        bar = "latency"
    elif row["work"]["programs"] < BUSY * device.cores:
        bar = "too few programs"
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
        "bar": bar,
        "per_draw": _per_draw(row, reference) if row["work"]["draws"] else None,
    }


def _per_draw(row: dict[str, Any], reference: dict[str, Any]) -> list[int]:
    """Instructions of a thread for each number that it draws, of kernel and reference."""
    of_reference = reference | {"work": reference_work(row["work"])}
    return [
        round(counts(each).total() * each["work"]["programs"] * threads / row["work"]["draws"])
        for each, threads in ((row, row["threads"]), (of_reference, _THREADS))
    ]


_LEAST = {"similarity_sums": 0.6, "expected_outcomes": 10}


def _of_few(row: dict[str, Any]) -> dict[str, Any]:
    """The same program, of fewer problems."""
    work = row["work"]
    share = work["few"] / work["many"]
    fewer = {name: work[name] * share for name in ("programs", "product", "useful", "copied")}
    return row | {
        "case": row["case"].replace(str(work["many"]), str(work["few"]), 1),
        "read": row["read"] * share,
        "written": row["written"] * share,
        "kept": row["kept"] * share,
        "work": work | fewer,
    }


def operations_a_byte(row: dict[str, Any]) -> float:
    """Operations of all threads, and of matrix units, a byte read or written."""
    work, each = row["work"], counts(row)
    kinds = "float", "double", "integer", "special", "conversion"
    executed = sum(each[kind] for kind in kinds)
    executed += _DIVISION * each["division"]
    total = executed * work["programs"] * row["threads"]
    if row["tensor"]:
        total += work["product"]
    return total / (row["read"] + row["written"])


def predictable(row: dict[str, Any]) -> bool:
    """Whether the kernel has the loops that a prediction counts on."""
    work = row["work"]
    if not work or not row.get("in_program"):
        return False
    loops = len(_working(row)) - 1
    return loops > 1 if work["courses"] else loops == len(work["turns"])


def all_predicted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Predictions of all kernels by the newest JAX; an H200 is an H100 with other memory."""
    newest = [row for row in rows if row["jax"] == rows[-1]["jax"]]
    drawn = [row for row in newest if row["backend"] == "xla" and row.get("in_program")]
    references = {row["device"]: row for row in drawn}
    newest = [
        row
        for row in newest
        if predictable(row) and (not row["work"]["draws"] or row["device"] in references)
    ]
    found = []
    for name, device in (*DEVICES.items(), ("H100", H200)):
        for row in newest:
            if row["device"] == name:
                found.append(predicted(row, device, reference=references.get(name)))
                if len(row["work"]["courses"]) > 1:
                    found.append(predicted(row, device, tied=True))
                if row["work"]["few"]:
                    found.append(predicted(_of_few(row), device))
    return found
