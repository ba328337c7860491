"""The Lambda entry point: every event shape, what is malformed, and a direct invoke."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers.http import api_gateway_events
from handlers.values import zip_equal
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import Ran, event, run
from tests.handlers.modelling import laid_out, with_handlers

HTTP = (
    "apigateway_rest",
    "apigateway_rest_custom_domain",
    "apigateway_http",
    "apigateway_http_stage",
    "function_url",
    "alb",
    "alb_multi_value",
)
Change = Callable[[dict[str, Any]], object]


def _set(**changes: Any) -> Change:
    return lambda found: found.update(changes)


def _header(name: str, value: Any) -> Change:
    return lambda found: found["headers"].update({name: value})


def _path(path: str, method: str = "POST") -> Change:
    return lambda found: found["requestContext"]["http"].update(path=path, method=method)


# name of an event, a change to it, the status that answers it
MALFORMED: tuple[tuple[str, Change, int], ...] = (
    ("apigateway_http", _set(body="{"), 400),
    ("apigateway_http", _set(body=None), 400),
    ("apigateway_http", _set(body=""), 400),
    ("apigateway_http", _set(body="[]"), 400),
    ("apigateway_http", _set(body='{"dataframe_split": {"columns": ["a"], "data": [[1]]}}'), 400),
    ("apigateway_http", _set(body="not base64!", isBase64Encoded=True), 400),
    (
        "apigateway_http",
        _set(body=base64.b64encode(b"\xff\xfe").decode(), isBase64Encoded=True),
        400,
    ),
    ("apigateway_http", _set(body={"already": "decoded"}), 400),
    ("apigateway_http", _header("content-type", "text/xml"), 415),
    ("apigateway_http", _header("content-type", 7), 415),
    ("apigateway_http", _path("/"), 404),
    ("apigateway_http", _path("/other/invocations"), 404),
    ("apigateway_http", _path("/docs", "GET"), 404),
    ("apigateway_http", _path("/invocations", "GET"), 405),
    ("apigateway_http", _path("/ping", "POST"), 405),
    ("alb", _set(path="/../invocations"), 404),
    ("alb", _set(httpMethod="DELETE"), 405),
    ("alb", _set(body="dataframe_split"), 400),
    ("apigateway_rest", _set(body="\ud800"), 400),
    ("apigateway_rest", _set(multiValueHeaders=None, headers={"content-type": "text/html"}), 415),
)
HARMLESS: tuple[tuple[str, Change], ...] = (
    ("apigateway_http", _header("host", "[::1]:80:80")),
    ("apigateway_http", _header("x-forwarded-port", "https")),
    ("apigateway_http", _set(cookies=[1, None])),
    ("apigateway_http", _set(rawQueryString="\u00ff=%zz")),
    ("apigateway_http", lambda found: found["requestContext"]["http"].pop("sourceIp")),
    ("alb", _set(queryStringParameters=None)),
    ("apigateway_rest", lambda found: found["requestContext"].pop("identity")),
    ("apigateway_rest", lambda found: found.pop("resource")),
)
DIRECT: tuple[Any, ...] = (
    None,
    [],
    [1],
    "text",
    7,
    True,
    {},
    {"ping": True},
    {"requestContext": {}},
    {"requestContext": {"http": {}}, "version": "2.0"},
    {"requestContext": {"elb": {}}, "httpMethod": 5},
    {"Records": []},
    {"dataframe_split": 1},
    {"dataframe_split": {"data": []}, "inputs": []},
    {"dataframe_records": [{"wrong": 1}]},
)


def _changed(name: str, change: Change) -> Any:
    made = copy.deepcopy(event(name))
    change(made)
    return made


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("function")
    laid_out(models.folder("onnx_columns"), into, Tier.NATIVE, Frame.NUMPY)
    return with_handlers(into)


@pytest.fixture(scope="module")
def ran(function: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results by what was sent; one function answers them all, in this order."""
    sent: dict[str, Any] = {"direct": event("direct")}
    sent |= {f"direct {number}": payload for number, payload in enumerate(DIRECT)}
    sent |= {name: event(name) for name in HTTP}
    sent |= {f"bad {i}": _changed(name, change) for i, (name, change, _) in enumerate(MALFORMED)}
    sent |= {f"odd {i}": _changed(name, change) for i, (name, change) in enumerate(HARMLESS)}
    for route in ("ping", "health", "version"):
        sent[route] = _changed("apigateway_http_stage", _path(f"/live/{route}", "GET"))
    done = run(
        function, list(sent.values()), tmp_path_factory.mktemp("run"), AWS_REGION="us-east-1"
    )
    return {"ran": done, **dict(zip_equal([*sent], done.results))}


@pytest.fixture(scope="module")
def predictions(ran: dict[str, Any]) -> Any:
    return ran["direct"]["answer"]["predictions"]


def test_direct_invoke_answers_predictions(ran: dict[str, Any]) -> None:
    answer = ran["direct"]["answer"]
    assert list(answer) == ["predictions"]
    assert [list(row) for row in answer["predictions"]] == [["variable"], ["variable"]]


@pytest.mark.parametrize("name", HTTP)
def test_every_http_event_gets_the_same_predictions(
    name: str, ran: dict[str, Any], predictions: Any
) -> None:
    answer = ran[name]["answer"]
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert json.loads(answer["body"]) == {"predictions": predictions}


