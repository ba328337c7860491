"""Sections of the page, each of figures that evidence.json, report.json or drift.json has.

Each raises LookupError, TypeError, AttributeError or ValueError for what no build writes.
"""

from __future__ import annotations

import math
from itertools import pairwise

from packager.commands.artifact.report_page.costs import describe_costs
from packager.commands.artifact.report_page.figures import format_bytes, format_ms, format_share
from packager.commands.artifact.report_page.proof import describe_proof
from packager.commands.artifact.report_page.sections import (
    HERE,
    Cell,
    Chart,
    Documents,
    Row,
    Section,
    make_bytes_cell,
    make_ms_cell,
    make_table,
)
from packager.commands.artifact.report_page.start import describe_start
from packager.commands.artifact.report_values import (
    read_amount,
    read_count,
    read_ledger,
    read_text,
    read_texts,
)
from packager.types import Json


def list_sections(documents: Documents) -> list[Section]:
    """Every section that there are figures for."""
    found = [
        describe_sizes(documents),
        describe_passes(documents),
        describe_proof(documents),
        describe_start(documents),
        describe_limits(documents),
        describe_costs(documents),
        describe_decisions(documents),
        None if documents.drift is None else describe_drift(documents),
    ]
    return [each for each in found if each is not None]


def describe_sizes(documents: Documents) -> Section | None:
    """None for an artifact of before there were sizes in evidence.json."""
    evidence = documents.evidence
    if "sizes" not in evidence:
        return None
    before, after = (_read_parts(evidence["sizes"][each]) for each in ("before", "after"))
    sums = [{name: sum(parts.values()) for name, parts in each.items()} for each in (before, after)]
    totals = [sum(each.values()) for each in sums]
    order = sorted(
        {*before, *after}, key=lambda name: (-max(each.get(name, 0) for each in sums), name)
    )
    charts = tuple(
        Chart(
            key=key,
            title=f"{title}: {format_bytes(total)}",
            label=(
                f"Treemap of {format_bytes(total)} in {len(parts)} packages. {_name_largest(own)}"
            ),
            data={
                "kind": "treemap",
                "nodes": [
                    {"name": name, "color": order.index(name), "parts": parts[name]}
                    for name in order
                    if name in parts
                ],
            },
            is_half=True,
        )
        for key, title, parts, own, total in (
            ("before", "Before", before, sums[0], totals[0]),
            ("after", "After", after, sums[1], totals[1]),
        )
        if total
    )
    rows: list[Row] = [
        [name, *(make_bytes_cell(each.get(name, 0)) for each in sums), _change_cell(name, *sums)]
        for name in order
    ]
    return Section(
        key="sizes",
        title="Where the bytes went",
        lead=(
            f"{format_bytes(totals[0])} were installed, {format_bytes(totals[1])} ship, unzipped. "
            "Choose a package to see its parts. A pass may move what rarely runs into a compressed "
            "store, which is then named by itself."
        ),
        charts=charts,
        tables=(make_table("Every package", ("Package", "Before", "After", "Change"), rows),),
    )


def _read_parts(value: Json) -> dict[str, dict[str, int]]:
    return {
        read_text(name): {read_text(part): read_count(size) for part, size in parts.items()}
        for name, parts in value.items()
    }


def _name_largest(sums: dict[str, int]) -> str:
    named = sorted(sums, key=lambda name: (-sums[name], name))[:3]
    return "The largest: " + ", ".join(f"{name} {format_bytes(sums[name])}" for name in named) + "."


def _change_cell(name: str, before: dict[str, int], after: dict[str, int]) -> Cell:
    change = after.get(name, 0) - before.get(name, 0)
    return Cell(f"{'+' if change > 0 else ''}{format_bytes(change)}", change)


def describe_passes(documents: Documents) -> Section:
    ledger = read_ledger(documents.evidence["ledger"])
    steps = [
        {"name": each["name"], "before": each["bytes_before"], "after": each["bytes_after"]}
        for each in ledger
    ]
    rows: list[Row] = [
        [
            each["name"],
            make_bytes_cell(each["bytes_before"]),
            make_bytes_cell(each["bytes_after"]),
            Cell(f"{each['files_before']:,} → {each['files_after']:,}", each["files_after"]),
            "" if each["cpu_ms_saved"] is None else make_ms_cell(each["cpu_ms_saved"]),
            each["reason"],
            each["proof"],
            ", ".join(each["reverted"][:10]) + (" …" if len(each["reverted"]) > 10 else ""),
        ]
        for each in ledger
    ]
    first, last = (ledger[0]["bytes_before"], ledger[-1]["bytes_after"]) if ledger else (0, 0)
    chart = Chart(
        key="passes",
        title="Size after each pass",
        label=f"Waterfall from {format_bytes(first)} to {format_bytes(last)}, {len(steps)} passes.",
        data={"kind": "waterfall", "steps": steps},
    )
    columns = (
        "Pass",
        "Before",
        "After",
        "Files",
        "Start saved",
        "Why",
        "Proof",
        "Put back or kept",
    )
    return Section(
        key="passes",
        title="The passes",
        lead="Each pass takes out what was shown not to be needed, or packs what is.",
        charts=(chart,) if steps else (),
        tables=(make_table("Every pass, with its reason and proof", columns, rows),),
    )


