"""Targets side by side on the page: what each allows, and what it costs by the rate of requests.

The figures are those of `packager inspect --rate`, of the measurements that evidence.json has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from packager.commands.artifact.report_page.sections import (
    Cell,
    Chart,
    Documents,
    Row,
    Section,
    Table,
    make_table,
)
from packager.commands.artifact.report_values import read_text
from packager.commands.targets.costs import Way
from packager.commands.targets.fit import Verdict, format_quantity, judge, load_targets
from packager.commands.targets.measurements import measured_before
from packager.commands.targets.weighing import format_start
from packager.commands.targets.workload import Workload
from packager.errors import FactsError
from packager.types import Json

RATES: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Requests a second."""
_KEY: Final = "costs"
_TITLE: Final = "Targets and costs"
_LEAST_PERCENT: Final = 1.0
"""Of a limit, below which only the table has it."""
_UNREADABLE: Final = (
    "Targets are not compared here: the facts that the page was made with cannot be read. "
    "`packager inspect` with the same --facts-dir says why."
)
"""Without the error's own words, which name a folder of the machine that built it."""
_UNCHECKED: Final = "?"

_Compared = dict[float, tuple[Verdict, ...]]


def describe_costs(documents: Documents) -> Section:
    """Compare the targets by this artifact's measurements; say why where no prices can be read."""
    try:
        compared = _compare_targets(documents)
    except FactsError:
        return Section(key=_KEY, title=_TITLE, lead=_UNREADABLE)
    verdicts = compared[RATES[0]]
    fitting = [each.target for each in verdicts if each.fits]
    said = f"It fits {_join(fitting)}." if fitting else "It fits none of them."
    priced = [each for each in verdicts if each.ways]
    lead = (
        f"{said} Costs are for requests of one row, by what was measured here and list prices. "
        f"{_UNCHECKED} marks a price that was not read at its vendor's page."
        if priced
        else f"{said} {_explain_unpriced(documents, verdicts)}"
    )
    return Section(
        key=_KEY,
        title=_TITLE,
        lead=lead,
        charts=(*_chart_costs(compared), *_chart_margins(verdicts)),
        tables=(
            *_list_choice(documents),
            *_list_costs(compared),
            _list_margins(verdicts),
            *_list_prices(verdicts),
        ),
    )


def _explain_unpriced(documents: Documents, verdicts: Sequence[Verdict]) -> str:
    sandbox = documents.evidence["evidence"].get("sandbox") or {}
    if sandbox.get("emulated"):
        return f"Costs are {verdicts[0].reckoned}."
    return "Nothing was timed by which costs could be estimated."


def _compare_targets(documents: Documents) -> _Compared:
    """Judge every target at each rate. Raises FactsError."""
    measured = measured_before(documents.report, documents.evidence, documents.example)
    every = load_targets(measured, documents.facts_dir)
    return {
        rate: judge(measured, Workload(requests_per_second=rate), every, documents.facts_dir)
        for rate in RATES
    }


def _chart_costs(compared: _Compared) -> Iterator[Chart]:
    """Yield the cheapest way of each target that it fits, at each rate."""
    names = [each.target for each in compared[RATES[0]] if each.fits and each.ways]
    if not names:
        return
    cheapest = {
        rate: {each.target: each.ways[0] for each in verdicts if each.ways}
        for rate, verdicts in compared.items()
    }
    told = ", ".join(f"{name} {_format_way(cheapest[1.0][name])}" for name in names)
    yield Chart(
        key=_KEY,
        title="Dollars a month by requests a second, the cheapest way of each target",
        label=f"At one request a second: {told}.",
        data={
            "kind": "costs",
            "groups": [_name_rate(rate) for rate in RATES],
            "series": [
                {
                    "name": name,
                    "values": [cheapest[rate][name].dollars for rate in RATES],
                    "told": [
                        f"{_format_way(cheapest[rate][name])}, {cheapest[rate][name].label}, "
                        f"{cheapest[rate][name].architecture}"
                        for rate in RATES
                    ],
                }
                for name in names
            ],
        },
    )


