"""Python processes that the model starts import what the function can.

The function's folder is on sys.path by the runtime's doing, and its modules come out of an archive
by a hook in this process. A child has neither, so both travel by PYTHONPATH: its first entry holds
`sitecustomize.py`, which a child runs before anything else. A child that is told to take nothing
from the environment (-I, -E) or to do without site (-S) is beyond this, and so is one that os.exec
or os.posix_spawn starts in an environment put together by hand: no event comes before they read it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STUB = "handlers/loaders/stub"


def share_imports(root: str) -> None:
    """Set this process's environment, and from now on that which is put together for a child."""
    start = f"{root}/handlers/importer/child_start"
    entries = [start, root]
    if os.access(f"{root}/{_STUB}/", os.F_OK):
        entries.append(f"{root}/{_STUB}")
    paths = {"PYTHONPATH": entries}
    if os.access(f"{root}/lib/", os.F_OK):
        # what an entry point loads from there itself, a child would not
        paths["LD_LIBRARY_PATH"] = [f"{root}/lib"]
    for name, first in paths.items():
        prepend(os.environ, name, first)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "subprocess.Popen":
            environment = arguments[3]
            if isinstance(environment, dict) and start not in _entries(environment, "PYTHONPATH"):
                for name, first in paths.items():
                    prepend(environment, name, first)

    sys.addaudithook(watch)


def prepend(environment: MutableMapping[Any, Any], name: str, entries: list[str]) -> None:
    """Put entries before those of a path in an environment, each of them once."""
    rest = [each for each in _entries(environment, name) if each not in entries]
    environment[name] = os.pathsep.join([*entries, *rest])


def _entries(environment: MutableMapping[object, object], name: str) -> list[str]:
    found = environment.get(name)
    return [each for each in found.split(os.pathsep) if each] if isinstance(found, str) else []
