"""Start and answers on the page: times that the build measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from packager.commands.artifact.report_page.figures import format_ms
from packager.commands.artifact.report_page.sections import (
    HERE,
    Cell,
    Chart,
    Documents,
    Row,
    Section,
    Table,
    make_bytes_cell,
    make_ms_cell,
    make_table,
)
from packager.commands.artifact.report_values import read_amount, read_count, read_text
from packager.types import Json

_COLD: Final = (
    ("init_cpu_ms", "Start, CPU"),
    ("init_wall_ms", "Start, wall clock"),
    ("first_invoke_ms", "First answer"),
    ("warm_invoke_ms", "Answer once warm"),
)
_WHEN: Final = {
    "before": "Imports before any was deferred",
    "after": "Imports as it ships",
}


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
    charts += _chart_imports(found)
    return Section(
        key="start",
        title="Start and answers",
        lead=f"A start takes {format_ms(start_ms)} of CPU. {saved}{HERE}",
        charts=tuple(charts),
        tables=(make_table("Measurements", ("Figure", "Value"), rows), *_list_modules(found)),
    )


def _read_imports(found: Json) -> dict[str, list[tuple[str, int, float]]]:
    """Read the (module, depth, CPU in ms) of each import, as a tree from the top.

    Raises ValueError for a depth that no tree has.
    """
    trees: dict[str, list[tuple[str, int, float]]] = {}
    for when, told in (found.get("imports") or {}).items():
        deepest = -1
        for each in told:
            name, depth = read_text(each["name"]), read_count(each["depth"])
            if depth > deepest + 1:
                raise ValueError(f"the import of {name[:80]!r} stands inside of none")
            deepest = depth
            trees.setdefault(when, []).append((name, depth, read_amount(each["cpu_ms"]) or 0.0))
    return {when: trees[when] for when in _WHEN if when in trees}


def _chart_imports(found: Json) -> Iterator[Chart]:
    """Yield a flame graph for each time that the function was traced, both at one scale."""
    trees = _read_imports(found)
    sums = {when: sum(cpu for _, depth, cpu in tree if not depth) for when, tree in trees.items()}
    order: dict[str, int] = {}  # a package has its colour in both
    for name, _, _ in chain(*trees.values()):
        order.setdefault(_name_top(name), len(order))
    for when, tree in trees.items():
        whole = format_ms(sums[when])
        yield Chart(
            key=f"imports-{when}",
            title=f"{_WHEN[when]}: {whole}",
            label=(
                f"Flame graph of the imports of a start, {whole} of CPU. "
                f"{_name_longest(tree)} The table below has every module."
            ),
            data={
                "kind": "flame",
                "most": max(sums.values()),
                "rows": [
                    {"name": name, "depth": depth, "ms": cpu, "color": order[_name_top(name)]}
                    for name, depth, cpu in tree
                ],
            },
        )


def _name_top(module: str) -> str:
    return module.partition(".")[0]


def _name_longest(tree: list[tuple[str, int, float]]) -> str:
    named = sorted(((cpu, name) for name, depth, cpu in tree if depth == 1), reverse=True)[:3]
    return "".join(f"{name} takes {format_ms(cpu)}. " for cpu, name in named).strip()


def _list_modules(found: Json) -> Iterator[Table]:
    """Yield a table of the modules that take most, with what each takes before and after."""
    trees = _read_imports(found)
    if not trees:
        return
    times = {when: {name: cpu for name, _, cpu in tree} for when, tree in trees.items()}
    names = {name for each in times.values() for name in each}
    order = sorted(names, key=lambda name: (-max(t.get(name, 0.0) for t in times.values()), name))
    rows: list[Row] = [
        [name, *(make_ms_cell(t[name]) if name in t else "" for t in times.values())]
        for name in order
    ]
    columns = ("Module, with what it imports", *(_WHEN[when] for when in times))
    yield make_table("Imports of a start, CPU under the build's recorder", columns, rows)


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
