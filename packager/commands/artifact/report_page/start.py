"""Start and answers on the page: times that the build measured."""

from __future__ import annotations

from typing import Final

from packager.commands.artifact.report_page.figures import format_ms
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
from packager.commands.artifact.report_values import read_amount, read_count
from packager.types import Json

_COLD: Final = (
    ("init_cpu_ms", "Start, CPU"),
    ("init_wall_ms", "Start, wall clock"),
    ("first_invoke_ms", "First answer"),
    ("warm_invoke_ms", "Answer once warm"),
)


def describe_start(documents: Documents) -> Section | None:
    """None where nothing was booted."""
    found = documents.evidence["evidence"]
    cold = found["cold_start"]
    if cold is None:
        return None
    start_ms = read_amount(cold["init_cpu_ms"]) or 0.0
    rows = _list_times(cold)
    bars = [{"name": "this artifact", "value": start_ms}]
    declared = read_amount(found.get("declared_start_cpu_ms"))
    saved = ""
    if declared is not None:
        bars.insert(0, {"name": "declared environment", "value": declared})
        rows.append(["Start of the declared environment, CPU", make_ms_cell(declared)])
        saved = f"The environment that the model declares takes {format_ms(declared)}. "
    by_rows = [
        (int(size), read_amount(each) or 0.0)
        for size, each in (cold.get("invoke_ms_by_rows") or {}).items()
    ]
    charts = [
        Chart(
            key="start",
            title="CPU of a start",
            label=f"This artifact starts in {format_ms(start_ms)} of CPU. {saved}",
            data={"kind": "bars", "unit": "ms", "rows": bars},
            is_half=bool(by_rows),
        )
    ]
    if by_rows:
        charts.append(_chart_rows(sorted(by_rows)))
        rows += [
            [f"Answer to {_count_rows(size)}", make_ms_cell(each)] for size, each in sorted(by_rows)
        ]
    return Section(
        key="start",
        title="Start and answers",
        lead=f"A start takes {format_ms(start_ms)} of CPU. {saved}{HERE}",
        charts=tuple(charts),
        tables=(make_table("Measurements", ("Figure", "Value"), rows),),
    )


def _list_times(cold: Json) -> list[Row]:
    rows: list[Row] = [
        [title, make_ms_cell(read_amount(cold[name]) or 0.0)] for name, title in _COLD
    ]
    rows.append(["Most memory", make_bytes_cell(read_count(cold["peak_rss_bytes"]))])
    if (modules := cold.get("modules")) is not None:
        rows.append(["Modules loaded", Cell(f"{read_count(modules):,}", modules)])
    return rows


def _count_rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _chart_rows(points: list[tuple[int, float]]) -> Chart:
    told = ", ".join(f"{_count_rows(size)} {format_ms(each)}" for size, each in points)
    return Chart(
        key="answers",
        title="Time of an answer by rows",
        label=f"{told}.",
        data={
            "kind": "bars",
            "unit": "ms",
            "rows": [{"name": _count_rows(size), "value": each} for size, each in points],
        },
        is_half=True,
    )
