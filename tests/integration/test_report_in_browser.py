"""report.html in headless Chromium: what is drawn, what is asked of others, and what runs.

Screenshots stay in the folder that PACKAGER_SCREENSHOTS names, where it names one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packager.commands.artifact.report_page import render_page
from packager.commands.difference.page import render_difference
from tests.browser import Page, find_browser, open_page
from tests.unit.commands.artifact.report_pages import DRIFT, build, make_hostile, read
from tests.unit.commands.difference import compared

BROWSER = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]
DRAWN = (
    "document.querySelectorAll('[data-chart]').length > 0 && "
    "[...document.querySelectorAll('[data-chart]')].every((each) => each.dataset.drawn)"
)
CHARTS = {
    *("before", "after", "passes", "rows", "differences", "start", "answers", "imports-before"),
    *("imports-after", "limits", "costs", "margins", "drift"),
}
"""All that a page can have: the figures of each are compared with the evidence below."""
TEXTS = "[...document.querySelectorAll('[data-chart=\"{}\"] text')].map((each) => each.textContent)"
CONTRAST = """(() => {
  const light = (text) => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : color;
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && each.textContent.trim())
    .filter((each) => !each.closest("svg, script"))
    .map((each) => {
      const [one, other] = [light(getComputedStyle(each).color), light(behind(each))].sort();
      return [each.outerHTML.slice(0, 80), (other + 0.05) / (one + 0.05)];
    }).filter(([, ratio]) => ratio < 4.5);
})()"""
"""Texts with less contrast than https://www.w3.org/TR/WCAG22/#contrast-minimum asks for."""

