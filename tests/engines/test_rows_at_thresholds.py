"""Rows on both sides of a threshold that a transform stands before."""

from __future__ import annotations

from typing import Any

import numpy as np

from packager.engines.proof import test_rows as rows
from packager.engines.proof.test_rows import through

DRAWN = np.random.default_rng(0)
TABLE: dict[str, Any] = {
    "a": DRAWN.normal(size=50),
    "b": DRAWN.gamma(2.0, 2.0, 50).astype(np.float32),
    "c": DRAWN.integers(-5, 5, 50),
    "word": np.array(["x", "y"] * 25, dtype=object),
}
THRESHOLDS = {0: np.array([-3.1, 0.25, 3.3]), 1: np.array([2.5]), 2: np.array([0.5, 1e9])}


class Scaling:
    """Each feature hangs on one column, the second falls as its column rises; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, table: dict[str, Any]) -> Any:
        self.calls += 1
        a, b, c = (np.asarray(table[name], dtype=np.float64) for name in "abc")
        return np.stack([a * 2 + 1, 3 - b, c / 2], axis=1)


def test_a_threshold_lies_between_two_neighbouring_inputs() -> None:
    transform = Scaling()
    made, done, total = through(transform, TABLE, THRESHOLDS, 100, np.random.default_rng(1))
    assert (done, total) == (5, 6)  # the last one is farther than any input leads
    assert made is not None
    assert [column.dtype for column in made.values()] == [each.dtype for each in TABLE.values()]

    got = transform(made)
    before, behind = got[:3, 0], got[3:6, 0]
    assert (before <= THRESHOLDS[0]).all()
    assert (behind > THRESHOLDS[0]).all()
    assert np.array_equal(np.nextafter(made["a"][:3], np.inf), made["a"][3:6])
    assert (got[[6, 7], 1] > 2.5).tolist() == [True, False]
    assert np.ptp(made["b"][6:8]) <= np.spacing(np.float32(0.5))
    assert made["c"][8:].tolist() == [1, 2]


def test_many_thresholds_cost_no_more_calls_than_one() -> None:
    transform = Scaling()
    through(transform, TABLE, THRESHOLDS, 100, np.random.default_rng(1))
    assert transform.calls == 3 + rows._STEPS


def test_no_more_are_sought_than_there_is_room_for() -> None:
    made, done, _ = through(Scaling(), TABLE, THRESHOLDS, 2, np.random.default_rng(1))
    assert done == 2
    assert made is not None
    assert {len(column) for column in made.values()} == {4}
    nothing = through(Scaling(), TABLE, {0: np.array([1e9])}, 9, np.random.default_rng(1))
    assert nothing == (None, 0, 1)
