"""Hand a function events that no service should send, until it breaks or the time is up.

    python -m tests.fuzz.events --seconds 60 [--seed N]

Real events of every source of Lambda and of its HTTP fronts, and messages of every trigger of
Azure, with fields replaced, gone, doubled and exchanged. A crash is an error that is not one of
those that its caller is to be told, a status of 500 or more, a record that ends nowhere, or an
answer that takes more than --each seconds of CPU. The first one is printed, and ends the run with
exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from handlers.aws_lambda import BadRequestError, Function, ModelFailedError, PayloadTooLargeError
from handlers.events import aws_sources, azure_triggers
from handlers.events.event_processor import EventProcessor
from handlers.events.records import RecordsFailedError, read_records
from packager.probes.aws_source_events import source_event
from packager.probes.aws_source_events.s3 import notice_event
from packager.targets.lambda_emulator import http_event
from packager.types import Frame, Tier
from tests import models
from tests.handlers.events.test_azure_triggers import GOOD, Asked, messages
from tests.handlers.events.test_broken_records import GONE, WRONG, Files, changed, paths
from tests.handlers.events.test_events import Box, Context
from tests.handlers.modelling import laid_out

TOLD = (BadRequestError, PayloadTooLargeError, ModelFailedError)
"""What the caller of a direct invoke or a map's task is told."""
UNTYPED = "Internal Server Error"
"""MLflow's own answer to a request without a content type."""
KINDS = ("rest-api", "http-api", "function-url", "alb")
COLUMNS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
ROW = dict.fromkeys(COLUMNS, 1.5)
HEADERS = {"content-type": "application/json", "traceparent": "00-1"}


class Invoked(Context):
    """As the runtime client's."""

    function_name = "churn"
    memory_limit_in_mb = "512"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:churn"


class CrashError(Exception):
    """What a function must not do."""


class Lambda:
    """A built function, whose answers and failures stay here."""

    def __init__(self, folder: Path) -> None:
        manifest, _ = laid_out(models.folder("pyfunc_loader"), folder, Tier.NATIVE, Frame.PANDAS)
        file = folder / "model-manifest.json"
        told = {**json.loads(manifest.text()), "events": ["stepfunctions"]}
        file.write_text(json.dumps(told), encoding="utf-8")
        self._function = Function(folder)

    def ask(self, event: Any) -> None:
        """Raises CrashError."""
        output, failures, files = Box(), Box(), Files()
        processor = EventProcessor(
            aws_sources.SOURCES, self._function._scorer, output=output, failures=failures,
            files=lambda: files,  # type: ignore[arg-type, return-value]
        )  # fmt: skip
        self._function._processor = processor
        source = processor.find_source(event)
        try:
            answer: Any = self._function(event, Invoked())
        except TOLD as error:
            if source is not None and not source.RETURNS:
                raise CrashError(f"{source.NAME} is told {type(error).__name__}") from error
            return
        failed = isinstance(answer, dict) and answer.get("statusCode", 200) >= 500
        if failed and answer["body"] != UNTYPED:
            raise CrashError(f"status {answer['statusCode']}")
        if source is None or source.RETURNS:
            return
        found = read_records(source, event)
        done = [message.id for box in (output, failures) for message in box.messages]
        ended = {record.id for record in found if record.file is None}
        if len(done) < len(ended) or (answer or {}).get("batchItemFailures"):
            raise CrashError(f"{len(done)} of {len(ended)} records of {source.NAME} ended")


class Azure:
    """The functions of every trigger, asked by messages whose fields are anything."""

    def __init__(self) -> None:
        self._asked = Asked(*azure_triggers.TRIGGERS)

    def ask(self, name: str, fields: dict[str, Any]) -> None:
        """Raises CrashError; a message that its trigger puts aside itself is refused by name."""
        import inspect

        failed, out = self._asked.failed, self._asked.out
        failed.value = out.value = None
        (given,) = messages(name, GOOD)["event"] if name == "eventhubs" else (SimpleNamespace(),)
        base = {"id": "m", "message_id": "m", "name": "m", "get_body": lambda: GOOD}
        more = {"read": lambda: GOOD, "get_json": lambda: json.loads(GOOD)}
        given.__dict__.update({**base, **more, **fields})
        arguments = {
            "event": [given] if name == "eventhubs" else given, "request": given, "out": out,
            "failed": failed, "context": SimpleNamespace(invocation_id="m"),
        }  # fmt: skip
        function = self._asked.functions[name].get_user_function()
        try:
            function(**{n: arguments[n] for n in inspect.signature(function).parameters})
        except RecordsFailedError as error:
            if "failed" in inspect.signature(function).parameters:
                raise CrashError(f"{name} comes again") from error
            return
        if len(out.value or ()) + len(failed.value or ()) != 1:
            raise CrashError(f"{name} ended nowhere")


