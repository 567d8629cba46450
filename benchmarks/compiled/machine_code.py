"""What a compiled kernel is made of: its PTX by loops, and what the assembler says of it.

PTX is the compiler's last form that is text and the same for all devices. The assembler turns an
instruction into one or several, or joins two. Where that is known from its output for an H100 it is
counted: what scales the operands of an approximation, pairs of logical operations, halves of 64-bit
registers. Registers, spills and shared memory are the assembler's own.
"""

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from compiled.devices import PROGRAMS, REGISTERS, THREADS, Device

_ENTRY = re.compile(r"^\.(?:visible \.)?entry\s+([\w$]+)\(", re.M)
_LABEL = re.compile(r"^\$?([\w$.]+):")
_BRANCH = re.compile(r"\bbra(?:\.uni)?\s+(\$?[\w$.]+);")
_INSTRUCTION = re.compile(r"^(?:@!?%\w+\s+)?([a-z][\w.:]*)")
# By what executes them. Tensor cores; the unit for reciprocals, roots, exponentials, logarithms and
# of rounding to integers; memory; products and sums of doubles and of floats; the rest: integers,
# comparisons, choices.
KINDS = {
    "tensor": re.compile(r"mma\.sync|wgmma\.mma_async|tcgen05\.mma"),
    "special": re.compile(r"(ex2|lg2|rcp|sqrt|rsqrt|sin|cos|tanh)\.|div\.(full|approx)"),
    "conversion": re.compile(r"cvt\.r[nzmp]i\."),
    "division": re.compile(r"div\.(rn|u|s)|rem\."),
    "global": re.compile(r"(ld|st|atom|red)\.(relaxed\.)?global|cp\.async"),
    "shared": re.compile(r"(ld|st)\.shared|ldmatrix|stmatrix"),
    "barrier": re.compile(r"bar\.|barrier\.|mbarrier|shfl|fence"),
    "double": re.compile(r"(add|sub|mul|fma)\.([\w.]+\.)?f64"),
    "float": re.compile(r"(add|sub|mul|fma)\.([\w.]+\.)?f(32|16)"),
    "logic": re.compile(r"(and|or|xor|not)\.b(32|64)"),
}
# Half of a 64-bit register is a register.
_NONE = re.compile(r"mov\.|ret$|bra|\.|pragma|cvt\.u32\.u64|shr\.u64")
# What comes with an approximation, unless it flushes subnormal numbers: comparisons and products.
_SCALING = (
    (re.compile(r"div\.full"), {"integer": 2, "float": 5}),
    (re.compile(r"r?sqrt\.approx\.f32"), {"integer": 1, "float": 2}),
)


@dataclass
class Loop:
    """A loop of a kernel: instructions a thread meets in one turn, without those of inner loops."""

    counts: Counter[str] = field(default_factory=Counter)
    depth: int = 0


def entries(ptx: str) -> dict[str, str]:
    """The body of each kernel, by name."""
    starts = [(m.group(1), m.start()) for m in _ENTRY.finditer(ptx)]
    ends = [start for _, start in starts[1:]] + [len(ptx)]
    return {name: ptx[start:end] for (name, start), end in zip(starts, ends, strict=False)}


Taken = Literal["whole", "settled", "clear"]


def loops(body: str, path: Taken = "whole") -> list[Loop]:
    """The kernel outside of all loops, then its loops in the order in which they begin.

    Of an allocation rows without a doubt need no rounded quotient: the `clear` path takes the first
    jump forward over one. Rows of ties need one step: the `settled` path takes the second.

    A loop is what lies between a label and the last branch back to it. Compilers lay out blocks in
    such an order that this is right for the loops of these kernels.
    """
    lines = [line.strip() for line in body.splitlines()]
    labels = {m.group(1): i for i, line in enumerate(lines) if (m := _LABEL.match(line))}
    spans: dict[int, int] = {}
    for i, line in enumerate(lines):
        found = _BRANCH.search(line)
        if found:
            start = labels.get(found.group(1).lstrip("$"), len(lines))
            if start <= i:
                spans[start] = max(i, spans.get(start, 0))
    ordered = sorted(spans.items())
    met = _met(lines, labels, path)
    made = [Loop()] + [Loop() for _ in ordered]
    for j, (start, end) in enumerate(ordered):
        made[j + 1].depth = 1 + sum(a < start and end <= b for a, b in ordered)
    for i, line in enumerate(lines):
        if i not in met:
            continue
        # The innermost: of those around it, the one that begins last.
        inside = [j + 1 for j, (a, b) in enumerate(ordered) if a <= i <= b]
        here = made[inside[-1] if inside else 0].counts
        for name in _names(line):
            here.update(filter(None, [kind_of(name)]))
            here.update(Counter(*(more for pattern, more in _SCALING if pattern.match(name))))
    return made


