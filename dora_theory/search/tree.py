"""A synthetic reasoning tree: few parameters, each modeling choice with its reason.

A solution is a path of steps. What is chosen, and why:

* Directions. Every problem has g ways to go at it, tried with popularity j^-skew; the first step
  picks one, and each later step goes over to another with probability `switch`. Going where nobody
  is branches, going where others are merges. Popularity says nothing about quality.
* Right or wrong. A problem has an ability z, a normal quantile (a benchmark is a fixed set, so it
  is not drawn); a direction has logit m = z + direction_spread ε, and every step along it stays
  right with probability m^(1/L), L the mean number of steps: a fresh path that keeps to it ends
  right with probability about m. Wrong is for good: steps build on one another.
* Length. Finishing is possible from step `first` on, with probability `finish` each, and sure at
  step `steps`. The defaults have a mean of 7.8 steps: Table 1's FLOPs of the embedding model, which
  reads every prefix again, are those of 8 steps, finished solutions read as well (see `costs`).
* Answers. The first wrong step settles the wrong answer: the direction's own with probability
  `trap`, else one of many. So votes gather errors as systematic ones do, and copies share them.
* The PRM reads the path's true success probability V, which is computed exactly (`_values`):
  R = sigmoid(slope logit V' + bias + noise e + direction_noise η), V' being V cut to [floor,
  1 - floor]. η is one number a direction, so that a PRM can be taken in by an approach; e is the
  path's own, with correlation `persistence` from step to step, because most of the text it reads
  is the same.
* Embeddings are of the whole text: what all texts of a problem share (s_out), what those of one
  direction share (s_in - s_out), and the path's own part (1 - s_in), the mean of a random vector a
  step. So copies are nearly alike at first, and two paths of one direction have cosine s_in.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int

from dora_theory._checks import check_range
from dora_theory.search.engine import View

# Random words of a beam at a step, by use.
_SWITCH, _DIRECTION, _SURVIVE, _TRAP, _ANSWER, _FINISH, _ERROR, _TEXT = range(8)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "ability",
        "spread",
        "direction_spread",
        "skew",
        "switch",
        "trap",
        "slope",
        "bias",
        "noise",
        "direction_noise",
        "persistence",
        "floor",
        "finish",
        "similarity_within",
        "similarity_between",
    ],
    meta_fields=["num_directions", "steps", "first", "answers", "dimension"],
)
@dataclass(frozen=True)
class Tree:
    """The world; its numbers may be traced. The head of the module says what each means.

    Attributes:
        ability: mean logit of a problem.
        spread: standard deviation of that logit over problems.
        direction_spread: standard deviation over the directions of a problem.
        skew: exponent of the popularity of directions.
        switch: probability of another direction at a step after the first.
        trap: probability that a wrong answer is the direction's own.
        slope: of the PRM's logit.
        bias: of the PRM's logit.
        noise: standard deviation of a path's error of the PRM's logit.
        direction_noise: of the error that a direction's paths share.
        persistence: correlation of a path's error from step to step.
        floor: the least success probability that the PRM tells from none, below 1/2.
        finish: probability to finish at a step from `first` on.
        similarity_within: s_in, cosine of two paths of one direction.
        similarity_between: s_out, of two of different ones.
        num_directions: g.
        steps: the most steps.
        first: the first step, counted from 1, at which a solution can be complete.
        answers: different answers; 0 is right, 1 to g are the directions' own.
        dimension: of a path's own part of the embedding, at most 32.

    Examples:
        >>> dt.Tree(steps=4).steps
        4
    """

    ability: Any = 0.0
    spread: Any = 2.0
    direction_spread: Any = 1.0
    skew: Any = 1.0
    switch: Any = 0.1
    trap: Any = 0.3
    slope: Any = 1.0
    bias: Any = 0.0
    noise: Any = 1.0
    direction_noise: Any = 0.5
    persistence: Any = 0.7
    floor: Any = 0.02
    finish: Any = 0.3
    similarity_within: Any = 0.95
    similarity_between: Any = 0.75
    num_directions: int = 8
    steps: int = 10
    first: int = 6
    answers: int = 64
    dimension: int = 32

    def checked(self) -> "Tree":
        """The tree itself, if its values are in their ranges; else `ValueError`."""
        if not (1 <= self.first <= self.steps and self.num_directions >= 1):
            raise ValueError(
                f"first = {self.first}, steps = {self.steps}, "
                f"num_directions = {self.num_directions}: needs 1 ≤ first ≤ steps and a direction"
            )
        if self.answers < self.num_directions + 2 or not 1 <= self.dimension <= 32:
            raise ValueError(
                f"answers = {self.answers}, dimension = {self.dimension}: needs more answers than "
                "directions + 1, and a dimension from 1 to 32"
            )
        for name in ("ability", "bias"):
            check_range(name, getattr(self, name))
        for name in ("spread", "direction_spread", "skew", "slope", "noise", "direction_noise"):
            check_range(name, getattr(self, name), 0)
        for name in ("switch", "trap", "persistence", "finish", "similarity_within"):
            check_range(name, getattr(self, name), 0, 1)
        check_range("similarity_between", self.similarity_between, 0, self.similarity_within)
        check_range("floor", self.floor, 0, 0.5, low_open=True)
        return self

    def with_changes(self, **changes: Any) -> "Tree":
        """The same tree but for the named attributes, checked."""
        return replace(self, **changes).checked()

    def problems(self, key: Array, count: int) -> "TreeProblem":
        """`count` problems, from the hardest to the easiest: quantiles of the ability."""
        number = jnp.arange(count, dtype=jnp.int32)
        return jax.vmap(self._problem, (None, 0, None))(key, number, count)

    def _problem(self, key: Array, number: Array, count: int) -> "TreeProblem":
        g = self.num_directions
        own, order, fooled = jax.random.split(jax.random.fold_in(key, number), 3)
        quantile = (number + 0.5) / count
        z = self.ability + self.spread * ndtri(quantile)
        logits = z + self.direction_spread * jax.random.normal(own, (g,))
        survival = jnp.exp(jax.nn.log_sigmoid(logits) / self.mean_steps())
        popularity = jnp.arange(1.0, g + 1) ** -jnp.asarray(self.skew, float)
        popularity = jax.random.permutation(order, popularity / popularity.sum())
        values = self._values(survival, popularity)
        return TreeProblem(survival, popularity, values, jax.random.normal(fooled, (g,)))

    def mean_steps(self) -> Float[Array, ""]:
        """L, the mean number of steps of a path that nobody prunes."""
        stay = (1 - jnp.asarray(self.finish, float)) ** jnp.arange(self.steps - self.first)
        return self.first + (1 - jnp.asarray(self.finish, float)) * stay.sum()

    def _finishing(self) -> Float[Array, " steps"]:
        """Probability that step t, counted from 0, is the last."""
        t = jnp.arange(1, self.steps + 1)
        return jnp.where(t == self.steps, 1.0, jnp.where(t >= self.first, self.finish, 0.0))

    def _left(self) -> Float[Array, " steps+1"]:
        """Expected steps that a path which goes on after t steps still takes; 1 after the last."""

        def back(later: Array, end: Array) -> tuple[Array, Array]:
            left = 1 + (1 - end) * later
            return left, left

        one = jnp.ones(())
        _, left = jax.lax.scan(back, one, self._finishing(), reverse=True)
        return jnp.concatenate([left, one[None]])

    def _values(self, survival: Array, popularity: Array) -> Float[Array, "steps+1 g"]:
        """Success of a right path in each direction that goes on after t steps, backwards in t."""
        ends = self._finishing()

        def back(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            end, move = now
            there = survival * (end + (1 - end) * later)
            value = (1 - move) * there + move * (popularity * there).sum()
            return value, value

        last = jnp.ones_like(survival)
        _, values = jax.lax.scan(back, last, (ends, self._moving()), reverse=True)
        return jnp.concatenate([values, last[None]], 0)

    def _moving(self) -> Float[Array, " steps"]:
        """Probability that step t, counted from 0, chooses a direction: the first one does."""
        return jnp.full(self.steps, self.switch, float).at[0].set(1.0)

    def start(self, key: Array, problem: "TreeProblem", slots: int) -> "Paths":
        """Empty solutions."""
        whole, real = jnp.zeros(slots, jnp.int32), jnp.zeros(slots)
        yes = jnp.ones(slots, bool)
        text = jnp.zeros((slots, self.dimension))
        return Paths(whole, whole, yes, ~yes, whole, real, text)

    def extend(self, key: Array, problem: "TreeProblem", state: "Paths", step: Array) -> "Paths":
        """One step: perhaps over to another direction, perhaps wrong, perhaps the last."""
        slots, g = state.direction.size, self.num_directions
        # One call for all: generators are most of what there is to compile.
        words = jax.random.bits(key, (8, slots), "uint32")
        u = ((words >> 9) + 0.5) * 2.0**-23  # in the open interval, in float32 too
        moves = u[_SWITCH] < self._moving()[step]
        ladder = jnp.cumsum(problem.popularity)
        chosen = jnp.minimum((u[_DIRECTION, :, None] * ladder[-1] >= ladder).sum(-1), g - 1)
        direction = jnp.where(moves, chosen, state.direction).astype(jnp.int32)

        stays = u[_SURVIVE] < problem.survival[direction]
        many = self.answers - 1 - g
        own = 1 + g + jnp.minimum((u[_ANSWER] * many).astype(jnp.int32), many - 1)
        wrong = jnp.where(u[_TRAP] < self.trap, 1 + direction, own)
        answer = jnp.where(state.right & ~stays, wrong, state.answer).astype(jnp.int32)

        keep = jnp.where(step == 0, 0.0, self.persistence)
        error = keep * state.error + jnp.sqrt(1 - keep**2) * ndtri(u[_ERROR])
        # A sum of random signs is as good as one of normals, and costs a word a step.
        bits = words[_TEXT][:, None] >> jnp.arange(self.dimension, dtype=jnp.uint32)
        text = state.text + (1 - 2 * (bits & 1).astype(state.text.dtype))
        return Paths(
            depth=state.depth + 1,
            direction=direction,
            right=state.right & stays,
            finished=u[_FINISH] < self._finishing()[step],
            answer=answer,
            error=error,
            text=text,
        )

    def look(self, problem: "TreeProblem", state: "Paths") -> View:
        """Scores, embeddings, and the truth."""
        value = jnp.where(state.finished, 1.0, problem.values[state.depth, state.direction])
        value = jnp.where(state.right, value, 0.0)
        read = jnp.clip(value, self.floor, 1 - jnp.asarray(self.floor))
        logit = self.slope * (jnp.log(read) - jnp.log1p(-read)) + self.bias
        logit = logit + self.noise * state.error
        logit = logit + self.direction_noise * problem.fooled[state.direction]
        return View(
            finished=state.finished,
            scores=jax.nn.sigmoid(logit),
            embeddings=self._embeddings(state),
            directions=state.direction,
            answers=state.answer,
            correct=state.right,
            success=value,
            costs=self._left()[state.depth],
        )

    def _embeddings(self, state: "Paths") -> Float[Array, "slots d"]:
        inside, across = (
            jnp.asarray(x, state.text.dtype)
            for x in (self.similarity_within, self.similarity_between)
        )
        shared = jnp.broadcast_to(jnp.sqrt(across), (state.direction.size, 1))
        direction = jax.nn.one_hot(state.direction, self.num_directions) * jnp.sqrt(inside - across)
        length = jnp.sqrt(jnp.maximum(state.depth, 1) * self.dimension).astype(state.text.dtype)
        own = jnp.sqrt(1 - inside) * state.text / length[:, None]
        return jnp.concatenate([shared, direction, own], -1)


class TreeProblem(NamedTuple):
    """A problem of the tree.

    Attributes:
        survival: probability that a step along a direction stays right, shape `(g,)`.
        popularity: of the directions, sum 1, shape `(g,)`.
        values: success of a right path after t steps that goes on, shape `(steps + 1, g)`.
        fooled: η, the PRM's error about a direction, shape `(g,)`.
    """

    survival: Float[Array, "*n g"]
    popularity: Float[Array, "*n g"]
    values: Float[Array, "*n t g"]
    fooled: Float[Array, "*n g"]


class Paths(NamedTuple):
    """Partial solutions of the tree.

    Attributes:
        depth: steps so far, shape `(slots,)`.
        direction: of the last step.
        right: still on a right path.
        finished: complete.
        answer: 0 while right.
        error: e, the path's own error of the PRM.
        text: sum of a random vector a step, shape `(slots, dimension)`.
    """

    depth: Int[Array, " slots"]
    direction: Int[Array, " slots"]
    right: Bool[Array, " slots"]
    finished: Bool[Array, " slots"]
    answer: Int[Array, " slots"]
    error: Float[Array, " slots"]
    text: Float[Array, "slots d"]
