"""One budget for many problems against what one would use instead.

100,000 problems of 16 candidates each, N = 10^8, float64, against

* a heap, the textbook greedy in Python, on a 1/1000 of the problems and of the budget, scaled up;
* a bisection of the price in NumPy, inside which the level of each problem is bisected, on a 1/50:
  what one writes first. It leaves ties and rounding open, so that its sum misses N by a few.

Ours is checked by its certificate before it is timed, and its time as the problems grow tenfold.
"""

import heapq
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln
from timing import Call, growth, race

import dora_theory as dt

PROBLEMS, K, N = 100_000, 16, 10**8
SHARES = {"heap": 1 / 1000, "numpy bisection": 1 / 50}
_LEVELS, _PRICES = 40, 40


def priors(problems: int, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    """Candidates with a common concentration per problem, most of them weak."""
    rng = np.random.default_rng(0)
    kappa = 10 ** rng.uniform(-1, 1.5, size=(problems, 1))
    quality = rng.dirichlet(np.full(k, 0.5), size=problems) * rng.beta(0.3, 1, size=(problems, 1))
    quality = np.clip(quality, 1e-6, 1 - 1e-6)
    return kappa * quality, kappa * (1 - quality)


def heap_greedy(a: np.ndarray, b: np.ndarray, total: int) -> list[list[int]]:
    counts = [[0] * a.shape[1] for _ in a]
    alpha, size = a.tolist(), (a + b).tolist()
    failure = [1.0] * len(alpha)

    def offer(m: int) -> tuple[float, int, int]:
        h = [x / (s + n) for x, s, n in zip(alpha[m], size[m], counts[m], strict=True)]
        i = max(range(len(h)), key=h.__getitem__)
        return -failure[m] * h[i], m, i

    heap = [offer(m) for m in range(len(alpha))]
    heapq.heapify(heap)
    for _ in range(total):
        _, m, i = heap[0]
        failure[m] *= 1 - alpha[m][i] / (size[m][i] + counts[m][i])
        counts[m][i] += 1
        heapq.heapreplace(heap, offer(m))
    return counts


def numpy_bisection(a: np.ndarray, b: np.ndarray, total: int) -> np.ndarray:
    size, start = a + b, gammaln(a + b) - gammaln(b)

    def counts_at(price: float) -> np.ndarray:
        low, high = np.full(len(a), -60.0), np.zeros(len(a))
        for _ in range(_LEVELS):
            level = (low + high) / 2
            n = np.maximum(np.floor(a / np.exp(level)[:, None] - size) + 1, 0)
            worth = (start + gammaln(b + n) - gammaln(size + n)).sum(-1) + level
            high, low = np.where(worth > price, level, high), np.where(worth > price, low, level)
        return np.maximum(np.floor(a / np.exp(high)[:, None] - size) + 1, 0)

    low, high = -60.0, 0.0
    for _ in range(_PRICES):
        price = (low + high) / 2
        low, high = (price, high) if counts_at(price).sum() > total else (low, price)
        if high - low < 1e-7:
            break
    return counts_at(high).astype(int)


def allocate(a: jax.Array, b: jax.Array, total: int) -> jax.Array:
    return dt.allocate_problems(1.0, dt.BetaPrior(a, b), total).allocation


def run(rounds: int) -> dict[str, Any]:
    with jax.enable_x64(True):
        a, b = priors(PROBLEMS)
        x, y = jnp.asarray(a), jnp.asarray(b)
        ours = allocate(x, y, N)
        assert int(ours.sum()) == N
        assert bool(dt.is_optimal_across(1.0, dt.BetaPrior(x, y), ours.sum(-1)))
        part, few = (int(PROBLEMS * SHARES[name]) for name in ("heap", "numpy bisection"))
        calls: dict[str, Call] = {
            "ours": lambda: allocate(x, y, N),
            "numpy bisection": lambda: numpy_bisection(a[:few], b[:few], N // 50),
            "heap": lambda: heap_greedy(a[:part], b[:part], int(N * SHARES["heap"])),
        }
        small = np.asarray(allocate(x[:part], y[:part], int(N * SHARES["heap"])))
        theirs = np.array(calls["heap"]())
        # Products of 10^3 factors round differently: a tie of doubles may go to another problem.
        assert np.abs(small.sum(-1) - theirs.sum(-1)).sum() <= 4
        return {
            "job": {"problems": PROBLEMS, "k": K, "budget": N, "dtype": "float64"},
            "races": {"one budget for many problems": race(calls, rounds, does=SHARES)},
        }


def growing() -> dict[str, Any]:
    def ours(problems: int) -> Call:
        a, b = (jnp.asarray(x) for x in priors(problems))
        return lambda: allocate(a, b, problems * (N // PROBLEMS))

    with jax.enable_x64(True):
        sizes = {str(n): ours(n) for n in (1_000, 10_000, 100_000)}
        return {"milliseconds_as_it_grows": {"problems": growth(sizes)}}
