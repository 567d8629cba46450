"""Rows that an exact allocation may meet, as one padded array; tests and `make gpu` share them."""

from typing import NamedTuple

import numpy as np

WIDTH = 24
KAPPAS = (1e-30, 1e-6, 0.25, 0.5, 1.0, 2.0, 16.0, 1e3, 1e6)


class Row(NamedTuple):
    weights: list[float]
    kappa: float
    budget: int


def rows() -> list[Row]:
    """Each with a name's worth of reason; padded ones have fewer candidates than `WIDTH`."""
    rng = np.random.default_rng(6)
    made = [
        Row([0.5], 1.0, 7),  # k = 1
        Row([0.0], 1.0, 7),
        Row([0.0, 0.0, 0.0], 1.0, 7),  # all tie at 0: the first takes all
        Row([0.3, 0.7], 0.5, 0),  # N = 0
        Row([0.0, 1.0, 0.0], 1e6, 9),  # w = 0 and w = 1
        Row([0.5, 0.25], 8.0, 9),  # winner takes all from κ = 8 on (theory 2.3)
        Row([0.5, 0.25], 7.5, 9),
        Row([1e-38, 1e-30, 1e-20, 1.0], 1e-6, 40),  # weights of all sizes
        Row([0.3] * WIDTH, 1.0, WIDTH - 1),  # as wide as the table
        Row([1.0, 0.5, 0.25], 1.0, 1_000_000),  # many rollouts
        # 0.375/3, 0.25/2 and 0.125/1 are one float, and 3 is no power of two: division that is
        # not rounded correctly breaks these ties.
        Row([0.375, 0.25, 0.125, 0.625, 0.875], 1.0, 5),
        Row([0.7, 0.1, 0.3, 0.9, 0.5, 0.2], 1.0, 11),
    ]
    for kappa in KAPPAS:
        for budget in (1, 5, 64):
            k = int(rng.integers(1, WIDTH + 1))
            grid = rng.choice([0.0, 0.125, 0.25, 0.375, 0.5, 0.875, 1.0], size=k)
            made += [
                Row([0.3] * 4, kappa, budget),  # equal weights go round
                Row(grid.tolist(), kappa, budget),  # exact ties
                Row(rng.uniform(size=k).tolist(), kappa, budget),
                Row(np.exp(-20 * rng.uniform(size=k)).tolist(), kappa, budget),  # steep
            ]
    return made


def table(dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weights `(n, WIDTH)`, κ `(n, 1)`, budgets `(n,)` and mask; padding is where it hurts most."""
    given = rows()
    n = len(given)
    weights, mask = np.full((n, WIDTH), 0.7, dtype), np.zeros((n, WIDTH), bool)
    for i, row in enumerate(given):
        k = len(row.weights)
        # On the left in every other row.
        place = slice(WIDTH - k, None) if i % 2 else slice(k)
        weights[i, place], mask[i, place] = row.weights, True
    kappa = np.array([[row.kappa] for row in given], dtype)
    return weights, kappa, np.array([row.budget for row in given], np.int32), mask


def greedy(
    weights: np.ndarray, offsets: np.ndarray, budgets: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """One rollout at a time to the largest quotient in the dtype, ties to the lowest index."""
    n, counts = np.where(mask, weights, -1), np.zeros(weights.shape, np.int32)
    row = np.arange(len(n))
    for spent in range(int(budgets.max(initial=0))):
        best = (n / (offsets + counts.astype(n.dtype))).argmax(-1)
        counts[row, best] += spent < budgets
    return counts
