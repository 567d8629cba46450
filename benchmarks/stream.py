"""How fast `dora-theory allocate --stream` answers as a child process.

Once with lines that come as fast as they are taken, for lines per second, and once with a line only
after the answer to the last one, as a search loop writes them, for the time of one answer. Both
leave out the start of the process and its first answers. Beside it the same lines through a child
that only parses and prints JSON, which is what any such process costs.

    python benchmarks/stream.py --candidates 64 --strategies rebase dvts optimal
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import numpy as np

ECHO = """
import json, sys
for line in sys.stdin.buffer:
    scores = json.loads(line)["scores"]
    sys.stdout.write(json.dumps({"allocation": scores, "weights": scores}) + "\\n")
    sys.stdout.flush()
"""
WARM = 200


def lines_of(count, candidates):
    """Problems of random scores, as a search loop writes them."""
    scores = np.random.default_rng(0).uniform(size=(count, candidates)).round(6).tolist()
    return [json.dumps({"id": i, "scores": row}).encode() + b"\n" for i, row in enumerate(scores)]


def answered(process, line):
    """The answer to one line."""
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


def per_second(process, lines):
    """Lines a second, written while answers are read."""

    def write():
        for line in lines:
            process.stdin.write(line)
        process.stdin.flush()

    start = time.perf_counter()
    writer = threading.Thread(target=write)
    writer.start()
    for _ in lines:
        process.stdout.readline()
    writer.join()
    return len(lines) / (time.perf_counter() - start)


def measure(command, lines):
    """Lines a second, and median and 99th percentile of the milliseconds of one answer."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        for line in lines[:WARM]:
            assert "error" not in json.loads(answered(process, line))
        # Every size of batch compiles once.
        per_second(process, lines)
        rate = per_second(process, lines)
        times = []
        for line in lines:
            start = time.perf_counter()
            answered(process, line)
            times.append(1000 * (time.perf_counter() - start))
        process.stdin.close()
        if process.wait():
            raise SystemExit(f"{command}: ended with {process.returncode}")
    return rate, *np.quantile(times, [0.5, 0.99])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=64, metavar="K")
    parser.add_argument("--lines", type=int, default=5000, metavar="N")
    parser.add_argument("--strategies", nargs="+", default=["rebase", "optimal"], metavar="S")
    options = parser.parse_args()
    lines = lines_of(options.lines, options.candidates)
    print(f"{os.cpu_count()} cores, JAX {version('jax')}, load before {os.getloadavg()[0]:.1f}\n")
    print("| child | lines per second | median ms | 99th percentile ms |")
    print("|---|---|---|---|")
    ours = [sys.executable, "-m", "dora_theory", "allocate", "-", "--stream", "--kappa=1"]
    ours += [f"--budget={options.candidates}", "--strategy"]
    commands = {"JSON alone": [sys.executable, "-c", ECHO]}
    commands |= {strategy: [*ours, strategy] for strategy in options.strategies}
    for name, command in commands.items():
        rate, median, late = measure(command, lines)
        print(f"| {name} | {rate:.0f} | {median:.2f} | {late:.2f} |", flush=True)


if __name__ == "__main__":
    main()
