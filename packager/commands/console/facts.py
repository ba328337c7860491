"""Facts of the platforms, for a person."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from rich.console import Console

from packager.commands.console.printable import escape
from packager.types import FactRow, FactsReport, Json, UncheckedFact

_OUT: Final = Console(highlight=False, emoji=False)
_SHOWN: Final = 6
"""Of a list's entries, so many are shown."""


def show_facts(found: FactsReport) -> None:
    """Show every fact with its source and day; of a check, what was compared and what is wrong."""
    if found["checked"]:
        return _show_check(found)
    for file, rows in groupby(found["facts"], key=lambda row: row["file"]):
        _OUT.print(f"[bold]{escape(file)}[/]")
        for row in rows:
            _OUT.print(f"  {escape(row['name'])}", soft_wrap=True)
            for key, value in row["values"].items():
                if f"{value}" not in row["name"]:
                    _OUT.print(f"    {escape(key)} = {escape(_shorten(value))}", soft_wrap=True)
            _OUT.print(f"    {escape(_tell_source(row))}", style="dim", soft_wrap=True)
    return None


def _show_check(found: FactsReport) -> None:
    for row in found["checks"]:
        word = "[green]holds[/]  " if row["holds"] else "[red]differs[/]"
        stated = row["stated"] or "not stated"
        _OUT.print(
            f"{word} {escape(row['fact'])}: {escape(stated)} (model: {escape(row['model'])})",
            soft_wrap=True,
        )
        if row["remedy"]:
            _OUT.print(f"        {escape(row['remedy'])}", soft_wrap=True)
    for each in found["not_compared"]:
        fields = f" {', '.join(each['fields'])}" if each["fields"] else ""
        text = f"{each['file']} {each['name']}{fields}: {_tell_source(each)}"
        _OUT.print(
            f"not comparable: {escape(text)}, {_tell_days(each['days'])}",
            style="dim",
            soft_wrap=True,
        )
    for fact in found["old"]:
        text = f"{fact['file']} {fact['name']}: read {fact['days']} days ago"
        _OUT.print(
            f"[yellow]old[/]     {escape(text)} ({escape(_tell_source(fact))})", soft_wrap=True
        )
    if found["old"]:
        _OUT.print(
            f"Facts older than {found['old_days']} days may be wrong. Read each at its source, "
            "then set it and its day, in packager/facts or in a folder that you give with "
            "--facts-dir. --fail-on-old ends with 1 because of them.",
            soft_wrap=True,
        )
    for line in found["models"]:
        _OUT.print(f"compared with: {escape(line)}", style="dim", soft_wrap=True)
    differing = sum(not row["holds"] for row in found["checks"])
    _OUT.print(
        f"{len(found['facts'])} tables of facts: {len(found['checks'])} comparisons, "
        f"{differing} differ; {len(found['not_compared'])} tables have fields that nothing here "
        f"states; {len(found['old'])} older than {found['old_days']} days.",
        soft_wrap=True,
    )


def _tell_days(days: int) -> str:
    return f"read {days} day{'' if days == 1 else 's'} ago"


def _tell_source(row: FactRow | UncheckedFact) -> str:
    read = f", unchecked: read at {row['unchecked']}" if row["unchecked"] else ""
    return f"{row['source']}, {row['as_of']}{read}"


def _shorten(value: Json) -> str:
    """Write a value on one line; of a long list or table, how many there are."""
    if isinstance(value, list) and len(value) > _SHOWN:
        return f"{', '.join(map(str, value[:_SHOWN]))} ... ({len(value)} in all)"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict) and len(value) > _SHOWN:
        return f"{len(value)} entries"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    return str(value)
