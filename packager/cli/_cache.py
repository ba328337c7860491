"""`packager cache`: what the tool keeps between builds."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from packager.cli import _options as opt
from packager.cli._common import show
from packager.commands import console

if TYPE_CHECKING:
    from packager.system.cache import Entry, Removed

cache = typer.Typer(
    name="cache",
    help="What is kept between builds: environments, recorded answers, tools, served models.",
    no_args_is_help=True,
)
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def read_bytes(text: str) -> int:
    """A size as a person writes it. Raises BadParameter for anything else."""
    from packager.system import cache as _cache

    size = _cache.parse_size(text)
    if size is None:
        raise typer.BadParameter(f"{text!r} is not a size: write 10GB or 500MB, for example")
    return size


def read_seconds(text: str) -> int:
    """A time span as a person writes it. Raises BadParameter for anything else."""
    found = re.fullmatch(r"([0-9]{1,6}) ?([mhdw])", text.strip())
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is not a time span: write 30d, 12h, 90m or 4w, for example"
        )
    return int(found[1]) * _SECONDS[found[2]]


MaxSize = Annotated[
    int | None,
    typer.Option(
        parser=read_bytes,
        metavar="SIZE",
        help="Remove the least recently used entries until the rest fits, for example in 10GB. "
        "0 removes all of them without a question, which `cache clear` asks.",
        show_default=False,
    ),
]
OlderThan = Annotated[
    int | None,
    typer.Option(
        parser=read_seconds,
        metavar="TIME",
        help="Remove entries that were last used longer ago than this, for example 30d or 12h.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]


@cache.command()
def info(*, as_json: opt.AsJson = False) -> None:
    """Show where the cache is, what it holds, and when each kind was last used."""
    from packager.system import cache as _cache

    show(_describe(_cache.list_entries()), as_json=as_json, human=console.show_cache)


@cache.command()
def prune(
    *,
    max_size: MaxSize = None,
    older_than: OlderThan = None,
    as_json: opt.AsJson = False,
) -> None:
    """Remove what you have not used lately, and what killed builds left half-made.

    What a running build uses stays. Without --max-size and --older-than only leftovers go.
    """
    from packager.system import cache as _cache

    freed = _cache.remove_leftovers()
    entries = _cache.list_entries()
    chosen = _cache.select_entries(entries, older_seconds=older_than, max_bytes=max_size)
    _show_removed(_cache.remove_entries(chosen), freed, as_json=as_json)


@cache.command()
def clear(*, yes: Yes = False, as_json: opt.AsJson = False) -> None:
    """Remove everything that no running build uses. The next build makes what it needs again."""
    from packager.system import cache as _cache

    entries = _cache.list_entries()
    if not yes and entries:
        size = console.size(sum(entry.size_bytes for entry in entries))
        _confirm_removal(f"Remove {len(entries)} entries, {size}, from {_cache.root()}?")
    freed = _cache.remove_leftovers()
    _show_removed(_cache.remove_entries(entries), freed, as_json=as_json)


@cache.command()
def verify(
    *, as_json: opt.AsJson = False, verbose: opt.Verbose = False, quiet: opt.Quiet = False
) -> None:
    """Read every file in the cache, and remove damaged entries.

    A build that needs one of them makes it again. Ends with 1 where there was such an entry.
    """
    from packager.system import cache as _cache

    entries = _cache.list_entries()
    with console.progress(verbose=verbose, quiet=quiet):
        damaged = _cache.check_entries(entries)
        removed = _cache.remove_entries(entry for entry, _ in damaged)
    found = {
        "folder": str(_cache.root()),
        "checked": len(entries),
        "damaged": [{"name": entry.name, "why": why} for entry, why in damaged],
        "removed": [entry.name for entry in removed.removed],
        "in_use": [entry.name for entry in removed.kept],
    }
    show(found, as_json=as_json, human=console.show_checked)
    if damaged:
        raise typer.Exit(1)


def _confirm_removal(question: str) -> None:
    """Raises Abort where the answer is no, BadParameter where nobody is there to give one."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "there is no terminal to confirm on: add --yes to remove everything", param_hint="--yes"
        )
    typer.confirm(question, abort=True, err=True)


def _describe(entries: Sequence[Entry]) -> dict[str, object]:
    from packager.system import cache as _cache

    kinds = sorted({entry.kind for entry in entries})
    by_kind = {kind: [entry for entry in entries if entry.kind == kind] for kind in kinds}
    return {
        "folder": str(_cache.root()),
        "size_bytes": sum(entry.size_bytes for entry in entries),
        "kinds": [
            {
                "kind": kind,
                "entries": len(those),
                "size_bytes": sum(entry.size_bytes for entry in those),
                "in_use": sum(entry.in_use for entry in those),
                "last_used": _write_date(max(entry.used for entry in those)),
            }
            for kind, those in by_kind.items()
        ],
        "entries": [
            {
                "name": entry.name,
                "size_bytes": entry.size_bytes,
                "last_used": _write_date(entry.used),
                "in_use": entry.in_use,
            }
            for entry in entries
        ],
    }


def _write_date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _show_removed(done: Removed, leftover_bytes: int, *, as_json: bool) -> None:
    found = {
        "removed": [entry.name for entry in done.removed],
        "kept": [entry.name for entry in done.kept],
        "freed_bytes": done.size_bytes + leftover_bytes,
        "leftover_bytes": leftover_bytes,
    }
    show(found, as_json=as_json, human=console.show_removed)
