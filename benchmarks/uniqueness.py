"""γ against equations 10 to 12 written out in float64 NumPy, and against a bare matrix product.

The product E E' of the same embeddings, jitted, is no rival but the floor: γ needs as much
arithmetic, and besides that an exponential for each pair of candidates.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import Call, growth, race

import dora_theory as dt

TEMPERATURE = 0.01
SHAPES = {"many problems": (256, 64, 384), "one large problem": (1, 4096, 384)}


def equations(embeddings: np.ndarray, temperature: float) -> np.ndarray:
    """Cosine similarity, row softmax, diagonal."""
    e = embeddings.astype(np.float64)
    unit = e / np.linalg.norm(e, axis=-1, keepdims=True)
    logits = unit @ unit.swapaxes(-1, -2) / temperature
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.diagonal(powers / powers.sum(-1, keepdims=True), axis1=-2, axis2=-1)


def embeddings(problems: int, k: int, d: int) -> np.ndarray:
    """A dozen directions, with noise so small that γ tells them apart."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(problems, 12, d))
    label = rng.integers(12, size=(problems, k))
    e = np.take_along_axis(centre, label[..., None], axis=1)
    return (e + 0.05 * rng.normal(size=e.shape)).astype(np.float32)


def run(rounds: int) -> dict[str, Any]:
    gamma = jax.jit(dt.uniqueness)
    product = jax.jit(lambda e: jnp.einsum("bid,bjd->bij", e, e, precision="highest"))
    races = {}
    for name, shape in SHAPES.items():
        e = embeddings(*shape)
        on_device = jnp.asarray(e)
        calls: dict[str, Call] = {
            "ours": lambda x=on_device: gamma(x, TEMPERATURE),
            "equations 10-12 in numpy": lambda x=e: equations(x, TEMPERATURE),
            "matrix product alone": lambda x=on_device: product(x),
        }
        error = np.asarray(calls["ours"]()) / equations(e, TEMPERATURE) - 1
        assert np.abs(error).max() < 1e-3
        races[f"γ, {name}"] = race(calls, rounds) | {
            "largest_relative_error": float(np.abs(error).max())
        }

    return {
        "job": {"temperature": TEMPERATURE, "dtype": "float32", "shapes": SHAPES},
        "races": races,
    }


def growing() -> dict[str, Any]:
    gamma = jax.jit(dt.uniqueness)

    def ours(k: int = 1024, d: int = 384) -> Call:
        made = jnp.asarray(embeddings(1, k, d))
        return lambda: gamma(made, TEMPERATURE)

    return {
        "milliseconds_as_it_grows": {
            "k (d = 384)": growth({str(k): ours(k=k) for k in (64, 256, 1024, 4096)}),
            "d (k = 1024)": growth({str(d): ours(d=d) for d in (32, 128, 512, 1024)}),
        }
    }
