"""Load each library of a function's compressed store from below a temporary folder.

Usage: `python load_stored_libraries.py FOLDER ASKED`; ASKED has a JSON object of each library to
those that it needs. Prints a JSON object of library to what the loader said, for those that do not
load: each is tried in a process of its own, with nothing beside it but what it needs, and then all
in one process. Run by the target's Python, whose symbols extension modules need, with the code that
ships in FOLDER.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ENDED = "the process ended with"


def load(path: str) -> str | None:
    """Load one file; return what the dynamic loader says of it, None where it loads."""
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOW)
    except OSError as error:
        return str(error)
    return None


def load_in_fork(paths: list[str]) -> list[str | None]:
    """Load one file after the other in one new process; return what the loader says of each."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writer, "w") as pipe:
            for path in paths:
                pipe.write(json.dumps(load(path)) + "\n")
                pipe.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = [json.loads(line) for line in pipe]
    _, status = os.waitpid(child, 0)
    if len(said) < len(paths):
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        # the one that ended the process, and those that were not tried
        said += [f"{_ENDED} {code}"] * (len(paths) - len(said))
    return said


def lay_out(path: str, needs: list[str], unpacked: str, folder: str) -> str:
    """A folder with a library and what it needs, as a miss of it alone would leave it."""
    for each in (*needs, path):
        link = Path(folder, each)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{unpacked}/{each}")
    return f"{folder}/{path}"


def load_alone(asked: dict[str, list[str]], unpacked: str) -> Iterator[tuple[str, str]]:
    for path, needs in asked.items():
        with tempfile.TemporaryDirectory(prefix="alone-") as folder:
            (said,) = load_in_fork([lay_out(path, needs, unpacked, folder)])
        if said is not None:
            yield path, said


def load_together(places: dict[str, str]) -> dict[str, str]:
    """Those that do not load after the others; where one ends the process, that one alone."""
    wrong: dict[str, str] = {}
    for path, said in zip(places, load_in_fork([*places.values()])):
        if said is not None:
            wrong[path] = said
            if said.startswith(_ENDED):
                break
    return wrong


def main(root: str, listed: str) -> None:
    asked: dict[str, list[str]] = json.loads(Path(listed).read_text(encoding="utf-8"))
    sys.path.insert(0, root)
    shipped: Any = importlib.import_module("handlers.importer.compressed_store")
    store = shipped.CompressedStore(root, f"{root}/handlers/{shipped.COLD_FILE}")
    places = {path: store.unpack_file(path) for path in asked}
    some = next(iter(asked))
    unpacked = places[some][: -len(f"/{some}")]
    failing = dict(load_alone(asked, unpacked))
    while more := load_together({p: places[p] for p in asked if p not in failing}):
        failing.update(more)
    print(json.dumps(failing))


if __name__ == "__main__":
    del sys.path[0]
    main(*sys.argv[1:3])
