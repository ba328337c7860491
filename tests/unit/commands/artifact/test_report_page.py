"""report.html: figures of the evidence, nothing from elsewhere, and names that stay text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from packager.commands.artifact.report_page import embed_json, render_page
from packager.commands.artifact.report_page.costs import RATES
from packager.commands.artifact.report_page.figures import (
    format_bytes,
    format_ms,
    show_controls,
)
from packager.commands.artifact.report_page.sections import Documents
from packager.commands.artifact.report_page.views import describe_drift, list_sections
from packager.commands.inspect import inspect_artifact
from packager.commands.targets.workload import Workload
from packager.system import resources
from tests.unit.commands.artifact.report_pages import (
    DRIFT,
    HOSTILE,
    Parsed,
    build,
    make_hostile,
    read,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def documents(folder: Path) -> tuple[Any, Any]:
    return read(folder)


@pytest.fixture(scope="module")
def page(documents: tuple[Any, Any]) -> Parsed:
    return Parsed(render_page(*documents, DRIFT))


def test_the_build_writes_the_page_of_its_own_documents(
    folder: Path, documents: tuple[Any, Any]
) -> None:
    written = (folder / "report.html").read_text(encoding="utf-8")

    assert written == render_page(*documents)
    assert "report.html" in documents[1]["emitted"]
    assert not list((folder / "function").rglob("report.html"))


def test_two_builds_write_the_same_page(folder: Path, tmp_path: Path) -> None:
    again = build(tmp_path)

    assert (again / "report.html").read_bytes() == (folder / "report.html").read_bytes()


def test_every_section_is_there(page: Parsed) -> None:
    keys = [given["id"] for tag, given in page.elements if tag == "section"]

    assert keys == ["sizes", "passes", "proof", "start", "limits", "costs", "decisions", "drift"]


def test_the_treemaps_have_the_sizes_of_the_evidence(
    page: Parsed, documents: tuple[Any, Any]
) -> None:
    for side in ("before", "after"):
        nodes = page.charts[side]["nodes"]

        assert {each["name"]: each["parts"] for each in nodes} == documents[0]["sizes"][side]


def test_the_waterfall_has_the_passes_of_the_evidence(
    page: Parsed, documents: tuple[Any, Any]
) -> None:
    assert page.charts["passes"]["steps"] == [
        {"name": each["name"], "before": each["bytes_before"], "after": each["bytes_after"]}
        for each in documents[0]["ledger"]
    ]


def test_the_other_charts_have_the_figures_of_the_evidence(
    page: Parsed, documents: tuple[Any, Any]
) -> None:
    evidence, report = documents[0]["evidence"], documents[1]
    bars = {
        key: {each["name"]: each["value"] for each in chart["rows"]}
        for key, chart in page.charts.items()
        if chart["kind"] == "bars"
    }

    assert bars["rows"] == {
        "slimmed by": evidence["rows_compared"],
        "held out": evidence["unseen_rows"],
    }
    assert bars["start"] == {
        "declared environment": evidence["declared_start_cpu_ms"],
        "this artifact": evidence["cold_start"]["init_cpu_ms"],
    }
    assert bars["answers"] == {"1 row": 4.5, "100 rows": 9.0}
    limits = report["target"]["limits"]
    assert bars["limits"]["Unzipped"] == pytest.approx(
        100 * report["unzipped_bytes"] / limits["unzipped_bytes"]
    )


def test_the_differences_are_counted_as_the_evidence_counts_them(
    page: Parsed, documents: tuple[Any, Any]
) -> None:
    told = documents[0]["evidence"]["differences"]
    bars = {each["name"]: each["value"] for each in page.charts["differences"]["rows"]}

    assert told == {"equal": 2190, "random": 12, "by_power": {"-9": 30, "-7": 7}}
    assert bars == {"the same": 2190, "1e-9 to 1e-8": 30, "1e-8 to 1e-7": 0, "1e-7 to 1e-6": 7}
    assert {"2190", "30", "7", "12"} <= set(page.values)


@pytest.mark.parametrize("told", [None, {"equal": 0, "random": 0, "by_power": {}}])
def test_without_counted_differences_there_is_no_histogram(
    documents: tuple[Any, Any], told: Any
) -> None:
    evidence, report = json.loads(json.dumps(documents))
    evidence["evidence"]["differences"] = told

    assert "differences" not in Parsed(render_page(evidence, report)).charts


@pytest.mark.parametrize("power", ["400", "-1000000000", "x"])
def test_a_difference_that_no_number_can_have_is_refused(
    documents: tuple[Any, Any], power: str
) -> None:
    evidence, report = json.loads(json.dumps(documents))
    evidence["evidence"]["differences"]["by_power"] = {power: 1, "0": 1}

    with pytest.raises(ValueError, match=r"no power of ten|invalid literal"):
        render_page(evidence, report)


def test_the_flame_graphs_have_the_imports_of_the_evidence(
    page: Parsed, documents: tuple[Any, Any]
) -> None:
    told = documents[0]["evidence"]["imports"]

    assert [*told] == ["after", "before"]
    for when, tree in told.items():
        chart = page.charts[f"imports-{when}"]
        rows = [(each["name"], each["depth"], each["ms"]) for each in chart["rows"]]
        assert rows == [(each["name"], each["depth"], each["cpu_ms"]) for each in tree]
        assert chart["most"] == 340.0
        assert {str(each["cpu_ms"]) for each in tree} <= set(page.values)
    colors = [
        {each["name"]: each["color"] for each in page.charts[f"imports-{when}"]["rows"]}
        for when in told
    ]
    assert colors[0] == colors[1]
    assert colors[0]["numpy"] != colors[0]["json"]


def test_without_imports_there_is_no_flame_graph(documents: tuple[Any, Any]) -> None:
    evidence, report = json.loads(json.dumps(documents))
    del evidence["evidence"]["imports"]

    assert not [key for key in Parsed(render_page(evidence, report)).charts if "imports" in key]


def test_an_import_that_stands_inside_of_none_is_refused(documents: tuple[Any, Any]) -> None:
    evidence, report = json.loads(json.dumps(documents))
    evidence["evidence"]["imports"]["after"][0]["depth"] = 3

    with pytest.raises(ValueError, match="inside of none"):
        render_page(evidence, report)


def test_the_costs_are_those_of_inspect(
    folder: Path, page: Parsed, documents: tuple[Any, Any]
) -> None:
    chart = page.charts["costs"]
    assert chart["groups"] == ["0.01 / s", "0.1 / s", "1 / s", "10 / s", "100 / s"]
    for number, rate in enumerate(RATES):
        told = inspect_artifact(folder, Workload(requests_per_second=rate))["targets"]
        ways = [way for each in told for way in each["ways"]]
        cheapest = {
            each["target"]: each["ways"][0]["dollars_a_month"]["total"]
            for each in told
            if each["fits"] and each["ways"]
        }
        assert {each["name"]: each["values"][number] for each in chart["series"]} == cheapest
        assert {str(way["dollars_a_month"]["total"]) for way in ways} <= set(page.values)
        marks = {
            each["name"]: "?" in each["told"][number].partition(",")[0] for each in chart["series"]
        }
        unchecked = {each["target"]: not each["ways"][0]["checked"] for each in told}
        assert marks == {name: unchecked[name] for name in cheapest}


def test_the_limits_of_every_target_are_those_of_inspect(folder: Path, page: Parsed) -> None:
    told = inspect_artifact(folder, Workload())["targets"]

    shown = {each["name"]: each["value"] for each in page.charts["margins"]["rows"]}
    known = {
        f"{each['target']}: {one['what']}": 100 * one["used"] / one["limit"]
        for each in told
        for one in each["ceilings"]
    }
    assert shown == {name: known[name] for name in shown}
    assert {name for name, share in known.items() if share >= 1} <= shown.keys()
    assert {name.partition(":")[0] for name in shown} == {each["target"] for each in told}
    assert {
        str(one[key]) for each in told for one in each["ceilings"] for key in ("used", "left")
    } <= {*page.values}


def test_own_prices_are_the_page_s_too(documents: tuple[Any, Any], tmp_path: Path) -> None:
    text = (resources.FACTS / "prices.toml").read_text(encoding="utf-8")
    own_text = re.sub(r"(?m)^gb_second = .*", "gb_second = 0.5", text)
    (tmp_path / "prices.toml").write_text(own_text)

    usual, own = (
        Parsed(render_page(*documents, facts_dir=facts)).charts["costs"]["series"][0]["values"]
        for facts in (None, tmp_path)
    )

    assert own[-1] > usual[-1]


def test_prices_that_cannot_be_read_leave_the_page_without_them(
    documents: tuple[Any, Any], tmp_path: Path
) -> None:
    (tmp_path / "prices.toml").write_text("[[functions]]\ntarget = 7\n")
    found = Parsed(render_page(*documents, facts_dir=tmp_path))

    assert not {"costs", "margins"} & {*found.charts}
    assert "Targets are not compared here: " in found.page
    assert str(tmp_path) not in found.page


def test_without_a_timed_answer_nothing_has_a_price(documents: tuple[Any, Any]) -> None:
    evidence, report = json.loads(json.dumps(documents))
    evidence["evidence"]["cold_start"] = None
    found = Parsed(render_page(evidence, report))

    assert "costs" not in found.charts
    assert "margins" in found.charts
    assert "Nothing was timed" in found.page


def test_the_tables_have_every_figure_of_the_proof_and_the_passes(
    page: Parsed, documents: tuple[Any, Any]
) -> None:
    found = documents[0]["evidence"]
    figures = [
        *(each[key] for each in documents[0]["ledger"] for key in ("bytes_before", "bytes_after")),
        *(found[key] for key in ("rows_compared", "unseen_rows", "requests_compared")),
        *(found[key] for key in ("unseen_requests", "refusals_agreed", "mismatches")),
        *(found["cold_start"][key] for key in ("init_cpu_ms", "init_wall_ms", "peak_rss_bytes")),
        documents[1]["defaults"]["memory_mb"],
    ]

    assert {str(each) for each in figures} <= set(page.values)


def test_nothing_is_asked_of_any_other_place(page: Parsed) -> None:
    named = [
        value or ""
        for _, given in page.elements
        for name, value in given.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "background"}
    ]

    assert {value for value in named if not value.startswith("#")} == {"data:,"}
    assert not re.search(r"url\(|@import", page.texts["style"][0])
    assert not [name for _, given in page.elements for name in given if name.startswith("on")]


def test_the_policy_allows_the_scripts_and_the_style_of_the_page_alone(page: Parsed) -> None:
    (policy,) = (
        given["content"] or ""
        for tag, given in page.elements
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    data, *scripts = page.texts["script"]
    assert json.loads(data)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [digest(each) for each in scripts]
    assert rules["style-src"].split() == [digest(each) for each in page.texts["style"]]
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_nothing_but_a_short_script_runs_before_the_page_is_painted(page: Parsed) -> None:
    kinds = [given.get("type") for tag, given in page.elements if tag == "script"]

    assert kinds == ["application/json", "text/plain", None]
    assert len(page.texts["script"][2]) < 20_000 < len(page.texts["script"][1])


def test_a_hostile_name_stays_text(page: Parsed, documents: tuple[Any, Any]) -> None:
    found = Parsed(render_page(*make_hostile(*documents)))

    assert {tag for tag, _ in found.elements} == {tag for tag, _ in page.elements}
    assert len(found.texts["script"]) == len(page.texts["script"]) == 3
    assert found.texts["script"][1:] == page.texts["script"][1:]
    shown = HOSTILE.replace("\u2028", "\\u2028").replace("\u202e", "\\u202e")
    assert shown in found.texts["h1"][0]
    assert any(shown in each["name"] for each in found.charts["before"]["nodes"])
    assert "\u202e" not in found.page
    assert "\u2028" not in found.page


@pytest.mark.parametrize("text", [HOSTILE, "<!--<script>", "]]>", "&amp;"])
def test_data_cannot_end_their_element(text: str) -> None:
    made = embed_json({text: text})

    assert json.loads(made) == {text: text}
    assert not set("<>&\u2028") & set(made)


def test_what_cannot_be_seen_is_written_out() -> None:
    assert show_controls({"a\u202eb": ["\x1b[1m", "\ud800", "naïve 名 שלום"]}) == {
        "a\\u202eb": ["\\u001b[1m", "\\ud800", "naïve 名 שלום"]
    }


def test_an_artifact_of_before_has_no_treemap(documents: tuple[Any, Any]) -> None:
    evidence = {name: each for name, each in documents[0].items() if name != "sizes"}
    sections = list_sections(Documents(evidence, documents[1]))

    assert [each.key for each in sections][:2] == ["passes", "proof"]


def test_an_unproven_artifact_says_so(documents: tuple[Any, Any]) -> None:
    evidence, report = json.loads(json.dumps(documents))
    evidence["evidence"] |= {
        "proven": False,
        "why_unproven": "It was not asked.",
        "cold_start": None,
    }
    found = Parsed(render_page(evidence, report | {"proven": False}))

    assert ("span", {"class": "badge unproven"}) in found.elements
    assert "It was not asked." in found.page
    assert "start" not in [given.get("id") for tag, given in found.elements if tag == "section"]


def test_a_baseline_is_shown_by_column() -> None:
    (chart,) = describe_drift(Documents({}, {}, DRIFT)).charts
    columns = {each["name"]: each for each in chart.data["columns"]}

    assert list(columns) == ["input: age", "input: town", "prediction: answer"]
    assert columns["input: age"]["bins"] == ["18 to 30", "30 to 50", "50 to 99"]
    assert columns["input: town"]["bins"] == ["#00000007", "#00000009", "others"]
    assert columns["prediction: answer"]["bins"] == ["0 to 0.5", "0.5 to inf"]
    assert columns["input: age"]["shares"] == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (format_bytes(0), "0 B"),
        (format_bytes(1_500), "1.5 kB"),
        (format_bytes(-2_340_000), "-2.3 MB"),
        (format_bytes(3.21e9), "3.2 GB"),
        (format_ms(4.5), "4.50 ms"),
        (format_ms(353.4), "353 ms"),
        (format_ms(2376), "2.38 s"),
    ],
)
def test_figures_have_units(made: str, expected: str) -> None:
    assert made == expected


def test_the_chart_library_goes_with_its_licences() -> None:
    text = (resources.TEMPLATES / "_report" / "charts.js").read_text(encoding="utf-8")
    licence = text[: text.index("*/")]

    assert "Apache License" in licence
    assert "Bostock" in licence
    assert "Baidu" in licence
