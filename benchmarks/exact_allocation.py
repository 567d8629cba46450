"""Exact allocation against what one would use instead, and the relaxed problem against solvers.

Integers (4,096 problems, k = 64, N = 256, κ = 1, which is d'Hondt's method) against

* a heap, the textbook greedy in Python, and the package `apportionment`, on a share of the
  problems, scaled up;
* 32 halvings of the level that all candidates are filled to, in NumPy and in two jitted loops: the
  plain one, whose sums of rows XLA does not vectorize on a CPU, and one whose sums are products
  with ones, which are. All three do less than an exact answer needs. They settle no ties, nor what
  rounding leaves open: such a row does not sum to N. The share of rows that they leave without an
  answer is reported with their times;
* the same call outside `jit`, whose arguments are looked at on the host each time.

Scores that are all different are the easy case. So the same is raced for scores of 2 decimals and
of 1, which tie, and for κ = 1000, where a few candidates take all.

The real-valued optimum, water-filling, against a root finder and a solver of scipy's, a problem
at a time. All are checked before they are timed: ours for optimality, the others against ours.
"""

import heapq
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from timing import Call, growth, missing, race

import dora_theory as dt

PROBLEMS, K, N, KAPPA = 4096, 64, 256, 1.0
# Decimals of the scores, and κ.
HARDER: dict[str, tuple[int | None, float]] = {
    "scores of 2 decimals": (2, KAPPA),
    "scores of 1 decimal": (1, KAPPA),
    "κ = 1000": (None, 1000.0),
}
HALVINGS = "jitted bisection", "jitted bisection, sums as products", "numpy bisection"
QUICK = *HALVINGS[:2], "heap"
RIVALS = "ours, eager", *HALVINGS, "heap", "apportionment"
SHARES = {"heap": 1 / 16, "apportionment": 1 / 64, "scipy brentq": 1 / 64, "scipy SLSQP": 1 / 1024}


def heap_greedy(rows: list[list[float]], budget: int, kappa: float) -> list[list[int]]:
    """As fast as plain Python has it: one call a rollout, and names that are local."""
    out, replace = [], heapq.heapreplace
    for row in rows:
        counts = [0] * len(row)
        heap = [(-w / kappa, i) for i, w in enumerate(row)]
        heapq.heapify(heap)
        for _ in range(budget):
            i = heap[0][1]
            counts[i] = count = counts[i] + 1
            replace(heap, (-row[i] / (kappa + count), i))
        out.append(counts)
    return out


def with_apportionment(rows: list[list[float]], budget: int) -> list[list[int]]:
    from apportionment.methods import compute

    names = [str(i) for i in range(len(rows[0]))]
    return [compute("dhondt", row, budget, parties=names, verbose=False) for row in rows]


@partial(jax.jit, static_argnames=("budget", "as_product"))
def bisection(w: jax.Array, kappa: float, budget: int, *, as_product: bool = False) -> jax.Array:
    ones = jnp.ones((w.shape[-1], 1))

    def row_sums(x: jax.Array) -> jax.Array:
        return jnp.dot(x, ones) if as_product else x.sum(-1, keepdims=True)

    def counts(level: jax.Array) -> jax.Array:
        return jnp.maximum(jnp.floor(level * w - kappa) + 1, 0)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        enough = row_sums(counts(middle)) >= budget
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    total = row_sums(w)
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
    """Maximizes Σ w_i log(κ + B_i), which has that solution."""
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


def weights(problems: int, k: int, decimals: int | None = None) -> jax.Array:
    """Of uniform scores, rounded if so many decimals are given."""
    scores = np.random.default_rng(0).uniform(size=(problems, k))
    if decimals is not None:
        scores = scores.round(decimals)
    return dt.quality_weights(scores.astype(np.float32), quality_temperature=0.1)


def integers(w: jax.Array, kappa: float, rounds: int, *, rivals: Sequence[str]) -> dict[str, Any]:
    optimal, single = jax.jit(dt.optimal_allocation), np.asarray(w)
    double = single.astype(float)

    def rows(name: str) -> list[list[float]]:
        return double[: int(PROBLEMS * SHARES[name])].tolist()

    heap_rows, package_rows = rows("heap"), rows("apportionment")
    skipped = [name for name in missing("apportionment") if name in rivals]
    known: dict[str, Call] = {
        "ours, eager": lambda: dt.optimal_allocation(w, kappa, N),
        "jitted bisection": lambda: bisection(w, kappa, N),
        "jitted bisection, sums as products": lambda: bisection(w, kappa, N, as_product=True),
        "numpy bisection": lambda: numpy_bisection(single, kappa, N),
        "heap": lambda: heap_greedy(heap_rows, N, kappa),
        "apportionment": lambda: with_apportionment(package_rows, N),
    }
    calls: dict[str, Call] = {"ours": lambda: optimal(w, kappa, N)}
    calls |= {name: known[name] for name in rivals if name not in skipped}
    ours = np.asarray(calls["ours"]())
    assert np.all(dt.is_optimal(w, kappa, ours))
    without_answer = {}
    for name in list(calls)[1:]:
        theirs = np.asarray(calls[name]())
        answered = theirs.sum(-1) == N
        if name in HALVINGS:
            without_answer[name] = float(1 - answered.mean())
        else:
            assert answered.all(), name
        # Quotients that are one in float32 may not be in float64: not the same integers always.
        assert (theirs != ours[: len(theirs)]).any(-1)[answered].mean() < 0.02, name
    return race(calls, rounds, does=SHARES) | {
        "left_out": skipped,
        "rows_without_answer": without_answer,
    }


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
    races = {"exact allocation": integers(w, KAPPA, rounds, rivals=RIVALS)}
    for name, (decimals, kappa) in HARDER.items():
        harder = weights(PROBLEMS, K, decimals)
        races[f"exact allocation, {name}"] = integers(harder, kappa, rounds, rivals=QUICK)
    return {
        "job": {"problems": PROBLEMS, "k": K, "budget": N, "kappa": KAPPA, "dtype": "float32"},
        "races": races | {"water-filling": relaxed(w, rounds)},
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
