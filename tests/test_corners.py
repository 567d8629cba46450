"""Gradients at the corners of domains: of no function NaN, and right where there is a slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from api_table import TABLE, arguments, leaves

# The ends of what an argument may hold, where they belong to it.
CORNERS = {
    "weights": (0.0, 1.0),
    "quality": (0.0, 1.0),
    "direction_weights": (0.0, 1.0),
    "p": (0.0,),
    "q": (0.0,),
    "alpha": (0.0,),
    "beta": (0.0,),
    "allocation": (0.0, 1.0),
    "sizes": (1.0,),
    "theta": (0.0, np.inf),
    "ridge": (0.0,),
    "similarity_within": (1.0,),
    "imbalance": (1.0,),
    "rounds": (0.0, 1.0),
    "noise": (0.0,),
    "values": (0.0,),
    "initial": (0.0,),
    "embeddings": (0.0,),
    "scores": (0.0,),
    "similarity": (1.0,),
}
# Random draws and solvers that stop have no slope to hold against a difference; KL has an infinite
# one at p = 0.
UNHELD = {
    "sample_log_beta",
    "sample_log_gamma",
    "streamed_magnitude_weighting",
    "optimize_allocation",
    "kl_divergence",
    # Maxima over depths, many of which tie where a success is sure.
    "rounds_bound",
    "rounds_plan",
    # A candidate enters at w = 0, where the set of those that have weight changes.
    "root_weights",
}
STEP = 1e-5
NAMES = [
    name
    for name, entry in TABLE.items()
    # The prices of `allocate_problems` come from loops, which JAX refuses to differentiate; the
    # weights of `dora_constant` lie inside (0, 1) and sum to 1.
    if name.partition(".")[0]
    not in (
        *("sample_log_beta", "sample_log_gamma", "optimize_allocation"),
        *("allocate_problems", "dora_constant"),
    )
    and any(entry.like(part) in CORNERS for part in entry.axes)
]
# With programs that are soon compiled; the others are slow.
QUICK = {"log_failure", "quality_weights"}


def cases(entry):
    for name in entry.axes:
        for corner in CORNERS.get(entry.like(name), ()):
            given = {
                part: x.astype(float) if np.issubdtype(x.dtype, np.floating) else x
                for part, x in arguments(entry, ()).items()
            }
            if name not in given or (name == "allocation" and given[name].dtype.kind != "f"):
                given[name] = given[name].astype(float)
            given[name].reshape(-1)[0] = corner
            yield name, corner, given


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[] if x in QUICK else pytest.mark.slow) for x in NAMES]
)
def test_gradients_at_corners(name):
    entry = TABLE[name]
    found = leaves(jax.eval_shape(lambda: entry.call(**arguments(entry, ()))))
    if not any(jnp.issubdtype(x.dtype, jnp.floating) for x in found):
        pytest.skip("has no value with a slope")
    tried = list(cases(entry))
    if name.startswith("hierarchical"):
        # Its rollouts are integers.
        tried = [case for case in tried if case[0] != "allocation"]
    for part in {part for part, _, _ in tried}:
        some = [(corner, given) for p, corner, given in tried if p == part]
        fixed = {p: x for p, x in some[0][1].items() if p != part}

        def value(x, fixed=fixed, part=part):
            found = leaves(entry.call(**fixed, **{part: x}))
            parts = [f.reshape(-1) for f in found if jnp.issubdtype(f.dtype, jnp.floating)]
            flat = jnp.concatenate(parts)
            # Not the sum, which of shares is always 1.
            return (flat * jnp.cos(jnp.arange(flat.size))).sum()

        x = jnp.stack([jnp.asarray(given[part]) for _, given in some])
        slopes = np.asarray(jax.jit(jax.vmap(jax.grad(value)))(x))
        assert not np.isnan(slopes).any(), (part, slopes)
        if name in UNHELD:
            continue
        values = jax.jit(jax.vmap(value))
        down = np.array([1.0 if corner == 0 else -1.0 for corner, _ in some])
        flat = x.reshape(len(some), -1)

        def at(size, flat=flat, down=down, shape=x.shape, values=values):
            return np.asarray(values(flat.at[:, 0].add(size * STEP * down).reshape(shape)))

        with np.errstate(invalid="ignore"):
            slope = (-3 * at(0) + 4 * at(1) - at(2)) / (2 * STEP) * down
        for i, (corner, _) in enumerate(some):
            got = slopes.reshape(len(some), -1)[i, 0]
            # Where the value is infinite, or the slope, there is nothing to compare.
            if np.isfinite(slope[i]) and abs(slope[i]) < 100 and np.isfinite(corner):
                assert got == pytest.approx(slope[i], rel=2e-3, abs=2e-4), (part, corner)
