"""Run a function as trace.py does and tell what each import, and answering, uses of which module.

    python watch.py FOLDER HANDLER EVENTS TRACE USES

The bytecode of the folder is that of sink's `watch`: every import is where it was, and what could
be moved says so. USES becomes a JSON object: for each module, what is used while it is imported,
and for `` what is used otherwise, as [module, name] pairs; the name is empty where it is the module
itself that is imported. What an import does that could be moved is not a use: only what is done
with its name is.
"""

from __future__ import annotations

import builtins
import json
import runpy
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence


class Watcher:
    """A finder that finds nothing itself: it knows which module is being imported."""

    def __init__(self) -> None:
        self.uses: dict[str, set[tuple[str, str]]] = {}
        self._importing = [""]
        self._moved = [0]
        """For each of these, how many imports that could be moved are being made in it."""
        self._import = builtins.__import__

    def install(self) -> None:
        watcher = self

        class Watched(ModuleType):
            def __getattribute__(self, name: str) -> object:
                if not name.startswith("__"):
                    watcher.record_use(ModuleType.__getattribute__(self, "__name__"), name)
                return ModuleType.__getattribute__(self, name)

        self._watched = Watched
        space = cast(Any, builtins)
        space.__import__ = self._import_watched
        space.__sink_used__ = self.record_use
        space.__sink_moved__ = self._is_moved
        sys.meta_path.insert(0, cast(Any, self))

    def record_use(self, module: str, name: str) -> None:
        if not self._moved[-1]:
            self.uses.setdefault(self._importing[-1], set()).add((module, name))

    def _is_moved(self, step: int) -> None:
        self._moved[-1] += step

    def _import_watched(self, name: str, *rest: Any, **named: Any) -> ModuleType:
        found = self._import(name, *rest, **named)
        names = named.get("fromlist") or (rest[2] if len(rest) > 2 else ())
        self.record_use(found.__name__ if names else name, "")
        return found

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        self.record_use(name, "")
        for finder in sys.meta_path[sys.meta_path.index(cast(Any, self)) + 1 :]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        if isinstance(getattr(spec.loader, "__dict__", None), dict):
            for step in ("create_module", "exec_module"):
                if hasattr(spec.loader, step):
                    self._follow(name, spec.loader, step)
        return spec

    def _follow(self, name: str, loader: object, step: str) -> None:
        run = getattr(loader, step)

        def run_followed(argument: ModuleSpec | ModuleType) -> object:
            if type(argument) is ModuleType:
                argument.__class__ = self._watched
            self._importing.append(name)
            self._moved.append(0)
            try:
                return run(argument)
            finally:
                self._importing.pop()
                self._moved.pop()

        setattr(loader, step, run_followed)


def main(uses: str, *arguments: str) -> None:
    trace = runpy.run_path(str(Path(__file__).with_name("trace.py")), run_name="traced")
    watcher = Watcher()
    watcher.install()
    trace["main"](*arguments)
    found = {name: sorted(used) for name, used in sorted(watcher.uses.items())}
    Path(uses).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    # this folder: its files are not for the function to import
    del sys.path[0]
    main(sys.argv[5], *sys.argv[1:5])
