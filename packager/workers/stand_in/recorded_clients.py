"""AWS's services as a function's own module of clients has them, but nothing is reached.

What is sent becomes a line on standard output: MARK and JSON with `to` and `body`, so that it gets
out of any sandbox. A table keeps what it is told for as long as the process lives; S3 has what was
written, and as every other JSON file the one that is beside this module, object.json.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MARK = "PACKAGER-SENT "
_OBJECT = Path(__file__).with_name("object.json")
_objects: dict[tuple[str, str], bytes] = {}
_metadata: dict[tuple[str, str], dict[str, str]] = {}
_items: dict[str, dict[str, Any]] = {}
_parts: dict[str, bytearray] = {}


class StandInError(Exception):
    """Refusal of a service, in the form of its SDK."""

    def __init__(self, code: str, **more: object) -> None:
        super().__init__(code)
        self.response: dict[str, Any] = {"Error": {"Code": code}, **more}


AWS_ERRORS = (StandInError,)


class Client:
    """Operations are attributes, as the SDK has them."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Raises StandInError for an operation that functions do not use."""
        found = _OPERATIONS.get((self._service, operation))
        if found is None:
            raise StandInError("NotImplemented")
        return lambda **values: found(values)


@functools.lru_cache(maxsize=None)
def client(service: str) -> Client:
    return Client(service)


def code(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def _sent(to: str, body: str | bytes, attributes: Mapping[str, Any] | None = None) -> None:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    told: dict[str, Any] = {"to": to, "body": text}
    if attributes:
        told["attributes"] = {name: each["StringValue"] for name, each in attributes.items()}
    sys.stdout.write(f"\n{MARK}{json.dumps(told)}\n")
    sys.stdout.flush()


def _put_object(values: dict[str, Any]) -> dict[str, object]:
    place = values["Bucket"], values["Key"]
    if values.get("IfNoneMatch") == "*" and place in _objects:
        raise StandInError("PreconditionFailed")
    body = values["Body"]
    _objects[place] = body if isinstance(body, bytes) else str(body).encode()
    _metadata[place] = values.get("Metadata", {})
    _sent(f"s3://{place[0]}/{place[1]}", _objects[place])
    return {}


def _read_object(values: dict[str, Any]) -> bytes:
    place = values["Bucket"], values["Key"]
    if place in _objects:
        return _objects[place]
    if place[1].endswith(".json") and _OBJECT.is_file():
        return _OBJECT.read_bytes()
    raise StandInError("NoSuchKey")


def _head_object(values: dict[str, Any]) -> dict[str, object]:
    body = _read_object(values)
    tag = hashlib.sha256(body).hexdigest()
    metadata = _metadata.get((values["Bucket"], values["Key"]), {})
    return {"ETag": f'"{tag}"', "ContentLength": len(body), "Metadata": metadata}


def _get_object(values: dict[str, Any]) -> dict[str, object]:
    body = _read_object(values)
    first, _, last = values.get("Range", "").replace("bytes=", "").partition("-")
    if first:
        body = body[int(first) : int(last) + 1]
    return {"Body": io.BytesIO(body)}


def _create_upload(values: dict[str, Any]) -> dict[str, object]:
    name = f"upload-{len(_parts)}"
    _parts[name] = bytearray()
    _metadata[values["Bucket"], values["Key"]] = values.get("Metadata", {})
    return {"UploadId": name}


def _upload_part(values: dict[str, Any]) -> dict[str, object]:
    _parts[values["UploadId"]] += values["Body"]
    return {"ETag": str(values["PartNumber"])}


def _complete_upload(values: dict[str, Any]) -> dict[str, object]:
    place = values["Bucket"], values["Key"]
    whole = {"Body": bytes(_parts.pop(values["UploadId"])), "Metadata": _metadata.get(place, {})}
    return _put_object({**values, **whole})


def _abort_upload(values: dict[str, Any]) -> dict[str, object]:
    _parts.pop(values["UploadId"], None)
    return {}


def _send_message(values: dict[str, Any]) -> dict[str, object]:
    _sent(values["QueueUrl"], values["MessageBody"], values.get("MessageAttributes"))
    return {}


def _send_messages(values: dict[str, Any]) -> dict[str, object]:
    for entry in values["Entries"]:
        _send_message({**entry, "QueueUrl": values["QueueUrl"]})
    return {}


def _put_events(values: dict[str, Any]) -> dict[str, object]:
    for entry in values["Entries"]:
        _sent(f"eventbridge:{entry['EventBusName']}", entry["Detail"])
    return {"Entries": [{} for _ in values["Entries"]]}


def _put_records(values: dict[str, Any]) -> dict[str, object]:
    for record in values["Records"]:
        _sent(f"firehose:{values['DeliveryStreamName']}", record["Data"])
    return {"RequestResponses": [{} for _ in values["Records"]]}


def _write_items(values: dict[str, Any]) -> dict[str, object]:
    for table, puts in values["RequestItems"].items():
        for put in puts:
            _sent(f"dynamodb:{table}", put["PutRequest"]["Item"]["answer"]["S"])
    return {}


def _put_item(values: dict[str, Any]) -> dict[str, object]:
    """Put an item into the table of answered records."""
    item = values["Item"]
    held = _items.get(item["id"]["S"])
    free = held is None or float(held.get("until", {}).get("N", "inf")) < time.time()
    if values.get("ConditionExpression") and not free:
        raise StandInError("ConditionalCheckFailedException", Item=held)
    _items[item["id"]["S"]] = item
    return {}


def _delete_item(values: dict[str, Any]) -> dict[str, object]:
    _items.pop(values["Key"]["id"]["S"], None)
    return {}


_OPERATIONS: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("s3", "put_object"): _put_object,
    ("s3", "head_object"): _head_object,
    ("s3", "get_object"): _get_object,
    ("s3", "create_multipart_upload"): _create_upload,
    ("s3", "upload_part"): _upload_part,
    ("s3", "complete_multipart_upload"): _complete_upload,
    ("s3", "abort_multipart_upload"): _abort_upload,
    ("sqs", "send_message"): _send_message,
    ("sqs", "send_message_batch"): _send_messages,
    ("events", "put_events"): _put_events,
    ("firehose", "put_record_batch"): _put_records,
    ("dynamodb", "batch_write_item"): _write_items,
    ("dynamodb", "put_item"): _put_item,
    ("dynamodb", "delete_item"): _delete_item,
}
