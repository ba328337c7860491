"""The site of docs/, as `make docs` builds it, in headless Chromium: wide and narrow.

Screenshots stay in the folder that PACKAGER_SCREENSHOTS names, where it names one.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.browser import Page, find_browser, open_page

pytest.importorskip("mkdocs", reason="the group docs is not installed (`make docs` installs it)")
pytest.importorskip("material", reason="the group docs is not installed")
BROWSER: Final = find_browser()
ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (
    *("index", "CONTRIBUTING", "reference/messages"),
    *(
        path.relative_to(ROOT / "docs").with_suffix("").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if path.parent.name != "adr"
    ),
)
DRAWN: Final = frozenset(
    {
        *("index", "concepts", "flavors", "zoo", "guides/quickstart", "support/troubleshooting"),
        *("reference/command-line", "reference/environment-variables", "support/comparisons"),
    }
)
"""Pages whose screenshots are kept for people to look at."""
WIDER: Final = """
[...document.querySelectorAll('.md-typeset__scrollwrap, .md-typeset :is(td, th, h1, h2, h3)')]
.filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
.map((each) => each.innerText.slice(0, 60))
"""
"""What has to be moved sideways, or has words that leave their place. A line of code may."""
OVER_ONE_ANOTHER: Final = """
(() => {
  const parts = [...document.querySelectorAll('article.md-content__inner > *')]
    .filter((each) => getComputedStyle(each).float === 'none' && each.offsetHeight);
  const ends = parts.map((each) => each.getBoundingClientRect());
  return parts.slice(1)
    .filter((_, at) => ends[at + 1].top < ends[at].bottom - 1)
    .map((each) => each.innerText.slice(0, 60));
})()
"""
ASKED_OF_OTHERS: Final = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|"
    r"<link\b[^>]*\brel=\"?(?:stylesheet|preload|preconnect|icon)\"?[^>]*\bhref=\"?(?:https?:)?//|"
    r"url\([\"']?(?:https?:)?//"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built folder; a link or an anchor that leads nowhere ends the build."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with open_page(BROWSER, tmp_path_factory.mktemp("profile")) as page:
        yield page


def test_no_page_names_a_script_a_style_or_a_picture_of_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    found = {
        each.relative_to(site).as_posix(): match[0]
        for each in [*pages, *site.rglob("*.css"), *site.rglob("*.svg")]
        if (match := ASKED_OF_OTHERS.search(each.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_every_anchor_of_a_link_is_on_its_page(site: Path) -> None:
    """Strict mkdocs reads Markdown; this reads what came of it."""
    names = {
        each: {*re.findall(r"\bid=\"?([^\s\">]+)", each.read_text(encoding="utf-8"))}
        for each in site.rglob("*.html")
    }
    lost = []
    for page in names:
        for link in re.findall(r"<a\b[^>]*\bhref=\"?([^\s\">]+)", page.read_text("utf-8")):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//|/|$", path) and path:
                continue
            there = (page.parent / path).resolve() if path else page
            if there.suffix == ".html" and (
                there not in names or (anchor and anchor not in names[there])
            ):
                lost.append((page.relative_to(site).as_posix(), link))
    assert [each for each in lost if each[0] != "404.html"] == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_the_screen_and_asks_nobody_else(
    tab: Page, address: str, page: str, width: int
) -> None:
    tab.events.clear()
    tab.open(f"{address}/{page}.html", width=width, height=800)
    tab.wait("[...document.images].every((each) => each.complete)")

    beyond = tab.ask("document.documentElement.scrollWidth - window.innerWidth")
    broken = tab.ask(
        "[...document.images].filter((each) => !each.naturalWidth).map((each) => each.src)"
    )
    if page in DRAWN and (folder := os.environ.get("PACKAGER_SCREENSHOTS")):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.draw(Path(folder) / f"{page.replace('/', '-')}-{width}.png", height=1600)
    assert beyond <= 0
    assert tab.ask(WIDER) == []
    assert tab.ask(OVER_ONE_ANOTHER) == []
    assert broken == []
    assert {re.match(r"\w+:(//[^/]+)?", each)[0] for each in tab.list_requests()} <= {  # type: ignore[index]
        address,
        "data:",
    }
    assert tab.list_complaints() == []


def test_a_row_is_a_list_of_named_cells_where_a_table_has_no_room(tab: Page, address: str) -> None:
    cell = "document.querySelectorAll('.md-typeset tbody tr')[1].children[1]"
    shown = {}
    for width in (390, 1280):
        tab.open(f"{address}/flavors.html", width=width)
        shown[width] = tab.ask(f"getComputedStyle({cell}, '::before').content")

    assert tab.ask(f"{cell}.dataset.label") == "how it is loaded"
    assert shown == {390: '"how it is loaded: "', 1280: "none"}


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("do not resolve to wheels", "troubleshooting"),
        ("is a link that leaves the model's folder", "messages"),
        ("zappa_settings", "zappa"),
    ],
)
def test_a_message_is_found_by_its_words(tab: Page, address: str, words: str, page: str) -> None:
    tab.open(f"{address}/index.html?q={words.replace(' ', '+')}")
    results = "[...document.querySelectorAll('.md-search-result__link')].map((each) => each.href)"
    tab.wait(f"{results}.length > 0")

    assert any(page in each for each in tab.ask(results)), tab.ask(results)
