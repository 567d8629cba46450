"""Algorithm 1 against searches worked by hand, and what holds for every search."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dora_theory as dt
from dora_theory.search.engine import Candidates, View, search
from dora_theory.search.measures import measure
from dora_theory.search.rules import SEARCHED, as_rule
from dora_theory.search.tree import Tree

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float64")]


class Codes(NamedTuple):
    code: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scripted:
    """A world that follows a script. A beam in slot i writes the digit i + 1 at each step.

    `weight` of a code is e^(score / 0.1): with T_b = 0.1 qualities are in proportion to it.
    """

    weight: jax.Array
    direction: jax.Array
    done: jax.Array
    answer: jax.Array
    steps = 3
    answers = 3

    def start(self, key, problem, slots):
        return Codes(jnp.zeros(slots, jnp.int32))

    def extend(self, key, problem, state, step):
        return Codes(10 * state.code + 1 + jnp.arange(state.code.size, dtype=jnp.int32))

    def look(self, problem, state):
        c = state.code
        return View(
            finished=self.done[c] | (c > 99),
            scores=0.1 * jnp.log(self.weight[c]),
            embeddings=jax.nn.one_hot(self.direction[c], 5),
            directions=self.direction[c],
            answers=self.answer[c],
            correct=self.answer[c] == 1,
            success=(self.answer[c] == 1).astype(float),
        )


def script(weights, *, directions=None, done=(), answers=None):
    def table(values, default, kind):
        filled = np.full(1000, default, kind)
        for code, value in values.items():
            filled[code] = value
        return jnp.asarray(filled)

    return Scripted(
        table(weights, 1.0, float),
        table(directions or {}, 0, np.int32),
        table(dict.fromkeys(done, True), False, bool),
        table(answers or {}, 0, np.int32),
    )


# Step 1 writes 1, 2, 3, 4 with qualities 4/8, 2/8, 1/8, 1/8.
# N = 4 seats by Webster, priorities w/(1/2 + r) in eighths: 8, 8/3, ... | 4, 4/3 | 2 | 2.
# The four largest are 8, 4, 8/3 and the first of the two 2s: allocation 2, 1, 1, 0.
# Step 2 extends 1, 1, 2, 3: codes 11, 12, 23, 34, of which 23 is finished.
# Three rollouts are left for 11, 12, 34 of qualities 2/4, 1/4, 1/4: priorities in quarters
# 4, 4/3 | 2 | 2: the three largest give 1, 1, -, 1.
# Step 3 extends 11, 12, 34: codes 111, 122, 343, all finished.
WEIGHTS = {1: 4, 2: 2, 3: 1, 4: 1, 11: 2, 12: 1, 23: 5, 34: 1}
HAND = partial(script, WEIGHTS, done=[23])


def steps(trace):
    return [row[use].tolist() for row, use in zip(trace.parents, trace.active[1:], strict=False)]


@partial(jax.jit, static_argnames=("rule", "width", "padding"))
def traced_script(world, rule, **options):
    return search(jax.random.key(0), world, None, rule, 4, **options)


def run(world, rule, **options):
    return jax.tree.map(np.asarray, traced_script(world, rule, **options))


def test_a_search_of_three_steps_worked_by_hand():
    trace = run(HAND(), as_rule("rebase"))
    assert trace.width.tolist() == [4, 3, 0]
    assert trace.allocation.tolist() == [[2, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]]
    assert steps(trace) == [[0, 0, 1, 2], [0, 1, 3]]
    assert trace.active.tolist() == [[True] * 4, [True] * 4, [True, True, True, False]]
    assert trace.finished.tolist() == [
        [False] * 4,
        [False, False, True, False],
        [True, True, True, False],
    ]


def test_the_same_search_with_n_at_every_step():
    # Step 2 has four rollouts for 11, 12, 34: 4/3 is the fourth priority, so 2, 1, -, 1.
    trace = run(HAND(), as_rule("rebase"), width="full")
    assert trace.width.tolist() == [4, 4, 0]
    assert trace.allocation.tolist() == [[2, 1, 1, 0], [2, 1, 0, 1], [0, 0, 0, 0]]
    assert steps(trace) == [[0, 0, 1, 2], [0, 0, 1, 3]]


def test_the_same_search_by_the_letter_and_with_the_authors_padding():
    # round(4w) = 2, 1, round(1/2) = 0, 0: three of four rollouts. Codes 11, 12, 23, then nothing.
    # Step 2: 23 is finished; round(3w) for 11, 12 of 2/3, 1/3: 2, 1. Codes 111, 112, 123.
    literal = as_rule("rebase", literal=True)
    trace = run(HAND(), literal)
    assert trace.allocation.tolist() == [[2, 1, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]]
    assert steps(trace) == [[0, 0, 1], [0, 0, 1]]
    # Padded: beams 1, 1, 2 and again 1, codes 11, 12, 23, 14; 14 has the weight 1.
    # Step 2: round(4w) for 11, 12, 14 of 2/4, 1/4, 1/4: 2, 1, 1.
    trace = run(HAND(), literal, width="full", padding=True)
    assert trace.allocation.tolist() == [[2, 1, 0, 0], [2, 1, 0, 1], [0, 0, 0, 0]]
    assert steps(trace) == [[0, 0, 1, 0], [0, 0, 1, 3]]


def test_the_same_search_on_a_budget_of_steps():
    # Step 1 leaves 5 of 9 steps, which pay for two rollouts of 2: the priorities 8 and 4. Codes 11,
    # 22 of weights 2, 1 leave 3, which pay for three of 1: priorities 4, 2, 4/3 in thirds.
    trace = run(HAND(), as_rule("rebase"), cost=9)
    assert trace.allocation.tolist() == [[1, 1, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]]
    assert trace.active.sum(-1).tolist() == [4, 2, 3]
    # Enough for all is no limit.
    plain, enough = run(HAND(), as_rule("rebase")), run(HAND(), as_rule("rebase"), cost=1000)
    np.testing.assert_array_equal(plain.allocation, enough.allocation)
    # Three steps are three beams of one step.
    trace = run(HAND(), as_rule("rebase"), cost=3)
    assert trace.active.tolist() == [[True] * 3 + [False], [False] * 4, [False] * 4]
    assert not trace.allocation.any()


def test_no_search_takes_more_steps_than_it_is_given():
    tree = Tree(steps=4, first=2)
    assert float(tree._left()[0]) == pytest.approx(float(tree.mean_steps()))

    def means(cost):
        rows = dt.search(tree, ["rebase"], 8, num_problems=16, budget_cost=cost).rows()
        return {r["metric"]: r["mean"] for r in rows}

    plain, few = means(1e6), means(14.0)
    assert 8 < few["steps"] <= 14 < plain["steps"]
    assert 0 < few["finished"] < plain["finished"] == 8
    with pytest.raises(ValueError, match="budget_cost = -1"):
        means(-1.0)


def test_dora_on_the_same_tree():
    # 1 and 2 are one direction: γ = 1/2, 1/2, 1, 1; wγ ∝ 2, 1, 1, 1, priorities 4, 4/3 | 2 | 2 | 2:
    # one each. Step 2 extends all: codes 11, 22, 33, 44 of weight 1 but 11 of 2, all of direction
    # 0: again 2/5 and three times 1/5.
    trace = run(HAND(directions={3: 1, 4: 2}), as_rule("dora"))
    assert trace.allocation.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert steps(trace) == [[0, 1, 2, 3], [0, 1, 2, 3]]


def test_beam_and_temperature_on_the_same_tree():
    # All four to the best, 1. Codes 11, 12, 13, 14 of weights 2, 1, 1, 1: all four to 11.
    trace = run(HAND(), as_rule("beam"))
    assert trace.allocation.tolist() == [[4, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 0]]
    # One each; 22 is no 23, so nothing is finished early.
    trace = run(HAND(), as_rule("temperature"))
    assert trace.allocation.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]


def test_votes_of_the_search_worked_by_hand():
    # Solutions 23, 111, 122, 343 with answers 1, 2, 2, 0, scores 0.1 log of 5, 2, 2, 2 (and
    # weights of answers 0.161, 0.139, 0.069): by score 1 wins, which is right; by number 2.
    answers = {23: 1, 111: 2, 122: 2, 343: 0}
    world = script(WEIGHTS | {111: 2, 122: 2, 343: 2}, done=[23], answers=answers)
    m = measure(run(world, as_rule("rebase")), 3)
    assert (m.weighted, m.majority, m.best) == (1, 0, 1)
    assert (m.pass_rate, m.success, m.finished) == (0.25, 1, 4)
    # 4 + 4 + 3 steps; 4 prefixes of one step and 3 of two were read for an allocation.
    assert (m.steps, m.read) == (11, 10)
    # Beams of one direction; quality: the truth of 1, 1, 2, 3 and of 11, 12, 34, which is 0.
    assert (float(m.directions), m.quality) == (pytest.approx(1, abs=1e-15), 0)


def test_a_users_function_is_a_rule():
    def best_and_first(problems, budget, options):
        best = jnp.argmax(jnp.where(problems.mask, problems.scores, -jnp.inf), -1, keepdims=True)
        return jnp.where(jnp.arange(4) == best, budget[:, None], 0)

    trace = run(HAND(), as_rule(best_and_first))
    assert trace.allocation.tolist() == [[4, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"strategy rule: returned shape \(2,\)"):
        run(HAND(), as_rule(lambda *_: jnp.zeros(2, jnp.int32)))
    # A list of integers, or weights, will do.
    for own in ([[1, 1, 1, 1]], [[0.2, 0.2, 0.2, 0.2]]):
        rule = as_rule(lambda *_, own=own: own)
        assert run(HAND(), rule).allocation[0].tolist() == [1, 1, 1, 1]
    # What is no allocation is -1 throughout, and what it led to is not known.
    for own in ([[-2, 6, 0, 0]], [[1, 1, 1, 0]], [[np.nan, 1.0, 1.0, 1.0]], [[0.0] * 4]):
        trace = run(HAND(), as_rule(lambda *_, own=own: own))
        assert trace.allocation[0].tolist() == [-1] * 4
        assert np.isnan(measure(trace, 3).success)
    with pytest.raises(ValueError, match="is none of temperature, beam"):
        as_rule("luck")
    with pytest.raises(ValueError, match="concentration = -1"):
        as_rule("optimal", concentration=-1)
    with pytest.raises(ValueError, match="width = 'ful'"):
        run(HAND(), as_rule("rebase"), width="ful")


TREE = Tree(ability=0.5, steps=4, first=2, num_directions=3, answers=6, dimension=8)


@partial(jax.jit, static_argnames=("name", "literal", "width", "padding", "slots"))
def traced(seed, name, literal, width, padding, slots):
    key = jax.random.key(seed)
    problem = jax.tree.map(lambda x: x[1], TREE.problems(key, 3))
    rule = as_rule(name, literal=literal)
    return search(key, TREE, problem, rule, slots, width=width, padding=padding)


# What is compiled is what takes time here; the others are held to their budget further below.
@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("temperature", "remaining"),
        ("beam", "remaining"),
        ("dvts", "full"),
        ("rebase", "full"),
        ("dora", "remaining"),
    ],
)
def test_the_budget_is_spent_at_every_step_and_nothing_comes_from_a_dead_beam(name, width):
    @settings(max_examples=15)
    @given(st.integers(0, 2**31 - 1))
    def check(seed):
        trace = jax.tree.map(np.asarray, traced(seed, name, False, width, False, 7))
        np.testing.assert_array_equal(trace.allocation.sum(-1), trace.width)
        invariants(trace)
        done = trace.finished.sum()
        assert done == 7 if width == "remaining" else 7 <= done <= 13

    check()


def invariants(trace):
    open_ = trace.active & ~trace.finished
    assert np.all(trace.allocation >= 0)
    assert np.all(trace.allocation[~open_] == 0)
    for t, use in enumerate(trace.active[1:]):
        parents = trace.parents[t][use]
        assert np.all(open_[t][parents])
        assert np.all(trace.allocation[t][parents] > 0)
        # Copies inherit; a wrong path never comes right again, and its answer is settled.
        before, after = trace.view, trace.view
        wrong = ~before.correct[t][parents]
        assert not np.any(after.correct[t + 1][use][wrong])
        old, new = before.answers[t][parents][wrong], after.answers[t + 1][use][wrong]
        np.testing.assert_array_equal(old, new)
    done = np.cumsum(trace.finished.sum(-1))
    assert not np.any(trace.active[1:][done[:-1] >= trace.active.shape[1]])


@pytest.mark.parametrize("name", ["rebase", "beam"])
def test_the_letter_misses_the_budget_and_padding_mends_it(name):
    missed = 0
    for seed in range(25):
        trace = jax.tree.map(np.asarray, traced(seed, name, True, "full", False, 7))
        invariants(trace)
        missed += np.any(trace.allocation.sum(-1) != trace.width)
        trace = jax.tree.map(np.asarray, traced(seed, name, True, "full", True, 7))
        invariants(trace)
        went_on = trace.width > 0
        np.testing.assert_array_equal(trace.active[1:].sum(-1), 7 * went_on[:-1])
    assert missed > 0


@pytest.mark.parametrize("name", SEARCHED)
def test_the_order_of_candidates_does_not_matter(name):
    rule = as_rule(name)
    problem = jax.tree.map(lambda x: x[0], TREE.problems(jax.random.key(1), 2))

    def candidates(key):
        state = TREE.start(key, problem, 9)
        for t in range(2):
            state = TREE.extend(jax.random.fold_in(key, t), problem, state, t)
        view = TREE.look(problem, state)
        return Candidates(view.scores, view.embeddings, view.directions, ~view.finished)

    make, spend = jax.jit(candidates), jax.jit(rule)
    for seed in range(10):
        seen = make(jax.random.key(seed))
        order = np.random.default_rng(seed).permutation(9)
        straight = np.asarray(spend(seen, jnp.int32(11)))
        shuffled = np.asarray(spend(jax.tree.map(lambda x, o=order: x[o], seen), jnp.int32(11)))
        assert straight.sum() == shuffled.sum() == (11 if seen.mask.any() else 0)
        if name == "dvts":
            continue  # its groups go by position by definition
        # Who has one more of what is shared evenly is a tie.
        ties = name in ("temperature", "direction-optimal", "correlated")
        kind = sorted if ties else list
        assert kind(straight[order]) == kind(shuffled)
