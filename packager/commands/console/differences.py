"""A comparison of two artifacts for a person: what differs, and nothing of what does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from packager.commands.console.printable import escape

if TYPE_CHECKING:
    from packager.commands.difference.result import (
        Amounts,
        Answers,
        ChangedSpec,
        ChangedValue,
        Comparison,
        Output,
        Side,
    )

_OUT: Final = Console(highlight=False, emoji=False)
_SHOWN: Final = 12
_COLUMNS: Final = 5
_MB: Final = 1_000_000
_SOURCES: Final = {"a": "A's own", "b": "B's own", "generated": "generated"}


def show_difference(found: Comparison) -> None:
    for name, side in (("A", found["a"]), ("B", found["b"])):
        _print(f"[bold]{name}[/]  {escape(_describe_side(side))}")
    _show_amounts(found)
    _show_documents(found)
    if found["answers"] is not None:
        _show_answers(found["answers"])
    for note in found["notes"]:
        _print(f"[dim]{escape(note)}[/]")
    for limit in found["limits"]:
        word = "[green]kept[/]" if limit["passed"] else "[bold red]exceeded[/]"
        _print(f"{word} {escape(limit['words'])}")


def _show_documents(found: Comparison) -> None:
    _show_section("Signature", [_describe_spec(each) for each in found["signature"]])
    _show_section("Build", [_describe_change(each) for each in found["facts"]])
    _show_section("Packages", [_describe_change(each) for each in found["packages"]])
    _show_section(
        "Size by package",
        [
            f"{each['name']}: {_write_bytes(each['a'])} -> {_write_bytes(each['b'])}"
            for each in found["package_sizes"]
        ],
    )
    _show_section(
        "Model's files",
        [
            f"{each['change']} {each['name']}{' (code)' if each['is_code'] else ''}"
            for each in sorted(found["files"], key=lambda each: not each["is_code"])
        ],
    )


def _print(line: str) -> None:
    _OUT.print(line, soft_wrap=True)


def _describe_side(side: Side) -> str:
    version = f" version {side['version']}" if side["version"] else ""
    made = "" if side["made"] == "artifact" else f", {side['made']}"
    return f"{side['given']} ({side['name']}{version}, {side['target']}, {side['engine']}{made})"


def _show_amounts(found: Comparison) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("", "A", "B", "change"):
        table.add_column(name, justify="left" if not name else "right")
    for name, amounts in _list_amounts(found):
        is_time = name.startswith("start")
        pair = [
            f"{each:,.0f} ms" if is_time else _write_bytes(each)
            for each in (amounts["a"], amounts["b"])
        ]
        growth = amounts["growth"]
        table.add_row(name, *pair, "" if growth is None else f"{100 * growth:+.1f}%")
    _OUT.print(table)


def _list_amounts(found: Comparison) -> Iterator[tuple[str, Amounts]]:
    yield "zipped", found["sizes"]["zipped_bytes"]
    yield "unzipped", found["sizes"]["unzipped_bytes"]
    if found["start"] is not None:
        yield "start, CPU", found["start"]["cpu_ms"]
        yield "peak memory", found["start"]["peak_rss_bytes"]


def _show_section(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    _print(f"[bold]{title}[/]")
    for line in lines[:_SHOWN]:
        _print(f"  {escape(line)}")
    if (more := len(lines) - _SHOWN) > 0:
        _print(f"  and {more:,} more; --json has all")


def _describe_change(change: ChangedValue) -> str:
    return f"{change['name']}: {change['a'] or 'none'} -> {change['b'] or 'none'}"


def _describe_spec(change: ChangedSpec) -> str:
    kinds = " -> ".join(each for each in (change["a"], change["b"]) if each is not None)
    return f"{change['change']} in {change['part']}: {change['name']} ({kinds})"


def _show_answers(found: Answers) -> None:
    rows = ", ".join(f"{found['rows'][key]:,} {words}" for key, words in _SOURCES.items())
    lines = [f"{found['rows_compared']:,} rows were answered by both; asked: {rows}"]
    if sum(found["refused"].values()):
        refused = found["refused"]
        lines.append(
            f"of {found['requests']:,} requests A alone refused {refused['a']:,}, "
            f"B alone {refused['b']:,}, both {refused['both']:,}"
        )
    if found["measure"] == "changed labels":
        share = 100 * found["rows_changed"] / max(1, found["rows_compared"])
        lines.append(f"{found['rows_changed']:,} rows have another label ({share:.3g}%)")
    if found["rows_reshaped"]:
        lines.append(f"{found['rows_reshaped']:,} rows have an answer of another shape")
    _show_section("Answers", [*lines, *map(_describe_output, found["outputs"])])
    _show_section("Why requests were refused", found["refusals"])
    _show_section("Where answers differ", list(_describe_columns(found)))


def _describe_output(output: Output) -> str:
    start = f"{output['place']}: {output['changed']:,} of {output['values']:,} differ"
    if output["unlike"]:
        start += f", {output['unlike']:,} are a number in one answer alone"
    if output["kind"] == "label" or "max" not in output:
        return start
    return (
        f"{start}; by {output['mean']:.3g} on average ({output['mean_change']:+.3g} with its "
        f"sign), {output['p50']:.3g} at the median, {output['p90']:.3g} at 90%, "
        f"{output['p99']:.3g} at 99%, {output['max']:.3g} at most"
    )


def _describe_columns(found: Answers) -> Iterator[str]:
    is_share = found["measure"] == "changed labels"

    def write(measure: float) -> str:
        return f"{100 * measure:.3g}%" if is_share else f"{measure:.3g}"

    for column in found["columns"][:_COLUMNS]:
        groups = "; ".join(
            f"{each['values']}: {write(each['measure'])} of {each['rows']:,} rows"
            if is_share
            else f"{each['values']}: {write(each['measure'])} over {each['rows']:,} rows"
            for each in column["groups"][:_COLUMNS]
        )
        yield (
            f"by {column['name']} ({100 * column['explains']:.0f}% of the variance; overall "
            f"{write(found['overall'])}): {groups}"
        )


def _write_bytes(count: float) -> str:
    return f"{count / _MB:,.2f} MB" if count >= 10_000 else f"{count:,.0f} bytes"
