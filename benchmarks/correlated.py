"""Shared divisors against the same formula in NumPy: a loop over rollouts, all problems at once."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from timing import race

import dora_theory as dt

CONCENTRATION = 0.5
# Problems, candidates, rollouts.
SHAPES = {
    "many problems": (1000, 64, 256),
    "one problem": (1, 64, 256),
    "one large problem": (1, 256, 256),
}


def problems(count: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Qualities, and correlations of random embeddings, in float32."""
    rng = np.random.default_rng(0)
    w = rng.dirichlet(np.ones(k), count).astype(np.float32)
    e = rng.normal(size=(count, k, 16))
    e /= np.linalg.norm(e, axis=-1, keepdims=True)
    c = np.exp((e @ e.swapaxes(-1, -2) - 1) / 0.1).astype(np.float32)
    c = (c + c.swapaxes(-1, -2)) / 2
    c[:, range(k), range(k)] = 1
    return w, c


def in_numpy(w: np.ndarray, c: np.ndarray, budget: int) -> np.ndarray:
    """Theory 8.3.1 as it is written."""
    takes = c * np.sqrt(w[:, :, None] / w[:, None, :])
    divisor = np.full(w.shape, CONCENTRATION, w.dtype)
    spent, rows = np.zeros(w.shape, int), np.arange(len(w))
    for _ in range(budget):
        best = (w / divisor).argmax(-1)
        spent[rows, best] += 1
        divisor += takes[rows, :, best]
    return spent


def run(rounds: int) -> dict[str, Any]:
    races = {}
    for name, (count, k, budget) in SHAPES.items():
        w, c = problems(count, k)
        given = jnp.asarray(w), jnp.asarray(c), jnp.float32(CONCENTRATION), jnp.int32(budget)
        calls = {
            "ours": lambda given=given: dt.shared_divisor_allocation(*given),
            "the formula in numpy": lambda w=w, c=c, n=budget: in_numpy(w, c, n),
        }
        same = (np.asarray(calls["ours"]()) == calls["the formula in numpy"]()).all(-1).mean()
        # Priorities that are equal to rounding may be served in another order.
        assert same > 0.98, same
        races[f"shared divisors, {name}"] = race(calls, rounds) | {"rows_that_agree": float(same)}
    return {"job": {"dtype": "float32", "shapes": SHAPES}, "races": races}
