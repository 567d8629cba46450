"""Strategies on synthetic problems against the same rules on one problem at a time."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.model.directions import direction_totals
from dora_theory.simulation.arguments import CONTENDERS
from dora_theory.simulation.populations import Population, draw_problems
from dora_theory.strategies.allocate import spend
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import ORACLE
from dora_theory.strategies.registry import STRATEGIES as REGISTRY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float64")]

BUDGET = 13
GIVEN = Options(quality_temperature=0.2, similarity_temperature=0.05, beam_width=3, pool="mean")
POPULATION = Population(
    num_candidates=9, num_directions=4, min_candidates=5, sizes="crp", noise=0.05, concentration=0.8
)
# Populations, and the strategies that they make a difference to.
KINDS = {
    "shared": (POPULATION, tuple(CONTENDERS)),
    "correlated": (POPULATION.with_changes(within_concentration=1.5), ("correlated", ORACLE)),
    "embedded": (POPULATION.with_changes(dimension=8), ("dora", "magnitude", "shared-divisors")),
}


@partial(jax.jit, static_argnames="strategies")
def spent_by(strategies, problems, options):
    options = replace(options, max_budget=16)
    return {s: spend(REGISTRY[s], problems, jnp.int32(BUDGET), options)[0] for s in strategies}


def alone(strategy, scores, labels, similar, true_quality, nu):
    """The rule on one problem without padding, through the public functions."""
    t, k, g = GIVEN.quality_temperature, len(scores), true_quality.size
    kappa = 0.8
    pooled = dt.direction_weights(scores, labels, g, pool="mean", quality_temperature=t)
    weights = dt.quality_weights(scores, quality_temperature=t)

    def by_direction(quality):
        if nu is None:
            return dt.direction_allocation(quality, labels, kappa, BUDGET)
        return dt.correlated_allocation(quality, labels, kappa, nu, BUDGET)

    def unlike(share):
        w = np.asarray(weights) * np.asarray(share)
        return dt.apportion(w / w.sum(), BUDGET)

    def correlated(rule, **more):
        cosines = dt.cosine_similarity(similar) if embedded else similar
        c = dt.copula_correlation(cosines, similarity_temperature=0.05).correlation
        return getattr(dt, rule)(weights, c, kappa, BUDGET, **more)

    embedded = similar.shape != (k, k)
    gamma = dt.uniqueness if embedded else dt.uniqueness_from_similarity
    magnitude = dt.magnitude_weighting if embedded else dt.magnitude_weighting_from_similarity
    return {
        "temperature": lambda: dt.temperature_allocation(scores, BUDGET),
        "beam": lambda: dt.beam_allocation(scores, BUDGET, beam_width=3),
        "dvts": lambda: dt.dvts_allocation(scores, BUDGET, beam_width=3),
        "rebase": lambda: dt.rebase_allocation(scores, BUDGET, quality_temperature=t),
        "rebase-sequential": lambda: dt.rebase_sequential_allocation(
            scores, BUDGET, quality_temperature=t
        ),
        "dora": lambda: unlike(gamma(similar, similarity_temperature=0.05)),
        "magnitude": lambda: unlike(magnitude(similar, similarity_temperature=0.05)),
        "optimal": lambda: dt.optimal_allocation(weights, kappa, BUDGET),
        "shared-divisors": lambda: correlated("shared_divisor_allocation"),
        "moment-divisors": lambda: correlated("copula_moment_allocation"),
        "pair-divisors": lambda: correlated("pair_divisor_allocation"),
        "root-weights": lambda: correlated("root_weight_allocation"),
        "determinantal": lambda: correlated("determinantal_allocation"),
        "direction-optimal": lambda: dt.direction_allocation(pooled, labels, kappa, BUDGET),
        "correlated": lambda: by_direction(pooled),
        ORACLE: lambda: by_direction(true_quality),
    }[strategy]()


@pytest.mark.parametrize("kind", KINDS)
def test_each_spends_as_its_rule_does_on_the_problem_without_padding(kind):
    made, strategies = KINDS[kind]
    problems = draw_problems(jax.random.key(3), made, 3)
    for strategy, spent in spent_by(strategies, problems, GIVEN).items():
        spent = np.asarray(spent)
        assert np.all(spent.sum(-1) == BUDGET)
        for i, mask in enumerate(np.asarray(problems.mask)):
            given = problems.embeddings if made.dimension else problems.similarity
            similar = np.asarray(given)[i][mask]
            similar = similar if made.dimension else similar[:, mask]
            expected = alone(
                strategy,
                np.asarray(problems.scores)[i, mask],
                np.asarray(problems.directions)[i, mask],
                similar,
                np.asarray(problems.quality)[i],
                made.within_concentration,
            )
            np.testing.assert_array_equal(spent[i, mask], expected, err_msg=strategy)
            assert np.all(spent[i, ~mask] == 0)


@pytest.mark.parametrize("nu", [None, 0.6])
def test_nobody_does_better_than_the_one_who_knows(nu):
    made = POPULATION.with_changes(within_concentration=nu, noise=0.1)
    problems = draw_problems(jax.random.key(4), made, 300)

    given = spent_by(tuple(CONTENDERS), problems, Options())

    def success(spent):
        q, kappa = problems.quality, problems.concentration
        if nu is None:
            totals = direction_totals(spent, problems.directions, 4, mask=problems.mask)
            return np.asarray(dt.success_probability(q, kappa, totals))
        failure = dt.hierarchical_log_failure(
            q, problems.directions, kappa, nu, spent, points=16, mask=problems.mask
        )
        return -np.expm1(np.asarray(failure))

    best = success(given[ORACLE])
    for strategy, spent in given.items():
        found = success(spent)
        assert np.all(found <= best + 1e-14), strategy
        assert strategy in (ORACLE, "correlated") or found.mean() < best.mean() - 1e-4
