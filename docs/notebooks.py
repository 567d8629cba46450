"""Notebooks: from `notebooks/NAME.py`, in cells, to `NAME.ipynb` with what every cell prints.

`python docs/notebooks.py` runs them and writes the .ipynb files, which Jupyter opens and the site
shows. A cell of text begins with `# %% [markdown]`, a cell of code with `# %%`.
"""

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import jax

FOLDER = Path(__file__).parent / "notebooks"


def cells(text: str) -> list[tuple[str, str]]:
    """Kind ("markdown" or "code") and text of every cell."""
    found = []
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind = "markdown" if "[markdown]" in head else "code"
        body = body.strip("\n")
        found.append(
            (kind, re.sub(r"^# ?", "", body, flags=re.MULTILINE) if kind != "code" else body)
        )
    return found


def run(text: str) -> list[tuple[str, str, str]]:
    """Kind, text and output of every cell, run in order in one namespace."""
    names: dict[str, Any] = {}
    found = []
    for kind, body in cells(text):
        output = io.StringIO()
        if kind == "code":
            with contextlib.redirect_stdout(output):
                exec(compile(ast.parse(body), "<cell>", "exec"), names)
        found.append((kind, body, output.getvalue()))
    return found


def notebook(ran: list[tuple[str, str, str]]) -> dict[str, Any]:
    """The notebook as Jupyter stores it."""
    made = []
    for i, (kind, body, output) in enumerate(ran):
        cell = {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": _lines(body)}
        if kind == "code":
            stream = {"name": "stdout", "output_type": "stream", "text": _lines(output)}
            cell |= {"execution_count": None, "outputs": [stream] if output else []}
        made.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def page(path: Path) -> str:
    """A stored notebook as a page of the site, with a link to the file."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        body = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(body)
            continue
        parts.append(f"```python\n{body}\n```")
        parts += [
            f"``` {{ .text .output }}\n{''.join(x['text']).rstrip()}\n```" for x in cell["outputs"]
        ]
    title, _, rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n[This notebook as a file]({path.name})\n{rest}\n"


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Runs all notebooks and writes them."""
    for source in sorted(FOLDER.glob("*.py")):
        # Commands turn x64 on for their process, and other notebooks would draw other numbers.
        with jax.enable_x64(False):
            ran = run(source.read_text(encoding="utf-8"))
        text = json.dumps(notebook(ran), indent=1, ensure_ascii=False)
        source.with_suffix(".ipynb").write_text(text + "\n", encoding="utf-8")
        print(source.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