@pytest.mark.parametrize("name", HTTP)
def test_answers_are_in_the_event_s_own_terms(name: str, ran: dict[str, Any]) -> None:
    answer = ran[name]["answer"]
    if name == "alb_multi_value":
        assert answer["multiValueHeaders"]["content-type"] == ["application/json"]
        assert "headers" not in answer
    else:
        assert answer["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("route", "body"), [("ping", "\n"), ("health", "\n"), ("version", "3.17.2")]
)
def test_routes_below_a_stage(route: str, body: str, ran: dict[str, Any]) -> None:
    assert ran[route]["answer"]["statusCode"] == 200
    assert ran[route]["answer"]["body"] == body


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_malformed_requests_get_their_status(number: int, ran: dict[str, Any]) -> None:
    assert ran[f"bad {number}"]["answer"]["statusCode"] == MALFORMED[number][2]


@pytest.mark.parametrize("number", range(len(HARMLESS)))
def test_what_no_route_reads_may_be_odd(number: int, ran: dict[str, Any], predictions: Any) -> None:
    answer = ran[f"odd {number}"]["answer"]
    assert (answer["statusCode"], json.loads(answer["body"])["predictions"]) == (200, predictions)


@pytest.mark.parametrize("number", range(len(DIRECT)))
def test_bad_direct_invokes_raise_by_name(number: int, ran: dict[str, Any]) -> None:
    error = ran[f"direct {number}"]["error"]
    assert error["type"] == "BadRequestError"
    code, _, sentence = error["message"].partition(": ")
    assert code in {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}
    assert sentence


def test_direct_invokes_load_no_web_framework(ran: dict[str, Any]) -> None:
    assert ran["direct"]["web"] == []
    assert ran[f"direct {len(DIRECT) - 1}"]["web"] == []


def test_http_events_load_mangums_readers_and_no_event_loop(ran: dict[str, Any]) -> None:
    assert ran["version"]["web"] == ["mangum.handlers"]


def test_one_log_line_and_one_metric_record_a_request(ran: dict[str, Any]) -> None:
    done: Ran = ran["ran"]
    answered = [record for record in done.logs if record["message"] == "answered"]
    assert len(answered) == len(done.results) == len(done.metrics)
    assert done.stderr == ""


def test_log_lines_are_structured(ran: dict[str, Any]) -> None:
    first, second = ran["ran"].logs[:2]
    assert (first["cold_start"], second["cold_start"]) == (True, False)
    assert first["function_request_id"] == "00000000-0000-4000-8000-000000000000"
    assert (first["level"], first["service"], first["rows"]) == ("INFO", "onnx_columns", 2)


def test_http_log_lines_carry_the_front_s_request_id(ran: dict[str, Any]) -> None:
    found = {record.get("correlation_id") for record in ran["ran"].logs}
    assert {"77375676-xmpl-4b79-853a-f982474efe18", "JKJaXmPLvHcESHA=", None} <= found


def test_a_caller_s_trace_is_logged_whatever_its_case(function: Path, tmp_path: Path) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    names = ("traceparent", "Traceparent", "TRACEPARENT")
    sent = [_changed("apigateway_rest", _header(name, trace)) for name in names]
    done = run(function, sent, tmp_path)

    answered = [record for record in done.logs if record["message"] == "answered"]
    assert [record["traceparent"] for record in answered] == [trace] * 3


def test_a_direct_invoke_imports_nothing_of_http_or_events(function: Path, tmp_path: Path) -> None:
    done = run(function, [event("direct")], tmp_path)
    packages = {name.split(".")[1] for name in done.results[0]["ours"]}
    assert packages.isdisjoint({"http", "events", "files", "container_server"})


def test_the_adapter_can_be_loaded_at_init(function: Path, tmp_path: Path) -> None:
    done = run(function, [event("direct")], tmp_path, PACKAGER_HTTP="1")
    assert "mangum.handlers" in done.results[0]["web"]
    assert "handlers.http.api_gateway_events" in done.results[0]["ours"]


def test_a_base_path_before_the_routes(function: Path, tmp_path: Path) -> None:
    sent = [
        _changed("alb", _set(path="/models/churn/invocations")),
        _changed("alb", _set(path="/models/invocations")),
    ]
    done = run(function, sent, tmp_path, PACKAGER_BASE_PATH="/models/churn/")
    assert [result["answer"]["statusCode"] for result in done.results] == [200, 404]


@pytest.mark.parametrize(
    "limit", [("PACKAGER_REQUEST_BYTES", "100"), ("PACKAGER_RESPONSE_BYTES", "40")]
)
def test_beyond_a_limit(limit: tuple[str, str], function: Path, tmp_path: Path) -> None:
    done = run(function, [event("apigateway_http"), event("direct")], tmp_path, **dict([limit]))
    http_result, direct = done.results
    assert http_result["answer"]["statusCode"] == 413
    assert "Send fewer rows" in http_result["answer"]["body"]
    if limit[0] == "PACKAGER_RESPONSE_BYTES":
        assert direct["error"]["type"] == "PayloadTooLargeError"
        assert "Send fewer rows" in direct["error"]["message"]


def test_an_answer_that_outgrows_the_limit_only_once_it_is_wrapped(
    function: Path, tmp_path: Path
) -> None:
    plain = run(function, [event("apigateway_http")], tmp_path)
    limit = len(plain.results[0]["answer"]["body"])
    done = run(function, [event("apigateway_http")], tmp_path, PACKAGER_RESPONSE_BYTES=str(limit))
    assert done.results[0]["answer"]["statusCode"] == 413


def test_a_copy_is_made_of_an_event() -> None:
    given = event("apigateway_http_stage")
    before = copy.deepcopy(given)
    api_gateway_events.readable(given)
    assert given == before


def test_request_ids_of_another_s_making_stay_out_of_the_log() -> None:
    assert api_gateway_events.request_id({"requestContext": {"requestId": "a b\n" * 9}}) is None


def test_without_a_manifest_the_handler_says_what_it_is() -> None:
    from handlers.aws_lambda import InternalError, handler

    with pytest.raises(InternalError, match="is not beside handlers"):
        handler({}, None)
