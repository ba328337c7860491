"""A record of a stream."""

from __future__ import annotations

from packager.probes.aws_source_events._forms import (
    EPOCH_SECONDS,
    encode_base64,
    make_arn,
    make_records,
)


def make_event(request: object) -> object:
    sequence = "49590338271490256608559692538361571095921575989136588898"
    return make_records(
        "aws:kinesis",
        make_arn("kinesis", "stream/requests"),
        eventID=f"shardId-000000000000:{sequence}",
        eventName="aws:kinesis:record",
        eventVersion="1.0",
        kinesis={
            "approximateArrivalTimestamp": EPOCH_SECONDS,
            "data": encode_base64(request),
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": sequence,
        },
    )
