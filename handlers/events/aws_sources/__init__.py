"""One module an event source: which events are its own, how they are read, how they are answered.

`http` is always there; the others only where the manifest names them. Each of these offers:

    NAME                      as `packager build --event` has it
    RETURNS                   whether the caller is given the answers themselves
    claims_event(event)       whether an event is its own, by shape alone; raises nothing
    list_entries(event)       what the event carries, in its own order; raises nothing
    identify_entry(entry)     by which the source knows an entry in a partial answer, and the group
                              whose order it is in, or None
    read_entry(entry)         the records of one entry; may raise whatever the entry makes it
    make_reply(event, outcomes)  the answer in the source's terms; raises RecordsFailedError

handlers.events.records.read_records is the one place that calls these.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Protocol, cast

from handlers.events.records import Reader
from handlers.scoring.errors import suggest_name

SOURCES = (
    "files", "s3", "sqs", "sns", "kinesis", "dynamodb", "eventbridge", "kafka", "stepfunctions",
    "schedule",
)  # fmt: skip
"""In this order they are asked whether an event is theirs."""
OF_FILES = ("files", "s3")
"""Whose records are files, which handlers.files scores."""


class Source(Reader, Protocol):
    def claims_event(self, event: object) -> bool: ...


def load(names: Iterable[str]) -> tuple[Source, ...]:
    """The modules of these sources and no other. Raises ValueError for a name that is none."""
    wanted = tuple(names)
    if unknown := sorted(set(wanted) - set(SOURCES)):
        raise ValueError(
            f"There is no event source {', '.join(unknown)}; there are {', '.join(SOURCES)}."
            f"{suggest_name(unknown[0], SOURCES)}"
        )
    ordered = [name for name in SOURCES if name in wanted]
    return tuple(
        cast(Source, importlib.import_module(f"handlers.events.aws_sources.{n}")) for n in ordered
    )
