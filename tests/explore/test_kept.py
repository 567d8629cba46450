"""A kept program gives what its function gives, is traced once, and is another where it must be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from dora_theory.explore import kept
from dora_theory.strategies.problems import Problems

pytest.importorskip("flatbuffers", reason="needs the extra explore")
TRACED = []


def doubled(problems, number):
    TRACED.append(problems.scores.shape)
    return {"sum": jnp.sum(problems.scores * problems.mask) * 2, "number": number + 1}


@pytest.fixture
def folder(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compilation_cache.reset_cache()
    TRACED.clear()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def run(width):
    # As in another process.
    kept._compiled.cache_clear()
    scores = np.linspace(0.1, 0.9, width)[None]
    arguments = Problems(scores=scores, mask=scores > 0.4), np.array(3)
    found = kept.kept(doubled, *arguments)(*jax.tree.leaves(arguments))
    assert found["sum"] == pytest.approx(2 * scores[scores > 0.4].sum(), rel=1e-6)
    assert found["number"] == 4


def test_a_function_is_traced_once_for_its_shapes(folder):
    run(4)
    run(4)
    assert TRACED == [(1, 4)]
    run(5)
    assert TRACED == [(1, 4), (1, 5)]
    assert len(list(folder.glob("traced-*"))) == 2


def test_other_sources_and_precision_are_traced_anew(folder, monkeypatch):
    run(4)
    with jax.enable_x64(True):
        run(4)
    monkeypatch.setattr(kept, "_sources", lambda: "changed")
    run(4)
    assert len(TRACED) == 3


def test_a_folder_that_takes_no_file_does_no_harm(folder):
    folder.rmdir()
    run(4)
    run(4)
    assert len(TRACED) == 2
