"""Times without pandas: what nanoseconds cannot tell is refused, and never becomes another time."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from handlers.scoring.schema.columns import Column, objects
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.times import parse_times, to_nanoseconds

BEYOND = ("1600-01-01", "1677-09-20", "2262-04-12", "9999-12-31T23:59:59", "0001-01-01")
WITHIN = (
    "1677-09-21T00:12:43.145224193", "1970-01-01", "2024-01-02T03:04:05.678901234",
    "2262-04-11T23:47:16.854775807", "1969-12-31T23:59:59.999999999",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pandas", raising=False)


def read(*values: Any) -> Any:
    return parse_times(Column(objects(values, len(values))), Quirks()).cells


@pytest.mark.parametrize("text", WITHIN)
def test_a_time_within_nanoseconds_is_kept(text: str) -> None:
    assert read(text, None)[0] == np.datetime64(text, "ns")


@pytest.mark.parametrize("text", BEYOND)
def test_a_time_beyond_nanoseconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nanoseconds"):
        read(text, None)
    with pytest.raises(ValueError, match="nanoseconds"):
        to_nanoseconds(np.array([text, "NaT"], dtype="datetime64[ms]"))


@pytest.mark.parametrize("number", [1e300, -1e19, 2.0**63, 2**63, float("inf")])
def test_a_number_beyond_nanoseconds_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="nanoseconds"):
        parse_times(Column(np.array([number])), Quirks())


def test_numbers_are_nanoseconds_since_1970() -> None:
    found = parse_times(Column(np.array([1.5e9, float("nan")])), Quirks()).cells

    assert found[0] == np.datetime64("1970-01-01T00:00:01.5", "ns")
    assert np.isnat(found[1])


@pytest.mark.parametrize("cast", [False, True])
def test_a_time_with_a_zone_is_cast_by_no_version(*, cast: bool) -> None:
    column = Column(objects(["2024-01-02T00:00:00Z"], 1))

    if cast:
        with pytest.raises(ValueError, match="a time zone cannot be cast"):
            parse_times(column, Quirks(cast_in_place=True))
    else:
        assert parse_times(column, Quirks()).aware


def test_null_among_times_is_no_time() -> None:
    made = to_nanoseconds(objects([None, np.datetime64("2024-01-02", "us")], 2))

    assert np.isnat(made).tolist() == [True, False]
    assert made[1] == np.datetime64("2024-01-02", "ns")


@pytest.mark.parametrize(("length", "is_read"), [(1000, True), (1001, False)])
def test_a_text_of_a_thousand_characters_is_the_longest(length: int, *, is_read: bool) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - which words is what is asked
        read("x" * length, None)

    assert ("a time has at most 1000 characters" in str(raised.value)) is not is_read
