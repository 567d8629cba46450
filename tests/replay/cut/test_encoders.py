"""Encoders: what is alike stays alike, and only cosines count."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_theory._errors import InputError
from dora_theory.replay.cut.cutting import encoder_of
from dora_theory.replay.cut.encoder_cache import CachedEncoder
from dora_theory.replay.cut.encoders import _TFIDF, compact, make_encoder, tfidf_vectorizer
from dora_theory.replay.options import ReplayOptions


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize("name", ["tfidf", "tfidf-char"])
def test_texts_that_share_words_are_nearer(name):
    texts = ["use the quadratic formula", "the quadratic formula gives", "draw a circle", ""]
    s = cosines(make_encoder(name)(texts))
    assert s[0, 1] > 0.3 > s[0, 2]
    np.testing.assert_allclose(s[3, :3], 0, atol=1e-15)


@pytest.mark.parametrize("name", ["tfidf", "tfidf-char"])
@pytest.mark.parametrize("texts", [["", " "], ["a", "a"], ["+ - =", "+ - ="], ["\n"], ["é", "é"]])
def test_equal_texts_have_cosine_one(name, texts):
    rows = make_encoder(name)(texts)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(cosines(rows), 1)


# Two texts share words; cases, signs and scripts that fold in ways of their own.
TEXTS = st.lists(st.text("aAbB zZ.+\n1_éİß", max_size=40), min_size=1, max_size=9)


@pytest.mark.parametrize("name", ["tfidf", "tfidf-char"])
@given(texts=TEXTS)
def test_tfidf_is_that_of_scikit_learn_to_the_last_bit(name, texts):
    vectorizer = tfidf_vectorizer(**_TFIDF[name])
    try:
        expected = vectorizer.fit_transform(texts).toarray()
    except ValueError:  # No word in any of them.
        expected = np.zeros((len(texts), 0))
    silent = ~expected.any(-1, keepdims=True)
    if silent.any():
        expected = np.concatenate([expected, silent], -1)
    np.testing.assert_array_equal(make_encoder(name)(texts), expected, strict=True)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_compact_keeps_cosines(seed, k, d):
    rows = np.random.default_rng(seed).normal(size=(k, d))
    small = compact(rows)
    assert small.shape == (k, min(k, d))
    np.testing.assert_allclose(small @ small.T, cosines(rows), atol=1e-14)


def test_unknown_encoder():
    with pytest.raises(InputError, match="--encoder: 'bert' is none of tfidf"):
        make_encoder("bert")
    with pytest.raises(InputError, match="is none of"):
        make_encoder("sentence-transformers:")


def test_comparing_texts_names_the_extra_that_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(
        InputError, match=r"needs scikit-learn: pip install 'dora-theory\[replay\]'"
    ):
        make_encoder("tfidf")(["a", "b"])


def test_sentence_transformers_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match="pip install sentence-transformers"):
        make_encoder("sentence-transformers:some/model")


def test_sentence_transformers_by_name(monkeypatch):
    class Model:
        def __init__(self, name, local_files_only):
            assert local_files_only
            if name != "some/model":
                raise OSError("no such model\nand much more")

        def encode(self, texts, show_progress_bar):
            return np.ones((len(texts), 3), dtype=np.float32)

    module = type(sys)("sentence_transformers")
    module.SentenceTransformer = Model
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    assert make_encoder("sentence-transformers:some/model")(["a", "b"]).shape == (2, 3)
    with pytest.raises(InputError, match=r"cannot be loaded .*\(no such model\)"):
        make_encoder("sentence-transformers:other/model")


class Counting:
    """An encoder that remembers what it was asked."""

    name = "sentence-transformers:m"

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += texts
        return np.array([[len(text), 1 / 3] for text in texts])


def test_no_text_is_embedded_twice(tmp_path):
    path, inner = str(tmp_path / "cache"), Counting()
    texts = ["a", "bb", "a", "\ud800"]
    rows = CachedEncoder(inner.name, path, lambda: inner)(texts)
    np.testing.assert_array_equal(rows, inner(texts))
    assert inner.asked[:3] == ["a", "bb", "\ud800"]
    inner.asked.clear()
    again = CachedEncoder(inner.name, path, lambda: pytest.fail("the model is not needed"))
    np.testing.assert_array_equal(again(texts), rows)
    many = [str(i) for i in range(1200)]
    CachedEncoder(inner.name, path, lambda: inner)([*many, "a"])
    assert inner.asked == many
    # Another model has embeddings of its own.
    CachedEncoder("sentence-transformers:n", path, lambda: inner)(["a"])
    assert inner.asked[-1] == "a"


def test_caches_that_cannot_be_used(tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"something else" * 100)
    for path in (bad, tmp_path / "nowhere" / "cache"):
        with pytest.raises(InputError, match=f"--encoder-cache: {path}: "):
            CachedEncoder("m", str(path), Counting)
    grown = CachedEncoder("m", str(tmp_path / "cache"), Counting)
    grown(["a"])
    other = CachedEncoder("m", str(tmp_path / "cache"), lambda: lambda texts: np.ones((1, 3)))
    with pytest.raises(InputError, match="several lengths"):
        other(["a", "b"])
    with pytest.raises(InputError, match="tfidf has nothing to keep"):
        encoder_of(ReplayOptions(encoder_cache=str(tmp_path / "cache")))
