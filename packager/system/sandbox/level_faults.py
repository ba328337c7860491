"""Name what only this machine's weaker sandbox refused: no fault of the model or its platform.

Without a mount namespace a program has no /tmp of its own, so what it writes to that very path
would be a file of this machine's: Landlock refuses it. TMPDIR names the folder that stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from packager.system.sandbox.faults import Place, name_call
from packager.system.sandbox.protections import SHARED_MEMORY

_REFUSED: Final = re.compile(
    r"\[Errno 13\]|[Pp]ermission denied|(?:[Cc]annot|[Cc]ould not|[Uu]nable to|[Ff]ailed to) "
    r"(?:open|create|write)|[Nn]ot writ[ae]ble"
)
_PATH: Final = re.compile(r"(?<![\w./-])(/[^'\"\\\s:,;)]+)")
_SHARED: Final = re.compile(r"multiprocessing/(?:synchronize|shared_memory)\.py|SemLock")
_DENIED: Final = re.compile(r"\[Errno 13\]")
_EXCUSE: Final = (
    "is allowed in {place}. This machine's sandbox refuses it, as a program has no such folder of "
    "its own at the level {level!r}: this tells nothing of the model. Build where there are "
    "unprivileged user namespaces (docs/sandbox.md), or let the model take the folder from "
    "tempfile.gettempdir()."
)
_MOST_TEXT: Final = 100_000
"""Characters that are read, of the end: a log may hold one refusal many times."""
_DATABASE: Final = "OperationalError: unable to open database file"


def explain_level(text: str, place: Place, level: str, given: Sequence[Path]) -> tuple[str, ...]:
    """Name in a sentence each what `place` allows and `level` does not, by a log with tracebacks.

    `given` is what the program can read, which may lie below this machine's /tmp. Empty where
    `level` is, which means that the program had a root of its own.
    """
    if not level:
        return ()
    found = dict.fromkeys(_name_refused(text[-_MOST_TEXT:], place, given))
    return tuple(f"{each}, which {_EXCUSE.format(place=place.name, level=level)}" for each in found)


def _name_refused(text: str, place: Place, given: Sequence[Path]) -> Iterator[str]:
    seen: set[str] = set()
    for found in _REFUSED.finditer(text):
        start, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
        line = text[start : end if end >= 0 else None]
        if line in seen:
            continue
        seen.add(line)
        before = text[:start]
        for path in _PATH.findall(line):
            if _is_below(path, place.own) and not _is_below(path, map(str, given)):
                yield f"{name_call(before, text)} uses {path}"
        if _DATABASE in line:
            yield f"{name_call(before, text)} opens a database, below /tmp perhaps"
        if SHARED_MEMORY in place.own and _DENIED.search(line) and _SHARED.search(before):
            yield f"{name_call(before, text)} uses shared memory"


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in folders)
