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
    assert without_pictures(made) == without_pictures(stored)


def without_pictures(notebook):
    """Another version of matplotlib or of its fonts draws other bytes."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = "a picture"
    return notebook


def test_cells_of_text_and_code_are_split_at_their_heads():
    text = "# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1\n\n# %%\nprint(x)\n"
    assert notebooks.cells(text) == [
        ("markdown", "# Title\n\nWords."),
        ("code", "x = 1"),
        ("code", "print(x)"),
    ]
    *_, (_, _, [output]) = notebooks.run(text)
    assert output == {"output_type": "stream", "name": "stdout", "text": ["1\n"]}


def test_a_cell_shows_the_value_that_it_ends_with():
    class Table:
        _repr_html_ = staticmethod(lambda: "<table>\n\n</table>")

    found = notebooks.run("# %%\n'a'\n\n# %%\nx = 1\n")
    assert found[0][2][0]["data"] == {"text/plain": ["'a'"]}
    assert found[1][2] == []
    assert notebooks._shown(Table())["text/html"] == ["<table>\n", "\n", "</table>"]
