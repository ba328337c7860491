"""Move imports that a module does not need while it is imported to where their names are used.

    python defer_imports survey ASKED ANSWERED   which imports of each module could be moved
    python defer_imports write ASKED ANSWERED    bytecode of each module with some of them moved
    python defer_imports watch ASKED ANSWERED    bytecode that tells watch.py of their uses instead

Run by the target's Python, whose syntax and bytecode it must be; the sources stay as they are.

A moved import becomes a branch of the module's `__getattr__` (PEP 562), which binds the name in the
module as the import would have done. So another module that takes the name gets it, and each
statement of a function that uses it is preceded by a look whether it is bound yet. After the first
use there is no difference left between this module and the one as it was written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if not __package__:
    # run by its path, without the packager: the folder is a package of its own
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    __package__ = "defer_imports"

from .moving import bytecode, sunk, watch_uses
from .surveying import survey


def main(command: str, asked: str, answered: str) -> None:
    modules: list[dict[str, Any]] = json.loads(Path(asked).read_text(encoding="utf-8"))
    answers: dict[str, Any] = {}
    for each in modules:
        source = Path(each["path"]).read_bytes()
        if command == "survey":
            try:
                answers[each["name"]] = survey(source, each["name"], package=each["package"])
            except (SyntaxError, ValueError, RecursionError):
                continue
        else:
            tree = (
                sunk(source, each["sink"], each["serve"])
                if command == "write"
                else watch_uses(source, each["name"], each["sink"])
            )
            made = bytecode(tree, source, each["filename"], each["optimize"])
            Path(each["bytecode"]).write_bytes(made)
    Path(answered).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:4])
