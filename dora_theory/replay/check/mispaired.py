"""Notices logs whose completions are paired with problems that they do not answer.

A solution shares words and numbers with its problem. Some versions of a widely used tool dealt the
completions of a batch to the wrong rows of it, and a join by position shifts rows; everything
computed from such a log is nonsense, the PRM's scores among it, and nothing else gives it away.

Rule: among the records of a window, a completion is foreign if another problem of the window, or of
those before it, is more than twice as similar to it as its own (cosine of word frequencies weighted
by rarity among the problems), by more than 0.2, and if it shares at least two words more with that
one: the answer to "2 + 3" may well be a number of another sum. A row is foreign if that is so of
its completions on average.

Of shifted rows of five logs the rule finds 80 to 97%, half where they are programs, which resemble
many problems a little. Of the rows of sound logs it finds at most 2%, of completions that are
programs 10%, in places 15%. So a log is refused from 25% of its completions on, or 15% of its rows
if that is more than chance makes of 5%; from 8% of its rows on it is doubtful, or from 4% if that
is more than chance makes of 2%: where one row in ten is shifted, half of them are found.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory._errors import InputError
from dora_theory.replay.check.integrity import Finding
from dora_theory.replay.cut.encoders import tfidf_vectorizer
from dora_theory.replay.cut.order import digest
from dora_theory.replay.read.record import Record

# Rows may be shifted far, but the cost grows with the square of a window. A batch that a tool dealt
# to the wrong rows is some 25 of them, so that a block of 64 shows it, wherever in a log it lies.
_WINDOW, _BLOCK, _BEFORE = 512, 64, 512
_COMPLETIONS = 16
_LEAST = 16
_FACTOR, _MARGIN, _WORDS = 2.0, 0.2, 2
# On average over a row, a completion may share all its words with its own problem too.
_MEAN_WORDS = 1.5
# What is found in sound logs as a whole, and from where that is doubtful.
_SOUND, _NOTED = 0.02, 0.04
# In places of them, and from where a log is doubtful and refused.
CHANCE, DOUBTFUL, REFUSED, REFUSED_COMPLETIONS = 0.05, 0.08, 0.15, 0.25
_SURE = 0.01


class Pairing:
    """Looks at the records of one log as they pass, and counts those paired with their problem.

    Attributes:
        rows: looked at so far.
        foreign: how many of them hold completions that answer another problem.
    """

    def __init__(self, log: str, *, repaired: bool = False) -> None:
        """Makes one.

        Args:
            log: its name, for messages.
            repaired: whether its completions have been given back as well as can be.
        """
        self.rows = self.foreign = 0
        self._log = log
        self._repaired = repaired
        self._first = ""
        self._before: list[str] = []

    def over(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, unchanged and a window late, while they answer their problems.

        Raises:
            InputError: too many completions of a window answer another problem.
        """
        records = iter(records)
        while window := list(islice(records, _WINDOW)):
            self._see(window)
            yield from window

    def finding(self) -> Finding:
        """How many of the rows that have passed hold completions of another row."""
        check = "completions beside their problem"
        if not self.rows:
            return Finding(check, "unknown", "no words to compare")
        share = self.foreign / self.rows
        what = f"{share:.0%} of the rows hold completions that answer another row's problem"
        more = share >= _NOTED and _chance(self.foreign, self.rows, _SOUND) < _SURE
        if self.foreign < 2 or not (share >= DOUBTFUL or more):
            return Finding(check, "good", what)
        hint = f" ({self._first} first): part of the log seems mispaired; it is used as it is"
        return Finding(check, "doubtful", what + hint)

    def _see(self, window: list[Record]) -> None:
        words, own = compared(window, self._before)
        wrong = words.foreign(own)
        rows = foreign_rows(words, own, len(window))
        if words.problems.shape[0]:
            self.rows += len(window)
            self.foreign += int(rows.sum())
        for record, odd in zip(window, rows, strict=True):
            self._first = self._first or (record.place if odd else "")
        # The last block is as long as the others.
        ends = [*range(_BLOCK, len(window), _BLOCK), len(window)]
        blocks = [range(max(0, end - _BLOCK), end) for end in ends]
        for block in [*blocks, range(len(window))]:
            completions = wrong[(own >= block.start) & (own < block.stop)]
            odd = rows[block.start : block.stop]
            if _too_many(odd, completions):
                raise InputError(self._refusal([window[i] for i in block], odd, completions))
        self._before = [*self._before, *(record.problem for record in window)][-_BEFORE:]

    def _refusal(self, block: list[Record], rows: np.ndarray, completions: np.ndarray) -> str:
        first, last = (record.place.rpartition(":")[2] for record in (block[0], block[-1]))
        share = max(rows.mean(), completions.mean())
        hint = (
            "even after repair"
            if self._repaired
            else "--repair gives completions back to the problems that they answer"
        )
        return (
            f"{self._log}: completions: {share:.0%} of those of lines {first} to {last} answer the "
            "problem of another row: the log is mispaired, its scores and answers mean nothing "
            f"({hint})"
        )


