"""Is a log what it says? Checks of its records on their way, before any number is made of them.

Pairing of completions and problems has a module of its own (`mispaired`); scores out of range are
found as the log is read (`usable`). The rules here were set on logs of five models:

- A score belongs to a step. Every scored solution of five logs has as many scores as parts between
  blank lines.
- Of independent solutions with 400 characters or more, at most 8% begin with the same 400
  characters as another of their problem; of a beam search's kept solutions 74% do.
- Right solutions come neither before nor after wrong ones: over the problems with both, the sum
  of the ranks of the right ones is near its mean.
- Short solutions repeat each other word for word by chance (4 of 10 in a game with four numbers);
  long ones do not (at most 2 of 100 in one log, of 500 problems sampled 3 times).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dora_theory._errors import agree, amount
from dora_theory.replay.cut.candidates import steps_of
from dora_theory.replay.cut.order import digest
from dora_theory.replay.read.record import Record, StepEnd

Verdict = Literal["good", "doubtful", "unknown"]

_LONG = 400
_ENOUGH = 10
_ALIKE = 1 / 3
_FEW = 0.05
# Standard deviations, and how far from 1/2 the chance must be: sound logs come to 0.11.
_FAR, _TELLS = 3.0, 0.2
# Fewer numbers are in order by chance.
_SORTABLE = 4
_CUT = (
    ". No result depends on the order, but if only the first solutions of a longer list were kept, "
    "they are not independent draws"
)
_TOO_SHORT = f"fewer than {_ENOUGH} solutions have {_LONG} characters"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: its name.
        verdict: `unknown` where the log has nothing to check.
        what: the finding in words.
    """

    check: str
    verdict: Verdict
    what: str


def _last(scores: tuple[float, ...]) -> float:
    return scores[-1]


def _mean(scores: tuple[float, ...]) -> float:
    return sum(scores) / len(scores)