def describe_limits(documents: Documents) -> Section:
    evidence, report = documents.evidence, documents.report
    target = report["target"]
    limits, defaults = target["limits"], report["defaults"]
    memory_mb = read_count(defaults["memory_mb"])
    cold = evidence["evidence"]["cold_start"] or {}
    init = read_amount(cold.get("init_wall_ms"))
    pairs = (
        ("Unzipped", report["unzipped_bytes"], limits.get("unzipped_bytes"), format_bytes),
        ("Zipped", report["zipped_bytes"], limits.get("zipped_bytes"), format_bytes),
        ("Memory used, of that set", cold.get("peak_rss_bytes"), memory_mb << 20, format_bytes),
        ("Memory set, of the most", memory_mb << 20, limits["memory_mb"][1] << 20, format_bytes),
        ("Start", init, (limits.get("init_seconds") or 0) * 1000, format_ms),
        ("Response", cold.get("response_bytes"), limits.get("response_bytes"), format_bytes),
    )
    known = [
        (name, used, limit, form)
        for name, used_value, limit_value, form in pairs
        if (used := read_amount(used_value)) is not None and (limit := read_amount(limit_value))
    ]
    chart = Chart(
        key="limits",
        title=f"Share of what {read_text(target['name'])} allows",
        label="; ".join(f"{name} {format_share(used, of)}" for name, used, of, _ in known) + ".",
        data={
            "kind": "bars",
            "unit": "%",
            "rows": [{"name": name, "value": 100 * used / of} for name, used, of, _ in known],
        },
    )
    rows: list[Row] = [
        [name, Cell(form(used), used), Cell(form(of), of), format_share(used, of)]
        for name, used, of, form in known
    ]
    settings: list[Row] = [
        ["Memory", Cell(f"{memory_mb:,} MB", memory_mb), read_text(defaults["memory_reason"])],
        [
            "Timeout",
            Cell(f"{defaults['timeout_seconds']:,} s", read_count(defaults["timeout_seconds"])),
            read_text(defaults["timeout_reason"]),
        ],
        [
            "Alarm on the 99th percentile",
            Cell(f"{defaults['p99_ms']:,} ms", read_count(defaults["p99_ms"])),
            read_text(defaults["p99_reason"]),
        ],
    ]
    return Section(
        key="limits",
        title="Limits and settings",
        lead=f"{read_text(report['room'])} {HERE}",
        charts=(chart,) if known else (),
        tables=(
            make_table("Margins", ("Limit", "Used", "Allowed", "Share"), rows),
            make_table("Settings", ("Setting", "Value", "Why"), settings, is_open=True),
        ),
    )


def describe_decisions(documents: Documents) -> Section:
    evidence, report = documents.evidence, documents.report
    plan, shipped = report["plan"], evidence["distributions"]
    versions = {read_text(each["name"]): read_text(each["version"]) for each in report["packages"]}
    reasons = [
        [read_text(name), versions.get(name, ""), read_text(why)]
        for name, why in shipped["reasons"].items()
    ]
    upgraded = [
        [each["name"], each["old"], each["new"], each["reason"]] for each in shipped["upgraded"]
    ]
    lines = [[each["line"], each["reason"]] for each in shipped["lines"]]
    said = [
        *(["Decision", each] for each in read_texts(plan["reasons"])),
        *(["Tried before", each] for each in read_texts(evidence["evidence"]["tried"])),
        *(["Note", each] for each in read_texts(plan["notes"])),
        *(["Note", each] for each in read_texts(evidence["evidence"]["notes"])),
    ]
    left_out = [[each] for each in read_texts(shipped["left_out"])]
    tables = [
        make_table("What was decided, and why", ("Kind", "Reason"), said, is_open=True),
        make_table("What ships, and what needs it", ("Package", "Version", "Reason"), reasons),
        make_table("Installed by the author, and not shipped", ("Package",), left_out),
        make_table("Versions that were raised", ("Package", "Old", "New", "Why"), upgraded),
        make_table("Lines of the requirements that were read otherwise", ("Line", "Why"), lines),
    ]
    return Section(
        key="decisions",
        title="Decisions",
        lead=f"{len(reasons)} packages ship; {len(left_out)} that the author had do not.",
        tables=tuple(each for each in tables if each.rows),
    )


def describe_drift(documents: Documents) -> Section:
    drift = documents.drift
    columns = [
        *(("input", each) for each in drift["inputs"]),
        *(("prediction", each) for each in drift["predictions"]),
    ]
    rows: list[Row] = []
    choices: list[dict[str, object]] = []
    for kind, each in columns:
        name, shares = read_text(each["name"]), [read_amount(v) or 0.0 for v in each["shares"]]
        low, high = _read_edge(each["low"]), _read_edge(each["high"])
        told = "" if math.isnan(low) else f"{low:.6g} to {high:.6g}"
        rows.append([kind, name, Cell(str(len(shares)), len(shares)), told])
        if shares:
            bins = _name_bins(each, len(shares), low, high)
            choices.append({"name": f"{kind}: {name}", "bins": bins, "shares": shares})
    count = read_count(drift["rows"])
    chart = Chart(
        key="drift",
        title="Share of the values in each bin",
        label=f"Histogram of one of {len(choices)} columns at a time.",
        data={"kind": "histogram", "columns": choices},
    )
    return Section(
        key="drift",
        title="What drift is measured from",
        lead=f"{count:,} rows of {read_text(drift['source'])}. Categories are kept as hashes.",
        charts=(chart,) if choices else (),
        tables=(make_table("Columns", ("Kind", "Name", "Bins", "Range"), rows),),
    )


def _name_bins(column: Json, count: int, low: float, high: float) -> list[str]:
    """Names of its bins: between the edges, or of the hashed categories and all others."""
    if (known := column["categories"]) is not None:
        return [*(f"#{read_count(each):08x}" for each in known), "others"][:count]
    every = [low, *map(_read_edge, column["edges"]), high]
    if len(every) != count + 1:
        return [str(number) for number in range(1, count + 1)]
    return [f"{left:.4g} to {right:.4g}" for left, right in pairwise(every)]


def _read_edge(value: float | None) -> float:
    """A number, which may be infinite; not a number where there is none."""
    return math.nan if value is None else float(value)
