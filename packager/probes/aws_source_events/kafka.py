"""A record of a topic of Kafka."""

from __future__ import annotations

from packager.probes.aws_source_events._forms import EPOCH_SECONDS, ID, encode_base64, make_arn


def make_event(request: object) -> object:
    record = {
        "topic": "requests",
        "partition": 0,
        "offset": 0,
        "timestamp": EPOCH_SECONDS * 1000,
        "timestampType": "CREATE_TIME",
        "value": encode_base64(request),
        "headers": [],
    }
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": make_arn("kafka", f"cluster/requests/{ID}-1"),
        "bootstrapServers": "b-1.requests.example.c1.kafka.us-east-1.amazonaws.com:9092",
        "records": {"requests-0": [record]},
    }
