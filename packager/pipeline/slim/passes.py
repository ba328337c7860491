"""Slimming passes, and how each accounts for what it did."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from packager.system import file_tree
from packager.types import BuildPlan, Bundle, FileRecord, LedgerEntry, PassName, Removal

T = TypeVar("T")

_IS_WANTED: Final[ContextVar[Callable[[], bool] | None]] = ContextVar("is_wanted", default=None)


class UnwantedError(Exception):
    """Nobody waits any more for what was begun."""


@contextlib.contextmanager
def working_while(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Have `check_wanted` ask this, in this thread, while the block runs."""
    before = _IS_WANTED.set(is_wanted)
    try:
        yield
    finally:
        _IS_WANTED.reset(before)


def check_wanted() -> None:
    """Asked in each loop over a tree's files. Raises UnwantedError."""
    is_wanted = _IS_WANTED.get()
    if is_wanted is not None and not is_wanted():
        raise UnwantedError


def each_wanted(items: Iterable[T]) -> Iterator[T]:
    """Yield each of these while somebody waits for it. Raises UnwantedError."""
    for item in items:
        check_wanted()
        yield item


def read_records(root: Path) -> tuple[FileRecord, ...]:
    """Describe each file of the tree, while somebody waits for it. Raises UnwantedError."""
    return tuple(each_wanted(file_tree.records(root)))


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
    files = read_records(before.root)
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
    """Remove each folder below that has no file, nor a folder with one."""
    for folder, _, names in each_wanted(os.walk(root, topdown=False)):
        if not names and folder != str(root) and not any(Path(folder).iterdir()):
            Path(folder).rmdir()
