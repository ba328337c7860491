"""One model, the rows that it was asked, what it answered, and the graphs that are held to it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from google.protobuf.message import EncodeError

from handlers.loaders import compiled
from packager.engines.onnx import parity, test_rows
from packager.engines.onnx.candidates import Candidate, Family, Inputs, RefusedError
from packager.engines.onnx.parity import Batch
from packager.engines.onnx.test_rows import Table

LARGEST_BYTES: Final = 2**31 - 1
"""A protobuf message's own limit (https://protobuf.dev/programming-guides/encoding/)."""
FILE: Final = "model.onnx"
_THRESHOLDS: Final = 100_000
_CELLS: Final = 60_000_000
"""Of the rows beside thresholds together; each threshold has nine of them."""
_VISITS: Final = 200_000_000
"""Of trees by those rows together: some twenty seconds of the model's time, and of a graph's."""
_BATCHES: Final = (1, 2, 1000)
_REPLAYED: Final = 400
_PROBED_ALONE: Final = 64
_NAMED: Final = (
    "catboost", "keras", "lightgbm", "numpy", "onnx", "onnxruntime", "onnxscript", "scikit-learn",
    "skl2onnx", "statsmodels", "tensorflow", "tensorflow-cpu", "tf2onnx", "torch", "xgboost",
    "xgboost-cpu",
)  # fmt: skip
_WORDS: Final = 800
"""Letters of a converter's or the runtime's message."""
_WIDE: Final = 1e300
_MOST: Final = float(np.finfo(np.float64).max)
_MISSING: Final = "\x00missing"
"""Stands for null in a text column: no category is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Result of a candidate: `options` for the loader, or None where it is refused."""

    evidence: dict[str, Any]
    options: dict[str, Any] | None = None


