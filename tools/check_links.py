"""Find dead links without a network: ``python tools/check_links.py FOLDER`` for a built site, ``FILE.md …`` for pages.

Links within must lead to a file that is there, and to a heading or anchor in it. Links to other sites must be well
formed; they are not opened. A built site must not load anything from another site.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+", re.IGNORECASE)
#: Elements, and their attributes, that a browser fetches by itself.
_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
_FETCHED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch"}


@dataclass
class Page(HTMLParser):
    """Where a page's links lead, what it fetches, and the anchors it has."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take notice of an element."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and _FETCHED_LINKS & set(found.get("rel", "").split()):
            self.fetched.append(found.get("href", ""))
        elif found.get(_FETCHED.get(tag, "")):
            self.fetched.append(found[_FETCHED[tag]])


@cache
def page_of(path: Path) -> Page:
    """Return what a page of HTML or Markdown holds."""
    page = Page()
    text = path.read_text(encoding="utf-8")
    page.feed(text if path.suffix == ".html" else as_html(text))
    return page


def as_html(markdown: str) -> str:
    """Return Markdown as HTML, with the anchors that code hosts give to headings."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slug(inline.content))
    return str(parser.renderer.render(tokens, parser.options, {}))


def slug(heading: str) -> str:
    """Return a heading's anchor, as GitHub and MyST make it."""
    words = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")


def problems(path: Path) -> Iterator[str]:
    """Yield what is wrong with the links of a page."""
    page = page_of(path)
    for link in page.fetched:
        if urlsplit(link).netloc:
            yield f"{path}: it loads {link} from another site"
    for link in [*page.links, *page.fetched]:
        trouble = trouble_with(link, path)
        if trouble:
            yield f"{path}: {link!r} {trouble}"


def trouble_with(link: str, page: Path) -> str:
    """Return what is wrong with a link on a page; empty if nothing is."""
    parts = urlsplit(link)
    if parts.scheme in ("mailto", "data"):
        return ""
    if parts.scheme or parts.netloc:
        good = parts.scheme in ("http", "https") and parts.hostname and _HOST.fullmatch(parts.hostname)
        return "" if good and " " not in link else "is not a well-formed address"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir() and page.suffix == ".html":
        target /= "index.html"
    if not target.exists():
        return "leads to no file"
    known = target.suffix in (".html", ".md")
    anchor = unquote(parts.fragment)
    return f"leads to no #{anchor} there" if anchor and known and anchor not in page_of(target).anchors else ""


def main() -> int:
    """Print each dead link; return how it went."""
    parser = argparse.ArgumentParser(description="Find dead links without a network.")
    parser.add_argument("paths", nargs="+", type=Path, help="folders with HTML, or pages")
    pages = [
        page
        for path in parser.parse_args().paths
        for page in (sorted(path.rglob("*.html")) if path.is_dir() else [path])
    ]
    if not pages:
        print("There are no pages to look at.", file=sys.stderr)
        return 1
    found = [problem for page in pages for problem in problems(page)]
    for problem in found:
        print(problem, file=sys.stderr)
    count = sum(len(page_of(page).links) for page in pages)
    print(f"{count:,} links on {len(pages)} pages: {len(found) or 'none'} dead.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
