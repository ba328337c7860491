"""MLflow's own scoring server and ours, asked the same: status, content type and body.

Every case is asked by test_levels.py, in an environment of its own for each version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conformance.arrays import applies, as_arrays
from tests.conformance.asking import ask, ours, ours_app
from tests.conformance.cases import ALL, CSV, Case, column, parquet_cases, protocol_cases
from tests.conformance.compare import DIFFERENT, asked, compare, disagreements, judged
from tests.conformance.differences import DIFFERENCES, Difference
from tests.conformance.reference import VERSION, theirs
from tests.conformance.texts import same

pytestmark = pytest.mark.usefixtures("quiet")
_STRIDE = 13
"""Of the fast run: a prime, so that every type, value and body shape is met."""
_GROUPS = {make.__name__: list(make()) for make in ALL}
_PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.mark.few(2)
@pytest.mark.parametrize("group", _GROUPS)
def test_both_servers_give_the_same_answers(group: str) -> None:
    stride = 1 if group == protocol_cases.__name__ else _STRIDE
    assert disagreements(_GROUPS[group][::stride], VERSION) == []


LABELLED = (
    "a,b\n0,1,9\n1,2,8\n", "a,b\n0,1.5,9\n1,2,8\n", "a,b\n0,,9\n1,2,8\n", "a,b\n1,2\n",
    "a,b\n0,True,9\n1,False,8\n", "a,b\n0,1,0,9\n1,0,1,8\n", "a\n0,1\n1,0\n", "a,b\n0,x,y,9\n",
    "a,b,c\n1,2,3\n4,5,6\n", "a,b\n0,99999999999999999999,9\n", "a,b\nTrue,1,2\n", "a,b\nx,1,2\n",
)  # fmt: skip
"""CSV whose rows begin with labels, or do not; pandas counts these where columns have no names."""


def unnamed_csv() -> Iterator[Case]:
    for kinds in (["double"], ["long"], ["double", "long"], ["boolean", "double"]):
        signature = {"inputs": [column(kind, None) for kind in kinds]}
        for sent in LABELLED:
            yield Case(f"{kinds} {sent!r}", signature, sent.encode(), CSV)


@pytest.mark.few(2)
@pytest.mark.parametrize("group", [*(make for make in ALL if make is not parquet_cases)])
def test_arrays_hold_what_the_dataframe_holds(group: Callable[[], Iterator[Case]]) -> None:
    _assert_arrays_agree([case for case in group() if applies(case)][::_STRIDE])


def test_csv_for_unnamed_columns_is_read_as_pandas_reads_it() -> None:
    _assert_arrays_agree(list(unnamed_csv()))
    assert disagreements(unnamed_csv(), VERSION) == []


def _assert_arrays_agree(cases: list[Case]) -> None:
    for case in cases:
        expected = as_arrays(asked(case, theirs(case.signature, type_hints=case.type_hints)))
        app = ours_app(
            case.signature, frame="numpy", type_hints=case.type_hints, mlflow_version=VERSION
        )
        actual = asked(case, app)
        assert judged(case, VERSION, expected, actual) != DIFFERENT, (case, expected, actual)


@pytest.mark.parametrize("known", DIFFERENCES, ids=lambda known: known.name)
def test_each_known_difference_is_one_and_is_documented(known: Difference) -> None:
    cases = (case for cases in _GROUPS.values() for case in cases)
    found = next(case for case in cases if known.applies(case, "2.22.5"))

    if known.applies(found, VERSION):  # those of earlier versions are for the report to meet
        assert compare(found, VERSION).verdict == known.name
    assert f"| {known.name} |" in _PROTOCOL.read_text(encoding="utf-8")


class Answering:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return self._answer


ANSWERS: dict[str, Any] = {
    "floats": np.array([1.5, float("nan"), float("inf"), -0.0, 1e-300, 0.1 + 0.2]),
    "float32": np.array([0.1, 2.5], dtype=np.float32),
    "ints": np.array([1, 2], dtype=np.int32),
    "matrix": np.arange(6.0).reshape(2, 3),
    "bools": np.array([True, False]),
    "texts": np.array(["a", "\u00e9\U0001f600"]),
    "objects": np.array(["a", None, 1.5, b"x"], dtype=object),
    "bytes": np.array([b"ab", b"c"]),
    "days": np.array(["2024-01-02", "NaT"], dtype="datetime64[D]"),
    "nanoseconds": np.array(["2024-01-02"], dtype="datetime64[ns]"),
    "scalar": np.float32(0.1),
    "zero dimensions": np.array(5),
    "frame": pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", None]}),
    "frame of times": pd.DataFrame({"t": np.array(["2024-01-02", "NaT"], dtype="datetime64[ns]")}),
    "frame of numbers for names": pd.DataFrame([[1, 2]]),
    "frame of lists": pd.DataFrame({"a": [[1, 2], None], "b": [np.array([1.5]), {"k": b"v"}]}),
    "named series": pd.Series([1, 2], name="s"),
    "unnamed series": pd.Series([True, None]),
    "list": [1, "a", None, [np.int64(3)], {"b": np.array([1.5])}],
    "dict": {"a": np.array([1, 2]), "b": b"\x00" * 100, "c": np.datetime64("2024-01-02")},
    "text": "hello",
    "none": None,
    "time": pd.Timestamp("2024-01-02T03:04:05.000000006"),
    "set": {1, 2},
    "object": object(),
    "generator": (n for n in (1, 2)),
    "complex": np.array([1j]),
    "numpy keys": {np.int64(1): 2},
    "tuple": (1, (2, 3)),
    "lone surrogate": ["\ud800"],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_written_byte_for_byte_as_mlflow_writes_them(name: str) -> None:
    signature = {"inputs": [column("long")]}
    model = Answering(ANSWERS[name])
    body, headers = b'{"inputs": {"x": [1]}}', {"content-type": "application/json"}

    answer = ours(signature, model).invocations(body, "application/json")

    expected = ask(theirs(signature, model), "/invocations", body=body, headers=headers)
    assert (expected.status, expected.body) == (answer.status, answer.body)
    assert expected.content_type == answer.content_type


def raising(error: Exception) -> Any:
    class Raising:
        def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
            raise error

    return Raising()


def test_a_failing_model_is_answered_as_mlflow_answers_it() -> None:
    from mlflow.exceptions import MlflowException

    signature = {"inputs": [column("long")]}
    body, headers = b'{"inputs": {"x": [1]}}', {"content-type": "application/json"}
    for make in (
        lambda: ValueError("x"),
        lambda: MlflowException("y"),
        lambda: MlflowException("z", error_code=5),
        lambda: MlflowException.invalid_parameter_value("w"),
    ):
        # MLflow writes on the exception: each side gets one of its own
        app = theirs(signature, raising(make()))
        expected = ask(app, "/invocations", body=body, headers=headers)
        answer = ours(signature, raising(make())).invocations(body, "application/json")
        assert (expected.status, expected.content_type) == (answer.status, answer.content_type)
        assert same(expected.json, json.loads(answer.body))
        assert "stack_trace" not in json.loads(answer.body)
