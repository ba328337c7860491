"""An event to its answer: read its records, score and deliver them, say what must come again.

Environment: PACKAGER_OUTPUT is where answers go (see handlers.destinations); PACKAGER_FAILURES the
URL of the queue that takes records which can never be answered, with the reason as attributes;
PACKAGER_ONCE_TABLE the table of handlers.once, empty for none; PACKAGER_PAYLOAD_PATH the way to the
request inside a record (`order.features`), empty for the record itself; PACKAGER_MERGE=0 asks the
model once a record; PACKAGER_FILES=1 imports at start what files in S3 need.

A record is MLflow's JSON, or one row as an object of column to value. What cannot be read or scored
goes to PACKAGER_FAILURES and is done with; without that queue it fails, and the source's own
dead-letter queue gets it in the end. In a group whose order counts, nothing is delivered after a
record that must come again.
"""

from __future__ import annotations

import binascii
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from handlers import bodies, events
from handlers.errors import InvalidInputError, ScoringError
from handlers.records import Claim, Outcome, Record
from handlers.scoring import Scorer
from handlers.together import Scored, Together

if TYPE_CHECKING:
    from handlers.destinations import Destination, Message
    from handlers.files.jobs import Files
    from handlers.once import Ledger

_REQUEST_KEYS = frozenset({*bodies.FORMATS, *bodies.LLM_KEYS, "params"})
_NOT_CARRIED = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
_TRANSIENT = (MemoryError, OSError)
"""Of a model: the same record may be answered later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    records: int
    rows: int
    refused: int
    """Records that can never be answered."""
    again: int
    """Records that must be delivered again."""
    known: int
    """Records that were answered at an earlier delivery."""
    payload_bytes: int | None = None
    """Of the records' bodies, where these are text."""
    bad_rows: int = 0
    """Rows of files that have an error in their answer's place."""


class NoOutputError(Exception):
    """Answers that no caller waits for, and nowhere to put them."""


