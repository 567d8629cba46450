"""What a logged tree search says about the Game of 24: which moves it proposed, what it thought."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from dora_theory._errors import InputError
from dora_theory.replay.read.record import Node, Record
from dora_theory.search.puzzles import State, moves, state


@dataclass(frozen=True)
class Proposals:
    """A policy's taste: it likes a proposed move `preference` times as much as any other.

    Attributes:
        proposed: state → states that proposed moves lead to. Elsewhere moves are liked alike.
        preference: an integer of at least 1.
    """

    proposed: Mapping[State, frozenset[State]]
    preference: int = 10

    def __call__(self, left: State, after: State) -> int:
        """Weight of a move from one state to another."""
        return self.preference if after in self.proposed.get(left, ()) else 1


@dataclass(frozen=True)
class LoggedGame:
    """Tree searches of some puzzles.

    Attributes:
        puzzles: as logged.
        proposals: legal moves that were proposed.
        scores: state → mean of the values that its nodes were given, in [0, 1].
        nodes: how many steps were logged.
        illegal: how many of them are left out: no legal move, or one of rounded numbers.
    """

    puzzles: tuple[State, ...]
    proposals: Proposals
    scores: Mapping[State, float]
    nodes: int
    illegal: int


def logged_game(
    records: Iterable[Record], *, score_scale: float, preference: int = 10
) -> LoggedGame:
    """Reads moves and values out of tree logs.

    Args:
        records: trees whose nodes have states, as `read_log` gives them.
        score_scale: what values are divided by.
        preference: of the policy for proposed moves.

    Returns:
        The searches.

    Raises:
        InputError: a record is not a tree, its problem names no four numbers, or a value is outside
            [0, 1] after scaling.
    """
    if preference < 1:
        raise ValueError(f"preference = {preference}: needs an integer of at least 1")
    starts: list[State] = []
    proposed: dict[State, set[State]] = {}
    values: dict[State, list[float]] = {}
    count = illegal = 0
    for record in records:
        start = _puzzle(record)
        starts.append(start)
        for node in record.nodes:
            count += 1
            before = start if node.parent < 0 else _left(record.nodes[node.parent])
            after = _left(node)
            if before is None or after is None or not _legal(before, after):
                illegal += 1
                continue
            value = node.value / score_scale
            if not 0 <= value <= 1:
                raise InputError(
                    f"{record.place}: tree_nodes: value {node.value:g} is not a number in [0, 1] "
                    f"after division by {score_scale:g}"
                )
            proposed.setdefault(before, set()).add(after)
            values.setdefault(after, []).append(value)
    taste = Proposals({s: frozenset(found) for s, found in proposed.items()}, preference)
    scores = {s: sum(found) / len(found) for s, found in values.items()}
    return LoggedGame(tuple(starts), taste, scores, count, illegal)


def _puzzle(record: Record) -> State:
    if record.kind != "tree":
        raise InputError(f"{record.place}: tree_nodes: none, needs a tree search")
    numbers = re.findall(r"\d+", record.problem.rpartition("Input:")[2])
    if len(numbers) != 4:
        raise InputError(f"{record.place}: problem: needs four numbers after 'Input:'")
    return state(*numbers)


def _legal(before: State, after: State) -> bool:
    return len(before) > 1 and after in moves(before)


def _left(node: Node) -> State | None:
    """The numbers left; None where the log says none that are numbers."""
    try:
        return None if node.state is None else state(*map(Fraction, node.state))
    except (ValueError, ZeroDivisionError):
        return None
