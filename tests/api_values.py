"""How the arguments of public functions are made, by name, and which values are bad in them."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Directions.
G = 2
nan, inf = np.nan, np.inf


def shares(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    x = 0.2 + rng.random(shape)
    return x / x.sum(-1, keepdims=True)


def similarity(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    e = rng.normal(size=(*shape[:-1], 5))
    e /= np.linalg.norm(e, axis=-1, keepdims=True)
    return e @ np.swapaxes(e, -1, -2)


def labels(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    # Each direction has a candidate among the first three, which masks leave.
    return np.broadcast_to(np.arange(shape[-1]) % G, shape).astype(np.int32)


# How an argument is made, and what is bad in it.
_POSITIVE = (nan, inf, 0.0, -1.0)
_NOT_NEGATIVE = (nan, inf, -1.0)
_COUNT = (-1,)
_SHARE = (nan, inf, -0.5, 1.5)
VALUES: dict[str, tuple[Callable[..., np.ndarray], tuple[Any, ...]]] = {
    "scores": (lambda rng, s: rng.random(s), (nan, inf, -inf)),
    "weights": (shares, _SHARE),
    "quality": (shares, _NOT_NEGATIVE),
    "direction_weights": (shares, _SHARE),
    "shares": (shares, _NOT_NEGATIVE),
    "p": (shares, _NOT_NEGATIVE),
    "q": (shares, _NOT_NEGATIVE),
    "initial": (shares, _NOT_NEGATIVE),
    "values": (lambda rng, s: rng.random(s), (nan, inf)),
    "embeddings": (lambda rng, s: rng.normal(size=s), (nan, inf, 0.0)),
    "means": (shares, _SHARE),
    "correlation": (lambda rng, s: np.exp(4 * (similarity(rng, s) - 1)), (nan, -inf)),
    "second_moments": (lambda rng, s: 0.1 * np.exp(4 * (similarity(rng, s) - 1)), _SHARE),
    "similarity": (similarity, (nan, -inf)),
    "directions": (labels, (-1, G)),
    "concentration": (lambda rng, s: 0.5 + rng.random(s), _POSITIVE),
    "within_concentration": (lambda rng, s: 0.5 + rng.random(s), _POSITIVE),
    "assumed": (lambda rng, s: 0.5 + rng.random(s), _POSITIVE),
    "quality_temperature": (lambda rng, s: 0.1 + rng.random(s), _POSITIVE),
    "similarity_temperature": (lambda rng, s: 0.1 + rng.random(s), _POSITIVE),
    "budget": (lambda rng, s: rng.integers(3, 12, s).astype(np.int32), _COUNT),
    "allocation": (lambda rng, s: rng.integers(0, 4, s).astype(np.int32), _COUNT),
    "totals": (lambda rng, s: rng.integers(0, 6, s).astype(np.int32), _COUNT),
    "alpha": (lambda rng, s: 0.2 + rng.random(s), _NOT_NEGATIVE),
    "beta": (lambda rng, s: 0.2 + rng.random(s), _NOT_NEGATIVE),
    "shape": (lambda rng, s: 0.2 + rng.random(s), _NOT_NEGATIVE),
    "sizes": (lambda rng, s: 1.0 + rng.integers(0, 5, s), _NOT_NEGATIVE),
    "theta": (lambda rng, s: rng.random(s), (nan, -1.0)),
    "ridge": (lambda rng, s: 0.1 * rng.random(s), _NOT_NEGATIVE),
    "similarity_within": (lambda rng, s: 0.8 + 0.2 * rng.random(s), (nan, 1.5)),
    "similarity_between": (lambda rng, s: 0.8 * rng.random(s), (nan, 1.0)),
    "num_candidates": (lambda rng, s: 4.0 + rng.integers(0, 5, s), (nan, inf, 0.0)),
    "imbalance": (lambda rng, s: 1 + rng.random(s), (nan, inf, 0.5)),
    "rounds": (lambda rng, s: 3 * rng.random(s), _NOT_NEGATIVE),
    "noise": (lambda rng, s: rng.random(s), _NOT_NEGATIVE),
    "costs": (lambda rng, s: 1 + rng.random(s), _POSITIVE),
    "cost_budget": (lambda rng, s: 8 * rng.random(s), _NOT_NEGATIVE),
    "value": (lambda rng, s: 9 + rng.random(s), _NOT_NEGATIVE),
    "true_positive": (lambda rng, s: 0.6 + 0.3 * rng.random(s), (nan, 1.5, 0.1)),
    "false_positive": (lambda rng, s: 0.2 + 0.3 * rng.random(s), (nan, -0.5, 0.95)),
    "penalty": (lambda rng, s: rng.random(s), _NOT_NEGATIVE),
    "no_answer": (lambda rng, s: 0.2 * rng.random(s), _SHARE),
    "separation": (lambda rng, s: rng.normal(size=s), (nan, inf)),
    "right_scale": (lambda rng, s: 0.5 + rng.random(s), _POSITIVE),
    "wrong_scale": (lambda rng, s: 0.5 + rng.random(s), _POSITIVE),
    "target": (lambda rng, s: 0.5 + 0.4 * rng.random(s), (nan, 0.0, 1.0)),
    "worth": (lambda rng, s: 0.5 + rng.random(s), _POSITIVE),
    "chance": (shares, _SHARE),
    "total": (lambda rng, s: rng.integers(3, 12, s).astype(np.int32), (-1, 2**30 + 1)),
    # Beyond the caps, and beyond the total.
    "min_rollouts": (lambda rng, s: rng.integers(0, 2, s).astype(np.int32), (-1, 9, 12)),
    "max_rollouts": (lambda rng, s: rng.integers(4, 9, s).astype(np.int32), _COUNT),
    "rollouts": (lambda rng, s: rng.integers(0, 4, s).astype(np.int32), _COUNT),
    "attempts": (lambda rng, s: rng.integers(4, 9, s).astype(np.int32), _COUNT),
    "right": (lambda rng, s: rng.integers(0, 3, s).astype(np.int32), (-1, 99)),
    "log_price": (lambda rng, s: -1 - rng.random(s), (nan,)),
    "multiplicity": (lambda rng, s: 1 + rng.random(s), _NOT_NEGATIVE),
    "depth": (lambda rng, s: 9 * rng.random(s), _NOT_NEGATIVE),
}