class Watch:
    """Looks at the records that pass, and says at the end what they are like."""

    def __init__(self, step_end: StepEnd = "blank-line") -> None:
        """Makes a watch.

        Args:
            step_end: what ends a step, other than the blank line that scores are counted by.
        """
        self._step_end = step_end
        self._scored = self._odd = self._long = self._alike = self._copies = self._kept = 0
        self._first_odd = self._first_again = ""
        self._problems: dict[int, str] = {}
        self._again = self._judged = self._right = 0
        self._pairs = self._mixed = self._scorable = self._sorted = 0
        self._shift = self._variance = 0.0

    def over(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, unchanged."""
        for record in records:
            self.add(seen(record, self._step_end))
            yield record

    def add(self, other: "Watch") -> None:
        """What another has seen, of later records."""
        for problem, place in other._problems.items():
            if problem in self._problems:
                self._again += 1
                self._first_again = self._first_again or place
            self._problems.setdefault(problem, "")
        for name, value in vars(other).items():
            if name not in ("_problems", "_step_end"):
                own = getattr(self, name)
                setattr(self, name, own or value if isinstance(value, str) else own + value)

    def _see(self, record: Record) -> None:
        # A number a problem: two of a million are taken for one with a chance of 1 in 10⁷.
        self._problems[digest(record.problem, record.gold_answer)] = record.place
        self._kept += record.kind == "kept"
        self._judged += sum(sample.correct is not None for sample in record.samples)
        self._right += sum(sample.correct is True for sample in record.samples)
        for sample in record.samples:
            if sample.step_scores is not None:
                self._scored += 1
                if len(sample.step_scores) not in (
                    len(sample.text.split("\n\n")),
                    len(steps_of(sample.text, self._step_end)),
                ):
                    self._odd += 1
                    self._first_odd = self._first_odd or record.place
        texts = [sample.text for sample in record.samples if len(sample.text) >= _LONG]
        self._long += len(texts)
        self._copies += len(texts) - len(set(texts))
        self._alike += len(texts) - len({text[:_LONG] for text in texts})
        self._order_of(record)

    def _order_of(self, record: Record) -> None:
        right = [i for i, sample in enumerate(record.samples) if sample.correct]
        n, c = len(record.samples), len(right)
        if 0 < c < n and all(sample.correct is not None for sample in record.samples):
            # Wilcoxon's rank sum of the right ones, less its mean, and its variance.
            self._mixed += 1
            self._shift += sum(right) - c * (n - 1) / 2
            self._variance += c * (n - c) * (n + 1) / 12
            self._pairs += c * (n - c)
        scores = [s.step_scores for s in record.samples if s.step_scores]
        if n >= _SORTABLE and len(scores) == n:
            ranked = [[f(x) for x in scores] for f in (_last, min, _mean)]
            ranked = [values for values in ranked if len(set(values)) >= _SORTABLE]
            self._scorable += bool(ranked)
            self._sorted += any(v in (sorted(v), sorted(v, reverse=True)) for v in ranked)

    def findings(self) -> list[Finding]:
        """What the records that have passed are like."""
        return [
            self._scores(),
            self._independence(),
            self._repeats(),
            self._order(),
            self._outcomes(),
            self._problems_once(),
        ]

    def _scores(self) -> Finding:
        check = "a score for every step"
        if not self._scored:
            return Finding(check, "unknown", "no scores")
        share = self._odd / self._scored
        if share <= _FEW:
            return Finding(
                check, "good", f"{1 - share:.1%} of {amount(self._scored, 'scored solution')}"
            )
        return Finding(
            check,
            "doubtful",
            f"{share:.0%} of the scored solutions have another number of scores than of steps "
            f"({self._first_odd} first): the score after step m may be that of another step",
        )

    def _independence(self) -> Finding:
        check = "independent solutions"
        if self._kept:
            return Finding(
                check,
                "doubtful",
                f"{amount(self._kept, 'problem')} {agree(self._kept, 'have')} solutions that a "
                "search kept, which are not independent draws: estimates of "
                f"{agree(self._kept, 'them')} are biased",
            )
        if self._long < _ENOUGH:
            return Finding(check, "unknown", _TOO_SHORT)
        share = self._alike / self._long
        what = (
            f"{share:.0%} of the solutions with {_LONG} characters or more begin as another of "
            "their problem does"
        )
        if share <= _ALIKE:
            return Finding(check, "good", what)
        hint = ": a search has kept and copied them, they are not independent draws"
        return Finding(check, "doubtful", what + hint)

    def _repeats(self) -> Finding:
        check = "no copies"
        if self._long < _ENOUGH:
            return Finding(check, "unknown", _TOO_SHORT)
        share = self._copies / self._long
        what = (
            f"{share:.0%} of the solutions with {_LONG} characters or more repeat another of "
            "their problem word for word"
        )
        if share <= _FEW:
            return Finding(check, "good", what)
        hint = ": if a search copied them, they are not independent draws"
        return Finding(check, "doubtful", what + hint)

    def _order(self) -> Finding:
        check = "order of solutions"
        if self._scorable and self._sorted >= max(2, 0.5 * self._scorable):
            return Finding(
                check,
                "doubtful",
                f"the solutions of {self._sorted} of {self._scorable} problems are sorted by score"
                + _CUT,
            )
        if not self._mixed:
            return Finding(check, "unknown", "no problem has right and wrong solutions")
        # The chance that a right one comes after a wrong one.
        behind = 0.5 + self._shift / self._pairs
        what = f"a right solution comes after a wrong one of its problem {behind:.0%} of the time"
        if abs(self._shift) <= _FAR * self._variance**0.5 or abs(behind - 0.5) < _TELLS:
            return Finding(check, "good", what)
        return Finding(check, "doubtful", f"position tells of the outcome: {what}{_CUT}")

    def _outcomes(self) -> Finding:
        check = "outcomes differ"
        if self._judged < _ENOUGH:
            return Finding(check, "unknown", f"fewer than {_ENOUGH} solutions are judged")
        what = f"{self._right} of {self._judged} solutions {agree(self._right, 'are')} right"
        if 0 < self._right < self._judged:
            return Finding(check, "good", what)
        hint = ": check that answers and verdicts are read from the right place"
        return Finding(check, "doubtful", what + hint)

    def _problems_once(self) -> Finding:
        check = "every problem once"
        if not self._again:
            return Finding(check, "good", amount(len(self._problems), "problem"))
        return Finding(
            check,
            "doubtful",
            f"{amount(self._again, 'record')} {agree(self._again, 'repeat')} the problem of an "
            f"earlier one ({self._first_again} first) and {agree(self._again, 'count')} again: "
            "intervals are too narrow",
        )


def seen(record: Record, step_end: StepEnd = "blank-line") -> Watch:
    """What there is to see of one record, for a `Watch` to add."""
    found = Watch(step_end)
    found._see(record)
    return found
