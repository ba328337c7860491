"""The functions beside HTTP: one a trigger that the manifest names, over Lambda's event processor.

Answers leave by output bindings, which the host sends when an invocation has succeeded: no client
of a service ships, and nothing is sent for an invocation that comes again. Of one that fails, every
record comes again.

Environment: PACKAGER_OUTPUT is where answers go, PACKAGER_FAILURES the queue for what can never be
answered and has no dead letter of its own, PACKAGER_PAYLOAD_PATH and PACKAGER_MERGE as in
handlers.events.event_processor.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import azure.functions as func

from handlers.events import azure_triggers
from handlers.events.azure_triggers import SERVICE_BUS, STORAGE, Decorator, Trigger
from handlers.events.event_processor import EventProcessor
from handlers.events.records import RecordsFailedError
from handlers.observability import log_redaction
from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Scorer

if TYPE_CHECKING:
    from handlers.events.destinations import Message

_LOG = logging.getLogger(__name__)
_TEXTS: Any = typing.List[str]  # the worker knows no list[str]
_BYTES = {"blob": None, "queue": 48 * 1024, "servicebus": 240 * 1024}
"""Of one answer. A storage queue takes 64 KiB of base64, a standard Service Bus 256 KB:
https://learn.microsoft.com/en-us/azure/service-bus-messaging/service-bus-azure-and-service-bus-queues-compared-contrasted
"""


class InternalError(Exception):
    """A fault in the function's own code."""


class Collected:
    """A destination that keeps messages until the invocation has succeeded."""

    def __init__(self, size_bytes: int | None) -> None:
        self._size_bytes = size_bytes
        self.messages: list[Message] = []

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        """The positions of those that no message of the destination's can hold."""
        too_large = set()
        for place, message in enumerate(messages):
            if self._size_bytes is not None and len(message.body) > self._size_bytes:
                _LOG.error(
                    "An answer of %d bytes is too large for its queue, which takes %d. Send fewer "
                    "rows a message, or build with --output-to blob://CONTAINER/FOLDER.",
                    len(message.body),
                    self._size_bytes,
                )
                too_large.add(place)
            else:
                self.messages.append(message)
        return frozenset(too_large)


class TriggerFunctions:
    """Makes the functions of an app; holds nothing between their invocations."""

    def __init__(
        self,
        scorer: Scorer,
        record: Callable[[str, dict[str, object], object], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`record` writes the log's line: of which function, what it did, the worker's context."""
        manifest = scorer.manifest
        if manifest.output not in azure_triggers.OUTPUTS:
            raise ValueError(
                f"Answers cannot go to {manifest.output!r}; on Azure they go to "
                f"{', '.join(azure_triggers.OUTPUTS)}. Build with another --output-to."
            )
        self._scorer, self._record = scorer, record
        self._names = tuple(name for name in manifest.events if name != azure_triggers.BATCHES)
        self._output = manifest.output
        path = environ.get("PACKAGER_PAYLOAD_PATH", "").split(".")
        self._path = [name for name in path if name]
        self._merge = environ.get("PACKAGER_MERGE") != "0"

    def open(self, app: func.Blueprint) -> None:
        for trigger in azure_triggers.load(self._names):
            run: Any = self._make_function(trigger)
            outward = (
                self._write_output(app, trigger),
                *(_bind_failures(app) if trigger.BURIES else ()),
            )
            for decorator in reversed((*trigger.make_decorators(app), *outward)):
                run = decorator(run)
            app.function_name(trigger.NAME)(run)

    def _make_function(self, trigger: Trigger) -> Callable[..., None]:
        """A function with the arguments and types that the worker holds its bindings to."""
        types = {**trigger.TYPES, "context": func.Context, "out": _name_type(self._output)}
        if trigger.BURIES:
            types["failed"] = func.Out[_TEXTS]

        def run(**arguments: Any) -> None:
            self.answer(trigger, arguments)

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter(n, kind, annotation=t) for n, t in types.items()]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = types
        return run

    def answer(self, trigger: Trigger, arguments: Mapping[str, Any]) -> None:
        """Score, and hand over what is to be sent. Raises where a record must come again."""
        begun = time.perf_counter()
        done: dict[str, Any] = {}
        answers, failures = Collected(_BYTES[self._output]), Collected(None)
        processor = EventProcessor(
            (),
            self._scorer,
            output=answers,
            failures=failures if trigger.BURIES else None,
            path=self._path,
            merge=self._merge,
        )
        try:
            _, counts = processor.answer(trigger, arguments, arguments["context"])
            done = {
                "records": counts.records,
                "rows": counts.rows,
                "refused": counts.refused,
                "row_errors": counts.refused + counts.bad_rows,
            }
            if counts.payload_bytes is not None:
                done["payload_bytes"] = counts.payload_bytes
            self._set_output(arguments["out"], answers.messages)
            if failures.messages:
                arguments["failed"].set([_with_reason(each) for each in failures.messages])
        except (RecordsFailedError, ScoringError):
            raise
        except Exception as error:  # noqa: BLE001 - the host would log its text, which may quote data
            name = type(error).__name__
            _LOG.error("%s at %s", name, log_redaction.place(error))
            raise InternalError(f"{name} in the function; see the log for the place.") from None
        finally:
            latency = round((time.perf_counter() - begun) * 1000, 3)
            status = 200 if done else 500
            told = {"status": status, **done, "latency_ms": latency}
            self._record(trigger.NAME, told, arguments["context"])

    def _set_output(self, out: func.Out[object], messages: Sequence[Message]) -> None:
        """A blob has an answer a line; a queue a message an answer."""
        if not messages:
            return
        if self._output == "blob":
            out.set(b"\n".join(message.body for message in messages) + b"\n")
        elif self._output == "queue":
            out.set([message.body.decode() for message in messages])
        else:
            (message,) = messages
            out.set(message.body.decode())

    def _write_output(self, app: func.Blueprint, trigger: Trigger) -> Decorator:
        if self._output == "blob":
            path = f"%PACKAGER_OUTPUT%/{trigger.NAME}/{trigger.ANSWER}.json"
            return app.blob_output("out", path=path, connection=STORAGE)
        if self._output == "queue":
            return app.queue_output("out", queue_name="%PACKAGER_OUTPUT%", connection=STORAGE)
        return app.service_bus_queue_output(
            "out", connection=SERVICE_BUS, queue_name="%PACKAGER_OUTPUT%"
        )


def _name_type(output: str) -> object:
    return {"blob": func.Out[bytes], "queue": func.Out[_TEXTS], "servicebus": func.Out[str]}[output]


def _bind_failures(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (app.queue_output("failed", queue_name="%PACKAGER_FAILURES%", connection=STORAGE),)


def _with_reason(message: Message) -> str:
    """A storage queue has no attributes: the record and why, as one JSON object."""
    told = {"id": message.id, **message.attributes, "body": message.body.decode()}
    text = json.dumps(told)
    if len(text) <= (_BYTES["queue"] or 0):
        return text
    return json.dumps({**told, "body": "", "encoding": "left out: it is too large"})
