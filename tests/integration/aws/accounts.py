"""A deployed stack under kills and duplicates, and an account of every record."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

from packager.targets.lambda_emulator import Emulator
from tests.integration.aws.chaos import Door, drain
from tests.integration.aws.records import (
    ANSWERS,
    DISTINCT,
    INCOMING,
    OBJECTS,
    RECORDS,
    counted,
    messages,
    objects,
    row,
)
from tests.integration.aws.services import Services, asked

VISIBILITY_SECONDS = 16
PATIENCE_SECONDS = 300 + RECORDS + OBJECTS
KILLED_SHARE, KILLS = 0.05, 20
"""Of the invocations, and about so many at each door at most: a start takes seconds."""


class Chaos:
    """A deployed stack whose queues are drained under kills and duplicates."""

    def __init__(
        self,
        services: Services,
        outputs: dict[str, str],
        columns: list[str],
        batch: int,
    ) -> None:
        """`batch` is the most messages of an invocation; an object comes alone."""
        self._services, self._columns, self._batch = services, columns, batch
        self._failures = outputs["FailuresQueueUrl"]
        mappings = services.functions.list_event_source_mappings()["EventSourceMappings"]
        queues = [each for each in mappings if ":sqs:" in each["EventSourceArn"]]
        for each in queues:
            assert each["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            services.functions.update_event_source_mapping(UUID=each["UUID"], Enabled=False)
        self._arns = {
            "s3": outputs["ObjectsQueueArn"],
            "sqs": next(
                each["EventSourceArn"]
                for each in queues
                if each["EventSourceArn"] != outputs["ObjectsQueueArn"]
            ),
        }
        names = {kind: arn.rpartition(":")[2] for kind, arn in self._arns.items()}
        self._urls = {
            kind: services.queues.get_queue_url(QueueName=name)["QueueUrl"]
            for kind, name in names.items()
        }
        services.queues.set_queue_attributes(
            QueueUrl=self._urls["s3"], Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )
        told = {"QueueArn": self._arns["s3"], "Events": ["s3:ObjectCreated:*"]}
        services.objects.put_bucket_notification_configuration(
            Bucket=INCOMING, NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def run(self, emulator: Emulator, folder: str, *, once: bool) -> dict[str, Any]:
        """What was sent, what happened, and what came of it, by door."""
        begun = time.monotonic()
        sent: dict[str, dict[str, int]] = {"sqs": {}, "s3": {}}
        url, columns = self._urls["sqs"], self._columns
        doors = [
            self._door("sqs", RECORDS, messages(self._services, url, columns, sent["sqs"])),
            self._door("s3", OBJECTS, objects(self._services, folder, columns, sent["s3"])),
        ]
        rows = [row(number, columns) for number in range(DISTINCT)]
        expected = asked(emulator, {"dataframe_records": rows})["predictions"]
        drain(self._services, emulator, doors, random.Random(7), PATIENCE_SECONDS)
        known = sum(
            int(json.loads(line)["RecordsKnown"][0])
            for line in emulator.log().splitlines()
            if "RecordsKnown" in line
        )
        buried = self._buried()
        told: dict[str, Any] = {"once": once, "known": known}
        for kind, door in zip(sent, doors, strict=True):
            told[kind] = {
                "sent": len(sent[kind]),
                **door.counts(),
                **counted(sent[kind], self._answers(kind, folder), buried[kind], expected),
            }
        return told | {"seconds": round(time.monotonic() - begun)}

    def _door(self, kind: str, records: int, sending: Iterator[str]) -> Door:
        batch = self._batch if kind == "sqs" else 1
        share = min(KILLED_SHARE, KILLS * batch / records)
        url, arn = self._urls[kind], self._arns[kind]
        return Door(url=url, arn=arn, batch=batch, killed_share=share, sending=sending)

    def _answers(self, kind: str, folder: str) -> list[tuple[str, Any]]:
        """A record's name and its answers, once for each time that it was answered."""
        prefix = f"{folder}/sqs/" if kind == "sqs" else f"{folder}/{folder}/"
        found = []
        for each in self._services.versions(ANSWERS, prefix):
            text = self._services.read(ANSWERS, each["Key"])
            if kind == "sqs":
                found.append((json.loads(text)["id"], json.loads(text)["predictions"]))
            else:
                name = each["Key"].removeprefix(f"{folder}/").removesuffix(".jsonl")
                found.append((name, [json.loads(line) for line in text.splitlines()]))
        return found

    def _buried(self) -> dict[str, list[str]]:
        """Names of the records in the failures queue, each with a reason."""
        found: dict[str, list[str]] = {"sqs": [], "s3": []}
        for grave in self._services.emptied(self._failures):
            said = grave["MessageAttributes"]
            assert said["error_message"]["StringValue"]
            name, source = said["record"]["StringValue"], said["source"]["StringValue"]
            if source == "s3":
                name = name.removeprefix(f"{INCOMING}/").rpartition("@")[0]
            found[source].append(name)
        return found
