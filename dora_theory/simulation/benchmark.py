"""Populations of problems, and what each rule solves with one budget for all of them (theory 7.3).

Every problem has one chance p, drawn from a mixture of Beta distributions; a share may be
unsolvable. Rules know different things: nothing, outcomes as they come, or p itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt32

from dora_theory._checks import check_key, check_number, check_whole
from dora_theory._errors import amount
from dora_theory.allocation.across import allocate_problems
from dora_theory.allocation.literature import (
    hora_allocation,
    knapsack_rl_allocation,
    neyman_allocation,
)
from dora_theory.io.documents import Document
from dora_theory.model.priors import KnownPrior
from dora_theory.simulation.hard_budgets import (
    NEVER,
    easiest_first,
    in_rounds,
    round_robin_depths,
)

_Chances = Float[np.ndarray, "d m"]
Rule = Callable[[_Chances, int, np.random.Generator], Float[np.ndarray, " d"]]
# Rollouts of each problem before HORA shares out the rest.
_BEFORE = 4


@dataclass(frozen=True)
class Difficulty:
    """How hard problems are: p of each is a draw from a mixture of Beta distributions.

    Attributes:
        alpha: a > 0 of each part; one number is one part.
        beta: b > 0 of each part.
        shares: of the parts, of sum 1; None for equal ones.
        unsolvable: share of problems with p = 0, in [0, 1).

    Raises:
        ValueError: values out of range, or parts of different lengths.
    """

    alpha: float | Sequence[float]
    beta: float | Sequence[float]
    shares: Sequence[float] | None = None
    unsolvable: float = 0.0

    def __post_init__(self) -> None:
        parts = self.parts()
        for name, values in zip(("alpha", "beta", "shares"), parts, strict=True):
            if len(values) != len(parts[0]):
                raise ValueError(
                    f"{name}: has {amount(len(values), 'part')}, but alpha has {len(parts[0])}"
                )
            for x in values:
                check_number(name, float(x), 0, low_open=name != "shares")
        if abs(parts[2].sum() - 1) > 1e-9:
            raise ValueError(f"shares: sum to {parts[2].sum():g}, need 1")
        check_number("unsolvable", self.unsolvable, 0, 1, high_open=True)

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The a, b and share of each part."""
        a, b = np.atleast_1d(self.alpha), np.atleast_1d(self.beta)
        shares = np.full(a.size, 1 / a.size) if self.shares is None else np.asarray(self.shares)
        return a.astype(float), b.astype(float), shares.astype(float)

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draws of p, of the given shape."""
        a, b, shares = self.parts()
        part = generator.choice(a.size, size=shape, p=shares)
        p = generator.beta(a[part], b[part])
        return np.where(generator.random(shape) < self.unsolvable, 0.0, p)


class BenchmarkSimulation(Document):
    """Solved problems against total rollouts, see `simulate_benchmark`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each rule and budget."""
        return [
            {"rule": rule, "rollouts_per_problem": int(n), **cell}
            for rule, of in self.data["rules"].items()
            for n, cell in of.items()
        ]

    def _title(self) -> str:
        data = self.data
        return f"{amount(data['problems'], 'problem')}, {amount(data['draws'], 'draw')}"


def simulate_benchmark(
    key: Key[Array, ""] | UInt32[Array, "2"],
    difficulty: Difficulty,
    *,
    rules: Sequence[str] | Mapping[str, Rule] | None = None,
    budgets: Sequence[int] = (8, 32),
    num_problems: int = 400,
    num_draws: int = 40,
) -> BenchmarkSimulation:
    """Share of problems that each rule solves with one budget for all.

    Args:
        key: a JAX random key.
        difficulty: of the problems.
        rules: names of `RULES`, all if None, or rules of your own by name: functions of chances
            `(draws, m)`, total N and a NumPy generator to shares solved `(draws,)`.
        budgets: n, rollouts per problem on average; N = n m.
        num_problems: m.
        num_draws: of all problems and outcomes. All rules see the same problems, and a generator in
            the same state, from which those of `RULES` draw first when each problem is solved
            (`solving_times`): so rules differ by what they roll, and not by luck.

    Returns:
        In `rules`, for each rule and budget, `solved`, a mean over draws, and its standard error
        `error`; in `paired`, for each rule after the first, what it solves more than the first,
        `difference`, and the standard error of that.

    Raises:
        ValueError: an unknown rule, or numbers out of range.
        TypeError: `key` is not a JAX key.

    Source: theory 7.3.
    """
    check_key("key", key)
    m, count = check_whole("num_problems", num_problems, 1), check_whole("num_draws", num_draws, 2)
    named: Mapping[str, Rule]
    if isinstance(rules, Mapping):
        if not rules:
            raise ValueError("rules: needs at least one")
        named = rules
    else:
        unknown = [r for r in rules or () if r not in RULES]
        if unknown:
            raise ValueError(f"rules: {unknown[0]!r} is none of {', '.join(RULES)}")
        named = {r: RULES[r] for r in rules or RULES}
    seeds = np.asarray(jax.random.bits(key, (4,))).tolist()
    p = difficulty.draw(np.random.default_rng(seeds), (count, m))
    found: dict[str, dict[str, Any]] = {name: {} for name in named}
    first, *others = named
    paired: dict[str, dict[str, Any]] = {f"{name}-{first}": {} for name in others}
    with jax.enable_x64(True):
        for n in budgets:
            total = check_whole("budgets", n, 1) * m
            solved = {
                name: np.asarray(rule(p, total, np.random.default_rng([*seeds, 1])))
                for name, rule in named.items()
            }
            for name, share in solved.items():
                found[name][str(n)] = _mean("solved", share)
            for name in others:
                more = solved[name] - solved[first]
                paired[f"{name}-{first}"][str(n)] = _mean("difference", more)
    return BenchmarkSimulation(
        {"num_problems": m, "num_draws": count, "rules": found, "paired": paired}
    )


def _mean(name: str, draws: Float[np.ndarray, " d"]) -> dict[str, float]:
    return {
        name: float(draws.mean()),
        "error": float(draws.std(ddof=1) / np.sqrt(draws.size)),
    }


def solving_times(p: _Chances, generator: np.random.Generator) -> Int[np.ndarray, "d m"]:
    """Rollouts until each problem of chance p is solved, `NEVER` for p = 0."""
    with np.errstate(divide="ignore"):
        # p = 1 has log 0, and is solved by the first; p = 0 never.
        t = 1 + np.floor(np.log(generator.random(p.shape)) / np.log1p(-p))
    return np.where(p > 0, np.minimum(t, NEVER), NEVER).astype(np.int64)


def _fixed(allocation: Callable[[_Chances, int], Any]) -> Rule:
    """A rule that knows p and looks at nothing."""

    def rule(p: _Chances, total: int, generator: np.random.Generator) -> np.ndarray:
        return (solving_times(p, generator) <= np.asarray(allocation(p, total))).mean(-1)

    return rule


def _committed(p: _Chances, total: int) -> Any:
    return allocate_problems(1.0, KnownPrior(jnp.asarray(p)), total).rollouts


def _uniform(p: _Chances, total: int) -> Int[np.ndarray, "d m"]:
    m = p.shape[-1]
    return np.broadcast_to((total + m - 1 - np.arange(m)) // m, p.shape)


def _noisy(p: _Chances, total: int, generator: np.random.Generator) -> np.ndarray:
    times = solving_times(p, generator)
    # What is believed of p is off by a standard normal in the log odds, and taken at its word.
    with np.errstate(divide="ignore"):
        odds = np.log(p) - np.log1p(-p) + generator.standard_normal(p.shape)
    believed = 1 / (1 + np.exp(-odds))
    return (times <= np.asarray(_committed(believed, total))).mean(-1)


def _hora(*, drop: bool) -> Rule:
    def rule(p: _Chances, total: int, generator: np.random.Generator) -> np.ndarray:
        times = solving_times(p, generator)
        before = np.minimum(_uniform(p, total), _BEFORE)
        # After the first right one the others come as they may.
        hit = times <= before
        right = np.where(hit, 1 + generator.binomial(np.where(hit, before - times, 0), p), 0)
        most = np.where(right > 0, 0, NEVER) if drop else np.full(p.shape, NEVER)
        left = total - before.sum(-1)
        more = np.asarray(hora_allocation(right, before, left, max_rollouts=most))
        return (times <= before + more).mean(-1)

    return rule


def _rounds(rounds: int) -> Rule:
    def rule(p: _Chances, total: int, generator: np.random.Generator) -> np.ndarray:
        times = solving_times(p, generator)
        most = np.full_like(times, NEVER)
        return in_rounds(times, most, np.array([total]), rounds, generator)[:, 0]

    return rule


def _round_robin(p: _Chances, total: int, generator: np.random.Generator) -> np.ndarray:
    times = solving_times(p, generator)
    return (times <= round_robin_depths(times, total, generator)).mean(-1)


def _index(p: _Chances, total: int, generator: np.random.Generator) -> np.ndarray:
    return easiest_first(solving_times(p, generator), p, np.array([total]), generator)[:, 0]


# Rules by name: what knows p is `known` or `index`, what looks at outcomes adapts.
RULES: Mapping[str, Rule] = {
    "uniform": _fixed(_uniform),
    "neyman": _fixed(neyman_allocation),
    "knapsack-rl": _fixed(knapsack_rl_allocation),
    "committed": _fixed(_committed),
    "committed-noisy": _noisy,
    "hora": _hora(drop=False),
    "hora-dropping": _hora(drop=True),
    "rounds-2": _rounds(2),
    "rounds-4": _rounds(4),
    "rounds-8": _rounds(8),
    "round-robin": _round_robin,
    "index": _index,
}
