"""What mkdocs makes while it builds: the gallery, the API pages, boxes of claims, MathML.

Formulas become MathML here, which browsers show by themselves, so that no script is fetched.
"""

import ast
import re
import shutil
import sys
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

import dora_theory

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import claims  # noqa: E402

_FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made, and the pictures and pages of numbers that they show."""
    for name, text in {"gallery.md": gallery(), "api.md": api()}.items():
        files.append(File.generated(config, name, content=text))
    for name, text in proofs().items():
        files.append(File.generated(config, f"proofs/{name}", content=text))
    for numbers in sorted((ROOT / "figures").glob("*.md")):
        if numbers.name != "README.md":
            name, text = f"figures/{numbers.name}", numbers.read_text(encoding="utf-8")
            files.append(File.generated(config, name, content=text))
    for picture in sorted((ROOT / "figures").glob("*.png")):
        name = f"figures/{picture.name}"
        files.append(File.generated(config, name, content=picture.read_bytes()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Claims where a page asks for them."""
    markdown = markdown.replace("<!-- counts of claims -->", claims.counts())
    return re.sub(r"<!-- claims of (\w+) -->", lambda found: claims.boxes(found[1]), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Formulas as MathML."""
    return _FORMULA.sub(_as_mathml, html)


def on_post_build(config: Any) -> None:
    """Leaves this file out of the site."""
    shutil.rmtree(Path(config["site_dir"]) / "__pycache__", ignore_errors=True)


def gallery() -> str:
    """`figures/README.md`, seen from the folder above."""
    text = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((?!https?:)(\w+\.png)\)", r"](figures/\1)", text)
    return re.sub(r"\]\((?!https?:)(\w+\.md)\)", r"](figures/\1)", text)


def proofs() -> dict[str, str]:
    """`proofs/README.md`, and each file of proofs as a page on which theorems can be linked."""
    pages = {}
    readme = (ROOT / "proofs" / "README.md").read_text(encoding="utf-8")
    pages["index.md"] = re.sub(r"\]\((\w+)\.v(#\w+)?\)", r"](\1.md\2)", readme)
    for source in sorted((ROOT / "proofs").glob("*.v")):
        whole = source.read_text(encoding="utf-8")
        parts = re.split(r"^(?=(?:Theorem|Corollary) (\w+))", whole, flags=re.MULTILINE)
        text = [f"# {source.stem}", f"```coq\n{parts[0].strip()}\n```"]
        for name, part in zip(parts[1::2], parts[2::2], strict=True):
            text += [f"## {name} {{ #{name} }}", f"```coq\n{part.strip()}\n```"]
        pages[f"{source.stem}.md"] = "\n\n".join(text) + "\n"
    return pages


def api() -> str:
    """All public names by module."""
    lines = [
        "# API",
        "Everything that `import dora_theory as dt` offers, and nothing else is public. Arrays are "
        "NumPy's or JAX's; leading axes are batch axes; `mask` is false for padding.",
    ]
    for module, names in _public().items():
        lines += [f"## {module.rpartition('.')[2].replace('_', ' ')}"]
        lines += [
            f"::: dora_theory.{module}.{name}\n    options:\n      heading_level: 3"
            for name in names
        ]
    return "\n\n".join(lines) + "\n"


def _public() -> dict[str, list[str]]:
    """Modules with their public names, from the stub that lists them."""
    stub = Path(dora_theory.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module, []).extend(alias.name for alias in node.names)
    return found


def _as_mathml(found: re.Match[str]) -> str:
    tag, text = found[1], unescape(found[2]).strip()
    # What the converter does not know.
    text = re.sub(r"\\[Bb]ig+(?=\\)", "", text).replace(r"\arg", r"\operatorname{arg}")
    # \( … \) and \[ … \].
    formula = text[2:-2].strip()
    if tag == "span":
        return convert(formula, display="inline")
    return f'<div class="formula">{convert(formula, display="block")}</div>'
