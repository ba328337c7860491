"""Traces: W3C context carried from a record to its answer, and annotations for X-Ray.

https://www.w3.org/TR/trace-context/#traceparent-header; a subsegment is sent to the daemon as
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html says, without an SDK.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_HEADER = "_X_AMZN_TRACE_ID"
_DAEMON = "AWS_XRAY_DAEMON_ADDRESS"


def parent(value: object) -> str | None:
    """A traceparent that is one; anything else is nobody's."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return text if isinstance(text, str) and _PARENT.fullmatch(text) else None


def annotate(
    name: str,
    began: float,
    ended: float,
    annotations: Mapping[str, str | int | float | bool],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """A subsegment of this invocation's, where it is sampled; seconds since the epoch."""
    fields = dict(part.split("=", 1) for part in environ.get(_HEADER, "").split(";") if "=" in part)
    host, _, port = environ.get(_DAEMON, "").rpartition(":")
    if fields.get("Sampled") != "1" or not port.isdecimal() or "Parent" not in fields:
        return
    segment = {
        "name": name,
        "id": os.urandom(8).hex(),
        "trace_id": fields.get("Root", ""),
        "parent_id": fields["Parent"],
        "type": "subsegment",
        "start_time": began,
        "end_time": ended,
        "annotations": dict(annotations),
    }
    text = json.dumps({"format": "json", "version": 1}) + "\n" + json.dumps(segment)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            door.settimeout(0)
            door.sendto(text.encode(), (host, int(port)))
    except OSError:
        return  # a trace that is lost must not fail an answer
