"""What the synthetic figures share: the fitted populations, and runs of benchmarks of real size.

A benchmark is searched as the authors search it: N beams at every step, repeated where a rule gives
fewer, so many runs as the paper has. Of AIME four benchmarks are drawn, for thirty problems alone
are a matter of luck.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from time import perf_counter, process_time

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dora_theory.search.engine import Rule, Width
from dora_theory.search.measures import Measures, run_searches
from dora_theory.search.tree import Tree, TreeProblem
from paper_repro.audit import DATA
from paper_repro.calibration import RULES

BUDGETS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Size:
    """How a benchmark is run.

    Attributes:
        problems: of one benchmark.
        runs: of each.
        draws: benchmarks, each with problems of its own.
    """

    problems: int
    runs: int
    draws: int = 1

    @property
    def searches(self) -> int:
        """Of one strategy at one budget."""
        return self.problems * self.runs * self.draws


_AIME = Size(30, runs=10, draws=4)
SIZES = {"MATH500": Size(500, runs=5), "AIME2024": _AIME, "AIME2025": _AIME}


def populations() -> dict[tuple[str, str], Tree]:
    """Benchmark and policy model → the tree that was fitted to them."""
    with (DATA / "calibration.json").open(encoding="utf-8") as file:
        document = json.load(file)
    middle = {name: sum(ends) / 2 for name, ends in document["assumed"].items()}
    return {
        (p["benchmark"], p["policy_model"]): Tree().with_changes(
            **{name: x["value"] for name, x in p["parameters"].items()}, **middle
        )
        for p in document["panels"]
    }


def draw_benchmark(world: Tree, size: Size) -> TreeProblem:
    """Problems of all draws, leading axis; each draw from the hardest to the easiest."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), jnp.arange(size.draws))
    drawn = _draw(world, keys, size.problems)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), drawn)


@partial(jax.jit, static_argnames="count")
def _draw(world: Tree, keys: jax.Array, count: int) -> TreeProblem:
    return jax.vmap(lambda key: world.problems(key, count))(keys)


def run_benchmark(
    world: Tree,
    problems: TreeProblem,
    slots: int,
    which: int,
    runs: int,
    *,
    rules: Mapping[str, Rule] = RULES,
    padding: bool = True,
    width: Width = "full",
) -> Measures:
    """Runs of a strategy; problems and random numbers are the same for each.

    Args:
        world: the population.
        problems: of it, leading axis n.
        slots: N.
        which: place of the strategy among the rules.
        runs: of each problem.
        rules: which share a program.
        padding: whether missing beams are repeated.
        width: what is shared out at a step, as for `search`.

    Returns:
        Measures of shape `(n, runs)`.
    """
    found = run_searches(
        jax.random.key(1), world, problems, rule=tuple(rules.values()), which=jnp.int32(which),
        slots=slots, repetitions=runs, width=width, padding=padding,
    )  # fmt: skip
    return jax.tree.map(lambda x: np.asarray(x, float), found)


def mean_and_spread(values: Float[np.ndarray, "n r"], draws: int = 1) -> tuple[float, float]:
    """The mean, and the standard deviation of one run of one benchmark around its own mean.

    Problems are searched independently, so a run's variance is the sum of theirs: that is known far
    better than by the few runs' own scatter.
    """
    of_problem = values.var(1, ddof=1)
    problems = of_problem.size / draws
    return float(values.mean()), float(np.sqrt(of_problem.mean() / problems))


def difference(ours: Float[np.ndarray, "n r"], other: np.ndarray) -> tuple[float, float]:
    """Mean difference over the same problems, and two standard errors over problems."""
    off = (ours - other).mean(1)
    return float(off.mean()), float(2 * off.std(ddof=1) / np.sqrt(off.size))


class Costs:
    """Seconds of searches by budget and searches of a call; the first call of each compiles."""

    def __init__(self) -> None:
        self._start, self._cpu = perf_counter(), process_time()
        self._first: dict[tuple[int, int], float] = {}
        self._later: dict[tuple[int, int], list[float]] = {}

    @contextmanager
    def measured(self, slots: int, searches: int) -> Iterator[None]:
        """Takes the time of one call."""
        start = perf_counter()
        yield
        seconds, call = perf_counter() - start, (slots, searches)
        if call in self._first:
            self._later.setdefault(call, []).append(seconds)
        else:
            self._first[call] = seconds

    def page(self) -> str:
        """What it cost, as Markdown."""
        wall, cpu = perf_counter() - self._start, process_time() - self._cpu
        mean = {c: 1000 * np.mean(t) / c[1] for c, t in sorted(self._later.items())}
        lines = [
            f"All of it took {wall:.0f} s, {cpu:.0f} s of processor time on {cpu_count()} cores.",
            "The first call for a budget and a number of searches compiles. After that time goes "
            "with problems, runs and strategies, and with N as the table has it.\n",
            "| N | searches a call | calls | ms a search | first call, s |",
            "|---|---|---|---|---|",
        ]
        for (n, searches), first in sorted(self._first.items()):
            calls = len(self._later.get((n, searches), [])) + 1
            ms = f"{mean[n, searches]:.2f}" if (n, searches) in mean else "–"
            lines.append(f"| {n} | {searches} | {calls} | {ms} | {first:.1f} |")
        return "\n".join(lines) + "\n"
