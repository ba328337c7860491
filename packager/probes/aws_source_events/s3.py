"""A bucket's notification, straight and in a queue."""

from __future__ import annotations

import json
from typing import Final

from packager.probes.aws_source_events._forms import ACCOUNT, ID, REGION, make_arn, make_records

NOTICES: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:objects"
"""The queue of a bucket's notices, as PACKAGER_NOTICES names it."""


def make_event(_: object) -> object:
    """The object is the user's to name; a bucket's notification quotes its key as a query does."""
    return make_records(
        "aws:s3",
        make_arn("s3", "data"),
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


def notice_event() -> dict[str, list[dict[str, object]]]:
    """A bucket's notification in the queue whose ARN is NOTICES."""
    return make_records(
        "aws:sqs", NOTICES, messageId=ID, body=json.dumps(make_event({})), attributes={}
    )  # fmt: skip
