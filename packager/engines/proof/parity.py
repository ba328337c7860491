"""Hold a compiled graph to the registered model, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from packager.engines.proof.inputs import RefusedError
from packager.engines.proof.test_rows import Array, Table, size, take_rows

if TYPE_CHECKING:
    Predict = Callable[[Table], Any]
else:
    Predict = Any
_SHOWN: Final = 3
_ASKED: Final = 3000
"""Requests at most to find which rows of a refused batch the model refuses."""


@dataclass(frozen=True)
class Batch:
    name: str
    table: Table
    expected: Array | None
    """What the model answers; None where it refuses."""
    changes: tuple[str, ...] = ()
    """What is changed in each row, where each has a change of its own."""


@dataclass
class Verdict:
    rows: int = 0
    refusals: int = 0
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    wrong: int = 0
    shown: list[str] = field(default_factory=list)
    """The first rows that differ."""


def record_batches(name: str, table: Table, predict: Predict, *, most: int = _ASKED) -> list[Batch]:
    """Record the model's answers to a table, in parts where it refuses some of its rows.

    After `most` requests what is left of the table is left out.
    """
    asked = 0
    found: list[Batch] = []
    todo = [table]
    while todo and asked < most:
        part = todo.pop()
        asked += 1
        try:
            answer = np.asarray(predict(part))
        except RefusedError:
            raise
        except Exception:  # noqa: BLE001 - a model may raise anything: that is its answer
            count = size(part)
            if count == 1:
                found.append(Batch(name, part, None))
            else:
                half = count // 2
                todo += [take_rows(part, slice(half, None)), take_rows(part, slice(half))]
        else:
            found.append(Batch(name, part, answer))
    return found


def compare_batches(
    batches: Sequence[Batch], predict: Predict, *, rtol: float, atol: float, labels: bool
) -> Verdict:
    """Labels must be identical; numbers may part by `atol + rtol * |expected|`."""
    done = Verdict()
    for batch in batches:
        rows = size(batch.table)
        try:
            answer = predict(batch.table)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a refusal
            if batch.expected is None:
                done.refusals += 1
            else:
                done.wrong += rows
                _show(done, batch, 0, f"refused with {type(error).__name__}: {error}")
            continue
        if batch.expected is None:
            done.wrong += rows
            _show(done, batch, 0, f"answered {answer.tolist()} where the model refuses")
            continue
        _compare(done, batch, answer, rtol=rtol, atol=atol, labels=labels)
        done.rows += rows
    return done


def _compare(
    done: Verdict, batch: Batch, answer: Array, *, rtol: float, atol: float, labels: bool
) -> None:
    expected = batch.expected
    assert expected is not None  # noqa: S101 - the caller has looked
    if expected.shape != answer.shape:
        done.wrong += size(batch.table)
        _show(done, batch, 0, f"shape {answer.shape} instead of {expected.shape}")
        return
    if labels or expected.dtype.kind != "f":
        wrong = np.array([a != b for a, b in zip(expected.tolist(), answer.tolist())])
    else:
        wrong = _find_wrong_rows(done, expected, answer, rtol, atol)
        if expected.ndim == 2 and expected.shape[1] > 1:
            # NaN is last of all: the best of a row without one is what is meant
            wrong |= np.argmax(expected, axis=1) != np.argmax(answer, axis=1)
    done.wrong += int(wrong.sum())
    for at in np.flatnonzero(wrong)[:_SHOWN]:
        _show(done, batch, int(at), f"answered {answer.tolist()[at]}")


def _find_wrong_rows(
    done: Verdict, expected: Array, answer: Array, rtol: float, atol: float
) -> Array:
    left, right = expected.astype(np.float64), answer.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        error = np.where(same, 0.0, np.abs(left - right))
        good = same | (error <= atol + rtol * np.abs(left))
        share = np.where(same, 0.0, error / np.abs(left))
    if good.any():
        done.max_abs_error = max(done.max_abs_error, float(np.max(error[good], initial=0.0)))
        known = share[good & np.isfinite(share)]
        done.max_rel_error = max(done.max_rel_error, float(np.max(known, initial=0.0)))
    wrong: Array = ~good.reshape(len(good), -1).all(axis=1)
    return wrong


def _show(done: Verdict, batch: Batch, at: int, what: str) -> None:
    if len(done.shown) >= _SHOWN:
        return
    row = {name: column[at : at + 1].tolist()[0] for name, column in batch.table.items()}
    shown = dict(list(row.items())[:12])
    wanted = "a refusal" if batch.expected is None else batch.expected.tolist()[at]
    name = batch.changes[at] if batch.changes else batch.name
    done.shown.append(f"{name}: {shown}: expected {wanted}, {what}")
