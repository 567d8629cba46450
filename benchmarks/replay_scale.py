"""Time and memory of `dora-theory replay` against the length of the log.

Writes a synthetic log for each length, replays it in a process of its own under the default
strategies, with each number of workers (0 for one process), and prints the seconds, the processor's
seconds and the highest memory of that process. What a problem costs is the slope between the first
and the last length; compiling is in all of them. Outputs must be
the same whatever the workers.

    python benchmarks/replay_scale.py --problems 1000 100000 --samples 64 --workers 0 2
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from dora_theory.replay.synthetic import write_synthetic_log

CHUNK = 250


def write(path, problems, samples):
    """A log of any length in little memory: some problems at a time."""
    part = path.with_suffix(".part")
    with path.open("wb") as file:
        for start in range(0, problems, CHUNK):
            count = min(CHUNK, problems - start)
            write_synthetic_log(part, seed=start, problems=count, samples=samples)
            file.write(part.read_bytes())
    part.unlink()


def measure(path, workers, out):
    """Seconds, processor seconds and mebibytes of a replay."""
    command = [sys.executable, "-m", "dora_theory", "replay", str(path), "--json", f"--out={out}"]
    command += [f"--workers={workers}"] if workers else []
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"replay ended with {os.waitstatus_to_exitcode(status)}")
    wall = time.perf_counter() - start
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", type=int, default=[250, 1000], metavar="N")
    parser.add_argument("--samples", type=int, default=64, metavar="N")
    parser.add_argument("--workers", nargs="+", type=int, default=[0], metavar="N")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, JAX {version('jax')}, load before {os.getloadavg()[0]:.1f}\n")
    print("| problems | samples | workers | log, MiB | seconds | processor seconds | memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    found = {workers: [] for workers in options.workers}
    with tempfile.TemporaryDirectory() as folder:
        for problems in options.problems:
            path = Path(folder) / "log.jsonl"
            write(path, problems, options.samples)
            size = path.stat().st_size / 2**20
            outputs = set()
            for workers, points in found.items():
                out = Path(folder) / "out.json"
                wall, seconds, memory = measure(path, workers, out)
                outputs.add(out.read_bytes())
                points.append((problems, wall, seconds))
                print(
                    f"| {problems} | {options.samples} | {workers} | {size:.0f} | {wall:.0f} "
                    f"| {seconds:.0f} | {memory:.0f} |",
                    flush=True,
                )
            if len(outputs) > 1:
                raise SystemExit("outputs differ")
    if len(options.problems) < 2:
        return
    for workers, ((few, *less), *_, (many, *more)) in found.items():
        wall, seconds = (1000 * (y - x) / (many - few) for x, y in zip(less, more, strict=True))
        print(f"\n{workers} workers: {wall:.1f} ms a problem, {seconds:.1f} of a processor")


if __name__ == "__main__":
    main()
