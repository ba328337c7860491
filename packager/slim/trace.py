"""See what the function uses: run it over probes, by every door, under a recorder.

The later passes go by this. It runs once the bytecode is there, so that what is recorded is what a
start in the cloud reads.
"""

from __future__ import annotations

import base64
import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from handlers import triggers
from packager.emulator import EventKind, http_event, run_script, why_not_bootable
from packager.errors import ToolError
from packager.probes import Probe, probes
from packager.slim.passes import Pass, accounted
from packager.types import BuildPlan, Bundle, Trace

_LOG = logging.getLogger(__name__)

_WORKER: Final = Path(__file__).parent.parent / "workers" / "trace.py"
_SECONDS: Final = 300
_ROWS: Final = 100
"""Of probes: each form with one row, with two, and batches; the edge cases come on top."""
_KINDS: Final[tuple[EventKind, ...]] = ("rest-api", "http-api", "function-url", "alb")
_ROUTES: Final = ("/ping", "/health", "/version", "/nothing-here")


class UntraceableError(Exception):
    """Why a function cannot be run under the recorder: for the ledger, not for the user to mend."""

    def __init__(self, why: str, log: str = "") -> None:
        super().__init__(why)
        self.log = log


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """The same tree, and what was seen; a function that cannot be traced is left as it is."""
    try:
        found = record(bundle, plan)
    except UntraceableError as error:
        _LOG.info("No trace: %s", error)
        return replace(accounted(bundle, PASS, proof=f"no trace: {error}"), untraced=str(error))
    proof = (
        f"{len(found.answers)} requests: {len(found.modules)} modules loaded, "
        f"{len(found.opened)} of {len(bundle.files)} files opened"
    )
    return replace(accounted(bundle, PASS, proof=proof), trace=found, untraced="")


def record(bundle: Bundle, plan: BuildPlan) -> Trace:
    """Run the function as it stands in `bundle.root`; the folder is not changed.

    Raises UntraceableError where it cannot be run here, does not start, or has no probes.
    """
    events_of = _EVENTS.get(plan.target.entrypoint)
    if events_of is None:
        raise UntraceableError(f"the recorder does not know the events of {plan.target.name}")
    if why := why_not_bootable(plan.request.architecture):
        raise UntraceableError(why)
    asked = list(events_of(probes(plan.model, _ROWS, plan.request.seed), plan.request.events))
    if not asked:
        raise UntraceableError("the model has neither a signature nor a saved example")
    with tempfile.TemporaryDirectory(prefix="packager-trace-") as name:
        events, traced = Path(name, "events.json"), Path(name, "trace.json")
        events.write_text(json.dumps(asked), encoding="utf-8")
        try:
            done = run_script(
                bundle.root,
                _WORKER,
                [bundle.root, plan.target.entrypoint, events, traced],
                interpreter=plan.interpreter,
                provided=plan.provided,
                timeout_seconds=_SECONDS,
            )
        except ToolError as error:
            raise UntraceableError(str(error)) from error
        if done.returncode != 0 or not traced.is_file():
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise UntraceableError(
                f"it ended with exit code {done.returncode} under the recorder: {' '.join(said)}",
                done.stderr,
            )
        found = json.loads(traced.read_text(encoding="utf-8"))
    return Trace(
        init=tuple(found["init"]),
        answering=tuple(found["answering"]),
        refusing=tuple(found["refusing"]),
        files={name: PurePosixPath(path) for name, path in found["files"].items()},
        opened=tuple(PurePosixPath(path) for path in found["opened"]),
        own_cpu_ms=found["own_cpu_ms"],
        answers=tuple(found["answers"]),
        asked={name: (module, asked) for name, (module, asked) in found["asked"].items()},
    )


def _lambda_events(asked: tuple[Probe, ...], _: Sequence[str]) -> Iterator[dict[str, Any]]:
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
    if asked:
        for path in _ROUTES:
            yield {"event": http_event("GET", path, b"", {}), "refused": True}
        unreadable = http_event("POST", "/invocations", b"%", {"content-type": "application/json"})
        yield {"event": {**unreadable, "isBase64Encoded": True}, "refused": True}
        yield {"event": {"nothing": "that is scored"}, "refused": True}


def _azure_events(asked: tuple[Probe, ...], sources: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every request over HTTP, and by the trigger of each source what one could be asked by."""
    for probe in asked:
        refused = probe.rows == 0
        kind = probe.content_type
        yield _azure_request("POST", "/invocations", probe.body, kind, refused=refused)
        if probe.door == "direct" and not refused:
            body = base64.b64encode(probe.body).decode("ascii")
            for name in sources:
                yield {"event": {"function": _asked(name), "body": body}, "refused": False}
    if asked:
        for path in _ROUTES:
            yield _azure_request("GET", path, b"", "", refused=True)
        for name in sources:
            yield {"event": {"function": _asked(name), "body": ""}, "refused": True}


def _asked(source: str) -> str:
    """The function that scores: of a batch, what takes a part of it."""
    return triggers.PART if source == triggers.BATCHES else source


def _azure_request(
    method: str, path: str, body: bytes, content_type: str, *, refused: bool
) -> dict[str, Any]:
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


_EVENTS: Final[Mapping[str, Callable[[tuple[Probe, ...], Sequence[str]], Iterable[Any]]]] = (
    MappingProxyType(
        {
            "handlers.aws_lambda.handler": _lambda_events,
            "handlers.azure_functions.app": _azure_events,
        }
    )
)
"""By the target's entry point: what its function is called with under the recorder."""

PASS: Final = Pass(
    name="trace",
    reason="what serving never touches is known by watching it serve",
    apply=apply,
)
