"""Notebooks: from `notebooks/NAME.py`, in cells, to `NAME.ipynb` with what every cell shows.

`python docs/notebooks.py` runs them and writes the .ipynb files, which Jupyter opens and the site
shows. A cell of text begins with `# %% [markdown]`, a cell of code with `# %%`. A cell of code
shows what it prints and, if it ends with an expression, that value: as text, as a table or picture
where it has one.
"""

import ast
import base64
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


def run(text: str) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Kind, text and outputs of every cell, run in order in one namespace."""
    names: dict[str, Any] = {}
    found = []
    for kind, body in cells(text):
        outputs = []
        if kind == "code":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                value = _run(ast.parse(body), names)
            if printed.getvalue():
                stream = _lines(printed.getvalue())
                outputs.append({"name": "stdout", "output_type": "stream", "text": stream})
            if value is not None:
                shown = {"metadata": {}, "execution_count": None, "data": _shown(value)}
                outputs.append({"output_type": "execute_result", **shown})
        found.append((kind, body, outputs))
    return found


def _run(cell: ast.Module, names: dict[str, Any]) -> Any:
    """The value of the expression that a cell ends with, None without one."""
    last = cell.body.pop() if cell.body and isinstance(cell.body[-1], ast.Expr) else None
    exec(compile(cell, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None


def _shown(value: Any) -> dict[str, Any]:
    """What Jupyter shows of a value, by kind."""
    data: dict[str, Any] = {"text/plain": _lines(repr(value))}
    if hasattr(value, "savefig"):
        picture = io.BytesIO()
        value.savefig(picture, format="png", dpi=100, metadata={"Software": None})
        data["image/png"] = base64.b64encode(picture.getvalue()).decode()
    elif hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    return data


def notebook(ran: list[tuple[str, str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """The notebook as Jupyter stores it."""
    made = []
    for i, (kind, body, outputs) in enumerate(ran):
        cell = {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": _lines(body)}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": outputs}
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
        parts += map(_on_page, cell["outputs"])
    title, _, rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n[This notebook as a file]({path.name})\n{rest}\n"


def _on_page(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![what the cell draws](data:image/png;base64,{data['image/png']})"
    if "text/html" in data:
        # In Markdown HTML ends at an empty line.
        return "".join(line for line in data["text/html"] if line.strip())
    text = "".join(output.get("text") or data["text/plain"])
    return f"``` {{ .text .output }}\n{text.rstrip()}\n```"


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
