"""Slimming passes, and how each accounts for what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from packager.system import file_tree
from packager.types import BuildPlan, Bundle, LedgerEntry, PassName, Removal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One change of the tree: in place, from a bundle to the bundle that it leaves."""

    name: PassName
    reason: str
    apply: Callable[[Bundle, BuildPlan], Bundle]


def account_for(
    before: Bundle,
    done: Pass,
    *,
    proof: str,
    removed: Iterable[Removal] = (),
    reverted: tuple[str, ...] = (),
    cpu_ms_saved: float | None = None,
) -> Bundle:
    """The tree as it is now, with one more line in the ledger."""
    files = tuple(file_tree.records(before.root))
    entry = LedgerEntry(
        name=done.name,
        bytes_before=before.size_bytes,
        bytes_after=sum(file.size_bytes for file in files),
        files_before=len(before.files),
        files_after=len(files),
        reason=done.reason,
        proof=proof,
        reverted=reverted,
        cpu_ms_saved=cpu_ms_saved,
    )
    return replace(
        before,
        files=files,
        removed=(*before.removed, *removed),
        ledger=(*before.ledger, entry),
    )


def drop_empty_folders(root: Path) -> None:
    folders = [path for path in root.rglob("*") if path.is_dir()]
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
