"""A comparison as one page, made as report.html is: it asks nothing of any other place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.report_file import write_page
from packager.commands.artifact.report_page import Head, render_sections
from packager.commands.artifact.report_page.figures import (
    format_bytes,
    format_ms,
    name_power,
    show_controls,
)
from packager.commands.artifact.report_page.sections import (
    HERE,
    Cell,
    Chart,
    Row,
    Section,
    Table,
    make_bytes_cell,
    make_table,
)
from packager.errors import StorageError

if TYPE_CHECKING:
    from packager.commands.difference.result import (
        Amounts,
        Answers,
        Column,
        Comparison,
        Output,
        Side,
    )

_MOST_STEPS: Final = 30
_MOST_CHARTS: Final = 6
_SOURCES: Final = {"a": "A's own", "b": "B's own", "generated": "generated"}


def check_place(path: Path) -> None:
    """Raises StorageError where the page could not be written, before minutes of comparing."""
    near = next((each for each in path.absolute().parents if each.exists()), Path("/"))
    if not near.is_dir() or not os.access(near, os.W_OK | os.X_OK):
        raise StorageError(
            f"{path} cannot be written: {near} is no folder that you may write to. Name another "
            "file with --html."
        )


def write_difference(path: Path, found: Comparison) -> None:
    """Write the page whole or not at all. Raises StorageError."""
    write_page(path.absolute(), render_difference(found), option="--html")


def render_difference(found: Comparison) -> str:
    """Render the page, the same each time. Names of others are text."""
    found = show_controls(found)
    sections = [
        _describe_answers(found["answers"]) if found["answers"] else None,
        _describe_columns(found["answers"]) if found["answers"] else None,
        _describe_limits(found) if found["limits"] else None,
        _describe_sizes(found),
        _describe_contents(found),
    ]
    return render_sections(_make_head(found), [each for each in sections if each is not None])


def _make_head(found: Comparison) -> Head:
    one, other = found["a"], found["b"]
    verdict = "no limit was set"
    if found["limits"]:
        verdict = "within the limits" if found["passed"] else "over a limit"
    return Head(
        title=f"{_name_side(one)} and {_name_side(other)}",
        verdict=verdict,
        is_good=found["passed"],
        facts={
            "A": _describe_side(one),
            "B": _describe_side(other),
            "Model": "the same" if found["same_model"] else "another",
            "A's model": one["model_digest"],
            "B's model": other["model_digest"],
            **{f"Note {number}": each for number, each in enumerate(found["notes"], 1)},
        },
        tiles=list(_list_tiles(found)),
        made_of="the comparison by packager diff",
    )


def _name_side(side: Side) -> str:
    return f"{side['name']} {side['version']}".strip()


def _describe_side(side: Side) -> str:
    made = "" if side["made"] == "artifact" else f", {side['made']}"
    return f"{side['given']} ({side['target']}, {side['engine']}{made})"


def _list_tiles(found: Comparison) -> Iterator[tuple[str, Cell, str]]:
    if answers := found["answers"]:
        compared, changed = answers["rows_compared"], answers["rows_changed"]
        yield (
            "Rows compared",
            Cell(f"{compared:,}", compared),
            f"of {answers['requests']:,} requests",
        )
        if answers["measure"] == "changed labels":
            share = changed / compared if compared else 0.0
            yield "Another label", Cell(f"{100 * share:.3g} %", share), f"{changed:,} rows"
        else:
            mean = answers["overall"]
            yield "Mean difference", Cell(f"{mean:.3g}", mean), "between two numbers of a row"
    for title, name in (("Size, zipped", "zipped_bytes"), ("Size, unzipped", "unzipped_bytes")):
        each = found["sizes"][name]
        yield title, make_bytes_cell(each["b"]), f"{format_bytes(each['a'])} before"
    if start := found["start"]:
        each = start["cpu_ms"]
        yield "Start, CPU", Cell(format_ms(each["b"]), each["b"]), f"{format_ms(each['a'])} before"


def _describe_answers(found: Answers) -> Section:
    rows = ", ".join(f"{found['rows'][key]:,} {words}" for key, words in _SOURCES.items())
    refused = found["refused"]
    lead = f"Both answered {found['rows_compared']:,} rows; asked: {rows}."
    if sum(refused.values()):
        lead += (
            f" A alone refused {refused['a']:,} requests, B alone {refused['b']:,}, both "
            f"{refused['both']:,}."
        )
    outputs: list[Row] = [_list_output(each) for each in found["outputs"]]
    columns = (
        "Output",
        "Kind",
        "Values",
        "Differ",
        "Share",
        "Mean",
        "Median",
        "90 %",
        "99 %",
        "Most",
    )
    return Section(
        key="answers",
        title="How the answers move",
        lead=lead,
        charts=tuple(_chart_answers(found)),
        tables=(
            make_table("Outputs", columns, outputs, is_open=True),
            *_list_moves(found["outputs"]),
            make_table(
                "Why requests were refused", ("Said",), [[each] for each in found["refusals"]]
            ),
        ),
    )


def _list_output(output: Output) -> Row:
    amounts = [output.get(name) for name in ("mean", "p50", "p90", "p99", "max")]
    return [
        output["place"],
        output["kind"],
        Cell(f"{output['values']:,}", output["values"]),
        Cell(f"{output['changed']:,}", output["changed"]),
        Cell(f"{100 * output['share']:.3g} %", output["share"]),
        *(Cell(f"{each:.3g}", each) if isinstance(each, float | int) else "" for each in amounts),
    ]


def _chart_answers(found: Answers) -> Iterator[Chart]:
    """Yield the share that differs, then how far apart the numbers of an output are."""
    outputs = found["outputs"]
    if not outputs:
        return
    yield Chart(
        key="shares",
        title="Values that differ",
        label=", ".join(f"{each['place']}: {100 * each['share']:.3g} %" for each in outputs[:9]),
        data={
            "kind": "bars",
            "unit": "%",
            "rows": [
                {"name": each["place"], "value": 100 * each["share"]}
                for each in outputs[:_MOST_STEPS]
            ],
        },
    )
    apart = [each for each in outputs if each.get("by_power")]
    for number, output in enumerate(apart[:_MOST_CHARTS]):
        powers = {int(power): count for power, count in output["by_power"].items()}
        same = output["values"] - output["unlike"] - sum(powers.values())
        bars = [{"name": "the same", "value": same}]
        bars += [
            {"name": name_power(power), "value": powers.get(power, 0)}
            for power in range(min(powers), max(powers) + 1)
        ]
        yield Chart(
            key=f"apart-{number}",
            title=f"Distance of the numbers: {output['place']}",
            label=f"{same:,} numbers are the same, {sum(powers.values()):,} are apart.",
            data={"kind": "counts", "rows": bars},
            is_half=len(apart) > 1,
        )


def _list_moves(outputs: list[Output]) -> Iterator[Table]:
    rows: list[Row] = [
        [each["place"], move["a"], move["b"], Cell(f"{move['values']:,}", move["values"])]
        for each in outputs
        for move in each.get("moves", [])
    ]
    if rows:
        yield make_table("Labels that changed", ("Output", "A", "B", "Values"), rows, is_open=True)


def _describe_columns(found: Answers) -> Section | None:
    columns = found["columns"]
    if not columns:
        return None
    is_share = found["measure"] == "changed labels"
    rows: list[Row] = [
        [
            column["name"],
            Cell(f"{100 * column['explains']:.0f} %", column["explains"]),
            group["values"],
            Cell(f"{group['rows']:,}", group["rows"]),
            Cell(_write_measure(group["measure"], is_share=is_share), group["measure"]),
        ]
        for column in columns
        for group in column["groups"]
    ]
    return Section(
        key="columns",
        title="Where answers differ",
        lead=(
            "Columns whose values tell where. The share is of the variance that the groups of a "
            "column explain: a correlation over these rows, and not a cause. Overall: "
            f"{_write_measure(found['overall'], is_share=is_share)}."
        ),
        charts=(
            Chart(
                key="explains",
                title="Share of the variance",
                label=", ".join(
                    f"{each['name']}: {100 * each['explains']:.0f} %" for each in columns
                ),
                data={
                    "kind": "bars",
                    "unit": "%",
                    "rows": [
                        {"name": each["name"], "value": 100 * each["explains"]} for each in columns
                    ],
                },
            ),
            *(
                _chart_groups(number, each, is_share=is_share)
                for number, each in enumerate(columns[:_MOST_CHARTS])
                if each["groups"]
            ),
        ),
        tables=(
            make_table("Groups", ("Column", "Explains", "Values", "Rows", found["measure"]), rows),
        ),
    )


def _chart_groups(number: int, column: Column, *, is_share: bool) -> Chart:
    scale = 100 if is_share else 1
    return Chart(
        key=f"groups-{number}",
        title=f"By {column['name']}",
        label=", ".join(
            f"{each['values']}: {_write_measure(each['measure'], is_share=is_share)}"
            for each in column["groups"]
        ),
        data={
            "kind": "bars",
            "unit": "%" if is_share else "",
            "rows": [
                {"name": each["values"], "value": scale * each["measure"]}
                for each in column["groups"]
            ],
        },
        is_half=True,
    )


def _write_measure(measure: float, *, is_share: bool) -> str:
    return f"{100 * measure:.3g} %" if is_share else f"{measure:.3g}"


def _describe_limits(found: Comparison) -> Section:
    rows: list[Row] = [
        [
            each["name"],
            "kept" if each["passed"] else "exceeded",
            each["words"],
        ]
        for each in found["limits"]
    ]
    return Section(
        key="limits",
        title="Limits",
        lead="What --fail-on allows.",
        tables=(make_table("Limits", ("Limit", "Result", "Found"), rows, is_open=True),),
    )


def _describe_sizes(found: Comparison) -> Section:
    rows: list[Row] = [
        _list_amounts(title, amounts, is_bytes=is_bytes)
        for title, amounts, is_bytes in _list_figures(found)
    ]
    packages: list[Row] = [
        [
            each["name"],
            make_bytes_cell(each["a"]),
            make_bytes_cell(each["b"]),
            Cell(f"{each['b'] - each['a']:+,} B", each["b"] - each["a"]),
        ]
        for each in found["package_sizes"]
    ]
    whole = found["sizes"]["unzipped_bytes"]
    return Section(
        key="sizes",
        title="Sizes and starts",
        lead=(
            f"{format_bytes(whole['a'])} before, {format_bytes(whole['b'])} after, unzipped. {HERE}"
        ),
        charts=tuple(_chart_sizes(found)),
        tables=(
            make_table("Figures", ("Figure", "A", "B", "Growth"), rows, is_open=True),
            make_table("Packages of another size", ("Package", "A", "B", "Change"), packages),
        ),
    )


def _list_figures(found: Comparison) -> Iterator[tuple[str, Amounts, bool]]:
    yield "zipped", found["sizes"]["zipped_bytes"], True
    yield "unzipped", found["sizes"]["unzipped_bytes"], True
    if start := found["start"]:
        yield "start, CPU", start["cpu_ms"], False
        yield "peak memory", start["peak_rss_bytes"], True


def _list_amounts(title: str, amounts: Amounts, *, is_bytes: bool) -> Row:
    write = format_bytes if is_bytes else format_ms
    growth = amounts["growth"]
    return [
        title,
        *(Cell(write(each), each) for each in (amounts["a"], amounts["b"])),
        "" if growth is None else Cell(f"{100 * growth:+.1f} %", growth),
    ]


def _chart_sizes(found: Comparison) -> Iterator[Chart]:
    """Yield A's size, what each package adds or takes, and B's size."""
    changes = sorted(found["package_sizes"], key=lambda each: -abs(each["b"] - each["a"]))
    if not changes:
        return
    size, last = found["sizes"]["unzipped_bytes"]["a"], found["sizes"]["unzipped_bytes"]["b"]
    steps: list[dict[str, str | float]] = []
    for each in changes[:_MOST_STEPS]:
        after = size + each["b"] - each["a"]
        steps.append({"name": each["name"], "before": size, "after": after})
        size = after
    if size != last:
        steps.append({"name": "all others", "before": size, "after": last})
    yield Chart(
        key="growth",
        title="Unzipped size, from A to B",
        label=f"Waterfall of {len(steps)} packages whose size changed.",
        data={"kind": "waterfall", "from": "A", "to": "B", "steps": steps},
    )


def _describe_contents(found: Comparison) -> Section:
    changed = [
        make_table(
            title,
            ("Name", "A", "B"),
            [[each["name"], each["a"] or "none", each["b"] or "none"] for each in rows],
            is_open=0 < len(rows) <= _MOST_STEPS,
        )
        for title, rows in (("Packages", found["packages"]), ("Build", found["facts"]))
    ]
    signature: list[Row] = [
        [each["part"], each["change"], each["name"], each["a"] or "none", each["b"] or "none"]
        for each in found["signature"]
    ]
    files: list[Row] = [
        [each["name"], each["change"], "code" if each["is_code"] else ""] for each in found["files"]
    ]
    return Section(
        key="contents",
        title="What they hold",
        lead="What is the same in both is left out.",
        tables=(
            make_table("Signature", ("Part", "Change", "Name", "A", "B"), signature, is_open=True),
            *changed,
            make_table("Model's files", ("File", "Change", ""), files),
        ),
    )
