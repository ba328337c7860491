"""The tree that ships, what was left out of it, and what it was seen to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from packager.types._model import FileRecord


@dataclass(frozen=True, slots=True)
class Removal:
    path: PurePosixPath
    size_bytes: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Account of what one pass did to the tree, and why."""

    name: str
    bytes_before: int
    bytes_after: int
    files_before: int
    files_after: int
    reason: str
    proof: str = ""
    reverted: tuple[str, ...] = ()
    """Paths that the pass changed and had to change back, or globs of those it had to spare."""
    cpu_ms_saved: float | None = None
    """CPU of a start that the pass saves, where it was measured on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Files and modules that a function was seen to touch; paths are relative to its folder."""

    init: tuple[str, ...]
    """Modules that are loaded when it has started, in the order in which their imports ended."""
    answering: tuple[str, ...]
    """Modules loaded first by a request that is answered."""
    refusing: tuple[str, ...]
    """Modules loaded first by a request that is turned down."""
    files: Mapping[str, PurePosixPath]
    """The file of each of these modules that lies in the folder."""
    opened: tuple[PurePosixPath, ...]
    """Files that were opened or mapped, sorted."""
    own_cpu_ms: Mapping[str, float]
    """CPU of each module's import without the imports inside it. A measurement: differs each time,
    so nothing that ships may hang on it. Empty where the processor was emulated."""
    answers: tuple[str, ...]
    """To each request: JSON, or the error that it failed with."""
    asked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """For each module that a deferred import loaded: which module's, and of which name."""
    importers: Mapping[str, str] = field(default_factory=dict)
    """For each module that a start imports, the one that was running then; "" for none."""
    absent_files: tuple[PurePosixPath, ...] = ()
    """Files that Python tried to open in the folder and that are not there."""
    absent_modules: tuple[str, ...] = ()
    """Modules that were imported and are not there."""

    @property
    def modules(self) -> frozenset[str]:
        """Every module that was loaded at the end."""
        return frozenset((*self.init, *self.answering, *self.refusing))


@dataclass(frozen=True, slots=True)
class ImportedModule:
    """One module of a start's imports, which stand as a tree: each before those that it imports."""

    name: str
    depth: int
    """How many imports it is inside of."""
    cpu_ms: float
    """CPU of its import, those inside it included."""


@dataclass(frozen=True, slots=True)
class WheelDocument:
    """A bill of materials that a wheel brings of itself (PEP 770), which no pass leaves there."""

    path: PurePosixPath
    """Relative to the function's folder: `NAME-VERSION.dist-info/sboms/FILE`."""
    content: bytes
    unread: str = ""
    """Why it was not read, as a sentence; empty where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A staged file tree: what ships, and what was left out and why."""

    root: Path
    files: tuple[FileRecord, ...]
    staged: tuple[FileRecord, ...] = ()
    """The files before any pass."""
    removed: tuple[Removal, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    trace: Trace | None = None
    """None where none was made; `untraced` says why."""
    imports: Mapping[str, tuple[ImportedModule, ...]] = field(default_factory=dict)
    """Of the traced start, "before" imports were deferred, if any was, and "after"."""
    untraced: str = "no trace was asked for"
    tops: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Top-level names of the folder by the installed distribution that they are of."""
    documents: tuple[WheelDocument, ...] = ()
    """Bills of materials of the wheels that were installed."""
    loaders: Mapping[PurePosixPath, frozenset[str]] = field(default_factory=dict)
    """For each library that lacks one of the system's, the modules that cannot do without it."""
    spared: Mapping[str, int] = field(default_factory=dict)
    """Distributions that are there for nothing but that the plan spares them -> bytes."""
    left_out: tuple[str, ...] = ()
    """Those that the plan spares, and that went all the same: with them the tree did not fit."""

    weights: tuple[FileRecord, ...] = ()
    """Files of the model that ship beside the tree, by their path in the model's folder."""
    weights_root: Path | None = None
    """Folder that has them, each by its sha256; None where there are none."""

    @property
    def weights_bytes(self) -> int:
        """Size of the weights in the model's folder, where two files may be the same."""
        return sum(file.size_bytes for file in self.weights)

    @property
    def outside_bytes(self) -> int:
        """Size of what lies outside, and of what a start fetches: the same content once."""
        return sum({file.sha256: file.size_bytes for file in self.weights}.values())

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)
