"""Drift of what a model is asked and answers from a baseline of the build.

At most every so many rows of a call are looked at, at most so many are kept, and no more than 1.5 %
of the time that invocations take is spent on it. Rows are kept until there are enough, or until
enough time has passed, and then become one set of metrics (see handlers.observability.sketches).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from handlers.observability import dimension_value
from handlers.observability.sketches import Array, Baseline, Moved, Sketch, compare
from handlers.scoring.schema import np
from handlers.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_COLUMNS = 100
ROWS, LEAST_ROWS, SECONDS = 1000, 200, 300.0
RECORDED = "x-packager-recorded"
"""Header, or key of a direct invoke's custom client context, of a request that a deployment's check
asks: its generated rows are no drift. It does nothing else, as any caller may send it."""
_OF_A_CALL = 128
_SHARE = 0.015
"""Of the time that invocations take; what that leaves in caches and to the collector is not in it,
and with it the whole stays below 3 % (bench/drift.py)."""


def is_recorded(given: object) -> bool:
    """Tell whether headers, or a client context, mark a request as one of a check."""
    # a REST API and an invoke leave the caller's case, and an invoke's keys are any
    return isinstance(given, Mapping) and any(str(key).lower() == RECORDED for key in given)


def columns(data: Any, step: int = 1, start: int = 0) -> dict[str, Array]:
    """Return input or output of a model by column: every `step`th row from `start` on.

    Empty for what has no columns.
    """
    if hasattr(data, "iloc"):
        if hasattr(data, "columns"):
            found = islice(data.items(), MOST_COLUMNS)
            return {str(name): np.asarray(values.array[start::step]) for name, values in found}
        return {"0": np.asarray(data.array[start::step])}
    if isinstance(data, Mapping):
        found = islice(data.items(), MOST_COLUMNS)
        return {str(n): np.asarray(v)[start::step] for n, v in found if np.ndim(v) == 1}
    if isinstance(data, list):
        data = np.asarray(data) if data and isinstance(data[0], (int, float, str)) else None
    return _list_columns(data, step, start) if isinstance(data, np.ndarray) else {}


def _list_columns(data: Array, step: int, start: int) -> dict[str, Array]:
    if data.ndim == 1:
        return {"0": data[start::step]}
    if data.ndim == 2:
        return {str(i): data[start::step, i] for i in range(min(data.shape[1], MOST_COLUMNS))}
    return {}


def answers(prediction: object, step: int = 1, start: int = 0) -> dict[str, Array]:
    """As `columns`; the only column of an answer has no name that is sure to stay."""
    found = columns(prediction, step, start)
    return dict(zip("0", found.values())) if len(found) == 1 else found


@dataclass(slots=True)
class _Kept:
    """Rows since the last metrics, a list of pieces a column."""

    rows: int = 0
    pieces: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, found: Mapping[str, Array], prefix: str) -> int:
        size = 0
        for name, values in found.items():
            self.pieces.setdefault(prefix + name, []).append(values.copy())
            size = len(values)
        return size


class Drift:
    """Watches one container's calls; bounded in memory and in time."""

    def __init__(
        self,
        baseline: Baseline,
        emit: Callable[[str], None],
        dimensions: Mapping[str, str],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.perf_counter,
        column: Callable[[str], str] = dimension_value,
    ) -> None:
        """`emit` takes lines of CloudWatch's embedded metric format.

        `column` makes a dimension's value of a column's name.
        """
        self._column = column
        self._baseline, self._emit, self._clock = baseline, emit, clock
        self._namespace = environ.get("POWERTOOLS_METRICS_NAMESPACE") or "ModelServing"
        self._dimensions = dict(dimensions)
        self._rows = int(environ.get("PACKAGER_DRIFT_ROWS") or ROWS)
        self._seconds = float(environ.get("PACKAGER_DRIFT_SECONDS") or SECONDS)
        self._kept = _Kept()
        self._since = clock()
        self._spent = self._served = 0.0
        self._calls = 0

    def observe(self, data: object, prediction: object) -> None:
        """Observe one call to the model; both are read only."""
        if self._spent > self._served * _SHARE or self._kept.rows >= self._rows:
            return
        begun = self._clock()
        rows = _rows(data)
        step = max(1, -(-rows // _OF_A_CALL))
        # another start each time: rows that repeat in some step must not all look alike
        self._calls += 1
        start = self._calls % step
        size = self._kept.add(columns(data, step, start), "i")
        self._kept.add(answers(prediction, step, start), "o")
        self._kept.rows += size
        self._spent += self._clock() - begun

    def end_invocation(self, seconds: float) -> None:
        """At the end of an invocation, which took so long: metrics where they are due."""
        self._served += seconds
        waited = self._clock() - self._since
        due = self._kept.rows >= self._rows or waited >= self._seconds
        if self._kept.rows < min(LEAST_ROWS, self._rows) or not due:
            return
        begun = self._clock()
        kept, self._kept, self._since = self._kept, _Kept(), begun
        self._report(kept)
        self._spent += self._clock() - begun

    def _report(self, kept: _Kept) -> None:
        inputs = self._measure_moves(kept, "i", self._baseline.inputs)
        answers = self._measure_moves(kept, "o", self._baseline.predictions)
        for name, moved in (*inputs.items(), *((f"prediction {n}", m) for n, m in answers.items())):
            told = {
                "DriftPsi": moved.psi,
                "MissingRate": moved.missing,
                "UnseenRate": moved.unseen,
                "OutOfRangeRate": moved.outside,
            }
            self._write_line({"column": self._column(name)}, told)
        most = {
            "DriftMostPsi": max(
                (m.psi for m in inputs.values() if m.psi is not None), default=None
            ),
            "PredictionPsi": max(
                (m.psi for m in answers.values() if m.psi is not None), default=None
            ),
            "DriftRows": float(kept.rows),
        }
        self._write_line({}, most)

    def _measure_moves(self, kept: _Kept, prefix: str, base: Sequence[Sketch]) -> dict[str, Moved]:
        found = {}
        for each in base:
            pieces = kept.pieces.get(prefix + each.name)
            if pieces:
                found[each.name] = compare(each, np.concatenate(pieces))
        return found

    def _write_line(self, more: Mapping[str, str], told: Mapping[str, float | None]) -> None:
        values = {name: round(value, 6) for name, value in told.items() if value is not None}
        if not values:
            return
        dimensions = {**self._dimensions, **more}
        described = {
            "Namespace": self._namespace,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": "None"} for name in values],
        }
        stamp = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]}
        self._emit(json.dumps({"_aws": stamp, **dimensions, **values}))


def _rows(data: Any) -> int:
    if isinstance(data, Mapping):
        data = next(iter(data.values()), ())
    try:
        return len(data)
    except TypeError:
        return 1
