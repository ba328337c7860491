"""A stand-in for the few names of mlflow that a PythonModel needs to load and to answer.

Shipped in place of MLflow where a model needs no more than this, which replay proves. Whatever is
not here raises at once, and the build goes on to mlflow-skinny.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from mlflow.exceptions import MlflowException

__all__ = ["MlflowException", "__version__", "start_span", "trace"]
__version__ = "0.0.0"
"""Of the MLflow that logged the model: set by the loader."""

_PARTS = frozenset({"exceptions", "lightgbm", "models", "pyfunc", "sklearn", "types", "xgboost"})


def trace(func: Callable[..., object] | None = None, **_options: object) -> object:
    """No tracing: the function as it is, for `@mlflow.trace` and `@mlflow.trace(...)`."""
    return func if func is not None else lambda decorated: decorated


class _Span:
    """Takes what a span takes and keeps nothing."""

    def set_inputs(self, _inputs: object) -> None: ...

    def set_outputs(self, _outputs: object) -> None: ...

    def set_attribute(self, _key: str, _value: object) -> None: ...

    def set_attributes(self, _attributes: object) -> None: ...


@contextlib.contextmanager
def start_span(*_args: Any, **_options: Any) -> Iterator[_Span]:
    yield _Span()


def __getattr__(name: str) -> object:
    if name in _PARTS:
        return importlib.import_module(f"mlflow.{name}")
    msg = f"the stand-in for mlflow has no {name!r}: this model needs mlflow itself"
    raise AttributeError(msg)
