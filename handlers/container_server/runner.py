"""One batch on one device: joined, predicted, cut again; halved where it fails or is too large."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from handlers.container_server.batcher import Job
from handlers.scoring.errors import ScoringError, TooLargeError
from handlers.scoring.request_merging import cut, join_rows, shares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_LOG = logging.getLogger(__name__)
_FULL = ("out of memory", "failed to allocate memory", "bad_alloc", "cublas_status_alloc_failed")
Predict: TypeAlias = "Callable[[Any, dict[str, Any] | None], Any]"


class Runner:
    """`predict` is the scorer's, which raises ScoringError for whatever the model raises."""

    def __init__(self, predict: Predict, batch_rows: int) -> None:
        self._predict = predict
        self.batch_rows = batch_rows
        """Rows that go to the device at once; less after it ran out of memory."""
        self.recovered = 0
        """How often it ran out of memory, and went on."""

    def __call__(self, jobs: Sequence[Job]) -> list[object]:
        """One prediction a job, or the ScoringError that it alone would be answered with."""
        rows = sum(job.rows for job in jobs)
        if len(jobs) == 1:
            return [self._run_alone(jobs[0])]
        if rows > self.batch_rows:
            return self._run_halves(jobs)
        try:
            prediction = self._predict(join_rows([job.data for job in jobs]), jobs[0].params)
        except ScoringError as error:
            if out_of_memory(error):
                self._shrink_batch(rows)
            return self._run_halves(jobs)
        parts = shares(prediction, [job.rows for job in jobs])
        # not an answer by row: only the request alone tells its own
        return [self._run_alone(job) for job in jobs] if parts is None else parts

    def _run_halves(self, jobs: Sequence[Job]) -> list[object]:
        middle = len(jobs) // 2
        return [*self(jobs[:middle]), *self(jobs[middle:])]

    def _run_alone(self, job: Job) -> object:
        if job.form is not None and job.rows > self.batch_rows:
            return self._run_pieces(job)
        try:
            return self._predict(job.data, job.params)
        except ScoringError as error:
            if job.form is not None and job.rows > 1 and out_of_memory(error):
                self._shrink_batch(job.rows)
                return self._run_pieces(job)
            return _explain_refusal(error)

    def _run_pieces(self, job: Job) -> object:
        """A large request, a part at a time; whole, where its answer is not one by row."""
        made: list[Any] = []
        at = 0
        while at < job.rows:
            until = min(job.rows, at + self.batch_rows)
            try:
                part = self._predict(slice_rows(job.data, at, until), job.params)
            except ScoringError as error:
                if until - at > 1 and out_of_memory(error):
                    self._shrink_batch(until - at)
                    continue
                return _explain_refusal(error)
            if shares(part, [until - at]) is None:
                try:
                    return self._predict(job.data, job.params)
                except ScoringError as error:
                    return error
            made.append(part)
            at = until
        return together(made)

    def _shrink_batch(self, rows: int) -> None:
        self.batch_rows = max(1, min(self.batch_rows, rows) // 2)
        self.recovered += 1
        _LOG.warning("Out of memory at %d rows: from now on %d at once", rows, self.batch_rows)
        free()


def out_of_memory(error: BaseException) -> bool:
    """Tell whether a device or the machine had no room, whatever framework says so."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or type(cause).__name__ == "OutOfMemoryError":
            return True
        if isinstance(cause, (RuntimeError, ValueError)) or "Error" in type(cause).__name__:
            text = str(cause).lower()
            if any(mark in text for mark in _FULL):
                return True
        cause = cause.__cause__
    return False


def _explain_refusal(error: ScoringError) -> ScoringError:
    if not out_of_memory(error):
        return error
    return TooLargeError("One row alone is more than there is memory for.")


def free() -> None:
    """Give back what a framework holds for later."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def slice_rows(data: object, start: int, stop: int) -> object:
    """Rows of an array, a frame, a list, or of a dict of arrays."""
    if isinstance(data, dict):
        return {name: array[start:stop] for name, array in data.items()}
    part = cut(data, start, stop)
    # a frame's rows count from 0 again, as they do in a request of these alone
    return part.reset_index(drop=True) if hasattr(part, "reset_index") else part


def together(parts: Sequence[Any]) -> object:
    """Predictions of one kind as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, dict):
        return {name: together([part[name] for part in parts]) for name in first}
    if isinstance(first, list):
        return [value for part in parts for value in part]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    return sys.modules["pandas"].concat(parts, ignore_index=True)
