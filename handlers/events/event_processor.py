"""An event to its answer: read its records, score and deliver them, say what must come again.

Environment: PACKAGER_OUTPUT is where answers go (see handlers.events.destinations);
PACKAGER_FAILURES the URL of the queue that takes records which can never be answered, with the
reason as attributes; PACKAGER_ONCE_TABLE the table of handlers.events.idempotency, empty for none;
PACKAGER_PAYLOAD_PATH the way to the request inside a record (`order.features`), empty for the
record itself; PACKAGER_MERGE=0 asks the model once a record; PACKAGER_FILES=1 imports at start what
files in S3 need.

A record is MLflow's JSON, or one row as an object of column to value, in an envelope of another
service or not (handlers.events.envelopes). What cannot be read or scored goes to PACKAGER_FAILURES
and is done with; without that queue it fails, and the source's own dead-letter queue gets it in the
end. In a group whose order counts, nothing is delivered after a record that must come again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from handlers.events import aws_sources, envelopes, record_messages
from handlers.events.records import Claim, Outcome, Reader, Record, read_records
from handlers.observability import log_redaction
from handlers.scoring import request_parsing
from handlers.scoring.errors import INTERNAL_ERROR, InvalidInputError, ScoringError
from handlers.scoring.request_merging import RequestMerger, Scored
from handlers.scoring.scorer import Scorer
from handlers.values import zip_equal

if TYPE_CHECKING:
    from handlers.events.destinations import Destination
    from handlers.events.idempotency import IdempotencyTable
    from handlers.files.jobs import Files

_LOG = logging.getLogger(__name__)
_REQUEST_KEYS = frozenset({*request_parsing.FORMATS, *request_parsing.LLM_KEYS, "params"})
_TRANSIENT = (MemoryError, OSError)
"""Of a model: the same record may be answered later."""


@dataclass(frozen=True)
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


class EventProcessor:
    """The sources that an artifact was built for, and where their answers go."""

    def __init__(
        self,
        names: Sequence[str],
        scorer: Scorer,
        *,
        output: Destination | None = None,
        failures: Destination | None = None,
        table: Callable[[str], IdempotencyTable] | None = None,
        path: Sequence[str] = (),
        merge: bool = True,
        files: Callable[[], Files] | None = None,
    ) -> None:
        """`table` gives the one of a source. Raises ValueError for a source that is none."""
        # whatever queue is set to call a function for files, its messages are no notices
        self._sources = aws_sources.load({*names, "sqs"} if "s3" in names else names)
        self._scorer = scorer
        self._merger = RequestMerger(scorer, merge=merge)
        self._output, self._failures, self._open_table = output, failures, table
        self._path, self._open_files = path, files
        self._files: Files | None = None

    @classmethod
    def read(
        cls, names: Sequence[str], scorer: Scorer, environ: Mapping[str, str] = os.environ
    ) -> EventProcessor:
        """As the environment has it. Raises ValueError for what it cannot mean."""
        output, queue = environ.get("PACKAGER_OUTPUT"), environ.get("PACKAGER_FAILURES")
        table, digest = environ.get("PACKAGER_ONCE_TABLE"), scorer.manifest.digest
        made = cls(
            names,
            scorer,
            output=_load_destination(output) if output else None,
            failures=_load_destination(f"sqs:{queue}") if queue else None,
            table=_make_tables(table, digest) if table else None,
            path=[name for name in environ.get("PACKAGER_PAYLOAD_PATH", "").split(".") if name],
            merge=environ.get("PACKAGER_MERGE") != "0",
            files=lambda: _make_files(scorer, output, environ),
        )
        if environ.get("PACKAGER_FILES") == "1":  # what files need is imported at start
            made._files = _make_files(scorer, output, environ)
        return made

    def find_source(self, event: object) -> aws_sources.Source | None:
        return next((source for source in self._sources if source.claims_event(event)), None)

    def answer(self, source: Reader, event: object, context: object) -> tuple[Any, Counts]:
        """The source's own form of answer.

        Raises RecordsFailedError, NoOutputError, and ScoringError for what its caller is told.
        """
        if self._output is None and not source.RETURNS:
            raise NoOutputError(
                f"PACKAGER_OUTPUT is empty, so answers to {source.NAME} would be lost. Build with "
                "--output-to, or set the variable."
            )
        records = read_records(source, event)
        if source.RETURNS:
            outcomes = self._score_records(records, context)
            known = 0
        else:
            outcomes, known = self._answer_records(source.NAME, records, context)
        counts = Counts(
            records=len(records),
            rows=sum(outcome.rows for outcome in outcomes),
            refused=sum(outcome.error is not None for outcome in outcomes),
            again=sum(outcome.retry for outcome in outcomes),
            known=known,
            bad_rows=sum(outcome.bad_rows for outcome in outcomes),
            payload_bytes=_payload_bytes(records),
        )
        return source.make_reply(event, outcomes), counts

    def _answer_records(
        self, source: str, records: Sequence[Record], context: Any
    ) -> tuple[list[Outcome], int]:
        """Scored, delivered and marked; a record that is there twice is scored once."""
        records = _give_distinct_names(records)
        distinct = list({record.id: record for record in records}.values())
        table = self._open_table(source) if self._open_table is not None else None
        claimed = _claim_records(table, distinct, context)
        fresh = {record.id for record in distinct if record.id not in claimed}
        ours_to_score = [record for record in distinct if record.id in fresh]
        scored = iter(self._score_records(ours_to_score, context))
        outcomes = [claimed.get(record.id) or next(scored) for record in distinct]
        outcomes = self._send_to_dead_letter(source, _preserve_group_order(outcomes))
        outcomes = self._deliver_answers(source, _preserve_group_order(outcomes))
        if table is not None:
            ours = [o for o in outcomes if o.record.id in fresh and o.record.fault is None]
            _settle_claims(table, ours, context.aws_request_id)
        known = sum(not outcome.retry for outcome in claimed.values())
        return _repeat_outcomes(outcomes, records), known

    def _score_records(self, records: Sequence[Record], context: object) -> list[Outcome]:
        if any(record.file is not None for record in records):
            return [
                self._of_s3(record, context)
                if record.file is not None
                else self._score_records([record], context)[0]
                for record in records
            ]
        if any(record.text for record in records):
            return self._of_text(records)
        requests: list[dict[str, Any] | ScoringError] = [self._read_request(r) for r in records]
        results = iter(self._merger.score([r for r in requests if isinstance(r, dict)]))
        pairs = zip_equal(records, requests)
        return [_make_outcome(r, next(results) if isinstance(q, dict) else q) for r, q in pairs]

    def _of_s3(self, record: Record, context: Any) -> Outcome:
        """A file's outcome; what nobody foresaw costs that file alone."""
        files = self._files or self._opened_files()
        left = context.get_remaining_time_in_millis
        assert record.file is not None  # noqa: S101 - who calls has looked
        try:
            return files.score(record, record.file, lambda: left() / 1000)
        except MemoryError as error:
            _LOG.error(
                "A file does not fit the memory, at %s. Raise MemorySizeMb, or lower "
                "PACKAGER_CHUNK_BYTES.",
                log_redaction.place(error),
            )
            return Outcome(record=record, retry=True)
        except Exception as error:  # noqa: BLE001 - the text may quote data
            _LOG.error("%s at %s", type(error).__name__, log_redaction.place(error))
            fault = ScoringError("The file could not be read.", error_code=INTERNAL_ERROR)
            return Outcome(record=record, error=fault)

    def _opened_files(self) -> Files:
        if self._open_files is None:
            raise NoOutputError("This artifact scores no files. Build it with --event files or s3.")
        self._files = self._open_files()
        return self._files

    def _of_text(self, records: Sequence[Record]) -> list[Outcome]:
        """Items of the same columns are read as one file."""
        groups: dict[tuple[str, ...], list[int]] = {}
        found: dict[int, Outcome] = {}
        for place, record in enumerate(records):
            if record.fault is None and _is_text_row(record.body):
                groups.setdefault(tuple(record.body), []).append(place)
            else:
                fault = record.fault or InvalidInputError("The item is no row of a CSV file.")
                found[place] = _make_outcome(record, fault)
        for places in groups.values():
            outcomes = self._of_file([records[place] for place in places])
            found.update(zip_equal(places, outcomes))
        return [found[place] for place in range(len(records))]

    def _of_file(self, records: Sequence[Record]) -> list[Outcome]:
        from handlers.files.scoring import text_rows

        try:
            results = text_rows(self._scorer, [record.body for record in records])
        except ScoringError as error:  # of the model as a whole
            return [_make_outcome(record, error) for record in records]
        return [_make_outcome(r, result) for r, result in zip_equal(records, results)]

    def _read_request(self, record: Record) -> dict[str, object] | ScoringError:
        if record.fault is not None:
            return record.fault
        try:
            found = self._find_payload(envelopes.decode_body(record.body))
        except ScoringError as error:
            return error
        if not isinstance(found, dict) or not found:
            return InvalidInputError("The record is not a JSON object.")
        return found if found.keys() & _REQUEST_KEYS else self._scorer.row(found)

    def _find_payload(self, found: object) -> object:
        """Take what the path names out of its envelopes. Raises InvalidInputError."""
        if not isinstance(found, dict) or not found.keys() & _REQUEST_KEYS:
            found = envelopes.open_envelopes(found, keep=self._path[0] if self._path else None)
        for name in self._path:
            if isinstance(found, dict) and name not in found:
                raise InvalidInputError(
                    f"The record has no {'.'.join(self._path)}, where PACKAGER_PAYLOAD_PATH has "
                    "the request."
                )
            # JSON may lie in JSON as text
            found = envelopes.decode_body(found[name]) if isinstance(found, dict) else None
        return found

    def _send_to_dead_letter(self, source: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Send what can never be answered to its queue with the reason; without one it fails."""
        poison = [place for place, o in enumerate(outcomes) if o.error is not None and not o.retry]
        messages = [record_messages.of_failure(source, outcomes[place]) for place in poison]
        lost = set(poison)
        if self._failures is not None and messages:
            lost = {poison[place] for place in self._failures.send(messages)}
        return _must_retry(outcomes, lost)

    def _deliver_answers(self, source: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
        good = [
            place
            for place, o in enumerate(outcomes)
            if o.answer is not None and not o.retry and o.record.file is None
        ]
        manifest, once = self._scorer.manifest, self._open_table is not None
        messages = [
            record_messages.of_answer(source, outcomes[place], manifest, once=once)
            for place in good
        ]
        if self._output is None or not messages:
            return list(outcomes)
        return _must_retry(outcomes, {good[place] for place in self._output.send(messages)})


def _is_text_row(body: object) -> bool:
    return isinstance(body, dict) and bool(body) and all(isinstance(v, str) for v in body.values())


def _give_distinct_names(records: Sequence[Record]) -> list[Record]:
    """A record that comes twice is one; another under the same name gets a name of its own."""
    first: dict[str, Record] = {}
    made = []
    for place, record in enumerate(records):
        held = first.setdefault(record.id, record)
        if held is not record and not _is_same(held, record):
            record = replace(record, id=f"{record.id}-{place}")  # noqa: PLW2901 - the same, renamed
            first[record.id] = record
        made.append(record)
    return made


def _is_same(one: Record, other: Record) -> bool:
    if one.fault is not None or other.fault is not None:
        return False
    if one.file is not None:  # its version is in its name
        return True
    try:
        return bool(one.body == other.body)
    except RecursionError:
        return False


def _payload_bytes(records: Sequence[Record]) -> int | None:
    bodies_ = [record.body for record in records]
    if not all(isinstance(body, (str, bytes)) for body in bodies_):
        return None
    return sum(len(body) for body in bodies_)


def _load_destination(address: str) -> Destination:
    from handlers.events import destinations

    return destinations.load(address)


def _make_files(scorer: Scorer, output: str | None, environ: Mapping[str, str]) -> Files:
    from handlers.files.jobs import Files

    return Files(scorer, output, environ)


def _make_tables(table: str, digest: str) -> Callable[[str], IdempotencyTable]:
    from handlers.events.idempotency import IdempotencyTable

    return lambda source: IdempotencyTable(table, digest, source)


def _claim_records(
    table: IdempotencyTable | None, records: Sequence[Record], context: Any
) -> dict[str, Outcome]:
    """Outcomes of those that are not to be scored now: done with, or another invocation's.

    A record that cannot be read has no name that is sure to be its own.
    """
    records = [record for record in records if record.fault is None]
    if table is None or not records:
        return {}
    seconds = context.get_remaining_time_in_millis() / 1000
    claims = table.claim([record.id for record in records], context.aws_request_id, seconds)
    return {
        record.id: Outcome(record=record, retry=claim is Claim.ELSEWHERE)
        for record, claim in zip_equal(records, claims)
        if claim is not Claim.OURS
    }


def _repeat_outcomes(outcomes: Sequence[Outcome], records: Sequence[Record]) -> list[Outcome]:
    """An outcome for each record, those with the same id among them."""
    found = {outcome.record.id: outcome for outcome in outcomes}
    return [replace(found[record.id], record=record) for record in records]


def _settle_claims(table: IdempotencyTable, outcomes: Sequence[Outcome], request_id: str) -> None:
    """Mark what is answered, and let go of what is to come again."""
    table.done([outcome.record.id for outcome in outcomes if not outcome.retry])
    again = [outcome.record.id for outcome in outcomes if outcome.retry]
    table.release(again, request_id)


def _make_outcome(record: Record, result: Scored | ScoringError) -> Outcome:
    if isinstance(result, Scored):
        return Outcome(record=record, answer=result.body, rows=result.rows)
    return Outcome(record=record, error=result, retry=isinstance(result.__cause__, _TRANSIENT))


def _preserve_group_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
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


def _must_retry(outcomes: Sequence[Outcome], places: set[int]) -> list[Outcome]:
    return [replace(o, retry=True) if i in places else o for i, o in enumerate(outcomes)]
