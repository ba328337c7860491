"""Records of an event, each scored by itself as far as anyone can tell.

`read_records` is the one place that asks a source of AWS or a trigger of Azure for entries,
identities and records, and the one place where a broken entry ends: it costs that entry alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from handlers.observability import log_redaction
from handlers.scoring.errors import InvalidInputError, ScoringError

_LOG = logging.getLogger(__name__)
_NAME = 800
"""Characters of a record's name, of which an object's key is made: these may have 1,024 bytes."""
_FORM = "The record does not have its source's form."


@dataclass(frozen=True)
class FileRef:
    """A file of rows in S3."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    """By which S3 orders the events of one key."""
    output: str | None = None
    """`s3://bucket/key`; None has it named after the input."""


@dataclass(frozen=True)
class Record:
    id: str
    """The same at each delivery, and no other record's: the answer's name."""
    item: str
    """By which the source knows it in a partial answer."""
    body: Any
    """JSON as text or bytes, or decoded already."""
    group: str | None = None
    """Records of one group are answered in order; None where order means nothing."""
    file: FileRef | None = None
    """What is to be scored, where it is not the body."""
    traceparent: str | None = None
    """The trace that it came with (W3C), which goes on to its answer."""
    text: bool = False
    """The body is an object of column to text, as a CSV file has it."""
    fault: ScoringError | None = None
    """Why it could not be read, where it could not: the body is then what came."""


@dataclass(frozen=True)
class Outcome:
    record: Record
    answer: bytes | None = None
    """JSON; None where there is none."""
    error: ScoringError | None = None
    """Why the record can never be answered."""
    retry: bool = False
    """Nothing was done with it: the source should deliver it again."""
    rows: int = 0
    bad_rows: int = 0
    """Of a file: answered by an error in their place."""


class Claim(Enum):
    """Claim on a record: whether it is to be scored here and now."""

    OURS = "ours"
    DONE = "done"
    ELSEWHERE = "elsewhere"
    """Another invocation has it, or nobody could be asked: it must come again."""


class RecordsFailedError(Exception):
    """Records that must be delivered again, by a source that takes no partial answer."""


def all_or_nothing(outcomes: Sequence[Outcome]) -> None:
    """Raises RecordsFailedError where a record has to come again."""
    failed = sum(outcome.retry for outcome in outcomes)
    if failed:
        raise RecordsFailedError(f"{failed} of {len(outcomes)} records have to be delivered again")


def names_source(event: object, key: str, source: str) -> bool:
    """Tell whether one of an event's `Records` says that it is of this source.

    One that is broken does not take the event away from its source.
    """
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        return False
    return any(isinstance(each, dict) and each.get(key) == source for each in records)


def dig(value: object, *names: str) -> object:
    """Return what lies under these names, one in the other; None where one does not."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text_of(value: object) -> str:
    """A field that has to be text. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"text is expected, not {type(value).__name__}")
    return value


def item_failures(identifiers: Sequence[str]) -> dict[str, object]:
    """A partial batch response.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}


class Reader(Protocol):
    """Interface of a source for handlers.events.event_processor, whatever platform it is of."""

    NAME: str
    RETURNS: bool

    def list_entries(self, event: object) -> Sequence[object]: ...

    def identify_entry(self, entry: object) -> tuple[object, object]: ...

    def read_entry(self, entry: object) -> Sequence[Record]: ...

    def make_reply(self, event: object, outcomes: Sequence[Outcome]) -> object: ...


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
