"""A change of a table, as its stream has it."""

from __future__ import annotations

from packager.probes.aws_source_events._forms import EPOCH_SECONDS, ID, make_arn, make_records
from packager.types import Json


def make_event(request: Json) -> object:
    return make_records(
        "aws:dynamodb",
        make_arn("dynamodb", "table/requests/stream/2000-01-01T00:00:00.000"),
        eventID=ID.replace("-", ""),
        eventName="INSERT",
        eventVersion="1.1",
        dynamodb={
            "ApproximateCreationDateTime": EPOCH_SECONDS,
            "Keys": {"id": {"S": "1"}},
            "NewImage": {name: _make_attribute(value) for name, value in request.items()},
            "SequenceNumber": "100000000000000000001",
            "SizeBytes": 100,
            "StreamViewType": "NEW_IMAGE",
        },
    )


def _make_attribute(value: object) -> dict[str, object]:
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
