"""What is compiled: each kernel at the shapes that users have, and the functions that call them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from workloads import FULL, Weights

import dora_theory as dt
from compiled.assumed import Course, course
from compiled.devices import Device
from dora_theory.kernels import dispatch
from dora_theory.kernels.divisor_pallas import allocation_kernel
from dora_theory.kernels.divisor_pallas import tiling as allocation_tiling
from dora_theory.kernels.outcomes import Tiling as OutcomeTiling
from dora_theory.kernels.outcomes import expected_outcomes_kernel, expected_outcomes_reference
from dora_theory.kernels.random_words import Stream
from dora_theory.kernels.similarities_triton import Tiling, similarity_kernel, tiling
from dora_theory.kernels.similarity_parts import PRODUCTS_OF_PARTS, Precision, shares_of

# Ragged ones among them.
ALLOCATIONS = tuple(each for each in FULL.allocations if not each.ties)
# What the compiler may round buffers up to, together.
_ROUNDING = 1 << 12
# Candidates and dimensions of γ, with problems that keep a GPU busy; and of some, so few that it
# mostly waits, by the same program.
SIMILARITIES = (
    (1, 16, 65536), (8, 384, 65536), (100, 16, 16384), (1000, 384, 256), (8192, 1024, 1),
)  # fmt: skip
FEW = {8: 1024, 1000: 16}
PRECISIONS: tuple[Precision, ...] = ("full", "tf32", "bfloat16")
STRATEGIES = (1, 3, 11)
WEIGHTS, PROBLEMS, UNITS, SAMPLES, SAMPLES_IN_CHUNK = 1 << 26, 4096, 4, 4096, 2048


class Work(NamedTuple):
    """What a prediction must know of a kernel besides its instructions.

    Attributes:
        programs: of the grid.
        turns: how often each of its loops is run, in all.
        courses: of an allocation, how it goes without ties and with them, instead.
        product: operations of the matrix product as it is done, padded.
        useful: those that are asked for.
        copied: bytes that what it is compared with moves.
        few: a smaller number of problems of which a prediction is made too, or 0, and `many`, the
            number that is compiled.
        asked: whether the kernel's bar is asked of this size.
        draws: numbers that are drawn, or 0.
    """

    programs: int
    turns: tuple[float, ...]
    courses: tuple[Course, ...] = ()
    product: float = 0
    useful: float = 0
    copied: float = 0
    few: int = 0
    many: int = 0
    asked: bool = True
    draws: int = 0


class Program(NamedTuple):
    """Something to compile.

    Attributes:
        kernel: the name of the kernel that must be in it, as the compiler has it.
        case: what tells it from others of the same kernel.
        function: of the shapes.
        shapes: arguments as pytrees of `jax.ShapeDtypeStruct`, or of whole arrays.
        devices: over which the leading axis is sharded.
        wide: with float64.
        precision: of products, or "".
        linear: bytes that the program may keep beside arguments and results, as a function of
            k and d it must not exceed: O(k d).
        backend: which of a kernel's forms.
        work: what a prediction must know, if there is one.
    """

    kernel: str
    case: str
    function: Callable[..., Any]
    shapes: tuple[Any, ...]
    devices: int = 1
    wide: bool = False
    precision: str = ""
    linear: int = 0
    whole: bool = False
    backend: str = "triton"
    planted: bool = False
    work: Work | None = None

    def described(self) -> dict[str, Any]:
        """What a row says of it before it is compiled."""
        names = "kernel", "case", "devices", "precision", "linear", "whole", "backend", "planted"
        work = self.work and self.work._asdict()
        return {name: getattr(self, name) for name in names} | {"work": work}


def as_if_there_were(device: Device) -> None:
    """Lets `implementation="auto"` choose as on a machine that has the device compiled for."""
    major, minor = device.capability
    dispatch._gpus = lambda: [(device.name, major + minor / 10)]


def every(device: str) -> Iterator[Program]:
    """All that is compiled for a device; what takes long, and what is planted, for one only."""
    yield from kernels()
    yield estimator(3)
    yield from other_forms(device)
    yield from functions(1, device)
    yield from functions(8, device)
    if device == "H100":
        yield _simulation()
        # More than registers hold.
        tile = Tiling(128, 256, 64, 4, 3)
        yield similarity(1000, 384, 16, "bfloat16", tile)._replace(planted=True)


def kernels() -> Iterator[Program]:
    """Every kernel × precision × shape."""
    yield from map(allocation, ALLOCATIONS)
    for shape in SIMILARITIES:
        yield from (similarity(*shape, precision) for precision in PRECISIONS)
    yield from (outcomes(strategies) for strategies in STRATEGIES)


def other_forms(device: str) -> Iterator[Program]:
    """The forms for Mosaic GPU, where JAX and the device have what they are made of."""
    if jax.__version_info__ < (0, 12) or device == "A100":
        return
    from dora_theory.kernels.outcomes_mosaic import expected_outcomes_mosaic
    from dora_theory.kernels.similarities_mosaic import Ring, similarity_mosaic

    # One kernel for each: in one process Mosaic GPU compiles it once, and then says nothing of it.
    made = outcomes(3 if device == "H100" else 1)
    yield made._replace(function=expected_outcomes_mosaic, backend="mosaic")
    if device == "H100":
        for precision in PRECISIONS:
            k, d, problems = SIMILARITIES[-1]
            made = similarity(k, d, problems, precision)
            ring = Ring()
            stripe = 2 * ring.rows
            side = max(stripe, ring.columns)
            tall, wide = -(-k // side) * side, -(-d // 64) * 64
            shares, most = shares_of(tall // ring.columns)
            # Two times six bfloat16 numbers for one float32, or the embeddings, padded.
            keeps = problems * tall * wide * 32
            # Two of three warpgroups multiply: a step takes 128 bytes of a row.
            products = len(PRODUCTS_OF_PARTS) if precision == "full" else 1
            blocks, each = 2 / 3 * most, 32 if precision == "tf32" else 64
            work = Work(
                problems * shares * tall // stripe,
                (0, blocks, blocks * products * wide // each, 0),
                product=2.0 * products * problems * wide * tall**2,
                useful=2.0 * problems * d * k**2,
                copied=4.0 * problems * k * (d + k),
            )
            yield made._replace(
                function=partial(similarity_mosaic, precision=precision),
                backend="mosaic", linear=keeps, work=work,
            )  # fmt: skip


def allocation(weights: Weights) -> Program:
    k, own, bits = weights.k, weights.own, 64 if weights.wide else 32
    rows = WEIGHTS // k
    number = jnp.dtype(f"float{bits}")
    shapes = (
        _shape((rows, k), number),
        _shape((rows, k) if own else (1, 1), number),
        _shape((rows,), jnp.int32),
        _shape((rows, k), bool) if weights.masked else None,
    )
    tied = (course(k, tied=True),) if weights._replace(ties=True) in FULL.allocations else ()
    work = Work(
        -(-rows // allocation_tiling(k, bits // 8).rows), (), (course(k), *tied),
        # Of an offset for each candidate too. What the bar is asked of, the kernel was made for.
        copied=rows * k * (bits // 4 + own * bits // 8), asked=8 <= k <= 4096,
    )  # fmt: skip
    # Offsets and budgets laid out a row each, and an output.
    return Program(
        "largest_priorities", str(weights).rsplit(" ", 1)[0], allocation_kernel, shapes,
        wide=weights.wide, precision=f"float{bits}", linear=rows * (12 * k + 64), work=work,
    )  # fmt: skip


def similarity(
    k: int, d: int, problems: int, precision: Precision, tile: Tiling | None = None
) -> Program:
    shapes = (
        _shape((problems, k, d), jnp.float32),
        _shape((problems, k), jnp.float32),
        _shape((problems,), jnp.float32),
    )
    share = tile or tiling(k, d, precision)
    side = max(share.rows, share.columns)
    tall, wide = -(-k // side) * side, -(-d // share.depth) * share.depth
    steps = wide // share.depth
    shares, most = shares_of(tall // share.columns)
    # Of so few candidates a program takes several problems.
    together = 16 // k if 16 % k == 0 else 1
    # A loop of one turn is none.
    turns = (most,) * (most > 1) + (most * steps,) * (steps > 1)
    useful = 2.0 * problems * d * k**2
    products = len(PRODUCTS_OF_PARTS) if precision == "full" else 1
    work = Work(
        problems * shares * tall // share.rows // together, turns,
        product=2.0 * products * problems * wide * tall**2 / together, useful=useful,
        copied=4.0 * problems * k * (d + k), few=FEW.get(k, 0), many=problems,
    )  # fmt: skip
    return Program(
        "similarity_sums", f"{problems} × k = {k}, d = {d}",
        partial(similarity_kernel, precision=precision, tile=tile), shapes,
        precision=precision, linear=problems * tall * (8 * wide + 32) + _ROUNDING, work=work,
    )  # fmt: skip


def outcomes(strategies: int) -> Program:
    n = PROBLEMS
    shapes = (
        Stream(*[_shape((n, 1), jnp.uint32)] * 2),
        _shape((UNITS, n), jnp.float32),
        _shape((UNITS, n), jnp.float32),
        _shape((UNITS, strategies, n), jnp.int32),
        _shape((SAMPLES,), jnp.uint32),
        _shape((SAMPLES,), bool),
    )
    each = OutcomeTiling().samples
    # Coefficients of 35 numbers a unit, twice while they are laid out, and partial sums.
    return Program(
        "expected_outcomes", f"{strategies} strategies", expected_outcomes_kernel, shapes,
        linear=n * (UNITS * (40 * 4 * 3 + 64 * strategies) + 16 * (SAMPLES // each) * 16),
        work=Work(
            n * (SAMPLES // each), (UNITS,),
            # Logits written and read twice, log failures read and written.
            copied=4.0 * n * SAMPLES * UNITS * (3 + 2 * strategies), draws=n * SAMPLES * UNITS,
        ),
    )  # fmt: skip


def estimator(strategies: int) -> Program:
    """What the kernel of expected outcomes is compared with, as XLA compiles it."""
    return outcomes(strategies)._replace(
        case=f"reference, {strategies} strategies", function=expected_outcomes_reference,
        backend="xla", linear=PROBLEMS * SAMPLES * 4 * 16, work=None,
    )  # fmt: skip


def functions(devices: int, device: str) -> Iterator[Program]:
    """What users call, at the largest sizes of the documentation, sharded over problems."""
    k, d, rows = 8192, 384, 8 * devices
    # tf32 is of the form for Mosaic GPU on Hopper, where that says nothing of it a second time.
    coarse: Precision = "tf32" if devices == 1 else "bfloat16"
    other = coarse == "tf32" and device == "H100" and jax.__version_info__ >= dispatch.MOSAIC
    yield Program(
        "largest_priorities", "optimal_allocation",
        lambda w, m: dt.optimal_allocation(w, 1.0, 64, mask=m),
        (_shape((65536, 64), jnp.float32), _shape((65536, 64), bool)),
        devices=devices, precision="float32", linear=65536 * 64 * 30 // devices, whole=True,
    )  # fmt: skip
    embeddings = _shape((rows, k, d), jnp.float32)
    mask = _shape((rows, k), bool)
    share = rows // devices * k * (4 * 4 * d + 256)
    yield Program(
        "similarity_sums", "uniqueness",
        lambda e, m: dt.uniqueness(e, similarity_temperature=0.01, mask=m), (embeddings, mask),
        devices=devices, precision="full", linear=share, whole=True,
    )  # fmt: skip
    yield Program(
        "similarity_sums", "streamed_magnitude_weighting",
        lambda e, m: dt.streamed_magnitude_weighting(
            e, similarity_temperature=0.01, mask=m, precision=coarse
        ),
        (embeddings, mask), devices=devices, precision=coarse, linear=share, whole=True,
        backend="mosaic" if other else "triton",
    )  # fmt: skip


def _simulation() -> Program:
    """The program that `simulate` runs on each of its devices, for a chunk."""
    from dora_theory.simulation.arguments import contenders
    from dora_theory.simulation.montecarlo import _row
    from dora_theory.simulation.outcomes import Job
    from dora_theory.simulation.populations import Population

    population = Population(num_candidates=16, num_directions=4, dimension=8)
    job = Job(contenders(("rebase", "dora", "oracle")), "conditional", SAMPLES_IN_CHUNK, 1)
    shapes = jax.eval_shape(
        lambda: (
            jax.random.key(0), population, dt.Options(), jnp.zeros(64, jnp.uint32),
            jnp.uint32(0), jnp.uint32(0), jnp.int32(0),
        )
    )  # fmt: skip
    return Program(
        "expected_outcomes", "simulate", partial(_row, job=job), shapes,
        linear=64 * 4 * SAMPLES_IN_CHUNK, whole=True,
    )  # fmt: skip


def placed(program: Program, mesh: Any) -> tuple[Any, ...]:
    """The shapes on a mesh: leading axes over its devices where they are problems."""
    count = mesh.size

    def place(x: Any) -> Any:
        first = x.shape[:1]
        split = count > 1 and first and first[0] % count == 0
        spec = PartitionSpec("problems") if split else PartitionSpec()
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, spec))

    return tuple(jax.tree.map(place, program.shapes))


def _shape(dimensions: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(dimensions, dtype)
