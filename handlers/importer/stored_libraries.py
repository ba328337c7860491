"""Shared libraries of the compressed store are there for code that loads them by their paths.

llvmlite, XGBoost, LightGBM and others hand a path to ctypes or cffi, which have the system's loader
open it. Where that finds nothing, the library is unpacked below /tmp with those that it needs, and
loaded from there. Neither module is imported for that: they are changed when somebody has them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handlers.importer.stored_files import StoredFiles

_LOADING = {"_cffi_backend": "load_library", "ctypes": "_dlopen"}
"""Modules, and the function of each that has the system's loader open a path."""


class LoadingFinder:
    """Finds these modules as PathFinder does, to change each once it has been run."""

    def __init__(self, files: StoredFiles) -> None:
        self._files = files

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _LOADING:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_and_change(module: ModuleType) -> None:
            run(module)
            change_loading(module, self._files)

        vars(spec.loader)["exec_module"] = run_and_change
        return spec


def install(files: StoredFiles) -> None:
    """Change what is imported already, and what will be when it is."""
    for name in _LOADING:
        if (module := sys.modules.get(name)) is not None:
            change_loading(module, files)
    sys.meta_path.insert(0, LoadingFinder(files))


def change_loading(module: ModuleType, files: StoredFiles) -> None:
    """Have the module's function ask the store where the system's loader has nothing."""
    name = _LOADING[module.__name__]
    real: Callable[..., Any] = vars(module)[name]

    def load(path: object, *rest: object) -> object:
        try:
            return real(path, *rest)
        except OSError:
            place = files.unpack(path)
            if place is None:
                raise
        return real(place, *rest)

    vars(module)[name] = load
