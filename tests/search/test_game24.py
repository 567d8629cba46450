"""The Game of 24: counted against play written out, and the engine against exact sums."""

import os
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from itertools import islice, permutations
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.read.record import Node, Record
from dora_theory.search.game24 import Nodes, game24
from dora_theory.search.measures import run_searches
from dora_theory.search.puzzles import all_puzzles, moves, policy, solvable, state, success
from dora_theory.search.rules import as_rule
from paper_repro.one_round import OneRound, one_round_success
from paper_repro.proposals import Proposals, logged_game

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float64")]

# Three first moves of one state are alike in it, and it can be won by 5 (5 - 1/5) and no sum.
PUZZLES = [state(1, 5, 5, 5), state(4, 5, 6, 10), state(3, 3, 8, 8), state(1, 1, 1, 1)]


def played(numbers):
    """Chance to win by ordered pairs and four signs, without a table or a multiset."""
    if len(numbers) == 1:
        return Fraction(numbers[0] == 24)
    chances = []
    for i, j in permutations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        rest = [x for at, x in enumerate(numbers) if at not in (i, j)]
        # Sum and product come up twice, as a, b and b, a: half the weight each.
        chances += [(Fraction(1, 2), played([*rest, x])) for x in (a + b, a * b)]
        chances += [(Fraction(1), played([*rest, a - b]))]
        chances += [(Fraction(1), played([*rest, a / b]))] if b else []
    total = sum(w for w, _ in chances)
    return sum(w * p for w, p in chances) / total


@pytest.mark.parametrize("puzzle", PUZZLES)
def test_success_is_that_of_all_games_played_out(puzzle):
    known = {}
    assert success(puzzle, known) == played(list(puzzle))
    assert solvable(puzzle) == (known[puzzle] > 0)
    for left, value in known.items():
        if len(left) > 1:
            assert value == sum(p * known[after] for after, p in policy(left).items())


def test_how_many_puzzles_there_are_and_can_be_solved():
    every = list(all_puzzles())
    assert len(every) == 1820
    # 1,362 of the 1,820 are known to have a solution; every 70th is looked at here.
    some = every[::70]
    worth = {s: success(s, {}) for s in some}
    assert [solvable(s) for s in some] == [worth[s] > 0 for s in some]
    assert 0 < sum(map(solvable, some)) < len(some)


def test_moves_that_lead_to_the_same_numbers_are_one():
    # 5 - 5 = 0 from three pairs, two ways each; with a zero there are two pairs with no quotient.
    left = state(1, 5, 5, 5)
    assert moves(left)[state(0, 1, 5)] == 6
    assert sum(moves(left).values()) == 36
    assert sum(moves(state(0, 1, 5)).values()) == 16
    assert sum(policy(left).values()) == 1


def test_a_player_with_a_taste():
    left = state(4, 6)
    likes = Proposals({left: frozenset([state(24)])}, preference=5)
    chances = policy(left, likes)
    # Six moves, one of them liked five times as much as each of the others.
    assert chances[state(24)] == Fraction(5, 10)
    assert chances[state(10)] == Fraction(1, 10)
    assert success(left, {}, likes) == Fraction(1, 2)
    assert policy(left, lambda *_: 0) == policy(left)


@jax.jit
def step(world, key, state_):
    after = world.extend(key, jnp.int32(0), state_, jnp.int32(0))
    return after, world.look(jnp.int32(0), after)


@pytest.fixture(scope="module")
def made():
    with jax.enable_x64(True):
        return game24(PUZZLES)


def test_the_same_numbers_left_are_one_direction(made):
    world, starts, number = made
    key = jax.random.key(0)
    _, view = step(world, key, world.start(key, jnp.int32(starts[0]), 300))
    label = np.asarray(view.directions)
    assert 1 < len(set(label.tolist())) <= len(moves(PUZZLES[0]))
    e = np.asarray(view.embeddings)
    cosine = e @ e.T / 64
    same = label[:, None] == label
    assert np.all(cosine[same] == 1)
    assert np.all(cosine[~same] < 0.6)
    # Free of noise the score is the truth, moved by the bias.
    exact = {number[s]: success(s, {}) for s in moves(PUZZLES[0])}
    value = np.array([float(exact[n]) for n in label.tolist()])
    np.testing.assert_allclose(view.success, value, rtol=1e-14)
    odds = np.maximum(value, 1e-3) / (1 - np.maximum(value, 1e-3)) * np.exp(3.0)
    np.testing.assert_allclose(view.scores, odds / (1 + odds), rtol=1e-12)
    # Moves are drawn as often as they should be.
    often = np.mean(label == number[state(0, 1, 5)])
    assert often == pytest.approx(6 / 36, abs=4 * np.sqrt(5 / 36 / 300))


def test_copies_share_as_much_of_the_noise_as_is_said(made):
    world, starts, _ = made
    world = world.with_score(noise=1.0, shared=0.6)
    key = jax.random.key(1)
    begun = world.start(key, jnp.int32(starts[0]), 20_000)
    errors = [step(world, jax.random.fold_in(key, t), begun)[0] for t in range(40)]
    error = np.stack([np.asarray(x.error) for x in errors])
    one = np.stack([np.asarray(x.node) for x in errors]) == errors[0].node[0]
    means = np.array([e[use].mean() for e, use in zip(error, one, strict=True)])
    within = np.mean([e[use].var() for e, use in zip(error, one, strict=True)])
    assert within == pytest.approx(0.4, abs=0.01)
    assert means.var() == pytest.approx(0.6, abs=4 * 0.6 * np.sqrt(2 / 40))


