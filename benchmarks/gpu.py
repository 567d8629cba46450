"""Kernel tests, roofline and benchmarks on the GPU of this machine, with what Python has already.

`make gpu`, or `python benchmarks/gpu.py [--dry-run]`, needs no network, no virtual environment and
no installation of this package. What it writes goes to $OUT, else to benchmarks/results, named by
device. Exit status: 0 all ran, 1 a test failed or a part did not end in time, 2 there is no GPU.
With `--dry-run` it goes the same way on a CPU, interpreted, at sizes whose figures mean nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Seconds for each part, together under nine minutes.
TESTS, ROOFLINE, BENCH = 170, 200, 150
# JAX 0.11 says of Pallas's Triton backend that it will go.
DEPRECATED = "ignore:The Pallas Triton backend is deprecated:DeprecationWarning"


def part(name: str, command: list[str], limit: float) -> bool:
    """Runs a part in a process of its own, so that none holds the GPU's memory for the next."""
    print(f"\n== {name}", flush=True)
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    start = time.monotonic()
    try:
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=limit, check=False
        ).returncode
        ended = f"exit status {ran}"
    except subprocess.TimeoutExpired:
        ran, ended = 1, f"stopped after {limit:.0f} s"
    print(f"== {name}: {ended}, {time.monotonic() - start:.0f} s", flush=True)
    return ran == 0


def measure(out: Path, dry: bool) -> None:
    """The roofline, in this process."""
    from roofline import roofline, table
    from run import device_name
    from timing import machine

    described = machine()
    path = out / f"roofline-{device_name(described)}"
    # Written after each measurement: a run that is stopped leaves what it has.
    for found in roofline(dry=dry):
        text = json.dumps({"machine": described} | found, indent=2, ensure_ascii=False)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(table(found) + "\n", encoding="utf-8")
    print(table(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="on a CPU, at tiny sizes")
    parser.add_argument("--roofline", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    dry = ["--dry-run"] if options.dry_run else []
    if options.roofline:
        measure(options.roofline, options.dry_run)
        return 0

    sys.path.insert(0, str(ROOT))
    look = "from dora_theory.kernels.choice import unavailable; print(unavailable() or '')"
    seen = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    if seen and not options.dry_run:
        print(f"make gpu: {seen}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(os.environ.get("OUT") or ROOT / "benchmarks" / "results")
        out = Path(scratch) if options.dry_run else kept
        out.mkdir(parents=True, exist_ok=True)
        python = [sys.executable]
        # Without tests/conftest.py, which checks shapes by a package that may be missing.
        pytest = ["-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider", "-W", DEPRECATED]
        bench = ["benchmarks/run.py", "uniqueness", "exact_allocation", "monte_carlo"]
        done = [
            part("kernel tests", [*python, *pytest, "tests/kernels"], TESTS),
            part("roofline", [*python, "benchmarks/gpu.py", f"--roofline={out}", *dry], ROOFLINE),
            options.dry_run
            or part("benchmarks", [*python, *bench, "--rounds=3", f"--out={out}"], BENCH),
        ]
        print("\n== files:", *sorted(str(p) for p in out.iterdir()), sep="\n")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
