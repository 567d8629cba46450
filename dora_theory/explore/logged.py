"""A problem of a log as the page looks at it."""

import tempfile
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from dora_theory._errors import InputError
from dora_theory.explore.view import Subject
from dora_theory.model.directions import direction_weights
from dora_theory.model.similarity import cosine_similarity
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.cut.cutting import cut, encoder_of
from dora_theory.replay.examined import opened
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.grading import judged
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Record

# More problems than one looks at; a log may have a hundred times as many.
_MOST = 1000
# Problems among which one with a choice between directions is looked for.
_FIRST = 20


def uploaded(name: str | None, contents: bytes | None, options: ReplayOptions) -> "Log":
    """A log that a browser has sent, read from a copy that is gone afterward.

    Raises:
        InputError: as for `Log`, with the file's own name.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A name of the browser's is no path.
        own = Path(name or "log.jsonl").name
        path = Path(folder) / own
        path.write_bytes(contents or b"")
        try:
            return Log(str(path), options)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from None


class Log:
    """The first problems of a log, at most a thousand.

    Attributes:
        path: the log.
        options: how it is read and cut.
        records: its problems.
        more: whether the log has more than these.
    """

    def __init__(
        self,
        path: str,
        options: ReplayOptions | None = None,
        *,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Reads a log.

        Args:
            path: a log that `replay` reads.
            options: how, the defaults if None.
            note: called with each note on the log.

        Raises:
            InputError: the log cannot be read, or answers other problems than its own.
        """
        self.path, self.options = path, options or ReplayOptions()
        records = list(islice(opened(path, self.options, note), _MOST + 1))
        if any(record.kind == "tree" for record in records):
            raise InputError(f"{path}: tree_nodes: the page shows solutions, and this is a tree")
        self.records, self.more = tuple(records[:_MOST]), len(records) > _MOST
        self._encoder = encoder_of(self.options)
        self._cut = lru_cache(maxsize=64)(self._candidates)

    @property
    def count(self) -> int:
        """How many problems there are to look at."""
        return len(self.records)

    @property
    def title(self) -> str:
        """What a number says."""
        return f"problem, of {'the first ' if self.more else ''}{self.count}"

    def first(self) -> int:
        """The first problem with a choice between directions, 1 if the first 20 have none."""
        for number, record in enumerate(self.records[:_FIRST], 1):
            if cut(record, self.options, self._encoder).directions.max() > 0:
                return number
        return 1

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
        record, seen = self._cut(number - 1)
        directions = int(seen.directions.max()) + 1
        quality = direction_weights(
            seen.scores, seen.directions, directions, quality_temperature=temperature
        )
        similarity = np.asarray(cosine_similarity(seen.embeddings))
        return record, Subject(seen.scores, seen.directions, similarity, np.asarray(quality))

    def _candidates(self, index: int) -> tuple[Record, Candidates]:
        with Judge() as judge:
            record = judged(self.records[index], judge)
        return record, cut(record, self.options, self._encoder)
