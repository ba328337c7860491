"""What other services put round a payload on its way: known by its fields, and taken off.

An SNS notification in a queue without raw delivery, an EventBridge event, an event of Event Grid, a
CloudEvent: the payload is what they carry. It is scored as any, so that one that is made up gains
nothing. An envelope that is known and cannot be opened is refused by its name.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
https://learn.microsoft.com/en-us/azure/event-grid/event-schema
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from handlers.errors import InvalidInputError
from handlers.records import dig, tagged

_DEPTH = 3
"""EventBridge to SNS to a queue is two."""
_BINARY = {
    b"\x1f\x8b": "is compressed with gzip",
    b"\xf3\x89\x9a\xc2": "is aggregated by the Kinesis Producer Library",
}
"""By their first bytes."""


def decoded(body: Any) -> Any:
    """JSON of text or bytes; anything else as it is. Raises InvalidInputError."""
    if not isinstance(body, str | bytes):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # of bytes that are no UTF-8 too
        pass
    if isinstance(body, bytes):
        for mark, words in _BINARY.items():
            if body.startswith(mark):
                raise InvalidInputError(f"The record {words}: it has to be plain JSON.")
    raise InvalidInputError("The record is not JSON.")


def opened(found: Any, *, of_files: bool = False, keep: str | None = None) -> Any:
    """What lies in the envelopes; `found` itself where it is in none.

    One that has a field `keep` stays closed. Raises InvalidInputError for what is known and is
    nothing to score; a notice of S3 is that, unless `of_files`.
    """
    for _ in range(_DEPTH):
        if isinstance(found, list) and len(found) == 1 and _is_event_grid(found[0]):
            found = found[0]  # as Event Grid delivers to some of its handlers
        if not isinstance(found, dict) or (keep is not None and keep in found):
            return found
        if not of_files:
            _refuse(found)
        elif _is_of_bucket(found):
            return found
        take = next((take for known, take in _KINDS if known(found)), None)
        if take is None:
            return found
        found = take(found)
    return found


def _refuse(found: dict[str, Any]) -> None:
    """Raises InvalidInputError for what other services write into a queue and is no request."""
    if _is_of_bucket(found):
        raise InvalidInputError(
            "The record is a notice of S3: objects are read only where the queue that the stack "
            "made for notices tells of them."
        )
    if _is_texts(found, "Type", "TopicArn", "Token") and "SubscribeURL" in found:
        raise InvalidInputError("The record is SNS's confirmation of a subscription.")
    if isinstance(dig(found, "dynamodb", "Keys"), dict) and _is_texts(found, "eventID"):
        raise InvalidInputError(
            "The record is a change of a DynamoDB table: build with --event dynamodb for these."
        )


def _is_of_bucket(found: dict[str, Any]) -> bool:
    """Whether S3 told it, straight or by EventBridge."""
    if tagged(found, "eventSource", "aws:s3") or found.get("Event") == "s3:TestEvent":
        return True
    return found.get("source") == "aws.s3" and isinstance(dig(found, "detail", "bucket"), dict)


def _is_texts(found: dict[str, Any], *names: str) -> bool:
    return all(isinstance(found.get(name), str) for name in names)


def _is_sns(found: dict[str, Any]) -> bool:
    texts = _is_texts(found, "TopicArn", "MessageId", "Message")
    return texts and found.get("Type") == "Notification"


def _is_event_bridge(found: dict[str, Any]) -> bool:
    texts = _is_texts(found, "id", "detail-type", "source", "account", "time", "region")
    return texts and found.get("version") == "0" and "detail" in found


def _is_event_grid(found: object) -> bool:
    if not isinstance(found, dict) or "data" not in found:
        return False
    return _is_texts(found, "id", "subject", "eventType", "eventTime", "dataVersion")


def _is_cloud_event(found: dict[str, Any]) -> bool:
    texts = _is_texts(found, "specversion", "id", "source", "type")
    return texts and bool(found.keys() & {"data", "data_base64"})


def _of_sns(found: dict[str, Any]) -> Any:
    return decoded(found["Message"])


def _of_event_bridge(found: dict[str, Any]) -> Any:
    return found["detail"]


def _of_event_grid(found: dict[str, Any]) -> Any:
    return found["data"]


def _of_cloud_event(found: dict[str, Any]) -> Any:
    if "data" in found:
        return decoded(found["data"])
    try:
        return decoded(base64.b64decode(found["data_base64"]))
    except (TypeError, ValueError):
        raise InvalidInputError("The data of a CloudEvent is not base64.") from None


_KINDS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Any]], ...] = (
    (_is_sns, _of_sns),
    (_is_event_bridge, _of_event_bridge),
    (_is_event_grid, _of_event_grid),
    (_is_cloud_event, _of_cloud_event),
)
