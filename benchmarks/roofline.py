"""What the kernels achieve of what the device can do, and against their references.

Two ceilings are measured, not taken from a datasheet: bytes a second of a copy that is many times
the cache, read and written, and the rate of square matrix products in each precision. Beside them

* exact allocation: time over that of a copy of the same weights and counts, 8 bytes a candidate,
  of weights that are all different and of scores of 1 decimal, which tie;
* γ: its rate, counting the product's arithmetic only, over that of the plain product of the same
  shape and precision;
* Monte Carlo: time of the `jax.numpy` reference over that of the kernel, and the bandwidth it asks
  for, which is next to nothing if arithmetic binds it.

Beside each stands what was predicted of it without a device, by `make gpu-compile`.
"""

import json
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from timing import Call, seconds

import dora_theory as dt
from dora_theory.kernels.divisor import largest_priorities
from dora_theory.kernels.divisor_pallas import allocation_kernel
from dora_theory.kernels.outcomes import (
    Tiling,
    expected_outcomes_kernel,
    expected_outcomes_reference,
)
from dora_theory.kernels.random_words import stream
from dora_theory.kernels.similarities import similarity_reference
from dora_theory.kernels.similarities_triton import similarity_kernel

PRECISIONS = {
    "full": jax.lax.DotAlgorithmPreset.F32_F32_F32,
    "tf32": jax.lax.DotAlgorithmPreset.TF32_TF32_F32,
    "bfloat16": jax.lax.DotAlgorithmPreset.BF16_BF16_F32,
}


class Sizes(NamedTuple):
    """How much each measurement takes; `DRY` is to see that it runs, in interpret mode."""

    copied: int  # float32 numbers
    side: int  # of the square product
    candidates: tuple[int, ...]  # k of exact allocation, ragged ones among them
    ties: tuple[int, ...]  # k of those with ties
    weights: int  # of all problems of an allocation
    shapes: tuple[tuple[int, int, int], ...]  # problems, k and d of γ
    problems: int  # of Monte Carlo
    samples: int


FULL = Sizes(
    copied=1 << 28,
    side=8192,
    candidates=(8, 64, 1000, 4096, 8192),
    ties=(64, 1000),
    weights=1 << 26,
    shapes=((65536, 8, 384), (16384, 100, 16), (256, 1000, 384), (1, 8192, 1024)),
    problems=4096,
    samples=4096,
)
DRY = Sizes(1 << 16, 64, (8, 20), (20,), 1 << 8, ((2, 20, 16),), 3, 300)


def roofline(*, dry: bool = False) -> Iterator[dict[str, Any]]:
    """All that is known so far, after each measurement; of `dry` the figures mean nothing."""
    sizes = DRY if dry else FULL
    found: dict[str, Any] = {"dry_run": dry}
    found["copy"] = _copy(sizes.copied)
    found["product"] = _products(sizes.side, dry)
    found["Monte Carlo"] = _failures(sizes.problems, sizes.samples, dry)
    yield found
    found["uniqueness"], found["exact allocation"] = {}, {}
    for shape in sizes.shapes:
        for precision in PRECISIONS:
            found["uniqueness"][of_similarity(shape, precision)] = _similarity(
                shape, precision, dry
            )
        yield found
    for k in sizes.candidates:
        found["exact allocation"][str(k)] = _allocation(k, sizes.weights, dry)
        yield found
    for k in sizes.ties:
        tied = _allocation(k, sizes.weights, dry, ties=True)
        found["exact allocation"][f"{k}, with ties"] = tied
        yield found


def _time(call: Call) -> float:
    """Median of ten, after two that compile and warm up."""
    for _ in range(2):
        jax.block_until_ready(call())
    return statistics.median(seconds(call) for _ in range(10))


def _copy(numbers: int) -> float:
    """Gigabytes a second, read and written."""
    x = jnp.arange(numbers, dtype=jnp.float32)
    add = jax.jit(lambda x: x + 1)
    return 8 * numbers / _time(lambda: add(x)) / 1e9


