"""A caller's trace goes on to its answer; X-Ray gets annotations where it samples."""

from __future__ import annotations

import base64
import json
import socket
from typing import Any

import pytest

from handlers.observability.trace_context import annotate, parent
from tests.handlers.events.test_events import Box, answered, inbox, queue, row
from tests.handlers.invoking import event

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param(TRACE, TRACE, id="text"),
        pytest.param(TRACE.encode(), TRACE, id="bytes"),
        (TRACE.upper(), None),
        (f"{TRACE}\n", None),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", None),
        ("ff" + TRACE[2:], None),
        (None, None),
        (5, None),
        (b"\xff", None),
    ],
)
def test_only_what_is_a_traceparent_is_one(given: object, found: str | None) -> None:
    assert parent(given) == found


def sqs() -> Any:
    made = queue(row(1))
    attribute = {"stringValue": TRACE, "dataType": "String"}
    made["Records"][0]["messageAttributes"] = {"traceparent": attribute}
    return made


def sns() -> Any:
    made = event("sns")
    made["Records"][0]["Sns"]["Message"] = json.dumps(row(1))
    attribute = {"Type": "String", "Value": TRACE}
    made["Records"][0]["Sns"]["MessageAttributes"] = {"traceparent": attribute}
    return made


def kafka() -> Any:
    made = event("kafka_msk")
    ((partition, records),) = list(made["records"].items())[:1]
    value = base64.b64encode(json.dumps(row(1)).encode()).decode()
    header = {"traceparent": list(TRACE.encode())}
    made["records"] = {partition: [{**records[0], "value": value, "headers": [{"o": [1]}, header]}]}
    return made


@pytest.mark.parametrize("sent", [sqs, sns, kafka])
def test_a_trace_goes_on_to_the_answer(sent: Any) -> None:
    output = Box()
    answered(inbox(output=output), sent())

    (message,) = output.messages
    assert message.attributes == {"traceparent": TRACE}
    assert json.loads(message.body)["traceparent"] == TRACE


def test_an_answer_to_what_had_no_trace_has_none() -> None:
    output = Box()
    answered(inbox(output=output), queue(row(1)))
    assert (output.messages[0].attributes, b"traceparent" in output.messages[0].body) == ({}, False)


def test_a_sampled_invocation_is_annotated() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(10)
        environ = {
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"
            ";Sampled=1;Lineage=a87bd80c:0",
        }
        annotate("score", 1.0, 2.5, {"model": "churn", "rows": 3}, environ)
        head, body = daemon.recv(65_536).decode().split("\n")

    assert json.loads(head) == {"format": "json", "version": 1}
    found = json.loads(body)
    assert len(found.pop("id")) == 16
    assert found == {
        "name": "score",
        "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
        "parent_id": "53995c3f42cd8ad8",
        "type": "subsegment",
        "start_time": 1.0,
        "end_time": 2.5,
        "annotations": {"model": "churn", "rows": 3},
    }


@pytest.mark.parametrize(
    "header", ["", "Root=1-5-6;Parent=5;Sampled=0", "Root=1-5-6;Sampled=1", "nonsense"]
)
def test_what_is_not_sampled_is_not_sent(header: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.setblocking(False)  # noqa: FBT003 - the socket's own
        address = f"127.0.0.1:{daemon.getsockname()[1]}"
        environ = {"AWS_XRAY_DAEMON_ADDRESS": address, "_X_AMZN_TRACE_ID": header}
        annotate("score", 1.0, 2.0, {}, environ)
        with pytest.raises(BlockingIOError):
            daemon.recv(1)
