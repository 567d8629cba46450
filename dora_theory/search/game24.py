"""The Game of 24 as a world: real duplicates, and a truth that is counted, not assumed.

A beam is a sequence of moves, and all that matters of it is which numbers are left: beams with the
same numbers are one direction in the strict sense. The policy picks a legal operation at random, so
the success probability V of every state is a rational number (`puzzles`).

* The score is R = sigmoid(logit V' + bias + noise e), V' = max(V, floor). A PRM says whether a path
  can still be right, not how a random player would fare: with `bias` = 3 a state that one player in
  20 solves has the score 1/2. e is standard normal, and the part `shared` of its variance is the
  state's: whoever errs about a text errs about its copies as well.
* Where a log says what GPT-4 thought of a state, that can be the score instead (`proposals`).
* Embeddings are random signs of the state: cosine 1 for the same numbers left, about 0 for others,
  so γ is 1/k_j and Theorem 1's premise on similarity holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Int, UInt32

from dora_theory._checks import check_range, named
from dora_theory.search import puzzles
from dora_theory.search.engine import View


class Nodes(NamedTuple):
    """Partial solutions.

    Attributes:
        node: number of the state, shape `(slots,)`.
        error: e of the score, shape `(slots,)`.
    """

    node: Int[Array, " slots"]
    error: Float[Array, " slots"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Game24:
    """The states of some puzzles as tables; made by `game24`.

    Attributes:
        children: states after each move, the last one repeated, shape `(open, moves)`. States with
            one number left have none and come after all others.
        ladder: cumulative probabilities of these moves, ends with 1, shape `(open, moves)`.
        value: V, shape `(nodes,)`.
        answer: number of the final number, 0 for 24, shape `(nodes,)`; 0 for other states too.
        signs: random words of the state, shape `(nodes, 2)`.
        choices: an array whose length is the number of different final numbers.
        logged: score that is used as it is, shape `(nodes,)`; below 0 where there is none.
        noise: standard deviation of the score's logit.
        shared: part of its variance that copies share.
        bias: of the score's logit.
        floor: the least V that the score tells from none.
    """

    children: Int[Array, "open moves"]
    ladder: Float[Array, "open moves"]
    value: Float[Array, " nodes"]
    answer: Int[Array, " nodes"]
    signs: UInt32[Array, "nodes 2"]
    choices: Float[Array, " answers"]
    logged: Float[Array, " nodes"]
    noise: Any = 0.0
    shared: Any = 1.0
    bias: Any = 3.0
    floor: Any = 1e-3

    steps = 3

    @property
    def answers(self) -> int:
        """How many final numbers there are."""
        return self.choices.shape[0]

    def with_score(self, **changes: Any) -> "Game24":
        """The same states with another `noise`, `shared`, `bias` or `floor`, checked."""
        made = replace(self, **changes)
        check_range("noise", made.noise, 0)
        check_range("shared", made.shared, 0, 1)
        check_range("bias", made.bias)
        check_range("floor", made.floor, 0, 0.5, low_open=True)
        return made

    def start(self, key: Array, problem: Int[Array, ""], slots: int) -> Nodes:
        """All beams at the puzzle."""
        return Nodes(jnp.full(slots, problem, jnp.int32), jnp.zeros(slots))

    def extend(self, key: Array, problem: Int[Array, ""], state: Nodes, step: Array) -> Nodes:
        """One move each."""
        words = jax.random.bits(key, (2, state.node.size), "uint32")
        u = ((words >> 9) + 0.5) * 2.0**-23
        at = jnp.minimum(state.node, self.children.shape[0] - 1)
        last = self.children.shape[1] - 1
        move = jnp.minimum((u[0][:, None] >= self.ladder[at]).sum(-1), last)
        node = self.children[at, move]
        # A state is met at one step only, so the step's key and its number make its own error.
        of_state = jax.vmap(lambda s: jax.random.bits(jax.random.fold_in(key, s), (), "uint32"))
        common = ((of_state(node) >> 9) + 0.5) * 2.0**-23
        shared = jnp.asarray(self.shared, self.value.dtype)
        error = jnp.sqrt(shared) * ndtri(common) + jnp.sqrt(1 - shared) * ndtri(u[1])
        return Nodes(node.astype(jnp.int32), error.astype(state.error.dtype))

    def look(self, problem: Int[Array, ""], state: Nodes) -> View:
        """Scores, embeddings, and the truth."""
        value = self.value[state.node]
        read = jnp.clip(value, self.floor, 1 - jnp.asarray(self.floor))
        logit = jnp.log(read) - jnp.log1p(-read) + self.bias + self.noise * state.error
        logged = self.logged[state.node]
        bits = self.signs[state.node][..., None] >> jnp.arange(32, dtype=jnp.uint32)
        signs = 1 - 2 * (bits & 1).astype(value.dtype)
        done = state.node >= self.children.shape[0]
        return View(
            finished=done,
            scores=jnp.where(logged < 0, jax.nn.sigmoid(logit), logged),
            embeddings=signs.reshape(state.node.size, -1),
            directions=state.node,
            answers=self.answer[state.node],
            correct=done & (value == 1),
            success=value,
        )


def _puzzle(numbers: Sequence[int | Fraction]) -> puzzles.State:
    """Numbers as a state; `ValueError` unless there are four."""
    try:
        start: puzzles.State = puzzles.state(*numbers)
    except (OverflowError, TypeError, ValueError):
        start = ()
    if len(start) != 4:
        raise ValueError(f"puzzles: needs four numbers each, got {named(numbers)}")
    return start


def game24(
    starts: Sequence[Sequence[int | Fraction]],
    taste: puzzles.Taste | None = None,
    logged: Mapping[puzzles.State, float] | None = None,
) -> tuple[Game24, Int[np.ndarray, " puzzles"], dict[puzzles.State, int]]:
    """The world of some puzzles.

    Args:
        starts: puzzles of four numbers each, in any order.
        taste: how much the policy likes a move; None for any legal one alike.
        logged: scores in [0, 1] of some states, which take the place of the noisy reading.

    Returns:
        The world, the number of each puzzle's state, and the number of every state.

    Raises:
        ValueError: no puzzle, one that has not four numbers, or a logged score outside [0, 1].

    Examples:
        >>> world, roots, number = dt.game24([(1, 2, 3, 4)])
        >>> roots.shape
        (1,)
    """
    roots = [_puzzle(s) for s in starts]
    if not roots:
        raise ValueError("puzzles: needs at least one, of four numbers each")
    scores = dict(logged or {})
    if not all(0 <= x <= 1 for x in scores.values()):
        raise ValueError("logged: needs scores in [0, 1]")
    known: dict[puzzles.State, Any] = {}
    for s in roots:
        puzzles.success(s, known, taste)
    states = sorted(known, key=lambda s: (-len(s), s))
    number = {s: i for i, s in enumerate(states)}
    open_ = [s for s in states if len(s) > 1]
    options = [puzzles.policy(s, taste) for s in open_]
    most = max(map(len, options))
    children = np.zeros((len(open_), most), np.int32)
    ladder = np.ones((len(open_), most))
    for i, after in enumerate(options):
        row = [number[s] for s in after]
        children[i] = row + row[-1:] * (most - len(row))
        ladder[i, : len(row)] = np.cumsum([float(p) for p in after.values()])
    finals = [puzzles.GOAL, *sorted({s[0] for s in states if len(s) == 1} - {puzzles.GOAL})]
    rank = {x: i for i, x in enumerate(finals)}
    answer = [rank[s[0]] if len(s) == 1 else 0 for s in states]
    signs = np.random.default_rng(0).integers(0, 2**32, (len(states), 2), dtype=np.uint32)
    world = Game24(
        children=jnp.asarray(children),
        ladder=jnp.asarray(ladder, float),
        value=jnp.asarray([float(known[s]) for s in states]),
        answer=jnp.asarray(answer, jnp.int32),
        signs=jnp.asarray(signs),
        choices=jnp.zeros(len(finals)),
        logged=jnp.asarray([float(scores.get(s, -1)) for s in states]),
    )
    return world, np.array([number[s] for s in roots], np.int32), number