def real(rng: random.Random) -> Any:
    """An event as a service sends it."""
    body = json.dumps(rng.choice([ROW, {"dataframe_records": [ROW]}])).encode()
    draw = rng.randrange(len(aws_sources.SOURCES) + 3)
    if draw < len(aws_sources.SOURCES):
        return source_event(aws_sources.SOURCES[draw], json.loads(body))
    if draw == len(aws_sources.SOURCES):
        return notice_event()
    if draw == len(aws_sources.SOURCES) + 1:
        return {"dataframe_records": [ROW]}
    return http_event("POST", "/invocations", body, HEADERS, rng.choice(KINDS))  # type: ignore[arg-type]


def mutated(rng: random.Random, event: Any) -> Any:
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        found = list(paths(event)) if event else []
        if not found:
            break
        path = rng.choice(found)
        draw = rng.randrange(5)
        if draw == 0:
            event = changed(event, path, GONE)
        elif draw == 1:
            event = changed(event, path, _at(event, rng.choice(found)))
        elif draw == 2 and isinstance(_at(event, path), list):
            event = changed(event, path, _at(event, path) * rng.choice((0, 2, 3)))
        else:
            event = changed(event, path, rng.choice(WRONG))
    return event


def _at(event: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        event = event[key]
    return copy.deepcopy(event)


def fields(rng: random.Random) -> dict[str, Any]:
    """Of a message of Azure: some of them anything, or something that is no function."""
    wrong = [*WRONG, {"PartitionContext": "{"}, {"PartitionContext": rng.choice(WRONG)}]
    names = ("id", "message_id", "name", "metadata", "sequence_number")
    made = {name: rng.choice(wrong) for name in rng.sample(names, rng.randrange(3))}
    for name in rng.sample(("get_body", "read", "get_json"), rng.randrange(2)):
        value = rng.choice([b"", b"\xff", b"[" * 100_000, *WRONG])
        made[name] = rng.choice([value, lambda value=value: value])
    return made


def endless(seed: int) -> Iterator[tuple[str, Any]]:
    rng = random.Random(seed)
    while True:
        if rng.random() < 0.25:
            yield rng.choice(azure_triggers.TRIGGERS), fields(rng)
        else:
            yield "", mutated(rng, real(rng))


def fuzz(seconds: float, seed: int, each: float) -> str:
    """What was asked, in a sentence. Raises CrashError, or what escaped, with its event."""
    count, end, slowest = 0, time.monotonic() + seconds, 0.0
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as name:
            with contextlib.redirect_stdout(io.StringIO()):
                function, apps = Lambda(Path(name)), Azure()
            for trigger, event in endless(seed):
                begun = time.process_time()
                try:
                    with contextlib.redirect_stdout(io.StringIO()):
                        apps.ask(trigger, event) if trigger else function.ask(event)
                except Exception as error:
                    error.add_note(f"seed {seed}, {trigger or 'lambda'}: {event!r:.400}")
                    raise
                slowest = max(slowest, time.process_time() - begun)
                if slowest > each:
                    raise CrashError(f"{slowest:.1f} s of CPU: {trigger} {event!r:.400}")
                count += 1
                if time.monotonic() > end:
                    break
    finally:
        logging.disable(logging.NOTSET)
    return f"No crash: {count:,} events, the slowest took {slowest:.2f} s of CPU"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=float, default=5, help="seconds of CPU for one event")
    options = parser.parse_args(argv)
    sys.stdout.write(fuzz(options.seconds, options.seed, options.each) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
