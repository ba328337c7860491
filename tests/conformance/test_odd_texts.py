"""Texts and names that pandas cannot hold are refused as MLflow refuses them, in both frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.scoring.errors import ScoringError
from tests.conformance.arrays import as_arrays
from tests.conformance.asking import ours, ours_app
from tests.conformance.cases import NESTED_TYPES, Case, body, column, param, tensor
from tests.conformance.compare import DIFFERENT, asked, judged
from tests.conformance.reference import VERSION, theirs

pytestmark = pytest.mark.usefixtures("quiet")
LONE = "\ud800"
TEXT = {"inputs": [column("string"), column("double", "y", required=False)]}
NUMBER = {"inputs": [column("double")]}
VALUES: dict[str, list[Any]] = {
    "one": [LONE],
    "the second half": ["\udc00x"],
    "the halves of a pair in the wrong order": ["\udc00\ud800"],
    "a pair": ["\U0001f600"],
    "halves of a pair in two cells": ["\ud83d", "\ude00"],
    "an escape in letters": ["\\ud800"],
    "among texts": ["a", LONE, "é"],
    "beside null": [None, "a", LONE],
    "beside a number": [1, LONE],
    "in a list": [[LONE]],
    "in an object": [{"k": LONE}],
}


def list_differences(cases: list[Case]) -> list[str]:
    found = []
    for case in cases:
        expected = asked(case, theirs(case.signature))
        for frame in ("pandas", "numpy"):
            reply = asked(case, ours_app(case.signature, frame=frame, mlflow_version=VERSION))
            held = expected if frame == "pandas" else as_arrays(expected)
            if judged(case, VERSION, held, reply) == DIFFERENT:
                found.append(f"{case.name}, {frame}:\n  MLflow {held}\n  ours   {reply}")
    return found


def send(signature: dict[str, Any], *forms: tuple[str, Any]) -> list[Case]:
    return [Case(f"{key} {value!a}", signature, body(**{key: value})) for key, value in forms]


@pytest.mark.few(16)
@pytest.mark.parametrize("kind", ["string", "boolean", "double", "binary", "datetime"])
@pytest.mark.parametrize("name", VALUES)
def test_a_column_of_odd_texts_is_answered_as_mlflow_answers_it(name: str, kind: str) -> None:
    signature = {"inputs": [column(kind), column("double", "y", required=False)]}
    values = VALUES[name]
    records = [{"x": value, "y": 1.0} for value in values]
    rows = [[value, 1.0] for value in values]

    cases = send(
        signature,
        ("dataframe_records", records),
        ("dataframe_split", {"columns": ["x", "y"], "data": rows}),
        ("dataframe_split", {"data": {"x": values, "y": [1.0] * len(values)}}),
        ("instances", records),
        ("inputs", records),
        ("inputs", {"x": values, "y": [1.0] * len(values)}),
    )

    assert list_differences(cases) == []


@pytest.mark.parametrize("signature", [TEXT, NUMBER])
def test_what_the_signature_does_not_name_is_read_where_it_may_be_refused(signature: Any) -> None:
    x: Any = "a" if signature is TEXT else 1.5

    cases = send(
        signature,
        ("dataframe_records", [{"x": x, "z": LONE}]),
        ("dataframe_records", [{"x": x, "z": 1}, {"x": x, "z": LONE}]),
        ("dataframe_records", [{"x": x, "z": [LONE]}]),
        ("dataframe_records", [{"x": x, LONE: 1}]),
        ("dataframe_split", {"columns": ["x", "z"], "data": [[x, LONE]]}),
        ("dataframe_split", {"columns": ["x", LONE], "data": [[x, 1]]}),
        ("dataframe_split", {"columns": ["x", LONE, 1], "data": [[x, 1, 2]]}),
        ("dataframe_split", {"columns": ["x"], "index": [LONE], "data": [[x]]}),
        ("dataframe_split", {"columns": ["x"], "index": [[LONE]], "data": [[x]]}),
        ("dataframe_split", {"columns": ["x"], "data": {"x": {LONE: x}}}),
        ("inputs", {"x": [x], "z": [LONE]}),
        ("inputs", {"x": [x], LONE: [1]}),
        ("inputs", [{"x": x, LONE: 1}]),
        ("instances", [{"x": x, "z": LONE}]),
        ("instances", [{"x": x, LONE: 1}]),
    )

    assert list_differences(cases) == []


@pytest.mark.parametrize("kind", ["strings", "lists", "any", "any map", "object", "objects"])
@pytest.mark.parametrize(
    "value", [LONE, [LONE], ["a", LONE], {"n": 1, "s": LONE}, {"n": 1, LONE: 1}, {LONE: 1.5}]
)
def test_a_nested_odd_text_is_answered_as_mlflow_answers_it(kind: str, value: Any) -> None:
    signature = {"inputs": [{**NESTED_TYPES[kind], "name": "x", "required": True}]}

    cases = send(
        signature,
        ("dataframe_records", [{"x": value}]),
        ("inputs", {"x": value}),
        ("instances", [{"x": value}]),
    )

    assert list_differences(cases) == []


@pytest.mark.parametrize("dtype", ["str", "object", "float64"])
@pytest.mark.parametrize("name", [None, "x"])
def test_a_tensor_of_odd_texts_is_answered_as_mlflow_answers_it(
    dtype: str, name: str | None
) -> None:
    cases = send(
        {"inputs": [tensor(dtype, [-1], name)]},
        ("dataframe_records", [{"x": "a"}, {"x": LONE}]),
        ("dataframe_records", [{"x": "a", "z": LONE}]),
        ("dataframe_split", {"columns": [LONE], "data": [["a"]]}),
        ("inputs", [LONE]),
        ("instances", [{"x": LONE}]),
    )

    assert list_differences(cases) == []


@pytest.mark.parametrize("shape", [None, [-1]])
@pytest.mark.parametrize("params", [{"p": LONE}, {"p": [LONE]}, {"q": LONE}, {LONE: 1}])
def test_an_odd_text_among_the_parameters_is_answered_as_mlflow_answers_it(
    shape: Any, params: Any
) -> None:
    default = "s" if shape is None else ["s"]
    signature = {"inputs": [column("long")], "params": [param("string", default, shape=shape)]}

    assert list_differences([Case("", signature, body(inputs={"x": [1]}, params=params))]) == []


@pytest.mark.parametrize(
    "sent",
    [
        b'{"dataframe_records": [{"x": "\xed\xa0\x80"}]}',
        b'{"dataframe_records": [{"x": "\\uD83D\\uDE00"}]}',
        b'{"dataframe_records": [{"x": "\\\\ud800"}]}',
        b'{"dataframe_records": [{"x": "a", "\\uDFFF": 1}]}',
    ],
)
def test_an_odd_text_is_seen_however_it_is_written(sent: bytes) -> None:
    assert list_differences([Case("", TEXT, sent)]) == []


@pytest.mark.parametrize("key", ["z", LONE])
def test_a_payload_that_came_decoded_is_held_to_the_same(key: str) -> None:
    record = {"x": "a", key: LONE}

    with pytest.raises(ScoringError, match="not a valid dataframe") as refused:
        ours(TEXT, frame="numpy").check({"dataframe_records": [record]})

    assert refused.value.status == 400


def test_a_large_body_is_held_to_the_same() -> None:
    records = [{"x": "a" * 100, "y": 1.0} for _ in range(1000)]
    records[-1]["x"] = LONE

    answer = ours(TEXT, frame="numpy").invocations(
        json.dumps({"dataframe_records": records}).encode(), "application/json"
    )

    assert answer.status == 400


def test_before_pandas_3_an_odd_text_is_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from handlers.scoring.schema import model_spec

    monkeypatch.setattr(model_spec, "_pandas_version", lambda: "2.3.3")
    scorer = ours({"inputs": [column("any")]})

    data = scorer.check({"inputs": [{"x": LONE}]}).data

    assert data["x"].tolist() == [LONE]
