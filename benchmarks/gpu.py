"""Kernel tests, roofline and benchmarks on the GPU of this machine, with what Python has already.

`make gpu`, or `python benchmarks/gpu.py [--dry-run]`, needs no network, no virtual environment and
no installation of this package. What it writes goes to $OUT, else to benchmarks/results, named by
device. Exit status: 0 all ran, 1 a test failed or a part did not end in time, 2 there is no GPU, or
a module is missing.

With `--dry-run` it goes the same way on a CPU: the kernels are interpreted, at sizes whose figures
mean nothing, and races have one round. Without $OUT nothing of that is kept.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# Seconds for each part, together under nine minutes.
TESTS, ROOFLINE, BENCH = 170, 200, 150
# What the parts import. Nothing of it is imported here before it is known to be there.
NEEDED = "jax", "jaxtyping", "matplotlib", "numpy", "pytest", "scipy", "dora_theory"
# JAX 0.11 says of Pallas's Triton backend that it will go.
DEPRECATED = "ignore:The Pallas Triton backend is deprecated:DeprecationWarning"


def environment(*, tuned: bool = False) -> dict[str, str]:
    """Of a part. Compiling tunes all but the kernels themselves, which takes minutes."""
    paths = str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")
    flags = os.environ.get("XLA_FLAGS", "")
    return (
        os.environ
        | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        | ({} if tuned else {"XLA_FLAGS": f"{flags} --xla_gpu_autotune_level=0"})
    )


def part(name: str, command: list[str], limit: float, *, tuned: bool = False) -> bool:
    """Runs a part in a process of its own, so that none holds the GPU's memory for the next."""
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment(tuned=tuned)
    ) as running:
        try:
            status = running.wait(limit)
            ended = f"exit status {status}"
        except subprocess.TimeoutExpired:
            status, ended = 1, f"stopped after {limit:.0f} s"
            # As by a user: pytest then says what has failed so far.
            running.send_signal(signal.SIGINT)
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:  # in a call that does not look at signals
                running.kill()
    print(f"== {name}: {ended}, {time.monotonic() - start:.0f} s", flush=True)
    return status == 0


def measure(out: Path, dry: bool) -> bool:
    """The roofline, in this process; whether every kernel ran and was right."""
    import jax
    from roofline import roofline
    from roofline_table import table
    from run import device_name
    from timing import machine

    from dora_theory.io.atomic_write import whole_output

    described = machine()
    device = jax.devices()[0].device_kind
    path = out / f"roofline-{device_name(described)}"
    # Written after each measurement: a run that is stopped leaves what it has.
    for found in roofline(dry=dry):
        text = json.dumps({"machine": described} | found, indent=2, ensure_ascii=False)
        for suffix, content in ((".json", text), (".md", table(found, device))):
            with whole_output(str(path.with_suffix(suffix))) as file:
                file.write(f"{content}\n".encode())
    print(table(found, device))
    return "failed" not in found


def obstacle(dry: bool) -> str | None:
    """Why the parts cannot run here, if so; as a process of its own finds it, which then ends."""
    look = f"import {', '.join(NEEDED)}"
    if not dry:
        look += "; from dora_theory.kernels.dispatch import unavailable; print(unavailable() or '')"
    seen = subprocess.run(
        [sys.executable, "-c", look],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if seen.returncode:
        return f"{sys.executable}: {seen.stderr.strip().splitlines()[-1]}"
    return seen.stdout.strip() or None


def run(dry: bool) -> int:
    """All parts, one after the other, and where the files are."""
    from run import RESULTS, writable

    with ExitStack() as stack:
        # Relative to the caller's folder, not to that of the parts.
        kept = os.environ.get("OUT") or (None if dry else str(RESULTS))
        # Its name comes from the parts that write there.
        scratch = kept or stack.enter_context(tempfile.TemporaryDirectory(prefix="thrown-away-"))
        out = writable(scratch, "OUT").resolve()
        # Without tests/conftest.py, which checks shapes by a package that may be missing.
        pytest = ["-m", "pytest", "--noconftest", "-p", "precisions", "-q"]
        # A plugin that is there warns beside xdist, and warnings are errors.
        pytest += ["-p", "no:cacheprovider", "-p", "no:benchmark", "-W", DEPRECATED]
        # Most of a test is compiling, which a GPU's machine has cores for.
        workers = min(12, os.cpu_count() or 1)
        pytest += ["-n", str(workers)] if find_spec("xdist") else []
        roofline = ["benchmarks/gpu.py", f"--roofline={out}", *(["--dry-run"] if dry else [])]
        # How time grows is not asked for: what compiles would take most of the time.
        bench = ["benchmarks/run.py", "uniqueness", "exact_allocation", "monte_carlo", "--races"]
        done = [
            part("kernel tests", [*pytest, "tests/kernels"], TESTS),
            part("roofline", roofline, ROOFLINE),
            part(
                "benchmarks",
                [*bench, f"--rounds={1 if dry else 2}", f"--out={out}"],
                BENCH,
                tuned=True,
            ),
        ]
        files = sorted(out.iterdir())
        if kept:
            print("\n== files:", *files, sep="\n")
        else:
            names = ", ".join(path.name for path in files)
            print(f"\n== files, not kept because $OUT is not set: {names}")
    return 0 if all(done) else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="on a CPU, at tiny sizes")
    parser.add_argument("--roofline", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.roofline:
        return 0 if measure(options.roofline, options.dry_run) else 1
    why = obstacle(options.dry_run)
    if why:
        print(f"make gpu: {why}", file=sys.stderr)
        return 2
    from dora_theory.cli.endings import guarded

    return guarded(partial(run, options.dry_run))


if __name__ == "__main__":
    sys.exit(main())
