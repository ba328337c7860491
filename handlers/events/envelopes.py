"""Envelopes that other services put round a payload: known by their fields, and taken off.

An SNS notification in a queue without raw delivery, an EventBridge event, an event of Event Grid, a
CloudEvent, a message or record that a pipe passed on, what a function answered for its destination:
the payload is what they carry. It is scored as any, so that one that is made up gains nothing. An
envelope that is known and cannot be opened is refused by its name.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
https://learn.microsoft.com/en-us/azure/event-grid/event-schema
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-source.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from handlers.events.records import dig, names_source
from handlers.scoring.errors import InvalidInputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_Fields: TypeAlias = "Mapping[str, object]"
_BINARY = {
    b"\x1f\x8b": "is compressed with gzip",
    b"\xf3\x89\x9a\xc2": "is aggregated by the Kinesis Producer Library",
    b"\x00": "starts with a schema registry's header",
}
"""By their first bytes."""


def decode_body(body: object) -> object:
    """JSON of text or bytes; anything else as it is. Raises InvalidInputError."""
    if not isinstance(body, (str, bytes)):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # of bytes that are no UTF-8 too
        pass
    if isinstance(body, bytes):
        for mark, words in _BINARY.items():
            if body.startswith(mark):
                raise InvalidInputError(f"The record {words}. Send it as plain JSON.")
    raise InvalidInputError("The record is not JSON. Send a JSON object that the model takes.")


def open_envelopes(found: object, *, of_files: bool = False, keep: str | None = None) -> object:
    """Open the envelopes, however many; `found` itself where it is in none.

    Where `keep` is the field that an envelope has its payload in, it stays there. Raises
    InvalidInputError for what is known and is nothing to score; a notice of S3 is that, unless
    `of_files`.
    """
    while True:  # each is smaller than what it lay in
        found = _one_event(found)
        if not isinstance(found, dict):
            return found
        if not of_files:
            _refuse_form(found)
        elif _is_of_bucket(found):
            return found
        envelope = next((each for each in _ENVELOPES if each.is_known(found)), None)
        if envelope is None:
            return found
        payload = envelope.take(found)
        if keep == envelope.field:
            return {keep: payload}
        found = payload


def _one_event(found: object) -> object:
    """The one event of a list. Raises InvalidInputError for a list of several."""
    if not isinstance(found, list) or not found:
        return found
    if not all(isinstance(each, dict) for each in found):
        return found
    if not all(_is_event_grid(each) or _is_cloud_event(each) for each in found):
        return found
    if len(found) > 1:
        raise InvalidInputError(
            f"The record is a batch of {len(found)} events of Event Grid or CloudEvents. Have "
            "them delivered one by one."
        )
    return found[0]


def _refuse_form(found: _Fields) -> None:
    """Raises InvalidInputError for what other services write into a queue and is no request."""
    if _is_of_bucket(found):
        raise InvalidInputError(
            "The record is a notice of S3, which comes by another queue. Have the bucket write to "
            "the queue that the stack made for notices (--event s3)."
        )
    if _is_texts(found, "Type", "TopicArn", "Token") and "SubscribeURL" in found:
        raise InvalidInputError(
            "The record is SNS's confirmation of a subscription and holds no request. Open its "
            "SubscribeURL once."
        )
    if isinstance(dig(found, "dynamodb", "Keys"), dict) and _is_texts(found, "eventID"):
        raise InvalidInputError(
            "The record is a change of a DynamoDB table. Build with --event dynamodb for these."
        )
    if (source := _source_of(found)) is not None:
        raise InvalidInputError(
            f"The record is a whole event of {source}. Send its payloads, one a record."
        )


def _source_of(found: _Fields) -> str | None:
    """Tell whose event with a list of records it is, as Lambda is handed it."""
    records = found.get("Records")
    for record in records if isinstance(records, list) else ():
        for key in ("eventSource", "EventSource"):
            source = record.get(key) if isinstance(record, dict) else None
            if isinstance(source, str) and source.startswith("aws:"):
                return source[:80]
    return None


def _is_of_bucket(found: _Fields) -> bool:
    """Tell whether S3 told it, straight or by EventBridge."""
    if names_source(found, "eventSource", "aws:s3") or found.get("Event") == "s3:TestEvent":
        return True
    return found.get("source") == "aws.s3" and isinstance(dig(found, "detail", "bucket"), dict)


def _is_texts(found: _Fields, *names: str) -> bool:
    return all(isinstance(found.get(name), str) for name in names)


def _is_sns(found: _Fields) -> bool:
    texts = _is_texts(found, "TopicArn", "MessageId", "Message")
    return texts and found.get("Type") == "Notification"


def _is_event_bridge(found: _Fields) -> bool:
    texts = _is_texts(found, "id", "detail-type", "source", "account", "time", "region")
    return texts and found.get("version") == "0" and "detail" in found


def _is_event_grid(found: _Fields) -> bool:
    texts = _is_texts(found, "id", "subject", "eventType", "eventTime", "dataVersion")
    return texts and "data" in found


def _is_cloud_event(found: _Fields) -> bool:
    texts = _is_texts(found, "specversion", "id", "source", "type")
    return texts and bool(found.keys() & {"data", "data_base64"})


def _is_piped(source: str, *names: str) -> Callable[[_Fields], bool]:
    """Tell by its fields whether EventBridge Pipes took it from `source`."""
    return lambda found: found.get("eventSource") == source and _is_texts(found, *names)


def _is_destination(found: _Fields) -> bool:
    """Tell whether Lambda told a destination of a function's answer."""
    arn = dig(found, "requestContext", "functionArn")
    return isinstance(arn, str) and {"requestPayload", "responsePayload"} <= found.keys()


def _of_destination(found: _Fields) -> object:
    if dig(found, "requestContext", "condition") != "Success":
        raise InvalidInputError(
            "The record tells that a function failed, and holds no answer. Send on the function's "
            "successes alone."
        )
    return found["responsePayload"]


def _of_cloud_event(found: _Fields) -> object:
    if "data" in found:
        return decode_body(found["data"])
    return _of_base64(found["data_base64"], "The data of a CloudEvent")


def _of_base64(text: object, what: str) -> object:
    try:
        if isinstance(text, str):
            return decode_body(base64.b64decode(text))
    except ValueError:
        pass
    raise InvalidInputError(f"{what} is not base64.")


class _Envelope(NamedTuple):
    is_known: Callable[[_Fields], bool]
    field: str
    """What its payload lies in."""
    take: Callable[[_Fields], object]


_ENVELOPES = (
    _Envelope(_is_sns, "Message", lambda found: decode_body(found["Message"])),
    _Envelope(_is_event_bridge, "detail", lambda found: found["detail"]),
    _Envelope(_is_event_grid, "data", lambda found: decode_body(found["data"])),
    _Envelope(_is_cloud_event, "data", _of_cloud_event),
    _Envelope(
        _is_piped("aws:sqs", "messageId", "body"), "body", lambda found: decode_body(found["body"])
    ),
    _Envelope(
        _is_piped("aws:kinesis", "sequenceNumber", "data"),
        "data",
        lambda found: _of_base64(found["data"], "The data of a Kinesis record"),
    ),
    _Envelope(
        _is_piped("aws:kafka", "topic", "value"),
        "value",
        lambda found: _of_base64(found["value"], "The value of a Kafka record"),
    ),
    _Envelope(_is_destination, "responsePayload", _of_destination),
)
