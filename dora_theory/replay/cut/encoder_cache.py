"""Embeddings kept on disk, by model and text, so that no text is embedded twice.

One SQLite file, which processes may share. Only embeddings that depend on nothing but the model and
the text can be kept: word frequencies are weighted by the other texts of a problem.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from dora_theory._errors import InputError
from dora_theory.replay.cut.encoders import Encoder

_T = TypeVar("_T")
_TABLE = "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, value BLOB NOT NULL)"
# SQLite takes so many values in one statement, on every machine.
_AT_ONCE = 500
# Seconds to wait for another process that writes.
_PATIENCE = 60.0


class CachedEncoder:
    """An encoder that asks its file first."""

    def __init__(self, name: str, path: str, make: Callable[[], Encoder]) -> None:
        """Opens the file, or makes it.

        Args:
            name: of the model.
            path: the file.
            make: gives the encoder itself, called when a text is not in the file.

        Raises:
            InputError: the file is not a cache or cannot be opened.
        """
        self.name = name
        self._path, self._make = path, make
        self._encoder: Encoder | None = None
        self._run(lambda base: base.execute(_TABLE))

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "k d"]:
        """Embeddings of the texts, float64, those of the file to the bit."""
        keys = [self._key(text) for text in texts]
        found = self._run(lambda base: _read(base, list(set(keys))))
        missing = dict(item for item in zip(keys, texts, strict=True) if item[0] not in found)
        if missing:
            if self._encoder is None:
                self._encoder = self._make()
            made = np.asarray(self._encoder(list(missing.values())), dtype="<f8")
            new = {key: row.tobytes() for key, row in zip(missing, made, strict=True)}
            self._run(lambda base: _write(base, new))
            found |= new
        rows = [np.frombuffer(found[key], dtype="<f8") for key in keys]
        if len({row.size for row in rows}) > 1:
            raise InputError(
                f"--encoder-cache: {self._path}: has embeddings of {self.name} of several lengths: "
                "the model has changed, take another file"
            )
        return np.stack(rows)

    def __reduce__(self) -> tuple:
        # To another process it goes without the model.
        return CachedEncoder, (self.name, self._path, self._make)

    def _key(self, text: str) -> bytes:
        # A log may hold half of a surrogate pair.
        data = f"{len(self.name)}:{self.name}:{text}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(data).digest()

    def _run(self, what: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as base, base:
                return what(base)
        except sqlite3.Error as error:
            raise InputError(f"--encoder-cache: {self._path}: {error}") from None


def _read(base: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        found |= dict(
            base.execute(f"SELECT key, value FROM embeddings WHERE key IN ({marks})", some)
        )
    return found


def _write(base: sqlite3.Connection, new: dict[bytes, bytes]) -> None:
    base.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", new.items())
