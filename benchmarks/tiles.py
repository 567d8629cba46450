"""Which tile of a kernel is fastest on the GPU of this machine: the default against others.

`python benchmarks/tiles.py [--out FOLDER] [--within SECONDS] [--dry-run]`. A tile says what one
program of a kernel takes: rows, columns, warps, stages of a pipeline. Results do not depend on it,
which is checked; the time is that of a call among many. With `--dry-run` kernels are interpreted on
a CPU, at sizes whose figures mean nothing. Exit status: 0, or 1 where a tile gave something else.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import roofline  # noqa: E402
import workloads  # noqa: E402
from in_turn import Measure, Prepare, in_turn  # noqa: E402
from run import device_name  # noqa: E402
from timing import machine  # noqa: E402
from workloads import Weights  # noqa: E402

from dora_theory.kernels import divisor_pallas, outcomes, similarities_triton  # noqa: E402
from dora_theory.kernels.dispatch import all_hopper  # noqa: E402
from dora_theory.kernels.outcomes_mosaic import expected_outcomes_mosaic  # noqa: E402
from dora_theory.kernels.similarities_mosaic import Ring, similarity_mosaic  # noqa: E402

# γ: problems, k, d; tiles as rows, columns, depth in bytes of a row, warps and stages.
_WIDE = (
    (128, 128, 128, 8, 4), (128, 128, 128, 4, 3), (128, 128, 64, 8, 4), (128, 128, 64, 4, 4),
    (128, 256, 128, 8, 3), (128, 256, 64, 8, 4), (64, 128, 128, 4, 4),
)  # fmt: skip
# A step of float32 is three of bfloat16.
_FULL = (
    (128, 128, 32, 8, 4), (128, 128, 32, 4, 3), (128, 128, 64, 4, 2), (128, 256, 32, 8, 3),
    (64, 128, 64, 4, 3), (128, 64, 64, 4, 3),
)  # fmt: skip
_NARROW = (16, 16, 64, 1, 4), (16, 16, 128, 1, 4), (16, 16, 256, 1, 2), (16, 16, 256, 1, 3)
SIMILARITIES: tuple[tuple[tuple[int, int, int], Any, Any], ...] = (
    ((256, 1000, 384), _WIDE, _FULL),
    ((1, 8192, 1024), _WIDE, _FULL),
    ((65536, 8, 384), _NARROW, _NARROW),
)
RINGS = Ring(), Ring(64, 256, 4), Ring(64, 128, 4), Ring(128, 64, 5)
# Exact allocation: bytes of numbers of a program and of a warp.
_SHARES = (4096, 4096), (4096, 2048), (1024, 1024), (2048, 1024)
ALLOCATIONS = (
    Weights(8), Weights(64), Weights(1000), Weights(4096), Weights(64, ties=True),
    Weights(1000, ties=True),
)  # fmt: skip
# Monte Carlo: samples and warps.
_SAMPLES = (256, 1), (512, 4), (256, 2), (128, 1), (128, 2)
STRATEGIES = 1, 3, 11
_EACH = 128, 256


class Variant(NamedTuple):
    """A row of the roofline, by a tile; `call` makes what is compared with the default's."""

    row: str
    tile: Any
    default: Any
    call: Callable[[], Any]


