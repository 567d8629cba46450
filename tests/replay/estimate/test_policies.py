"""Policies spend the budget, ignore padding and outcomes, and are what the package allocates."""

import numpy as np
import pytest

from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.rules import dora_allocation, rebase_allocation
from dora_theory.model.quality import quality_weights
from dora_theory.replay.cut.candidates import candidates
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.estimate import policies
from dora_theory.replay.estimate.policies import pad
from dora_theory.replay.options import REPLAYED, ReplayOptions
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.strategies.registry import STRATEGIES

pytestmark = pytest.mark.slow

OPTIONS = ReplayOptions(budgets=(1, 7, 32))


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    records = []
    for samples in (3, 9):
        path = str(folder / f"{samples}.jsonl")
        write_synthetic_log(path, problems=4, samples=samples, seed=samples)
        records += read_log(path)
    encoder = make_encoder()
    return [candidates(record, encoder) for record in records]


def allocate(name, batch, options):
    return policies.allocate(STRATEGIES[name], batch, options)


@pytest.mark.parametrize("strategy", REPLAYED)
def test_budget_and_padding(float64, problems, strategy):
    batch = pad(problems)
    given = np.asarray(allocate(strategy, batch, OPTIONS))
    assert given.shape == (3, 8, 9)
    np.testing.assert_array_equal(given.sum(-1), np.array([[1], [7], [32]]) * np.ones((1, 8)))
    assert (given[:, ~batch.mask] == 0).all()
    if strategy in ("dvts", "dora", "direction-optimal"):
        # Alone, without padding, a problem receives the same.
        alone = np.asarray(allocate(strategy, pad(problems[1:2]), OPTIONS))
        np.testing.assert_array_equal(given[:, 1, : alone.shape[-1]], alone[:, 0])
    blind = allocate(strategy, batch._replace(correct=~batch.correct), OPTIONS)
    np.testing.assert_array_equal(given, blind)


def test_against_the_rules(float64, problems):
    batch = pad(problems)
    scores, mask = batch.scores[None], batch.mask
    w, budgets = quality_weights(scores, mask=mask), np.array([[1], [7], [32]])
    for strategy, expected in (
        ("rebase", rebase_allocation(scores, budgets, mask=mask)),
        ("dora", dora_allocation(scores, batch.embeddings[None], budgets, mask=mask)),
        ("optimal", optimal_allocation(w, 0.5, budgets, mask=mask)),
    ):
        np.testing.assert_array_equal(allocate(strategy, batch, OPTIONS), expected)
    other = ReplayOptions(budgets=(1, 7, 32), concentration=200.0, quality_temperature=0.5)
    w = quality_weights(scores, quality_temperature=0.5, mask=mask)
    expected = optimal_allocation(w, 200.0, budgets, mask=mask)
    np.testing.assert_array_equal(allocate("optimal", batch, other), expected)
