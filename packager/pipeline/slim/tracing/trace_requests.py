"""Requests to a function that is traced: by every door and event source that it has."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypedDict

from handlers.events import azure_triggers
from packager.probes import Probe, probes
from packager.probes.aws_source_events import source_event
from packager.probes.aws_source_events.s3 import NOTICES, notice_event
from packager.system import destination_uri
from packager.targets.lambda_emulator import EventKind, http_event
from packager.types import BuildPlan, HostKind, Json


class TraceRequest(TypedDict):
    """Request of a traced function, as workers/trace.py reads it."""

    event: Json
    refused: bool
    """Whether it is one that should be turned down."""


_ROWS: Final = 100
"""Of probes: each form with one row, with two, and batches; the edge cases come on top."""
_KINDS: Final[tuple[EventKind, ...]] = ("rest-api", "http-api", "function-url", "alb")
_ROUTES: Final = ("/ping", "/health", "/version", "/nothing-here")
_NOWHERE: Final = "http://127.0.0.1:9"
"""The discard port: nothing listens there, so that a delivery is tried and fails at once."""
_ADDRESSES: Final = {
    "s3": "s3://{name}/{prefix}",
    "sqs": f"sqs:{_NOWHERE}/123456789012/{{name}}",
    "eventbridge": "eventbridge:{name}",
    "dynamodb": "dynamodb:{name}",
    "firehose": "firehose:{name}",
}


def events(plan: BuildPlan) -> list[TraceRequest]:
    """List the requests; [] where the model has neither a signature nor a saved example."""
    asked = probes(plan.model, _ROWS, plan.request.proof.seed)
    if not asked:
        return []
    return list(_EVENTS[plan.target.program.host](asked, plan.request.events.sources))


def are_known(plan: BuildPlan) -> bool:
    """Tell whether this says how the target's functions are called."""
    return plan.target.program.host in _EVENTS


def environment(plan: BuildPlan) -> dict[str, str]:
    """Set where answers would go that no caller waits for; no service is reached."""
    found = destination_uri.of(plan)
    if found is None or found.kind not in _ADDRESSES:
        return {}
    address = _ADDRESSES[found.kind].format(name=found.name, prefix=found.prefix)
    return {
        "PACKAGER_OUTPUT": address,
        "PACKAGER_FAILURES": f"{_NOWHERE}/123456789012/failures",
        "PACKAGER_NOTICES": NOTICES,
        "AWS_ENDPOINT_URL": _NOWHERE,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        **({"PACKAGER_ONCE_TABLE": "answered"} if plan.request.events.once else {}),
    }


def _of_lambda(asked: tuple[Probe, ...], sources: Sequence[str]) -> Iterator[TraceRequest]:
    """By every door that a function has; the first HTTP request in each front's own form."""
    fronts: tuple[EventKind, ...] = _KINDS
    for probe in asked:
        refused = probe.rows == 0
        if probe.door == "direct":
            yield {"event": json.loads(probe.body), "refused": refused}
            continue
        headers = {"content-type": probe.content_type}
        for kind in fronts:
            event = http_event("POST", "/invocations", probe.body, headers, kind)
            yield {"event": event, "refused": refused}
        fronts = ("http-api",)
    for path in _ROUTES:
        yield {"event": http_event("GET", path, b"", {}), "refused": True}
    unreadable = http_event("POST", "/invocations", b"%", {"content-type": "application/json"})
    yield {"event": {**unreadable, "isBase64Encoded": True}, "refused": True}
    yield {"event": {"nothing": "that is scored"}, "refused": True}
    yield from _by_sources(asked, sources)


def _by_sources(asked: tuple[Probe, ...], names: Sequence[str]) -> Iterator[TraceRequest]:
    """Yield of each source an event that is answered, a plain row, and an unreadable one."""
    request = next((each for each in map(_request, asked) if each), None)
    for name in names if request else ():
        yield {"event": source_event(name, request), "refused": False}
        if row := _row(request or {}):
            yield {"event": source_event(name, row), "refused": False}
        yield {"event": source_event(name, {"nothing": "that is scored"}), "refused": True}
    if "s3" in names:
        yield {"event": notice_event(), "refused": True}


def _request(probe: Probe) -> dict[str, object] | None:
    if probe.rows == 0 or not probe.content_type.startswith("application/json"):
        return None
    found = json.loads(probe.body)
    return found if isinstance(found, dict) else None


def _row(request: Mapping[str, object]) -> dict[str, object] | None:
    split = request.get("dataframe_split")
    if not isinstance(split, dict) or not split.get("columns") or not split.get("data"):
        return None
    return dict(zip(split["columns"], split["data"][0], strict=False))


def _of_azure(asked: tuple[Probe, ...], sources: Sequence[str]) -> Iterator[TraceRequest]:
    """Every request over HTTP, and by the trigger of each source what one could be asked by."""
    for probe in asked:
        refused = probe.rows == 0
        kind = probe.content_type
        yield _azure_request("POST", "/invocations", probe.body, kind, refused=refused)
        if probe.door == "direct" and not refused:
            body = base64.b64encode(probe.body).decode("ascii")
            for name in sources:
                yield {
                    "event": {"function": _name_scoring_function(name), "body": body},
                    "refused": False,
                }
    for path in _ROUTES:
        yield _azure_request("GET", path, b"", "", refused=True)
    for name in sources:
        yield {"event": {"function": _name_scoring_function(name), "body": ""}, "refused": True}


def _name_scoring_function(source: str) -> str:
    """The function that scores: of a batch, what takes a part of it."""
    return azure_triggers.PART if source == azure_triggers.BATCHES else source


def _azure_request(
    method: str, path: str, body: bytes, content_type: str, *, refused: bool
) -> TraceRequest:
    return {
        "event": {
            "function": "http",
            "method": method,
            "path": path,
            "headers": {"content-type": content_type} if content_type else {},
            "body": base64.b64encode(body).decode("ascii"),
        },
        "refused": refused,
    }


_EVENTS: Final[
    Mapping[HostKind, Callable[[tuple[Probe, ...], Sequence[str]], Iterator[TraceRequest]]]
] = MappingProxyType(
    {
        HostKind.LAMBDA: _of_lambda,
        HostKind.WORKER: _of_azure,
    }
)
"""What a function is called with under the recorder; a server is not traced."""
