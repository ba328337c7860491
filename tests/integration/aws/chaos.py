"""Queues drained into the deployed function by Lambda's rules, with deaths and duplicates.

What is not named in a partial response is deleted, everything else comes again when its visibility
ends; now and then what is done with is delivered a second time, and the function's process is
killed at a random moment of an invocation.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from packager.targets.lambda_emulator import Emulator
from tests.integration.aws.services import Services

_LOW = 50
REPEATED = 0.05
"""Of the messages that are done with."""


@dataclass
class Door:
    """A queue that triggers the function, and what happened at it."""

    url: str
    arn: str
    batch: int
    sending: Iterator[object]
    """Sends a record, or a few, each time that it is asked for one."""
    killed_share: float
    """Of the invocations. A message that fails five times in a row is buried by its queue."""
    invocations: int = 0
    killed: int = 0
    repeated: int = 0
    named: int = 0
    """Items in partial responses."""
    failures: Counter[str] = field(default_factory=Counter)
    """Invocations that failed whole, by why."""
    seconds: float = 1.0

    def counts(self) -> dict[str, Any]:
        names = ("invocations", "killed", "repeated", "named", "failures")
        return {name: getattr(self, name) for name in names}


def event(messages: list[dict[str, Any]], arn: str) -> bytes:
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": arn,
            "awsRegion": "us-east-1",
        }
        for message in messages
    ]
    return json.dumps({"Records": records}).encode()


def drain(
    services: Services,
    emulator: Emulator,
    doors: list[Door],
    dice: random.Random,
    patience_seconds: float,
) -> None:
    """Until everything was sent and every queue is empty."""
    deadline = time.monotonic() + patience_seconds
    while left := [door for door in doors if _filled(services, door)]:
        if time.monotonic() > deadline:
            pytest.fail(f"not empty after {patience_seconds} s: {left}")
        served = [_served(services, emulator, door, dice) for door in left]
        if not any(served):
            time.sleep(0.3)


def _filled(services: Services, door: Door) -> bool:
    """Whether there is, or will be, anything in a door's queue; a low one is sent to first.

    Moto's queues get slow with what is in them.
    """
    left = _left(services, door)
    while left < _LOW and next(door.sending, None) is not None:
        left += 1
    return left > 0


def _left(services: Services, door: Door) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = services.queues.get_queue_attributes(QueueUrl=door.url, AttributeNames=names)
    return sum(map(int, found["Attributes"].values()))


def _served(services: Services, emulator: Emulator, door: Door, dice: random.Random) -> bool:
    """One batch; whether there was one."""
    messages = _received(services, door)
    if not messages:
        return False
    again = _delivered(emulator, door, messages, dice)
    if again is None:
        return True
    door.named += len(again)
    done = [message for message in messages if message["MessageId"] not in again]
    for start in range(0, len(done), 10):
        entries = [
            {"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]}
            for i, message in enumerate(done[start : start + 10])
        ]
        services.queues.delete_message_batch(QueueUrl=door.url, Entries=entries)
    twice = [message for message in done if dice.random() < REPEATED]
    if twice:
        door.repeated += len(twice)
        _delivered(emulator, door, twice, dice)
    return True


def _received(services: Services, door: Door) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while (wanted := min(10, door.batch - len(found))) > 0:
        answer = services.queues.receive_message(QueueUrl=door.url, MaxNumberOfMessages=wanted)
        if not (batch := answer.get("Messages")):
            break
        found += batch
    return found


def _delivered(
    emulator: Emulator, door: Door, messages: list[dict[str, Any]], dice: random.Random
) -> set[str] | None:
    """One invocation: the items that must come again, or None where it failed whole."""
    door.invocations += 1
    killer: threading.Timer | None = None
    if dice.random() < door.killed_share:
        door.killed += 1
        # of what an invocation takes, with its start where the process was killed before
        moment = dice.uniform(0, 1.5 * door.seconds / door.invocations)
        killer = threading.Timer(moment, _kill, [emulator._find_process()])
        killer.start()
    begun = time.monotonic()
    answer = emulator.invoke(event(messages, door.arn))
    door.seconds += time.monotonic() - begun
    if killer is not None:
        killer.join()
    if answer.status != 200:
        door.failures["process ended"] += 1
        return None
    try:
        value = json.loads(answer.body)
    except ValueError:
        door.failures["timed out"] += 1
        return None
    if "batchItemFailures" not in value:
        door.failures[value.get("errorType", "?")] += 1
        return None
    return {item["itemIdentifier"] for item in value["batchItemFailures"]}


def _kill(pid: int | None) -> None:
    with contextlib.suppress(ProcessLookupError, TypeError):
        os.kill(pid, signal.SIGKILL)  # type: ignore[arg-type]
