"""Rounding told from chance, and what either lets an answer be."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.pipeline.answers.spread import (
    answers_agree,
    describe_outputs,
    describe_spread,
    measure_spread,
    read_unexplained,
)
from packager.types import Json, Spread

ULP = 2.0**-52


def single(value: float) -> float:
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)


def spread_of(*values: Json) -> Spread:
    return measure_spread([[json.dumps({"predictions": [value]}) for value in values]])


@pytest.mark.parametrize(
    "values",
    [
        (1.5, 1.5 + ULP),
        # as many units in the last place as there may be
        (1.0, 1.0 + 255 * ULP),
        (1e300, 1e300 * (1 + 4 * ULP)),
        (0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1),
        # another order of a sum may end near zero: the largest number there counts
        ([1.0, 1e-16], [1.0, 3e-16]),
        # single precision
        (single(0.1), single(0.1) + 2.0**-27),
        (single(1.5), 1.5 + 255 * 2.0**-23),
        (0.0, -0.0),
    ],
)
def test_last_digits_are_rounding(values: tuple[Json, ...]) -> None:
    spread = spread_of(*values)
    assert (len(spread.rounding), spread.chance) == (1, {})


@pytest.mark.parametrize(
    "values",
    [
        (1.5, 1.6),
        (1.5, 1.5 + 1e-9),
        (1.0, 1.0 + 300 * ULP),
        (1.5, 1.5 + 400 * 2.0**-23),
        # beyond single precision's largest number
        (1e300, 1e300 * (1 + 1e-9)),
        (40_000.0, 40_001.0),
        (1, 2),
        ("a", "b"),
        (1.5, float("nan")),
        (1.5, None),
        ([1.5], [1.5, 1.5]),
        # a label beside a number of the same output
        ([1.5, 1], [1.5 + ULP, 2]),
    ],
)
def test_everything_else_is_chance(values: tuple[Json, ...]) -> None:
    spread = spread_of(*values)
    assert (spread.rounding, len(spread.chance)) == ({}, 1)


def test_outputs_are_told_apart() -> None:
    spread = spread_of({"a": 1.5, "b": 1.0, "c": "x"}, {"a": 1.5 + ULP, "b": 0.5, "c": "x"})
    assert spread.rounding == {"predictions, any row, 'a'": ULP}
    assert spread.chance == {"predictions, any row, 'b'": 0.5}
    said = " ".join(describe_spread(spread))
    assert "predictions, any row, 'a' (by 2.22e-16)" in said
    assert "predictions, any row, 'b' (by 0.5)" in said


def test_rounding_allows_floats_alone_and_no_more_than_was_measured() -> None:
    spread = spread_of(1.5, 1.5 + ULP)
    for actual, fine in (
        (1.5, True), (1.5 + 2 * ULP, True), (1.5 + 4 * ULP, True),
        (1.5 + 5 * ULP, False), (1.5 + 8 * ULP, False),
        (2, False), ("1.5", False), (None, False), (float("nan"), False),
    ):  # fmt: skip
        wrong, near = read_unexplained({"predictions": [1.5]}, {"predictions": [actual]}, spread)
        assert (not wrong) is fine, actual
        assert len(near) == (fine and actual != 1.5)
    wrong, _ = read_unexplained(
        {"predictions": [{"p": 1.5}]}, {"predictions": [{"p": 1.6}]}, spread
    )
    assert len(wrong) == 1, "another output is held to the last bit"


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.integers(1, 3))
def test_answers_that_do_not_part_have_no_spread(values: list[float], times: int) -> None:
    assert spread_of(*([values] * times)) == Spread()


@pytest.mark.parametrize("form", ["gateway", "azure", "direct"])
def test_a_function_s_answers_are_compared_as_the_model_s_are(form: str) -> None:
    def answer(value: float) -> str:
        body = json.dumps({"predictions": [value]})
        wrapped: Json = {"statusCode": 200, "body": body} if form == "gateway" else [200, body]
        return body if form == "direct" else json.dumps(wrapped)

    first, near, far = answer(1.5), answer(1.5 + ULP), answer(1.75)
    spread = spread_of(1.5, 1.5 + ULP)
    assert answers_agree(first, near, spread)
    assert not answers_agree(first, far, spread)
    assert not answers_agree(first, near, Spread())
    assert not answers_agree(first, "ValueError: no", spread)


def test_answers_agree_by_chance_alone_and_without_a_spread_only_as_text() -> None:
    drawn = spread_of(1.5, 9.5)
    assert answers_agree('{"predictions": [1.5]}', '{"predictions": [4.0]}', drawn)
    assert not answers_agree('{"predictions": [1.5]}', '{"predictions": ["a"]}', drawn)
    assert not answers_agree("[1.0]", "[1.00]", Spread())
    assert answers_agree("[1.0]", "[1.0]", Spread())
    assert answers_agree("ValueError: no", "ValueError: no", drawn)


@pytest.mark.parametrize(("count", "end"), [(12, "p11 (by 1)"), (13, "p11 (by 1); and 1 more")])
def test_the_first_twelve_outputs_are_named(count: int, end: str) -> None:
    said = describe_outputs({f"p{at:02}": 1.0 for at in range(count)})
    assert said.startswith("p00 (by 1); p01 (by 1)")
    assert said.endswith(end)
