"""One module an event source: which events are its own, how they are read, how they are answered.

`http` is always there; the others only where the manifest names them. Each of these offers:

    NAME                        as `packager build --event` has it
    RETURNS                     whether the caller is given the answers themselves
    claims(event)               whether an event is its own, by shape alone
    records(event)              what is to be scored, in the event's own order
    reply(event, outcomes)      the answer in the source's terms; raises RecordsFailedError
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from handlers.records import Outcome, Record

SOURCES = (
    "files", "s3", "sqs", "sns", "kinesis", "dynamodb", "eventbridge", "kafka", "stepfunctions",
    "schedule",
)  # fmt: skip
"""In this order they are asked whether an event is theirs: an object may come through a queue."""
OF_FILES = ("files", "s3")
"""Whose records are files, which handlers.files scores."""


class Reader(Protocol):
    """What handlers.inbox needs of a source, whatever platform it is of."""

    NAME: str
    RETURNS: bool

    def records(self, event: Any) -> list[Record]: ...

    def reply(self, event: Any, outcomes: Sequence[Outcome]) -> Any: ...


class Source(Reader, Protocol):
    def claims(self, event: object) -> bool: ...


def load(names: Iterable[str]) -> tuple[Source, ...]:
    """The modules of these sources and no other. Raises ValueError for a name that is none."""
    wanted = tuple(names)
    if unknown := sorted(set(wanted) - set(SOURCES)):
        raise ValueError(f"no event source {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    ordered = [name for name in SOURCES if name in wanted]
    return tuple(cast(Source, importlib.import_module(f"handlers.events.{n}")) for n in ordered)
