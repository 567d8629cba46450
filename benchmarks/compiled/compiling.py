"""One JAX version's share: compiles programs for devices that are not there, and reads the result.

A process of its own, in an environment of its own: JAX reads what stands in `ENVIRONMENT` when it
is loaded.
"""

import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compiled.devices import Device, known_while_lowering, mesh
from compiled.machine_code import (
    assembled,
    entries,
    instructions,
    loops,
    occupancy,
    threads_of,
)
from compiled.programs import Program, placed

ENVIRONMENT = {
    "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "",
    # The compiler says there how much shared memory a Triton kernel takes, and nowhere else.
    "TF_CPP_MIN_LOG_LEVEL": "0",
    "TF_CPP_VMODULE": "xtile_compiler=2",
    # Mosaic GPU compiles its kernels by itself, and says so on standard output.
    "MOSAIC_GPU_DUMP_PTX": "1",
    "MOSAIC_GPU_DUMP_RESOURCES": "1",
}
_SHARED = re.compile(r"Shared memory usage: (\d+) B")
_FLUSHING = re.compile(r"\.ftz\.")
_SCRATCH = re.compile(r"smem_scratch_bytes=(\d+)")
_GATHERS = re.compile(r"\b(all-gather|all-to-all|collective-permute|all-reduce)(?:-start)?\(")


def compiled(program: Program, device: Device, assembler: str) -> dict[str, Any]:
    """A row of the table, without what tells devices and versions of JAX apart.

    Raises:
        Exception: whatever JAX or the compiler raises.
    """
    import jax

    with jax.enable_x64(program.wide), tempfile.TemporaryDirectory() as folder:
        on = mesh(device, program.devices)
        shapes = placed(program, on)
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as warned, _heard() as heard:
            warnings.simplefilter("always")
            # Also while compiling: what a device does of a sharded program is lowered then.
            with known_while_lowering(device, program.devices):
                lowered = jax.jit(program.function).lower(*shapes)
                made = lowered.compile(
                    compiler_options={"xla_dump_to": folder, "xla_dump_emitter_re": "ptx"}
                )
        seconds = time.perf_counter() - start
        ptx = [path.read_text() for path in sorted(Path(folder).glob("*.ptx"))]
        text, memory = made.as_text(), made.memory_analysis()
    found = {
        "in_program": False,
        "seconds": seconds,
        "read": memory.argument_size_in_bytes,
        "written": memory.output_size_in_bytes,
        "kept": memory.temp_size_in_bytes,
        "gathers": sorted(set(_GATHERS.findall(text))),
        "warnings": sorted({str(w.message).partition("\n")[0] for w in warned}),
    }
    said = "".join(heard)
    if program.backend == "mosaic":
        # Of standard output alone: warnings of a compiler that is slow would stand amid the code.
        ptx, pattern = _modules(heard[0]), _SCRATCH
    else:
        pattern = _SHARED
    if program.backend == "xla":
        # Of the many kernels that it becomes, the one that draws.
        ptx = [max(ptx, key=lambda module: module.count("xor.b32"))]
    for module in ptx:
        for name, body in entries(module).items():
            if program.backend != "xla" and program.kernel not in name:
                continue
            shared = [int(x) for x in pattern.findall(said)]
            found |= kernel_row(module, name, body, max(shared, default=0), assembler, device)
    return found


def kernel_row(
    module: str, name: str, body: str, shared: int, assembler: str, device: Device
) -> dict[str, Any]:
    """What is known of one kernel."""
    said = assembled(module, assembler, device)[name]
    shared += said.pop("shared")
    threads = threads_of(body)
    return {
        "in_program": True,
        **said,
        "shared": shared,
        "threads": threads,
        "occupancy": occupancy(said["registers"], shared, threads, device),
        "tensor": dict(instructions(body, "tensor")),
        "special": dict(instructions(body, "special")),
        "flushing": len(_FLUSHING.findall(body)),
        "loops": [{"depth": each.depth, **each.counts} for each in loops(body)],
        "clear": dict(loops(body, "clear")[0].counts),
        "settled": dict(loops(body, "settled")[0].counts),
    }


def _modules(said: str) -> list[str]:
    """The PTX in what a compiler has said."""
    parts = re.split(r"^\.version .*$", said, flags=re.M)[1:]
    # Up to the end of the last function: what follows is not PTX. Mosaic GPU has an assembler of
    # its own, newer than the packaged one, which knows all that these kernels use.
    bodies = (part[: part.rindex("\n}") + 2] for part in parts)
    return [f".version 8.8{body}\n" for body in bodies]


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the compiler, which is not Python, writes to standard output and to error meanwhile."""
    heard: list[str] = []
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        sys.stdout.flush()
        sys.stderr.flush()
        files = {1: out, 2: err}
        kept = {number: os.dup(number) for number in files}
        for number, file in files.items():
            os.dup2(file.fileno(), number)
        try:
            yield heard
        finally:
            sys.stdout.flush()
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)
            for file in files.values():
                file.seek(0)
                heard.append(file.read())
