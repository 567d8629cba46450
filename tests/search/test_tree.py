"""The synthetic tree: its exact values against walks, its embeddings against their cosines."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory.search.measures import run_searches
from dora_theory.search.rules import as_rule
from dora_theory.search.tree import Tree

pytestmark = pytest.mark.slow

WORLD = Tree(ability=0.3, spread=1.0, num_directions=3, steps=5, first=3, switch=0.3, answers=6)


def test_independent_walks_end_right_as_often_as_the_values_say():
    key = jax.random.key(0)
    problems = WORLD.problems(key, 6)
    m = run_searches(key, WORLD, problems, rule=as_rule("temperature"), slots=512, repetitions=8)
    walks = 8 * 512
    value = np.asarray(problems.values[:, 0, 0])
    deviation = np.sqrt(value * (1 - value) / walks)
    assert np.all(np.abs(np.asarray(m.pass_rate).mean(1) - value) < 4 * deviation)
    # Every beam runs to its end: the number of steps is that of free paths.
    mean = float(m.steps.mean()) / 512
    assert mean == pytest.approx(float(WORLD.mean_steps()), abs=0.02)
    assert np.all(np.asarray(m.finished) == 512)


def test_values_against_enumeration_of_all_paths():
    """Two steps at most, two directions: all paths written out."""
    world = WORLD.with_changes(num_directions=2, steps=2, first=1, finish=0.4, switch=0.25)
    problem = jax.tree.map(lambda x: np.asarray(x[0], float), world.problems(jax.random.key(1), 1))
    s, p = problem.survival, problem.popularity
    go = 0.75 * np.eye(2) + 0.25 * p
    second = go @ s
    np.testing.assert_allclose(problem.values[1], second, rtol=1e-6)
    np.testing.assert_allclose(problem.values[0], p @ (s * (0.4 + 0.6 * second)), rtol=1e-6)
    assert np.all(problem.values[2] == 1)


@partial(jax.jit, static_argnames="steps")
def walk(world, key, steps):
    problem = jax.tree.map(lambda x: x[0], world.problems(key, 1))
    state = world.start(key, problem, 400)
    for t in range(steps):
        state = world.extend(jax.random.fold_in(key, t), problem, state, t)
    return state, world.look(problem, state)


def test_embeddings_have_the_stated_cosines():
    world = WORLD.with_changes(similarity_within=0.9, similarity_between=0.6)
    state, view = walk(world, jax.random.key(2), 3)
    e = np.asarray(view.embeddings)
    e = e / np.linalg.norm(e, axis=-1, keepdims=True)
    cosine, label = e @ e.T, np.asarray(state.direction)
    same = (label[:, None] == label) & ~np.eye(400, dtype=bool)
    assert cosine[same].mean() == pytest.approx(0.9, abs=0.003)
    assert cosine[label[:, None] != label].mean() == pytest.approx(0.6, abs=0.003)


def test_copies_differ_by_their_last_step_alone():
    world = WORLD.with_changes(similarity_within=0.5, similarity_between=0.5, switch=0.0)
    key = jax.random.key(3)
    problem = jax.tree.map(lambda x: x[0], world.problems(key, 1))
    state = world.start(key, problem, 200)
    for t in range(4):
        state = world.extend(jax.random.fold_in(key, t), problem, state, t)
        if t == 2:
            state = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), state)
    e = np.asarray(world.look(problem, state).embeddings)
    e = e / np.linalg.norm(e, axis=-1, keepdims=True)
    off = (e @ e.T)[~np.eye(200, dtype=bool)]
    # Three of four steps in common: 1/2 + 1/2 · 3/4, where the shared text has its mean length.
    assert off.mean() == pytest.approx(0.875, abs=0.03)


def test_a_noiseless_prm_reads_the_truth():
    world = WORLD.with_changes(noise=0.0, direction_noise=0.0, floor=1e-4)
    _, view = walk(world, jax.random.key(4), 3)
    inside = (np.asarray(view.success) > 1e-4) & (np.asarray(view.success) < 1 - 1e-4)
    np.testing.assert_allclose(view.scores[inside], view.success[inside], rtol=1e-4)
    assert np.all(np.asarray(view.scores)[np.asarray(view.success) == 0] < 2e-4)


def test_a_prm_that_knows_nothing_finds_no_more_than_free_paths():
    key = jax.random.key(5)

    def found(slope):
        world = WORLD.with_changes(slope=slope, direction_noise=0.0)
        problems = world.problems(key, 64)
        rates = run_searches(
            key, world, problems, rule=as_rule("rebase"), slots=16, repetitions=8
        ).pass_rate
        return np.asarray(rates).mean()

    free = np.asarray(WORLD.problems(key, 64).values[:, 0, 0]).mean()
    # Survivors descend from few: the deviation is that of about 64 · 8 beams.
    assert found(0.0) == pytest.approx(free, abs=4 * 0.5 / np.sqrt(64 * 8))
    assert found(1.0) > free + 0.2


@pytest.mark.parametrize(
    "changes",
    [
        {"first": 6},
        {"answers": 4},
        {"dimension": 33},
        {"noise": -1.0},
        {"trap": 1.5},
        {"similarity_between": 0.96},
        {"floor": 0.0},
        {"ability": float("nan")},
    ],
)
def test_a_value_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=r"needs"):
        WORLD.with_changes(**changes)
