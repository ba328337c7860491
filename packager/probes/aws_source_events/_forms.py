"""Names and shapes that the events of several sources share."""

from __future__ import annotations

import base64
import json
from typing import Final

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
ID: Final = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
EPOCH_SECONDS: Final = 946684800


def make_arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def make_records(source: str, arn: str, **more: object) -> dict[str, list[dict[str, object]]]:
    shared = {"eventSource": source, "eventSourceARN": arn, "awsRegion": REGION}
    return {"Records": [{**shared, **more}]}


def encode_base64(request: object) -> str:
    return base64.b64encode(json.dumps(request).encode()).decode("ascii")
