"""Read an estimator from skops' format or from a pickle, and code that was logged beside it."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from handlers.manifest import Manifest


def model_folder(manifest: Manifest, folder: Path) -> Path:
    """Find the model; its own code, if any, is put first on sys.path as MLflow does."""
    root = folder / manifest.model_path
    for name in manifest.options.get("code", ()):
        code = str(root / name)
        if code not in sys.path:
            sys.path.insert(0, code)
    return root


def load(path: Path, serialization: str, trusted: Sequence[str]) -> object:
    """The object in the file.

    `trusted` are the types that were approved at build; skops refuses any other
    (skops.io.exceptions.UntrustedTypesFoundException). Pickles run code: they are loaded because
    the registry's owner trusts them, as MLflow does.
    """
    if serialization == "skops":
        return _skops_io().load(path, trusted=list(trusted))
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the registered model is what is asked for


def _skops_io() -> ModuleType:
    """skops.io, imported without what only its defaults and its writing need.

    Its import lists every estimator and every ufunc to trust them by default (some 300 modules;
    here each type was approved at build and is passed in), and takes in sklearn.cluster to refuse
    one class when it writes. Should another release not bear that, it is imported whole.
    """
    if "skops.io" not in sys.modules:
        with contextlib.suppress(ImportError, AttributeError, TypeError), _stand_ins():
            return importlib.import_module("skops.io")
        for name in [name for name in sys.modules if name.partition(".")[0] == "skops"]:
            del sys.modules[name]
    return importlib.import_module("skops.io")


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    defaults = ModuleType("skops.io._trusted_types")
    vars(defaults)["__getattr__"] = _nothing_by_default
    cluster = ModuleType("sklearn.cluster")
    vars(cluster)["Birch"] = type("Birch", (), {})
    put = [module for module in (defaults, cluster) if module.__name__ not in sys.modules]
    sys.modules.update({module.__name__: module for module in put})
    try:
        yield
    finally:
        for module in put:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]


def _nothing_by_default(name: str) -> list[str]:
    if name.startswith("__"):
        raise AttributeError(name)
    return []
