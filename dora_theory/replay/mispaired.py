"""Notices logs whose completions stand beside problems that they do not answer.

A solution shares words and numbers with its problem. Some versions of a widely used tool dealt the
completions of a batch to the wrong rows of it; everything computed from such a log is nonsense,
the PRM's scores among it, and nothing else gives it away.

Rule: among the records of a window, a completion is foreign if another problem of the window is
more than twice as similar to it as its own (cosine of word frequencies weighted by rarity among
the problems), and is so by more than 0.2. A log is refused if more than half of the completions
of a window are foreign. Over ten logs of four models the highest share of a window was 2% where
problems are mathematics and 15% where they are programs, which resemble no problem much; in a
mispaired log it was 84% and more.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from jaxtyping import Bool

from dora_theory.errors import InputError
from dora_theory.replay.record import Record

# Batches of 25 rows have been seen: a window must hold more than one of them to be sure of two
# problems of the same batch, and its cost grows with its square.
_WINDOW = 64
_COMPLETIONS = 16
_LEAST = 16
_FACTOR, _MARGIN = 2.0, 0.2


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
                "mean nothing"
            )
        yield from window


def foreign(records: list[Record]) -> Bool[np.ndarray, " completions"]:
    """Which completions clearly answer another problem of the list, the first 16 of each record."""
    statements = [record.problem for record in records]
    texts = [sample.text for record in records for sample in record.samples[:_COMPLETIONS]]
    own = np.repeat(
        np.arange(len(records)), [min(len(record.samples), _COMPLETIONS) for record in records]
    )
    if len(set(statements)) < 2 or not texts:
        return np.zeros(len(texts), dtype=bool)
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    try:
        problems = vectorizer.fit_transform(statements)
    except ValueError:  # No word in any of them.
        return np.zeros(len(texts), dtype=bool)
    similarity = (vectorizer.transform(texts) @ problems.T).toarray()
    rows = np.arange(len(own))
    mine = similarity[rows, own]
    similarity[rows, own] = 0
    other = similarity.max(-1)
    return (other > _FACTOR * mine) & (other > _MARGIN)
