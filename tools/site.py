"""The hook of mkdocs.yml: pages that lie outside docs/, and links between the two.

In the repository a page is linked by its path, so that links work where the source is read. On the
site docs/ is the root: README.md is its first page, and the other pages and files that docs link
to are taken in under their own paths.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.reference.messages import NAME, make_messages

ROOT: Final = Path(__file__).resolve().parent.parent
HOME: Final = "README.md"
_FOUND_FIRST: Final = (NAME, "support/troubleshooting.md")
"""What somebody looks for who has a message before them."""
_NOT_FOUND: Final = ("adr/", "bench/", "tests/")
"""Decisions and raw figures have every word, and answer no reader's question."""
_LINK: Final = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]*)(?=[)#])")

_WIDE: Final = ("flavors.md", "zoo.md")
"""Their tables have the room of the table of contents too."""
_MANY_COLUMNS: Final = 6
_TABLE: Final = re.compile(r"<table>\n<thead>.*?</table>", re.DOTALL)
_CELL: Final = re.compile(r"<(t[hd])( [^>]*)?>(.*?)</\1>", re.DOTALL)
_STYLE: Final = "assets/site.css"
_CODE: Final = re.compile(r"`[^`\n]+`")


def find_site_path(path: str) -> str:
    """Return where a file of the repository lies on the site."""
    if path == HOME:
        return "index.md"
    return path.removeprefix("docs/")


def find_repository_path(path: str) -> str:
    """Return where a page of the site lies in the repository."""
    if path == "index.md":
        return HOME
    inside = f"docs/{path}"
    return inside if (ROOT / inside).is_file() else path


def list_outside(start: str = HOME) -> set[str]:
    """List the files outside docs/ that its pages, and those pages themselves, link to."""
    pages = [start, *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))]
    found = {start}
    while pages:
        page = pages.pop()
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in _LINK.findall(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
            if path.startswith("docs/") or path in found or not (ROOT / path).is_file():
                continue
            found.add(path)
            if path.endswith(".md"):
                pages.append(path)
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/, and the page that the code alone has."""
    for path in sorted(list_outside()):
        files.append(
            File.generated(config, find_site_path(path), content=(ROOT / path).read_bytes())
        )
    files.append(File.generated(config, NAME, content=make_messages()))
    style = Path(__file__).with_suffix(".css")
    files.append(File.generated(config, _STYLE, content=style.read_bytes()))
    return files


def _find_search(page: str) -> dict[str, bool | int] | None:
    """Return how a page takes part in the search; None for a usual one."""
    if page.startswith(_NOT_FOUND):
        return {"exclude": True}
    return {"boost": 4} if page in _FOUND_FIRST else None


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead each link to where its file lies on the site, and show a table's code as it is."""
    del config, files
    here = page.file.src_uri
    if (search := _find_search(here)) is not None:
        page.meta["search"] = search
    if here in _WIDE:
        page.meta["hide"] = ["toc"]
    folder = posixpath.dirname(find_repository_path(here))

    def lead(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        there = find_site_path(path)
        if link[1].endswith("/") or (ROOT / path).is_dir():
            there = find_site_path(f"{path}/README.md")
        return posixpath.relpath(there, posixpath.dirname(here) or ".")

    # GitHub wants a bar of a table's cell to be escaped, in code too; here it would be seen
    plain = _CODE.sub(lambda code: code[0].replace("\\|", "|"), markdown)
    return _LINK.sub(lead, plain)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Give each cell the name of its column: on a phone a row is shown as a list of its cells."""
    del page, config, files
    return _TABLE.sub(lambda found: _label_cells(found[0]), html)


def _label_cells(table: str) -> str:
    head, end, body = table.partition("</thead>")
    names = [re.sub(r"<[^>]+>", "", cell[2]) for cell in _CELL.findall(head)]
    places = itertools.cycle(names)

    def label(cell: re.Match[str]) -> str:
        return f'<td{cell[2] or ""} data-label="{next(places)}">{cell[3]}</td>'

    wide = " data-wide" if len(names) >= _MANY_COLUMNS else ""
    return head.replace("<table>", f"<table{wide}>") + end + _CELL.sub(label, body)
