"""Events hold a request that the model takes, in each service's own shape."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from packager.pipeline.emit._sample_events import events, sample
from packager.types import SavedExample
from tests import fake_plan


def _with(body: bytes, content_type: str = "application/json", **changes: Any) -> dict[str, Any]:
    example = SavedExample(body=body, content_type=content_type, source="example")
    return events(fake_plan.model(example=example, **changes))


def test_each_entry_carries_the_saved_example() -> None:
    found = _with(fake_plan.BODY)

    assert set(found) == {"direct", "http-api", "function-url", "rest-api", "alb"}
    assert found["direct"] == json.loads(fake_plan.BODY)
    for name in set(found) - {"direct"}:
        assert found[name]["body"] == fake_plan.BODY.decode()
        assert found[name]["headers"]["content-type"] == "application/json"
        assert found[name]["isBase64Encoded"] is False


def test_payload_versions_are_told_apart_as_the_services_do() -> None:
    found = _with(fake_plan.BODY)

    assert found["http-api"]["version"] == "2.0"
    assert found["http-api"]["requestContext"]["http"]["method"] == "POST"
    assert found["function-url"]["routeKey"] == "$default"
    assert found["rest-api"]["resource"] == "/invocations"
    assert "version" not in found["rest-api"]
    assert "elb" in found["alb"]["requestContext"]


def test_bytes_that_are_no_text_are_sent_in_base64() -> None:
    body = _with("ä;1\n".encode("latin-1"), "text/csv; charset=latin-1", signature=None)["alb"]

    assert body["isBase64Encoded"] is True
    assert base64.b64decode(body["body"]) == b"\xe4;1\n"


def test_a_csv_example_becomes_columns_for_a_direct_invoke() -> None:
    found = _with(b"x,y\n1.5,007\n,b\n", "text/csv")

    assert found["direct"] == {
        "dataframe_split": {"columns": ["x", "y"], "data": [[1.5, "007"], [None, "b"]]}
    }
    assert found["http-api"]["headers"]["content-type"] == "text/csv"


def _tensor(name: str | None, shape: list[int], dtype: str = "float32") -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return spec if name is None else {"name": name, **spec}


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        (
            [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}],
            {"dataframe_split": {"columns": ["a", "b"], "data": [[0, "a"]]}},
        ),
        ([{"type": "double"}, {"type": "double"}], {"inputs": [[0.0, 0.0]]}),
        ([_tensor(None, [-1, 2])], {"inputs": [[0.0, 0.0]]}),
        (
            [_tensor("a", [-1, 1], "int64"), _tensor("b", [-1], "bool")],
            {"inputs": {"a": [[0]], "b": [False]}},
        ),
        (
            [
                {"name": "tags", "type": "array", "items": {"type": "string"}},
                {"name": "o", "type": "object", "properties": {"k": {"type": "boolean"}}},
            ],
            {"dataframe_split": {"columns": ["tags", "o"], "data": [[["a"], {"k": True}]]}},
        ),
    ],
)
def test_without_an_example_the_signature_gives_one(inputs: list[Any], body: Any) -> None:
    made, content_type = sample(fake_plan.model(example=None, signature={"inputs": inputs}))

    assert made is not None
    assert (json.loads(made), content_type) == (body, "application/json")


def test_with_neither_the_http_events_ask_for_ping() -> None:
    found = events(fake_plan.model(example=None, signature=None))

    assert "direct" not in found
    assert {found["rest-api"]["httpMethod"], found["alb"]["httpMethod"]} == {"GET"}
    assert "body" not in found["http-api"]
    assert found["alb"]["body"] == ""
