"""γ against equations 10 to 12 written out, and against a bare matrix product.

The equations are written out in float64 NumPy and, as one would write them in JAX, jitted. The
product E E' of the same embeddings, jitted too, is not a rival but shows how much of the time is
arithmetic that γ needs as well. It is not a floor: it writes all of S to memory, which a fused sum
over S (ours, and whatever XLA fuses of the equations) need not do.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import Call, growth, race

import dora_theory as dt

TEMPERATURE = 0.01
SHAPES = {
    "many small problems": (1024, 16, 384),
    "many problems": (256, 64, 384),
    "one large problem": (1, 4096, 384),
}
# Of γ, against float64: each rounding of a cosine is multiplied by 1/T_s = 100.
MOST_ERROR = 1e-3


def equations(embeddings: np.ndarray, temperature: float) -> np.ndarray:
    """Cosine similarity, row softmax, diagonal."""
    e = embeddings.astype(np.float64)
    unit = e / np.linalg.norm(e, axis=-1, keepdims=True)
    logits = unit @ unit.swapaxes(-1, -2) / temperature
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.diagonal(powers / powers.sum(-1, keepdims=True), axis1=-2, axis2=-1)


@jax.jit
def jitted_equations(e: jax.Array, temperature: float) -> jax.Array:
    unit = e / jnp.linalg.norm(e, axis=-1, keepdims=True)
    similarity = jnp.einsum("bid,bjd->bij", unit, unit, precision="highest")
    weights = jax.nn.softmax(similarity / temperature, axis=-1)
    return jnp.diagonal(weights, axis1=-2, axis2=-1)


def embeddings(problems: int, k: int, d: int) -> np.ndarray:
    """A dozen directions, with noise so small that γ tells them apart."""
    rng = np.random.default_rng(0)
    center = rng.normal(size=(problems, 12, d))
    label = rng.integers(12, size=(problems, k))
    e = np.take_along_axis(center, label[..., None], axis=1)
    return (e + 0.05 * rng.normal(size=e.shape)).astype(np.float32)


def run(rounds: int) -> dict[str, Any]:
    gamma = jax.jit(dt.uniqueness)
    product = jax.jit(lambda e: jnp.einsum("bid,bjd->bij", e, e, precision="highest"))
    races = {}
    for name, shape in SHAPES.items():
        e = embeddings(*shape)
        on_device = jnp.asarray(e)
        calls: dict[str, Call] = {
            "ours": lambda x=on_device: gamma(x, similarity_temperature=TEMPERATURE),
            "equations 10-12 in numpy": lambda x=e: equations(x, TEMPERATURE),
            "equations 10-12 in jax": lambda x=on_device: jitted_equations(x, TEMPERATURE),
            "matrix product alone": lambda x=on_device: product(x),
        }
        exact, errors = equations(e, TEMPERATURE), {}
        for rival in ("ours", "equations 10-12 in jax"):
            errors[rival] = float(np.abs(np.asarray(calls[rival]()) / exact - 1).max())
            assert errors[rival] < MOST_ERROR, (rival, errors)
        races[f"γ, {name}"] = race(calls, rounds) | {"largest_relative_error": errors}

    return {
        "job": {"temperature": TEMPERATURE, "dtype": "float32", "shapes": SHAPES},
        "races": races,
    }


def growing() -> dict[str, Any]:
    gamma = jax.jit(dt.uniqueness)

    def ours(k: int = 1024, d: int = 384) -> Call:
        made = jnp.asarray(embeddings(1, k, d))
        return lambda: gamma(made, similarity_temperature=TEMPERATURE)

    return {
        "milliseconds_as_it_grows": {
            "k (d = 384)": growth({str(k): ours(k=k) for k in (64, 256, 1024, 4096)}),
            "d (k = 1024)": growth({str(d): ours(d=d) for d in (32, 128, 512, 1024)}),
        }
    }
