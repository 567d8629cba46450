"""Estimates over populations of problems: in chunks, on all devices, in any number of processes.

Work is cut into chunks whose shape depends on the job alone. A device takes a chunk at a time, by
the same program however many devices there are, and what it draws is keyed by problem and sample;
results form one array, sharded over the devices of all processes, which JAX gathers.
So the result is the same, bit for bit, on one device, on eight, or in several processes, and memory
does not grow with problems or samples: of a problem only moments are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key, UInt32

from dora_theory._checks import check_key, check_number, check_type, check_whole
from dora_theory.simulation.arguments import check_simulation, chosen_devices, contenders
from dora_theory.simulation.intervals import Estimate
from dora_theory.simulation.outcomes import Job, Level, chunk
from dora_theory.simulation.populations import Population
from dora_theory.simulation.result import Simulation
from dora_theory.strategies.choosing import AnyStrategy
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import ORACLE, STRATEGIES, Strategy

# Numbers that a chunk may hold at once for a strategy: 4 MiB of float32, about one core's cache.
_CHUNK = 1 << 20
_MOST_SAMPLES = 2048


def simulate(
    key: Key[Array, ""] | UInt32[Array, "2"],
    population: Population,
    strategies: Sequence[AnyStrategy],
    budget: float,
    *,
    num_problems: int = 4096,
    num_samples: int = 64,
    level: Level = "conditional",
    options: Options | None = None,
    by_cost: bool = False,
    devices: Sequence[Any] | None = None,
) -> Simulation:
    """Success, number correct and their differences, for strategies on common random numbers.

    Args:
        key: JAX random key.
        population: how problems are made.
        strategies: names, or rules of your own, see `as_strategy`; `"oracle"` is the exact
            optimum.
        budget: N ≥ 1.
        num_problems: how many, at least 2.
        num_samples: of each problem; 1 is used at level `"closed"`, which has nothing to sample.
        level: `"rollouts"` throws every rollout, `"conditional"` takes expectations given p,
            `"closed"` uses the objective. All have the same mean, in falling variance.
        options: of the strategies, the paper's values if None.
        by_cost: whether `budget` is a number > 0 that the costs of a problem's rollouts may add up
            to, as of `allocate`; costs are those of the population, `cost_spread`. It needs one
            success probability for each direction.
        devices: those to use, by default all of all processes. Every process must make the same
            call; each gets the whole result.

    Returns:
        A `Simulation`, bit for bit the same for any devices and processes of one kind.

    Raises:
        ValueError: an unknown strategy or level, a budget, number of problems or of samples that is
            none or too small, a value of the population or of the options out of its range, a
            rule of your own that broke its budget.
        TypeError: a key, a population, options, strategies or devices of another kind.

    Examples:
        >>> population = dt.Population(num_candidates=8, num_directions=2)
        >>> found = dt.simulate(jax.random.key(0), population, ["rebase", "dora"], 16,
        ...     num_problems=256, level="closed")
        >>> found.strategies
        ('rebase', 'dora')
    """
    chosen = contenders(strategies)
    work = _Work(key, population, chosen, budget, num_samples, level, options, devices, by_cost)
    return work.run(num_problems)


def simulate_until(
    key: Key[Array, ""] | UInt32[Array, "2"],
    population: Population,
    strategies: Sequence[AnyStrategy],
    budget: float,
    *,
    half_width: float,
    of: Callable[[Simulation], Sequence[Estimate]] | None = None,
    min_problems: int = 1024,
    max_problems: int = 1 << 20,
    num_samples: int = 64,
    level: Level = "conditional",
    options: Options | None = None,
    by_cost: bool = False,
    devices: Sequence[Any] | None = None,
) -> Simulation:
    """As `simulate`, with as many problems as make intervals as narrow as asked.

    The number of problems doubles from look to look: few looks, so that stopping at a lucky one
    costs little coverage. An interval is not narrow because no problem has shown a difference yet.

    Args:
        key: as `simulate`.
        population: as `simulate`.
        strategies: as `simulate`.
        budget: as `simulate`.
        half_width: stop when no interval is wider than twice this.
        of: the intervals that count; those of every strategy's success by default.
        min_problems: problems before the first look.
        max_problems: problems after which to stop in any case.
        num_samples: as `simulate`.
        level: as `simulate`.
        options: as `simulate`.
        by_cost: as `simulate`.
        devices: as `simulate`.

    Returns:
        A `Simulation`, equal to that of `simulate` with its number of problems.

    Raises:
        ValueError: as `simulate`; a half width that is not positive, a start below 2 or beyond
            `max_problems`, no interval.
        TypeError: as `simulate`; `of` is not a function.

    Examples:
        >>> population = dt.Population(num_candidates=8, num_directions=2)
        >>> found = dt.simulate_until(jax.random.key(0), population, ["rebase"], 16,
        ...     half_width=0.05, level="closed")
        >>> found.num_problems
        1024
    """
    check_number("half_width", half_width, 0, low_open=True)
    count = check_whole("min_problems", min_problems, 2)
    max_problems = check_whole("max_problems", max_problems, count)
    if of is not None and not callable(of):
        raise TypeError(f"of = {of!r}: needs a function of a simulation")
    chosen = contenders(strategies)
    names = [s.name for s in chosen]
    work = _Work(key, population, chosen, budget, num_samples, level, options, devices, by_cost)
    while True:
        found = work.run(count)
        intervals = [found.success(s) for s in names] if of is None else of(found)
        if not intervals:
            raise ValueError("of: gave no interval, needs one or more")
        if count == max_problems or max(float(e.high - e.low) for e in intervals) <= 2 * half_width:
            return found
        count = min(2 * count, max_problems)


def rollouts_lost(
    key: Key[Array, ""] | UInt32[Array, "2"],
    population: Population,
    found: Simulation,
    strategy: str,
    *,
    options: Options | None = None,
    devices: Sequence[Any] | None = None,
    level: float = 0.95,
) -> Estimate:
    """How many of its N rollouts a strategy wastes: N less what the optimum needs for its success.

    Args:
        key: that of the simulation.
        population: that of the simulation.
        found: a simulation with `"oracle"` among its strategies.
        strategy: one of its strategies.
        options: those of the simulation.
        devices: as `simulate`.
        level: probability that the interval covers.

    Returns:
        An estimate between 0 and N, fractions by interpolation between whole budgets. The interval
        is that of the paired difference in success, read off the optimum's curve of mean success
        on the same problems (closed form); `error` is its half width over the normal quantile.

    Raises:
        ValueError: as `simulate`; a simulation with a budget of cost.

    Examples:
        >>> population = dt.Population(num_candidates=8, num_directions=2)
        >>> found = dt.simulate(jax.random.key(0), population, ["rebase", "oracle"], 16,
        ...     num_problems=256, level="closed")
        >>> lost = dt.rollouts_lost(jax.random.key(0), population, found, "rebase")
        >>> bool(lost.value >= 0)
        True

    Source: theory 4.3.
    """
    check_type("found", found, Simulation)
    if found.by_cost:
        raise ValueError("found: has a budget of cost, needs one of rollouts")
    regret = found.regret(strategy, level=level)
    oracle = (STRATEGIES[ORACLE],)
    work = _Work(key, population, oracle, found.budget, 1, "closed", options, devices)
    curve = lru_cache(None)(lambda n: float(work.run(found.num_problems, budget=n).mean[0, 0]))
    n = int(found.budget)
    top = curve(n)
    value, low, high = (
        n - _needed(curve, top - float(loss), n) for loss in (regret.value, regret.low, regret.high)
    )
    quantile = (regret.high - regret.low) / (2 * regret.error) if regret.error > 0 else 1.0
    return Estimate(*map(np.asarray, (value, low, high, (high - low) / (2 * quantile))))


def _needed(curve: Callable[[int], float], success: float, budget: int) -> float:
    """The budget, by linear interpolation, at which a rising curve with curve(0) = 0 reaches it."""
    if success >= curve(budget):
        return float(budget)
    low, high = 0, budget
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if curve(middle) <= success else (low, middle)
    below = curve(low) if low else 0.0
    return low + max(success - below, 0.0) / (curve(high) - below)


@dataclass(frozen=True)
class _Work:
    """A job, checked, and cut into chunks."""

    key: Array
    population: Population
    strategies: tuple[Strategy, ...]
    budget: float
    num_samples: int
    level: Level
    options: Options | None
    devices: Sequence[Any] | None
    by_cost: bool = False
    mesh: Mesh = field(init=False)

    def __post_init__(self) -> None:
        check_key("key", self.key)
        check_simulation(
            self.population,
            self.strategies,
            self.budget,
            self.num_samples,
            self.level,
            self.options,
            by_cost=self.by_cost,
        )
        devices = np.asarray(chosen_devices(self.devices))
        # Frozen for its users, not for its maker. 16.0 is an integer, and no shape.
        for name, value in (
            ("budget", float(self.budget) if self.by_cost else int(self.budget)),
            ("num_samples", int(self.num_samples)),
            ("mesh", Mesh(devices, ("chunks",))),
        ):
            object.__setattr__(self, name, value)

    def run(self, num_problems: int, *, budget: float | None = None) -> Simulation:
        """Simulates problems 0 to `num_problems - 1`."""
        num_problems = check_whole("num_problems", num_problems, 2)
        n = self.budget if budget is None else budget
        m = len(self.strategies)
        count, mean, scatter = 0, np.zeros((2, m)), np.zeros((2, m, m))
        gains = np.zeros((2, m, m))
        for values in self.blocks(num_problems, n):
            # Chan, Golub and LeVeque (1983): no difference of large sums.
            size = values.shape[-1]
            own = values.mean(-1)
            off = values - own[..., None]
            gap = own - mean
            weight = count * size / (count + size)
            scatter += off @ off.swapaxes(-1, -2) + weight * gap[:, :, None] * gap[:, None, :]
            mean += gap * (size / (count + size))
            for i, success in enumerate(values[0]):
                gain = np.maximum(success - values[0], 0)
                gains[:, i] += gain.sum(-1), (gain * gain).sum(-1)
            count += size
        names = tuple(s.name for s in self.strategies)
        kept = f"cost at most {n:g} and are at most 2^22" if self.by_cost else f"spend N = {n}"
        for name, own in zip(names, mean.T, strict=True):
            if np.isnan(own).any():
                raise ValueError(
                    f"strategy {name}: needs finite weights, or non-negative rollouts that "
                    f"{kept}, and nothing for padding, in every problem"
                )
        found = mean, scatter, gains
        return Simulation(names, n, count, self._samples, self.level, *found, self.by_cost)

    @property
    def _samples(self) -> int:
        return 1 if self.level == "closed" else self.num_samples

    def blocks(self, problems: int, budget: float) -> Iterator[Float[np.ndarray, "2 m n"]]:
        """Means over samples of success and number correct, block of problems by block."""
        job = Job(
            self.strategies,
            self.level,
            min(self._samples, _MOST_SAMPLES),
            # Only correlated candidates need to know it when compiling.
            1 if self.population.within_concentration is None else _power(int(self.budget)),
            self.by_cost,
        )
        block = _problems_in_chunk(self.population, job, problems)
        parts = -(-self._samples // job.samples)
        chunks = [(p, s) for p in range(-(-problems // block)) for s in range(parts)]
        total = np.zeros(0)
        for (p, s), sums in zip(chunks, self._sums(chunks, block, budget, job), strict=True):
            total = sums if s == 0 else total + sums
            if s == parts - 1:
                yield total[..., : problems - p * block] / self._samples

    def _sums(
        self, chunks: list[tuple[int, int]], block: int, budget: float, job: Job
    ) -> Iterator[Float[np.ndarray, "2 m n"]]:
        """What chunks add up to, in their order. While one round is read the next is computed."""
        places = list(self.mesh.devices.flat)
        mine = [(i, d) for i, d in enumerate(places) if d.process_index == jax.process_index()]
        given = self.key, self.population, self.options or Options()
        held = {d: jax.device_put(given, d) for _, d in mine}
        sharding = NamedSharding(self.mesh, PartitionSpec("chunks"))
        wide = jnp.result_type(float) == jnp.float64

        def compute(device: Any, which: tuple[int, int]) -> Array:
            p, s = which
            arguments = (
                np.arange(block, dtype=np.uint32) + np.uint32(p * block),
                np.uint32(s * job.samples),
                np.uint32(self._samples),
                np.asarray(budget, jnp.result_type(float) if job.by_cost else np.int32),
            )
            # JAX's modes belong to a thread.
            with jax.enable_x64(wide):
                return _row(*held[device], *jax.device_put(arguments, device), job)

        waiting: list[tuple[int, Array]] = []
        with ThreadPoolExecutor(len(mine)) as pool:
            for start in range(0, len(chunks), len(places)):
                now = chunks[start : start + len(places)]
                # Idle devices repeat the last chunk, and nobody asks them.
                work = [(device, now[min(i, len(now) - 1)]) for i, device in mine]
                # In threads, since every device compiles its own copy of the program.
                rows = list(pool.map(lambda each: compute(*each), work))
                shape = (len(places), *rows[0].shape[1:])
                whole = jax.make_array_from_single_device_arrays(shape, sharding, rows)
                waiting.append((len(now), whole))
                if len(waiting) > 1:
                    yield from _read(*waiting.pop(0))
            for each in waiting:
                yield from _read(*each)


@partial(jax.jit, static_argnames="job")
def _row(
    key: Array,
    population: Population,
    options: Options,
    numbers: Array,
    first: Array,
    samples: Array,
    budget: Array,
    job: Job,
) -> Float[Array, "1 2 m n"]:
    """A chunk's outcomes, on the device where its arguments lie.

    Not one program over all devices: the compiler rewrites a program for several partitions in
    other ways than for one, and the last bits would tell how many there were.
    """
    return jnp.stack(chunk(key, population, options, numbers, first, samples, budget, job))[None]


def _read(count: int, outcomes: Array) -> Iterator[Float[np.ndarray, "2 m n"]]:
    if not outcomes.is_fully_addressable:
        outcomes = multihost_utils.process_allgather(outcomes, tiled=True)
    yield from np.asarray(outcomes, np.float64)[:count]


def _keeps_account(job: Job) -> bool:
    return any("within_concentration" in strategy.options for strategy in job.strategies)


def _power(n: int) -> int:
    """The least power of two that is not below n ≥ 1: few programs to compile."""
    return 1 << (n - 1).bit_length()


def _problems_in_chunk(population: Population, job: Job, problems: int) -> int:
    """As many problems as keep a chunk within `_CHUNK` numbers, whatever there is to compute."""
    k, g, d = population.num_candidates, population.num_directions, population.dimension
    units = g if population.within_concentration is None else k
    needs = (
        max(units, 8) * job.samples,
        k * max(k, 1 + 2 * d),
        8 * g * job.most if job.level == "closed" or _keeps_account(job) else 1,
    )
    # Few sizes, so that few programs are compiled.
    enough = next((size for size in (64, 256, 1024) if size >= problems), 4096)
    return max(1, min(enough, _CHUNK // max(needs)))
