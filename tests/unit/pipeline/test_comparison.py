"""What counts as the same answer, and what a failure asks to have back."""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.answers.comparison import Difference, differences, places
from packager.pipeline.verify.missing import keep_rules
from packager.types import Json, Removal

NAN = float("nan")


@pytest.mark.parametrize(
    "value",
    [1, 1.5, True, None, "a", [], {}, NAN, [NAN, float("inf")], {"a": [1, {"b": None}]}],
)
def test_the_same(value: Json) -> None:
    again = json.loads(json.dumps(value))
    assert list(differences(value, again)) == []


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        (1, 1.0, "answer: expected 1, got 1.0"),
        (1, True, "answer: expected 1, got True"),
        (None, NAN, "answer: expected None, got nan"),
        (0.0, -0.0, "answer: expected 0.0, got -0.0"),
        (0.1 + 0.2, 0.3, "answer: expected 0.30000000000000004, got 0.3 (5.55e-17 apart)"),
        ({"a": 1}, {"b": 1}, "answer: expected keys ['a'], got ['b']"),
        ({"predictions": [1, 2]}, {"predictions": [1]},
         "predictions: expected 2 items, got 1 items"),
        ({"predictions": [1, 2]}, {"predictions": [1, 3]},
         "predictions, row 1: expected 2, got 3 (1 apart)"),
        ({"predictions": [{"s": "x"}]}, {"predictions": [{"s": "y"}]},
         "predictions, row 0, 's': expected 'x', got 'y'"),
        ([1], {"0": 1}, "answer: expected [1], got {'0': 1}"),
    ],
)  # fmt: skip
def test_not_the_same(expected: Json, actual: Json, said: str) -> None:
    assert [str(each) for each in differences(expected, actual)] == [said]


def test_the_error_is_absolute_and_only_of_numbers() -> None:
    (number,) = differences([2.0], [1.5])
    (word,) = differences(["2.0"], [1.5])
    assert (number.error, word.error) == (0.5, 0.0)


@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_a_whole_number_beyond_a_float_is_infinitely_far_from_another(huge: int) -> None:
    assert list(differences([huge], [huge])) == []
    (found,) = differences([huge], [huge + 1])
    assert (found.error, found.same_kind) == (math.inf, True)
    assert not found.within(1.0, 1e300)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"predictions": [1, 2]}, {"predictions": [1, 3]}),
        ({"predictions": [{"a": [1]}, {"a": [2]}]}, {"predictions": [{"a": [1]}, {"a": [5]}]}),
        ([1, 2], [1, 3]),
        (1, 2),
        ({"predictions": "a"}, {"predictions": "b"}),
    ],
)
def test_a_difference_lies_at_one_of_the_answer_s_places(expected: Json, actual: Json) -> None:
    (found,) = differences(expected, actual)
    assert {found.place} == places(expected)
    assert found.same_kind


def test_another_kind_of_value_is_no_random_one() -> None:
    (found,) = differences([2], [2.0])
    assert not found.same_kind


@pytest.mark.parametrize(
    ("error", "size", "rtol", "atol", "near"),
    [
        (0.5, 2.0, 0.25, 0.0, True),
        (0.5, 2.0, 0.125, 0.25, True),
        (0.5, 2.0, 0.0, 0.5, True),
        (0.5, 2.0, 0.2, 0.0, False),
        (0.5, 1.5, 0.25, 0.0, False),
        (0.0, NAN, 1.0, 1.0, False),
    ],
)
def test_floats_are_near_up_to_the_tolerance(
    error: float, size: float, rtol: float, atol: float, *, near: bool
) -> None:
    assert Difference("answer", "", "", error, size=size).within(rtol, atol) is near


@pytest.mark.parametrize(("rtol", "atol"), [(1e-9, 0.0), (0.0, 1e-9), (1.0, 1.0)])
def test_no_number_is_near_to_an_infinite_one(rtol: float, atol: float) -> None:
    assert not Difference("answer", "", "", math.inf, size=math.inf).within(rtol, atol)


@pytest.mark.parametrize(("length", "shown"), [(58, "x" * 58), (59, "x" * 59)])
def test_a_value_of_sixty_characters_is_whole(length: int, shown: str) -> None:
    (found,) = differences("x" * length, "y")
    assert found.expected == (f"'{shown}'" if length == 58 else f"'{shown}...")


def test_a_long_value_is_cut() -> None:
    (found,) = differences("x" * 500, "y")
    assert len(found.expected) < 70


REMOVED = tuple(
    Removal(PurePosixPath(path), 1, "tests")
    for path in (
        "scipy/linalg/tests/__init__.py",
        "scipy/linalg/tests/test_a.py",
        "numpy/core/odd.py",
        "numpy/core/_x.cpython-313-x86_64-linux-gnu.so",
        "onnxruntime/capi/libonnxruntime.so.1",
        "pkg/data/README.md",
    )
)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("ModuleNotFoundError: No module named 'scipy.linalg.tests'", ("scipy/linalg/tests",)),
        ("No module named 'numpy.core.odd'", ("numpy/core/odd.py",)),
        ("No module named 'numpy.core._x'", ("numpy/core/_x.cpython-313-x86_64-linux-gnu.so",)),
        ("cannot import name 'odd' from 'numpy.core' (/t/numpy)", ("numpy/core/odd.py",)),
        ("[Errno 2] No such file or directory: '/t/pkg/data/README.md'", ("pkg/data/README.md",)),
        ("[Errno 2] No such file or directory: '/t/pkg/data'", ("pkg/data",)),
        ("[Errno 2] No such file or directory: '.'", ()),
        ("[Errno 2] No such file or directory: '/t/pkg/data/other.md'", ()),
        ("[Errno 2] No such file or directory: '/t/pkg/da'", ()),
        ("libonnxruntime.so.1: cannot open shared object file: No such file",
         ("onnxruntime/capi/libonnxruntime.so.1",)),
        ('{"errorMessage": "No module named \\\'numpy.core.odd\\\'"}', ("numpy/core/odd.py",)),
        ("No module named 'numpy'", ()),
        ("No module named 'requests'", ()),
        ("all is well", ()),
    ],
)  # fmt: skip
def test_a_failure_names_what_to_keep(text: str, rules: tuple[str, ...]) -> None:
    assert keep_rules(text, REMOVED, Path("/t")) == rules
