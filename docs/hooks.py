"""What mkdocs makes while it builds: pages that are generated, boxes of claims, MathML.

Formulas become MathML here, which browsers show by themselves, so that no script is fetched.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

import dora_theory

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import claims  # noqa: E402
import formulas  # noqa: E402
import notebooks  # noqa: E402
import pages  # noqa: E402


def on_config(config: Any) -> Any:
    """The version, at the foot of every page."""
    config.copyright = f"dora-theory {dora_theory.__version__}"
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made, and the pictures and pages of numbers that they show."""
    made = {"gallery.md": pages.gallery(), "cli.md": pages.command_line()}
    made |= {f"api/{name}": text for name, text in pages.api().items()}
    made |= {f"proofs/{name}": text for name, text in pages.proofs().items()}
    for stored in sorted(notebooks.FOLDER.glob("*.ipynb")):
        made[f"notebooks/{stored.stem}.md"] = notebooks.page(stored)
    for numbers in sorted((ROOT / "figures").glob("*.md")):
        if numbers.name != "README.md":
            made[f"figures/{numbers.name}"] = numbers.read_text(encoding="utf-8")
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for kind in ("png", "svg"):
        for picture in sorted((ROOT / "figures").glob(f"*.{kind}")):
            name = f"figures/{picture.name}"
            files.append(File.generated(config, name, content=picture.read_bytes()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Claims where a page asks for them."""
    markdown = markdown.replace("<!-- counts of claims -->", claims.counts())
    return re.sub(r"<!-- claims of (\w+) -->", lambda found: claims.boxes(found[1]), markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Formulas as MathML, links from public names to their documentation, and line breaks."""
    return _breaking(_linked(formulas.replaced(html), page))


def on_post_build(config: Any) -> None:
    """Leaves this file out of the site."""
    shutil.rmtree(Path(config["site_dir"]) / "__pycache__", ignore_errors=True)


def _linked(html: str, page: Any) -> str:
    names = pages.public()
    in_api = page.file.src_uri.startswith("api/")

    def link(found: re.Match[str]) -> str:
        kept, dotted, name = found.groups()
        # A bare name is a public one only where nothing else has it.
        if kept or name not in names or not (dotted or in_api):
            return found[0]
        to = pages.place(name)
        return f'<a href="{get_relative_url(to, page.url)}">{found[0]}</a>'

    return re.sub(
        r"(<a\b.*?</a>|<h\d.*?</h\d>|<pre.*?</pre>)|<code>(dt\.)?(\w+)</code>",
        link,
        html,
        flags=re.DOTALL,
    )


def _breaking(html: str) -> str:
    """Lets inline code break after its punctuation, so that no word in it is split."""

    def broken(found: re.Match[str]) -> str:
        # Punctuation before a letter or an opening tag; never inside a tag.
        return re.sub(
            r"<[^>]*>|[_./=:([](?=[A-Za-z]|<\w)",
            lambda mark: mark[0] if mark[0][0] == "<" else f"{mark[0]}<wbr>",
            found[0],
        )

    return re.sub(
        r"<pre.*?</pre>|<code>.*?</code>",
        lambda found: found[0] if found[0].startswith("<pre") else broken(found),
        html,
        flags=re.DOTALL,
    )
