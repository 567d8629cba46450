"""Gives completions back to the problems that they answer, in logs that list them elsewhere.

Where a tool dealt batches to the wrong rows, they can be dealt back: problems were generated in
batches of b with n completions each, all of the batch's first completions before all of its second
ones, and cut into rows of n. So number f of a batch's completions belongs to its problem f mod b.
b is found by trying: the one by which completions are most like the problems they are given to.

Where whole rows were shifted, each row's completions go to the problem that they are most like, one
row to a problem. What answers no problem that has lost its own is left out.

Scores were computed against the wrong problem for all completions but those that stood in the right
row; only these keep theirs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np
from jaxtyping import Int

from dora_theory._errors import InputError, agree, amount
from dora_theory.replay.check.mispaired import (
    DOUBTFUL,
    REFUSED,
    compared,
    foreign,
    foreign_rows,
)
from dora_theory.replay.read.record import Record

# Batches of 25 rows have been seen, and to be sure of a batch size one wants two batches of it.
_SEARCHED = 128
_COMPLETIONS = 16
_LEAST = 16
# What is foreign after dealing back; sound logs have up to 10%.
_LEFT = 0.25
_WINDOW = 512
# A row stays where it is unless its completions are so much more like another problem.
_STAYS = 1.25


def repaired(records: Iterable[Record], log: str, note: Callable[[str], None]) -> Iterator[Record]:
    """The records, with completions given back to their problems if they are not there.

    Args:
        records: of one log, in order.
        log: its name, for messages.
        note: is given what was done.

    Yields:
        The records, a batch or a window late. Those whose completions moved have `repaired` set;
        they have lost verdicts, votes, and the scores that were computed for another problem.

    Raises:
        InputError: a batch cannot be dealt back, or too many completions answer no problem that
            has lost its own. What else is left is for `mispaired.Pairing` to say.
    """
    records = iter(records)
    first = list(islice(records, _SEARCHED))
    wrong = foreign(first)
    stream = chain(first, records)
    if len(wrong) >= _LEAST and wrong.mean() > 0.5:
        size = _batch_size(first, whole=len(first) < _SEARCHED)
        if size is not None:
            yield from _batches_back(stream, size, log, note)
            return
    yield from _rows_back(stream, log, note)


def _batches_back(
    stream: Iterator[Record], size: int, log: str, note: Callable[[str], None]
) -> Iterator[Record]:
    moved = total = scored = 0
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
        f"of {size}; {scored} {agree(scored, 'keep')} scores, those of the others were computed "
        "for another problem"
    )


def _rows_back(stream: Iterator[Record], log: str, note: Callable[[str], None]) -> Iterator[Record]:
    moved = lost = rows = 0
    while window := list(islice(stream, _WINDOW)):
        rows += len(window)
        donor = _donors(window)
        # As they are where little is wrong: sound logs have a few such rows too.
        if np.mean(donor != np.arange(len(window))) < DOUBTFUL:
            yield from window
            continue
        back = [
            record if i == j else _with_samples_of(record, window[j])
            for i, (record, j) in enumerate(zip(window, donor, strict=True))
        ]
        wrong = foreign_rows(*compared(back), len(back))
        if wrong.mean() > REFUSED:
            first, last = (record.place.rpartition(":")[2] for record in (back[0], back[-1]))
            raise InputError(
                f"{log}: completions: {wrong.mean():.0%} of those of lines {first} to {last} "
                "answer the problem of another row even after repair"
            )
        for i, record in enumerate(back):
            if record.repaired and wrong[i]:
                lost += 1
            else:
                moved += record.repaired
                yield record
    if moved or lost:
        note(
            f"{log}: repaired: the completions of {moved} of {rows} rows given back to the "
            f"problems that they answer, without their scores; {amount(lost, 'row')} left out, as "
            f"no completions answer {agree(lost, 'their')} problem{'s' * (lost != 1)}"
        )


def _donors(window: list[Record]) -> Int[np.ndarray, " rows"]:
    """For each problem the row whose completions are to be its own, one row to a problem."""
    from scipy.optimize import linear_sum_assignment

    words, own = compared(window)
    count = len(window)
    if not words.problems.shape[0]:
        return np.arange(count)
    mean = words.by_row(own, count).cosine()
    mean[np.diag_indices(count)] *= _STAYS
    rows, problems = linear_sum_assignment(mean, maximize=True)
    donor = np.empty(count, dtype=int)
    donor[problems] = rows
    return donor


def _with_samples_of(record: Record, donor: Record) -> Record:
    samples = tuple(
        replace(sample, correct=None, step_scores=None, aggregate=None) for sample in donor.samples
    )
    return replace(record, samples=samples, votes=(), repaired=True)


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
    words, own = compared(records, first=_COMPLETIONS)
    if len(counts) > 1 or not words.problems.shape[0]:
        return None
    similarity = words.cosine()
    n = counts.pop()
    place = np.arange(len(own)) % min(n, _COMPLETIONS)
    best, found = 0.0, None
    for size in range(2, len(records) + 1):
        start = own // size * size
        # The last batch has what is left, if these are all records there are.
        length = np.minimum(size, len(records) - start)
        sure = (length == size) | whole
        to = start + ((own - start) * n + place) % length
        like = similarity[np.arange(len(own)), to][sure].mean() if sure.any() else 0.0
        if like > best and words.rows(sure).foreign(to[sure]).mean() <= _LEFT:
            best, found = float(like), size
    return found