def _list_costs(compared: _Compared) -> Iterator[Table]:
    """Yield a table of every way of every target, with what it costs at each rate."""
    found: dict[tuple[str, str, str], dict[float, Way]] = {}
    for rate, verdicts in compared.items():
        for way in (way for verdict in verdicts for way in verdict.ways):
            found.setdefault((way.target, way.name, way.architecture), {})[rate] = way
    fits = {each.target: each.fits for each in compared[RATES[0]]}
    rows: list[Row] = [
        [
            target,
            "yes" if fits[target] else "no",
            name,
            architecture,
            *(
                Cell(_format_way(ways[rate]), ways[rate].dollars) if rate in ways else ""
                for rate in RATES
            ),
        ]
        for (target, name, architecture), ways in found.items()
    ]
    if rows:
        columns = ("Target", "Fits", "Way", "Processor", *map(_name_rate, RATES))
        yield make_table("Dollars a month by requests a second", columns, rows)


def _chart_margins(verdicts: Sequence[Verdict]) -> Iterator[Chart]:
    """Yield the share of each limit that counts, and the highest of every target."""
    rows: list[dict[str, Json]] = []
    for verdict in verdicts:
        shares = {each.what: 100 * each.used / each.limit for each in verdict.margins if each.limit}
        highest = max(shares.values(), default=0.0)
        rows += [
            {"name": f"{verdict.target}: {what}", "value": share}
            for what, share in shares.items()
            if share >= min(highest, _LEAST_PERCENT)
        ]
    if not rows:
        return
    told = "; ".join(f"{each['name']} {each['value']:.0f} %" for each in rows)
    yield Chart(
        key="margins",
        title="Share of each target's limits",
        label=f"{told}.",
        data={"kind": "bars", "unit": "%", "rows": rows},
    )


def _list_choice(documents: Documents) -> Iterator[Table]:
    """Yield the ways to have weights that fit no zip, where the build weighed them."""
    choice = documents.evidence.get("choice")
    if not choice:
        return
    rows: list[Row] = [
        [
            read_text(way["name"]),
            Cell(format_start(way["start_seconds"]), way["start_seconds"]),
            Cell(format_start(way["weights_seconds"]), way["weights_seconds"]),
            "-"
            if way["dollars_a_month"] is None
            else Cell(f"${way['dollars_a_month']:,.2f}", way["dollars_a_month"]),
            read_text(way["why"]),
            read_text(way["weights_speed"]),
        ]
        for way in choice["ways"]
    ]
    columns = ("Way", "Start", "Of it for the weights", "Dollars a month", "Why", "Speed")
    yield make_table("Ways to have the weights", columns, rows)


def _list_margins(verdicts: Sequence[Verdict]) -> Table:
    rows: list[Row] = []
    for verdict in verdicts:
        fits = "yes" if verdict.fits else "no"
        rows += [
            [
                verdict.target,
                fits,
                margin.what,
                Cell(format_quantity(margin.used, margin.unit), margin.used),
                Cell(format_quantity(margin.limit, margin.unit), margin.limit),
                Cell(f"{100 * margin.left:.0f} %", margin.left),
            ]
            for margin in verdict.margins
        ]
        rows += [[verdict.target, fits, why, "", "", ""] for why in verdict.refused]
    columns = ("Target", "Fits", "Limit", "Used", "Allowed", "Left")
    return make_table("Limits of every target", columns, rows)


def _list_prices(verdicts: Sequence[Verdict]) -> Iterator[Table]:
    told = dict.fromkeys(
        (verdict.target, price.told)
        for verdict in verdicts
        for way in verdict.ways
        for price in way.prices
    )
    if told:
        yield make_table("Sources of the prices", ("Target", "Source"), list(told))


def _format_way(way: Way) -> str:
    mark = "" if way.is_checked else f" {_UNCHECKED}"
    if way.dollars < 0.005:
        return f"<$0.01{mark}"
    return f"${way.dollars:,.2f}{mark}" if way.dollars < 1000 else f"${way.dollars:,.0f}{mark}"


def _name_rate(rate: float) -> str:
    return f"{rate:g} / s"


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
