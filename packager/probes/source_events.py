"""One event an event source, as the service sends it, around a request that the model takes.

Shapes: the pages that each module under handlers.events.sources names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from packager.types import Json

_ACCOUNT: Final = "123456789012"
_REGION: Final = "us-east-1"
_ID: Final = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
_EPOCH_SECONDS: Final = 946684800
NOTICES: Final = f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:objects"
"""The queue of a bucket's notices, as PACKAGER_NOTICES names it."""


def source_event(name: str, request: Json) -> Json:
    """`name` is one of handlers.events.sources; `request` is decoded JSON of MLflow's forms."""
    return _FORMS[name](request)


def notice_event() -> Json:
    """A bucket's notification in the queue whose ARN is NOTICES."""
    return _make_records(
        "aws:sqs", NOTICES, messageId=_ID, body=json.dumps(_s3({})), attributes={}
    )  # fmt: skip


def _make_arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{_REGION}:{_ACCOUNT}:{resource}"


def _make_records(source: str, arn: str, **more: Json) -> Json:
    shared = {"eventSource": source, "eventSourceARN": arn, "awsRegion": _REGION}
    return {"Records": [{**shared, **more}]}


def _make_sqs(request: Json) -> Json:
    return _make_records(
        "aws:sqs",
        _make_arn("sqs", "requests"),
        messageId=_ID,
        receiptHandle="AQEB",
        body=json.dumps(request),
        attributes={
            "ApproximateFirstReceiveTimestamp": str(_EPOCH_SECONDS * 1000),
            "ApproximateReceiveCount": "1",
            "SenderId": _ACCOUNT,
            "SentTimestamp": str(_EPOCH_SECONDS * 1000),
        },
        messageAttributes={},
        md5OfBody="d41d8cd98f00b204e9800998ecf8427e",
    )


def _make_sns(request: Json) -> Json:
    topic = _make_arn("sns", "requests")
    sent: dict[str, Json] = {
        "Type": "Notification",
        "MessageId": _ID,
        "TopicArn": topic,
        "Subject": None,
        "Message": json.dumps(request),
        "MessageAttributes": {},
        "Timestamp": "2000-01-01T00:00:00.000Z",
    }
    record = {
        "EventVersion": "1.0",
        "EventSource": "aws:sns",
        "EventSubscriptionArn": f"{topic}:{_ID}",
        "Sns": sent,
    }
    return {"Records": [record]}


def _make_kinesis(request: Json) -> Json:
    sequence = "49590338271490256608559692538361571095921575989136588898"
    return _make_records(
        "aws:kinesis",
        _make_arn("kinesis", "stream/requests"),
        eventID=f"shardId-000000000000:{sequence}",
        eventName="aws:kinesis:record",
        eventVersion="1.0",
        kinesis={
            "approximateArrivalTimestamp": _EPOCH_SECONDS,
            "data": _encode_base64(request),
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": sequence,
        },
    )


def _make_dynamodb(request: Json) -> Json:
    return _make_records(
        "aws:dynamodb",
        _make_arn("dynamodb", "table/requests/stream/2000-01-01T00:00:00.000"),
        eventID=_ID.replace("-", ""),
        eventName="INSERT",
        eventVersion="1.1",
        dynamodb={
            "ApproximateCreationDateTime": _EPOCH_SECONDS,
            "Keys": {"id": {"S": "1"}},
            "NewImage": {name: _make_attribute(value) for name, value in request.items()},
            "SequenceNumber": "100000000000000000001",
            "SizeBytes": 100,
            "StreamViewType": "NEW_IMAGE",
        },
    )


def _make_attribute(value: Json) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, list):
        return {"L": [_make_attribute(each) for each in value]}
    if isinstance(value, dict):
        return {"M": {name: _make_attribute(each) for name, each in value.items()}}
    return {"S": value}


def _make_eventbridge(request: Json) -> Json:
    return {
        "version": "0",
        "id": _ID,
        "detail-type": "Request",
        "source": "example",
        "account": _ACCOUNT,
        "time": "2000-01-01T00:00:00Z",
        "region": _REGION,
        "resources": [],
        "detail": request,
    }


def _make_kafka(request: Json) -> Json:
    record = {
        "topic": "requests",
        "partition": 0,
        "offset": 0,
        "timestamp": _EPOCH_SECONDS * 1000,
        "timestampType": "CREATE_TIME",
        "value": _encode_base64(request),
        "headers": [],
    }
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": _make_arn("kafka", f"cluster/requests/{_ID}-1"),
        "bootstrapServers": "b-1.requests.example.c1.kafka.us-east-1.amazonaws.com:9092",
        "records": {"requests-0": [record]},
    }


def _make_stepfunctions(request: Json) -> Json:
    return {"BatchInput": {}, "Items": [request]}


def _files(_: Json) -> Json:
    return {"input": "s3://data/in/request.json", "output": "s3://answers/request.jsonl"}


def _s3(_: Json) -> Json:
    """The object is the user's to name; a bucket's notification quotes its key as a query does."""
    return _make_records(
        "aws:s3",
        _make_arn("s3", "data"),
        eventVersion="2.1",
        eventTime="2000-01-01T00:00:00.000Z",
        eventName="ObjectCreated:Put",
        s3={
            "s3SchemaVersion": "1.0",
            "configurationId": "objects",
            "bucket": {"name": "data", "arn": "arn:aws:s3:::data"},
            "object": {
                "key": "in/some+request.json",
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": "0A1B2C3D4E5F678901",
            },
        },
    )


def _make_schedule(request: Json) -> Json:
    return {"scheduled": "2000-01-01T00:00:00Z", "execution": _ID, "request": request}


def _encode_base64(request: Json) -> str:
    return base64.b64encode(json.dumps(request).encode()).decode("ascii")


_FORMS: Final[dict[str, Callable[[Json], Json]]] = {
    "sqs": _make_sqs,
    "sns": _make_sns,
    "kinesis": _make_kinesis,
    "dynamodb": _make_dynamodb,
    "eventbridge": _make_eventbridge,
    "kafka": _make_kafka,
    "stepfunctions": _make_stepfunctions,
    "schedule": _make_schedule,
    "files": _files,
    "s3": _s3,
}
