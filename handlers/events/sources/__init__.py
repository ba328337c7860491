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

`read_records` is the one place that asks for entries, identities and records, and the one place
where a broken entry ends: it costs that entry alone.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol, cast

from handlers.events.records import Outcome, Record
from handlers.observability import log_redaction
from handlers.scoring.errors import InvalidInputError, ScoringError

_LOG = logging.getLogger(__name__)

SOURCES = (
    "files", "s3", "sqs", "sns", "kinesis", "dynamodb", "eventbridge", "kafka", "stepfunctions",
    "schedule",
)  # fmt: skip
"""In this order they are asked whether an event is theirs."""
OF_FILES = ("files", "s3")
"""Whose records are files, which handlers.files scores."""
_NAME = 800
"""Characters of a record's name, of which an object's key is made: these may have 1,024 bytes."""
_FORM = "The record does not have its source's form."


class Reader(Protocol):
    """Interface of a source for handlers.events.event_processor, whatever platform it is of."""

    NAME: str
    RETURNS: bool

    def list_entries(self, event: object) -> Sequence[object]: ...

    def identify_entry(self, entry: object) -> tuple[object, object]: ...

    def read_entry(self, entry: object) -> Sequence[Record]: ...

    def make_reply(self, event: object, outcomes: Sequence[Outcome]) -> object: ...


class Source(Reader, Protocol):
    def claims_event(self, event: object) -> bool: ...


def load(names: Iterable[str]) -> tuple[Source, ...]:
    """The modules of these sources and no other. Raises ValueError for a name that is none."""
    wanted = tuple(names)
    if unknown := sorted(set(wanted) - set(SOURCES)):
        raise ValueError(f"no event source {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    ordered = [name for name in SOURCES if name in wanted]
    return tuple(
        cast(Source, importlib.import_module(f"handlers.events.sources.{n}")) for n in ordered
    )


def read_records(source: Reader, event: object) -> list[Record]:
    """Read what is to be scored; an unreadable entry is a record with a fault.

    Raises ScoringError where the source hands its answers to the caller, who is told.
    """
    found: list[Record] = []
    for place, entry in enumerate(source.list_entries(event)):
        try:
            found += [_check_names(record) for record in source.read_entry(entry)]
        except Exception as error:
            if source.RETURNS and isinstance(error, ScoringError):
                raise
            found.append(_make_unreadable(source, entry, place, error))
    return found


def _check_names(record: Record) -> Record:
    """Raises TypeError or ValueError for a name that no table, key or attribute takes."""
    for name in (record.id, record.item, record.group or ""):
        if not isinstance(name, str):
            raise TypeError(f"a name is text, not {type(name).__name__}")
        name.encode()
    if not record.id or not record.item:
        raise ValueError("a record has a name")
    if record.file is None and len(record.id) > _NAME:
        raise ValueError("a name is too long for an answer")
    return record


def _make_unreadable(source: Reader, entry: object, place: int, error: Exception) -> Record:
    kind = type(error).__name__
    _LOG.error(
        "A record of %s cannot be read: %s at %s", source.NAME, kind, log_redaction.place(error)
    )
    fault = error if isinstance(error, ScoringError) else InvalidInputError(_FORM)
    if fault is not error:
        fault.__cause__ = error  # what is not the record's fault, as memory, comes again
    item, group = _read_identity(source, entry)
    body = entry.get("body", entry) if isinstance(entry, dict) else entry
    name = item or f"unreadable-{place}"
    return Record(id=name, item=item, body=body, group=group or None, fault=fault)


def _read_identity(source: Reader, entry: object) -> tuple[str, str]:
    """Empty where there is none; by an empty item the platform takes all of the event back."""
    try:
        item, group = (_name(each) for each in source.identify_entry(entry))
    except Exception as error:  # noqa: BLE001 - as in read_records
        _LOG.error("A record of %s has no name: %s", source.NAME, type(error).__name__)
        return "", ""
    return item, group


def _name(value: object) -> str:
    """Empty for what is no text, or is none outside of Python."""
    if not isinstance(value, str) or len(value) > _NAME:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value
