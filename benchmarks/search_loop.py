"""What the allocation line of a search loop costs: one call, NumPy in and NumPy out.

First as it is called, with another number of beams each time, beside the same in a few lines of
NumPy; then compiled for one number of beams. Beside it the time of one decoding step of an engine,
if it is given, for comparison.

    python benchmarks/search_loop.py --beams 16 64 256 --dimensions 384 --decoding-ms 25
"""

import argparse
import os
import time
from importlib.metadata import version

import jax
import numpy as np

import dora_theory as dt

RULES = {
    "rebase": lambda scores, embeddings, budget: dt.rebase_allocation(scores, budget),
    "dora": dt.dora_allocation,
    "optimal": lambda scores, embeddings, budget: dt.optimal_allocation(
        dt.quality_weights(scores), 0.5, budget
    ),
}


def recipe(scores, embeddings, budget):
    """Equations 4 and 10 to 13 as one would write them; what they round may miss the budget."""
    w = np.exp((scores - scores.max()) / 0.1)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    affinity = np.exp((unit @ unit.T - 1) / 0.01)
    w *= 1 / affinity.sum(1)
    return np.round(budget * w / w.sum()).astype(int)


def changing_ms(rule, dimensions, rounds, fewest=8, most=256):
    """The first call, and median and 99th percentile of later ones, of sizes never seen before."""
    rng = np.random.default_rng(1)
    times = []
    for _ in range(rounds + 1):
        beams = int(rng.integers(fewest, most + 1))
        scores = rng.uniform(size=beams).astype(np.float32)
        embeddings = rng.normal(size=(beams, dimensions)).astype(np.float32)
        start = time.perf_counter()
        np.asarray(rule(scores, embeddings, beams))
        times.append(1000 * (time.perf_counter() - start))
    return times[0], float(np.median(times[1:])), float(np.quantile(times[1:], 0.99))


def median_ms(rule, beams, dimensions, rounds):
    """Median of the rounds after the first, which compiles."""
    rng = np.random.default_rng(0)
    call = jax.jit(rule)
    times = []
    for _ in range(rounds + 1):
        scores = rng.uniform(size=beams).astype(np.float32)
        embeddings = rng.normal(size=(beams, dimensions)).astype(np.float32)
        start = time.perf_counter()
        copies = np.asarray(call(scores, embeddings, beams))
        times.append(time.perf_counter() - start)
        assert copies.sum() == beams
    return 1000 * float(np.median(times[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beams", nargs="+", type=int, default=[16, 64, 256], metavar="N")
    parser.add_argument("--dimensions", nargs="+", type=int, default=[384, 1024], metavar="D")
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    parser.add_argument("--decoding-ms", type=float, metavar="T", help="of one token of all beams")
    options = parser.parse_args()
    described = f"{os.cpu_count()} cores, JAX {version('jax')} on {jax.devices()[0].device_kind}"
    print(f"{described}, load before {os.getloadavg()[0]:.1f}, median of {options.rounds} calls\n")
    print("| dimensions | beams from 8 to 256 | first ms | median ms | 99th percentile ms |")
    print("|---|---|---|---|---|")
    for dimensions in options.dimensions:
        for name, rule in {"numpy recipe of dora": recipe, **RULES}.items():
            first, median, late = changing_ms(rule, dimensions, options.rounds)
            row = f"| {dimensions} | {name} | {first:.2f} | {median:.3f} | {late:.3f} |"
            print(row, flush=True)
    print()
    print(
        "| dimensions | beams | rule | ms |" + (" decoding steps |" if options.decoding_ms else "")
    )
    print("|---|---|---|---|" + ("---|" if options.decoding_ms else ""))
    for dimensions in options.dimensions:
        for beams in options.beams:
            for name, rule in RULES.items():
                ms = median_ms(rule, beams, dimensions, options.rounds)
                share = f" {ms / options.decoding_ms:.3f} |" if options.decoding_ms else ""
                print(f"| {dimensions} | {beams} | {name} | {ms:.3f} |{share}", flush=True)


if __name__ == "__main__":
    main()