def variants(dry: bool) -> Iterator[Variant]:
    """The default of each row first."""
    sizes = workloads.DRY if dry else workloads.FULL
    hopper = not dry and all_hopper()
    directions = lru_cache(workloads.of_similarity)
    allocated = lru_cache(lambda weights: workloads.of_allocation(weights, sizes.weights)[0])
    drawn = lru_cache(lambda strategies: workloads.of_outcomes(strategies, sizes))

    def call(function: Callable[..., Any], arguments: Callable[[], Any]) -> Callable[[], Any]:
        made = jax.jit(function)
        # Made where it is called: only one process of several does.
        return lambda: made(*arguments())

    for of, tiles, of_full in SIMILARITIES[: 1 if dry else None]:
        shape = sizes.shapes[-1] if dry else of
        for precision in roofline.PRECISIONS:
            default = similarities_triton.tiling(*shape[1:], precision)
            size = 4 if precision == "tf32" else 2
            made = dict.fromkeys([default])
            for rows, columns, depth, warps, stages in of_full if precision == "full" else tiles:
                tile = similarities_triton.Tiling(rows, columns, depth // size, warps, stages)
                made[tile] = None
            row = f"γ {shape[0]} × k = {shape[1]}, d = {shape[2]} {precision}"
            for tile in list(made)[: 2 if dry else None]:
                function = partial(
                    similarities_triton.similarity_kernel,
                    precision=precision, tile=tile, interpret=dry,
                )  # fmt: skip
                yield Variant(row, tile, default, call(function, partial(directions, shape)))
            for ring in RINGS if hopper and shape[1] >= 1000 else ():
                function = partial(similarity_mosaic, precision=precision, ring=ring)
                yield Variant(row, ring, default, call(function, partial(directions, shape)))
    for weights in ALLOCATIONS[: 1 if dry else None]:
        usual = divisor_pallas.tiling(weights.k, 4)
        for each in list(_allocations(weights.k, usual))[: 2 if dry else None]:
            function = partial(divisor_pallas.allocation_kernel, tile=each, interpret=dry)
            made_of = call(function, partial(allocated, weights))
            yield Variant(f"allocation {weights}", each, usual, made_of)
    for strategies in STRATEGIES[: 1 if dry else None]:
        eights = outcomes.Tiling()
        shares = dict.fromkeys([eights, *(outcomes.Tiling(*tile) for tile in _SAMPLES)])
        row = f"Monte Carlo {strategies} strategies"
        for share in list(shares)[: 2 if dry else None]:
            drawing = partial(outcomes.expected_outcomes_kernel, tile=share, interpret=dry)
            yield Variant(row, share, eights, call(drawing, partial(drawn, strategies)))
        for samples in _EACH if hopper else ():
            other = partial(expected_outcomes_mosaic, each=samples)
            yield Variant(f"{row} (mosaic)", samples, 256, call(other, partial(drawn, strategies)))


def _allocations(k: int, default: divisor_pallas.Tiling) -> Iterator[divisor_pallas.Tiling]:
    row = 4 << (k - 1).bit_length()
    found = dict.fromkeys([default])
    for program, warp in _SHARES:
        rows = min(128, max(1, program // row))
        found[divisor_pallas.Tiling(rows, min(8, max(1, rows * row // warp)))] = None
    yield from found


@jax.jit
def _digest(x: jax.Array) -> jax.Array:
    """Tells arrays apart whose sums are equal."""
    place = jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape)
    return (x * (place % 97)).sum(dtype=jnp.float32)


class Timed(NamedTuple):
    """Seconds of a variant and sums of what it makes; or why there are none."""

    seconds: float
    sums: tuple[float, ...]
    why: str = ""


def preparations(dry: bool) -> list[Prepare]:
    """What is measured, for `in_turn`."""
    return [partial(_prepared, variant) for variant in variants(dry)]


def _prepared(variant: Variant) -> Measure:
    key = variant.row, str(variant.tile)
    try:
        found = jax.tree.leaves(variant.call())
        sums = tuple(float(_digest(x)) for x in found)
    except Exception as error:  # whatever it is, others are still to be timed
        said = f"{type(error).__name__}: {error}".strip().partition("\n")[0][:80]
        return lambda: (key, Timed(np.nan, (), said))
    return lambda: (key, Timed(roofline.time_of(variant.call), sums))


def measured(dry: bool, within: float) -> tuple[list[str], bool]:
    """Lines of a table, and whether all agree."""
    found = {}
    running = in_turn(preparations, dry, processes=2 if dry else None, within=within)
    for key, timed in running:
        found[key] = timed
        # A run that is stopped leaves what it has.
        print(*key, timed.why or f"{timed.seconds * 1e3:.4f} ms", file=sys.stderr, flush=True)
    lines, agree = [], True
    first: dict[str, Timed] = {}
    for variant in variants(dry):
        tile, row = variant.tile, variant.row
        said = f"{type(tile).__name__} {tuple(tile)}" if isinstance(tile, tuple) else str(tile)
        said += " (default)" if tile == variant.default else ""
        timed = found.get((row, str(tile)), Timed(np.nan, (), "was not ready in time"))
        if timed.why:
            lines.append(f"| {row} | {said} | {timed.why} | – |")
            continue
        of_first = first.setdefault(row, timed)
        same = np.allclose(timed.sums, of_first.sums, rtol=1e-3)
        agree &= same
        time = f"{timed.seconds * 1e3:.4f}{'' if same else ' **differs**'}"
        lines.append(f"| {row} | {said} | {time} | {timed.seconds / of_first.seconds:.2f} |")
    return lines, agree


def table(described: dict[str, Any], lines: list[str]) -> str:
    """Markdown."""
    heads = "| row | tile | ms | times the default |", "|---|---|---|---|"
    jax_version = described["packages"]["jax"]
    return "\n".join([f"{described['device']}, JAX {jax_version}", "", *heads, *lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--within", type=float, default=120, metavar="SECONDS")
    options = parser.parse_args()
    lines, agree = measured(options.dry_run, options.within)
    described = machine()
    text = table(described, lines)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"gpu-tiles-{device_name(described)}.md").write_text(text)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
