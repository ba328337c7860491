"""Answers as JSON: each kind of value that a model may answer with."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest

from handlers.scoring.errors import UnhandledError
from handlers.scoring.responses import encode, jsonable


class Label(pydantic.BaseModel):
    name: str
    score: float


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([np.int64(3), np.float64(0.5), np.bool_(0)], [3, 0.5, False]),
        ([np.array([[1, 2], [3, 4]])], [[[1, 2], [3, 4]]]),
        ([np.array([1, "a", np.int64(2), None], dtype=object)], [[1, "a", 2, None]]),
        ([dt.date(2026, 1, 2), dt.time(3, 4)], ["2026-01-02", "03:04:00"]),
        ([dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)], ["2026-01-02T03:04:05+00:00"]),
        ([b"abc", bytearray(b"abc")], ["YWJj\n", "YWJj\n"]),
        ([b""], [""]),
        ([Label(name="a", score=0.5)], [{"name": "a", "score": 0.5}]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (pd.Series([1, 2], name="y"), [{"y": 1}, {"y": 2}]),
        (pd.DataFrame({"a": [1], "b": ["x"]}), [{"a": 1, "b": "x"}]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_value_becomes_json(value: Any, plain: Any) -> None:
    assert json.loads(encode(value)) == {"predictions": plain}
    assert json.loads(encode(value, wrapped=False)) == plain


@pytest.mark.parametrize("count", [56, 57, 58, 114, 115])
def test_bytes_are_base64_in_lines_of_76_characters(count: int) -> None:
    data = bytes(range(count))
    (text,) = json.loads(encode([data], wrapped=False))
    assert text == base64.encodebytes(data).decode("ascii")


@pytest.mark.parametrize(
    "value", [[object()], {"a": {1, 2}}, [1j]], ids=["object", "set", "complex"]
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(UnhandledError) as caught:
        encode(value)
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnhandledError):
        encode(endless)


@pytest.mark.parametrize("value", [[1.0, float("nan")], np.array([1.0, np.nan])])
def test_nan_is_bare_or_null(value: Any) -> None:
    assert encode(value) == b'{"predictions": [1.0, NaN]}'
    if isinstance(value, list):
        assert encode(value, bare_nan=False) == b'{"predictions": [1.0, null]}'
        infinite = [float("inf"), float("-inf"), 2]
        assert encode(infinite, wrapped=False, bare_nan=False) == b"[null, null, 2]"


@pytest.mark.parametrize("wrapped", [True, False])
def test_many_numbers_are_written_as_few_are(*, wrapped: bool) -> None:
    value = np.linspace(0.25, 9.75, 20_000).reshape(-1, 2)
    plain: Any = {"predictions": value.tolist()} if wrapped else value.tolist()

    assert encode(value, wrapped=wrapped) == json.dumps(plain).encode()


def test_what_is_no_array_or_table_stays_as_it_is() -> None:
    value = {"a": [1]}
    assert jsonable(value) is value
