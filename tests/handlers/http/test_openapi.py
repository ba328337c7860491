"""The OpenAPI document, made from the signature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from handlers.http.fastapi_app import create_app
from tests.handlers.scorers import ask, scorer


def document(folder: Path | None = None, **values: Any) -> Any:
    reply = ask(create_app(scorer(**values), folder), "/openapi.json", "GET")
    assert reply is not None
    return reply.json["paths"]["/invocations"]["post"]


def formats(operation: Any) -> dict[str, Any]:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return {body["title"]: body["properties"] for body in schema["oneOf"]}


def test_columns_have_their_names_and_types() -> None:
    made = formats(document())

    assert made["dataframe_records"]["dataframe_records"]["items"] == {
        "type": "object",
        "required": ["x", "kind"],
        "properties": {"x": {"type": "number", "format": "double"}, "kind": {"type": "string"}},
    }
    assert made["inputs"]["inputs"]["properties"]["kind"] == {
        "type": "array",
        "items": {"type": "string"},
    }
    split = made["dataframe_split"]["dataframe_split"]["properties"]
    assert split["columns"]["default"] == ["x", "kind"]


def test_params_have_their_types_and_defaults() -> None:
    params = formats(document())["inputs"]["params"]

    assert params["properties"]["scale"] == {"type": "number", "format": "double", "default": 1.0}


def test_the_answer_is_described() -> None:
    answer = document()["responses"]["200"]["content"]["application/json"]["schema"]

    predictions = answer["properties"]["predictions"]
    assert predictions == {"type": "array", "items": {"type": "number", "format": "double"}}


def test_the_saved_example_is_shown(tmp_path: Path) -> None:
    body = {"dataframe_split": {"columns": ["x", "kind"], "data": [[1.0, "a"]]}}
    (tmp_path / "example.json").write_text(json.dumps(body), encoding="utf-8")

    made = document(tmp_path, example="example.json")

    assert made["requestBody"]["content"]["application/json"]["example"] == body


def test_a_missing_value_in_the_example_is_shown_as_null(tmp_path: Path) -> None:
    body = '{"dataframe_split": {"columns": ["x", "kind"], "data": [[NaN, "a"]]}}'
    (tmp_path / "example.json").write_text(body, encoding="utf-8")

    made = document(tmp_path, example="example.json")

    shown = made["requestBody"]["content"]["application/json"]["example"]
    assert shown["dataframe_split"]["data"] == [[None, "a"]]


def test_csv_is_offered_for_scalar_columns() -> None:
    content = document()["requestBody"]["content"]

    assert content["text/csv"]["example"] == "x,kind\n"


def test_nested_columns_and_tensors_are_described() -> None:
    nested = {
        "inputs": [
            {
                "name": "o",
                "required": False,
                "type": "object",
                "properties": {
                    "tags": {"type": "array", "items": {"type": "string"}, "required": True},
                    "more": {"type": "map", "values": {"type": "any"}, "required": False},
                },
            }
        ]
    }
    tensor = {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, 2]}}]}

    made = document(signature=nested)

    assert "text/csv" not in made["requestBody"]["content"]
    record = formats(made)["dataframe_records"]["dataframe_records"]["items"]
    assert record == {
        "type": "object",
        "required": [],
        "properties": {
            "o": {
                "type": "object",
                "required": ["tags"],
                "properties": {
                    "more": {"type": "object", "additionalProperties": {}},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "additionalProperties": False,
            }
        },
    }
    assert formats(document(signature=tensor))["inputs"]["inputs"] == {
        "type": "array",
        "items": {
            "type": "array",
            "items": {"type": "integer", "format": "uint8"},
            "minItems": 2,
            "maxItems": 2,
        },
    }


def test_columns_that_are_numbers_are_offered_in_the_form_that_can_name_them() -> None:
    names = [{"type": "double", "name": each, "required": True} for each in (0, 1)]
    made = document(signature={"inputs": names})

    assert formats(made).keys() == {"dataframe_split"}
    split = formats(made)["dataframe_split"]["dataframe_split"]["properties"]
    assert split["columns"]["default"] == [0, 1]
    assert made["requestBody"]["content"].keys() == {"application/json"}


def test_a_model_without_a_signature_is_described_too() -> None:
    assert formats(document(signature=None)).keys() == {
        "inputs",
        "dataframe_split",
        "dataframe_records",
    }


def test_the_documentation_is_there() -> None:
    reply = ask(create_app(scorer()), "/docs", "GET")

    assert reply is not None
    assert reply.status == 200
