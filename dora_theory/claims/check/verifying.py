"""Tries claims on random instances: one compiled program a claim, several claims side by side."""

import os
import time
import zlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from threading import Event, Lock
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dora_theory.claims.check import deciding
from dora_theory.claims.check.claim import Claim, Instance, Instances

# Below so many instances a program runs for less time than LLVM takes to make the best of it.
_MANY = 500_000
_QUICK: dict[str, str | bool] = {
    # They compile for twice as long; on programs like these they are no faster.
    "xla_cpu_use_fusion_emitters": False,
    # Claims compile side by side: to split one among threads only adds work.
    "xla_cpu_parallel_codegen_split_count": "1",
}
# A greedy search takes the first smaller counterexample it meets; no chain of them is so long.
_STEPS = 1000
# Where it starts decides where it ends.
_STARTS = 8
# How many violations of a batch are looked at, besides the worst.
_SUSPECTS = 15


@dataclass(frozen=True)
class Counterexample:
    """An instance that violates a claim, as small as the search found it.

    Attributes:
        instance: plain numbers and lists by name.
        confirmed: whether exact arithmetic says so, not only the margin.
        explanation: one line with which a reader can check it by hand, "" if the claim has none.
    """

    instance: Instance
    confirmed: bool
    explanation: str


@dataclass(frozen=True)
class Result:
    """What was found about a claim.

    Attributes:
        claim: it.
        decision: verdict and confidence.
        instances: how many were tried.
        violations: how many of them have a margin below -tolerance.
        worst_margin: the least of all margins; NaN if one is.
        counterexample: of a refuted claim.
        seconds: wall time, most of which may be compilation.
    """

    claim: Claim
    decision: deciding.Decision
    instances: int
    violations: int
    worst_margin: float
    counterexample: Counterexample | None
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that the theory expects."""
        return self.decision.verdict == self.claim.expected


class _Batch(NamedTuple):
    """What a program says of a batch: counts, the worst instance and then some that violate."""

    violations: Int[Array, ""]
    heads: Int[Array, ""]
    margins: Float[Array, " suspects"]
    suspects: Instances


def verify(
    claims: Sequence[Claim],
    *,
    instances: int = 100_000,
    seed: int = 0,
    budget_seconds: float | None = None,
    workers: int | None = None,
    optimize: bool | None = None,
) -> Generator[Result, None, None]:
    """Tries each claim on random instances, in float64.

    A claim's instances depend on the seed and its name, not on which others are tried.

    Args:
        claims: any number of them; error rates are corrected for it.
        instances: at least so many of each claim, and at least as many as it needs for a verdict
            (`Claim.min_instances`), in whole batches.
        seed: of all random numbers.
        budget_seconds: after so long no further batch is begun, but each claim sees one. A mean
            may then stay undecided.
        workers: how many claims at a time, one more than there are processors if None: one runs
            while others compile.
        optimize: whether to compile for speed of the program rather than of the compiler; if
            None, where there are many instances. Heavy claims are optimized somewhat in any case.

    Yields:
        A result for each claim, in the order in which they are done. Leaving the iterator early
        stops what is under way at its next batch.

    Raises:
        ValueError: instances < 1, budget_seconds not positive.
    """
    if instances < 1:
        raise ValueError(f"instances = {instances}: needs at least 1")
    if budget_seconds is not None and not budget_seconds > 0:
        raise ValueError(f"budget_seconds = {budget_seconds}: needs a positive number")
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    stop = Event()
    try_one = partial(
        _try_claim,
        instances=instances,
        seed=seed,
        error=deciding.error_of_one(max(len(claims), 1)),
        alone=Lock(),
        done=lambda: stop.is_set() or (deadline is not None and time.monotonic() > deadline),
        optimize=instances >= _MANY if optimize is None else optimize,
    )
    pool = ThreadPoolExecutor(workers or (os.cpu_count() or 1) + 1)
    try:
        # What takes longest is begun first, lest the others end up waiting for it.
        queue = sorted(claims, key=lambda claim: not claim.heavy)
        for future in as_completed([pool.submit(try_one, claim) for claim in queue]):
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _try_claim(
    claim: Claim,
    *,
    instances: int,
    seed: int,
    error: float,
    alone: Lock,
    done: Callable[[], bool],
    optimize: bool,
) -> Result:
    start = time.monotonic()
    # The setting belongs to a thread.
    with jax.enable_x64(True):
        wanted = max(instances, claim.min_instances)
        size = min(claim.chunk, wanted)
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(claim.name.encode()))
        program = _program(claim, size, key, optimize)
        batches: list[_Batch] = []
        while not batches or (len(batches) * size < wanted and not done()):
            # Two programs at once may each hold a thread of XLA's pool that the other waits for, on
            # few cores for ever. One uses all cores as it is; what takes time is compiling.
            with alone:
                batches.append(jax.device_get(program(jax.random.fold_in(key, len(batches)))))
        n = len(batches) * size
        violations = sum(int(b.violations) for b in batches)
        if claim.test == "mean":
            heads = sum(int(b.heads) for b in batches)
            decision = deciding.decide_mean(n, heads, deciding.coin_bounds(claim), error=error)
            example = None
        else:
            example = _counterexample(claim, batches)
            decision = deciding.decide_all(
                n,
                violations,
                example is not None,
                confirms=claim.confirm is not None,
                error=error,
            )
        return Result(
            claim,
            decision,
            n,
            violations,
            # Nobody wants to read -0.0.
            float(np.min([b.margins[0] for b in batches])) + 0.0,
            example,
            time.monotonic() - start,
        )


def _program(claim: Claim, size: int, key: Array, optimize: bool) -> Callable[[Array], _Batch]:
    """The compiled program that draws a batch and weighs it."""
    lowered = jax.jit(partial(_weigh, claim, size)).lower(key)
    if optimize or jax.default_backend() != "cpu":
        return lowered.compile()
    # Level 1 of LLVM takes little more than half as long as the usual 3; programs run as fast.
    level = "1" if claim.heavy else "0"
    try:
        return lowered.compile(compiler_options={**_QUICK, "xla_backend_optimization_level": level})
    except jax.errors.JaxRuntimeError:
        # Options of XLA come and go. They only save time.
        return lowered.compile()


def _weigh(claim: Claim, size: int, key: Array) -> _Batch:
    instances = claim.draw(key, size)
    margin = claim.margin(instances)
    violates = ~(margin >= -claim.tolerance)
    heads = jnp.zeros((), jnp.int32)
    if claim.test == "mean":
        low, high = deciding.coin_bounds(claim)
        coins = jax.random.uniform(jax.random.fold_in(key, 1), (size,))
        heads = (low + (high - low) * coins < margin).sum(dtype=jnp.int32)
    # A NaN is no margin at all: it counts as the worst.
    worst = jnp.argmin(jnp.where(jnp.isnan(margin), -jnp.inf, margin))
    # Exact arithmetic may not confirm the worst, but others.
    _, first = jax.lax.top_k(violates.astype(jnp.float32), min(_SUSPECTS, size))
    places = jnp.concatenate([worst[None], first])
    return _Batch(
        violates.sum(dtype=jnp.int32),
        heads,
        margin[places],
        jax.tree.map(lambda x: x[places], instances),
    )


def _counterexample(claim: Claim, batches: Sequence[_Batch]) -> Counterexample | None:
    """Of the violations that exact arithmetic confirms, made small, the one shortest to write."""
    found: list[Instance] = []
    for batch in batches:
        for i in np.flatnonzero(~(batch.margins >= -claim.tolerance)):
            suspect = {name: np.asarray(x)[i].tolist() for name, x in batch.suspects.items()}
            if claim.confirm is None or claim.confirm(suspect):
                found.append(smallest(claim, suspect))
                break
        if len(found) == _STARTS:
            break
    if not found:
        return None
    small = [Counterexample(x, claim.confirm is not None, _explained(claim, x)) for x in found]
    return min(small, key=lambda example: len(example.explanation or str(example.instance)))


def smallest(claim: Claim, instance: Instance) -> Instance:
    """A counterexample such that no simpler instance that the claim names is one."""
    if claim.simpler is None or claim.confirm is None:
        return instance
    for _ in range(_STEPS):
        smaller = next((x for x in claim.simpler(instance) if claim.confirm(x)), None)
        if smaller is None:
            return instance
        instance = smaller
    raise RuntimeError(f"{claim.name}: shrinking does not end at {instance}")


def _explained(claim: Claim, instance: Instance) -> str:
    return "" if claim.explain is None else claim.explain(instance)
