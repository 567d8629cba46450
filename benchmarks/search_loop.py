"""What the allocation line of a search loop costs: one call, NumPy in and NumPy out, compiled.

Beside it the time of one decoding step of an engine, if it is given, for comparison.

    python benchmarks/search_loop.py --beams 16 64 256 --dimensions 384 --decoding-ms 25
"""

import argparse
import time

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
    parser.add_argument("--dimensions", type=int, default=384, metavar="D")
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    parser.add_argument("--decoding-ms", type=float, metavar="T", help="of one token of all beams")
    options = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, median of {options.rounds} calls")
    print("| beams | rule | ms |" + (" decoding steps |" if options.decoding_ms else ""))
    print("|---|---|---|" + ("---|" if options.decoding_ms else ""))
    for beams in options.beams:
        for name, rule in RULES.items():
            ms = median_ms(rule, beams, options.dimensions, options.rounds)
            share = f" {ms / options.decoding_ms:.3f} |" if options.decoding_ms else ""
            print(f"| {beams} | {name} | {ms:.3f} |{share}", flush=True)


if __name__ == "__main__":
    main()
