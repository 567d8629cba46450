"""Exact allocation against what one would use instead, and the relaxed problem against solvers.

Integers (4,096 problems, k = 64, N = 256, κ = 1, which is d'Hondt's method) against

* a heap, the textbook greedy in Python, and the package `apportionment`, on a share of the
  problems, scaled up;
* 32 halvings of the level in NumPy and in a jitted loop, which settle neither ties nor surplus and
  so do less than an exact answer needs.

The real-valued optimum, water-filling, against a root finder and a solver of scipy's, a problem
at a time. All are checked to agree before they are timed.
"""

import heapq
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from timing import Call, growth, missing, race

import dora_theory as dt

PROBLEMS, K, N, KAPPA = 4096, 64, 256, 1.0
SHARES = {"heap": 1 / 16, "apportionment": 1 / 64, "scipy brentq": 1 / 64, "scipy SLSQP": 1 / 1024}


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


def with_apportionment(rows: list[list[float]], budget: int) -> list[list[int]]:
    from apportionment.methods import compute

    names = [str(i) for i in range(len(rows[0]))]
    return [compute("dhondt", row, budget, parties=names, verbose=False) for row in rows]


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


def numpy_bisection(w: np.ndarray, kappa: float, budget: int) -> np.ndarray:
    def counts(level: np.ndarray) -> np.ndarray:
        return np.maximum(np.floor(level * w - kappa) + 1, 0)

    total = w.sum(-1, keepdims=True)
    low, high = np.zeros_like(total), (budget + w.shape[-1] * kappa) / total
    for _ in range(32):
        middle = (low + high) / 2
        enough = counts(middle).sum(-1, keepdims=True) >= budget
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return counts(high)


def with_brentq(rows: np.ndarray, kappa: float, budget: int) -> np.ndarray:
    """B_i = max(0, s w_i - κ), with s by a root finder."""

    def fill(level: float, w: np.ndarray) -> np.ndarray:
        return np.maximum(level * w - kappa, 0)

    return np.stack(
        [
            fill(
                scipy.optimize.brentq(
                    lambda s, w=w: fill(s, w).sum() - budget, 0, (budget + w.size * kappa) / w.max()
                ),
                w,
            )
            for w in rows
        ]
    )


def with_slsqp(rows: np.ndarray, kappa: float, budget: int) -> np.ndarray:
    """Maximises Σ w_i log(κ + B_i), which has that solution."""
    out = []
    for w in rows:
        found = scipy.optimize.minimize(
            lambda b, w=w: -w @ np.log(kappa + b),
            np.full(w.size, budget / w.size),
            jac=lambda b, w=w: -w / (kappa + b),
            bounds=[(0, None)] * w.size,
            constraints={"type": "eq", "fun": lambda b: b.sum() - budget, "jac": np.ones_like},
            method="SLSQP",
        )
        out.append(found.x)
    return np.stack(out)


def weights(problems: int, k: int) -> jax.Array:
    scores = np.random.default_rng(0).uniform(size=(problems, k)).astype(np.float32)
    return dt.quality_weights(scores, 0.1)


def integers(w: jax.Array, rounds: int) -> dict[str, Any]:
    optimal, single = jax.jit(dt.optimal_allocation), np.asarray(w)
    double = single.astype(float)

    def rows(name: str) -> list[list[float]]:
        return double[: int(PROBLEMS * SHARES[name])].tolist()

    heap_rows, package_rows = rows("heap"), rows("apportionment")
    calls: dict[str, Call] = {
        "ours": lambda: optimal(w, KAPPA, N),
        "jitted bisection": lambda: bisection(w, KAPPA, N),
        "numpy bisection": lambda: numpy_bisection(single, KAPPA, N),
        "heap": lambda: heap_greedy(heap_rows, N, KAPPA),
        "apportionment": lambda: with_apportionment(package_rows, N),
    }
    skipped = missing("apportionment")
    calls = {name: call for name, call in calls.items() if name not in skipped}
    ours = np.asarray(calls["ours"]())
    assert np.all(dt.is_optimal(w, KAPPA, ours))
    for name in set(calls) & set(SHARES):
        theirs = np.asarray(calls[name]())
        # Quotients that are one in float32 may not be in float64: not the same integers always.
        assert (theirs != ours[: len(theirs)]).any(-1).mean() < 0.02, name
    found = race(calls, rounds, does=SHARES)
    return found | {"left_out": skipped}


def relaxed(w: jax.Array, rounds: int) -> dict[str, Any]:
    fill, double = jax.jit(dt.waterfill_allocation), np.asarray(w, float)
    solvers = {"scipy brentq": with_brentq, "scipy SLSQP": with_slsqp}
    calls: dict[str, Call] = {"ours": lambda: fill(w, KAPPA, N)}
    ours = np.asarray(calls["ours"]())
    for name, solver in solvers.items():
        part = double[: int(PROBLEMS * SHARES[name])]
        calls[name] = partial(solver, part, KAPPA, N)
        values = [(part * np.log(KAPPA + b)).sum(-1) for b in (calls[name](), ours[: len(part)])]
        # Of the objective: by default SLSQP stops some 1e-4 of it short of the maximum.
        assert np.abs(np.subtract(*values)).max() < 1e-3, name
    return race(calls, rounds, does=SHARES)


def run(rounds: int) -> dict[str, Any]:
    w = weights(PROBLEMS, K)
    return {
        "job": {"problems": PROBLEMS, "k": K, "budget": N, "kappa": KAPPA, "dtype": "float32"},
        "races": {"exact allocation": integers(w, rounds), "water-filling": relaxed(w, rounds)},
    }


def growing() -> dict[str, Any]:
    optimal = jax.jit(dt.optimal_allocation)

    def ours(problems: int = PROBLEMS, k: int = K, budget: int = N) -> Call:
        made = weights(problems, k)
        return lambda: optimal(made, KAPPA, budget)

    return {
        "milliseconds_as_it_grows": {
            "problems": growth({str(n): ours(problems=n) for n in (256, 1024, 4096, 16384)}),
            "k": growth({str(k): ours(k=k) for k in (16, 64, 256)}),
            "N": growth({str(n): ours(budget=n) for n in (16, 64, 256, 1024, 4096)}),
        }
    }
