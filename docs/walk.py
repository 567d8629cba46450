"""Follows every link of the built site, without a network: `python docs/walk.py [FOLDER]`.

A link leads to a file of the site and, after #, to something there of that name; what a page loads
(scripts, styles, pictures) is in the site too. Links to other sites are counted only.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Targets and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag leads to, loads and is called."""
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon"):
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])


def broken(site: Path) -> Iterator[str]:
    """What leads nowhere, a line each."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links start at the root of a server
        here = path.relative_to(site.resolve())
        yield from (f"{here}: loads {load}" for load in page.loads if urlsplit(load).netloc)
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield f"{here}: {link}: no such file"
            elif parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{here}: {link}: no such place"


def main() -> int:
    """Prints what is broken; 1 if anything is."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ".cache/site")
    found = list(broken(site))
    print(
        "\n".join(found) or f"{len(list(site.rglob('*.html')))} pages: every link leads somewhere"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
