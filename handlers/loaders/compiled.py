"""A model of another flavor, compiled to an ONNX graph: it answers as that flavor's pyfunc does.

Columns (or tensors) are fed as the graph wants them, and what it answers gets the dtype and shape
that the registered model answers with. What that model refuses is refused here too, because a
graph would answer it with something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handlers.loaders import _sessions

if TYPE_CHECKING:
    from types import ModuleType

    import numpy.typing as npt
    from onnxruntime import InferenceSession

    from handlers.manifest import Manifest

    Array = npt.NDArray[Any]
else:
    Array = Any


class Compiled:
    """A session, and how a request and an answer pass through it.

    `options` has `feeds` (each an `input` of the graph, its `dtype`, and the `columns` that make
    it, or the name of a `tensor`), `output`, `dtype` and `shape` (of one row's answer), `nan`,
    `infinite` and `wide` (columns in which those are refused), `within` (by column the ends of
    the finite numbers that are answered), `empty` (no rows are refused),
    `missing_text` (what stands for null), `levels` (by text column the only words that are
    answered) and `names` (of the answer's columns, where the registered model answers with a
    table).
    """

    def __init__(self, session: Any, options: Mapping[str, Any]) -> None:
        self._session = session
        self._feeds: Sequence[Mapping[str, Any]] = options["feeds"]
        self._output: str = options["output"]
        self._dtype = np.dtype(options["dtype"])
        self._tail: tuple[int, ...] = tuple(options["shape"])
        self._missing: str | None = options.get("missing_text")
        self._levels = {name: frozenset(each) for name, each in options.get("levels", {}).items()}
        self._names: list[str] | None = options.get("names")
        self._within: Mapping[str, Sequence[float]] = options.get("within", {})
        self._refuses_none = bool(options.get("empty"))
        self._refused = {kind: frozenset(options.get(kind, ())) for kind in _REFUSED}

    def predict(self, data: Any, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as sklearn
        """As `array`; tables as records, which read the same in an answer."""
        answer = self.array(data)
        if self._names is None:
            return answer
        names = list(enumerate(self._names))
        return [{name: row[at] for at, name in names} for row in answer.tolist()]

    def array(self, data: Any) -> Array:
        """Raises ValueError for values that the registered model refuses, KeyError for a column."""
        feeds = {feed["input"]: self._make_feed(feed, data) for feed in self._feeds}
        rows = len(next(iter(feeds.values())))
        if not rows and self._refuses_none:
            msg = "the model refuses a table without rows"
            raise ValueError(msg)
        (answer,) = self._session.run([self._output], feeds)
        return np.asarray(answer).reshape(rows, *self._tail).astype(self._dtype, copy=False)

    def _make_feed(self, feed: Mapping[str, Any], data: Any) -> Array:
        names, dtype = feed["columns"], feed["dtype"]
        if names is None:
            array = data[feed["tensor"]] if isinstance(data, dict) else data
            self._check(feed["tensor"] or "", array)
            return np.ascontiguousarray(array, dtype=dtype)
        if dtype == "object":
            return np.stack([self._texts(data[name], name) for name in names], axis=1)
        table = np.empty((len(data[names[0]]), len(names)), dtype=dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for at, name in enumerate(names):
                self._check(name, data[name])
                table[:, at] = data[name]
        return table

    def _check(self, name: str, column: Array) -> None:
        if column.dtype.kind == "f":
            for kind, refused in self._refused.items():
                if name in refused and _REFUSED[kind](column):
                    msg = f"the model refuses a value of {name!r}"
                    raise ValueError(msg)
            if name in self._within and _beyond(column, *self._within[name]):
                msg = f"the model refuses a value of {name!r}"
                raise ValueError(msg)

    def _texts(self, column: Array, name: str) -> Array:
        known, values = self._levels.get(name), column.tolist()
        whole = set(map(type, values)) <= {str}
        if known is not None and not known.issuperset(
            values if whole else [v for v in values if type(v) is str]
        ):
            msg = f"the model refuses a value of {name!r}"
            raise ValueError(msg)
        return column if whole else self._fill_missing(values)

    def _fill_missing(self, values: list[object]) -> Array:
        if self._missing is None or not all(type(v) is str or _is_null(v) for v in values):
            msg = "the model refuses a value that is no text"
            raise ValueError(msg)
        return np.array([v if type(v) is str else self._missing for v in values], dtype=object)


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


def _beyond(column: Array, least: float, most: float) -> bool:
    return bool((np.isfinite(column) & ((column < least) | (column > most))).any())


def _wide(column: Array) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((np.isfinite(column) & ~np.isfinite(column.astype(np.float32))).any())


_REFUSED = {
    "nan": lambda column: bool(np.isnan(column).any()),
    "infinite": lambda column: bool(np.isinf(column).any()),
    "wide": _wide,
}
"""Kinds of values that a model may refuse; `wide` is finite, and infinite as a float32."""


def session(
    onnxruntime: ModuleType, graph: str | bytes, named: Mapping[str, object]
) -> InferenceSession:
    """The graph was optimised when it was compiled: as it is, it runs."""
    made = _sessions.options(onnxruntime, named)
    made.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # what goes wrong is raised; a log would have it twice, the values of a request with it
    made.log_severity_level = 4
    made.enable_cpu_mem_arena = False
    made.enable_mem_pattern = False
    return onnxruntime.InferenceSession(
        graph, sess_options=made, providers=["CPUExecutionProvider"]
    )


def load(manifest: Manifest, folder: Path) -> Compiled:
    """Raises onnxruntime's own errors for a graph that it cannot read."""
    import onnxruntime

    options = manifest.options
    graph = str(folder / manifest.model_path / options["file"])
    return Compiled(session(onnxruntime, graph, options.get("session_options", {})), options)
