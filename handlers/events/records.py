"""Records of an event, each scored by itself as far as anyone can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from handlers.scoring.errors import ScoringError


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


def dig(value: object, *names: str) -> Any:
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
