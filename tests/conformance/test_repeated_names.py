"""A name given twice in one request is answered as MLflow answers it, details included."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.http.asgi import App
from tests.conformance.asking import ours
from tests.conformance.cases import CSV, NESTED_TYPES, Case, column, tensor
from tests.conformance.compare import asked
from tests.conformance.reference import VERSION, theirs
from tests.conformance.test_odd_texts import list_differences

pytestmark = pytest.mark.usefixtures("quiet")
VALUES = {"double": "1.5", "long": "2", "boolean": "true", "string": '"x"', "binary": '"YQ=="'}
SPLITS = (
    '"columns": ["a", "a"], "data": [[V, V]]',
    '"columns": ["a", "b", "a"], "data": [[V, 1, V], [V, 2, V]]',
    '"columns": ["a", "a"], "data": [["q", V]]',
    '"columns": ["a", "a"], "data": []',
    '"columns": ["a", "a"], "data": [], "index": [1]',
    '"columns": ["a", "a"], "data": [[V, V]], "index": [1, 2]',
    '"columns": ["a", "a"], "data": [{"a": V}]',
    '"columns": ["a", "a"], "data": {"a": [V]}',
    '"columns": ["a", "z", "z"], "data": [[V, 1, 2]]',
    '"columns": ["a", 1, 1.0], "data": [[V, 1, 2]]',
    '"columns": ["q"], "columns": ["a"], "data": [[V]]',
)
TENSORS: dict[str, dict[str, Any]] = {
    "named": {"inputs": [tensor("float64", [-1], "a")]},
    "named, two": {"inputs": [tensor("float64", [-1], "a"), tensor("float64", [-1], "b")]},
    "a row": {"inputs": [tensor("float64", [-1, 2])]},
    "flat": {"inputs": [tensor("float64", [-1])]},
    "text": {"inputs": [tensor("str", [-1, 2])]},
}


def list_unlike_details(cases: list[Case]) -> list[str]:
    """Refusals whose words with details are not MLflow's."""
    found = []
    for case in cases:
        expected = asked(case, theirs(case.signature))
        app = App(ours(case.signature, mlflow_version=VERSION, error_details=True))
        if expected.status >= 400:
            told, actual = (json.loads(r.body)["message"] for r in (expected, asked(case, app)))
            found += [] if told == actual else [f"{case.name}:\n  {told}\n  {actual}"]
    return found


@pytest.mark.few(5)
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("kind", VALUES)
def test_a_column_given_twice_is_answered_as_mlflow_answers_it(
    kind: str,
    required: bool,  # noqa: FBT001  a parameter of the table
) -> None:
    signature = {"inputs": [column(kind, "a", required=required)]}
    sent = [f'{{"dataframe_split": {{{split}}}}}'.replace("V", VALUES[kind]) for split in SPLITS]
    cases = [Case(each, signature, each.encode()) for each in sent]

    assert list_differences(cases) == []
    # of columns of nothing pandas makes one block, and has other words for it
    assert list_unlike_details([case for case in cases if b'"data": []' not in case.body]) == []


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(
    "sent",
    [
        '{"dataframe_records": [{"a": null, "a": V}]}',
        '{"dataframe_records": [{"a": V, "a": null}]}',
        '{"inputs": {"a": [9], "a": [V]}}',
        '{"inputs": [{"a": 9, "a": V}]}',
        '{"instances": [{"a": 9, "a": V}]}',
        '{"inputs": [1], "inputs": {"a": [V]}}',
        '{"params": {"p": 1, "p": 2}, "inputs": {"a": [V]}}',
    ],
)
def test_of_a_key_given_twice_the_last_counts(kind: str, sent: str) -> None:
    signature = {"inputs": [column(kind, "a")]}

    assert list_differences([Case(sent, signature, sent.replace("V", VALUES[kind]).encode())]) == []


@pytest.mark.parametrize("kind", VALUES)
def test_a_csv_column_given_twice_is_answered_as_mlflow_answers_it(kind: str) -> None:
    signature, value = {"inputs": [column(kind, "a")]}, VALUES[kind].strip('"')
    bodies = [f"a,a\n{value},{value}\n", f"a,a.1,a\n{value},{value},{value}\n", f"a,z,z\n{value}\n"]

    assert list_differences([Case(each, signature, each.encode(), CSV) for each in bodies]) == []


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_of_columns_given_twice_is_answered_as_mlflow_answers_it(name: str) -> None:
    splits = [
        (["a", "a"], [1, 2]),
        (["a", "a"], ["x", "y"]),
        (["a", "a", "b"], [1, 2, 3]),
        (["b", "z", "z"], [1, 2, 3]),
        (["a", "b", "z", "z"], [1, 2, 3, 4]),
    ]
    sent = [
        json.dumps({"dataframe_split": {"columns": names, "data": [row]}}) for names, row in splits
    ]

    assert list_differences([Case(each, TENSORS[name], each.encode()) for each in sent]) == []


@pytest.mark.parametrize("kind", ["longs", "strings", "map", "object", "any"])
@pytest.mark.parametrize("value", ["[1, 2]", '["x"]', '{"n": 1, "n": 2}', '{"n": "q", "n": 2}'])
def test_a_nested_column_given_twice_is_answered_as_mlflow_answers_it(
    kind: str, value: str
) -> None:
    signature = {"inputs": [{**NESTED_TYPES[kind], "name": "a", "required": True}]}
    sent = [
        f'{{"dataframe_split": {{"columns": ["a", "a"], "data": [[{value}, {value}]]}}}}',
        f'{{"dataframe_records": [{{"a": {value}}}]}}',
    ]
    cases = [Case(each, signature, each.encode()) for each in sent]

    assert list_differences(cases) == []
    assert kind == "any" or list_unlike_details(cases) == []