def _too_many(rows: Bool[np.ndarray, " rows"], wrong: Bool[np.ndarray, " completions"]) -> bool:
    """Whether so many rows, or completions, are foreign that no sound log would have them."""
    if len(wrong) < _LEAST:
        return False
    share = rows.mean()
    chance = _chance(int(rows.sum()), len(rows))
    return wrong.mean() >= REFUSED_COMPLETIONS or (share >= REFUSED and chance < _SURE)


def _chance(count: int, of: int, each: float = CHANCE) -> float:
    """Of so many foreign rows or more in a sound log."""
    from scipy.special import bdtrc

    return float(bdtrc(count - 1, of, each)) if count else 1.0


def foreign(records: Sequence[Record]) -> Bool[np.ndarray, " completions"]:
    """Which completions clearly answer another problem of the list, 16 of each record."""
    words, own = compared(records)
    return words.foreign(own)


class Words(NamedTuple):
    """Those of some texts and of all problems; without problems where nothing can be compared.

    Attributes:
        weights: of the words of each text, weighted by rarity, of length 1; sparse.
        present: 1 where a word occurs in it; sparse.
        problems: as `weights`, of each problem.
        asked: as `present`, of each problem.
    """

    weights: Any
    present: Any
    problems: Any
    asked: Any

    def rows(self, chosen: Bool[np.ndarray, " texts"]) -> "Words":
        """Those of some texts."""
        return self._replace(weights=self.weights[chosen], present=self.present[chosen])

    def by_row(self, own: Int[np.ndarray, " texts"], count: int) -> "Words":
        """The mean over the texts of each of so many rows, zero for one without any."""
        from scipy.sparse import csr_array

        among = np.bincount(own, minlength=count)[own].astype(float)
        mean = csr_array((1 / among, (own, np.arange(len(own)))), shape=(count, len(own)))
        return self._replace(weights=mean @ self.weights, present=mean @ self.present)

    def cosine(self) -> Float[np.ndarray, "texts problems"]:
        """How alike each text and each problem are."""
        # As dense columns: nearly every text shares a word with nearly every problem.
        return self.weights @ self.problems.T.toarray()

    def foreign(
        self, owner: Int[np.ndarray, " texts"], *, least: float = _WORDS
    ) -> Bool[np.ndarray, " texts"]:
        """Which texts clearly answer another problem than that of their owner.

        Args:
            owner: the problem that each text is paired with.
            least: how many more words it must share with the other one.

        Returns:
            Shape `(texts,)`.
        """
        if not self.problems.shape[0]:
            return np.zeros(len(owner), dtype=bool)
        rows, others = np.arange(len(owner)), self.cosine()
        mine = others[rows, owner]
        others[rows, owner] = 0
        nearest = others.argmax(-1)
        other = others[rows, nearest]
        more = self._shared(nearest) - self._shared(owner)
        return (other > _FACTOR * mine) & (other > _MARGIN) & (more >= least)

    def _shared(self, problem: Int[np.ndarray, " texts"]) -> Float[np.ndarray, " texts"]:
        """How many words each text shares with a problem of its own."""
        return np.asarray(self.present.multiply(self.asked[problem]).sum(-1)).ravel()


def foreign_rows(
    words: Words, own: Int[np.ndarray, " completions"], count: int
) -> Bool[np.ndarray, " rows"]:
    """Which of so many rows hold completions that, on average, answer another problem."""
    return words.by_row(own, count).foreign(np.arange(count), least=_MEAN_WORDS)


def compared(
    records: Sequence[Record], before: Sequence[str] = (), *, first: int | None = None
) -> tuple[Words, Int[np.ndarray, " completions"]]:
    """The words of completions of each record and of each problem, and the rows they are in.

    Args:
        records: their problems come first.
        before: statements of further problems.
        first: take so many completions in order; else 16, whichever the order.

    Returns:
        The words and, for each completion, the number of its record.
    """

    def some(record: Record) -> list[str]:
        texts = [sample.text for sample in record.samples]
        return texts[:first] if first else sorted(texts, key=digest)[:_COMPLETIONS]

    chosen = [some(record) for record in records]
    texts = [text for row in chosen for text in row]
    own = np.repeat(np.arange(len(records)), [len(row) for row in chosen])
    statements = [*(record.problem for record in records), *before]
    if len(set(statements)) < 2 or not texts:
        return _nothing(len(texts)), own
    vectorizer = tfidf_vectorizer(token_pattern=r"\w+", sublinear_tf=True, dtype=np.float32)
    try:
        problems = vectorizer.fit_transform(statements)
    except ValueError:  # No word in any of them.
        return _nothing(len(texts)), own
    weights = vectorizer.transform(texts)
    return Words(weights, weights.sign(), problems, problems.sign()), own


def _nothing(texts: int) -> Words:
    from scipy.sparse import csr_array

    some, none = csr_array((texts, 0)), csr_array((0, 0))
    return Words(some, some, none, none)
