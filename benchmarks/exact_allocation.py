"""Exact allocation against what one would write instead: a heap, and a jitted bisection.

`python benchmarks/exact_allocation.py [--out FILE.json]` times (4,096 problems, k = 64, N = 256) in
one process, the contenders in turn, and prints ratios with their spread. The heap is the textbook
greedy, in float64 as Python has it, on a share of the problems, scaled up. The bisection halves
the level 32 times and does not settle ties or surplus, so it does less than an exact answer needs.
"""

import argparse
import heapq
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt

PROBLEMS, K, N, KAPPA = 4096, 64, 256, 1.0
HEAP_SHARE = 16


def heap_greedy(rows: list[list[float]], budget: int, kappa: float) -> list[list[int]]:
    out = []
    for row in rows:
        counts = [0] * len(row)
        heap = [(-w / kappa, i) for i, w in enumerate(row)]
        heapq.heapify(heap)
        for _ in range(budget):
            i = heap[0][1]
            counts[i] += 1
            heapq.heapreplace(heap, (-row[i] / (kappa + counts[i]), i))
        out.append(counts)
    return out


@partial(jax.jit, static_argnames="budget")
def bisection(w: jax.Array, kappa: float, budget: int) -> jax.Array:
    def counts(level: jax.Array) -> jax.Array:
        return jnp.maximum(jnp.floor(level * w - kappa) + 1, 0)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        enough = counts(middle).sum(-1, keepdims=True) >= budget
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    total = w.sum(-1, keepdims=True)
    ends = (jnp.zeros_like(total), (budget + w.shape[-1] * kappa) / total)
    return counts(jax.lax.fori_loop(0, 32, halve, ends)[1])


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    parser.add_argument("--rounds", type=int, default=15)
    out, rounds = (args := parser.parse_args()).out, args.rounds

    scores = np.random.default_rng(0).uniform(size=(PROBLEMS, K)).astype(np.float32)
    w = dt.quality_weights(scores, 0.1)
    optimal = jax.jit(dt.optimal_allocation)
    few = np.asarray(w, np.float64)[: PROBLEMS // HEAP_SHARE].tolist()
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: optimal(w, KAPPA, N),
        "bisection_32": lambda: bisection(w, KAPPA, N),
        "heap": lambda: heap_greedy(few, N, KAPPA),
    }
    for call in calls.values():
        jax.block_until_ready(call())
    # In turn, so that a machine that slows down slows all of them; many short calls to one long.
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            repeat = 1 if name == "heap" else 20
            times[name].append(statistics.median(seconds(call) for _ in range(repeat)))
    times["heap"] = [t * HEAP_SHARE for t in times["heap"]]

    def spread(name: str) -> dict[str, float]:
        ratios = sorted(a / b for a, b in zip(times[name], times["ours"], strict=True))
        return {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]}

    result = {
        "job": {"problems": PROBLEMS, "k": K, "budget": N, "kappa": KAPPA, "dtype": "float32"},
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "processor": processor(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "milliseconds": {n: statistics.median(t) * 1e3 for n, t in times.items()},
        "times_faster_than": {n: spread(n) for n in times if n != "ours"},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if out:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