EXACT = cache(partial(one_round_success, PUZZLES[1], slots=3))


@pytest.mark.parametrize("name", ["rebase", "direction-optimal"])
def test_one_round_of_allocation_exactly_and_by_the_engine(made, name):
    world, starts, number = made
    rule = as_rule(name)
    above = min(i for s, i in number.items() if len(s) == 2)
    m = run_searches(
        jax.random.key(3),
        world,
        jnp.asarray(starts[1:2]),
        rule=OneRound(rule, above),
        slots=3,
        repetitions=8000,
        block=1000,
    )
    exact = float(EXACT(rule))
    deviation = np.sqrt(exact * (1 - exact) / 8000)
    assert abs(float(m.success.mean()) - exact) < 4 * deviation


def test_one_rollout_each_is_success_of_independent_players():
    v = success(PUZZLES[1], {})
    assert EXACT(as_rule("temperature")) == 1 - (1 - v) ** 3


def test_who_reads_the_truth_gains_and_most_by_trusting_it():
    beam, rebase, known, free = (
        EXACT(as_rule(name)) for name in ("beam", "rebase", "direction-optimal", "temperature")
    )
    # With no noise and one round, all to the best is right; 1/2 for κ is too cautious.
    assert beam > rebase > 2 * free
    # Counting copies spends more on what is many; here that is worth next to nothing either way.
    assert abs(known / rebase - 1) < 0.001


def test_too_many_first_moves_are_refused():
    with pytest.raises(ValueError, match="too many combinations"):
        one_round_success(PUZZLES[1], as_rule("rebase"), 9)
    with pytest.raises(ValueError, match="four numbers"):
        game24([state(1, 2)])
    with pytest.raises(ValueError, match=r"four numbers each, got 24"):
        game24([24])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        game24(PUZZLES[:1], logged={state(1): 2.0})


def test_a_puzzle_may_be_a_list_in_any_order():
    world, roots, number = game24([[6, 4, 10, 5]])
    assert roots.tolist() == [number[state(4, 5, 6, 10)]]
    assert world.value[roots[0]] == game24([(4, 5, 6, 10)])[0].value[roots[0]]


def test_a_bad_score_is_refused(made):
    for change in ({"noise": -1.0}, {"shared": 1.5}, {"floor": 0.0}):
        with pytest.raises(ValueError, match="needs"):
            made[0].with_score(**change)


NODES = (
    Node(0, -1, "6 - 4 = 2", 3.0, state=("2", "5", "10")),
    Node(0, -1, "10 / 4 = 2.5", 60.0, state=("5/2", "5", "6")),
    Node(0, -1, "10 / 6 = 1.67", 0.0, state=("167/100", "4", "5")),
    Node(1, 0, "2 * 5 = 10", 20.0, state=("10", "10")),
    Node(1, 2, "5 - 4 = 1", 20.0, state=("1", "167/100")),
    Node(0, -1, "?", 0.0),
    Node(0, -1, "6 - 4 = 2 again", 9.0, state=("2", "5", "10")),
)
RECORD = Record("log:1", "p", "Make 24. Input: 4 5 6 10", "24", (), kind="tree", nodes=NODES)


def test_a_tree_log_by_hand():
    game = logged_game([RECORD], score_scale=60)
    start, two = state(4, 5, 6, 10), state(2, 5, 10)
    assert game.puzzles == (start,)
    assert game.proposals.proposed == {
        start: {two, state("5/2", 5, 6)},
        two: {state(10, 10)},
        # What follows a rounded number is legal by itself, and reached by nobody.
        state("167/100", 4, 5): {state(1, "167/100")},
    }
    assert game.scores[two] == pytest.approx(0.1)
    assert (game.nodes, game.illegal) == (7, 2)
    world, _, number = game24(game.puzzles, game.proposals, game.scores)
    nodes = jnp.asarray([number[two], number[state(4, 5, 16)]])
    scores = world.look(jnp.int32(0), Nodes(nodes, jnp.zeros(2))).scores
    assert scores[0] == pytest.approx(0.1)
    assert scores[1] != -1


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (replace(RECORD, kind="independent"), "needs a tree search"),
        (replace(RECORD, problem="Make 24: 1 2"), "four numbers"),
        (replace(RECORD, nodes=(replace(NODES[0], value=61.0),)), "not a number in"),
    ],
)
def test_a_bad_tree_log_is_one_line(record, message):
    with pytest.raises(InputError, match=f"log:1: .*{message}"):
        logged_game([record], score_scale=60)


def test_the_real_tree_log():
    path = Path(os.environ.get("DORA_THEORY_LOGS", "-"), "game24_gpt4_tot_bfs_tree.jsonl.gz")
    if not path.exists():
        pytest.skip("DORA_THEORY_LOGS names no folder with this log")
    game = logged_game(islice(read_log(str(path)), 6), score_scale=60)
    assert all(solvable(s) for s in game.puzzles)
    assert game.illegal < 0.5 * game.nodes
    # GPT-4 proposes better moves than chance does.
    free = np.mean([float(success(s, {})) for s in game.puzzles])
    liked = np.mean([float(success(s, {}, game.proposals)) for s in game.puzzles])
    assert liked > 1.2 * free