CHART_CONTRAST = """(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("svg, svg * { pointer-events: all !important }");
  document.adoptedStyleSheets = [sheet];
  const parse = (text) => {
    const parts = (text.match(/[\\d.]+/g) || []).map(Number);
    return parts.length < 3 ? null : [...parts.slice(0, 3), parts.length > 3 ? parts[3] : 1];
  };
  const over = (top, under, part) => top.slice(0, 3)
    .map((each, at) => each * part + under[at] * (1 - part));
  const light = (color) => color.slice(0, 3).map((each) => each / 255)
    .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    const color = parse(getComputedStyle(element).backgroundColor);
    return color[3] === 0 ? behind(element.parentElement) : color;
  };
  const found = [];
  let looked = 0;
  for (const each of document.querySelectorAll("[data-chart] svg text")) {
    if (!each.textContent.trim()) continue;
    each.scrollIntoView({ block: "center" });
    const box = each.getBoundingClientRect(), style = getComputedStyle(each);
    if (!box.width) continue;
    const stack = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const shapes = stack.filter((one) => one.closest("svg") === each.closest("svg"))
      .filter((one) => one !== each && !one.closest("text"))
      .filter((one) => !["svg", "g"].includes(one.localName));
    let color = behind(each.closest("svg").parentElement);
    for (const shape of shapes.reverse()) {
      const fill = getComputedStyle(shape), top = fill.fill === "none" ? null : parse(fill.fill);
      if (top) color = over(top, color, top[3] * Number(fill.fillOpacity) * Number(fill.opacity));
    }
    const ink = over(parse(style.fill), color, Number(style.fillOpacity) * Number(style.opacity));
    const [one, other] = [light(ink), light(color)].sort((a, b) => a - b);
    looked += 1;
    const ratio = (other + 0.05) / (one + 0.05), chart = each.closest("[data-chart]").dataset.chart;
    if (ratio < 4.5) found.push([chart, each.textContent, ratio]);
  }
  document.adoptedStyleSheets = [];
  return { looked, found };
})()"""
"""The same of texts in charts: each over the shapes that are drawn below it."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return read(build(tmp_path_factory.mktemp("artifact")))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert BROWSER is not None
    with open_page(BROWSER, tmp_path_factory.mktemp("profile")) as page:
        yield page


def _open(tab: Page, path: Path, text: str, **how: Any) -> None:
    """Load the page, and wait until every chart is drawn."""
    path.write_text(text, encoding="utf-8")
    tab.events.clear()
    tab.open(path.as_uri(), height=6000, **how)
    tab.wait(DRAWN)


def assert_charts_are_readable(tab: Page) -> None:
    found = tab.ask(CHART_CONTRAST)
    assert found["looked"] > 20
    assert found["found"] == []


def _keep(tab: Page, name: str) -> None:
    if folder := os.environ.get("PACKAGER_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.draw(Path(folder) / name)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_chart_is_drawn_in_silence(
    tab: Page,
    documents: tuple[Any, Any],
    tmp_path: Path,
    dark: bool,  # noqa: FBT001
) -> None:
    _open(tab, tmp_path / "page.html", render_page(*documents, DRIFT), dark=dark)
    _keep(tab, f"report-{'dark' if dark else 'light'}.png")

    assert tab.list_complaints() == []
    assert set(tab.list_requests()) <= {(tmp_path / "page.html").as_uri(), "data:,"}
    assert tab.ask(CONTRAST) == []
    assert_charts_are_readable(tab)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_comparison_is_drawn_in_silence(tab: Page, tmp_path: Path, dark: bool) -> None:  # noqa: FBT001
    _open(tab, tmp_path / "page.html", render_difference(compared.make()), dark=dark)
    _keep(tab, f"difference-{'dark' if dark else 'light'}.png")

    assert tab.list_complaints() == []
    assert set(tab.list_requests()) <= {(tmp_path / "page.html").as_uri(), "data:,"}
    assert tab.ask(CONTRAST) == []
    assert_charts_are_readable(tab)
    assert {"25 %", "62.5 %"} <= set(tab.ask(TEXTS.format("shares")))
    assert {"A", "B", "scipy", "+400 B"} <= set(tab.ask(TEXTS.format("growth")))
    assert {"the same", "1e-3 to 1e-2", "4"} <= set(tab.ask(TEXTS.format("apart-0")))
    assert "to 30" in tab.ask(TEXTS.format("groups-0"))


def test_the_charts_show_the_figures_of_the_evidence(
    tab: Page, documents: tuple[Any, Any], tmp_path: Path
) -> None:
    _open(tab, tmp_path / "page.html", render_page(*documents, DRIFT))

    assert {"1,018", "1,209"} <= set(tab.ask(TEXTS.format("rows")))
    assert {"2,376 ms", "350 ms"} <= set(tab.ask(TEXTS.format("start")))
    assert {"-1.0 kB", "+500 B", "prune", "bytecode"} <= set(tab.ask(TEXTS.format("passes")))
    assert {"the same", "2,190", "1e-9 to 1e-8", "30"} <= set(tab.ask(TEXTS.format("differences")))
    assert {"handlers.aws_lambda", "sklearn.tree"} <= set(tab.ask(TEXTS.format("imports-after")))
    costs = tab.ask(TEXTS.format("costs"))
    assert {"0.01 / s", "100 / s"} <= set(costs)
    assert any(each.startswith("$") and each.endswith("aws-lambda") for each in costs)
    assert any("? " in each for each in costs)
    assert any(each.startswith("aws-lambda: ") for each in tab.ask(TEXTS.format("margins")))
    assert "18 to 30" in tab.ask(TEXTS.format("drift"))
    evidence = documents[0]
    for when, chart in (("before", "before"), ("after", "after")):
        sums = {name: sum(each.values()) for name, each in evidence["sizes"][when].items()}
        texts = tab.ask(TEXTS.format(chart))
        largest = sorted(sums, key=lambda name: sums[name])[-3:]
        # a small rectangle has no room for its text
        assert any(f"▶ {name}" in texts for name in largest)
        assert any(_write_bytes(sums[name]) in texts for name in largest)
    cold = evidence["evidence"]["cold_start"]
    for rows, ms in cold["invoke_ms_by_rows"].items():
        assert {f"{rows} row{'s' * (rows != '1')}", f"{ms:g} ms"} <= {
            *tab.ask(TEXTS.format("answers"))
        }
    names = {each["name"] for each in evidence["evidence"]["imports"]["before"]}
    assert names <= {*tab.ask(TEXTS.format("imports-before"))}
    peak, most = cold["peak_rss_bytes"], documents[1]["memory_mb"] << 20
    assert {f"{100 * peak / most:.1f} %", "Start"} <= {*tab.ask(TEXTS.format("limits"))}
    drawn = tab.ask("[...document.querySelectorAll('[data-chart]')].map((e) => e.dataset.chart)")
    assert {*drawn} == CHARTS


def _write_bytes(count: int) -> str:
    return f"{count / 1000:.1f} kB" if count >= 1000 else f"{count} B"


def test_a_package_is_entered_and_a_column_chosen_by_the_keyboard(
    tab: Page, documents: tuple[Any, Any], tmp_path: Path
) -> None:
    evidence, report = documents
    sizes = {"numpy": {"_core": 600, "lib": 400}, "six": {"other files": 300}}
    evidence = evidence | {"sizes": {"before": sizes, "after": sizes}}
    _open(tab, tmp_path / "page.html", render_page(evidence, report, DRIFT))
    assert not any("_core" in each for each in tab.ask(TEXTS.format("after")))

    tab.ask("document.querySelector('[data-controls=\"after\"] select').focus()")
    tab.press("ArrowDown")
    tab.wait(f"{TEXTS.format('after')}.some((each) => each.includes('_core'))")
    tab.press("ArrowUp")
    tab.wait(f"{TEXTS.format('after')}.some((each) => each.includes('six'))")
    tab.ask("document.querySelector('[data-controls=\"imports-before\"] select').focus()")
    tab.press("ArrowDown")
    tab.press("ArrowDown")
    tab.wait(f"!{TEXTS.format('imports-before')}.includes('handlers.aws_lambda')")
    assert "scipy.sparse" in tab.ask(TEXTS.format("imports-before"))
    tab.ask("document.querySelector('[data-controls=\"drift\"] select').focus()")
    tab.press("ArrowDown")
    tab.wait(f"{TEXTS.format('drift')}.includes('others')")

    assert tab.list_complaints() == []


def test_a_large_page_is_painted_before_its_charts_are_drawn(
    tab: Page, documents: tuple[Any, Any], tmp_path: Path
) -> None:
    evidence, report = documents
    parts = {f"package_{at}": {f"part_{at}_{one}": 1000 for one in range(120)} for at in range(900)}
    evidence = evidence | {"sizes": {"before": parts, "after": parts}}
    text = render_page(evidence, report, DRIFT)
    assert len(text) > 5_000_000
    (tmp_path / "page.html").write_text(text, encoding="utf-8")

    tab.events.clear()
    tab.open((tmp_path / "page.html").as_uri())
    tab.wait("document.querySelector('[data-chart]').dataset.drawn")

    painted = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert tab.ask(f"{painted} < Number(document.documentElement.dataset.loaded)")
    assert tab.list_complaints() == []
    assert not tab.ask("document.querySelector('[data-chart=\"drift\"]').dataset.drawn")
    # the least of a few: other programs slow this one down, and none makes it faster
    assert min(tab.measure_paint((tmp_path / "page.html").as_uri()) for _ in range(3)) < 80


def test_the_charts_fit_the_sheet_that_is_printed(
    tab: Page, documents: tuple[Any, Any], tmp_path: Path
) -> None:
    _open(tab, tmp_path / "page.html", render_page(*documents, DRIFT))
    widths = "[...document.querySelectorAll('[data-chart] svg')].map((each) => each.clientWidth)"
    closed = "document.querySelectorAll('details:not([open])').length"
    before = tab.ask(widths), tab.ask(closed)
    assert max(before[0]) > 700
    assert before[1] > 0

    tab.ask("dispatchEvent(new Event('beforeprint'))")
    assert max(tab.ask(widths)) <= 700
    assert tab.ask(closed) == 0
    tab.ask("dispatchEvent(new Event('afterprint'))")

    assert (tab.ask(widths), tab.ask(closed)) == before
    assert tab.list_complaints() == []


def test_a_hostile_name_runs_nothing(tab: Page, documents: tuple[Any, Any], tmp_path: Path) -> None:
    _open(tab, tmp_path / "page.html", render_page(*make_hostile(*documents)))
    _keep(tab, "report-hostile.png")

    assert tab.list_complaints() == []
    assert set(tab.list_requests()) <= {(tmp_path / "page.html").as_uri(), "data:,"}
    assert tab.ask("document.title") != "taken"
    assert tab.ask("document.querySelectorAll('img, iframe, object').length") == 0


def test_the_policy_refuses_a_script_that_somebody_adds(
    tab: Page, documents: tuple[Any, Any], tmp_path: Path
) -> None:
    added = "<script>document.title = 'taken'</script><img src='http://127.0.0.1:9/x'></body>"
    text = render_page(*documents).replace("</body>", added)
    _open(tab, tmp_path / "page.html", text)

    assert tab.ask("document.title") != "taken"
    assert any("Content Security Policy" in each for each in tab.list_complaints())
