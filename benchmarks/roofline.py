"""What the kernels achieve of what the device can do, and against their references.

Two ceilings are measured, not taken from a datasheet: bytes a second of a copy that is many times
the cache, read and written, and the rate of square matrix products in each precision. Beside them

* exact allocation: time over that of a copy of the same weights and counts, 8 bytes a candidate
  (of weights in float64 or with an offset each, of those), of weights that are all different and of
  scores of 1 decimal, which tie;
* γ: its rate, counting the product's arithmetic only, over that of the plain product of the same
  shape and precision, and over that of the large one;
* Monte Carlo: time of the `jax.numpy` reference over that of the kernel, and the bandwidth it asks
  for, which is next to nothing if arithmetic binds it.

A time is that of a call among many that wait for one another, so that what a call costs the host is
not in it. Beside each stands what was predicted of it without a device, by `make gpu-compile`.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from in_turn import Measure, Prepare, in_turn
from timing import Call, seconds
from workloads import (
    DRY,
    FULL,
    UNITS,
    Sizes,
    Weights,
    of_allocation,
    of_outcomes,
    of_shape,
    of_similarity,
)

from dora_theory.kernels.dispatch import all_hopper
from dora_theory.kernels.divisor import largest_priorities
from dora_theory.kernels.divisor_pallas import allocation_kernel
from dora_theory.kernels.outcomes import expected_outcomes_kernel, expected_outcomes_reference
from dora_theory.kernels.similarities import similarity_reference
from dora_theory.kernels.similarities_triton import similarity_kernel

PRECISIONS = {
    "full": jax.lax.DotAlgorithmPreset.F32_F32_F32,
    "tf32": jax.lax.DotAlgorithmPreset.TF32_TF32_F32,
    "bfloat16": jax.lax.DotAlgorithmPreset.BF16_BF16_F32,
}
# Seconds of calls that wait for one another, and the most of them.
_ENOUGH, _MOST_CALLS = 0.02, 50
# Whatever else is tuned: matrix products beside ours are as fast as the library can be.
_TUNED = {"xla_gpu_autotune_level": 4}
# Seconds on a GPU after which no row is prepared any more.
_WITHIN = 100


class Row(NamedTuple):
    """Something to measure, compiled and found right.

    Attributes:
        calls: ours, and what it is compared with.
        figures: what is said of it, of seconds.
    """

    calls: Mapping[str, Call]
    figures: Callable[[dict[str, float]], dict[str, Any]]


class Figures(NamedTuple):
    """What a row comes to."""

    group: str
    name: str
    found: Any


def roofline(*, dry: bool = False) -> Iterator[dict[str, Any]]:
    """All that is known so far, after each measurement; of `dry` the figures mean nothing.

    A kernel that cannot run or is wrong is a row too, which says so under `"failed"`.
    """
    found: dict[str, Any] = {"dry_run": dry}
    how: dict[str, Any] = {"processes": 2} if dry else {"within": _WITHIN}
    running = in_turn(preparations, dry, **how)
    for group, name, figures in running:
        found.setdefault(group, {})[name] = figures
        yield found
    # In the order of the table, not in that of the processes.
    order = [(maker.group, maker.name) for maker in makers(dry)]
    for group in dict.fromkeys(group for group, _ in order):
        rows = found.get(group, {})
        found[group] = {name: rows[name] for own, name in order if own == group and name in rows}
        missing = [name for own, name in order if own == group and name not in rows]
        failed = found.get("failed", {})
        for name in missing:
            if f"{group} {name}" not in failed:
                found.setdefault("failed", {})[f"{group} {name}"] = "was not ready in time"
    yield found


class Maker(NamedTuple):
    """Of a row: its place in the table, and what prepares it."""

    group: str
    name: str
    make: Callable[[], Row]


def makers(dry: bool) -> list[Maker]:
    """Of all rows. What takes long to compile is far apart, that no process has all of it."""
    sizes = DRY if dry else FULL
    return [
        *(
            Maker(
                "Monte Carlo",
                f"{n} strategies{of_form(form)}",
                partial(_outcomes, n, sizes, form, dry),
            )
            for n, form in _forms(sizes.strategies, sizes.strategies[-2:], dry)
        ),
        *(
            Maker(
                "uniqueness",
                f"{of_shape(shape)} {precision}{of_form(form)}",
                partial(_similarity, shape, form, precision, dry),
            )
            for shape, form in _forms(sizes.shapes, sizes.shapes[-3:], dry)
            for precision in PRECISIONS
        ),
        *(
            Maker(
                "exact allocation", str(weights), partial(_allocation, weights, sizes.weights, dry)
            )
            for weights in sizes.allocations
        ),
    ]


def _forms(cases: Sequence[Any], of_mosaic: Sequence[Any], dry: bool) -> Iterator[tuple[Any, str]]:
    """Cases by the Triton kernel, and some by Mosaic GPU's where there is a Hopper GPU."""
    yield from ((case, "triton") for case in cases)
    if not dry and all_hopper():
        yield from ((case, "mosaic") for case in of_mosaic)


def preparations(dry: bool) -> list[Prepare]:
    """What is measured, for `in_turn`."""
    sizes = DRY if dry else FULL
    ceilings: list[Prepare] = [
        lambda: lambda: Figures("ceilings", "copy", _copy(sizes.copied)),
        lambda: lambda: Figures("ceilings", "product", _products(sizes.side, dry)),
    ]
    return ceilings + [partial(_prepared, maker) for maker in makers(dry)]


