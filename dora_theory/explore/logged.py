"""A problem of a log as the page looks at it."""

from functools import lru_cache
from itertools import islice

import numpy as np

from dora_theory.directions import cosine_similarity
from dora_theory.errors import InputError
from dora_theory.explore.view import Subject
from dora_theory.pooling import direction_weights
from dora_theory.replay.candidates import Candidates, candidates
from dora_theory.replay.correctness import Judge
from dora_theory.replay.encoders import make_encoder
from dora_theory.replay.readers import read_log
from dora_theory.replay.record import Record
from dora_theory.replay.run import judged

# More problems than one looks at; a log may have a hundred times as many.
_MOST = 1000


class Log:
    """The first problems of a log, at most a thousand.

    Attributes:
        path: the log.
        records: its problems.
        more: whether the log has more than these.
    """

    def __init__(self, path: str) -> None:
        records = list(islice(read_log(path), _MOST + 1))
        self.path, self.records, self.more = path, tuple(records[:_MOST]), len(records) > _MOST
        self._cut = lru_cache(maxsize=64)(self._candidates)

    @property
    def count(self) -> int:
        """How many problems there are to look at."""
        return len(self.records)

    @property
    def title(self) -> str:
        """What a number says."""
        return f"problem, of {'the first ' if self.more else ''}{self.count}"

    def problem(self, number: int, temperature: float) -> tuple[Record, Subject]:
        """A problem and what strategies see of it.

        Args:
            number: from 1.
            temperature: T_b, for the quality of directions, which is pooled from their scores.

        Raises:
            InputError: the problem cannot be used; no such number.
        """
        if not 1 <= number <= self.count:
            raise InputError(f"problem {number}: the log has 1 to {self.count}")
        record, cut = self._cut(number - 1)
        directions = int(cut.directions.max()) + 1
        quality = direction_weights(cut.scores, cut.directions, directions, temperature=temperature)
        similarity = np.asarray(cosine_similarity(cut.embeddings))
        return record, Subject(cut.scores, cut.directions, similarity, np.asarray(quality))

    def _candidates(self, index: int) -> tuple[Record, Candidates]:
        with Judge() as judge:
            record = judged(self.records[index], judge)
        return record, candidates(record, make_encoder())
