"""Compiles every kernel for GPUs that are not there, and fails on what a kernel must not be.

`make gpu-compile`, or `python benchmarks/gpu_compile.py [--devices A100 H100 B200] [--out FOLDER]`;
with `--again` limits, tables and predictions are made anew of what the last run has compiled.
Environments of 1.2 GB each, with the oldest and the newest JAX that the package supports, are made
in `.cache/gpu`; where their packages cannot be had one line says so, and nothing is checked. The
table goes to benchmarks/results/gpu-compiled.md, and what a roofline predicts of it beside it, to
gpu-predicted.md: nothing here was measured. With `--devices` both are written only if `--out` is
given. Exit status: 0 all is within its limits, or nothing could be checked; 1 something is not.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from compiled import devices, environments, limits, predict, tables  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
COMPILED = ROOT / ".cache" / "gpu" / "compiled"


def share(assembler: str, name: str, jax_version: str, out: Path) -> None:
    """What one JAX version compiles for one device, a row a line, in this process.

    Mosaic GPU compiles for the device that it first met in a process.
    """
    from compiled.compiling import ENVIRONMENT

    os.environ.update(ENVIRONMENT)
    from compiled import programs
    from compiled.compiling import compiled

    device = devices.DEVICES[name]
    programs.as_if_there_were(device)
    with out.open("w") as file:
        for program in programs.every(name):
            row: dict[str, Any] = program.described() | {"jax": jax_version, "device": name}
            try:
                row |= compiled(program, device, assembler)
            except Exception as error:  # whatever it is, it is a row's fault
                row["error"] = f"{type(error).__name__}: {error}".strip().replace("\n", " ")
            file.write(json.dumps(row) + "\n")
            file.flush()


def compile_all(names: list[str]) -> list[dict[str, Any]]:
    """All rows: those of a version of JAX and a device in a process of their own, two at once.

    Raises:
        environments.Missing: packages cannot be had.
    """
    cache = COMPILED.parent
    made = [
        environments.made(cache / "oldest", sys.executable, environments.oldest_jax()),
        environments.made(cache / "newest", environments.newest_python(), None),
    ]
    shutil.rmtree(COMPILED, ignore_errors=True)
    COMPILED.mkdir()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shares = itertools.product(names, made)
        done = [pool.submit(_compile, name, environment) for name, environment in shares]
    for each in done:
        each.result()
    return last_compiled()


def _compile(name: str, by: environments.Environment) -> None:
    """`share` in a process."""
    out = COMPILED / f"{by.jax} {name}.jsonl"
    options = [f"--share={out}", f"--assembler={by.assembler}", f"--jax={by.jax}"]
    # A cache of compiled programs cannot be read without a device.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    command = [str(by.python), __file__, *options, "--devices", name]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    if ran.returncode:
        # A compiler that gives up ends the process; what it was at has no row.
        share = _rows(out) if out.exists() else []
        after = limits.name(share[-1]) if share else "its start"
        # Loading the plugin without a device warns; that is shown only if something fails.
        print(ran.stderr[-2000:], file=sys.stderr)
        raise SystemExit(f"make gpu-compile: ended with {ran.returncode} after {after}")


def last_compiled() -> list[dict[str, Any]]:
    """All rows of the last run, those of the oldest JAX first."""
    order = list(devices.DEVICES)

    def place(path: Path) -> tuple[Version, int]:
        jax_version, _, name = path.stem.partition(" ")
        return Version(jax_version), order.index(name)

    return [row for path in sorted(COMPILED.glob("*.jsonl"), key=place) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", nargs="+", choices=devices.DEVICES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--again", action="store_true")
    for hidden in ("--share", "--assembler", "--jax"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.devices or list(devices.DEVICES)
    if options.share:
        share(options.assembler, names[0], options.jax, Path(options.share))
        return 0
    start = time.monotonic()
    try:
        rows = last_compiled() if options.again else compile_all(names)
    except environments.Missing as missing:
        print(f"make gpu-compile: not checked, packages cannot be had: {missing}")
        return 0
    planted = [row for row in rows if row["planted"]]
    rows = [row for row in rows if not row["planted"]]
    faults = [f"{limits.name(row)}: {fault}" for row in rows for fault in limits.broken(row)]
    # The limit must be able to fail.
    faults += [
        f"{limits.name(row)}: a planted spill is not seen"
        for row in planted
        if not any("spills" in fault for fault in limits.broken(row))
    ]
    out = options.out or (None if options.devices else RESULTS)
    if out:
        found = predict.all_predicted(rows)
        out.mkdir(parents=True, exist_ok=True)
        (out / "gpu-compiled.md").write_text(tables.compiled(rows, planted))
        (out / "gpu-predicted.md").write_text(tables.predictions(found, rows[-1]["jax"]))
        (out / "gpu-predicted.json").write_text(tables.as_json(found))
    print(*faults, sep="\n", end="\n" if faults else "")
    took = "" if options.again else f" in {time.monotonic() - start:.0f} s"
    spills = ", ".join(f"{row['spilled']} bytes" for row in planted)
    print(
        f"{len(rows)} programs compiled without a GPU{took}, "
        f"{len(faults)} faults; planted spills seen: {spills}"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
