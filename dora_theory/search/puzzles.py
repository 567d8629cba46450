"""The Game of 24 in exact rationals: states, moves, and the success of a random player.

A state is the multiset of numbers that are left. A move takes two of them and puts back their sum,
a difference, their product or a quotient. After three moves one number is left, which is to be 24.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from itertools import combinations, combinations_with_replacement

State = tuple[Fraction, ...]
# How much a player likes a move: (state, state after it) → weight ≥ 0.
Taste = Callable[[State, State], int]

GOAL = Fraction(24)
HIGHEST = 13


def state(*numbers: int | str | Fraction) -> State:
    """The state with these numbers left, in order."""
    return tuple(sorted(Fraction(x) for x in numbers))


def all_puzzles() -> Iterator[State]:
    """Every multiset of four numbers from 1 to 13, in order."""
    for numbers in combinations_with_replacement(range(1, HIGHEST + 1), 4):
        yield state(*numbers)


@cache
def moves(left: State) -> Mapping[State, int]:
    """States after one move → how many moves lead there.

    Every pair of numbers has six operations; division by zero is left out.
    """
    found: Counter[State] = Counter()
    for i, j in combinations(range(len(left)), 2):
        a, b = left[i], left[j]
        rest = [x for place, x in enumerate(left) if place not in (i, j)]
        results = [a + b, a * b, a - b, b - a]
        results += [a / b] if b else []
        results += [b / a] if a else []
        for result in results:
            found[state(*rest, result)] += 1
    return dict(found)


def policy(left: State, taste: Taste | None = None) -> dict[State, Fraction]:
    """States after one move → probability.

    Args:
        left: two numbers or more.
        taste: weight of each operation by what it leads to; None for 1.

    Returns:
        Probabilities, sum 1. A player who likes no move takes any.
    """
    number = moves(left)
    weights = {after: n * (taste(left, after) if taste else 1) for after, n in number.items()}
    if not any(weights.values()):
        weights = dict(number)
    total = sum(weights.values())
    return {after: Fraction(w, total) for after, w in weights.items()}


def success(left: State, known: dict[State, Fraction], taste: Taste | None = None) -> Fraction:
    """Probability that a player who goes on by `policy` ends with 24, exactly.

    Args:
        left: a state.
        known: filled with this state and all that can follow.
        taste: as for `policy`.
    """
    if left not in known:
        if len(left) == 1:
            known[left] = Fraction(int(left[0] == GOAL))
        else:
            followers = policy(left, taste).items()
            known[left] = sum((p * success(s, known, taste) for s, p in followers), Fraction(0))
    return known[left]


def solvable(left: State) -> bool:
    """Whether 24 can be reached."""
    if len(left) == 1:
        return left[0] == GOAL
    return any(map(solvable, moves(left)))
