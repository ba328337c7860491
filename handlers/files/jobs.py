"""One file of S3 to its answers, as handlers.files says."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from handlers.aws_clients import AWS_ERRORS, code
from handlers.events.records import FileRef, Outcome, Record
from handlers.files import readers, storage, writers
from handlers.files.readers import Part
from handlers.files.scoring import Rows
from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Scorer
from handlers.values import remove_prefix

_LOG = logging.getLogger(__name__)
CHUNK_BYTES = 4 * 1024 * 1024
BAD_ROWS = 1000
_SPARE_SECONDS, _SPARE_SHARE = 5.0, 0.1
"""Left of the function's time to take back what was uploaded and to answer, at most and of it."""
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})
_NAME = "AWS_LAMBDA_FUNCTION_NAME"


@dataclass(frozen=True)
class Limits:
    chunk_bytes: int = CHUNK_BYTES
    bad_rows: int = BAD_ROWS

    @classmethod
    def read(cls, environ: Mapping[str, str], request_bytes: int) -> Limits:
        """Raises ValueError for what is no number."""
        chunk = int(environ.get("PACKAGER_CHUNK_BYTES") or CHUNK_BYTES)
        bad = int(environ.get("PACKAGER_BAD_ROWS") or BAD_ROWS)
        return cls(chunk_bytes=max(1, min(chunk, request_bytes // 2)), bad_rows=bad)


class Files:
    """Scores files; holds nothing of them between calls."""

    def __init__(
        self, scorer: Scorer, output: str | None, environ: Mapping[str, str] = os.environ
    ) -> None:
        """`output` is PACKAGER_OUTPUT: where the answers to files go that name no output."""
        self._scorer = scorer
        self._limits = Limits.read(environ, scorer.settings.request_bytes)
        self._own = environ.get(_NAME) or scorer.manifest.model_name
        self._output = remove_prefix((output or ""), "s3:")

    def score(self, record: Record, file: FileRef, seconds_left: Callable[[], float]) -> Outcome:
        """Score one file; an error is why it can never be scored as it is."""
        try:
            return self._score_file(record, file, seconds_left)
        except ScoringError as error:
            return Outcome(record=record, error=error, retry=_is_transient(error))
        except AWS_ERRORS as error:
            if code(error) in _GONE:
                gone = "The object is not there any more in the version that was named."
                return Outcome(record=record, error=ScoringError(gone))
            _LOG.error(
                "A file was not read or its answers not written, and it comes again: S3 answered "
                "%s. Check the role's permissions for both.",
                code(error),
            )
            return Outcome(record=record, retry=True, error=_make_fault(error))

    def _score_file(
        self, record: Record, file: FileRef, seconds_left: Callable[[], float]
    ) -> Outcome:
        target = self._make_target(file)
        if file.key.endswith("/"):  # what a console makes of a folder that is empty
            return Outcome(record=record, answer=_summarize(file, target, skipped="folder"))
        if self._is_own(file):
            return Outcome(record=record, answer=_summarize(file, target, skipped="own output"))
        source = storage.Source(file)
        through = source.through
        if self._own in through and file.output is None:
            return Outcome(record=record, answer=_summarize(file, target, skipped="own output"))
        stamp = storage.Stamp(
            input=source.version,
            model=self._scorer.manifest.digest,
            sequencer=file.sequencer,
            through=(*through, self._own),
        )
        if why := storage.find_settled(target, stamp):
            return Outcome(record=record, answer=_summarize(file, target, skipped=why))
        rows = Rows(self._scorer, self._limits.bad_rows)
        writer = writers.choose_writer(target.key)
        with storage.Sink(target, stamp, writer.content_type) as sink:
            for chunk in self._read_chunks(source, seconds_left):
                sink.write(writer.rows(rows.answers(chunk)))
            sink.write(writer.end(rows.counted))
        counts = {"rows": rows.counted, "refused": rows.bad}
        return Outcome(
            record=record,
            answer=_summarize(file, target, version=source.version, **counts),
            rows=rows.counted - rows.bad,
            bad_rows=rows.bad,
        )

    def _read_chunks(
        self, source: storage.Source, seconds_left: Callable[[], float]
    ) -> Iterator[Part]:
        spare = min(_SPARE_SECONDS, seconds_left() * _SPARE_SHARE)
        for chunk in readers.read(source, self._limits.chunk_bytes):
            if seconds_left() < spare:
                raise ScoringError(
                    "The file takes longer than the function has. Raise TimeoutSeconds or "
                    "MemorySizeMb, or score it in parts by a batch."
                )
            yield chunk

    def _make_target(self, file: FileRef) -> storage.Address:
        if file.output is not None:
            return storage.Address.read(file.output)
        bucket, _, prefix = remove_prefix(self._output, "//").partition("/")
        folder = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        return storage.Address(bucket=bucket, key=f"{folder}{file.key}.jsonl")

    def _is_own(self, file: FileRef) -> bool:
        """Tell by its place alone whether an event is of what the function wrote itself."""
        bucket, _, prefix = remove_prefix(self._output, "//").partition("/")
        folder = prefix.strip("/")
        inside = bool(folder) and file.key.startswith(f"{folder}/")
        return file.output is None and file.bucket == bucket and inside


def _summarize(file: FileRef, target: storage.Address, **told: object) -> bytes:
    import json

    named = {"input": f"s3://{file.bucket}/{file.key}", "output": target.text}
    return json.dumps({**named, **told}).encode()


def _is_transient(error: ScoringError) -> bool:
    return isinstance(error.__cause__, (MemoryError, OSError))


def _make_fault(error: Exception) -> ScoringError:
    return ScoringError(f"S3 answered {code(error)}.", error_code="TEMPORARILY_UNAVAILABLE")
