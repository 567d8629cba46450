"""Monte Carlo against what one would write instead: NumPy's generator, and `jax.random.beta`.

Timed in one process and in turn are

* estimators of the success of three strategies, in problems × samples a second. The others are
  given the problems and what strategies spend on them, and only draw and average; ours does all.
* samplers of Beta(a, b), in draws a second, at four pairs (a, b). Ours returns log p and
  log(1 - p), the others p.

NumPy's are timed as one writes them, and with a generator for each core; `jax.random.beta` does a
sixteenth of the samples, scaled up: it takes that long. Before they are timed, all are held against
what is known in closed form, within five standard errors: the success of each strategy on these
problems, and Beta's mean and variance.

Then how ours grows with problems, candidates, budget, samples and devices.
"""

import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats
from timing import Call, race, seconds

from dora_theory.kernels.beta_sampler import sample_log_beta
from dora_theory.model.directions import direction_totals
from dora_theory.simulation.montecarlo import simulate
from dora_theory.simulation.populations import Population, draw_problems
from dora_theory.strategies.allocate import spend
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import STRATEGIES as REGISTRY

KEY = jax.random.key(0)
STRATEGIES = "rebase", "dora", "oracle"
POPULATION = Population(num_candidates=16, num_directions=4, sizes="zipf", concentration=1.0)
BUDGET, PROBLEMS, SAMPLES = 64, 4096, 256
SHAPES = (0.016, 0.984), (0.5, 0.5), (5.0, 3.0), (1000.0, 500.0)
DRAWS = 1 << 22
CORES = os.cpu_count() or 1
POOL = ThreadPoolExecutor(CORES)
JAX_SHARE = 16
DOES = {"jax.random.beta": 1 / JAX_SHARE}


def ours(
    population: Population = POPULATION,
    budget: int = BUDGET,
    problems: int = PROBLEMS,
    samples: int = SAMPLES,
    level: Any = "conditional",
) -> np.ndarray:
    found = simulate(
        KEY, population, STRATEGIES, budget, num_problems=problems, num_samples=samples, level=level
    )
    return np.array([found.success(s).value for s in STRATEGIES])


def given() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a, b of the directions `(n, g)` and what strategies spend on them `(m, n, g)`."""
    made = draw_problems(jax.random.split(KEY)[0], POPULATION, PROBLEMS)
    options = Options(max_budget=BUDGET)
    spent = [spend(REGISTRY[s], made, jnp.int32(BUDGET), options)[0] for s in STRATEGIES]
    g = POPULATION.num_directions
    totals = [direction_totals(x, made.directions, g, mask=made.mask) for x in spent]
    q = np.asarray(made.quality)
    return q, 1 - q, np.stack([np.asarray(t) for t in totals])


def with_numpy(rng: np.random.Generator, a: np.ndarray, b: np.ndarray, n: np.ndarray) -> Any:
    """Mean success of each strategy; some samples at a time, which is faster than all at once."""
    total = np.zeros(len(n))
    for _ in range(0, SAMPLES, 8):
        q = np.log1p(-np.minimum(rng.beta(a, b, (8, *a.shape)), 1 - 1e-16))
        total += [-np.expm1((q * each).sum(-1)).sum() for each in n]
    return total / SAMPLES / len(a)


def with_numpy_threads(a: np.ndarray, b: np.ndarray, n: np.ndarray) -> Any:
    parts = np.array_split(np.arange(len(a)), CORES)
    jobs = [
        POOL.submit(with_numpy, np.random.default_rng(i), a[rows], b[rows], n[:, rows])
        for i, rows in enumerate(parts)
    ]
    shares = [len(rows) / len(a) for rows in parts]
    return sum(share * job.result() for share, job in zip(shares, jobs, strict=True))


@jax.jit
def with_jax(key: jax.Array, a: jax.Array, b: jax.Array, n: jax.Array) -> jax.Array:
    """Mean success of each strategy, 8 samples at a time."""

    def some(key: jax.Array) -> jax.Array:
        p = jax.random.beta(key, a, b, (8, *a.shape))
        q = jnp.log1p(-jnp.minimum(p, 1 - 1e-7))
        return jnp.stack([-jnp.expm1((q * each).sum(-1)).mean() for each in n])

    return jax.lax.map(some, jax.random.split(key, SAMPLES // JAX_SHARE // 8)).mean(0)


def closed(a: np.ndarray, b: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean success of each strategy on these problems, and its standard error with one sample.

    1 - E Π (1 - p)^n, where E (1 - p)^n = B(a, b + n) / B(a, b) and directions are independent.
    """
    a, b = a.astype(float), b.astype(float)

    def failure(n: np.ndarray) -> np.ndarray:
        moments = scipy.special.betaln(a, b + n) - scipy.special.betaln(a, b)
        return np.exp(moments.sum(-1))

    mean = failure(n)
    variance = (failure(2 * n) - mean**2).mean(-1) / len(a)
    return 1 - mean.mean(-1), np.sqrt(variance)


def near(found: Any, exact: Any, error: Any, name: str) -> None:
    assert np.all(np.abs(found - exact) < 5 * error), (name, found, exact, error)