class Inbox:
    """The sources that an artifact was built for, and where their answers go."""

    def __init__(
        self,
        names: Sequence[str],
        scorer: Scorer,
        *,
        output: Destination | None = None,
        failures: Destination | None = None,
        ledger: Callable[[str], Ledger] | None = None,
        path: Sequence[str] = (),
        merge: bool = True,
        files: Callable[[], Files] | None = None,
    ) -> None:
        """`ledger` gives the one of a source. Raises ValueError for a source that is none."""
        self._sources = events.load(names)
        self._scorer = scorer
        self._together = Together(scorer, merge=merge)
        self._output, self._failures, self._ledger = output, failures, ledger
        self._path, self._open_files = path, files
        self._files: Files | None = None

    @classmethod
    def read(
        cls, names: Sequence[str], scorer: Scorer, environ: Mapping[str, str] = os.environ
    ) -> Inbox:
        """As the environment has it. Raises ValueError for what it cannot mean."""
        output, queue = environ.get("PACKAGER_OUTPUT"), environ.get("PACKAGER_FAILURES")
        table, digest = environ.get("PACKAGER_ONCE_TABLE"), scorer.manifest.digest
        made = cls(
            names,
            scorer,
            output=_destination(output) if output else None,
            failures=_destination(f"sqs:{queue}") if queue else None,
            ledger=_ledgers(table, digest) if table else None,
            path=[name for name in environ.get("PACKAGER_PAYLOAD_PATH", "").split(".") if name],
            merge=environ.get("PACKAGER_MERGE") != "0",
            files=lambda: _files(scorer, output, environ),
        )
        if environ.get("PACKAGER_FILES") == "1":  # what files need is imported at start
            made._files = _files(scorer, output, environ)
        return made

    def claiming(self, event: object) -> events.Source | None:
        return next((source for source in self._sources if source.claims(event)), None)

    def answer(self, source: events.Reader, event: Any, context: Any) -> tuple[Any, Counts]:
        """The source's own form of answer.

        Raises RecordsFailedError, NoOutputError, and ScoringError for what its caller is told.
        """
        if self._output is None and not source.RETURNS:
            raise NoOutputError(f"PACKAGER_OUTPUT is empty: answers to {source.NAME} would be lost")
        records = source.records(event)
        if source.RETURNS:
            outcomes = self._scored(records, context)
            known = 0
        else:
            outcomes, known = self._answered(source.NAME, records, context)
        counts = Counts(
            records=len(records),
            rows=sum(outcome.rows for outcome in outcomes),
            refused=sum(outcome.error is not None for outcome in outcomes),
            again=sum(outcome.retry for outcome in outcomes),
            known=known,
            bad_rows=sum(outcome.bad_rows for outcome in outcomes),
            payload_bytes=_payload_bytes(records),
        )
        return source.reply(event, outcomes), counts

    def _answered(
        self, source: str, records: Sequence[Record], context: Any
    ) -> tuple[list[Outcome], int]:
        """Scored, delivered and marked; a record that is there twice is scored once."""
        distinct = list({record.id: record for record in records}.values())
        ledger = self._ledger(source) if self._ledger is not None else None
        claimed = _claimed(ledger, distinct, context)
        fresh = {record.id for record in distinct if record.id not in claimed}
        ours_to_score = [record for record in distinct if record.id in fresh]
        scored = iter(self._scored(ours_to_score, context))
        outcomes = [claimed.get(record.id) or next(scored) for record in distinct]
        outcomes = self._buried(source, _held_back(outcomes))
        outcomes = self._delivered(source, _held_back(outcomes))
        if ledger is not None:
            ours = [outcome for outcome in outcomes if outcome.record.id in fresh]
            ledger.done([outcome.record.id for outcome in ours if not outcome.retry])
            again = [outcome.record.id for outcome in ours if outcome.retry]
            ledger.release(again, context.aws_request_id)
        found = {outcome.record.id: outcome for outcome in outcomes}
        known = sum(not outcome.retry for outcome in claimed.values())
        return [replace(found[record.id], record=record) for record in records], known

    def _scored(self, records: Sequence[Record], context: Any) -> list[Outcome]:
        if any(record.file is not None for record in records):
            files = self._files or self._opened_files()
            left = context.get_remaining_time_in_millis
            return [
                files.score(record, record.file, lambda: left() / 1000)
                if record.file is not None
                else self._scored([record], context)[0]
                for record in records
            ]
        if any(record.text for record in records):
            return self._of_text(records)
        requests: list[dict[str, Any] | ScoringError] = [self._request(r) for r in records]
        results = iter(self._together.score([r for r in requests if isinstance(r, dict)]))
        pairs = zip(records, requests, strict=True)
        return [_outcome(r, next(results) if isinstance(q, dict) else q) for r, q in pairs]

    def _opened_files(self) -> Files:
        if self._open_files is None:
            raise NoOutputError("there is nothing that scores files")
        self._files = self._open_files()
        return self._files

    def _of_text(self, records: Sequence[Record]) -> list[Outcome]:
        from handlers.files.scoring import text_rows

        try:
            results = text_rows(self._scorer, [record.body for record in records])
        except ScoringError as error:  # of the model as a whole
            return [_outcome(record, error) for record in records]
        return [_outcome(r, result) for r, result in zip(records, results, strict=True)]

    def _request(self, record: Record) -> dict[str, Any] | ScoringError:
        found = record.body
        try:
            if isinstance(found, str | bytes):
                found = json.loads(found)
            for name in self._path:
                found = found[name] if isinstance(found, dict) else None
        except (ValueError, RecursionError):  # of bytes that are no UTF-8 too
            return InvalidInputError("The record is not JSON.")
        except KeyError:
            return InvalidInputError(f"The record has no {'.'.join(self._path)}.")
        if not isinstance(found, dict) or not found:
            return InvalidInputError("The record is not a JSON object.")
        return found if found.keys() & _REQUEST_KEYS else self._scorer.row(found)

    def _buried(self, source: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """What can never be answered goes to its queue with the reason; without one it fails."""
        poison = [place for place, o in enumerate(outcomes) if o.error is not None and not o.retry]
        messages = [_reason(source, outcomes[place]) for place in poison]
        lost = set(poison)
        if self._failures is not None and messages:
            lost = {poison[place] for place in self._failures.send(messages)}
        return _again(outcomes, lost)

    def _delivered(self, source: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
        good = [
            place
            for place, o in enumerate(outcomes)
            if o.answer is not None and not o.retry and o.record.file is None
        ]
        messages = [self._message(source, outcomes[place]) for place in good]
        if self._output is None or not messages:
            return list(outcomes)
        return _again(outcomes, {good[place] for place in self._output.send(messages)})

    def _message(self, source: str, outcome: Outcome) -> Message:
        from handlers.destinations import Message

        manifest, record = self._scorer.manifest, outcome.record
        head = {
            "id": record.id,
            "source": source,
            "model": manifest.model_name,
            "version": manifest.model_version,
        }
        if record.traceparent:
            head["traceparent"] = record.traceparent
        answer = outcome.answer or b"null"
        wrapped = answer.startswith(b'{"predictions": ')
        rest = answer[1:] if wrapped else b'"answer": ' + answer + b"}"
        body = json.dumps(head)[:-1].encode() + b", " + rest
        attributes = {"traceparent": record.traceparent} if record.traceparent else {}
        name = f"{source}/{record.id}"
        once = manifest.digest if self._ledger is not None else ""
        return Message(id=name, body=body, group=record.group, attributes=attributes, once=once)


def _payload_bytes(records: Sequence[Record]) -> int | None:
    bodies_ = [record.body for record in records]
    if not all(isinstance(body, str | bytes) for body in bodies_):
        return None
    return sum(len(body) for body in bodies_)


def _destination(address: str) -> Destination:
    from handlers import destinations

    return destinations.load(address)


def _files(scorer: Scorer, output: str | None, environ: Mapping[str, str]) -> Files:
    from handlers.files.jobs import Files

    return Files(scorer, output, environ)


def _ledgers(table: str, digest: str) -> Callable[[str], Ledger]:
    from handlers.once import Ledger

    return lambda source: Ledger(table, digest, source)


def _claimed(ledger: Ledger | None, records: Sequence[Record], context: Any) -> dict[str, Outcome]:
    """Outcomes of those that are not to be scored now: done with, or another invocation's."""
    if ledger is None:
        return {}
    seconds = context.get_remaining_time_in_millis() / 1000
    claims = ledger.claim([record.id for record in records], context.aws_request_id, seconds)
    return {
        record.id: Outcome(record=record, retry=claim is Claim.ELSEWHERE)
        for record, claim in zip(records, claims, strict=True)
        if claim is not Claim.OURS
    }


def _outcome(record: Record, result: Scored | ScoringError) -> Outcome:
    if isinstance(result, Scored):
        return Outcome(record=record, answer=result.body, rows=result.rows)
    return Outcome(record=record, error=result, retry=isinstance(result.__cause__, _TRANSIENT))


def _held_back(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """In a group whose order counts, all that is not done with waits for one that comes again."""
    waiting: set[str] = set()
    made = []
    for outcome in outcomes:
        group = outcome.record.group
        open_ = outcome.answer is not None or outcome.error is not None
        if group in waiting and open_:
            made.append(replace(outcome, retry=True))
            continue
        if outcome.retry and group is not None:
            waiting.add(group)
        made.append(outcome)
    return made


def _again(outcomes: Sequence[Outcome], places: set[int]) -> list[Outcome]:
    return [replace(o, retry=True) if i in places else o for i, o in enumerate(outcomes)]


def _reason(source: str, outcome: Outcome) -> Message:
    """The record as it came, and why; what a queue does not carry as text is base64."""
    from handlers.destinations import Message

    record, error = outcome.record, outcome.error
    body, encoding = _carried(record.body)
    return Message(
        id=f"{source}/{record.id}",
        body=body.encode(),
        group=record.group,
        attributes={
            "source": source,
            "record": record.id,
            "encoding": encoding,
            "error_code": error.error_code if error else "UNKNOWN",
            "error_message": _NOT_CARRIED.sub("?", error.message if error else "")[:1000] or "-",
        },
    )


def _carried(body: Any) -> tuple[str, str]:
    if not isinstance(body, str | bytes):
        return json.dumps(body), "text"
    try:
        text = body.decode() if isinstance(body, bytes) else body
        if text and not _NOT_CARRIED.search(text):
            return text, "text"
        raw = text.encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raw = body if isinstance(body, bytes) else b""
    # an empty message is none to a queue
    return binascii.b2a_base64(raw, newline=False).decode() or "=", "base64"
