"""Drift: told where there is some, not where there is none, bounded in time, memory and rows."""

from __future__ import annotations

import dataclasses
import json
import math
from types import SimpleNamespace
from typing import Any, Dict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers import aws_lambda
from handlers.observability.drift import LEAST_ROWS, RECORDED, ROWS, Drift, columns
from handlers.observability.sketches import LEAST_BASELINE, Baseline, compare, sketch

ALARM = 0.2
WORDS = np.array(["a", "b", "c", "d"], dtype=object)


def drawn(seed: int, rows: int, shift: float = 0.0) -> dict[str, Any]:
    """`shift` is in standard deviations of the first column; the others move alongside."""
    dice = np.random.default_rng(seed)
    chances = np.array([0.5, 0.3, 0.15, 0.05]) * (1 - shift)
    chances += np.array([0.1, 0.2, 0.3, 0.4]) * shift
    return {
        "normal": dice.normal(shift, 1, rows),
        "skewed": dice.lognormal(shift, 1, rows),
        "whole": dice.poisson(3 + 2 * shift, rows),
        "truth": dice.random(rows) < 0.3 + shift / 3,
        "word": dice.choice(WORDS, rows, p=chances),
    }


def baseline(rows: int = 2000, seed: int = 1) -> Baseline:
    found = drawn(seed, rows)
    answers = np.asarray(found["normal"]) * 2
    return Baseline(
        source="the test",
        rows=rows,
        inputs=tuple(sketch(name, values) for name, values in found.items()),
        predictions=(sketch("0", answers),),
    )


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Watch:
    """A drift over a baseline, its lines, and a clock that stands still."""

    def __init__(self, base: Baseline | None = None, **environ: str) -> None:
        self.clock = Clock()
        self.lines: list[dict[str, Any]] = []
        self.drift = Drift(
            base or baseline(),
            lambda line: self.lines.append(json.loads(line)),
            {"service": "churn", "model": "churn", "version": "1"},
            environ,
            self.clock,
        )

    def call(self, data: dict[str, Any]) -> None:
        self.drift.observe(data, np.asarray(data["normal"]) * 2)
        self.clock.now += 0.01
        self.drift.end_invocation(0.01)

    def of(self, column: str | None) -> dict[str, Any]:
        (found,) = [line for line in self.lines if line.get("column") == column]
        return found


def fed(shift: float, seed: int = 9, calls: int = 8) -> Watch:
    watch = Watch()
    for number in range(calls):
        watch.call(drawn(seed * 1000 + number, 1000, shift))
    return watch


def test_another_distribution_passes_the_alarm_and_the_same_does_not() -> None:
    moved, same = fed(1.0), fed(0.0)

    assert moved.of(None)["DriftMostPsi"] > ALARM
    assert moved.of(None)["PredictionPsi"] > ALARM
    assert {n for n in drawn(0, 1) if moved.of(n)["DriftPsi"] > ALARM} == {*drawn(0, 1)}
    assert same.of(None)["DriftMostPsi"] < ALARM
    assert same.of(None)["PredictionPsi"] < ALARM
    assert same.of("normal")["OutOfRangeRate"] < 0.01


def test_rates_are_told_by_column() -> None:
    watch = Watch()
    for number in range(8):
        data = drawn(number, 1000)
        data["normal"][::4] = np.nan
        data["skewed"] *= np.where(np.arange(1000) % 2, 1e6, 1)
        data["word"] = np.where(np.arange(1000) % 5 == 0, "new", data["word"]).astype(object)
        data["word"][1::5] = None
        watch.call(data)

    assert watch.of("normal")["MissingRate"] == pytest.approx(0.25, abs=0.05)
    assert watch.of("skewed")["OutOfRangeRate"] == pytest.approx(0.5, abs=0.05)
    assert watch.of("word")["MissingRate"] == pytest.approx(0.2, abs=0.05)
    assert watch.of("word")["UnseenRate"] == pytest.approx(0.25, abs=0.05)


def test_the_lines_are_of_the_embedded_metric_format() -> None:
    line = fed(0.0).of("word")

    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert described["Dimensions"] == [["service", "model", "version", "column"]]
    assert {metric["Name"] for metric in described["Metrics"]} == {
        "DriftPsi", "MissingRate", "UnseenRate",
    }  # fmt: skip
    assert all(metric["Name"] in line for metric in described["Metrics"])
    assert isinstance(line["_aws"]["Timestamp"], int)


def test_what_is_kept_is_bounded_and_given_up_when_it_was_told() -> None:
    watch = Watch()
    for number in range(7):
        watch.drift.observe(drawn(number, 100_000), None)
    assert watch.drift._kept.rows <= 7 * 128
    watch.call(drawn(8, 100_000))
    watch.call(drawn(9, 100_000))
    assert [line["DriftRows"] for line in watch.lines if "DriftRows" in line] == [1024.0]
    assert watch.drift._kept.rows == 128


def test_time_tells_too_but_never_of_a_few_rows() -> None:
    watch = Watch()
    watch.call(drawn(1, 100))
    watch.clock.now += 1000
    watch.call(drawn(2, 10))
    assert watch.lines == []
    watch.call(drawn(3, 100))
    assert watch.of(None)["DriftRows"] == 210.0


