"""Results of several builds in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from packager.commands.console.printable import escape
from packager.commands.console.results import show_plan, size
from packager.system.redaction import redact
from packager.types import BuildOutcome, PlanSummary

_OUT: Final = Console(highlight=False, emoji=False)
_ERR: Final = Console(stderr=True, highlight=False, emoji=False)


def show_begun(name: str, number: int, count: int) -> None:
    _ERR.print(f"[bold]{_write(name)}[/], {number} of {count}", soft_wrap=True)


def show_failure(words: str) -> None:
    _ERR.print(f"[bold red]error[/] {_write(words)}", soft_wrap=True)


def show_plan_of(name: str, plan: PlanSummary) -> None:
    _OUT.print(f"[bold underline]{_write(name)}[/]", soft_wrap=True)
    show_plan(plan)
    _OUT.print()


def _write(words: str) -> str:
    """Words that nobody has redacted yet: a model's address, a fault's traceback."""
    return escape(redact(words))


def show_outcomes(rows: Sequence[BuildOutcome]) -> None:
    """A row for each artifact; what failed is said in full above."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("build", "target", "result"):
        table.add_column(name, overflow="fold")
    table.add_column("zipped", justify="right")
    for row in rows:
        zipped = row["report"]["artifact"]["zipped_bytes"] if "report" in row else None
        table.add_row(
            escape(row["build"]),
            escape(row["target"]),
            _describe(row),
            size(zipped if isinstance(zipped, int) else None),
        )
    _OUT.print(table)
    for row in rows:
        if "report" in row:
            _OUT.print(f"  {escape(row['folder'])}", soft_wrap=True)


def _describe(row: BuildOutcome) -> str:
    if row["exit_code"]:
        kind = "not built" if row.get("error") == "Interrupted" else "failed"
        return f"[bold red]{kind}[/], exit code {row['exit_code']}"
    if "plan" in row:
        return "planned"
    report = row.get("report")
    if report is None:
        return "-"
    if not report["evidence"]["proven"]:
        return "[yellow]UNPROVEN[/]"
    return "[green]unchanged[/]" if report["artifact"].get("reused") else "[green]proven[/]"
