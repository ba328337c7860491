"""The table of what each way of running an artifact would cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from packager.commands.console.printable import escape
from packager.commands.targets.costs import MONTH_SECONDS
from packager.commands.targets.fit import format_percent
from packager.commands.targets.weighing import format_start
from packager.facts import OLD_DAYS
from packager.types import Choice, TargetRow, WayRow

_UNCHECKED: Final = "?"
_OLD: Final = f"read more than {OLD_DAYS} days ago"
_COLUMNS: Final = ("cold", "compute", "HTTP", "starting", "$/month", "$/1M ")


def print_costs(out: Console, rows: Sequence[TargetRow]) -> None:
    """Show every way, the cheapest target that fits first, and whose prices stand behind it."""
    ordered = sorted(rows, key=_rank)
    ways = [way for row in ordered for way in row["ways"]]
    table = Table(
        title="\nTargets", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for name in ("target", "fits", *(_COLUMNS if ways else _COLUMNS[-1:])):
        left = name in {"target", "fits"}
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in ordered:
        fits = "[green]yes[/]" if row["fits"] else "[red]no[/]"
        table.add_row(f"[bold]{row['target']}[/]", fits, *([] if row["ways"] else ["-"]))
        for way in row["ways"]:
            table.add_row(*_format_way(way))
    out.print(table)
    if ways:
        _print_notes(out, ways)


def print_choice(out: Console, choice: Choice) -> None:
    """Show the ways to have the weights that were weighed, and why one was chosen."""
    table = Table(
        title="\nWays to have the weights",
        title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for name in ("way", "start", "weights", "$/month", ""):
        table.add_column(name, justify="left" if name in {"way", ""} else "right")
    for row in choice["ways"]:
        dollars = row["dollars_a_month"]
        style = "[bold green]" if row["chosen"] else "[default]"
        table.add_row(
            f"{style}{row['name']}[/]",
            format_start(row["start_seconds"]),
            format_start(row["weights_seconds"]),
            "-" if dollars is None else _format_dollars(dollars),
            escape(row["why"]),
        )
    out.print(table)
    for line in (
        choice["needed"],
        (
            f"{choice['rule']} ({choice['requests_per_second']:g} requests a second of "
            f"{choice['rows']:,} row{'s' * (choice['rows'] > 1)})."
        ),
        "start: CPU time, measured, and the time for the weights, by a speed that others state",
        *(
            f"speed of {row['name']}: {row['weights_speed']}"
            for row in choice["ways"]
            if row["weights_speed"]
        ),
    ):
        out.print(line, style="dim", soft_wrap=True)


def _rank(row: TargetRow) -> tuple[bool, float]:
    dollars = row["dollars_per_million"]
    return not row["fits"], math.inf if dollars is None else dollars


def _format_way(way: WayRow) -> tuple[str, ...]:
    month = way["dollars_a_month"]
    starting = month["starts"] + month["standby"]
    mark = " " if way["checked"] else _UNCHECKED
    return (
        f"  {way['label']}",
        "arm" if way["architecture"] == "arm64" else "x86",
        "-" if way["idle_seconds"] is None else format_percent(way["cold_share"]),
        *map(_format_dollars, (month["compute"], month["http"], starting, month["total"])),
        f"{_format_dollars(way['dollars_per_million'])}{mark}",
    )


def _format_dollars(dollars: float) -> str:
    if dollars == 0:
        return "-"
    if dollars < 0.005:
        return "<0.01"
    if dollars >= 1e6:
        return f"{dollars / 1e6:,.2f}M" if dollars < 1e8 else f"{dollars / 1e6:,.0f}M"
    return f"{dollars:,.2f}" if dollars < 1000 else f"{dollars:,.0f}"


def _tell_requests(way: WayRow) -> str:
    """Tell what is asked, so that a rate of another time is seen to be one."""
    rate = way["requests_a_month"] / MONTH_SECONDS
    return (
        f"for {way['requests_a_month']:,.0f} requests a month of {way['rows']:,} "
        f"row{'s' * (way['rows'] > 1)}, {f'{rate:,.0f}' if rate >= 100 else f'{rate:.3g}'} a second"
    )


def _list_prices(ways: Sequence[WayRow]) -> Iterator[str]:
    """Yield each price with what it is paid for."""
    named: dict[str, dict[str, None]] = {}
    for way in ways:
        for each in way["prices"]:
            named.setdefault(each, {})[way["prices_of"][each]] = None
    old = {each for way in ways for each in way["old_prices"]}
    for each, names in named.items():
        yield f"price of {', '.join(names)}: {each}" + (f", {_OLD}" if each in old else "")


def _print_notes(out: Console, ways: Sequence[WayRow]) -> None:
    """Say what the columns are, what is assumed, and whose prices stand behind them."""
    lines = [
        _tell_requests(ways[0]),
        "compute, HTTP endpoint, starting (cold starts, and what is kept started): dollars a month",
        "$/1M: dollars for a million predictions",
    ]
    if not all(way["checked"] for way in ways):
        lines.append(f"{_UNCHECKED}: a price in it was not read at its vendor's page")
    if any(way["architecture"] == "arm64" for way in ways):
        lines.append(
            "arm: arm64's prices for the times that were measured, on the artifact's own processor "
            "or on that of --timed-by"
        )
    idle = {way["idle_seconds"]: way["idle_source"] for way in ways if way["idle_seconds"]}
    lines += [
        f"cold: an instance is taken to be gone after {seconds / 60:g} min without a request "
        f"({source})"
        for seconds, source in idle.items()
    ]
    for line in (*lines, *_list_prices(ways)):
        out.print(line, style="dim", soft_wrap=True)
