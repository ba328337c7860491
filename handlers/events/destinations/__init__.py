"""Destinations of answers that no caller waits for: one module a kind.

Each offers `open_at(address) -> Destination`; the address is what follows the colon in
`PACKAGER_OUTPUT`: `s3://bucket/prefix`, `sqs:QUEUE_URL`, `eventbridge:BUS`, `dynamodb:TABLE`,
`firehose:STREAM`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

KINDS = ("s3", "sqs", "eventbridge", "dynamodb", "firehose")


@dataclass(frozen=True)
class Message:
    id: str
    body: bytes
    """JSON."""
    group: str | None = None
    """Messages of one group are delivered in order, where the destination keeps any."""
    attributes: dict[str, str] = field(default_factory=dict)
    once: str = ""
    """The model's digest, where an answer of its that is there already is to stay."""


class Destination(Protocol):
    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        """Deliver; the positions of those that could not be. Sending one again does no harm."""
        ...


class _Module(Protocol):
    def open_at(self, address: str) -> Destination: ...


def load(text: str) -> Destination:
    """The destination of `PACKAGER_OUTPUT`. Raises ValueError for what is none."""
    kind, _, address = text.partition(":")
    if kind not in KINDS or not address:
        raise ValueError(f"PACKAGER_OUTPUT must be KIND:ADDRESS, with KIND of {', '.join(KINDS)}")
    module = cast(_Module, importlib.import_module(f"handlers.events.destinations.{kind}"))
    return module.open_at(address)


def chunks(messages: Sequence[Message], *, count: int, size_bytes: int) -> Iterator[list[int]]:
    """Positions in order, as many together as one request may carry; none is left out."""
    chunk: list[int] = []
    size = 0
    for place, message in enumerate(messages):
        if chunk and (len(chunk) == count or size + len(message.body) > size_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(place)
        size += len(message.body)
    if chunk:
        yield chunk
