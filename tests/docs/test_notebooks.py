"""Stored notebooks are what their cells print when they are run."""

import json

import jax
import notebooks
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("source", sorted(notebooks.FOLDER.glob("*.py")), ids=lambda x: x.stem)
def test_a_notebook_prints_what_is_stored(source):
    before = jax.config.jax_enable_x64
    try:
        made = notebooks.notebook(notebooks.run(source.read_text(encoding="utf-8")))
    finally:
        jax.config.update("jax_enable_x64", before)
    stored = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    assert made == stored


def test_cells_of_text_and_code_are_split_at_their_heads():
    text = "# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1\n\n# %%\nprint(x)\n"
    assert notebooks.cells(text) == [
        ("markdown", "# Title\n\nWords."),
        ("code", "x = 1"),
        ("code", "print(x)"),
    ]
    assert [output for *_, output in notebooks.run(text)] == ["", "", "1\n"]