def _met(lines: list[str], labels: dict[str, int], path: Taken) -> set[int]:
    """Lines that a path comes by, once each: no jump back is taken."""
    if path == "whole":
        return set(range(len(lines)))
    met, i, left_alone = set(), 0, int(path == "settled")
    while i < len(lines):
        met.add(i)
        branch = _BRANCH.search(lines[i])
        end = labels.get(branch.group(1).lstrip("$"), 0) if branch else 0
        i += 1
        if end <= i:
            continue
        if not lines[i - 1].startswith("@"):
            i = end
        elif any("div.rn" in lines[j] for j in range(i, end)):
            if left_alone:
                left_alone -= 1
            else:
                i = end
    return met


def kind_of(name: str) -> str | None:
    """Which unit an instruction keeps busy; None for what costs nothing."""
    for kind, pattern in KINDS.items():
        if pattern.match(name):
            return kind
    return None if _NONE.match(name) else "integer"


def instructions(body: str, kind: str) -> Counter[str]:
    """How often each instruction of a kind stands in a kernel, by name without types."""
    names = Counter[str]()
    for line in body.splitlines():
        for name in _names(line.strip()):
            if kind_of(name) == kind:
                names[".".join(name.split(".")[:2])] += 1
    return names


def _names(line: str) -> list[str]:
    """Instructions of a line: one, or several of what was written as assembly."""
    if _LABEL.match(line):
        return []
    parts = line.lstrip("{ ").split("; ")
    return [found.group(1) for found in map(_INSTRUCTION.match, parts) if found]


def assembled(ptx: str, assembler: str, device: Device) -> dict[str, dict[str, int]]:
    """Registers, spilled bytes, stack and static shared memory of each kernel."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        command = [assembler, "-v", f"-arch={device.architecture}", file.name, "-o", "/dev/null"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{Path(assembler).name}: {ran.stderr.strip().splitlines()[0]}")
    return read_assembler(ran.stderr)


def read_assembler(said: str) -> dict[str, dict[str, int]]:
    """What `ptxas -v` says, by kernel."""
    found: dict[str, dict[str, int]] = {}
    for part in said.split("Compiling entry function '")[1:]:

        def number(pattern: str, text: str = part) -> int:
            m = re.search(pattern, text)
            return int(m.group(1)) if m else 0

        found[part.partition("'")[0]] = {
            "registers": number(r"Used (\d+) registers"),
            "spilled": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
            "stack": number(r"(\d+) bytes stack frame"),
            "shared": number(r"(\d+) bytes smem"),
        }
    return found


def occupancy(registers: int, shared: int, threads: int, device: Device) -> float:
    """Share of a multiprocessor's threads that can be there at once.

    Registers are given out 256 at a time to a warp; of shared memory a program takes 1 KiB more.
    """
    warps = -(-threads // 32)
    each = -(-max(registers, 1) * 32 // 256) * 256
    by_registers = REGISTERS // (each * warps)
    by_memory = device.shared[0] // (-(-(shared + 1024) // 128) * 128)
    programs = min(PROGRAMS, THREADS // (32 * warps), by_registers, by_memory)
    return programs * warps * 32 / THREADS


def threads_of(body: str) -> int:
    """Threads of a program, which the kernel states."""
    m = re.search(r"\.(?:req|max)ntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?", body)
    numbers: list[Any] = [int(x) for x in m.groups() if x] if m else []
    total = 1
    for n in numbers:
        total *= n
    return total if numbers else 0