def estimators(rounds: int) -> dict[str, Any]:
    a, b, n = given()
    rng = np.random.default_rng(0)
    on_device = [jnp.asarray(x, jnp.float32) for x in (a, b, n)]
    calls: dict[str, Call] = {
        "ours": ours,
        "numpy": lambda: with_numpy(rng, a, b, n),
        "numpy, a generator a core": lambda: with_numpy_threads(a, b, n),
        "jax.random.beta": lambda: with_jax(KEY, *on_device),
    }
    exact, error = closed(a, b, n)
    for name, call in calls.items():
        near(np.asarray(call()), exact, error / np.sqrt(SAMPLES * DOES.get(name, 1)), name)
    return race(calls, rounds, does=DOES)


def samplers(rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    generators = [np.random.default_rng(i) for i in range(CORES)]
    rows, columns = 1 << 10, DRAWS >> 10
    shares = [len(part) for part in np.array_split(np.arange(rows), CORES)]

    def threads(a: float, b: float) -> list[np.ndarray]:
        jobs = [
            POOL.submit(generator.beta, a, b, (share, columns))
            for generator, share in zip(generators, shares, strict=True)
        ]
        return [job.result() for job in jobs]

    found = {}
    for a, b in SHAPES:
        alpha, beta = (jnp.full((columns, 1), x, jnp.float32) for x in (a, b))
        plain = jax.jit(
            lambda key, a=a, b=b: jax.random.beta(key, a, b, (rows // JAX_SHARE, columns))
        )
        calls: dict[str, Call] = {
            "ours, both logarithms": partial(sample_log_beta, KEY, alpha, beta, rows),
            "numpy": partial(rng.beta, a, b, (rows, columns)),
            "numpy, a generator a core": partial(threads, a, b),
            "jax.random.beta": lambda plain=plain: plain(KEY),
        }
        name, *others = calls
        draws = sample_log_beta(KEY, alpha, beta, rows)
        check_moments(np.exp(draws.log_p), a, b, name)
        check_moments(-np.expm1(draws.log_q), a, b, name)
        for name in others:
            check_moments(np.concatenate(list(calls[name]())), a, b, name)
        found[f"Beta({a:g}, {b:g})"] = race(calls, rounds, does=DOES)
    return found


def check_moments(draws: np.ndarray, a: float, b: float, name: str) -> None:
    """Mean and variance of draws against those of Beta(a, b)."""
    mean, variance, _, excess = scipy.stats.beta.stats(a, b, moments="mvsk")
    x = draws.astype(float).ravel()
    near(x.mean(), mean, np.sqrt(variance / x.size), name)
    near(x.var(), variance, variance * np.sqrt((excess + 2) / x.size), name)


def growing() -> dict[str, Any]:
    """Millions of problems × samples a second as one thing grows."""

    def rate(problems: int = PROBLEMS, samples: int = SAMPLES, **changes: Any) -> float:
        call = partial(ours, problems=problems, samples=samples, **changes)
        call()
        return problems * samples / statistics.median(seconds(call) for _ in range(3)) / 1e6

    def sized(k: int, g: int) -> Population:
        return replace(POPULATION, candidates=k, directions=g)

    grown = {
        "problems": {str(n): rate(problems=n) for n in (1024, 4096, 16384)},
        "samples": {str(s): rate(samples=s) for s in (64, 256, 1024)},
        "k (g = 4)": {str(k): rate(population=sized(k, 4)) for k in (8, 64, 256)},
        "g (k = 64)": {str(g): rate(population=sized(64, g)) for g in (4, 16)},
        "N": {str(n): rate(budget=n) for n in (16, 256, 1024)},
        "level": {name: rate(level=name) for name in ("rollouts", "conditional")},
    }
    if jax.default_backend() == "cpu":
        grown["virtual devices"] = devices()
    return {"millions_a_second_as_it_grows": grown}


def devices() -> dict[str, float]:
    """The same job on virtual devices, which share the cores: what sharding itself costs."""
    out = {}
    for n in (1, 2):
        flags = f"--xla_force_host_platform_device_count={n}"
        code = (
            "import statistics, monte_carlo as m, timing; "
            "call = lambda: m.ours(problems=16384); call(); "
            "print(statistics.median(timing.seconds(call) for _ in range(5)))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"XLA_FLAGS": flags},
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
        out[str(n)] = 16384 * SAMPLES / float(ran.stdout) / 1e6
    return out


def run(rounds: int) -> dict[str, Any]:
    work, draws = PROBLEMS * SAMPLES, DRAWS
    races = {"Monte Carlo": estimators(rounds) | {"work": work, "unit": "problems × samples"}}
    races |= {n: r | {"work": draws, "unit": "draws"} for n, r in samplers(rounds).items()}
    return {
        "job": {
            "problems": PROBLEMS,
            "samples": SAMPLES,
            "k": POPULATION.num_candidates,
            "g": POPULATION.num_directions,
            "budget": BUDGET,
            "strategies": STRATEGIES,
            "dtype": "float32; numpy float64",
        },
        "races": {name: _with_rates(r) for name, r in races.items()},
    }


def _with_rates(found: dict[str, Any]) -> dict[str, Any]:
    rates = {name: found["work"] / t / 1e3 for name, t in found["milliseconds"].items()}
    return found | {"millions_a_second": rates}
