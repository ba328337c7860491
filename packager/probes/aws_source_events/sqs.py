"""A message of a queue."""

from __future__ import annotations

import json

from packager.probes.aws_source_events._forms import (
    ACCOUNT,
    EPOCH_SECONDS,
    ID,
    make_arn,
    make_records,
)


def make_event(request: object) -> object:
    return make_records(
        "aws:sqs",
        make_arn("sqs", "requests"),
        messageId=ID,
        receiptHandle="AQEB",
        body=json.dumps(request),
        attributes={
            "ApproximateFirstReceiveTimestamp": str(EPOCH_SECONDS * 1000),
            "ApproximateReceiveCount": "1",
            "SenderId": ACCOUNT,
            "SentTimestamp": str(EPOCH_SECONDS * 1000),
        },
        messageAttributes={},
        md5OfBody="d41d8cd98f00b204e9800998ecf8427e",
    )
