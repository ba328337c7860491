"""The model behind the scoring code, whatever framework it is of."""

from __future__ import annotations

import importlib

from handlers.manifest import Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from handlers.manifest import Folder
else:
    Protocol = object


class Predictor(Protocol):
    """A loaded model; safe to call again and again, from one thread at a time."""

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        """Answer one request.

        `data` is what `handlers.scoring.scorer` makes of the request: a DataFrame or a dict of
        one-dimensional arrays in schema order (column signatures, by `Manifest.frame`), an ndarray
        or a dict of ndarrays (tensor signatures), or raw JSON. Raises whatever the model raises.
        """


class Loader(Protocol):
    """Interface of every module under handlers.loaders."""

    def load(self, manifest: Manifest, folder: Folder) -> Predictor: ...


def load(manifest: Manifest, folder: Folder) -> Predictor:
    """Load the model of the function at `folder`, where model-manifest.json lies.

    Where packages came with .pth files, these take effect first, as at the start of a Python that
    has the packages in site-packages (https://docs.python.org/3/library/site.html).

    Where the manifest holds the model to one thread, all that adds up in several is set to one.

    Where weights lie outside of the function, they are put in the model's place first.

    Raises ModuleNotFoundError where the manifest names no loader of ours, WeightsError for weights
    that cannot be had, and whatever the framework raises for a file that it cannot read.
    """
    if manifest.path_files:
        import site

        site.addsitedir(str(folder))
    if manifest.weights:
        manifest = _place_weights(manifest, folder)
    if manifest.threads is None:
        return _load_model(manifest, folder)
    from handlers.loaders import _threads

    _threads.limit_libraries()
    loaded = _load_model(manifest, folder)
    _threads.limit_model(loaded)
    return loaded


def _place_weights(manifest: Manifest, folder: Folder) -> Manifest:
    # by its name: it ships where weights lie outside alone
    from pathlib import Path

    module = importlib.import_module("handlers.loaders.weights")
    placed: Manifest = module.place_weights(manifest, Path(folder))
    return placed


def _load_model(manifest: Manifest, folder: Folder) -> Predictor:
    module: Loader = importlib.import_module(f"handlers.loaders.{manifest.loader}")
    if manifest.frame == "plain":
        return module.load(manifest, folder)
    from pathlib import Path

    return module.load(manifest, Path(folder))
