"""Put all bytecode into one file that is read by an index, module by module.

Python looks for each module in turn: a listing of its folder, a stat or two, an open, two reads.
handlers/importer/bytecode_importer.py knows from the index where everything lies. Modules come in
the order in which a start imports them, so that one stretch of the file is read from the disk.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from handlers.importer import bytecode_importer
from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.passes import Pass, account_for, drop_empty_folders
from packager.pipeline.slim.storing import index
from packager.types import BuildPlan, Bundle, PassName, Trace

_HEADER: Final = 16
"""Bytes before the code in a .pyc file (PEP 552)."""


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Move the bytecode of every module that no keep-rule names, and write the index."""
    root, files = bundle.root, index.by_path(bundle.files)
    stored = index.list_stored(root)
    found = index.modules({*files, *stored}, index.suffixes(plan))
    sources = [
        file
        for file in found.values()
        if archivable(file, plan)
        and index.bytecode_of(PurePosixPath(file), plan.interpreter).as_posix() in files
    ]
    code: dict[str, tuple[int, int]] = {}
    path = root / index.HOME / bytecode_importer.CODE_FILE
    with path.open("wb") as archive:
        for source in _in_order(sources, bundle.trace):
            written = root / index.bytecode_of(PurePosixPath(source), plan.interpreter)
            data = written.read_bytes()[_HEADER:]
            code[source] = (archive.tell(), len(data))
            archive.write(data)
            written.unlink()
    path.chmod(0o644)
    drop_empty_folders(root)
    named = index.write(root, plan, code=code)
    return account_for(
        bundle,
        PASS,
        proof=f"bytecode of {len(code)} modules in one file; {named} modules in the index",
    )


def archivable(source: str, plan: BuildPlan) -> bool:
    """Tell whether the module of this source may be imported from the archive."""
    kept = matches(PurePosixPath(source), plan.keep)
    return source.endswith(".py") and source not in index.BOOT and not kept


def _in_order(sources: list[str], trace: Trace | None) -> list[str]:
    """As a start imports them, then the rest by name."""
    if trace is None:
        return sorted(sources)
    names = (*trace.init, *trace.answering, *trace.refusing)
    seen = {
        path.as_posix(): at
        for at, name in enumerate(names)
        if (path := trace.files.get(name)) is not None
    }
    return sorted(sources, key=lambda source: (seen.get(source, len(names)), source))


PASS: Final = Pass(
    name=PassName.ARCHIVE,
    reason="a start looks for a thousand files, each with several calls of the system",
    apply=apply,
)