def _prepared(maker: Maker) -> Measure:
    """A row whose calls have been called once; or one that says why not."""
    try:
        row = maker.make()
        for call in row.calls.values():
            jax.block_until_ready(call())
    except Exception as error:  # whatever it is, others are still to be measured
        said = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        failed = Figures("failed", f"{maker.group} {maker.name}", said)
        return lambda: failed

    def measure() -> Figures:
        times = {name: time_of(call) for name, call in row.calls.items()}
        return Figures(maker.group, maker.name, row.figures(times))

    return measure


def time_of(call: Call) -> float:
    """Seconds of a call among many, in the median."""
    jax.block_until_ready(call())
    several = max(1, min(_MOST_CALLS, int(_ENOUGH / seconds(call))))

    def repeated() -> object:
        for _ in range(several - 1):
            call()
        return call()

    return statistics.median(seconds(repeated) for _ in range(7)) / several


def _copy(numbers: int) -> float:
    """Gigabytes a second, read and written."""
    x = jnp.arange(numbers, dtype=jnp.float32)
    add = jax.jit(lambda x: x + 1)
    return 8 * numbers / time_of(lambda: add(x)) / 1e9


def _products(side: int, dry: bool) -> dict[str, float]:
    """Teraflop/s of each precision."""
    x = jax.random.normal(jax.random.key(0), (1, side, side))
    return {name: 2 * side**3 / time_of(_product(x, name, dry)) / 1e12 for name in PRECISIONS}


def _product(x: jax.Array, precision: str, dry: bool) -> Call:
    """E E' of each problem, as a user writes it who wants that precision."""
    # A CPU knows of these algorithms only the first.
    how = jax.lax.Precision.HIGHEST if dry else PRECISIONS[precision]
    if precision == "bfloat16":
        x = x.astype(jnp.bfloat16)

    @partial(jax.jit, compiler_options=_TUNED)
    def multiply(x: jax.Array) -> jax.Array:
        contract = ((2,), (2,)), ((0,), (0,))
        return jax.lax.dot_general(
            x, x, contract, precision=how, preferred_element_type=jnp.float32
        )

    return partial(multiply, x)


def _allocation(weights: Weights, numbers: int, dry: bool) -> Row:
    given, exact = of_allocation(weights, numbers)

    def called(function: Callable[..., Any], *given: Any) -> Callable[[], jax.Array]:
        made = jax.jit(function)

        def call() -> Any:
            with jax.enable_x64(weights.wide):
                return made(*given)

        return call

    ours = called(partial(allocation_kernel, interpret=dry), *given)
    assert np.array_equal(ours(), exact()), "is not the reference's"
    calls = {
        "ours": ours,
        "reference": called(largest_priorities, *given),
        "copy": called(lambda w, c: w + c, *given[:2]),
    }
    return Row(
        calls,
        lambda time: {
            "milliseconds": time["ours"] * 1e3,
            "times_a_copy": time["ours"] / time["copy"],
            "times_faster_than_reference": time["reference"] / time["ours"],
        },
    )


def _similarity(shape: tuple[int, int, int], form: str, precision: Any, dry: bool) -> Row:
    problems, k, d = shape
    given = of_similarity(shape)
    made: Any = similarity_kernel
    if form == "mosaic":
        from dora_theory.kernels.similarities_mosaic import similarity_mosaic as made
    kernel = jax.jit(partial(made, precision=precision, interpret=dry))
    reference = jax.jit(partial(similarity_reference, precision=precision), compiler_options=_TUNED)
    off = np.asarray(kernel(*given)) / np.asarray(reference(*given)) - 1
    assert np.abs(off).max() < 1e-3, f"is off by {np.abs(off).max():.1e}"
    calls = {
        "ours": lambda: kernel(*given),
        "reference": lambda: reference(*given),
        "product": _product(given[0], precision, dry),
    }
    return Row(
        calls,
        lambda time: {
            "milliseconds": time["ours"] * 1e3,
            "teraflops": 2 * problems * k * k * d / time["ours"] / 1e12,
            "share_of_product": time["product"] / time["ours"],
            "times_faster_than_reference": time["reference"] / time["ours"],
        },
    )


def _outcomes(strategies: int, sizes: Sizes, form: str, dry: bool) -> Row:
    given = of_outcomes(strategies, sizes)
    made: Any = expected_outcomes_kernel
    if dry:
        made = partial(made, interpret=True)
    if form == "mosaic":
        from dora_theory.kernels.outcomes_mosaic import expected_outcomes_mosaic as made
    kernel, reference = jax.jit(made), jax.jit(expected_outcomes_reference)
    for x, y in zip(kernel(*given), reference(*given), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    plain = jax.jit(partial(_plain, samples=sizes.samples))
    calls = {
        "ours": lambda: kernel(*given),
        "reference": lambda: reference(*given),
        "plain": lambda: plain(jax.random.key(0), *given[1:4]),
    }
    moved = sum(x.nbytes for x in jax.tree.leaves(given)) + 2 * 4 * strategies * sizes.problems
    draws = UNITS * sizes.problems * sizes.samples
    return Row(
        calls,
        lambda time: {
            "milliseconds": time["ours"] * 1e3,
            "billion_draws_a_second": draws / time["ours"] / 1e9,
            "gigabytes_a_second": moved / time["ours"] / 1e9,
            "times_faster_than_reference": time["reference"] / time["ours"],
            "times_faster_than_plain": time["plain"] / time["ours"],
        },
    )


def _plain(key: jax.Array, alpha: Any, beta: Any, spent: Any, *, samples: int) -> jax.Array:
    """P(success) as one would write it by `jax.random.beta`."""
    p = jax.random.beta(key, alpha, beta, (samples, *alpha.shape))
    failure = jnp.einsum("usn,mun->msn", spent.astype(p.dtype), jnp.log1p(-p))
    return -jnp.expm1(failure).mean(0)


def of_form(form: str) -> str:
    return "" if form == "triton" else f" ({form})"
