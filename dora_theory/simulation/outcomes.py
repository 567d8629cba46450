"""What becomes of synthetic problems under strategies: three levels of randomness.

* `"rollouts"` draws p, then throws a coin for every rollout. Of the objective it knows nothing, so
  that it can refute it.
* `"conditional"` draws p, and takes 1 - Π (1 - p)^B for success: less noise, same mean.
* `"closed"` takes the objective itself: no noise but that of the problems.

Strategies share what is drawn: rollout number r of a candidate has one outcome, whoever spends it.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real, UInt32

from dora_theory.allocation.hierarchical import hierarchical_log_failure
from dora_theory.kernels.arithmetic import log_sigmoid
from dora_theory.kernels.beta_sampler import beta_logits, lane_logits, setup_beta
from dora_theory.kernels.outcomes import Outcomes, expected_outcomes, outcomes_of_logits
from dora_theory.kernels.random_words import Stream, stream, substream, unit, words
from dora_theory.model.directions import segment_sum
from dora_theory.model.objective import log_failure
from dora_theory.simulation.populations import Population, problems_at
from dora_theory.strategies.allocate import spend
from dora_theory.strategies.options import Options
from dora_theory.strategies.problems import Problems
from dora_theory.strategies.registry import Strategy

Level = Literal["rollouts", "conditional", "closed"]

# What the random words of a problem are for.
_CANDIDATES, _DIRECTIONS, _ROLLOUTS = range(3)


@dataclass(frozen=True)
class Job:
    """What is compiled in.

    Attributes:
        strategies: those that spend.
        level: of randomness.
        samples: samples in a chunk.
        most: a power of two ≥ N; 1 will do where candidates of a direction share one p.
        by_cost: whether the budget is one of cost.
    """

    strategies: tuple[Strategy, ...]
    level: Level
    samples: int
    most: int
    by_cost: bool = False


class _Units(NamedTuple):
    """What has one success probability: directions if candidates share, else candidates.

    Attributes:
        logits: logit p, shape `(units, n, samples)`.
        counts: rollouts, shape `(units, strategies, n)`.
    """

    logits: Float[Array, "units n samples"]
    counts: Int[Array, "units strategies n"]


@partial(jax.jit, static_argnames="job")
def chunk(
    key: Array,
    population: Population,
    options: Options,
    numbers: UInt32[Array, " n"],
    first: UInt32[Array, ""],
    samples: UInt32[Array, ""],
    budget: Real[Array, ""],
    job: Job,
) -> Outcomes:
    """Outcomes of samples `first` to `first + job.samples - 1`, as far as they are below `samples`.

    Args:
        key: JAX random key.
        population: how problems are made.
        options: of the strategies.
        numbers: of the problems.
        first: number of the first sample.
        samples: samples in all.
        budget: N, or a cost.
        job: the rest.

    Returns:
        Sums over samples. Draws are float32 whatever the problems are: an error of 1e-7 is none
        beside theirs.
    """
    made, drawn = jax.random.split(key)
    problems = problems_at(made, population, numbers)
    options = replace(options, max_budget=job.most)
    spent = jnp.stack(
        [spend(s, problems, budget, options, by_cost=job.by_cost)[0] for s in job.strategies]
    )
    return _or_nan(_outcomes(drawn, problems, numbers, spent, first, samples, job), spent)


def _or_nan(found: Outcomes, spent: Array) -> Outcomes:
    """Nothing is known of a problem that a strategy made no allocation of."""
    none = (spent < 0).any(-1)
    return Outcomes(*(jnp.where(none, jnp.nan, x) for x in found))


def _outcomes(
    drawn: Array,
    problems: Problems,
    numbers: Array,
    spent: Array,
    first: Array,
    samples: Array,
    job: Job,
) -> Outcomes:
    if job.level == "closed":
        return _closed(problems, spent, job)
    sample = jnp.arange(job.samples, dtype=jnp.uint32) + first
    counts = sample < samples
    if job.level == "conditional" and problems.within_concentration is None:
        totals = jnp.moveaxis(_totals(problems, spent), -1, 0)
        return expected_outcomes(*_directions(drawn, problems, numbers), totals, sample, counts)
    units = _units(drawn, problems, numbers, spent, sample)
    if job.level == "conditional":
        return outcomes_of_logits(*units, counts)
    return _rollouts(stream(drawn, numbers, _ROLLOUTS), units, sample, counts)


def _closed(problems: Problems, spent: Array, job: Job) -> Outcomes:
    """The objective, for each of the strategies."""
    quality, kappa, nu = problems.quality, problems.concentration, problems.within_concentration
    totals = _totals(problems, spent)
    if nu is None:
        failure = log_failure(quality, kappa, totals)
    else:
        failure = hierarchical_log_failure(
            quality,
            problems.directions,
            kappa,
            nu,
            spent,
            points=job.most,
            mask=problems.mask,
        )
    return Outcomes(0.0 - jnp.expm1(failure), (totals * quality).sum(-1))


def _totals(problems: Problems, spent: Array) -> Array:
    g = problems.quality.shape[-1]
    return segment_sum(jnp.where(problems.mask, spent, 0), problems.directions, g)


def _directions(key: Array, problems: Problems, numbers: Array) -> tuple[Stream, Array, Array]:
    """Keys of the problems, and a and b of their directions, `(g, n)`."""
    quality = problems.quality.astype(jnp.float32).T
    kappa = problems.concentration.astype(jnp.float32)
    return _each(stream(key, numbers, _DIRECTIONS)), kappa * quality, kappa * (1 - quality)


def _units(key: Array, problems: Problems, numbers: Array, spent: Array, sample: Array) -> _Units:
    keys, alpha, beta = _directions(key, problems, numbers)
    directions = lane_logits(keys, sample, alpha[..., None], beta[..., None])
    if problems.within_concentration is None:
        return _Units(directions, jnp.moveaxis(_totals(problems, spent), -1, 0))

    nu = problems.within_concentration.astype(jnp.float32)[:, None]
    keys = _each(stream(key, numbers, _CANDIDATES))
    row = jnp.arange(numbers.size)

    def candidate(these: tuple[Array, Array]) -> Array:
        lane, label = these
        m = directions[label, row]
        setup = setup_beta(nu * jnp.exp(log_sigmoid(m)), nu * jnp.exp(log_sigmoid(-m)))
        return beta_logits(keys, lane, sample, setup)

    k = problems.directions.shape[-1]
    logits = jax.lax.map(candidate, (jnp.arange(k), problems.directions.T))
    return _Units(logits, jnp.moveaxis(spent, -1, 0))


def _each(keys: Stream) -> Stream:
    """Keys of shape `(n, 1)`, which broadcast against samples."""
    return Stream(keys.first[:, None], keys.second[:, None])


def _start(units: _Units) -> Array:
    return jnp.zeros((*units.counts.shape[1:], units.logits.shape[-1]), jnp.float32)


def _rollouts(
    keys: Stream, units: _Units, sample: Array, counts: Bool[Array, " samples"]
) -> Outcomes:
    """How many samples that count have a correct rollout, and how many rollouts are correct."""

    def add(correct: Array, these: tuple[Array, Array, Array]) -> tuple[Array, None]:
        lane, logits, spent = these
        p, q = jnp.exp(log_sigmoid(logits)), jnp.exp(log_sigmoid(-logits))
        own = _each(substream(keys, lane))

        def throw_four(four: Array, correct: Array) -> Array:
            for i, word in enumerate(words(own, four, sample)):
                # Compared on the side where p, or 1 - p, is small.
                hit = jnp.where(p < 0.5, unit(word, p.dtype) < p, unit(~word, p.dtype) > q)
                mine = 4 * four + i < spent[..., None]
                correct = correct + (mine & hit)
            return correct

        return jax.lax.fori_loop(0, (spent.max() + 3) // 4, throw_four, correct), None

    lanes = jnp.arange(units.logits.shape[0], dtype=jnp.uint32)
    correct, _ = jax.lax.scan(add, _start(units), (lanes, *units))
    correct = jnp.where(counts, correct, 0)
    return Outcomes((correct > 0).sum(-1, dtype=jnp.float32), correct.sum(-1))