def test_no_more_is_spent_than_a_share_of_what_calls_take() -> None:
    watch = Watch()
    calls = 0

    class Slow(Dict[str, Any]):
        def items(self) -> Any:
            nonlocal calls
            calls += 1
            watch.clock.now += 0.001
            return super().items()

    for number in range(200):
        watch.drift.observe(Slow(drawn(number, 1000)), None)
        watch.drift.end_invocation(0.01)

    # 200 calls of 10 ms, of which 1.5 % are 30 ms; a call more may be begun below it
    assert 2 <= calls <= 200 * 0.01 * 0.015 / 0.001 + 1


def test_a_baseline_goes_through_text() -> None:
    made = baseline()
    values = {
        "source": made.source,
        "rows": made.rows,
        "inputs": [dataclasses.asdict(s) for s in made.inputs],
        "predictions": [dataclasses.asdict(s) for s in made.predictions],
    }
    assert Baseline.parse(json.dumps(values)) == made


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (np.zeros((3, 2)), ["0", "1"]),
        (np.zeros(3), ["0"]),
        ([1.0, 2.0], ["0"]),
        (["a"], ["0"]),
        ({"a": np.zeros(3), "b": np.zeros((3, 2))}, ["a"]),
        (np.zeros((3, 2, 2)), []),
        ([{"a": 1}], []),
        ("text", []),
        (None, []),
    ],
)
def test_columns_of_what_models_are_handed_and_answer(data: Any, names: list[str]) -> None:
    assert list(columns(data)) == names


def test_a_table_is_looked_at_row_by_row_of_a_step() -> None:
    pandas = pytest.importorskip("pandas", reason="an artifact may be without it")
    table = pandas.DataFrame(
        {
            "number": np.arange(10.0),
            "word": ["a", None] * 5,
            "maybe": pandas.array([1, None] * 5, dtype="Int64"),
            "time": pandas.date_range("2026-01-01", periods=10),
            3: [True, False] * 5,
        }
    )

    found = columns(table, 4, 1)

    assert list(found) == ["number", "word", "maybe", "time", "3"]
    assert found["number"].tolist() == [1.0, 5.0, 9.0]
    assert pandas.isna(found["word"]).tolist() == [True, True, True]
    assert pandas.isna(found["maybe"]).tolist() == [True, True, True]
    assert found["time"].tolist() == table["time"].to_numpy()[1::4].tolist()
    assert found["3"].tolist() == [False, False, False]
    assert columns(table["number"], 4, 1)["0"].tolist() == [1.0, 5.0, 9.0]


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)
)


@settings(deadline=None)
@example([-math.inf, math.inf], [0.0])
@given(st.lists(CELLS, min_size=1, max_size=50), st.lists(CELLS, min_size=1, max_size=50))
def test_any_cells_have_a_sketch_and_a_distance(first: list[Any], second: list[Any]) -> None:
    base = sketch("c", np.array([*first, None], dtype=object)[:-1])
    moved = compare(base, np.array([*second, None], dtype=object)[:-1])
    assert 0 <= moved.missing <= 1
    assert moved.psi is None or moved.psi >= -1e-9


def test_false_alarms_are_rare() -> None:
    """Over draws of one distribution: the smallest sets that are ever told, and usual ones."""
    base = baseline(rows=1000)
    for rows, most in ((LEAST_ROWS, 2), (ROWS, 0)):
        alarms = 0
        for seed in range(200):
            data = drawn(10_000 + seed, rows)
            distances = [compare(each, data[each.name]).psi or 0.0 for each in base.inputs]
            alarms += max(distances) > ALARM
        assert alarms <= most
    assert LEAST_BASELINE < 1000


def _invoked(custom: object) -> SimpleNamespace:
    return SimpleNamespace(client_context=SimpleNamespace(custom=custom))


@pytest.mark.parametrize(
    ("event", "context", "counted"),
    [
        ({"inputs": {}}, _invoked({RECORDED: "1"}), False),
        ({"headers": {RECORDED: "1"}}, None, False),
        ({"headers": {"X-Packager-Recorded": "1"}}, _invoked(None), False),
        ({"headers": None, "multiValueHeaders": {RECORDED: ["1"]}}, None, False),
        ({"inputs": {}}, None, True),
        ({"inputs": {}}, SimpleNamespace(client_context=None), True),
        ({"inputs": {RECORDED: [1.0]}}, _invoked({}), True),
        ({"headers": {"accept": RECORDED}}, _invoked({3: RECORDED}), True),
        # what a stranger may send
        ({"headers": [RECORDED], "multiValueHeaders": 3}, _invoked([RECORDED]), True),
        ([RECORDED], _invoked(RECORDED), True),
        (None, object(), True),
    ],
)
def test_a_check_s_rows_are_no_drift_and_the_next_caller_s_are(
    event: object, context: object, *, counted: bool
) -> None:
    watch = Watch(PACKAGER_DRIFT_ROWS="200")
    model = SimpleNamespace(predict=lambda data, _: np.asarray(data["normal"]) * 2)
    watched = aws_lambda._Watched(model, watch.drift)
    shifted = drawn(5, 100, shift=1.0)

    for _ in range(4):
        watched.start(event, context)
        watched.predict(shifted, None)
        watch.drift.end_invocation(10.0)
    assert bool(watch.lines) == counted
    watch.lines.clear()

    for _ in range(4):
        watched.start({"inputs": {}}, None)
        watched.predict(shifted, None)
        watch.drift.end_invocation(10.0)
    assert max(line.get("DriftMostPsi", 0.0) for line in watch.lines) > ALARM
