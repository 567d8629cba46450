"""Parts of a page that fetches nothing: its shell, tables, pictures and lists of checks.

There is no script and no font, and a policy forbids the browser to fetch anything. Whatever comes
from a log is text and stays text.
"""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from dora_theory._errors import amount
from dora_theory.plots import style

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; overflow-wrap: anywhere }
h1, h2, h3 { line-height: 1.2 }
h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1.5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0.3rem 0 0.7rem }
.said { color: #555; margin: 1.4rem 0 0 }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid #e4e4e4;
  vertical-align: top }
th:first-child, td:first-child, td.words, th.words { text-align: left }
.wide { overflow-x: auto; overflow-wrap: break-word }
.wide th:first-child, .wide td:first-child { position: sticky; left: 0; background: #fff }
td small { color: #666; white-space: nowrap }
img { max-width: 100% }
.doubtful { color: #a03000; font-weight: 600 }
pre { font-size: 0.75rem }
@media print { pre { white-space: pre-wrap } }
.caveat { background: #f5f2e9; padding: 0.7rem 1rem }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, heading: str, body: str) -> str:
    """A whole page; title and heading are text, the body is HTML."""
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name='viewport' content='width=device-width'>\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(heading)}</h1>\n{body}</body>\n</html>\n"
    )


def checks(found: Sequence[dict[str, str]]) -> str:
    """What the checks of a log found, as a table."""
    rows = [
        f"<tr><td>{escape(c['check'])}</td><td class='words {escape(c['verdict'])}'>"
        f"{escape(c['verdict'])}</td><td class='words'>{escape(c['what'])}</td></tr>"
        for c in found
    ]
    head = "<tr><th>check</th><th class='words'>verdict</th><th class='words'>found</th></tr>"
    return f"<div class='wide'><table>{head}{''.join(rows)}</table></div>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table of cells that are HTML already; head and caption are text."""
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    said = f"<p class='said'>{escape(caption)}</p>\n" if caption else ""
    return f"{said}<div class='wide'><table><tr>{titles}</tr>\n{body}</table></div>\n"


def image(figure: Figure, words: str) -> str:
    """A picture as part of the page; `words` say what it shows."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<p><img alt="{escape(words)}" src="data:image/png;base64,{data}"></p>'


def section(
    heading: str,
    caveat: str,
    picture: str,
    tables: Iterable[tuple[str, Sequence[str], Sequence[Sequence[str]]]],
) -> list[str]:
    """A heading, what to beware of, a picture that is HTML, and tables of a caption and text."""
    return [
        f"<h3>{escape(heading)}</h3>",
        f"<p class='caveat'>{escape(caveat)}</p>",
        picture,
        *(
            table(head, [[escape(cell) for cell in row] for row in rows], words)
            for words, head, rows in tables
        ),
    ]


def page_of_logs(
    found: Sequence[Mapping[str, Any]],
    titles: Sequence[str],
    parts: Callable[[Any, str], list[str]],
    title: str,
    heading: str,
) -> str:
    """A page with a section per log: its `parts`, checks and notes."""
    sections = []
    for one, name in zip(found, titles, strict=True):
        notes = "".join(f"<li>{escape(note)}</li>" for note in one["notes"])
        pieces = [
            f"<h2>{escape(name)}</h2>\n<p>{escape(one['log'])}: "
            f"{amount(one['problems'], 'problem', ',')}, "
            f"{amount(one['samples'], 'solution', ',')}.</p>",
            *parts(one, name),
            "<h3>Is this log what it says?</h3>",
            checks(one["checks"]),
            f"<h3>Notes</h3>\n<ul>{notes}</ul>" if notes else "",
        ]
        sections.append("\n".join(pieces) + "\n")
    return page(f"{title}: {', '.join(titles)}", heading, "".join(sections))
