"""Notices logs whose completions stand beside problems that they do not answer.

A solution shares words and numbers with its problem. Some versions of a widely used tool dealt the
completions of a batch to the wrong rows of it; everything computed from such a log is nonsense,
the PRM's scores among it, and nothing else gives it away.

Rule: among the records of a window, a completion is foreign if another problem of the window is
more than twice as similar to it as its own (cosine of word frequencies weighted by rarity among
the problems), by more than 0.2, and if it shares at least two words more with that one: the
answer to "2 + 3" may well be a number of another sum. A log is refused if more than half of the
completions of a window are foreign. Over eight sound logs of four models the highest share of a
window was 2% where problems are mathematics and 10% where they are programs, which resemble no
problem much; in a mispaired log it was 73%.

Such logs can be dealt back: problems were generated in batches of b with n completions each, all of
the batch's first completions before all of its second ones, and cut into rows of n. So number f of
a batch's completions belongs to its problem f mod b. b is found by trying: the one by which
completions are most like the problems they are given to. Scores were computed against the wrong
problem for all completions but those that stood in the right row by chance; only these keep theirs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from dora_theory._errors import InputError
from dora_theory.replay.read.record import Record

# Batches of 25 rows have been seen: a window must hold more than one of them to be sure of two
# problems of the same batch, and its cost grows with its square.
_WINDOW = 64
_COMPLETIONS = 16
_LEAST = 16
_FACTOR, _MARGIN, _WORDS = 2.0, 0.2, 2
# To be sure of a batch size one wants two batches of it.
_SEARCHED = 2 * _WINDOW
# What is foreign after repair; sound logs have up to 10%.
_LEFT = 0.25


def check_paired(records: Iterable[Record], log: str) -> Iterator[Record]:
    """The records, unchanged, as long as their completions answer their problems.

    Args:
        records: of one log, in order.
        log: its name, for the message.

    Yields:
        The records, a window late.

    Raises:
        InputError: most completions of a window answer another problem of it.
    """
    records = iter(records)
    while window := list(islice(records, _WINDOW)):
        wrong = foreign(window)
        if len(wrong) >= _LEAST and wrong.mean() > 0.5:
            first, last = (record.place.rpartition(":")[2] for record in (window[0], window[-1]))
            raise InputError(
                f"{log}: completions: {wrong.mean():.0%} of those of lines {first} to {last} "
                "answer the problem of another row: the log is mispaired, its scores and answers "
                "mean nothing (--repair deals batches back that were dealt out of order)"
            )
        yield from window


def repaired(records: Iterable[Record], log: str, note: Callable[[str], None]) -> Iterator[Record]:
    """The records, with completions dealt back to their problems if they are not there.

    Args:
        records: of one log, in order.
        log: its name, for messages.
        note: is told what was done.

    Yields:
        The records, a batch late. Those of a mispaired log have `repaired` set; they have lost
        verdicts, votes, and the scores that were computed for another problem.

    Raises:
        InputError: the log is mispaired in another way than by dealing batches.
    """
    records = iter(records)
    first = list(islice(records, _SEARCHED))
    wrong = foreign(first)
    if len(wrong) < _LEAST or wrong.mean() <= 0.5:
        yield from check_paired(chain(first, records), log)
        return
    size = _batch_size(first, whole=len(first) < _SEARCHED)
    if size is None:
        raise InputError(
            f"{log}: completions: {wrong.mean():.0%} answer the problem of another row, and no "
            "batch size deals them back"
        )
    moved = total = scored = 0
    stream = chain(first, records)
    while batch := list(islice(stream, size)):
        back = _dealt_back(batch)
        left = foreign(back)
        if len(left) >= _LEAST and left.mean() > _LEFT:
            raise InputError(
                f"{batch[0].place}: completions: {left.mean():.0%} of those of the batch of {size} "
                "that begins here answer another problem even after dealing them back"
            )
        n = len(batch[0].samples)
        total += n * len(batch)
        moved += sum(f // n != f % len(batch) for f in range(n * len(batch)))
        scored += sum(s.step_scores is not None for record in back for s in record.samples)
        yield from back
    note(
        f"{log}: repaired: {moved} of {total} completions dealt back to their problems in batches "
        f"of {size}; {scored} keep scores, those of the others were computed for another problem"
    )


def _dealt_back(batch: list[Record]) -> list[Record]:
    n, size = len(batch[0].samples), len(batch)
    for record in batch:
        if len(record.samples) != n:
            raise InputError(
                f"{record.place}: completions: {len(record.samples)}, others have {n}: cannot be "
                "dealt back"
            )
    flat = [sample for record in batch for sample in record.samples]
    return [
        replace(
            record,
            samples=tuple(
                replace(
                    flat[f],
                    correct=None,
                    step_scores=flat[f].step_scores if f // n == i else None,
                    aggregate=flat[f].aggregate if f // n == i else None,
                )
                for f in range(i, len(flat), size)
            ),
            votes=(),
            repaired=True,
        )
        for i, record in enumerate(batch)
    ]


def _batch_size(records: list[Record], *, whole: bool) -> int | None:
    """The batch size whose dealing explains the records best, None if none explains them."""
    counts = {len(record.samples) for record in records}
    likeness, own, place = _likeness(records)
    similarity = likeness.cosine
    if len(counts) > 1 or not similarity.size:
        return None
    n = counts.pop()
    best, found = 0.0, None
    for size in range(2, len(records) + 1):
        start = own // size * size
        # The last batch has what is left, if these are all records there are.
        length = np.minimum(size, len(records) - start)
        sure = (length == size) | whole
        to = start + ((own - start) * n + place) % length
        like = similarity[np.arange(len(own)), to][sure].mean() if sure.any() else 0.0
        if like > best and _foreign_to(likeness.rows(sure), to[sure]).mean() <= _LEFT:
            best, found = float(like), size
    return found


def foreign(records: list[Record]) -> Bool[np.ndarray, " completions"]:
    """Which completions clearly answer another problem of the list, the first 16 of each record."""
    likeness, own, _ = _likeness(records)
    return _foreign_to(likeness, own)


class _Likeness(NamedTuple):
    """Of completions to problems; without columns where nothing can be compared.

    Attributes:
        cosine: of weighted word frequencies.
        shared: how many different words they have in common.
    """

    cosine: Float[np.ndarray, "completions problems"]
    shared: Float[np.ndarray, "completions problems"]

    def rows(self, chosen: Bool[np.ndarray, " completions"]) -> "_Likeness":
        return _Likeness(self.cosine[chosen], self.shared[chosen])


def _foreign_to(
    likeness: _Likeness, owner: Int[np.ndarray, " completions"]
) -> Bool[np.ndarray, " completions"]:
    if not likeness.cosine.size:
        return np.zeros(len(owner), dtype=bool)
    cosine, shared = likeness
    rows, others = np.arange(len(owner)), cosine.copy()
    others[rows, owner] = 0
    nearest = others.argmax(-1)
    other = others[rows, nearest]
    words = shared[rows, nearest] - shared[rows, owner]
    return (other > _FACTOR * cosine[rows, owner]) & (other > _MARGIN) & (words >= _WORDS)


def _likeness(
    records: list[Record],
) -> tuple[_Likeness, Int[np.ndarray, " completions"], Int[np.ndarray, " completions"]]:
    """Likeness of the first completions of each record to each problem, their rows and places."""
    statements = [record.problem for record in records]
    texts = [sample.text for record in records for sample in record.samples[:_COMPLETIONS]]
    counts = [min(len(record.samples), _COMPLETIONS) for record in records]
    own = np.repeat(np.arange(len(records)), counts)
    place = np.concatenate([np.arange(count) for count in counts] or [np.zeros(0, dtype=int)])
    nothing = _Likeness(np.zeros((len(texts), 0)), np.zeros((len(texts), 0)))
    if len(set(statements)) < 2 or not texts:
        return nothing, own, place
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    try:
        problems = vectorizer.fit_transform(statements)
    except ValueError:  # No word in any of them.
        return nothing, own, place
    words = vectorizer.transform(texts)
    products = words @ problems.T, words.sign() @ problems.sign().T
    return _Likeness(*(product.toarray() for product in products)), own, place