def _products(side: int, dry: bool) -> dict[str, float]:
    """Teraflop/s of each precision."""
    x = jax.random.normal(jax.random.key(0), (1, side, side))
    return {name: 2 * side**3 / _time(_product(x, name, dry)) / 1e12 for name in PRECISIONS}


def _product(x: jax.Array, precision: str, dry: bool) -> Call:
    """E E' of each problem, as a user writes it who wants that precision."""
    # A CPU knows of these algorithms only the first.
    how = jax.lax.Precision.HIGHEST if dry else PRECISIONS[precision]
    if precision == "bfloat16":
        x = x.astype(jnp.bfloat16)

    @jax.jit
    def multiply(x: jax.Array) -> jax.Array:
        contract = ((2,), (2,)), ((0,), (0,))
        return jax.lax.dot_general(
            x, x, contract, precision=how, preferred_element_type=jnp.float32
        )

    return partial(multiply, x)


def _allocation(k: int, weights: int, dry: bool, *, ties: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    rows = weights // k
    shape = min(rows, 4096), k
    if ties:
        made = np.asarray(
            dt.quality_weights(rng.uniform(size=shape).round(1), quality_temperature=0.1),
            np.float32,
        )
    else:
        made = rng.dirichlet(np.full(k, 0.3), size=shape[0]).astype(np.float32)
    repeats = -(-rows // shape[0])

    def arguments(w: Any) -> tuple[Any, ...]:
        return (
            w,
            np.ones((1, 1), np.float32),
            np.full(len(w), 4 * k, np.int32),
            np.ones(w.shape, bool),
        )

    given = [jnp.asarray(x) for x in arguments(np.tile(made, (repeats, 1))[:rows])]
    kernel = jax.jit(partial(allocation_kernel, interpret=dry))
    reference, copy = jax.jit(largest_priorities), jax.jit(lambda x: x + 1)
    # A GPU does not round every float32 quotient correctly outside of the kernel, a CPU does.
    with jax.default_device(jax.devices("cpu")[0]):
        exact = np.asarray(reference(*arguments(made)))
    assert np.array_equal(kernel(*given), np.tile(exact, (repeats, 1))[:rows]), (k, ties)
    w = given[0]
    ours, theirs = _time(lambda: kernel(*given)), _time(lambda: reference(*given))
    return {
        "milliseconds": ours * 1e3,
        "times_a_copy": ours / _time(lambda: copy(w)),
        "times_faster_than_reference": theirs / ours,
    }


def _similarity(shape: tuple[int, int, int], precision: Any, dry: bool) -> dict[str, float]:
    problems, k, d = shape
    e = jax.random.normal(jax.random.key(1), shape)
    unit = e / jnp.linalg.norm(e, axis=-1, keepdims=True)
    given = unit, jnp.ones((problems, k)), jnp.full(problems, 0.1)
    kernel = jax.jit(partial(similarity_kernel, precision=precision, interpret=dry))
    reference = partial(similarity_reference, precision=precision)
    off = np.asarray(kernel(*given)) / np.asarray(reference(*given)) - 1
    assert np.abs(off).max() < 1e-3, (shape, precision)
    ours, theirs = _time(lambda: kernel(*given)), _time(lambda: reference(*given))
    plain = _time(_product(unit, precision, dry))
    return {
        "milliseconds": ours * 1e3,
        "teraflops": 2 * problems * k * k * d / ours / 1e12,
        "share_of_product": plain / ours,
        "times_faster_than_reference": theirs / ours,
    }


def _failures(problems: int, samples: int, dry: bool) -> dict[str, float]:
    rng, units, strategies = np.random.default_rng(0), 4, 3
    alpha = rng.uniform(0.01, 1, size=(units, problems)).astype(np.float32)
    given = (
        stream(jax.random.key(0), jnp.arange(problems, dtype=jnp.uint32)[:, None]),
        jnp.asarray(alpha),
        jnp.asarray(1 - alpha),
        jnp.asarray(rng.integers(0, 32, size=(units, strategies, problems)), jnp.int32),
        jnp.arange(samples, dtype=jnp.uint32),
        jnp.ones(samples, bool),
    )
    tile = Tiling(128, 4) if dry else None
    kernel = jax.jit(partial(expected_outcomes_kernel, tile=tile, interpret=dry))
    reference = jax.jit(expected_outcomes_reference)
    for x, y in zip(kernel(*given), reference(*given), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    ours, theirs = _time(lambda: kernel(*given)), _time(lambda: reference(*given))
    moved = sum(x.nbytes for x in jax.tree.leaves(given)) + 2 * 4 * strategies * problems
    return {
        "milliseconds": ours * 1e3,
        "billion_draws_a_second": units * problems * samples / ours / 1e9,
        "gigabytes_a_second": moved / ours / 1e9,
        "times_faster_than_reference": theirs / ours,
    }


_PREDICTED = Path(__file__).parent / "results" / "gpu-predicted.json"


def predictions(device: str) -> dict[str, float]:
    """Milliseconds that a roofline predicts of the Triton kernels on a device, by row."""
    rows = json.loads(_PREDICTED.read_text())
    return {
        f"{row['kernel']} {row['case']} {row['precision']}".strip(): row["milliseconds"]
        for row in rows
        if row["device"] == device and row["backend"] == "triton"
    }


def of_allocation(name: str) -> str:
    """As predictions name a row of exact allocation."""
    return f"largest_priorities k = {name} float32"


def of_similarity(shape: tuple[int, int, int], precision: str) -> str:
    """As predictions name a row of γ."""
    problems, k, d = shape
    return f"similarity_sums {problems} × k = {k}, d = {d} {precision}"


OF_MONTE_CARLO = "expected_outcomes 3 strategies"


def table(found: dict[str, Any], device: str) -> str:
    """Markdown; the bars stand in the headings."""
    known = predictions(device)

    def predicted(name: str) -> str:
        return f"{known[name]:.3f}" if name in known else "–"

    rates = ", ".join(f"{name} {rate:.1f} TFLOP/s" for name, rate in found["product"].items())
    lines = [
        f"Copy: {found['copy']:.0f} GB/s read and written. Products: {rates}.",
        "",
        "| exact allocation, k | measured, ms | predicted, ms | times a copy (bar: 2) "
        "| times faster than the reference |",
        "|---|---|---|---|---|",
    ]
    for k, row in found.get("exact allocation", {}).items():
        lines.append(
            f"| {k} | {row['milliseconds']:.3f} | {predicted(of_allocation(k))} "
            f"| {row['times_a_copy']:.2f} "
            f"| {row['times_faster_than_reference']:.1f} |"
        )
    lines += [
        "",
        "| γ | measured, ms | predicted, ms | TFLOP/s | share of the product (bar: 0.6) "
        "| times faster |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found.get("uniqueness", {}).items():
        lines.append(
            f"| {name.partition(' ')[2]} | {row['milliseconds']:.3f} | {predicted(name)} "
            f"| {row['teraflops']:.2f} "
            f"| {row['share_of_product']:.2f} | {row['times_faster_than_reference']:.1f} |"
        )
    row = found["Monte Carlo"]
    lines += [
        "",
        f"Monte Carlo: {row['milliseconds']:.3f} ms (predicted: {predicted(OF_MONTE_CARLO)}), "
        f"{row['billion_draws_a_second']:.2f} billion draws/s, "
        f"{row['gigabytes_a_second']:.3g} GB/s moved, "
        f"{row['times_faster_than_reference']:.1f} times faster than the reference (bar: 10).",
    ]
    lines += ["", "Predictions are of a roofline, without a device, and no measurement."]
    return "\n".join(lines)
