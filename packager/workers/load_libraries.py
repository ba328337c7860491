"""Load each shared library in a process of its own.

Usage: `python load_libraries.py LIST`, one path a line; prints a JSON object of path to what the
loader said, for those that do not load. Run by the target's Python, whose symbols extension
modules need.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path


def why_not(path: str) -> str | None:
    """Return what the dynamic loader says of one file; None where it loads."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(path, mode=os.RTLD_NOW)
        except OSError as error:
            os.write(writer, str(error).encode(errors="replace")[:2000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if status != 0:
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        return f"the process ended with {code}"
    return said or None


def main(listed: str) -> None:
    paths = Path(listed).read_text(encoding="utf-8").splitlines()
    found = {path: said for path in paths if (said := why_not(path)) is not None}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
