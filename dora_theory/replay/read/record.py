"""The one record that every reader of logs makes."""

from dataclasses import dataclass, field
from typing import Literal

# independent: drawn one by one; kept: what a search kept; tree: nodes of a tree search.
Kind = Literal["independent", "kept", "tree"]
# What ends a step of a solution.
StepEnd = Literal["blank-line", "line"]
# What makes a probability of a score.
LinkName = Literal["none", "sigmoid", "minmax"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One logged solution of a problem.

    Attributes:
        text: the solution.
        final_answer: its answer, None if the log does not say or the solution gives none.
        correct: whether the answer is right, None if nobody has judged it.
        step_scores: the PRM's score after each step, None if the log has none. As logged: whether
            they are probabilities is checked where they are used.
        tokens: tokens of the solution, None if not logged.
        aggregate: the one score that the tool made of the steps' and voted by, None if not logged.
    """

    text: str
    final_answer: str | None = None
    correct: bool | None = None
    step_scores: tuple[float, ...] | None = None
    tokens: int | None = None
    aggregate: float | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One proposed step of a logged tree search.

    Attributes:
        step: its depth, the first step's is 0.
        parent: place of its parent among the nodes, -1 for the root.
        text: the step.
        value: what the search's own judge thought of it.
        selected: whether the search went on from it, None if not logged.
        state: what is left to solve after it, None if not logged. Nodes of one depth and state are
            one direction.
        solvable: whether a solution can still be reached from it, None if not known.
    """

    step: int
    parent: int
    text: str
    value: float
    selected: bool | None = None
    state: tuple[str, ...] | None = None
    solvable: bool | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One problem with its logged solutions.

    Attributes:
        place: `file:line` of the record, for messages.
        problem_id: the log's name for the problem, or `row N` if it has none.
        problem: its statement.
        gold_answer: the right answer, None if not logged.
        samples: at least one, but for a tree.
        kind: how the samples came about; only `independent` ones are unbiased continuations.
        level: difficulty as the log states it, None if not logged.
        subject: as the log states it, None if not logged.
        nodes: of a tree search, parents first; empty for other logs.
        votes: answers that the tool itself had voted for, by name (`weighted@16`).
        repaired: whether samples were moved here from other rows. Scores that were computed for
            another problem are gone, so that some samples have scores and others none.
        outcome: whether scores are of whole solutions, one each, instead of one for each step.
    """

    place: str
    problem_id: str
    problem: str
    gold_answer: str | None
    samples: tuple[Sample, ...] = field(repr=False)
    kind: Kind = "independent"
    level: str | None = None
    subject: str | None = None
    nodes: tuple[Node, ...] = field(default=(), repr=False)
    votes: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    repaired: bool = False
    outcome: bool = False
