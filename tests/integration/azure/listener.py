"""What Azure's host does between storage and the worker, for the queue and the blob trigger.

A message is hidden while it is scored, deleted when that succeeded and its answers are written, and
shown again when not; beyond host.json's number of tries it is moved to the `-poison` queue. After
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-queue-trigger:
ours, as the host itself can be had from no package index.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from azure.core.exceptions import ResourceNotFoundError

from packager.errors import EmulatorError
from packager.probes.azure_trigger_messages import trigger_message
from packager.targets.hosts import Boot
from packager.targets.hosts.functions_worker import WorkerHost
from tests.integration.azure.azurite import Storage

SETTINGS: Final = {
    "PACKAGER_QUEUE": "requests",
    "PACKAGER_CONTAINER": "requests",
    "PACKAGER_OUTPUT": "answers",
    "PACKAGER_FAILURES": "failures",
}
BLOB_POISON: Final = "webjobs-blobtrigger-poison"
_BATCH: Final = 16
_HIDDEN_SECONDS: Final = 600


class BrokenError(Exception):
    """Something between storage and the worker failed; the message comes again."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong at random, by how often; `seen` counts what did."""

    seed: int = 0
    worker_dies: float = 0.0
    output_fails: float = 0.0
    host_dies: float = 0.0
    """After the answers were written and before the message was deleted: it is answered twice."""
    seen: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strikes(self, name: str) -> bool:
        struck: bool = self._random.random() < getattr(self, name)
        self.seen[name] += struck
        return struck


class Listener:
    """Delivers what lies in storage to a built app, one message after the other."""

    def __init__(self, boot: Boot, storage: Storage, faults: Faults | None = None) -> None:
        self._boot, self._storage = boot, storage
        self._faults = faults or Faults()
        extensions = json.loads((boot.folder / "host.json").read_text())["extensions"]
        self._tries = int(extensions["queues"]["maxDequeueCount"])
        self._blob_tries = int(extensions.get("blobs", {}).get("poisonBlobThreshold", 5))
        self._host = WorkerHost(boot)
        self._told: set[str] = set()
        self.invocations = 0
        self.starts = 0

    def __enter__(self) -> Self:
        self._start()
        for name in ("PACKAGER_CONTAINER", "PACKAGER_OUTPUT"):
            self._storage.container(SETTINGS[name])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._host.__exit__(kind, error, trace)

    def drain_queue(self) -> None:
        """Until nothing is left in the trigger's queue, as the host's listener does."""
        queue = self._storage.queue(SETTINGS["PACKAGER_QUEUE"])
        poison = self._storage.queue(f"{SETTINGS['PACKAGER_QUEUE']}-poison")
        while batch := list(
            queue.receive_messages(max_messages=_BATCH, visibility_timeout=_HIDDEN_SECONDS)
        ):
            for message in batch:
                body = message.content.encode()
                inputs, metadata = trigger_message("queue", body)
                metadata["Id"] = {"string": message.id}
                metadata["DequeueCount"] = {"string": str(message.dequeue_count)}
                try:
                    self._run("queue", inputs, metadata, {"Id": message.id})
                    self._strike("host_dies")
                except BrokenError:
                    if (message.dequeue_count or 0) >= self._tries:
                        poison.send_message(message.content)
                        queue.delete_message(message)
                    else:
                        queue.update_message(message, visibility_timeout=0)
                else:
                    queue.delete_message(message)

    def blobs(self) -> None:
        """Every blob that appeared since the last call, in order, each until it is done with."""
        container = self._storage.blobs.get_container_client(SETTINGS["PACKAGER_CONTAINER"])
        for name in sorted(each.name for each in container.list_blobs()):
            if name not in self._told:
                self._told.add(name)
                self._blob(name, container.download_blob(name).readall())

    def _blob(self, name: str, body: bytes) -> None:
        inputs, metadata = trigger_message("blob", body)
        path = f"{SETTINGS['PACKAGER_CONTAINER']}/{name}"
        metadata["BlobTrigger"] = {"string": path}
        for _ in range(self._blob_tries):
            with contextlib.suppress(BrokenError):
                self._run("blob", inputs, metadata, {"name": name})
                return
        told = json.dumps({"FunctionId": "Host.Functions.blob", "BlobName": path})
        self._storage.queue(BLOB_POISON).send_message(told)

    def _run(
        self,
        function: str,
        inputs: dict[str, Any],
        metadata: dict[str, Any],
        expressions: Mapping[str, str],
    ) -> None:
        """One invocation, and what it sends. Raises BrokenError."""
        self.invocations += 1
        bindings = {each["name"]: each for each in self._host.functions[function]}
        if self._faults.strikes("worker_dies"):
            self._host.kill()
        try:
            done = self._host.invoke(function, inputs, metadata)
        except EmulatorError as error:
            self._host.__exit__(None, None, None)
            self._start()
            raise BrokenError from error
        if failure := done.get("failure"):
            raise BrokenError(failure)
        for name, data in done["outputs"].items():
            self._strike("output_fails")
            self._write(bindings[name], data, expressions)

    def _write(
        self, binding: Mapping[str, Any], data: dict[str, Any], expressions: Mapping[str, str]
    ) -> None:
        ((kind, value),) = data.items()
        if binding["type"] == "blob":
            path = _resolved(binding["path"], expressions)
            container, _, name = path.partition("/")
            body = base64.b64decode(value) if kind == "bytes" else value.encode()
            self._storage.blobs.get_blob_client(container, name).upload_blob(body, overwrite=True)
            return
        queue = self._storage.queue(_resolved(binding["queueName"], expressions))
        for text in json.loads(value) if kind == "json" else [value]:
            queue.send_message(text)

    def _strike(self, name: str) -> None:
        if self._faults.strikes(name):
            raise BrokenError(name)

    def _start(self) -> None:
        self.starts += 1
        self._host = WorkerHost(self._boot)
        self._host.__enter__()
        if self._host.failure is not None:
            raise BrokenError(self._host.failure)


def _resolved(text: str, expressions: Mapping[str, str]) -> str:
    """Binding expressions: `%SETTING%` and `{name of the trigger's metadata}`.

    https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-expressions-patterns
    """
    text = re.sub(r"%(\w+)%", lambda found: SETTINGS[found[1]], text)
    return re.sub(r"\{(\w+)\}", lambda found: expressions[found[1]], text)


def taken(storage: Storage, name: str) -> list[str]:
    """All messages of a queue, which is empty afterwards."""
    queue = storage.queue(name)
    found = []
    with contextlib.suppress(ResourceNotFoundError):
        while batch := list(queue.receive_messages(max_messages=32)):
            for message in batch:
                found.append(message.content)
                queue.delete_message(message)
    return found
