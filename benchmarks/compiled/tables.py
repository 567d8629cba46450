"""The tables of what was compiled and of what is predicted of it, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from compiled.assumed import COURSES, Course
from compiled.devices import DEVICES, H200
from compiled.predict import (
    BARS,
    BUSY,
    INTEGER,
    ISSUED,
    LATENCY,
    OLDER,
    SHARED,
    SPECIAL,
    operations_a_byte,
    predictable,
)

_HEAD = """# What the compiler makes of the kernels

Compiled without a GPU by `make gpu-compile`. **Nothing here was measured on a GPU.** Registers and
spilled bytes are a thread's, shared memory a program's (block's); occupancy is the share of a
multiprocessor's threads that these allow at once. Bytes are those of arguments and results, as an
ideal program moves them once; kept is what the program holds beside them while it runs. Operations
are those of all threads and matrix units, for each byte read or written. Approximate are the
instructions whose error is documented and more than rounding. Compile seconds are those of the
machine that made the table, on which other things ran.
"""


def compiled(rows: Sequence[dict[str, Any]], planted: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [_HEAD]
    versions = list(dict.fromkeys((row["jax"], row["device"]) for row in rows))
    for jax, device in versions:
        lines += [f"\n## {device}, JAX {jax}\n", _HEADINGS, "|---" * _COLUMNS + "|"]
        lines += [_line(r) for r in rows if (r["jax"], r["device"]) == (jax, device)]
    for row in planted:
        lines.append(
            f"\nPlanted for JAX {row['jax']}: tiles that registers do not hold spill "
            f"{row['spilled']} bytes, which the limit refuses."
        )
    return "\n".join(lines) + "\n"


_HEADINGS = (
    "| program | devices | registers | spilled | shared | occupancy | tensor cores | read, MB "
    "| written, MB | kept, MB | operations per byte | approximate | compiled, s |"
)
_COLUMNS = _HEADINGS.count("|") - 1


def _line(row: dict[str, Any]) -> str:
    what = f"`{row['kernel']}`, {row['case']}"
    what += f", {row['precision']}" if row["precision"] else ""
    what += f" ({row['backend']})"
    if row.get("error") or not row["in_program"]:
        why = row.get("error") or "no kernel in the program"
        return f"| {what} | {row['devices']} | {why} |" + " |" * (_COLUMNS - 3)
    tensor, special = map(_listed, (row["tensor"], row["special"]))
    intensity = operations_a_byte(row) if predictable(row) else None
    cells = [
        what, row["devices"], row["registers"], row["spilled"], row["shared"],
        f"{row['occupancy']:.0%}", tensor, *(f"{row[x] / 1e6:.2f}" for x in _BYTES),
        "–" if intensity is None else f"{intensity:.3g}", special, f"{row['seconds']:.1f}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


_BYTES = "read", "written", "kept"


def _listed(instructions: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in instructions.items()) or "–"


_PREDICTED = """# What a roofline predicts of the kernels

**Predictions: nothing here was measured.** Made by `make gpu-compile`
from what the datasheets say of a device and from the instructions that JAX {jax} compiles for it;
`make gpu` prints them beside what it measures. A time is the least in which the unit that binds can
do its part, busy throughout at the boost clock; a real device is slower. Assumed besides:

* memory is read and written once, what is read again comes from caches at no cost; what is laid
  out for a kernel is written and read before it, in time of its own;
* `mma.sync` reaches {older} of the matrix rate from Hopper on (Luo et al. 2025, arXiv 2501.12084);
* a search for a level takes so many passes, so many programs a step that settles ties, and so many
  of those the certificate, as counted on a CPU for the weights of `make gpu`:
  {courses};
* the plain product of γ runs at the matrix rate, or at that of memory where it must move more;
* the reference of Monte Carlo draws by the instructions that XLA compiles for it, a number per
  thread, and writes and reads logits and log failures; its other work is not counted;
* a multiprocessor begins {issued} instructions of a warp per cycle, in which it does {integer}
  integers, comparisons or choices, {special} special functions or conversions, and {shared} words
  of shared memory or a cache;
* a correctly rounded quotient is ten instructions and a reciprocal, an approximate one that does
  not flush subnormal numbers seven and a reciprocal; two logical operations are one instruction,
  and half of a 64-bit register is none. So it is in the machine code for an H100.

| device | bytes/s | multiprocessors | float32, float64 lanes | boost clock | tf32, bfloat16 |
|---|---|---|---|---|---|
{datasheets}

From NVIDIA's datasheets and whitepapers, dense matrix rates.

{missed}
"""
_MISSED = """A bar is for sizes that keep a device busy: under {latency} µs there is mostly
latency, and of fewer than {busy} programs a multiprocessor some wait for others. Of allocation it
is for k from 8 to 4096.

Bars that a prediction misses: {missed} of {all}, as the last column says."""


def _course(course: Course) -> str:
    return f"{course.passes}, {course.step:.0%} and {course.search:.0%}"


def predictions(found: Sequence[dict[str, Any]], jax: str) -> str:
    """Markdown, a table for each kernel."""
    datasheets = "\n".join(
        f"| {d.name} | {d.bandwidth:.4g} | {d.cores} | {', '.join(map(str, d.lanes))} "
        f"| {d.clock / 1e9} GHz | {', '.join(f'{x:.4g} flop/s' for x in d.matrix.values())} |"
        for d in (*DEVICES.values(), H200)
    )
    bars = [row["bar"] for row in found if row["bar"] in ("met", "missed")]
    missed = _MISSED.format(
        missed=bars.count("missed"), all=len(bars), latency=round(LATENCY * 1e6), busy=BUSY
    )
    courses = ";\n  ".join(
        f"at k = {k} {_course(apart)}, with ties {_course(tied)}"
        for k, (apart, tied) in COURSES.items()
        if k > 1
    )
    head = _PREDICTED.format(
        jax=jax,
        datasheets=datasheets,
        missed=missed,
        courses=courses,
        issued=ISSUED,
        integer=INTEGER,
        special=SPECIAL,
        shared=SHARED,
        older=OLDER,
    )
    lines = [head]
    for kernel, bar in BARS.items():
        lines += [f"\n## `{kernel}`\n", f"Bar: {bar}.\n"]
        lines += [f"| device | program | predicted, ms | binds | {_FIGURES[kernel]} | bar |"]
        lines += ["|---" * 6 + "|"]
        for row in found:
            if row["kernel"] == kernel:
                precision = f", {row['precision']}" if row["precision"] else ""
                lines.append(
                    f"| {row['device']} | {row['case']}{precision} ({row['backend']}) "
                    f"| {row['milliseconds']} | {row['binds']} | {_figure(row)} "
                    f"| {'**missed**' if row['bar'] == 'missed' else row['bar']} |"
                )
    return "\n".join(lines) + "\n"


_FIGURES = {
    "largest_priorities": "times a copy",
    "similarity_sums": "share of the plain product",
    "expected_outcomes": "times faster than the reference (instructions per draw of both)",
}


def _figure(row: dict[str, Any]) -> str:
    drawn = row["per_draw"]
    return f"{row['figure']}" + (f" ({drawn[0]} and {drawn[1]})" if drawn else "")


def as_json(rows: Sequence[dict[str, Any]]) -> str:
    """One row a line."""
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"
