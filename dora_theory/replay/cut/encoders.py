"""Texts to embeddings; only their cosines count.

The default needs no download: term frequencies weighted by how rare a word is among the texts of
the same problem, so that what all of them say does not count. On 9,500 prefixes of Llama-3.1-8B
solutions it tells which of them end in the same answer as well as a sentence model does
(`benchmarks/encoders.py`).
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from dora_theory._errors import InputError
from dora_theory.io.extras import module_of

SENTENCE = "sentence-transformers"


class Encoder(Protocol):
    """Embeds the texts of one problem.

    Attributes:
        name: what `make_encoder` was given.
    """

    name: str

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "k d"]:
        """Embeddings of k ≥ 1 texts, each finite and not 0; d may differ from call to call."""
        ...


def make_encoder(name: str = "tfidf") -> Encoder:
    """The encoder of that name.

    Args:
        name: `tfidf` (words, numbers and signs), `tfidf-char` (character 3- to 5-grams inside
            words), or `sentence-transformers:MODEL` for a model that this machine has already.

    Returns:
        The encoder.

    Raises:
        InputError: an unknown name; sentence-transformers or the model is not there.
    """
    kind, _, model = name.partition(":")
    if name in _TFIDF:
        return _TfIdf(name)
    if kind == SENTENCE and model:
        return _SentenceModel(name, model)
    known = ", ".join([*_TFIDF, f"{SENTENCE}:MODEL"])
    raise InputError(f"--encoder: {name!r} is none of {known}")


_TFIDF: dict[str, dict] = {
    # Signs are words too: in mathematics they carry the meaning.
    "tfidf": {"token_pattern": r"\w+|[^\w\s]"},
    "tfidf-char": {"analyzer": "char_wb", "ngram_range": (3, 5), "sublinear_tf": True},
}


def tfidf_vectorizer(**options: Any) -> Any:
    """The `TfidfVectorizer`; `InputError`, which names the extra, without scikit-learn."""
    module = module_of("sklearn.feature_extraction.text", "replay", "comparing texts")
    return module.TfidfVectorizer(**options)


class _TfIdf:
    """`TfidfVectorizer` in its own operations, without the checks that take most of its time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sublinear = _TFIDF[name].get("sublinear_tf", False)

    @cached_property
    def _words(self) -> Callable[[str], list[str]]:
        return tfidf_vectorizer(**_TFIDF[self.name]).build_analyzer()

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "k d"]:
        words, k = list(map(self._words, texts)), len(texts)
        number: dict[str, int] = defaultdict(itertools.count().__next__)
        at = np.array([number[word] for text in words for word in text], int)
        d = len(number)
        count = np.bincount(np.repeat(np.arange(k) * d, list(map(len, words))) + at)
        there = np.flatnonzero(count)
        often, (row, word) = count[there], np.divmod(there, max(d, 1))
        rarity = np.log((1 + k) / (1.0 + np.bincount(word, minlength=d))) + 1
        weight = (1 + np.log(often) if self._sublinear else often) * rarity[word]
        # Summed in the order in which words first appear, as there: the same to the last bit.
        norm = np.sqrt(np.bincount(row, weight * weight, minlength=k))
        # The last coordinate means that nothing was said. Such texts are alike.
        silent = norm == 0
        rows = np.zeros((k, d + bool(silent.any())))
        alphabet = {word: place for place, word in enumerate(sorted(number))}
        place = np.array([alphabet[word] for word in number], int)
        rows[row, place[word]] = weight / norm[row]
        rows[silent, d:] = 1
        return rows


class _SentenceModel:
    def __init__(self, name: str, model: str) -> None:
        self.name = name
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise InputError(
                f"--encoder: {name} needs sentence-transformers (pip install sentence-transformers)"
            ) from None
        try:
            self._model = SentenceTransformer(model, local_files_only=True)
        except Exception as error:  # The library raises whatever its parts do.
            what = short_reason(error)
            raise InputError(
                f"--encoder: {model} cannot be loaded from this machine's cache ({what})"
            ) from None

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "k d"]:
        rows = np.asarray(self._model.encode(list(texts), show_progress_bar=False))
        return rows.astype(np.float64)

    def __reduce__(self) -> tuple:
        # To another process it goes by its name.
        return make_encoder, (self.name,)


def short_reason(error: Exception) -> str:
    """The first line of what an exception says, or its type if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:120]


def compact(embeddings: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "k e"]:
    """The same cosines in at most k coordinates.

    Only cosines count, and k vectors span at most k dimensions. So problems with vocabularies of
    their own can share one array.

    Args:
        embeddings: finite and not 0, shape `(k, d)`.

    Returns:
        Unit vectors, shape `(k, min(k, d))`, whose cosines are those of `embeddings` to 1e-14.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    if unit.shape[1] <= unit.shape[0]:
        return unit
    # U √Λ of unit unit' = U Λ U' has the same products.
    values, vectors = np.linalg.eigh(unit @ unit.T)
    return vectors * np.sqrt(np.maximum(values, 0))