class Case:
    """Raises RefusedError where the model answers with nothing that a graph could."""

    def __init__(
        self,
        *,
        predict: Callable[[Table], Any],
        model: Any,
        inputs: Inputs,
        family: Family,
        method: str,
        table: Table,
        example: Table | None,
        rtol: float,
        atol: float,
        seed: int,
        names: Callable[[], list[str] | None] = lambda: None,
    ) -> None:
        """`names`: of the columns that the model answers with, where it answers with a table."""
        self._names = names
        self._predict, self._model, self._inputs = predict, model, inputs
        self._family, self._method = family, method
        self._rtol, self._atol, self._seed = rtol, atol, seed
        self._rng = np.random.default_rng(seed)
        self._generated = test_rows.size(table)
        classes = getattr(model, "classes_", None)
        self.labels = method == "predict" and classes is not None and len(classes) > 0
        first = test_rows.take_rows(example or table, slice(0, 1))
        self._refused = self._refusals(first)
        self._within = self._ends(first)
        self._refuses_none = self._refuses_empty(test_rows.take_rows(first, slice(0, 0)))
        self._edges, self._covered = self._at_thresholds(table)
        self.batches: list[Batch] = []
        named = [("generated", table), ("threshold", self._edges), ("the example", example)]
        for name, each in named:
            if each is not None and test_rows.size(each):
                self.batches += parity.record_batches(name, each, predict)
        for count in _BATCHES:
            part = test_rows.take_rows(table, slice(0, count))
            self.batches += parity.record_batches(f"batch of {count}", part, predict)
        self._special = []
        for name, row in (
            *test_rows.specials(first, inputs, family.seen(model)),
            *test_rows.beyond(first, self._within),
        ):
            self._special += parity.record_batches(name, row, predict)
        self.batches += self._special
        answered = [batch.expected for batch in self.batches if batch.expected is not None]
        if not answered:
            raise RefusedError("the registered model refuses every row that was made for it")
        self._answer = answered[0]
        kind = self._answer.dtype.kind
        if kind not in "fiubUO" or (kind == "O" and not isinstance(self._answer.ravel()[0], str)):
            raise RefusedError(f"answers of type {self._answer.dtype}")

    def candidates(self) -> Any:
        return self._family.candidates(self._model, self._inputs, self._method)

    def _refusals(self, row: Table) -> dict[str, list[str]]:
        """Columns in which NaN, infinity or a double beyond any float is refused."""
        named = [name for name, column in row.items() if column.dtype.kind == "f"]
        found: dict[str, list[str]] = {}
        for kind, value in (("nan", np.nan), ("infinite", np.inf), ("wide", _WIDE)):
            some = named[:: max(1, len(named) // 3)] if len(named) > _PROBED_ALONE else named
            refused = [name for name in some if self._refuses_value(row, name, value)]
            if len(some) < len(named) and 0 < len(refused) < len(some):
                raise RefusedError("columns that treat missing or infinite values differently")
            found[kind] = named if refused and len(some) < len(named) else refused
        if not self._inputs.columns:
            found = {kind: [self._inputs.tensor or ""] * bool(each) for kind, each in found.items()}
        return found

    def _ends(self, row: Table) -> dict[str, list[float]]:
        """By column the least and the greatest double that is answered, where some are refused.

        A step before the model (a scaler that divides) takes those beyond to infinity, which the
        model behind it refuses; a graph goes on with it.
        """
        named = [name for name, column in row.items() if column.dtype == np.float64]
        if not self._inputs.columns or len(named) > _PROBED_ALONE:
            return {}
        ends = {
            name: [self._last_answered(row, name, sign) for sign in (-1.0, 1.0)]
            for name in named
            if name not in self._refused["wide"]
        }
        return {name: each for name, each in ends.items() if each != [-_MOST, _MOST]}

    def _last_answered(self, row: Table, name: str, sign: float) -> float:
        if not self._refuses_value(row, name, sign * _MOST):
            return sign * _MOST
        # doubles of one sign are in the order of their bits
        low, high = (int(np.float64(each).view(np.int64)) for each in (_WIDE, _MOST))
        while high - low > 1:
            middle = (low + high) // 2
            value = sign * float(np.int64(middle).view(np.float64))
            low, high = (low, middle) if self._refuses_value(row, name, value) else (middle, high)
        return sign * float(np.int64(low).view(np.float64))

    def _refuses_value(self, row: Table, name: str, value: float) -> bool:
        return self._refuses(test_rows.with_value(row, name, value))

    def _refuses(self, row: Table) -> bool:
        (batch,) = parity.record_batches("", row, self._predict)
        return batch.expected is None

    def _refuses_empty(self, table: Table) -> bool:
        """Tell whether the model refuses a table without rows.

        Graphs answer it, or not, by the runtime.
        """
        try:
            self._predict(table)
        except RefusedError:
            return False
        except Exception:  # noqa: BLE001 - a model may raise anything: that is its answer
            return True
        return False

    def _at_thresholds(self, table: Table) -> tuple[Table | None, dict[str, int]]:
        splits = self._family.thresholds(self._model)
        before = self._family.before(self._model)
        reached = self._family.splits(self._model)
        trees = 1 + max((each.tree for each in reached), default=0)
        rooms = _CELLS // (9 * len(table)), _VISITS // (9 * trees)
        most = max(1, min(_THRESHOLDS, *rooms))
        numeric = all(column.dtype.kind in "fiu" for column in table.values())
        if before is None and reached and numeric:
            made, done, total = test_rows.lead_rows(table, reached, most, self._rng)
        elif before is None:
            made, done, total = test_rows.at_thresholds(table, splits, most, self._rng)
        else:
            # what stands before the trees takes what the model takes
            made, done, total = test_rows.through(
                lambda each: before(self._inputs, each), table, splits, most, self._rng
            )
        return made, {"thresholds": total, "thresholds_asked": done}

    def try_candidate(self, candidate: Candidate, path: Path) -> Tried:
        """Compile one candidate and compare it."""
        try:
            opsets, size = _write_optimised_graph(candidate, path)
            settings = {"intra_op_num_threads": 1} if candidate.exact else {}
            session = compiled.session(onnxruntime, str(path), settings)
            options = self._options(candidate, session, settings)
            ours = compiled.Compiled(session, options)
        except Exception as error:  # noqa: BLE001 - converters raise anything: that candidate is out
            words = " ".join(str(error).split())[:_WORDS]
            return Tried(evidence={"refused": f"{type(error).__name__}: {words}"})
        done = parity.compare_batches(
            self.batches,
            lambda table: ours.array(self._make_feed(table)),
            rtol=0.0 if candidate.exact else self._rtol,
            atol=0.0 if candidate.exact else self._atol,
            labels=self.labels,
        )
        evidence: dict[str, Any] = {
            "exact": candidate.exact,
            "opset": opsets,
            "graph_bytes": size,
            "rows": done.rows,
            "refusals_agreed": done.refusals,
            "max_abs_error": done.max_abs_error,
            "max_rel_error": done.max_rel_error,
        }
        if done.wrong:
            shown = "; ".join(done.shown)
            evidence["refused"] = f"{done.wrong} rows differ: {shown}"
            return Tried(evidence=evidence)
        return Tried(evidence=evidence, options=options)

    def _make_feed(self, table: Table) -> Any:
        if self._inputs.columns:
            return table
        stacked = test_rows.stack_columns(table, self._inputs)
        return {self._inputs.tensor: stacked} if self._inputs.tensor else stacked

    def _options(
        self, candidate: Candidate, session: Any, settings: dict[str, int]
    ) -> dict[str, Any]:
        text = any(feed["dtype"] == "object" for feed in candidate.feeds)
        dtype = self._answer.dtype
        return {
            "file": FILE,
            "feeds": candidate.feeds,
            "output": session.get_outputs()[candidate.output].name,
            "dtype": "object" if dtype.kind in "UO" else dtype.str,
            "shape": list(self._answer.shape[1:]),
            **{kind: names for kind, names in self._refused.items() if names},
            **({"within": self._within} if self._within else {}),
            **({"empty": True} if self._refuses_none else {}),
            **({"missing_text": _MISSING} if text and self._takes_null() else {}),
            **({"levels": dict(candidate.levels)} if candidate.levels else {}),
            **({"session_options": settings} if settings else {}),
            **({"names": names} if (names := self._names()) is not None else {}),
        }

    def _takes_null(self) -> bool:
        nulls = [each for each in self._special if each.name.endswith(" is missing")]
        return bool(nulls) and all(each.expected is not None for each in nulls)

    def list_replay_rows(self) -> list[dict[str, Any]]:
        """Rows at thresholds, and single special ones, for the booted artifact to answer too."""
        tables = [each.table for each in self._special[:_REPLAYED]]
        if self._edges is not None:
            count = test_rows.size(self._edges)
            some = self._rng.choice(count, min(count, _REPLAYED), replace=False)
            tables.append(test_rows.take_rows(self._edges, np.sort(some)))
        return [{name: column.tolist() for name, column in each.items()} for each in tables]

    def evidence(self) -> dict[str, Any]:
        return {
            **self._covered,
            "generated_rows": self._generated,
            "special_rows": len(self._special),
            "batch_sizes": list(_BATCHES),
            "rtol": self._rtol,
            "atol": self._atol,
            "labels_identical": True,
            "seed": self._seed,
            "python": platform.python_version(),
            "versions": _versions(),
        }


def _versions() -> dict[str, str]:
    """Return the versions of the converters and the frameworks that are installed here."""
    installed = {each.name.lower().replace("_", "-"): each.version for each in distributions()}
    return {name: installed[name] for name in _NAMED if name in installed}


def _write_optimised_graph(candidate: Candidate, path: Path) -> tuple[dict[str, int], int]:
    """Write the graph as onnxruntime rearranges it for any machine; returns opsets and size."""
    graph = candidate.graph()
    graph.graph.name = "model"
    try:
        content = graph.SerializeToString(deterministic=True)
    except EncodeError as error:
        raise RefusedError(f"a graph of more than {LARGEST_BYTES} bytes") from error
    if len(content) > LARGEST_BYTES:
        raise RefusedError(f"a graph of {len(content)} bytes: {LARGEST_BYTES} is the most")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return {each.domain: each.version for each in graph.opset_import}, path.stat().st_size
