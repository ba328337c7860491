"""Two models' answers to the same rows: labels that changed, numbers that moved, and where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from packager.commands.difference.answers import choose_kind, compare_replies, split_rows
from packager.commands.difference.requests import Asked
from packager.commands.difference.result import Answers
from packager.commands.difference.running import Reply


def compare(
    one: Sequence[Any], other: Sequence[Any], columns: dict[str, list[Any]] | None = None
) -> Answers:
    """Compare answers to one request, whose rows have these columns."""
    names = columns or {"x": list(range(len(one)))}
    data = [list(row) for row in zip(*names.values(), strict=True)]
    body = {"dataframe_split": {"columns": list(names), "data": data}}
    asked = [Asked("generated", body, len(one))]
    return compare_replies(asked, [Reply(list(one))], [Reply(list(other))], seed=0)


def test_labels_are_counted_by_row() -> None:
    found = compare(["no", "yes", "no", "no"], ["no", "no", "no", "yes"])

    (output,) = found["outputs"]
    assert (output["kind"], output["changed"], output["share"]) == ("label", 2, 0.5)
    assert (found["rows_compared"], found["rows_changed"]) == (4, 2)
    assert (found["measure"], found["overall"]) == ("changed labels", 0.5)
    assert output["moves"] == [
        {"a": "no", "b": "yes", "values": 1},
        {"a": "yes", "b": "no", "values": 1},
    ]


def test_numbers_have_a_distribution() -> None:
    one = [float(each) + 0.5 for each in range(100)]
    other = [each + 0.01 * at for at, each in enumerate(one)]

    found = compare(one, other)

    (output,) = found["outputs"]
    assert (output["kind"], output["changed"], output["unlike"]) == ("number", 99, 0)
    figures = [output[name] for name in ("mean", "mean_change", "p50", "p90", "p99", "max")]
    assert output["by_power"].keys() == {"-2", "-1"}
    assert sum(output["by_power"].values()) == 99
    assert figures == pytest.approx([0.495, 0.495, 0.49, 0.89, 0.98, 0.99])
    assert (found["measure"], found["rows_changed"]) == ("mean difference", 0)


def test_each_output_of_a_row_has_its_own_line() -> None:
    found = compare(
        [{"label": "a", "score": 0.5}, {"label": "b", "score": 0.25}],
        [{"label": "a", "score": 0.25}, {"label": "c", "score": 0.75}],
    )

    kinds = {each["place"]: (each["kind"], each["changed"]) for each in found["outputs"]}
    assert kinds == {
        "predictions, any row, 'label'": ("label", 1),
        "predictions, any row, 'score'": ("number", 2),
    }
    assert found["rows_changed"] == 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 2], "label"),
        ([0.0, 1.0], "label"),
        ([0.0, 0.5], "number"),
        (list(range(101)), "number"),
        ([True, False], "label"),
        (["a", 0.5], "label"),
        ([None, 0.5], "number"),
        ([float("nan"), 0.5], "number"),
    ],
)
def test_whole_numbers_are_classes_unless_there_are_many(values: list[Any], kind: str) -> None:
    assert choose_kind(values) == kind


@pytest.mark.parametrize(
    ("one", "other", "changed"),
    [
        (1, 1.0, 0),
        (1, True, 1),
        ("1", 1, 1),
        (None, None, 0),
        (None, 1, 1),
        (float("nan"), float("nan"), 0),
        (float("nan"), 0.5, 1),
    ],
)
def test_values_are_compared_and_not_their_json_types(one: Any, other: Any, changed: int) -> None:
    (output,) = compare([one], [other])["outputs"]

    assert output["changed"] == changed


def test_a_number_against_none_is_no_difference_of_nothing() -> None:
    (output,) = compare([0.5, None, float("inf")], [0.5, 0.25, 0.5])["outputs"]

    assert (output["kind"], output["unlike"], output["max"]) == ("number", 2, 0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1e308, -1e308), (-1e308, 1e308), (10**400, 1), (10**400, 10**400 + 1), (1e-320, 0)],
)
def test_numbers_beyond_all_measure_are_compared(one: Any, other: Any) -> None:
    found = compare([one] * 8, [other] * 8)

    assert found["outputs"][0]["changed"] == 8
    json.dumps(found, allow_nan=False)


def test_an_answer_of_another_shape_is_a_changed_row() -> None:
    found = compare([[0.5, 0.5], [0.25, 0.75]], [[0.5, 0.5], [0.2, 0.3, 0.5]])

    assert (found["rows_reshaped"], found["rows_changed"], found["rows_compared"]) == (1, 1, 2)
    fewer = compare(["a", "b"], ["a"])
    assert (fewer["rows_reshaped"], fewer["rows_changed"]) == (2, 2)


def test_what_one_refuses_is_counted_and_not_compared() -> None:
    asked = [Asked("a", {"inputs": [number]}, 1) for number in range(4)]
    no = Reply(refusal="no such column")

    found = compare_replies(
        asked, [Reply([1]), no, Reply([1]), no], [Reply([1]), Reply([1]), no, no], seed=0
    )

    assert found["refused"] == {"a": 1, "b": 1, "both": 1}
    assert found["refusals"] == ["A: no such column", "B: no such column"]
    assert (found["rows_compared"], found["rows"]) == (1, {"a": 4, "b": 0, "generated": 0})


@pytest.mark.parametrize(
    ("predictions", "rows", "expected"),
    [
        ([1, 2], 2, [1, 2]),
        ({"p": [1, 2], "q": ["a", "b"]}, 2, [{"p": 1, "q": "a"}, {"p": 2, "q": "b"}]),
        ([1, 2, 3], 2, [[1, 2, 3]]),
        ("one answer", 1, ["one answer"]),
    ],
)
def test_answers_are_split_by_row(predictions: Any, rows: int, expected: list[Any]) -> None:
    assert split_rows(predictions, rows) == expected


def test_the_column_is_named_that_tells_where_labels_changed() -> None:
    plans = ["basic", "pro"] * 50
    ages = [(7 * number) % 100 for number in range(100)]
    other = ["yes" if plan == "pro" and age > 50 else "no" for plan, age in zip(plans, ages)]  # noqa: B905 - of one length

    found = compare(["no"] * 100, other, {"plan": plans, "age": ages, "same": [1] * 100})

    assert {column["name"] for column in found["columns"]} == {"plan", "age"}
    by_plan = next(column for column in found["columns"] if column["name"] == "plan")
    shares = {group["values"]: group["measure"] for group in by_plan["groups"]}
    assert shares["basic"] == 0.0
    assert shares["pro"] == pytest.approx(found["overall"] * 2)
