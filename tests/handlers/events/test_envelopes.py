"""What other services put round a payload is taken off, or refused by its name."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from handlers.events import envelopes
from handlers.events.event_processor import EventProcessor
from handlers.scoring.errors import InvalidInputError
from tests.handlers.events.test_azure_triggers import GOOD, Asked
from tests.handlers.events.test_events import Box, Context, queue, row
from tests.handlers.scorers import scorer
from tests.handlers.scoring.test_together import Doubling

TEXTS = ("id", "detail-type", "source", "account", "time", "region")


def sns(message: Any, **more: Any) -> dict[str, Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    head = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:1:t"}
    return {**head, "Message": text, "Timestamp": "2000-01-01T00:00:00.000Z", **more}


def event_bridge(detail: Any) -> dict[str, Any]:
    return {"version": "0", **dict.fromkeys(TEXTS, "x"), "resources": [], "detail": detail}


def event_grid(data: Any) -> dict[str, Any]:
    texts = ("id", "subject", "eventType", "eventTime", "dataVersion", "topic")
    return {**dict.fromkeys(texts, "x"), "data": data}


def cloud_event(data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": data}


def cloud_event_in_bytes(data: Any) -> dict[str, Any]:
    made = cloud_event(None)
    del made["data"]
    return {**made, "data_base64": base64.b64encode(json.dumps(data).encode()).decode()}


def piped(source: str, field: str, **more: Any) -> Any:
    def wrap(data: Any) -> dict[str, Any]:
        text = json.dumps(data)
        held = text if field == "body" else base64.b64encode(text.encode()).decode()
        return {"eventSource": source, **more, field: held}

    return wrap


def destination(data: Any, condition: str = "Success") -> dict[str, Any]:
    context = {"functionArn": "arn:aws:lambda:us-east-1:1:function:f", "condition": condition}
    return {"requestContext": context, "requestPayload": {}, "responsePayload": data}


def many(wrap: Any, data: Any, count: int) -> Any:
    for _ in range(count):
        data = wrap(data)
    return data


WRAPS = (
    sns,
    event_bridge,
    event_grid,
    lambda data: [event_grid(data)],
    cloud_event,
    cloud_event_in_bytes,
    lambda data: sns(event_bridge(data)),
    lambda data: sns(sns(sns(data))),
    lambda data: cloud_event(json.dumps(data)),
    lambda data: event_grid(json.dumps(data)),
    lambda data: [cloud_event(data)],
    lambda data: many(sns, data, 9),
    lambda data: many(event_bridge, data, 100),
    lambda data: many(cloud_event_in_bytes, [event_grid(data)], 5),
    piped("aws:sqs", "body", messageId="1"),
    piped("aws:kinesis", "data", sequenceNumber="1"),
    piped("aws:kafka", "value", topic="t"),
    lambda data: piped("aws:sqs", "body", messageId="1")(sns(data)),
    destination,
)


def answered(sent: Any, path: str = "") -> tuple[list[Any], list[str]]:
    """Predictions, and reasons why there are none."""
    output, failures = Box(), Box()
    inbox = EventProcessor(
        ["sqs"],
        scorer(Doubling()),
        output=output,
        failures=failures,
        path=[name for name in path.split(".") if name],
    )
    event = queue(sent)
    source = inbox.find_source(event)
    assert source is not None
    assert inbox.answer(source, event, Context())[0] == {"batchItemFailures": []}
    told = [json.loads(message.body)["predictions"] for message in output.messages]
    return told, [message.attributes["error_message"] for message in failures.messages]


@pytest.mark.parametrize("wrap", WRAPS, ids=range(len(WRAPS)))
@pytest.mark.parametrize(
    "payload", [row(1.5), {"dataframe_records": [row(1.5)]}], ids=["row", "request"]
)
def test_the_payload_is_taken_out(wrap: Any, payload: Any) -> None:
    assert answered(wrap(payload)) == ([[3.0]], [])


@pytest.mark.parametrize("wrap", WRAPS, ids=range(len(WRAPS)))
def test_azure_s_queues_take_it_out_too(wrap: Any) -> None:
    for name in ("queue", "servicebus", "eventhubs"):
        asked = Asked(name)
        asked(name, json.dumps(wrap(json.loads(GOOD))).encode())
        assert json.loads(asked.out.value[0])["predictions"] == [1.5]


@pytest.mark.parametrize("wrap", WRAPS, ids=range(len(WRAPS)))
def test_a_path_starts_inside(wrap: Any) -> None:
    assert answered(wrap({"order": {"features": row(1.5)}}), "order.features") == ([[3.0]], [])


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        (event_bridge(row(1.5)), "detail"),
        (event_grid({"a": row(1.5)}), "data.a"),
        (cloud_event(row(1.5)), "data"),
        (cloud_event(json.dumps({"a": row(1.5)})), "data.a"),
        (cloud_event_in_bytes({"a": row(1.5)}), "data.a"),
        (sns(row(1.5)), "Message"),
        (sns({"a": json.dumps(row(1.5))}), "Message.a"),
        (sns(event_grid({"a": row(1.5)})), "data.a"),
    ],
)
def test_a_path_that_names_a_field_of_the_envelope_starts_there(sent: Any, path: str) -> None:
    assert answered(sent, path) == ([[3.0]], [])


@pytest.mark.parametrize("wrap", WRAPS, ids=range(len(WRAPS)))
@pytest.mark.parametrize("field", ["id", "source", "subject", "Type", "type", "version", "region"])
def test_a_path_that_only_has_the_name_of_another_field_starts_inside(
    wrap: Any, field: str
) -> None:
    assert answered(wrap({field: row(1.5)}), field) == ([[3.0]], [])


def test_a_path_reads_what_is_text_on_its_way() -> None:
    sent = {"order": json.dumps({"features": json.dumps(row(1.5))})}

    assert answered(sent, "order.features") == ([[3.0]], [])
    assert answered({"order": "text"}, "order") == (
        [],
        ["Invalid input. The record is not JSON. Send a JSON object that the model takes."],
    )


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"Records": [{"eventSource": "aws:s3"}]}, "a notice of S3"),
        ({"Event": "s3:TestEvent"}, "a notice of S3"),
        (sns({"Records": [{"eventSource": "aws:s3"}]}), "a notice of S3"),
        (sns("", Type="SubscriptionConfirmation", Token="t", SubscribeURL="u"), "confirmation"),
        ({"eventID": "1", "dynamodb": {"Keys": {}, "NewImage": {}}}, "--event dynamodb"),
        (sns("x,kind\n1,a\n"), "not JSON"),
        (sns("[" * 100_000), "not JSON"),
        (sns(""), "not JSON"),
        (sns([1]), "not a JSON object"),
        (cloud_event("text"), "not JSON"),
        (cloud_event(7), "not a JSON object"),
        ({**cloud_event_in_bytes(1), "data_base64": 7}, "not base64"),
        ({**cloud_event_in_bytes(1), "data_base64": "*"}, "not JSON"),
        (many(sns, {"Records": [{"eventSource": "aws:s3"}]}, 7), "a notice of S3"),
        (many(sns, {"Records": [{"eventSource": "aws:sqs"}]}, 2), "event of aws:sqs"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "event of aws:sns"),
        (destination(row(1.5), "RetriesExhausted"), "a function failed"),
        ({**piped("aws:kinesis", "data", sequenceNumber="1", data=7)(1), "data": "é"}, "base64"),
        (sns(row(1.5), Message=7), "missing inputs"),
        ([event_grid(row(1.5))] * 2, "a batch of 2 events of Event Grid"),
        ([cloud_event(row(1.5)), event_grid(row(1.5))], "a batch of 2 events"),
        (sns([cloud_event(row(1.5))] * 3), "a batch of 3 events"),
        ([event_grid(row(1.5)), row(1.5)], "not a JSON object"),
        ([], "not a JSON object"),
    ],
)
def test_what_is_nothing_to_score_is_refused_with_its_name(sent: Any, reason: str) -> None:
    told, (said,) = answered(sent)

    assert told == []
    assert reason in said


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(b"{}", mtime=0), "compressed with gzip"),
        (b"\xf3\x89\x9a\xc2\x0a", "Kinesis Producer Library"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'\x00\x00\x00\x00\x07{"x": 1.5}', "a schema registry's header"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_bytes_that_are_no_json_say_what_they_are(body: bytes | str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        envelopes.decode_body(body)


@pytest.mark.parametrize(
    "columns",
    [
        {"Type": "Notification", "Message": "m"},
        {"id": "1", "source": "s", "detail": 7, "version": "0"},
        {"specversion": "1.0", "data": 7},
        {"Records": 7},
        {"eventSource": "aws:s3"},
        {"eventSource": "aws:sqs", "body": "b"},
        {"eventSource": "mine", "messageId": "1", "body": "b"},
        {"Records": [{"eventSource": 7}, {"eventSource": "mine"}, None]},
        {"requestPayload": 1, "responsePayload": 2},
    ],
)
def test_a_row_with_a_few_such_columns_is_a_row(columns: dict[str, Any]) -> None:
    assert envelopes.open_envelopes(columns) is columns
